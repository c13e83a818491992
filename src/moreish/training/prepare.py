"""Preparation of training: split the words, choose the options that were left open, make the batches."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..corpus import Corpus
from ..engine.batches import Batches
from ..engine.protocol import Engine
from ..engine.registry import make_engine
from ..engine.tape import make_plan
from ..errors import InputError
from ..layers import LAYERS
from ..models import CountConfig, ModelConfig, NetConfig, make_config
from ..models.model import Model
from .options import MIN_VAL_WORDS, TrainOptions
from .run import Run


@dataclass(frozen=True)
class Task:
    """A training task, made by `prepare` from words and options or by `of_run` from a run.

    name        of the model
    config      the model's own options
    options     how it is trained, resolved
    batches     where its batches come from; None for a counted model
    """

    name: str
    corpus: Corpus
    config: ModelConfig
    options: TrainOptions
    batches: Batches | None

    def need_steps(self, what: str = "") -> Batches:
        """The batches. Raises InputError for a counted model, which has none; `what` ends the message."""
        if self.batches is None:
            raise InputError(f"model {self.name} is counted, not trained by steps{what}")
        return self.batches

    def start(self) -> Run:
        """A run with fresh weights, which has made no step."""
        return Run(Model(self.config, self.corpus.vocab, seed=self.options.seed), self.corpus, self.options)


def prepare(words: Iterable[str] | Corpus, model: str, options: dict[str, Any]) -> Task:
    """Prepare the training of a model on words.

    options     those of `TrainOptions` and of the model's config, by name

    Raises InputError for unknown options, values out of range, options that exclude each other, options of training for
    a counted model, and fewer words than a split needs.
    """
    names = {f.name for f in dataclasses.fields(TrainOptions)}
    config = make_config(model, {k: v for k, v in options.items() if k not in names})
    chosen = TrainOptions(**{k: v for k, v in options.items() if k in names})
    if isinstance(words, Corpus):
        for name in {"split", "split_seed"} & options.keys():
            if options[name] != getattr(words, name):
                raise InputError(f"{name} is {options[name]}, but the corpus was split with {getattr(words, name)}")
        corpus = words
        chosen = dataclasses.replace(chosen, split=corpus.split, split_seed=corpus.split_seed)
    else:
        corpus = Corpus(words, chosen.split, chosen.split_seed)
    if isinstance(config, CountConfig):
        if chosen.overridden:
            name = chosen.overridden[0].replace("_", "-")
            raise InputError(f"model {model} is counted, not trained by steps: it has no option --{name}")
        return Task(model, corpus, config, chosen, None)
    full = chosen.takes_full_batch(config.defaults)
    batches = _batches(config, corpus, full, 1, chosen.seed)
    chosen = chosen.resolved(config.defaults, batches.n_examples)
    if not full:
        batches = dataclasses.replace(batches, size=chosen.batch_size)
        if not {"keep", "steps", "epochs"} & options.keys() and len(corpus.parts["val"]) < MIN_VAL_WORDS:
            chosen = dataclasses.replace(chosen, keep="last")
    task = _checked(Task(model, corpus, config, chosen, batches))
    if chosen.calibrate and not _has_batch_norm(task):  # of a run this is allowed: fold removes BatchNorm from it
        raise InputError("--calibrate is for models with BatchNorm, but this one has none")
    return task


def of_run(run: Run) -> Task:
    """The task of a run that was prepared before. Raises InputError for a model that has no layers."""
    run.model.need_layers("trained by steps")
    o = run.options
    batches = _batches(run.model.config, run.corpus, bool(o.full_batch), o.batch_size or 1, o.seed)
    return _checked(Task(run.model.name, run.corpus, run.model.config, o, batches))


def engine_of(run: Run) -> Engine:
    """A new engine for the layers of a run, of the kind that its options name."""
    model, o = run.model, run.options
    return make_engine(
        o.engine, model.layers, model.config.context, len(model.vocab), device=o.device, compile=o.compile
    )


def _batches(config: ModelConfig, corpus: Corpus, full: bool, size: int, seed: int) -> Batches:
    stream = corpus.stream("train")
    if full:
        return Batches.of_all(stream, config.context)
    whole_words = isinstance(config, NetConfig) and config.whole_words
    return Batches.drawn(stream, size, seed, config.context, whole_words)


def _checked(task: Task) -> Task:
    """The task, unless its layers cannot be trained on its batches: then InputError."""
    config, batches = task.config, task.need_steps()
    assert isinstance(config, NetConfig)
    layers, L = config.layers(len(task.corpus.vocab)), batches.n_places
    make_plan(layers, (batches.size, config.context - 1 + L, L))
    if task.options.full_batch and _has_batch_norm(task):
        raise InputError(
            "--full-batch counts equal examples as one, which would make BatchNorm's statistics wrong: "
            "train with --no-batch-norm, or with a large --batch-size"
        )
    return task


def _has_batch_norm(task: Task) -> bool:
    """True if a layer of the task's net computes statistics of the batch."""
    assert isinstance(task.config, NetConfig)
    return any(LAYERS[type(layer)].batch_statistics for layer in task.config.layers(len(task.corpus.vocab)))
