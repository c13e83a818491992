"""Attention in small steps, to read and check beside its fused kernels, and the weights that it gives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .dropout import factors_of
from .levels import KEY, Levels, rows_before
from .random import bits_of
from .spec import SmallSteps

if TYPE_CHECKING:
    from .attention import CausalSelfAttention


@dataclass(frozen=True)
class Attended:
    """The rows that each row attends to.

    before      (N, D): the row itself, the row before it in its word, and so on; -1 where there is none
    factors     (N, D, heads): the numbers by which dropout multiplies the weights
    """

    before: Any
    factors: Any


def attended_rows(levels: Levels, layer: "CausalSelfAttention", before: np.ndarray, training: bool = True) -> Attended:
    """Return what rows attend to; before (N, D) is that of `rows_before`."""
    factors = np.ones((*before.shape, layer.n_head))
    if layer.dropout and training:
        of_rows = bits_of(bits_of(levels.head[KEY], np.array([layer.salt])), levels.keys[: len(before)])
        factors = factors_of(of_rows[:, None], factors[0].size, layer.dropout).reshape(factors.shape)
    return Attended(before, factors)


def _of_heads(x: Any, block: int, rows: Any, n_head: int) -> Any:
    """Queries (block 0), keys (1) or values (2) of rows (...) of x (N, 3E), divided into heads: (..., heads, C)."""
    E = x.shape[-1] // 3
    return x[:, block * E : (block + 1) * E][rows].reshape(*rows.shape, n_head, E // n_head)


def forward(trace: Any, xp: Any, x: Any, attended: Attended) -> Any:
    """x (N, 3E) -> y (N, E)."""
    n_head, there = attended.factors.shape[-1], xp.asarray(attended.before >= 0)[..., None]
    factors = xp.asarray(attended.factors, dtype=x.dtype)
    q = trace("q", _of_heads(x, 0, attended.before[:, 0], n_head))
    # Where there is no row, these are of the row itself, which gets no weight there.
    rows = xp.where(there[..., 0], xp.asarray(attended.before), xp.asarray(attended.before[:, :1]))
    k, v = trace("k", _of_heads(x, 1, rows, n_head)), trace("v", _of_heads(x, 2, rows, n_head))
    scores = trace("scores", (q[:, None] * k).sum(-1) / q.shape[-1] ** 0.5)
    scores = xp.where(there, scores, -np.inf)
    exps = xp.exp(scores - xp.amax(scores, 1)[:, None])
    weights = trace("weights", exps / exps.sum(1)[:, None])
    return ((weights * factors)[..., None] * v).sum(1).reshape(len(x), -1)


def backward(tensors: dict[str, np.ndarray], dy: np.ndarray, attended: Attended) -> dict[str, np.ndarray]:
    """dy (N, E) -> the gradients of the tensors above."""
    q, k, v, a = (tensors[name] for name in ("q", "k", "v", "weights"))
    dy = dy.reshape(len(dy), 1, *q.shape[1:])
    # y = sum over m of factor a[m] v[m]
    da = attended.factors * (dy * v).sum(-1)
    dv = (attended.factors * a)[..., None] * dy
    # a = softmax(s)
    ds = a * (da - (a * da).sum(1)[:, None])
    # s[m] = q . k[m] / sqrt(C)
    of_products = ds[..., None] / q.shape[-1] ** 0.5
    dk, dq = of_products * q[:, None], (of_products * k).sum(1)
    return {"weights": da, "scores": ds, "v": dv, "k": dk, "q": dq}


def weights_of(x: np.ndarray, attended: Attended) -> np.ndarray:
    """Compute the weights of attention before dropout (N, D, heads) from x (N, 3E); 0 where there is no row."""
    tensors: dict[str, np.ndarray] = {}
    forward(lambda name, tensor: tensors.setdefault(name, tensor), np, x, attended)
    return tensors["weights"]


STEPS = SmallSteps(forward, backward, lambda levels, layer, n: [attended_rows(levels, layer, rows_before(levels, n))])
