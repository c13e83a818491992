"""The exercises of 01_bigram."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..training.train import train
from .verdict import NoAnswer, near, verdict

END = "."


def check_trigrams(counts: Any, words: Sequence[str]) -> bool | None:
    """counts[a, b, c] is how often c comes after the pair a, b: an array of (V, V, V), token 0 the end, the others in
    the order of the alphabet."""
    what = "trigram counts"
    if counts is None or counts is Ellipsis:
        return verdict(what, NoAnswer("Nothing is counted."))
    found = np.asarray(counts)
    alphabet = END + "".join(sorted(set("".join(words))))
    V = len(alphabet)
    if found.shape != (V, V, V):
        return verdict(what, f"The shape is {found.shape}: three tokens of {V} each make three axes.")
    stoi = {c: i for i, c in enumerate(alphabet)}
    wanted = np.zeros((V, V, V), np.int64)
    for (a, b, c), n in Counter(_windows(words, 3)).items():
        wanted[stoi[a], stoi[b], stoi[c]] = n
    total = int(found.sum())
    if total != wanted.sum():
        where = "fewer" if total < wanted.sum() else "more"
        return verdict(what, f"There are {where} windows counted than characters and ends of words to predict.")
    if not (found[0, 0] == wanted[0, 0]).all():
        return verdict(what, "The first character of a word comes after two ends: counts[0, 0] is off.")
    if not (found == wanted).all():
        return verdict(what, "The total is right, but some windows stand elsewhere: look at the order of the axes.")
    return verdict(what, None)


def check_trigram_losses(of_train: Any, of_val: Any, corpus: Corpus) -> bool | None:
    """The losses in nats of the train and the val words, by trigrams counted in the train words, 1 added to each."""
    what = "losses of trigrams"
    if any(loss is None or loss is Ellipsis for loss in (of_train, of_val)):
        return verdict(what, NoAnswer("Two numbers are asked for, in nats."))
    wanted = train(corpus, "ngram", order=3, smoothing="additive", added=1.0).loss
    hint = "Every character and every end of a word counts, and what is counted are train words alone."
    return near(f"{what}, train", of_train, wanted["train"], 5e-4, hint) and near(
        f"{what}, val", of_val, wanted["val"], 5e-4, hint
    )


def check_tuned_smoothing(added: Any, loss: Callable[[float], float]) -> bool | None:
    """added is the number to add to every count, at which `loss` (of the val words, in nats) is least."""
    what = "tuned smoothing"
    if added is None or added is Ellipsis:
        return verdict(what, NoAnswer("Nothing is chosen."))
    tried = [10 ** (k / 10) for k in range(-40, 41)]
    least = min(loss(x) for x in tried)
    if not float(added) > 0:
        return verdict(what, "With nothing added, a pair that was never seen is impossible.")
    return near(what, loss(float(added)), least, 2e-4, "Another amount gives less on the val words.")


def check_index_for_one_hot(function: Any, weights: Any) -> bool | None:
    """function(W, tokens) gives what one-hot rows of the tokens times W give, without making any one-hot row."""
    what = "indexing for one-hot"
    if function is None or function is Ellipsis:
        return verdict(what, NoAnswer("There is no function."))
    tokens = type(weights)([3, 0, 3, 1]).long() if hasattr(weights, "long") else np.array([3, 0, 3, 1])
    found = function(weights, tokens)
    if found is None or found is Ellipsis:
        return verdict(what, NoAnswer("The function returns nothing."))
    if tuple(found.shape) != (4, weights.shape[1]):
        return verdict(what, f"The shape is {tuple(found.shape)}: a row of W for each of the 4 tokens is wanted.")
    one_hot = np.eye(len(weights))[[3, 0, 3, 1]]
    wanted = one_hot @ np.asarray(weights.detach() if hasattr(weights, "detach") else weights, np.float64)
    right = np.allclose(np.asarray(found.detach() if hasattr(found, "detach") else found), wanted, atol=1e-6)
    return verdict(what, None if right else "The rows are those of other tokens.")


def _windows(words: Sequence[str], n: int):
    for word in words:
        padded = END * (n - 1) + word + END
        for i in range(len(padded) - n + 1):
            yield padded[i : i + n]
