"""Checks for lesson 8: back-off, leaving one out, mixtures, memorisation, and a loss to beat."""

import math
from collections import Counter
from statistics import fmean
from typing import Any

import torch

from ..corpus import Corpus
from ..evaluation import evaluate
from ..models import Mixture, NGram
from ..models.config import ModelConfig
from ..training.run import Run
from ..training.train import train
from .feedback import judge, missing

WORDS = ["anna", "anne", "hanna", "annabel", "bela", "abel", "ella", "nella", "ana", "lena", "elena", "hal"]


def check_back_off(back_off: Any = None) -> bool | None:
    """Check back_off(n, D, below): counts n (V,), discount D, probabilities below (V,) -> probabilities (V,)."""

    def problem() -> str | None:
        generator = torch.Generator().manual_seed(3)
        for n, D in (([4.0, 0, 1, 0, 2], 0.75), ([0.0, 1, 0], 0.5), ([7.0, 2, 0, 3], 0.9), ([1.0, 0, 0, 0, 0, 1], 0.3)):
            counts = torch.tensor(n, dtype=torch.float64)
            below = torch.rand(len(n), generator=generator, dtype=torch.float64).add(0.1)
            below /= below.sum()
            found = _tensor(back_off(counts.clone(), D, below.clone()))
            if tuple(found.shape) != (len(n),):
                return f"The shape is {tuple(found.shape)}, and should be {(len(n),)}: one number for each character."
            seen = counts > 0
            kept = (counts[seen] - D) / counts.sum()
            if not torch.allclose(found[seen], kept):
                return (
                    "The characters that were seen should keep (n - D) / N, and get nothing from the shorter context."
                )
            if not math.isclose(found.sum().item(), 1, rel_tol=1e-6):
                return (
                    f"The probabilities add up to {found.sum():.4f}. How much is left once the seen ones have theirs?"
                )
            if not torch.allclose(found[~seen] / found[~seen].sum(), below[~seen] / below[~seen].sum()):
                return "The unseen characters should share the rest in proportion to their probabilities in `below`."
        return None

    return judge("back-off", back_off, problem)


def check_share_of_new(share: Any = None) -> bool | None:
    """Check share(rows): rows {context: Counter of characters} -> the share of tokens whose n-gram was counted once."""

    def problem() -> str | None:
        for k in (0, 1, 2, 4):
            tokens = [(word[:i][-k:] if k else "", (word + ".")[i]) for word in WORDS for i in range(len(word) + 1)]
            rows: dict[str, Counter[str]] = {}
            for h, c in tokens:
                rows.setdefault(h, Counter())[c] += 1
            new = 0
            for i in range(len(tokens)):  # by leaving one out
                new += tokens[i] not in tokens[:i] + tokens[i + 1 :]
            found = float(share(rows))
            if math.isclose(found, new / len(tokens), rel_tol=1e-9):
                continue
            different = sum(len(row) for row in rows.values())
            if math.isclose(found, new / different, rel_tol=1e-9):
                return "This is the share of the different n-grams. What is the share of all tokens?"
            if math.isclose(found, different / len(tokens), rel_tol=1e-9):
                return "Each different n-gram was new when it first came. Which are new if only one token is missing?"
            side = "too high" if found > new / len(tokens) else "too low"
            return f"For {len(tokens)} tokens of {len(WORDS)} words, {found:.4f} is {side}."
        return None

    return judge("share of new n-grams", share, problem)


def check_log_linear(log_linear: Any = None) -> bool | None:
    """Check log_linear(logs, w): logs (models, N, V), w (models,) -> normalised logs (N, V)."""

    def problem() -> str | None:
        generator = torch.Generator().manual_seed(8)
        for models, N, V, size in ((2, 4, 5, 1.0), (3, 2, 27, 1.0), (1, 3, 4, 1.0), (2, 3, 6, 400.0)):
            logs = torch.randn((models, N, V), generator=generator, dtype=torch.float64).mul(size).log_softmax(-1)
            w = torch.rand(models, generator=generator, dtype=torch.float64) + 0.3
            found = _tensor(log_linear(logs.clone(), w.clone()))
            if tuple(found.shape) != (N, V):
                return f"The shape is {tuple(found.shape)}, and should be {(N, V)}."
            if not found.isfinite().all():
                return "Some numbers are not finite. Can you do without the probabilities, which may be too small?"
            sums = found.exp().sum(-1)
            if not torch.allclose(sums, torch.ones(N, dtype=torch.float64)):
                return f"The probabilities of a row add up to {sums[0]:.4f}, and should add up to 1."
            wanted = (w[:, None, None] * logs).sum(0).log_softmax(-1)
            if torch.allclose(found, wanted):
                continue
            if torch.allclose(found, (w[:, None, None] * logs.exp()).sum(0).log() - w.sum().log()):
                return "This adds the probabilities, weighted. The exercise multiplies powers of them."
            return "The rows add up to 1, but the numbers are not the product of the powers."
        return None

    return judge("log-linear mixture", log_linear, problem)


def check_exact_ratio(ratio: Any = None) -> bool | None:
    """Check ratio(model, train_words, held_out_words): the mean probability of the ones over that of the others."""

    def problem() -> str | None:
        model = train(Corpus(WORDS * 4), "ngram", order=3, smoothing="witten-bell").model

        def logs(words: list[str]) -> list[float]:
            return [-sum(model.score(word).per_char) for word in words]

        for some, others in ((["anna", "hanna", "hal"], ["bela", "nell"]), (["ella"], ["abel", "lena", "ab", "h"])):
            means = [fmean(map(math.exp, logs(words))) for words in (some, others)]
            found = float(ratio(model, some, others))
            if math.isclose(found, means[0] / means[1], rel_tol=1e-4):
                continue
            if math.isclose(found, means[1] / means[0], rel_tol=1e-4):
                return "This is the ratio upside down."
            if math.isclose(found, means[0] * len(some) / (means[1] * len(others)), rel_tol=1e-4):
                return "This is a ratio of sums. There are more words of one kind than of the other."
            if math.isclose(found, math.exp(fmean(logs(some)) - fmean(logs(others))), rel_tol=1e-4):
                return "This takes the mean of the logarithms. How often a word is drawn is its probability."
            by_token = [fmean(math.exp(-model.score(word).nll) for word in words) for words in (some, others)]
            if math.isclose(found, by_token[0] / by_token[1], rel_tol=1e-4):
                return "This takes the mean loss of the tokens. The probability of a word is a product over them."
            return f"{found:.4f} is {'too high' if found > means[0] / means[1] else 'too low'}."
        return None

    return judge("exact memorisation ratio", ratio, problem)


def check_counted(run: Any = None, target: float = math.inf, corpus: Corpus | None = None) -> bool | None:
    """Check that a run of counts alone on the corpus has a val loss below the target; test is not evaluated."""
    exercise = f"counts with a val loss below {target:.4f}"

    def problem() -> str | None:
        if not isinstance(run, Run):
            return f"This is a {type(run).__name__}: give a run of moreish.train or moreish.mix."
        if not _counted(run.model.config):
            return f"The exercise is about counts alone, and this run is or contains another model ({run.model.name})."
        if corpus is not None and run.corpus.identity != corpus.identity:
            return "The run has another list or split, so it may have been trained on words of val."
        found = evaluate(run.model, run.corpus, ["val"]).loss["val"]
        if found < target:
            return None
        return f"The val loss is {found:.4f}. Which two models are good in different places?"

    return judge(exercise, run, problem)


def _counted(config: ModelConfig) -> bool:
    """True for an n-gram model, and for a mixture of nothing else."""
    if isinstance(config, Mixture):
        return all(_counted(part) for part in config.configs)
    return isinstance(config, NGram)


def _tensor(found: Any) -> torch.Tensor:
    if missing(found):
        raise TypeError("it returns nothing, and should return a tensor")
    return torch.as_tensor(found, dtype=torch.float64)
