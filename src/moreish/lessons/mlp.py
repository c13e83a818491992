"""Checks for lesson 2: a net that looks at several characters."""

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
from .feedback import NoAnswer, feedback, missing, number_feedback

PRODUCT_FUNCTIONS = ("matmul", "mm", "bmm", "addmm", "einsum", "linear", "tensordot", "dot", "inner", "mul")
READY_MADE_LOSSES = ("cross_entropy", "log_softmax", "logsumexp", "nll_loss", "softmax", "logaddexp")


def check_zero_start(first_loss: Any, n_moving: Any, n_vocab: int) -> bool | None:
    """Check the first loss of a net that starts at zero, and the number of its parameters that training can change."""
    exercise = "starting at zero"
    if missing(first_loss) or missing(n_moving):
        return feedback(exercise, NoAnswer("Give two numbers: first_loss and n_moving."))
    return number_feedback(
        f"{exercise}: the first loss",
        first_loss,
        math.log(n_vocab),
        5e-4,
        "With all logits equal, what probability does each of the tokens get?",
    ) and number_feedback(
        f"{exercise}: the number of parameters that change",
        n_moving,
        n_vocab,
        0,
        "Follow the gradient back from the logits: which factors of it are zero, and stay zero?",
    )


def check_tables(preactivations: Callable[..., Any]) -> bool | None:
    """Check preactivations(X, C, W1, b1) -> (B, H), which must not multiply a row for every window."""
    exercise = "the first layer as lookups"
    B, T, V, E, H = 61, 3, 29, 5, 7
    C, W1, b1 = (torch.randn(s, generator=_generator(), dtype=torch.float64) for s in ((V, E), (T * E, H), (H,)))
    X = torch.randint(V, (B, T), generator=_generator())
    for parameter in (C, W1, b1):
        parameter.requires_grad_()
    wanted = C[X].view(B, -1) @ W1 + b1
    found, calls, problem = _called(preactivations, X, C, W1, b1)
    problem = problem or _compared(found, wanted) or _gradients(found, wanted, C, W1, b1)
    if problem is None and any(name in PRODUCT_FUNCTIONS and B in sizes for name, sizes in calls):
        problem = "The numbers are right, but there is still a multiplication for each of the windows."
    return feedback(exercise, problem)


def check_cross_entropy(nll: Callable[..., Any]) -> bool | None:
    """Check nll(logits, Y): the mean negative log-likelihood, finite for logits of any size."""
    exercise = "a stable cross-entropy"
    logits, Y = torch.randn((8, 5), generator=_generator()), torch.arange(8) % 5
    unlikely = logits.clone()
    unlikely[torch.arange(8), Y] -= 300
    cases = {
        "ordinary logits": (logits, "Is it the mean over rows of -log of the target's probability?"),
        "logits around 300": (logits + 300, "What is the largest x for which exp(x) is finite in float32?"),
        "a target 300 below the others": (
            unlikely,
            "A probability may be too small for float32; its logarithm is not.",
        ),
    }
    for case, (x, hint) in cases.items():
        x = x.requires_grad_()
        found, calls, problem = _called(nll, x, Y)
        wanted = F.cross_entropy(x, Y)
        if problem is None and isinstance(found, torch.Tensor) and found.ndim == 0 and not found.isfinite():
            problem = f"The loss is {found.item()}."
        problem = problem or _compared(found, wanted, 1e-4) or _gradients(found, wanted, x)
        if problem is not None:
            return feedback(exercise, problem if isinstance(problem, NoAnswer) else f"For {case}: {problem} {hint}")
        if any(name in READY_MADE_LOSSES for name, _ in calls):
            return feedback(exercise, "This calls PyTorch's own loss. Use only exp, log, sum and max.")
    return feedback(exercise, None)


def check_weight_decay(without: Any, with_decay: Any, by: float) -> bool | None:
    """Check that weight decay lowers val by at least `by` nats, in two runs that differ in nothing else."""
    exercise = "weight decay"
    wanted = "Give two runs of moreish.train."
    if missing(without) or missing(with_decay):
        return feedback(exercise, NoAnswer(wanted))
    if not isinstance(without, Run) or not isinstance(with_decay, Run):
        return feedback(exercise, wanted)
    problem = None
    first, second = without.options, with_decay.options
    if without.corpus.data_hash != with_decay.corpus.data_hash:
        problem = "The two runs were trained on different lists."
    elif first.weight_decay != 0 or not second.weight_decay:
        problem = f"Their decays are {first.weight_decay:g} and {second.weight_decay:g}: only the first must be 0."
    elif without.model.config != with_decay.model.config or dataclasses.replace(second, weight_decay=0.0) != first:
        problem = "The runs differ in more than their weight decay."
    else:
        gain = without.loss["val"] - with_decay.loss["val"]
        gap = with_decay.loss["val"] - with_decay.loss["train"]
        if gain < by:
            side = "the net underfits: try less decay" if gap < 0.05 else "the net still overfits: try more decay"
            problem = f"It lowers val by {gain:.4f}; the goal is {by:g}. Train is {gap:.2f} below val. "
            problem += f"Perhaps {side}."
    return feedback(exercise, problem)


def check_beats(yours: Any, below: float, corpus: Corpus, block_size: int | None = None) -> bool | None:
    """Check that a run, or a function from contexts (N, block_size) to logits (N, V), has a val loss below `below`."""
    exercise = f"a val loss below {below:.4f}"
    if isinstance(yours, Run):
        if (yours.corpus.data_hash, yours.corpus.split, yours.corpus.split_seed) != (
            corpus.data_hash,
            corpus.split,
            corpus.split_seed,
        ):
            return feedback(exercise, "The run has another list or split, so it may have been trained on words of val.")
        loss = yours.loss["val"]
    elif callable(yours) and block_size is not None:
        X, Y = (torch.from_numpy(a) for a in corpus.windows("val", block_size))
        with torch.no_grad():
            logits, _, problem = _called(yours, X)
        if problem is None and tuple(logits.shape) != (len(X), len(corpus.vocab)):
            problem = f"The logits have the shape {tuple(logits.shape)}, and should be {(len(X), len(corpus.vocab))}."
        if problem is not None:
            return feedback(exercise, problem)
        loss = F.cross_entropy(logits, Y).item()
    else:
        wanted = "Give a run of moreish.train, or a function and its block_size."
        return feedback(exercise, NoAnswer(wanted) if missing(yours) else wanted)
    if loss < below:
        return feedback(f"{exercise} ({loss:.4f})", None)
    return feedback(exercise, f"The val loss is {loss:.4f}.")


class _Calls(TorchFunctionMode):
    """Record calls of PyTorch's functions, each with the sizes of its tensors' dimensions."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[str, set[int]]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        found = func(*args, **(kwargs or {}))
        flat = [x for a in (*args, *(kwargs or {}).values()) for x in (a if isinstance(a, (list, tuple)) else (a,))]
        sizes = {size for x in flat if isinstance(x, torch.Tensor) for size in x.shape}
        name = (resolve_name(func) or getattr(func, "__name__", "")).rsplit(".", 1)[-1].strip("_")
        self.calls.append((name.removeprefix("r"), sizes) if name == "rmatmul" else (name, sizes))
        return found


def _called(function: Callable[..., Any], *arguments: Any) -> tuple[Any, list[tuple[str, set[int]]], str | None]:
    """Call a learner's function; return its result, its calls, and the problem if the result is not a tensor."""
    if missing(function):
        return None, [], NoAnswer("Replace the three dots with your answer.")
    with _Calls() as mode:
        try:
            found = function(*arguments)
        except (RuntimeError, TypeError, ValueError, IndexError, MoreishError) as error:
            return None, [], f"It raises {type(error).__name__}: {str(error).splitlines()[0]}"
    if missing(found):
        return None, [], NoAnswer("It returns nothing yet.")
    if not isinstance(found, torch.Tensor):
        return None, [], f"It returns a {type(found).__name__}, and should return a tensor."
    return found, mode.calls, None


def _compared(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-6) -> str | None:
    """Return the difference of a tensor from the one that it should equal, in words; None if they are equal."""
    if found.shape != wanted.shape:
        return f"The shape is {tuple(found.shape)}, and should be {tuple(wanted.shape)}."
    off = ~torch.isclose(found.to(wanted), wanted, rtol=tolerance, atol=tolerance)
    if off.any():
        return f"{int(off.sum())} of {off.numel()} numbers are wrong."
    return None


def _gradients(found: torch.Tensor, wanted: torch.Tensor, *parameters: torch.Tensor) -> str | None:
    """Return the problem with the gradients of a tensor that equals `wanted`, in words; None if they are right."""
    if not found.requires_grad:
        return "The numbers are right, but they have no gradient: was the graph detached?"
    weights = torch.linspace(-1, 1, wanted.numel(), dtype=wanted.dtype).view(wanted.shape) + 0.1

    def gradients(y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad((y * weights).sum(), parameters, allow_unused=True)

    for a, b in zip(gradients(found), gradients(wanted), strict=True):
        if b is not None and (a is None or not torch.allclose(a, b, rtol=1e-4, atol=1e-6)):
            return "The numbers are right, but their gradients are not."
    return None


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)
