"""Models of three letters, whose short words can be written out with their probabilities."""

from itertools import product
from typing import Any

import numpy as np

import moreish

LETTERS = "abd"
LONGEST = 5
WORDS = ["".join(letters) for length in range(1, LONGEST + 1) for letters in product(LETTERS, repeat=length)]


MODELS = ("bigram-counts", "ngram", "order 1", "mlp 2", "mlp 12", "mixture")


def conditional(model: moreish.Model, prefix: str, chances: dict[str, Any]) -> np.ndarray:
    """The probabilities of every token after a prefix (V,), as they are drawn by."""
    stream = np.array(
        [token for v in range(len(LETTERS) + 1) for token in (0, *model.vocab.encode(prefix), v)], np.int32
    )
    nll = model.nll(np.append(stream, 0).astype(np.int32))
    p = np.exp(-nll.reshape(len(LETTERS) + 1, -1)[:, len(prefix)])
    if not prefix:
        p[0] = 0
    p = p ** (1 / chances.get("temperature", 1))
    order = np.argsort(-p, kind="stable")
    p[order[chances.get("top_k") or len(p) :]] = 0
    p /= p.sum()
    if "top_p" in chances:
        order = np.argsort(-p, kind="stable")
        p[order[np.searchsorted(np.cumsum(p[order]), chances["top_p"]) + 1 :]] = 0
    return p / p.sum()


def written_out(model: moreish.Model, fits, head: str = "", **chances: Any) -> dict[str, float]:
    """The probability of every short word that fits, by multiplying those of its characters after the head."""
    known: dict[str, np.ndarray] = {}

    def after(prefix: str) -> np.ndarray:
        if prefix not in known:
            known[prefix] = conditional(model, prefix, chances)
        return known[prefix]

    found = {}
    for word in filter(fits, WORDS):
        p = after(word)[0]
        for i in range(len(head), len(word)):
            p *= after(word[:i])[model.vocab.encode(word[i])[0]]
        if p:
            found[word] = p
    return found
