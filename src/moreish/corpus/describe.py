"""What a list of words is like."""

from dataclasses import asdict
from typing import Any

from .cleaning import oddities
from .corpus import Corpus
from .split import FEWEST
from .wordlist import WordList


def describe(words: WordList) -> dict[str, Any]:
    """Counts, alphabet, lengths, what is odd; and for a list long enough to be split, how its parts share words."""
    distinct = len(words.distinct())
    found = {
        "words": len(words),
        "distinct": distinct,
        "repeats": len(words) - distinct,
        "alphabet": "".join(words.character_counts()),
        "length": {
            "min": int(words.lengths.min()),
            "max": int(words.lengths.max()),
            "mean": words.n_characters / len(words),
        },
        "odd": [{**asdict(oddity), "message": oddity.message} for oddity in oddities(words)],
        "parts": {},
        "tokens": {},
        "in_train": {},
    }
    if len(words) >= FEWEST:
        corpus = Corpus(words)
        for part, listed in corpus.parts.items():
            found["parts"][part] = len(listed)
            found["tokens"][part] = listed.n_characters + len(listed)
        found["in_train"] = {part: float(corpus.stand_in_train(part).mean()) for part in ("val", "test")}
    return found
