"""The recurrent layers in small steps, level by level, to read and check beside their fused kernels.

A tensor of level t is named after the step and the level, such as `r.0` or `h.3`. Each layer is two functions: one step
of all rows of a level forward, and the same step backward. `small_steps` makes the whole passes of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dropout import chances
from .levels import N_LEVELS, STRIDE, Levels, state_factor
from .recurrent import Recurrent
from .spec import SmallSteps

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Walk:
    """The way from level to level.

    levels      for each level, its rows (n,), and the number of each row's parent among the rows of the level before
    factors     (H,): the numbers by which dropout multiplies the state in the products
    """

    levels: list[tuple[np.ndarray, np.ndarray]]
    factors: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The place of each row among the rows level by level, (N,)."""
        return np.argsort(np.concatenate([rows for rows, _ in self.levels]))


def walk_of(levels: Levels, layer: Recurrent) -> Walk:
    """Return the way of a layer along the levels of a batch, in training."""
    found, place, head = [], 0, levels.head
    for level in range(int(head[N_LEVELS])):
        rows = levels.begins[level] + head[STRIDE] * np.arange(levels.sizes[level])
        found.append((rows, levels.parents[rows] - place))
        place += levels.alive[level - 1] if level else 1
    factors, dropped = np.ones(layer.n_hidden), chances(layer.dropout)
    if dropped:
        units = range(layer.n_hidden)
        factors = np.array([state_factor(levels, layer.salt, dropped, unit, factors) for unit in units])
    return Walk(found, factors)


def small_steps(
    forward: Callable[..., tuple[Any, ...]],
    backward: Callable[..., tuple[Arrays, tuple[np.ndarray, ...]]],
    n_weights: int,
    states: Sequence[str] = ("h",),
) -> SmallSteps:
    """Return the passes of a layer from its steps.

    forward     (trace, xp, x, states, *weights) -> the states after rows x (n, blocks H), from those before, (n, H)
    backward    (tensors, dstates, states, *weights) -> the gradients of the tensors by name, and of the states before
    n_weights   the number of weights, which come before the learnt starts among the parameters
    states      the names of the states, the first of which is the output
    """

    def split(xp: Any, x: Any, walk: Walk, parameters: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return the weights, with the mask of the state, and the states before a word (1, H)."""
        factors = xp.asarray(walk.factors, dtype=x.dtype)[:, None]
        weights = [w * factors if w.ndim == 2 else w for w in parameters[:n_weights]]
        starts = parameters[n_weights:] or [0 * factors[:, 0]] * len(states)
        return weights, [start[None] for start in starts]

    def whole_forward(trace: Callable[[str, Any], Any], xp: Any, x: Any, walk: Walk, *parameters: Any) -> Any:
        weights, after = split(xp, x, walk, parameters)
        outputs = []
        for level, (rows, parents) in enumerate(walk.levels):
            before = [state[parents] for state in after]

            def traced(name: str, tensor: Any, level: int = level) -> Any:
                return trace(f"{name}.{level}", tensor)

            after = forward(traced, xp, x[rows], before, *weights)
            outputs.append(after[0])
        return xp.concatenate(outputs)[walk.order]

    def whole_backward(tensors: Arrays, dy: np.ndarray, walk: Walk, *parameters: np.ndarray) -> Arrays:
        weights, starts = split(np, dy, walk, parameters)
        found: Arrays = {}
        sent = [np.zeros_like(dy[:0]) for _ in states]  # by the level after, to the rows of this one
        for level in range(len(walk.levels) - 1, -1, -1):
            rows, parents = walk.levels[level]
            known = [tensors[f"{name}.{level - 1}"] for name in states] if level else starts
            before = [state[parents] for state in known]
            dstates = [np.zeros_like(dy[rows]) for _ in states]
            dstates[0] += dy[rows]
            for dstate, of_children in zip(dstates, sent, strict=True):
                dstate[: len(of_children)] += of_children
            own = {name.rpartition(".")[0]: t for name, t in tensors.items() if name.endswith(f".{level}")}
            gradients, dbefore = backward(own, dstates, before, *weights)
            found |= {f"{name}.{level}": gradient for name, gradient in gradients.items()}
            sent = [np.zeros_like(state) for state in known]
            for of_parents, gradient in zip(sent, dbefore, strict=True):
                np.add.at(of_parents, parents, gradient)
        return found

    return SmallSteps(whole_forward, whole_backward, lambda levels, layer, n: [walk_of(levels, layer)])


def _sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def _blocks(x: Any, H: int) -> list[Any]:
    return [x[:, first : first + H] for first in range(0, x.shape[1], H)]


def rnn_forward(trace: Any, xp: Any, x: Any, states: Any, U: Any) -> tuple[Any, ...]:
    """x (n, H), states h' (n, H) -> h (n, H)."""
    u = trace("u", states[0] @ U)
    return (trace("h", xp.tanh(x + u)),)


def rnn_backward(tensors: Arrays, dstates: Any, states: Any, U: Any) -> tuple[Arrays, tuple[np.ndarray, ...]]:
    """dh (n, H) -> the gradients of the tensors, and of h'."""
    (dh,) = dstates
    # h = tanh(x + u)
    du = dh * (1 - tensors["h"] ** 2)
    # u = h' U
    return {"h": dh, "u": du}, (du @ U.T,)


def gru_forward(trace: Any, xp: Any, x: Any, states: Any, U: Any, c: Any) -> tuple[Any, ...]:
    """x (n, 3H), states h' (n, H) -> h (n, H)."""
    (before,) = states
    u = trace("u", before @ U)
    (x_r, x_z, x_n), (u_r, u_z, u_n) = _blocks(x, len(c)), _blocks(u, len(c))
    r, z = trace("r", _sigmoid(xp, x_r + u_r)), trace("z", _sigmoid(xp, x_z + u_z))
    m = trace("m", u_n + c)
    n = trace("n", xp.tanh(x_n + r * m))
    return (trace("h", n + z * (before - n)),)


def gru_backward(tensors: Arrays, dstates: Any, states: Any, U: Any, c: Any) -> tuple[Arrays, tuple[np.ndarray, ...]]:
    """dh (n, H) -> the gradients of the tensors, and of h'."""
    (dh,), (before,) = dstates, states
    r, z, m, n = (tensors[name] for name in "rzmn")
    # h = n + z (h' - n)
    dn, dz = dh * (1 - z), dh * (before - n)
    # n = tanh(x_n + r m)
    inside = dn * (1 - n**2)
    dm, dr = inside * r, inside * m
    # r = sigmoid(x_r + u_r), z = sigmoid(x_z + u_z), m = u_n + c
    du = np.concatenate([dr * r * (1 - r), dz * z * (1 - z), dm], axis=1)
    # u = h' U
    return {"h": dh, "n": dn, "m": dm, "z": dz, "r": dr, "u": du}, (dh * z + du @ U.T,)


def cho_forward(trace: Any, xp: Any, x: Any, states: Any, U: Any, V: Any) -> tuple[Any, ...]:
    """x (n, 3H), states h' (n, H) -> h (n, H)."""
    (before,) = states
    u = trace("u", before @ U)
    (x_r, x_z, x_n), (u_r, u_z) = _blocks(x, len(V)), _blocks(u, len(V))
    r, z = trace("r", _sigmoid(xp, x_r + u_r)), trace("z", _sigmoid(xp, x_z + u_z))
    v = trace("v", r * before)
    n = trace("n", xp.tanh(x_n + v @ V))
    return (trace("h", n + z * (before - n)),)


def cho_backward(tensors: Arrays, dstates: Any, states: Any, U: Any, V: Any) -> tuple[Arrays, tuple[np.ndarray, ...]]:
    """dh (n, H) -> the gradients of the tensors, and of h'."""
    (dh,), (before,) = dstates, states
    r, z, n = (tensors[name] for name in "rzn")
    # h = n + z (h' - n)
    dn, dz = dh * (1 - z), dh * (before - n)
    # n = tanh(x_n + v V)
    dv = (dn * (1 - n**2)) @ V.T
    # v = r h'
    dr = dv * before
    # r = sigmoid(x_r + u_r), z = sigmoid(x_z + u_z)
    du = np.concatenate([dr * r * (1 - r), dz * z * (1 - z)], axis=1)
    # u = h' U
    return {"h": dh, "n": dn, "v": dv, "z": dz, "r": dr, "u": du}, (dh * z + dv * r + du @ U.T,)


def lstm_forward(trace: Any, xp: Any, x: Any, states: Any, U: Any) -> tuple[Any, ...]:
    """x (n, 4H), states h', c' (n, H) -> h, c (n, H)."""
    before, cell = states
    u = trace("u", before @ U)
    a_i, a_f, a_g, a_o = _blocks(x + u, before.shape[1])
    i, f = trace("i", _sigmoid(xp, a_i)), trace("f", _sigmoid(xp, a_f))
    g, o = trace("g", xp.tanh(a_g)), trace("o", _sigmoid(xp, a_o))
    c = trace("c", f * cell + i * g)
    t = trace("t", xp.tanh(c))
    return trace("h", o * t), c


def lstm_backward(tensors: Arrays, dstates: Any, states: Any, U: Any) -> tuple[Arrays, tuple[np.ndarray, ...]]:
    """dh, and dc from the children, (n, H) -> the gradients of the tensors, and of h' and c'."""
    (dh, dc), (_, cell) = dstates, states
    i, f, g, o, t = (tensors[name] for name in "ifgot")
    # h = o t
    do, dt = dh * t, dh * o
    # t = tanh(c): c reaches the loss in two ways, through t and through the children
    dc = dc + dt * (1 - t**2)
    # c = f c' + i g
    di, df, dg = dc * g, dc * cell, dc * i
    # the gates
    du = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
    found = {"h": dh, "t": dt, "c": dc, "o": do, "g": dg, "f": df, "i": di, "u": du}
    # u = h' U
    return found, (du @ U.T, dc * f)


RNN_STEPS = small_steps(rnn_forward, rnn_backward, 1)
GRU_STEPS = small_steps(gru_forward, gru_backward, 2)
CHO_STEPS = small_steps(cho_forward, cho_backward, 2)
LSTM_STEPS = small_steps(lstm_forward, lstm_backward, 1, ("h", "c"))
