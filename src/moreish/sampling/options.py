"""Options that change the probabilities to draw by."""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

import numpy as np

from ..engine.compiler import compiler
from ..engine.picking import GREEDY_BELOW, weights
from ..errors import InputError


def normalise(logits, temperature, top_k, top_p, may_end, p):
    """Logits (N, V) -> the probabilities (N, V) to draw by; see `tape.generate.weights`."""
    for i in range(logits.shape[0]):
        total = weights(logits[i], temperature, top_k, top_p, may_end, p[i])
        for v in range(logits.shape[1]):
            p[i, v] /= total


SIGNATURES = {normalise: "void(float64[:, ::1], float64, int64, float64, boolean, float64[:, ::1])"}
compiled = compiler(SIGNATURES, "probabilities to draw by")


@dataclass(frozen=True)
class SamplingOptions:
    """Options that change the probabilities to draw by: temperature, top-k and top-p, as in `Model.sample`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}: it must be a number from 0")
        if self.top_k < 0:
            raise InputError(f"top-k is {self.top_k}: it must be at least 1, or 0 for all characters")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top-p is {self.top_p}: it must be above 0, and at most 1 for all characters")

    @property
    def all_characters(self) -> bool:
        """True if every character keeps a positive probability."""
        return not self.top_k and self.top_p == 1 and self.temperature > 0

    @property
    def greedy(self) -> bool:
        """True if only the most likely character can be drawn, so that all words of a label are the same."""
        return self.temperature < GREEDY_BELOW or self.top_k == 1

    @property
    def way_out_of_greedy(self) -> str:
        """Advice for other words than the most likely one, such as "raise --top-k"; "" if the options allow some."""
        bound = ["the temperature"] * (self.temperature < GREEDY_BELOW) + ["--top-k"] * (self.top_k == 1)
        return f"raise {' and '.join(bound)}" if bound else ""

    def probabilities(self, logits: np.ndarray, may_end: bool) -> np.ndarray:
        """Logits (N, V) -> probabilities float64 (N, V); that of the end is 0 unless the word may end."""
        p = np.empty(logits.shape)
        compiled(normalise)(logits.astype(np.float64), self.temperature, self.top_k, self.top_p, may_end, p)
        return p
