"""Distillation: one net, the student, learns from the probabilities of a trained model, the teacher.

Hinton, Vinyals and Dean 2015. A part of each target is the next character, and the rest is the teacher's distribution
after the same prefix. The words are those of train, and words that the teacher draws. These are not compared with val
and test: a teacher that has learnt from train alone knows neither, and leaving out words of val or test would tell the
student which words they are.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus.stream import END, whole_words
from ..engine.guide import Guide, prefix_keys
from ..engine.protocol import Draw
from ..engine.states import LONGEST_PREFIX, read
from ..engine.torch.distributed import rank
from ..engine.words import WordBatches, sorted_words
from ..errors import InputError
from ..evaluation import evaluate
from ..models import NETS
from ..models.model import Model
from .fit import OnProgress, fit
from .folder import check_free
from .loading import load
from .mixing import mix
from .prepare import prepare
from .run import Run
from .teacher import Taught, Teacher

DRAWN_PER_WORD, MOST_DRAWN = 4, 100_000  # words that a teacher draws by default: for each train word, and in all
DRAWN_AT_A_TIME = 4096
TOKENS_AT_A_TIME = 4096  # whose prefixes a teacher reads together
MAX_GUIDE = 1 << 26  # numbers of a guide, 256 MB

Stage = Callable[[str, int, int], None]


def distill(
    runs: Run | str | Path | Sequence[Run | str | Path],
    model: str = "gru",
    *,
    teacher_share: float = 0.5,
    drawn: int | None = None,
    out: str | Path | None = None,
    on_progress: OnProgress | None = None,
    on_stage: Stage | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Run:
    """Train a net on the probabilities of one or more trained models, and return its run.

    runs            a run or its folder, of any model; several are first mixed linearly, as by `mix`
    model           the student: a net over whole words (gru, lstm, rnn, transformer or bow)
    teacher_share   the part of each target that is the teacher's distribution, 0 to 1
    drawn           words that the teacher draws to train on, beside the train words; by default four times as many as
                    those, at most 100,000
    on_stage        called with the name of a stage before the training, the part done, and the whole
    options         those of `train` for the model. An epoch is a pass over the train words and the drawn ones. Dropout
                    is off by default

    The student's list and split are those of the runs. out, on_progress and progress are as in `train`, and `resume`
    continues a stopped training. If the teacher's distributions take more than 2**26 numbers, those after the rarest
    prefixes are left out.

    Raises InputError for another kind of net, for runs with labels or on different lists, and as `train`.
    """
    several = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    if not several:
        raise InputError("there is no teacher: give one or more runs")
    if not 0 <= teacher_share <= 1:
        raise InputError(f"--teacher-share is {teacher_share:g}: it must be between 0 and 1")
    if drawn is not None and drawn < 0:
        raise InputError(f"--drawn is {drawn:,}: it must be at least 0")
    if options.get("label_smoothing"):
        raise InputError("the teacher's distributions take the place of --label-smoothing: leave it out")
    if options.get("with_ngram"):
        raise InputError("a student learns without an n-gram inside: leave out with_ngram")
    if out is not None and not rank():
        check_free(out)
    loaded = [run if isinstance(run, Run) else load(run) for run in several]
    corpus = loaded[0].corpus
    if any(run.model.labels is not None for run in loaded):
        raise InputError("models with labels cannot teach yet: distill runs of lists without labels")
    own = {f.name for f in dataclasses.fields(NETS[model])} if model in NETS else set[str]()
    options = {**{name: 0.0 for name in ("dropout", "recurrent_dropout") if name in own}, **options}
    task = prepare(corpus, model, options)
    if not isinstance(task.batches, WordBatches):
        known = [name for name, kind in NETS.items() if kind().context is None]
        raise InputError(
            f"a student must be a net that reads whole words, and {model} is none: choose {', '.join(known)}"
        )
    report = on_stage or (lambda what, done, whole: None)
    source = loaded[0]
    if len(loaded) > 1:
        report("fitting the weights of the teachers", 0, 1)
        source = mix(loaded)
    if drawn is None:
        drawn = min(DRAWN_PER_WORD * len(corpus.parts["train"]), MOST_DRAWN)
    names = tuple(run.path.resolve().name if run.path else run.model.name for run in loaded)
    stream = drawn_words(source.model, drawn, task.options.seed, report)
    pool = np.concatenate([corpus.stream("train"), stream[1:]])
    guide = guide_of(source.model, pool, report)
    report("evaluating the teacher", 0, 1)
    loss = evaluate(source.model, corpus, ("val", "test")).loss
    report("evaluating the teacher", 1, 1)
    taught = Taught(names, float(teacher_share), drawn, source.model.name, source.model.n_parameters, loss)
    teacher = Teacher(taught, stream, guide)
    task = prepare(corpus, model, options, teacher=teacher)
    return fit(task, out=out, on_progress=on_progress, progress=progress)


def drawn_words(model: Model, n: int, seed: int, report: Stage) -> np.ndarray:
    """Draw n words from a model as a stream of tokens, int32 (1 + N,)."""
    pieces, longest = [np.zeros(1, np.int32)], 2 * (model.longest or LONGEST_PREFIX) + 10
    for first in range(0, n, DRAWN_AT_A_TIME):
        some = min(DRAWN_AT_A_TIME, n - first)
        report("drawing words from the teacher", first, n)
        draw = Draw(seed=seed, max_length=min(longest, LONGEST_PREFIX), first=first)
        pieces.append(model.engine.generate(model.params, some, draw).astype(np.int32))
    return np.concatenate(pieces)


def guide_of(model: Model, stream: np.ndarray, report: Stage) -> Guide:
    """Return a model's distributions after the different prefixes of a stream (1 + N,), or the most frequent ones."""
    stream, V, done = in_order(stream), len(model.vocab), 0
    keys, counts = np.unique(prefix_keys(stream), return_counts=True)
    most = MAX_GUIDE // V
    if len(keys) > most:
        keys = np.sort(keys[np.argsort(-counts, kind="stable")[:most]])
    guide = Guide(keys, np.zeros((len(keys), V), np.float32))
    for piece in whole_words(stream, TOKENS_AT_A_TIME):
        report("reading the teacher's probabilities", done, len(stream) - 1)
        of_tokens = prefix_keys(piece)
        for first, states, of in read(model.engine, model.params, piece):
            of_states = np.zeros(len(states), np.int64)
            of_states[of] = of_tokens[first : first + len(of)]
            entries = guide.entries(of_states)
            known = entries >= 0
            logits = model.engine.logits(model.params, states[known]).astype(np.float64)
            p = np.exp(logits - logits.max(1, keepdims=True))
            guide.rows[entries[known]] = p / p.sum(1, keepdims=True)
        done += len(piece) - 1
    return guide


def in_order(stream: np.ndarray) -> np.ndarray:
    """Sort the words of a stream, so that those with the same beginning are read together."""
    words = sorted_words(stream)
    begins, sizes = words.begins[words.order], (words.lengths() + 1)[words.order]
    places = np.arange(sizes.sum()) + np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
    return np.append(END, stream[places]).astype(np.int32)
