"""What a list of words is like, and what is odd about it."""

from collections import Counter

from .corpus import Corpus

LONG = 40  # characters: a line longer than this is hardly a word
RARE = 3  # occurrences: a character seen no more often than this cannot be learnt


def describe(corpus: Corpus) -> dict:
    """Counts, alphabet, lengths, repeats across the split, and a line for each thing that is odd."""
    words, parts = corpus.words, corpus.parts
    lengths = [len(word) for word in words]
    distinct = set(words)
    train = set(parts["train"])
    return {
        "words": len(words),
        "distinct": len(distinct),
        "repeats": len(words) - len(distinct),
        "parts": {part: len(ws) for part, ws in parts.items()},
        "tokens": {part: corpus.stream(part).size - 1 for part in parts},
        "in_train": {part: sum(w in train for w in parts[part]) / len(parts[part]) for part in ("val", "test")},
        "alphabet": corpus.vocab.characters,
        "length": {"min": min(lengths), "max": max(lengths), "mean": sum(lengths) / len(lengths)},
        "odd": list(_oddities(words)),
    }


def _oddities(words: list[str]):
    counts = Counter()
    for word in words:
        counts.update(word)
    kinds = {
        "hold capital letters": str.isupper,
        "hold digits": str.isdigit,
        "hold a space inside": str.isspace,
        "hold control or invisible characters": lambda c: not c.isprintable() and not c.isspace(),
    }
    for what, test in kinds.items():
        characters = {c for c in counts if test(c)}
        having = [word for word in words if not characters.isdisjoint(word)] if characters else []
        if having:
            yield f"{len(having):,} words {what} (the first: {having[0]!r})"
    long = [word for word in words if len(word) > LONG]
    if long:
        yield f"{len(long):,} words have more than {LONG} characters (the first: {long[0][:LONG]!r}...)"
    rare = sorted(c for c, n in counts.items() if n <= RARE)
    if rare:
        shown = " ".join(rare[:30]) + (" ..." if len(rare) > 30 else "")
        yield f"{len(rare):,} characters occur {RARE} times or fewer: {shown}"
