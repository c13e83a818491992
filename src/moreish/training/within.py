"""Training within a time: measure how fast the machine is, choose a recipe, and train it until then.

The time begins with the reading of the list, and ends with the last loss. Compiling does not count.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus import PARTS, Corpus
from ..engine.words import WordBatches
from ..errors import InputError
from ..evaluation import evaluate
from ..models import NetConfig, make_config
from .ensemble import Member, Plan, train_members
from .fit import OnProgress, clock, first_state, fit
from .loop import EVALUATIONS
from .options import OF_ALL_MODELS, TrainOptions
from .prepare import Task, engine_of, prepare
from .recipes import RECIPES, Recipe, recipe_of
from .run import Run

COUNTING = 0.6e-6  # seconds that an n-gram model takes for each token, at most, on a slow machine
OF_LABELS = 6.0  # times as long, for the square root of the number of labels
MOST_COUNTING = 0.4  # of the time; if it takes more, counts are left out
RESERVED = 0.05  # of the time, for what is not foreseen
PROBED_STEPS = 3  # at least
PROBED = 0.01  # of the time
ROUGH = 4.0  # the factor by which an estimate without a probe may be wrong
TRIED_TOKENS = 10_000  # of val, to measure how fast it is evaluated
EVALUATING = 0.1  # of the time; if it would take more, fewer tokens are evaluated
FEWEST_EVALUATED = 20_000  # tokens
SIZE = 512  # of the matrices that are multiplied to measure the speed


@dataclass(frozen=True)
class Choice:
    """A recipe and its length, which `train` trains.

    epochs      passes of each net over the train words
    members     nets
    deadline    by `fit.clock`
    most        tokens of each part to evaluate; None for all
    """

    recipe: Recipe
    corpus: Corpus
    epochs: float
    members: int
    seed: int
    deadline: float = math.inf
    most: int | None = None

    def __str__(self) -> str:
        recipe = self.recipe
        if recipe.model is None:
            return f"an n-gram model (recipe {recipe.name})"
        nets = (
            f"{make_config(recipe.model, {}).called}" if self.members == 1 else f"{self.members} nets ({recipe.model})"
        )
        counts = "an n-gram model and " if recipe.counts else ""
        return f"{counts}{nets}, {self.epochs:g} passes over the train words (recipe {recipe.name})"

    @property
    def model(self) -> str:
        """The name of the model of the run."""
        plan = self.plan
        return plan.members[0].model if len(plan.members) == 1 else "mixture"

    @property
    def plan(self) -> Plan:
        """The members: the n-gram model first, since it is there at once."""
        recipe, members = self.recipe, list[Member]()
        if recipe.counts:
            members.append(Member("ngram", {"seed": self.seed}))
        if recipe.model is not None:
            full = _of_all_passes(recipe, self.corpus, self.seed).options  # a shorter training has the same batches
            own = {**recipe.options, "epochs": self.epochs, "batch_size": full.batch_size, "lr": full.lr}
            members += [Member(recipe.model, {**own, "seed": self.seed + k}) for k in range(self.members)]
        return Plan(tuple(members), recipe.weights, self.most)

    @property
    def options(self) -> dict[str, Any]:
        """The options of `train` that repeat it."""
        if self.recipe.model is None:
            return {"recipe": self.recipe.name}
        members = {"members": self.members} if max(self.members, self.recipe.members) > 1 else {}
        return {"recipe": self.recipe.name, "epochs": self.epochs, **members}

    def train(
        self, *, out: str | Path | None = None, on_progress: OnProgress | None = None, progress: bool | None = None
    ) -> Run:
        """Train it; see `train.train`."""
        plan = self.plan
        shown: dict[str, Any] = {"out": out, "on_progress": on_progress, "progress": progress}
        if len(plan.members) > 1:
            run = train_members(plan, self.corpus, deadline=self.deadline, **shown)
        else:
            member = next(iter(plan.members))
            task = prepare(self.corpus, member.model, member.options)
            run = fit(task, deadline=self.deadline, most=self.most, **shown)
        if self.most is not None:
            run.loss = evaluate(run.model, self.corpus, most=self.most).loss
        return run


def of_recipe(words: Iterable[str] | Corpus, name: str, options: dict[str, Any], members: int | None = None) -> Choice:
    """Choose a recipe by its name. options may have `epochs` and those of all models; the rest is the recipe's."""
    recipe = recipe_of(name)
    options = dict(options)
    epochs = options.pop("epochs", None)
    corpus, seed = _corpus(words, options, f"--recipe {name}")
    if recipe.model is None and (epochs is not None or members is not None):
        raise InputError(f"--recipe {name} only counts: leave out --epochs and --members")
    members = recipe.members if members is None else members
    if recipe.model is None:
        return Choice(recipe, corpus, 0.0, 0, seed)
    if not isinstance(members, int) or members < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"--members is {members}: it must be a whole number, at least 1")
    epochs = _rounded(recipe.epochs(len(corpus.words))) if epochs is None else epochs
    TrainOptions(epochs=epochs)  # raises for a number of passes that cannot be
    return Choice(recipe, corpus, epochs, members, seed)


def best_within(words: Iterable[str] | Corpus, seconds: float, options: dict[str, Any], began: float) -> Choice:
    """Choose the recipe with the lowest val loss to expect after some seconds.

    options     those of all models, by name
    began       when the reading of the list began, by `fit.clock`

    Raises InputError for other options.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"--within is {seconds}: it must be a time above 0, such as 60, 10min or 1h")
    corpus, seed = _corpus(words, options, "--within")
    deadline = began + seconds
    n_words, tokens = len(corpus.words), {part: len(corpus.stream(part)) - 1 for part in PARTS}
    counting = COUNTING * tokens["train"] * (1 + OF_LABELS * len(corpus.label_names) ** 0.5)
    left = deadline - clock() - RESERVED * seconds
    counts = counting < MOST_COUNTING * left
    speed = _speed_of_products() if left > 0 else 0.0
    for recipe in reversed(RECIPES):
        if recipe.counts != counts or recipe.model is None:
            continue
        full, task = recipe.epochs(n_words), _of_all_passes(recipe, corpus, seed)
        steps, work = task.options.steps or 1, _work(task)
        if recipe.least * steps * work > ROUGH * left * speed:
            continue
        of_step, of_token = _pace(task, PROBED * seconds)
        left = deadline - clock() - RESERVED * seconds - counting * counts
        times = EVALUATIONS * (2 if task.options.average else 1)
        most = max(FEWEST_EVALUATED, int(EVALUATING * left / (times * of_token)))
        if corpus.words.has_columns:  # all words are evaluated
            most = max(tokens.values())
        of_val, of_all = (sum(min(tokens[part], most) for part in parts) for parts in (("val",), PARTS))
        evaluating = (times * of_val + of_all) * of_token
        members = min(recipe.members, int(left / (steps * of_step + evaluating)))
        part = 1.0 if members else (left - evaluating) / (steps * of_step)
        if part >= recipe.least and (members > 1 or recipe.members == 1):
            epochs = _rounded(max(part, 1 / steps) * full)
            limited = most if most < max(tokens.values()) else None
            return Choice(recipe, corpus, epochs, max(1, members), seed, deadline, limited)
        speed = work / of_step / ROUGH**0.5  # of what is smaller
    return Choice(RECIPES[0], corpus, 0.0, 0, seed, deadline)


def _corpus(words: Iterable[str] | Corpus, options: dict[str, Any], what: str) -> tuple[Corpus, int]:
    """Split words by the options of all models, and return the seed too. Raises InputError for other options."""
    if other := sorted(options.keys() - OF_ALL_MODELS):
        raise InputError(f"{what} chooses the model and its training: leave out --{other[0].replace('_', '-')}")
    task = prepare(words, "ngram", options)
    return task.corpus, task.options.seed


def _of_all_passes(recipe: Recipe, corpus: Corpus, seed: int) -> Task:
    """Prepare the training of a net of a recipe with all its passes."""
    return prepare(corpus, recipe.model, {**recipe.options, "epochs": recipe.epochs(len(corpus.words)), "seed": seed})


def _rounded(epochs: float) -> float:
    """Round a number of passes to three digits, downwards."""
    digits = 2 - math.floor(math.log10(epochs))
    return math.floor(epochs * 10**digits) / 10**digits


def _work(task: Task) -> float:
    """Estimate the floating-point operations of a training step, without its backward pass."""
    assert isinstance(task.config, NetConfig)
    batches, layers = task.need_steps(), task.config.layers(len(task.corpus.vocab), len(task.corpus.label_names))
    of_words = isinstance(batches, WordBatches)
    rows = int(batches.tokens) if of_words else batches.size
    shape, work = ((task.config.context or 1) + bool(task.corpus.label_names),), 0.0
    for layer in layers:
        work += layer.flops(shape, rows)
        shape = layer.out_shape(shape)
    return work


def _speed_of_products() -> float:
    """Measure the floating-point operations a second of matrix products."""
    a = np.full((SIZE, SIZE), 0.5, np.float32)
    _ = a @ a
    began = time.perf_counter()
    _ = a @ a
    return 2 * SIZE**3 / (time.perf_counter() - began)


def _pace(task: Task, seconds: float) -> tuple[float, float]:
    """Measure the seconds that a training step takes, and those for each token that is evaluated.

    The steps are made with other weights than those of the training.
    """
    run, batches = task.start(), task.need_steps()
    engine, state, o = engine_of(run), first_state(run), task.options
    rates = np.full(PROBED_STEPS, 1e-6)
    engine.train(state.params, state.moments, batches, o.steps_from(0, rates[:1]))
    began, made = clock(), 0
    while made < PROBED_STEPS or clock() - began < seconds:
        engine.train(state.params, state.moments, batches, o.steps_from(1 + made, rates))
        made += len(rates)
    of_step = (clock() - began) / made
    stream = task.corpus.stream("val")
    ends = np.flatnonzero(stream == 0)
    stream = stream[: ends[min(np.searchsorted(ends, TRIED_TOKENS), len(ends) - 1)] + 1]
    engine.nll(state.params, stream)
    began = clock()
    engine.nll(state.params, stream)
    return of_step, (clock() - began) / (len(stream) - 1)
