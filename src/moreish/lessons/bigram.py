"""Checks for lesson 1: trigrams, smoothing and indexing."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..training.train import train
from .feedback import NoAnswer, feedback, missing, number_feedback

END = "."


def check_trigrams(counts: Any, words: Sequence[str]) -> bool | None:
    """Check counts (V, V, V): counts[a, b, c] is how often c follows the pair a, b.

    Token 0 is the end of a word; the others are in alphabetical order.
    """
    exercise = "trigram counts"
    if missing(counts):
        return feedback(exercise, NoAnswer("There are no counts yet."))
    found = np.asarray(counts)
    alphabet = END + "".join(sorted(set("".join(words))))
    V = len(alphabet)
    if found.shape != (V, V, V):
        return feedback(exercise, f"The shape is {found.shape}, and should be {(V, V, V)}: an axis for each token.")
    stoi = {c: i for i, c in enumerate(alphabet)}
    wanted = np.zeros((V, V, V), np.int64)
    for (a, b, c), n in Counter(_windows(words, 3)).items():
        wanted[stoi[a], stoi[b], stoi[c]] = n
    total = int(found.sum())
    if total != wanted.sum():
        where = "fewer" if total < wanted.sum() else "more"
        return feedback(exercise, f"You counted {where} windows than there are characters and ends of words.")
    if not (found[0, 0] == wanted[0, 0]).all():
        return feedback(exercise, "counts[0, 0] is wrong: the first character of a word follows two end tokens.")
    if not (found == wanted).all():
        return feedback(exercise, "The total is right, but some counts are misplaced: look at the order of the axes.")
    return feedback(exercise, None)


def check_trigram_losses(of_train: Any, of_val: Any, corpus: Corpus) -> bool | None:
    """Check the losses in nats on train and val of trigrams counted on train, with 1 added to each count."""
    exercise = "losses of trigrams"
    if missing(of_train) or missing(of_val):
        return feedback(exercise, NoAnswer("Give two numbers, in nats."))
    wanted = train(corpus, "ngram", order=3, smoothing="additive", added=1.0).loss
    hint = "Count in the train words only, and average over all characters and ends of words."
    return number_feedback(f"{exercise}, train", of_train, wanted["train"], 5e-4, hint) and number_feedback(
        f"{exercise}, val", of_val, wanted["val"], 5e-4, hint
    )


def check_tuned_smoothing(added: Any, loss: Callable[[float], float]) -> bool | None:
    """Check the number to add to every count that minimises `loss`, a function of it (val, in nats)."""
    exercise = "tuned smoothing"
    if missing(added):
        return feedback(exercise, NoAnswer("Choose a number."))
    tried = [10 ** (k / 10) for k in range(-40, 41)]
    least = min(loss(x) for x in tried)
    if not float(added) > 0:
        return feedback(exercise, "With nothing added, a trigram that was never seen is impossible.")
    return number_feedback(exercise, loss(float(added)), least, 2e-4, "Another amount gives a lower val loss.")


def check_index_for_one_hot(function: Any, weights: Any) -> bool | None:
    """Check that function(W, tokens) equals one-hot rows of the tokens times W."""
    exercise = "indexing for one-hot"
    if missing(function):
        return feedback(exercise, NoAnswer("There is no function yet."))
    tokens = type(weights)([3, 0, 3, 1]).long() if hasattr(weights, "long") else np.array([3, 0, 3, 1])
    found = function(weights, tokens)
    if missing(found):
        return feedback(exercise, NoAnswer("The function returns nothing yet."))
    if tuple(found.shape) != (4, weights.shape[1]):
        return feedback(exercise, f"The shape is {tuple(found.shape)}: return a row of W for each of the 4 tokens.")
    one_hot = np.eye(len(weights))[[3, 0, 3, 1]]
    wanted = one_hot @ np.asarray(weights.detach() if hasattr(weights, "detach") else weights, np.float64)
    right = np.allclose(np.asarray(found.detach() if hasattr(found, "detach") else found), wanted, atol=1e-6)
    return feedback(exercise, None if right else "These are the rows of other tokens.")


def _windows(words: Sequence[str], n: int):
    for word in words:
        padded = END * (n - 1) + word + END
        for i in range(len(padded) - n + 1):
            yield padded[i : i + n]
