"""Recipes: what to train for the lowest val loss in a time.

The seconds and the gains were measured on an Intel Xeon (rocketlake) with 2 cores. `benchmarks/best.py` measures what
--within makes of them. The recipes are in the order of their cost.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import unknown
from ..models import make_config

GAINED_WORDS = (1_437, 3_948, 7_555, 32_033)  # in the lists of the gains: dinosaurs, minerals, places, names.txt
MEASURED_WORDS = 32_033
MORE_PASSES = 1 / 3  # a list shorter by a factor takes more passes, by this power of it


@dataclass(frozen=True)
class Recipe:
    """A way to train, apart from its length: an n-gram model, nets that differ in their seed, or a mixture of both.

    model       the net; None for counts alone
    options     of the net and of its training
    passes      over the words of a list of MEASURED_WORDS; more gain little
    least       the fraction of these passes below which a cheaper recipe is better
    members     nets at most
    counts      True if the n-gram model is in the mixture
    weights     of the mixture: see `ensemble.Plan`
    seconds     on names.txt with all passes and members, on the machine of the benchmark
    gains       nats by which val is then lower than that of the n-gram model, for lists of GAINED_WORDS
    """

    name: str
    model: str | None
    options: dict[str, Any]
    passes: float = 0.0
    least: float = 0.0
    members: int = 0
    counts: bool = True
    weights: str = "fitted"
    seconds: float = 0.0
    gains: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)

    @property
    def nets(self) -> str:
        """Its nets in a sentence."""
        if self.members > 1:
            return f"{self.members} nets"
        return make_config(self.model, {}).called if self.model else "no net"

    def epochs(self, n_words: int) -> float:
        """Return the passes over a list of n_words words."""
        return self.passes * max(1.0, (MEASURED_WORDS / n_words) ** MORE_PASSES)

    def gain(self, n_words: int) -> float:
        """Return the expected gain on a list of n_words words, in nats."""
        return float(np.interp(np.log(n_words), np.log(GAINED_WORDS), self.gains))


# With dropout of the outputs and of the state, a wide net trains long without overfitting.
WIDE: dict[str, Any] = {
    "n_hidden": 512,
    "dropout": 0.5,
    "recurrent_dropout": 0.25,
    "lr": 0.005,
    "weight_decay": 0.15,
    "average": 1.0,
}
# The gains of the ensemble are measured on names.txt; on the other lists they are those of one of its nets.
RECIPES = (
    Recipe("counts", None, {}, seconds=0.3),
    Recipe("quick", "mlp", {}, 3.0, 0.1, 1, seconds=0.8, gains=(0.045, 0.044, 0.042, 0.032)),
    Recipe("small", "gru", {}, 12.0, 0.25, 1, True, "by context", 8.8, (0.089, 0.068, 0.077, 0.080)),
    Recipe("large", "lstm", WIDE, 24.0, 0.35, 1, True, "by context", 130.0, (0.093, 0.079, 0.096, 0.102)),
    Recipe("ensemble", "lstm", WIDE, 24.0, 1.0, 8, True, "by context", 1040.0, (0.093, 0.079, 0.096, 0.110)),
    Recipe("uncounted", "mlp", {}, 3.0, 0.0, 1, counts=False),
)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def recipe_of(name: str) -> Recipe:
    """Return a recipe by its name. Raises InputError for an unknown one."""
    if name not in BY_NAME:
        raise unknown("recipe", name, BY_NAME)
    return BY_NAME[name]


def expected(seconds: float, n_words: int) -> Recipe:
    """Return the recipe to expect for a time and a list, on the machine of the benchmark."""
    fitting = (
        recipe
        for recipe in RECIPES
        if recipe.counts
        and recipe.least * recipe.seconds * recipe.epochs(n_words) * n_words <= seconds * recipe.passes * MEASURED_WORDS
    )
    return list(fitting)[-1]
