"""The checks of lesson 5: the tree, the dilated convolution, and a loss to beat."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ..corpus import Corpus
from ..evaluation import evaluate
from ..models import NETS, WaveNet
from ..training.run import Run
from .verdict import NoAnswer, verdict

TARGET = 1.993  # val loss of the published tree of 76,579 parameters on names.txt
N_NAMES = 32_033  # words of names.txt


def check_flatten_consecutive(flatten: Callable[[torch.Tensor, int], torch.Tensor] | None = None) -> bool | None:
    """Check flatten(x, n): x (B, T, C) -> (B, T / n, n C), or (B, T C) where n is T."""

    def trouble() -> str | None:
        for B, T, C, n in ((3, 8, 5, 2), (2, 8, 3, 4), (4, 6, 2, 3), (3, 4, 7, 4), (1, 2, 3, 2)):
            x = torch.arange(B * T * C, dtype=torch.float32).view(B, T, C)
            found = flatten(x, n)  # type: ignore[misc]
            if not isinstance(found, torch.Tensor):
                return f"It returns {type(found).__name__}, and should return a tensor."
            wanted = (B, T // n, n * C) if n < T else (B, T * C)
            if tuple(found.shape) != wanted:
                last = " Where one position is left, its dimension goes." if n == T else ""
                return f"x {tuple(x.shape)} in groups of {n} has become {tuple(found.shape)}, not {wanted}.{last}"
            rows, given = found.reshape(B, -1), x.reshape(B, -1)
            if not torch.equal(rows.sort(dim=1).values, given):
                return "Numbers of one example have gone to another, or are there twice."
            if not torch.equal(rows, given):
                return (
                    f"The shape is right for groups of {n}, the order is not: a group holds the vectors of "
                    "neighbouring positions, one whole vector after the other."
                )
        return None

    return _asked("flatten", flatten, trouble)


def check_dilated(dilated: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor] | None = None) -> bool | None:
    """Check dilated(x, W, d): x (B, T, C), W (2 C, H) -> (B, T - d, H), position t seeing itself and t - d."""

    def trouble() -> str | None:
        generator = torch.Generator().manual_seed(7)
        for B, T, C, H, d in ((2, 6, 3, 4, 1), (3, 9, 2, 5, 4), (1, 8, 4, 3, 2)):
            x = torch.randn((B, T, C), generator=generator)
            W = torch.randn((2 * C, H), generator=generator)
            found = dilated(x, W, d)  # type: ignore[misc]
            if not isinstance(found, torch.Tensor):
                return f"It returns {type(found).__name__}, and should return a tensor."
            if tuple(found.shape) != (B, T - d, H):
                return (
                    f"x {tuple(x.shape)}, W {tuple(W.shape)} and dilation {d} give {tuple(found.shape)}, "
                    f"not {(B, T - d, H)}: positions with nothing {d} before them have no output."
                )
            taps = W.view(2, C, H)
            if torch.allclose(found, _convolved(x, taps, d), atol=1e-5):
                continue
            if torch.allclose(found, _convolved(x, taps.flip(0), d), atol=1e-5):
                return "The two halves of W have changed places: its first C rows belong to the earlier position."
            if d > 1 and torch.allclose(found, _convolved(x, taps, 1)[:, : T - d], atol=1e-5):
                return f"It looks 1 place back where the dilation is {d}."
            return f"The shape is right, the numbers are not (dilation {d})."
        return None

    return _asked("dilated", dilated, trouble)


def _convolved(x: torch.Tensor, taps: torch.Tensor, d: int) -> torch.Tensor:
    """x (B, T, C), taps (2, C, H) -> (B, T - d, H)."""
    return F.conv1d(x.mT, taps.permute(2, 1, 0), dilation=d).mT


def check_receptive_field(field: Callable[[Sequence[int], int], int] | None = None) -> bool | None:
    """Check field(dilations, kernel): how many input positions the last output of such convolutions depends on."""

    def trouble() -> str | None:
        for dilations, kernel in (((1,), 2), ((1, 2), 2), ((1, 2, 4, 1, 2, 4), 2), ((1, 3, 9), 3), ((5,), 4), ((), 2)):
            seen, found = _reached(dilations, kernel), field(dilations, kernel)  # type: ignore[misc]
            if not isinstance(found, int):
                return f"It returns {found!r}, and should return a whole number."
            if found != seen:
                side = "too many" if found > seen else "too few"
                return (
                    f"Dilations {list(dilations)} with a kernel of {kernel} give {found}: {side}. Draw it, "
                    "and count how many new positions each layer brings in."
                )
        return None

    return _asked("receptive field", field, trouble)


def _reached(dilations: Sequence[int], kernel: int) -> int:
    """How many positions back the last output reaches, itself included, followed tap by tap."""
    places = {0}
    for d in dilations:
        places = {place + d * tap for place in places for tap in range(kernel)}
    return max(places) + 1


def check_tree_parameters(count: Callable[[int, int, int, int], int] | None = None) -> bool | None:
    """Check count(block_size, n_embd, n_hidden, n_vocab): the trained numbers of a tree with BatchNorm."""

    def trouble() -> str | None:
        for block_size, n_embd, n_hidden, n_vocab in ((8, 10, 68, 27), (2, 3, 5, 7), (16, 24, 32, 27), (4, 8, 8, 27)):
            found = count(block_size, n_embd, n_hidden, n_vocab)  # type: ignore[misc]
            layers = WaveNet(block_size=block_size, n_embd=n_embd, n_hidden=n_hidden).layers(n_vocab)
            sizes = {}
            for layer in layers:
                name = type(layer).__name__
                sizes[name] = sizes.get(name, 0) + sum(p.size for p in layer.parameters() if p.trained)
            wanted = sum(sizes.values())
            if isinstance(found, bool) or not isinstance(found, int):
                return f"It returns {found!r}, and should return a whole number."
            if found == wanted:
                continue
            sizes_asked = f"({block_size}, {n_embd}, {n_hidden}, {n_vocab})"
            side = "too many" if found > wanted else "too few"
            missing = {
                sizes["BatchNorm1d"]: "a gain and a shift of every hidden unit belong to BatchNorm",
                sizes["Embedding"]: "the embedding table is learnt too",
                n_vocab: "the last layer has a bias",
            }
            kept = {
                sizes["BatchNorm1d"]: "running means and variances are not trained",
                sizes["BatchNorm1d"] // 2: "a Linear before a BatchNorm has no bias",
            }
            hint = (missing if found < wanted else kept).get(abs(wanted - found), "Go through the list layer by layer")
            return f"For {sizes_asked} it gives {found:,}: {side}. {hint[0].upper()}{hint[1:]}."
        return None

    return _asked("parameters of a tree", count, trouble)


def check_beat(run: Run | None = None, target: float = TARGET) -> bool | None:
    """Check that a run of a net has a val loss below the target; test is not looked at."""

    def trouble() -> str | None:
        if not isinstance(run, Run):
            return f"It is {type(run).__name__}: give what moreish.train returns."
        if run.model.name not in NETS:
            return f"A {run.model.name} is counted or mixed; the task is about a net."
        if other := _other_protocol(run.corpus, target):
            return other
        loss = evaluate(run.model, run.corpus, ["val"]).loss["val"]
        if not loss < target:
            return (
                f"val is {loss:.4f}, and should come below {target}. Compare it with train: is the net too small and "
                "trained too briefly, or is it learning its words by heart?"
            )
        return None

    return _asked(f"val below {target}", run, trouble)


def _other_protocol(corpus: Corpus, target: float) -> str | None:
    """Why a loss on this corpus cannot be held against the published one; None if it can, or if that is not asked."""
    if (corpus.split, corpus.split_seed) != ("lecture", 42):
        return "The loss is to be on the lecture split with seed 42: on other words it is another question."
    if target == TARGET and len(corpus.words) != N_NAMES:
        return f"{TARGET} is on the {N_NAMES:,} words of names.txt, and this list has {len(corpus.words):,}."
    return None


def _asked(what: str, answer: Any, trouble: Callable[[], str | None]) -> bool | None:
    """The verdict on an answer; on an error in the learner's code, its words."""
    if answer is None or answer is ...:
        return verdict(what, NoAnswer("There is no answer in it."))
    try:
        return verdict(what, trouble())
    except Exception as error:  # whatever the learner's code raises
        return verdict(what, f"It raises {type(error).__name__}: {error}")
