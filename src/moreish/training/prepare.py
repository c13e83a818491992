"""Preparation of training: split the words, choose the options that were left open, make the batches."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus import Corpus, WordList
from ..engine.batches import Batches
from ..engine.protocol import Engine
from ..engine.registry import make_engine
from ..engine.words import WordBatches
from ..errors import InputError
from ..layers import LAYERS, Layer
from ..models import CountConfig, ModelConfig, NetConfig, make_config
from ..models.inside import NGramInside
from ..models.labels import Labels
from ..models.model import Model
from .inside import guide_of_others, guide_of_train, ngram_for, with_inside
from .loading import load
from .options import MIN_VAL_WORDS, TrainOptions, resolved
from .run import Run
from .starting import Start, check_source, start_from
from .teacher import Teacher


@dataclass(frozen=True)
class Task:
    """A training task, made by `prepare` from words and options or by `of_run` from a run.

    name        of the model
    config      the model's own options
    options     how it is trained, resolved
    batches     where its batches come from; None for a counted model
    origin      the weights to start with; None for random ones
    teacher     what a distilled net learns from, beside the corpus
    ngram       the n-gram inside the net
    """

    name: str
    corpus: Corpus
    config: ModelConfig
    options: TrainOptions
    batches: Batches | WordBatches | None
    origin: Start | None = None
    teacher: Teacher | None = None
    ngram: Model | None = None

    def need_steps(self, what: str = "") -> Batches | WordBatches:
        """The batches. Raises InputError for a counted model, which has none; `what` ends the message."""
        if self.batches is None:
            raise InputError(f"model {self.name} is counted, not trained by steps{what}")
        return self.batches

    def start(self) -> Run:
        """A run with the weights to start with, which has made no step."""
        params = None if self.origin is None else self.origin.params.copy()
        if self.ngram is None:
            model = Model(self.config, self.corpus.vocab, params, self.options.seed, labels=Labels.of(self.corpus))
        else:
            model = with_inside(self.name, self.config, self.ngram, self.options.seed)
        taught = self.teacher and self.teacher.taught
        return Run(model, self.corpus, self.options, start=self.origin, taught=taught)


def prepare(
    words: Iterable[str] | Corpus,
    model: str | None,
    options: dict[str, Any],
    from_run: Run | str | Path | None = None,
    teacher: Teacher | None = None,
) -> Task:
    """Prepare the training of a model on words.

    model       mlp by default; with from_run, its model
    options     those of `TrainOptions` and of the model's config, by name; and "weights" and "labels" with a value for
                each word, for a list that has none; and "with_ngram", as in `train`
    from_run    a trained net, or its folder: start with its weights (see `starting`)
    teacher     what a net over whole words learns from, beside the words

    Raises InputError for unknown options, values out of range, options that exclude each other, options of training for
    a counted model, and fewer words than a split needs.
    """
    options = dict(options)
    weights, labels, with_ngram = (options.pop(name, None) for name in ("weights", "labels", "with_ngram"))
    names = {f.name for f in dataclasses.fields(TrainOptions)}
    of_model = {k: v for k, v in options.items() if k not in names}
    source = load(from_run) if isinstance(from_run, str | Path) else from_run
    if source is None:
        model = model or "mlp"
        config = make_config(model, of_model)
    else:
        check_source(source.model, _name(source), model, of_model)
        model, config = source.model.name, source.model.config
    chosen = TrainOptions(**{k: v for k, v in options.items() if k in names})
    listed = words.words if isinstance(words, Corpus) else words
    for name, values in (("weights", weights), ("labels", labels)):
        if values is not None and (
            isinstance(words, Corpus | Mapping | Set) or getattr(listed, name, None) is not None
        ):
            raise InputError(
                f"{name} are for a list of words that has none, in its order: the words are a {type(words).__name__}"
            )
    if isinstance(words, Corpus):
        for name in {"split", "split_seed", "weight_power"} & options.keys():
            if options[name] != getattr(words, name):
                raise InputError(f"{name} is {options[name]}, but the corpus was split with {getattr(words, name)}")
        corpus = words
    else:
        words = WordList.of(words).with_weights(weights).with_labels(labels)
        corpus = Corpus(words, chosen.split, chosen.split_seed, chosen.weight_power)
        if options.get("split", corpus.split) != corpus.split:
            raise InputError("a list with weights or labels is split by its different words: leave out --split")
    own = {"split": corpus.split, "split_seed": corpus.split_seed, "weight_power": corpus.weight_power}
    chosen = dataclasses.replace(chosen, **own)
    if source is not None:
        corpus = corpus.widened(source.model.vocab.characters)
        if source.corpus.label_names != corpus.label_names:
            of_source, own = (", ".join(names) or "none" for names in (source.corpus.label_names, corpus.label_names))
            raise InputError(
                f"{_name(source)} has the labels {of_source}, and the list has {own}: they must be the same (--labels)"
            )
    if with_ngram and source is not None:
        raise InputError("--with-ngram begins a new net: leave out --from")
    ngram = ngram_for(with_ngram, model, config, corpus, chosen) if with_ngram else None
    if isinstance(config, CountConfig):
        if chosen.overridden:
            name = chosen.overridden[0].replace("_", "-")
            raise InputError(f"model {model} is counted, not trained by steps: it has no option --{name}")
        return Task(model, corpus, config, chosen, None)
    full = chosen.takes_full_batch(config.defaults)
    batches = _batches(config, corpus, full, 1, chosen.seed, teacher)
    chosen = chosen.resolved(config.defaults, batches.n_examples, of_words=isinstance(batches, WordBatches))
    if not full:
        batches = batches.of_size(resolved(chosen.batch_size))
        if not {"keep", "steps", "epochs"} & options.keys() and len(corpus.parts["val"]) < MIN_VAL_WORDS:
            chosen = dataclasses.replace(chosen, keep="last")
    origin = source and start_from(source.model, _name(source), corpus.vocab, chosen.seed)
    batches = _guided(batches, corpus, chosen, teacher, ngram)
    task = _checked(Task(model, corpus, config, chosen, batches, origin, teacher, ngram))
    if chosen.calibrate and not _has_batch_norm(task):  # of a run this is allowed: fold removes BatchNorm from it
        raise InputError("--calibrate is for models with BatchNorm, but this one has none")
    return task


def of_run(run: Run, teacher: Teacher | None = None) -> Task:
    """The task of a run that was prepared before. Raises InputError for a model that has no layers.

    teacher     of a distilled run; without it, the task is to learn the words alone
    """
    run.model.need_layers()
    o, config, ngram = run.options, run.model.config, None
    if isinstance(run.model, NGramInside):
        config, ngram = run.model.net, run.model.ngram
    batches = _batches(config, run.corpus, bool(o.full_batch), o.batch_size or 1, o.seed, teacher)
    batches = _guided(batches, run.corpus, o, teacher, ngram)
    return _checked(Task(run.model.name, run.corpus, config, o, batches, teacher=teacher, ngram=ngram))


def engine_of(run: Run) -> Engine:
    """A new engine for the layers of a run, of the kind that its options name."""
    model, o = run.model, run.options
    engine = make_engine(o.engine, model.layers, model.columns, len(model.vocab), device=o.device, compile=o.compile)
    if isinstance(model, NGramInside):
        from ..engine.tape import WordTape

        assert isinstance(engine, WordTape)
        engine.inside = guide_of_others(model.ngram, run.corpus.stream("val"))
    return engine


def _name(run: Run) -> str:
    """The name of a run's folder, or of its model if it has none."""
    return run.path.resolve().name if run.path else run.model.name


def _batches(
    config: ModelConfig, corpus: Corpus, full: bool, size: int, seed: int, teacher: Teacher | None
) -> Batches | WordBatches:
    assert isinstance(config, NetConfig)
    stream, labels, weights = corpus.stream("train"), None, corpus.weights("train")
    if corpus.label_names:
        labels = corpus.labels("train")
    if teacher is not None:
        stream, weights = teacher.pool(stream, weights)
    if config.context is None:
        if full:
            return WordBatches.of_all(stream, seed, labels, weights)
        return WordBatches.drawn(stream, size, seed, labels, weights)
    if full:
        return Batches.of_all(stream, config.context, labels, weights)
    return Batches.drawn(stream, size, seed, config.context, config.whole_words, labels, weights)


def _guided(
    batches: Batches | WordBatches,
    corpus: Corpus,
    options: TrainOptions,
    teacher: Teacher | None,
    ngram: Model | None,
) -> Batches | WordBatches:
    """Batches with an n-gram inside the net, or with soft targets, if a teacher or the options ask for them."""
    if ngram is not None:
        assert isinstance(batches, WordBatches)
        return dataclasses.replace(batches, guide=guide_of_train(ngram, corpus))
    if teacher is None:
        return dataclasses.replace(batches, softness=resolved(options.label_smoothing))
    assert isinstance(batches, WordBatches)
    return teacher.guided(batches)


def _checked(task: Task) -> Task:
    """The task, unless its layers cannot be trained on its batches: then InputError."""
    config, batches = task.config, task.need_steps()
    if isinstance(batches, WordBatches):
        return task
    assert isinstance(config, NetConfig)
    L, columns = batches.n_places, (config.context or 1) + bool(task.corpus.label_names)
    from ..engine.tape import make_plan

    make_plan(_layers(task), (batches.size, columns - 1 + L, L))
    if task.options.full_batch and _has_batch_norm(task):
        raise InputError(
            "--full-batch counts equal examples as one, which would make BatchNorm's statistics wrong: "
            "train with --no-batch-norm, or with a large --batch-size"
        )
    return task


def _has_batch_norm(task: Task) -> bool:
    """True if a layer of the task's net computes statistics of the batch."""
    return any(LAYERS[type(layer)].batch_statistics for layer in _layers(task))


def _layers(task: Task) -> list[Layer]:
    """The layers of the task's net."""
    assert isinstance(task.config, NetConfig)
    return task.config.layers(len(task.corpus.vocab), len(task.corpus.label_names))
