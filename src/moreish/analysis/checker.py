"""Checker for gradients that you derived yourself, in NumPy or PyTorch: it says which one is wrong first, and how.

Write the forward pass as a function of a tracer `t`, and pass every tensor whose gradient you have derived through it:

    def forward(t):
        hpre = t("hpre", x @ t("W", W) + t("b", b))
        h = t("h", np.tanh(hpre))
        ...
        return loss

    print(moreish.check_gradients(forward, {"dh": dh, "dhpre": dhpre, "dW": dW, "db": db}))

The tracer returns each tensor unchanged. The checker then runs the function again: to compute reference gradients, by
autograd (PyTorch) or central differences (NumPy), and to find the mistake that explains a wrong gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..display.shown import Shown, Table
from ..errors import InputError, unknown

Forward = Callable[[Callable[[str, Any], Any]], Any]
MOST_ENTRIES = 20_000  # of a NumPy tensor: each entry costs four forward passes


@dataclass(frozen=True)
class CheckedGradient:
    """Result for one gradient.

    ok              True if it is right
    max_abs         largest absolute difference from the reference
    max_rel         max_abs divided by the largest absolute entry of the reference
    explanation     what is wrong with it; empty if it is right
    """

    name: str
    ok: bool
    max_abs: float
    max_rel: float
    explanation: str

    @property
    def words(self) -> str:
        """`explanation`, under its old name."""
        return self.explanation


@dataclass(frozen=True, repr=False)
class GradientReport(Shown):
    """Results for all gradients, in the order of the backward pass."""

    verdicts: list[CheckedGradient]

    @property
    def ok(self) -> bool:
        """True if every gradient is right."""
        return all(verdict.ok for verdict in self.verdicts)

    @property
    def first_wrong(self) -> CheckedGradient | None:
        """The wrong gradient to look at first: later ones are computed from it."""
        return next((verdict for verdict in self.verdicts if not verdict.ok), None)

    def __repr__(self) -> str:
        return str(self)

    def _table(self) -> Table:
        rows = [
            [v.name, "ok" if v.ok else "WRONG", f"{v.max_abs:.1e}", f"{v.max_rel:.1e}", v.explanation]
            for v in self.verdicts
        ]
        wrong = self.first_wrong
        title = "All gradients are right" if wrong is None else f"Look at {wrong.name} first: {wrong.explanation}"
        return Table(title, rows, ["gradient", "", ">off by", ">relative", ""])

    def __str__(self) -> str:
        width = max((len(verdict.name) for verdict in self.verdicts), default=0)
        lines = [
            f"{v.name:<{width}}  {'ok' if v.ok else 'WRONG':<5}  off by {v.max_abs:.1e} ({v.max_rel:.1e})"
            f"  {v.explanation}"
            for v in self.verdicts
        ]
        if self.first_wrong is not None:
            lines.append(f"look at {self.first_wrong.name} first: {self.first_wrong.explanation}")
        return "\n".join(line.rstrip() for line in lines)


def check_gradients(
    forward: Forward, gradients: Mapping[str, Any], *, tolerance: float | None = None
) -> GradientReport:
    """Check gradients of the loss that `forward` returns.

    gradients   by the name that `forward` gives their tensor, with or without a leading "d"
    tolerance   largest allowed max |difference| / max |reference|; by default 1e-6, or 1e-3 if any tensor is float32

    Raises InputError if no tensor has the name of a gradient, if the loss is not a single number, or if a NumPy tensor
    has more than 20,000 entries.
    """
    tensors = _record(forward)
    derived = {}
    for name, gradient in gradients.items():
        tensor = name if name in tensors else name.removeprefix("d")
        if tensor not in tensors:
            raise unknown("tensor", name, tensors)
        derived[tensor] = (name, _array(gradient))
    if tolerance is None:
        single = any(array.dtype == np.float32 for array in tensors.values())
        tolerance = 1e-3 if single else 1e-6
    verdicts = []
    for tensor in reversed([tensor for tensor in tensors if tensor in derived]):
        name, gradient = derived[tensor]
        verdicts.append(_judge(name, tensor, gradient, forward, tensors, tolerance))
    return GradientReport(verdicts)


def _judge(
    name: str, tensor: str, ours: np.ndarray, forward: Forward, tensors: dict[str, np.ndarray], tolerance: float
) -> CheckedGradient:
    reference = _reference(forward, tensors, tensor)

    def same(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-30))

    if ours.shape != reference.shape:
        explanation = f"its shape is {ours.shape}, but the shape of {tensor} is {reference.shape}"
        summed = _summed_to(ours, reference.shape)
        if ours.ndim == 2 and same(ours.T, reference):
            explanation += ": it is transposed"
        elif summed is not None and same(summed[0], reference):
            explanation += f": it lacks a sum over dimension {summed[1]}, along which {tensor} was broadcast"
        return CheckedGradient(name, False, float("inf"), float("inf"), explanation)
    worst, scale = float(np.abs(ours - reference).max()), float(np.abs(reference).max())
    relative = worst / scale if scale else float(worst > 0)
    if same(ours, reference):
        return CheckedGradient(name, True, worst, relative, "")
    return CheckedGradient(name, False, worst, relative, _explain(tensor, ours, reference, forward, tensors, same))


def _explain(
    tensor: str,
    ours: np.ndarray,
    reference: np.ndarray,
    forward: Forward,
    tensors: dict[str, np.ndarray],
    same: Callable[[np.ndarray, np.ndarray], bool],
) -> str:
    """Explain what is wrong with a gradient of the right shape: try the common mistakes in turn."""
    if same(-ours, reference):
        return "it has the wrong sign"
    norm = float((reference * reference).sum())
    factor = float((ours * reference).sum()) / norm if norm else 0.0
    if factor and same(ours, factor * reference):
        sizes = sorted({n for array in tensors.values() for n in array.shape if n > 1})
        for n in sizes:
            for times, words in (
                (n, f"{n} times too large: is a 1/{n} missing?"),
                (1 / n, f"{n} times too small: is a 1/{n} there twice?"),
            ):
                if abs(factor / times - 1) < 1e-3:
                    return f"it is {words}"
        return f"it is off by a factor of {factor:.6g}"
    if ours.ndim == 2 and ours.shape[0] == ours.shape[1] and same(ours.T, reference):
        return "it is transposed"
    if reference.ndim and not np.ptp(reference - ours) > 0:
        return "it is off by a constant"
    names = list(tensors)
    for later in names[names.index(tensor) + 1 :]:
        if same(ours, _reference(forward, tensors, tensor, frozen=later)):
            return f"it lacks one of two paths: the one through {later}"
    wrong = np.abs(ours - reference) > 1e-6 * max(np.abs(reference).max(), 1e-30)
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = "everywhere" if wrong.all() else f"in {int(wrong.sum())} of {wrong.size} entries, the first at {place}"
    return f"it is wrong {where}: {ours[place]:.6g} instead of {reference[place]:.6g}"


def _summed_to(ours: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, int | tuple[int, ...]] | None:
    """Sum a gradient down to a shape that broadcasts to its own.

    Returns the sum and the dimensions summed over; None if the shape does not broadcast to that of the gradient.
    """
    lead = ours.ndim - len(shape)
    if lead < 0 or any(m not in (1, n) for m, n in zip(shape, ours.shape[lead:], strict=True)):
        return None
    over = (*range(lead), *(lead + i for i, (m, n) in enumerate(zip(shape, ours.shape[lead:], strict=True)) if m != n))
    return ours.sum(axis=over).reshape(shape), over[0] if len(over) == 1 else over


def _record(forward: Forward) -> dict[str, np.ndarray]:
    """Run the forward pass; return every tensor that it names, in order, as NumPy arrays."""
    found: dict[str, np.ndarray] = {}

    def t(name: str, value: Any) -> Any:
        if name in found:
            raise InputError(f"two tensors are named {name}: give each its own name")
        found[name] = _array(value).copy()
        return value

    loss = _array(forward(t))
    if loss.size != 1:
        raise InputError(f"the forward pass must return the loss, a single number; it returned shape {loss.shape}")
    return found


def _reference(forward: Forward, tensors: dict[str, np.ndarray], wanted: str, frozen: str | None = None) -> np.ndarray:
    """Compute the gradient with respect to a tensor; `frozen` names a later tensor to treat as a constant."""
    leaves: list[Any] = []  # the wanted tensor, if it is PyTorch's

    def t(name: str, value: Any) -> Any:
        if not hasattr(value, "detach"):
            return value
        if name == wanted:
            leaves.append(value.detach().requires_grad_())
            return leaves[0]
        return value.detach() if name == frozen else value

    loss = forward(t)
    if leaves:
        import torch

        gradient = torch.autograd.grad(loss, leaves[0], allow_unused=True)[0] if loss.requires_grad else None
        return np.zeros_like(tensors[wanted]) if gradient is None else _array(gradient)
    return _differences(forward, tensors, wanted, frozen)


def _differences(forward: Forward, tensors: dict[str, np.ndarray], wanted: str, frozen: str | None) -> np.ndarray:
    """Compute the same by central differences of fourth order (see gradcheck)."""
    if tensors[wanted].size > MOST_ENTRIES:
        raise InputError(f"{wanted} has {tensors[wanted].size:,} entries: check a smaller case, or use PyTorch")
    moved = tensors[wanted].astype(np.float64)

    def t(name: str, value: Any) -> Any:
        return moved if name == wanted else tensors[name] if name == frozen else value

    gradient = np.zeros_like(moved)
    for place in np.ndindex(moved.shape):
        before, h = moved[place], 1e-5 * max(0.1, abs(float(moved[place])))
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved[place] = before + steps * h
            gradient[place] += weight * float(forward(t)) / (12 * h)
        moved[place] = before
    return gradient


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
