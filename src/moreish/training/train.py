"""Training: from words and options to a run, and from a stopped run to its end."""

from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import Any

from ..corpus import Corpus
from ..corpus.wordlist import refuse_what_is_no_list
from ..errors import InputError
from .ensemble import Member, Plan, resume_members, train_members
from .fit import OnProgress, clock, fit, go_on
from .folder import PLAN
from .options import OF_ALL_MODELS, resolved
from .prepare import prepare
from .run import Run
from .tracking import Tracker, tracking
from .within import Choice, best_within, of_recipe

SHORT_LIST = 1000  # words; on fewer, by default, a mixture: it has the lowest loss (benchmarks/short_lists.py)


def train(
    words: Iterable[str] | Corpus,
    model: str | None = None,
    *,
    within: float | None = None,
    recipe: str | None = None,
    members: int | None = None,
    from_run: Run | str | Path | None = None,
    with_ngram: Run | str | Path | bool | None = None,
    out: str | Path | None = None,
    on_progress: OnProgress | None = None,
    track: str | Sequence[str | Tracker] = (),
    progress: bool | None = None,
    **options: Any,
) -> Run:
    """Train a model on words and return the run.

    model       mlp by default, or for fewer than 1,000 words a mixture of an mlp and an n-gram model, unless there are
                options of a net; with from_run, its model
    within      choose what has the lowest val loss after so many seconds on this machine, and train that: usually
                several models, mixed into one run. Only the options of all models may be given too
    recipe      train what `within` has chosen by this name (see `recipes`), with its `epochs` and `members`
    members     train the model with so many seeds, from the given one up, and mix them with equal weights
    from_run    start with the weights of this run of a net, or of the run in this folder; it may have been trained on a
                list of another kind. The vocabulary is that of both lists; the model and its options are the run's. The
                val loss is too low if val words are in the run's list
    with_ngram  train a net over whole words with the n-gram of this run, or of the run in this folder, inside: its
                log-probabilities, from counts that leave the example out, are added to the logits with a learnt
                strength. True counts an n-gram with the default options first. The run is a mixture of both
    options     those of `TrainOptions` and of the model's config, by name; and `weights` and `labels`, with a value for
                each word: how often it counts, and its kind
    out         save the run in this folder while it is trained; without, call `Run.save` later
    on_progress called about ten times a second
    track       what follows the training: tensorboard, csv, trackio or wandb, as --track takes them, and objects with
                the methods begin(run), at(progress), at each point of the log and each evaluation of val, and end(run).
                One that raises an exception is left out with a warning
    progress    show a bar and the curves of the losses while it trains; by default in a notebook only

    Raises InputError for unknown options, values out of range, or fewer words than a split needs; WorkError if the loss
    is no longer a finite number, or if the folder can no longer be written. Ctrl-C raises KeyboardInterrupt after the
    state is saved.

    Processes that torchrun has started train together (engine="torch"). All of them return the run; the first one alone
    saves it and calls on_progress.
    """
    began = clock()  # of the time within which to train
    with tracking(track, on_progress, out) as told:
        shown: dict[str, Any] = {"out": out, "on_progress": told, "progress": progress}
        if within is not None or recipe is not None:
            choice = chosen(words, options, within, recipe, members, model, from_run, with_ngram, began)
            return choice.train(**shown)
        if members is not None:
            if with_ngram:
                raise InputError("--members trains nets without an n-gram: leave out --with-ngram")
            return train_members(*_of_seeds(words, model, members, from_run, options), **shown)
        if from_run is None and model is None and not with_ngram:
            if not isinstance(words, Corpus):
                refuse_what_is_no_list(words)
                words = words if isinstance(words, Sized) else list(words)
            model = default_model(words, options)
            if model == "mixture":
                corpus, options = _of_corpus(prepare(words, "ngram", options).corpus, options)
                return train_members(Plan((Member("mlp", options), Member("ngram", options))), corpus, **shown)
        return fit(prepare(words, model, {**options, "with_ngram": with_ngram}, from_run), **shown)


def chosen(
    words: Iterable[str] | Corpus,
    options: dict[str, Any],
    within: float | None,
    recipe: str | None,
    members: int | None,
    model: str | None,
    from_run: object,
    with_ngram: object,
    began: float,
) -> Choice:
    """Return what `train` trains within a time or by a recipe; began is when the reading began, by `fit.clock`.

    Raises InputError for options that exclude each other.
    """
    what = "within" if recipe is None else "recipe"
    excluded = {"model": model, "from": from_run, "with-ngram": with_ngram}
    excluded |= {"members": members} if recipe is None else {"within": within}
    for name, value in excluded.items():
        if value is not None and value is not False:
            raise InputError(f"--{what} chooses what is trained: leave out --{name}")
    return (
        best_within(words, resolved(within), options, began)
        if recipe is None
        else of_recipe(words, recipe, options, members)
    )


def _of_seeds(
    words: Iterable[str] | Corpus, model: str | None, members: int, from_run: object, options: dict[str, Any]
) -> tuple[Plan, Corpus]:
    """Return the plan of an ensemble of nets that differ in their seed, and the corpus."""
    if not isinstance(members, int) or members < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"--members is {members}: it must be a whole number, at least 1")
    if from_run is not None:
        raise InputError("--members trains each net from weights of its own: leave out --from")
    task = prepare(words, model, options)
    task.need_steps(": its members would all be equal, so leave out --members")
    corpus, options = _of_corpus(task.corpus, options)
    seeds = range(task.options.seed, task.options.seed + members)
    return Plan(tuple(Member(task.name, {**options, "seed": seed}) for seed in seeds), "equal"), corpus


def _of_corpus(corpus: Corpus, options: dict[str, Any]) -> tuple[Corpus, dict[str, Any]]:
    """Return a corpus, and the options without the weights and labels that are in it."""
    return corpus, {name: value for name, value in options.items() if name not in ("weights", "labels")}


def default_model(words: Sized | Corpus, options: Iterable[str]) -> str:
    """Return the name of the model that `train` trains on words by default, with options of these names.

    It is mlp. For fewer than SHORT_LIST words it is "mixture", of an mlp and an n-gram model, unless there are options
    of a net or of its training.
    """
    n_words = len(words.words if isinstance(words, Corpus) else words)
    return "mixture" if n_words < SHORT_LIST and OF_ALL_MODELS.issuperset(options) else "mlp"


def resume(
    path: str | Path,
    *,
    on_progress: OnProgress | None = None,
    track: str | Sequence[str | Tracker] = (),
    progress: bool | None = None,
) -> Run:
    """Continue a stopped training from its last checkpoint. With the tape the result is the same, bit for bit, as if it
    had not been stopped. on_progress, track and progress are as in `train`.

    Raises InputError if the folder is not a run, or its training has ended; otherwise as `train`.
    """
    folder = Path(path)
    go = resume_members if (folder / PLAN).exists() else go_on
    with tracking(track, on_progress, folder, resumed=True) as told:
        return go(folder, on_progress=told, progress=progress)
