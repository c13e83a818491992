"""Checks for lesson 5: the tree, the dilated convolution, and a loss to beat."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ..corpus import Corpus
from ..evaluation import evaluate
from ..models import NETS, WaveNet
from ..training.run import Run
from .feedback import judge
from .words import N_NAMES

TARGET = 1.993  # val loss of the published tree of 76,579 parameters on names.txt


def check_flatten_consecutive(flatten: Any = None) -> bool | None:
    """Check flatten(x, n): x (B, T, C) -> (B, T / n, n C), or (B, T C) where n is T."""

    def problem() -> str | None:
        for B, T, C, n in ((3, 8, 5, 2), (2, 8, 3, 4), (4, 6, 2, 3), (3, 4, 7, 4), (1, 2, 3, 2)):
            x = torch.arange(B * T * C, dtype=torch.float32).view(B, T, C)
            found = flatten(x, n)
            if not isinstance(found, torch.Tensor):
                return f"It returns {type(found).__name__}, and should return a tensor."
            wanted = (B, T // n, n * C) if n < T else (B, T * C)
            if tuple(found.shape) != wanted:
                last = " When one position is left, its dimension is removed." if n == T else ""
                return f"x {tuple(x.shape)} in groups of {n} becomes {tuple(found.shape)}; it should be {wanted}.{last}"
            rows, given = found.reshape(B, -1), x.reshape(B, -1)
            if not torch.equal(rows.sort(dim=1).values, given):
                return "Some numbers are in another example, or occur twice."
            if not torch.equal(rows, given):
                return (
                    f"The shape is right for groups of {n}, but the order is not: a group holds the vectors of "
                    "neighbouring positions, one whole vector after another."
                )
        return None

    return judge("flatten", flatten, problem)


def check_dilated(dilated: Any = None) -> bool | None:
    """Check dilated(x, W, d): x (B, T, C), W (2 C, H) -> (B, T - d, H), from the vectors at t - d and t."""

    def problem() -> str | None:
        generator = torch.Generator().manual_seed(7)
        for B, T, C, H, d in ((2, 6, 3, 4, 1), (3, 9, 2, 5, 4), (1, 8, 4, 3, 2)):
            x = torch.randn((B, T, C), generator=generator)
            W = torch.randn((2 * C, H), generator=generator)
            found = dilated(x, W, d)
            if not isinstance(found, torch.Tensor):
                return f"It returns {type(found).__name__}, and should return a tensor."
            if tuple(found.shape) != (B, T - d, H):
                return (
                    f"x {tuple(x.shape)}, W {tuple(W.shape)} and dilation {d} give {tuple(found.shape)}, "
                    f"and should give {(B, T - d, H)}: the first {d} positions have no output."
                )
            taps = W.view(2, C, H)
            if torch.allclose(found, _convolved(x, taps, d), atol=1e-5):
                continue
            if torch.allclose(found, _convolved(x, taps.flip(0), d), atol=1e-5):
                return "The two halves of W are swapped: its first C rows belong to the earlier position."
            if d > 1 and torch.allclose(found, _convolved(x, taps, 1)[:, : T - d], atol=1e-5):
                return f"It looks back 1 position, but the dilation is {d}."
            return f"The shape is right, but the numbers are not (dilation {d})."
        return None

    return judge("dilated", dilated, problem)


def _convolved(x: torch.Tensor, taps: torch.Tensor, d: int) -> torch.Tensor:
    """x (B, T, C), taps (2, C, H) -> (B, T - d, H)."""
    return F.conv1d(x.mT, taps.permute(2, 1, 0), dilation=d).mT


def check_receptive_field(field: Any = None) -> bool | None:
    """Check field(dilations, kernel): the number of input positions that the last output depends on."""

    def problem() -> str | None:
        for dilations, kernel in (((1,), 2), ((1, 2), 2), ((1, 2, 4, 1, 2, 4), 2), ((1, 3, 9), 3), ((5,), 4), ((), 2)):
            seen, found = _reached(dilations, kernel), field(dilations, kernel)
            if not isinstance(found, int):
                return f"It returns {found!r}, and should return a whole number."
            if found != seen:
                side = "too many" if found > seen else "too few"
                return (
                    f"Dilations {list(dilations)} with a kernel of {kernel} give {found}: {side}. Draw it, "
                    "and count the positions that each layer adds."
                )
        return None

    return judge("receptive field", field, problem)


def _reached(dilations: Sequence[int], kernel: int) -> int:
    """Size of the receptive field of the last output, followed tap by tap."""
    places = {0}
    for d in dilations:
        places = {place + d * tap for place in places for tap in range(kernel)}
    return max(places) + 1


def check_tree_parameters(count: Any = None) -> bool | None:
    """Check count(block_size, n_embd, n_hidden, n_vocab): the number of trained parameters of a tree with BatchNorm."""

    def problem() -> str | None:
        for block_size, n_embd, n_hidden, n_vocab in ((8, 10, 68, 27), (2, 3, 5, 7), (16, 24, 32, 27), (4, 8, 8, 27)):
            found = count(block_size, n_embd, n_hidden, n_vocab)
            layers = WaveNet(block_size=block_size, n_embd=n_embd, n_hidden=n_hidden).layers(n_vocab)
            sizes: dict[str, int] = {}
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
            omitted = {
                sizes["BatchNorm1d"]: "BatchNorm has a gain and a shift for every hidden unit",
                sizes["Embedding"]: "the embedding table is trained too",
                n_vocab: "the last layer has a bias",
            }
            surplus = {
                sizes["BatchNorm1d"]: "running means and variances are not trained",
                sizes["BatchNorm1d"] // 2: "a Linear before a BatchNorm has no bias",
            }
            hint = (omitted if found < wanted else surplus).get(abs(wanted - found), "Count layer by layer")
            return f"For {sizes_asked} it gives {found:,}: {side}. {hint[0].upper()}{hint[1:]}."
        return None

    return judge("parameters of a tree", count, problem)


def check_beat(run: Any = None, target: float = TARGET, corpus: Corpus | None = None) -> bool | None:
    """Check that a run of a net on the corpus has a val loss below the target; test is not evaluated."""

    def problem() -> str | None:
        if not isinstance(run, Run):
            return f"This is a {type(run).__name__}: give a run of moreish.train."
        if run.model.name not in NETS:
            return f"The exercise is about a net, and {run.model.name} is not one."
        if corpus is not None and run.corpus.data_hash != corpus.data_hash:
            return "The run has another list: losses on other words are not comparable."
        if other := _other_protocol(run.corpus, target):
            return other
        loss = evaluate(run.model, run.corpus, ["val"]).loss["val"]
        if not loss < target:
            return (
                f"val is {loss:.4f}, and should be below {target:.3f}. Compare it with train: does the net underfit or "
                "overfit?"
            )
        return None

    return judge(f"val below {target:.3f}", run, problem)


def _other_protocol(corpus: Corpus, target: float) -> str | None:
    """Return why a loss on this corpus is not comparable with the target; None if it is."""
    if (corpus.split, corpus.split_seed) != ("lecture", 42):
        return "The loss must be on the lecture split with seed 42: losses on other words are not comparable."
    if target == TARGET and len(corpus.words) != N_NAMES:
        return f"{TARGET} is the loss on the {N_NAMES:,} words of names.txt; this list has {len(corpus.words):,}."
    return None
