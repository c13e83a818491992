"""What a list of words is like."""

from dataclasses import asdict
from typing import Any

from .corpus import Corpus
from .oddities import oddities


def describe(corpus: Corpus) -> dict[str, Any]:
    """Counts, alphabet, lengths, repeats across the split, and what is odd."""
    words, parts = corpus.words, corpus.parts
    distinct = len(words.distinct())
    return {
        "words": len(words),
        "distinct": distinct,
        "repeats": len(words) - distinct,
        "parts": {part: len(ws) for part, ws in parts.items()},
        "tokens": {part: ws.n_characters + len(ws) for part, ws in parts.items()},
        "in_train": {part: corpus.in_train(part) for part in ("val", "test")},
        "alphabet": corpus.vocab.characters,
        "length": {
            "min": int(words.lengths.min()),
            "max": int(words.lengths.max()),
            "mean": words.n_characters / len(words),
        },
        "odd": [{**asdict(oddity), "message": oddity.message} for oddity in oddities(words)],
    }
