"""Checks of the second lesson: a net that looks at several characters."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode, resolve_name

from ..corpus import Corpus
from ..errors import MoreishError
from ..training.run import Run
from .verdict import NoAnswer, near, verdict

PRODUCTS = ("matmul", "mm", "bmm", "addmm", "einsum", "linear", "tensordot", "dot", "inner", "mul")
READY = ("cross_entropy", "log_softmax", "logsumexp", "nll_loss", "softmax", "logaddexp")


def check_zero_start(first_loss: Any, n_moving: Any, n_vocab: int) -> bool | None:
    """What the first loss is if all weights start at zero, and how many of them a training can then change."""
    what = "starting at zero"
    if _missing(first_loss) or _missing(n_moving):
        return verdict(what, NoAnswer("Two numbers are asked for: first_loss and n_moving."))
    return near(
        f"{what}: the first loss",
        first_loss,
        math.log(n_vocab),
        5e-4,
        "With all logits equal, what probability does each of the tokens get?",
    ) and near(
        f"{what}: the numbers that move",
        n_moving,
        n_vocab,
        0,
        "Follow the gradient back from the logits: which factors of it are zero, and stay zero?",
    )


def check_tables(preactivations: Callable) -> bool | None:
    """preactivations(X, C, W1, b1) -> (B, H), with no product that has a row for every window."""
    what = "the first layer as lookups"
    B, T, V, E, H = 61, 3, 29, 5, 7
    C, W1, b1 = (torch.randn(s, generator=_generator(), dtype=torch.float64) for s in ((V, E), (T * E, H), (H,)))
    X = torch.randint(V, (B, T), generator=_generator())
    for parameter in (C, W1, b1):
        parameter.requires_grad_()
    wanted = C[X].view(B, -1) @ W1 + b1
    found, calls, trouble = _called(preactivations, X, C, W1, b1)
    trouble = trouble or _compared(found, wanted) or _gradients(found, wanted, C, W1, b1)
    if trouble is None and any(name in PRODUCTS and B in sizes for name, sizes in calls):
        trouble = "The numbers are right, but something is still multiplied for each of the windows."
    return verdict(what, trouble)


def check_cross_entropy(nll: Callable) -> bool | None:
    """nll(logits, Y): the mean negative log-likelihood, which survives logits of any size."""
    what = "a stable cross-entropy"
    logits, Y = torch.randn((8, 5), generator=_generator()), torch.arange(8) % 5
    unlikely = logits.clone()
    unlikely[torch.arange(8), Y] -= 300
    cases = {
        "ordinary logits": (logits, "Is it the mean over the rows, of the log of the target's probability?"),
        "logits around 300": (logits + 300, "What is the largest number that exp can take in float32?"),
        "a target 300 below the others": (
            unlikely,
            "A probability may be too small for float32. Its logarithm is not.",
        ),
    }
    for case, (x, hint) in cases.items():
        x = x.requires_grad_()
        found, calls, trouble = _called(nll, x, Y)
        wanted = F.cross_entropy(x, Y)
        if trouble is None and isinstance(found, torch.Tensor) and found.ndim == 0 and not found.isfinite():
            trouble = f"The loss is {found.item()}."
        trouble = trouble or _compared(found, wanted, 1e-4) or _gradients(found, wanted, x)
        if trouble is not None:
            return verdict(what, trouble if isinstance(trouble, NoAnswer) else f"For {case}: {trouble} {hint}")
        if any(name in READY for name, _ in calls):
            return verdict(what, "That is PyTorch's own. Write it from exp, log, sum and max.")
    return verdict(what, None)


def check_weight_decay(without: Any, with_decay: Any, by: float) -> bool | None:
    """Two runs that differ in the weight decay only, one of them without any: the other's val loss is lower."""
    what = "weight decay"
    asked = "Two runs are asked for, from moreish.train."
    if _missing(without) or _missing(with_decay):
        return verdict(what, NoAnswer(asked))
    if not isinstance(without, Run) or not isinstance(with_decay, Run):
        return verdict(what, asked)
    trouble = None
    first, second = without.options, with_decay.options
    if without.corpus.data_hash != with_decay.corpus.data_hash:
        trouble = "The two were trained on different lists."
    elif first.weight_decay != 0 or not second.weight_decay:
        trouble = f"Their decays are {first.weight_decay:g} and {second.weight_decay:g}: none is compared with some."
    elif without.model.config != with_decay.model.config or dataclasses.replace(second, weight_decay=0.0) != first:
        trouble = "They differ in more than their weight decay."
    else:
        gain = without.loss["val"] - with_decay.loss["val"]
        gap = with_decay.loss["val"] - with_decay.loss["train"]
        if gain < by:
            side = "the net can still not fit: less of it" if gap < 0.05 else "the net still fits train too well: more"
            trouble = f"It lowers val by {gain:.4f}, and {by:g} is asked for. Train is {gap:.2f} below val. "
            trouble += f"Perhaps {side}."
    return verdict(what, trouble)


def check_beats(yours: Any, below: float, corpus: Corpus, block_size: int | None = None) -> bool | None:
    """A run, or a function from contexts (N, block_size) to logits (N, V), whose val loss is below a given one."""
    what = f"a val loss below {below:.4f}"
    if isinstance(yours, Run):
        if (yours.corpus.data_hash, yours.corpus.split, yours.corpus.split_seed) != (
            corpus.data_hash,
            corpus.split,
            corpus.split_seed,
        ):
            return verdict(what, "The run has another list or another split: what it was trained on may stand in val.")
        loss = yours.loss["val"]
    elif callable(yours) and block_size is not None:
        X, Y = (torch.from_numpy(a) for a in corpus.windows("val", block_size))
        with torch.no_grad():
            logits, _, trouble = _called(yours, X)
        if trouble is None and tuple(logits.shape) != (len(X), len(corpus.vocab)):
            trouble = (
                f"The logits have the shape {tuple(logits.shape)}; a row for each of the {len(X):,} windows is due."
            )
        if trouble is not None:
            return verdict(what, trouble)
        loss = F.cross_entropy(logits, Y).item()
    else:
        asked = "A run of moreish.train is asked for; or a function, and its block_size."
        return verdict(what, NoAnswer(asked) if _missing(yours) else asked)
    if loss < below:
        return verdict(f"{what} ({loss:.4f})", None)
    return verdict(what, f"It is {loss:.4f}.")


class _Calls(TorchFunctionMode):
    """Which of PyTorch's functions are called, and the sizes that occur in what they are given."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[str, set[int]]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        flat = [x for a in (*args, *(kwargs or {}).values()) for x in (a if isinstance(a, (list, tuple)) else (a,))]
        sizes = {size for x in flat if isinstance(x, torch.Tensor) for size in x.shape}
        name = (resolve_name(func) or getattr(func, "__name__", "")).rsplit(".", 1)[-1].strip("_")
        self.calls.append((name.removeprefix("r"), sizes) if name == "rmatmul" else (name, sizes))
        return found


def _called(function: Callable, *arguments: Any) -> tuple[Any, list[tuple[str, set[int]]], str | None]:
    """What a learner's function returns, what it called, and what is off if it returns nothing of use."""
    if _missing(function):
        return None, [], NoAnswer("The three dots still stand there.")
    with _Calls() as mode:
        try:
            found = function(*arguments)
        except (RuntimeError, TypeError, ValueError, IndexError, MoreishError) as error:
            return None, [], f"It stops with {type(error).__name__}: {str(error).splitlines()[0]}"
    if _missing(found):
        return None, [], NoAnswer("It returns nothing so far.")
    if not isinstance(found, torch.Tensor):
        return None, [], f"It returns a {type(found).__name__}, where a tensor is due."
    return found, mode.calls, None


def _compared(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-6) -> str | None:
    """What is off about a tensor that should equal another."""
    if found.shape != wanted.shape:
        return f"The shape is {tuple(found.shape)}, and should be {tuple(wanted.shape)}."
    off = ~torch.isclose(found.to(wanted), wanted, rtol=tolerance, atol=tolerance)
    if off.any():
        return f"{int(off.sum())} of {off.numel()} numbers are off."
    return None


def _gradients(found: torch.Tensor, wanted: torch.Tensor, *parameters: torch.Tensor) -> str | None:
    """What is off about the gradients of a tensor that equals another."""
    if not found.requires_grad:
        return "The numbers are right, but no gradient can flow back through them."
    weights = torch.linspace(-1, 1, wanted.numel(), dtype=wanted.dtype).view(wanted.shape) + 0.1
    ours, theirs = (torch.autograd.grad((y * weights).sum(), parameters, allow_unused=True) for y in (found, wanted))
    for a, b in zip(ours, theirs, strict=True):
        if b is not None and (a is None or not torch.allclose(a, b, rtol=1e-4, atol=1e-6)):
            return "The numbers are right, but their gradients are not."
    return None


def _missing(answer: Any) -> bool:
    return answer is None or answer is ...


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)
