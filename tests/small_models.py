"""Models of three letters: the probability of every short word can be computed one by one."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

import moreish

LETTERS = "abd"
LONGEST = 5
WORDS = ["".join(letters) for length in range(1, LONGEST + 1) for letters in product(LETTERS, repeat=length)]


MODELS = ("bigram-counts", "ngram", "order 1", "mlp 2", "mlp 12", "gru", "transformer", "bow", "mixture")
ENDLESS = ("mlp 12", "gru", "transformer", "bow")  # with more contexts than fit a table


def conditional(model: moreish.Model, prefix: str, options: dict[str, Any]) -> np.ndarray:
    """Return the probability to draw each token after a prefix, (V,)."""
    stream = np.array(
        [token for v in range(len(LETTERS) + 1) for token in (0, *model.vocab.encode(prefix), v)], np.int32
    )
    nll = model.nll(np.append(stream, 0).astype(np.int32))
    p = np.exp(-nll.reshape(len(LETTERS) + 1, -1)[:, len(prefix)])
    if not prefix:
        p[0] = 0
    p = p ** (1 / options.get("temperature", 1))
    order = np.argsort(-p, kind="stable")
    p[order[options.get("top_k") or len(p) :]] = 0
    p /= p.sum()
    if "top_p" in options:
        order = np.argsort(-p, kind="stable")
        p[order[np.searchsorted(np.cumsum(p[order]), options["top_p"]) + 1 :]] = 0
    return p / p.sum()


def written_out(model: moreish.Model, fits: Callable[[str], Any], head: str = "", **options: Any) -> dict[str, float]:
    """Return the probability of every short word that fits: the product over its characters after the head."""
    known: dict[str, np.ndarray] = {}

    def after(prefix: str) -> np.ndarray:
        if prefix not in known:
            known[prefix] = conditional(model, prefix, options)
        return known[prefix]

    found = {}
    for word in filter(fits, WORDS):
        p = after(word)[0]
        for i in range(len(head), len(word)):
            p *= after(word[:i])[model.vocab.encode(word[i])[0]]
        if p:
            found[word] = p
    return found
