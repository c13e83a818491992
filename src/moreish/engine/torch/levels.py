"""Levels in PyTorch, for layers that go along words: the walk from level to level, and the masks of dropout.

See `layers.levels`. The masks are the tape's, bit for bit: functions of the step's key, the layer's salt and the row.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from ...layers.attention import CausalSelfAttention
from ...layers.attention_steps import Attended, attended_rows
from ...layers.dropout import factors_of
from ...layers.levels import (
    FROM_START,
    GIVEN,
    KEY,
    N_LEVELS,
    STRIDE,
    Levels,
    levels_of,
    levels_size,
    regular_levels,
    rows_before,
)
from ...layers.random import bits_of
from ...layers.recurrent import Recurrent


class RowLevels:
    """The levels of a batch's rows, for one forward pass.

    levels      of the rows
    training    True if dropout is on
    given       the states that level 0 continues, (n, H) each, in the order of the layers; None for the start of words
    reached     the states after the last level, (n, H) each, in the order of the layers that have walked
    """

    def __init__(self, levels: Levels, training: bool, given: Sequence[torch.Tensor] | None = None):
        self.levels, self.training = levels, training
        self.given = None if given is None else list(given)
        self.reached: list[torch.Tensor] = []

    @classmethod
    def of_contexts(cls, examples: int, T: int, training: bool, key: int) -> "RowLevels":
        """Return the levels of contexts of one length: row b T + t is position t of example b."""
        ints = np.zeros(levels_size(T, examples * T), np.int64)
        ints[KEY] = key
        regular_levels(ints, 0, 0, examples, T)
        return cls(levels_of(ints, 0), training)

    @classmethod
    def of_one(cls, given: Sequence[torch.Tensor] | None, n: int) -> "RowLevels":
        """Return one level of n rows. Each continues a given state of its own; without states, all begin words."""
        ints = np.zeros(levels_size(1, n), np.int64)
        regular_levels(ints, 0, 0, n, 1)
        levels = levels_of(ints, 0)
        if given is not None:
            levels.parents[:], levels.head[GIVEN], levels.head[FROM_START] = np.arange(n), n, 0
        return cls(levels, False, given)

    @cached_property
    def _parents(self) -> torch.Tensor:
        return torch.from_numpy(self.levels.parents)

    def walk(
        self, step: Callable[..., tuple[torch.Tensor, ...]], x: torch.Tensor, starts: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Compute rows x (..., C) level by level -> (..., H).

        step        (x (n, C), *states (n, H)) -> the states after these rows; the first one is the layer's output
        starts      the states before a word, (H,) each
        """
        levels, rows, found, place = self.levels, x.reshape(-1, x.shape[-1]), [], 0
        stride, last = int(levels.head[STRIDE]), int(levels.head[N_LEVELS]) - 1
        states = [start[None] for start in starts]
        if self.given is not None:
            states, self.given = self.given[: len(starts)], self.given[len(starts) :]
        for level in range(last + 1):
            begin, size, alive = (int(a[level]) for a in (levels.begins, levels.sizes, levels.alive))
            own = slice(begin, begin + size * stride, stride)
            of = (self._parents[own] - place).to(x.device)
            place += len(states[0])
            after = step(rows[own], *(state[of] for state in states))
            found.append(after[0])
            if level == last:
                self.reached += after
            states = [state[:alive] for state in after]
        y = torch.stack(found, 1) if stride > 1 else torch.cat(found)
        return y.view(*x.shape[:-1], -1)

    def _key(self, salt: int) -> np.ndarray:
        """The key (1,) of a layer's random numbers in this step."""
        return bits_of(self.levels.head[KEY], np.array([salt]))

    def mask(self, p: float, salt: int, x: torch.Tensor) -> torch.Tensor:
        """The numbers, 0 or 1 / (1 - p), by which dropout multiplies x (..., C)."""
        C = x.shape[-1]
        of_rows = bits_of(self._key(salt), self.levels.keys[: x.numel() // C])
        return torch.from_numpy(factors_of(of_rows[:, None], C, p)).to(x).view(x.shape)

    def mask_state(self, weight: torch.Tensor, layer: Recurrent) -> torch.Tensor:
        """A weight (H, M) that multiplies the state, with its rows scaled by the mask of the state in training."""
        if not (self.training and layer.dropout):
            return weight
        factors = factors_of(self._key(layer.salt), len(weight), layer.dropout)
        return weight * torch.from_numpy(factors).to(weight)[:, None]

    @cached_property
    def _before(self) -> np.ndarray:
        return rows_before(self.levels, int(self.levels.sizes[: self.levels.head[N_LEVELS]].sum()))

    def before(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For each row, the rows of its word from it to the first (N, D), and True where there is one (N, D).

        Where there is none, it has the row itself. Both are on the device of x.
        """
        before = torch.from_numpy(self._before).to(x.device)
        there = before >= 0
        return torch.where(there, before, before[:, :1]), there

    def positions(self, x: torch.Tensor) -> torch.Tensor:
        """The number of rows before each row in its word (N,), on the device of x."""
        return torch.from_numpy((self._before >= 0).sum(1) - 1).to(x.device)

    def attended(self, layer: CausalSelfAttention, x: torch.Tensor) -> Attended:
        """The rows that each of the rows x (..., 3E) attends to, with the factors of dropout."""
        of = attended_rows(self.levels, layer, self._before, self.training)
        return Attended(torch.from_numpy(of.before).to(x.device), torch.from_numpy(of.factors).to(x))
