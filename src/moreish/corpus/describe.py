"""Description of a word list: counts, alphabet, lengths, issues, and a preview of its split."""

from dataclasses import asdict
from typing import Any

import numpy as np

from .cleaning import issues
from .corpus import Corpus
from .split import MIN_WORDS
from .wordlist import WordList


def describe(words: WordList) -> dict[str, Any]:
    """Describe a list; "parts", "tokens" and "in_train" are empty for a list too short to be split.

    "weights" is the sum of all weights, None if the list has none; "labels" counts the words of each label. "odd" is an
    older name of "issues".
    """
    distinct = len(words.distinct())
    found_issues = [{**asdict(issue), "message": issue.message} for issue in issues(words)]
    described: dict[str, Any] = {
        "words": len(words),
        "distinct": distinct,
        "repeats": len(words) - distinct,
        "alphabet": "".join(words.character_counts()),
        "length": {
            "min": int(words.lengths.min()),
            "max": int(words.lengths.max()),
            "mean": words.n_characters / len(words),
        },
        "weights": None if words.weights is None else float(words.weights.sum()),
        "labels": _label_counts(words),
        "issues": found_issues,
        "odd": found_issues,
        "parts": {},
        "tokens": {},
        "in_train": {},
    }
    if len(words) >= MIN_WORDS:
        corpus = Corpus(words)
        for part, listed in corpus.parts.items():
            described["parts"][part] = len(listed)
            described["tokens"][part] = listed.n_characters + len(listed)
        described["in_train"] = {part: float(corpus.stand_in_train(part).mean()) for part in ("val", "test")}
    return described


def _label_counts(words: WordList) -> dict[str, int]:
    if words.labels is None:
        return {}
    counts = np.bincount(words.labels, minlength=len(words.label_names))
    return dict(zip(words.label_names, counts.tolist(), strict=True))
