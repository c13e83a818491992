"""The table of pairs of characters: their counts in the list, what the model expects, and the words behind a cell."""

from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ...analysis.pairs import expected_pairs, frequent, pair_counts, words_with_pair
from ...corpus import Vocab
from ..snapshot import Snapshot
from .numbers import table
from .words import LONGEST, drawn_words

MOST_TOKENS = 30  # rows of the table
READ_TOKENS = 1 << 13  # of train words, about, that the model reads
LISTED_WORDS, DRAWN_WORDS = 12, 200

Character = Annotated[str, Field(max_length=1)]


def pairs(snapshot: Snapshot) -> dict[str, Any]:
    """Return the table of pairs for the most frequent characters: rows the character before, columns the next one.

    characters      of the rows and columns, "" first: the start and the end of a word
    others          number of characters of the list that are not shown
    counts          of each pair in the train words, by their weights
    list            probability of the next character, given the one before: the relative counts of train pairs
    model           the same for the model: its mean probability of the next character, over the places of the train
                    words that it has read. It knows all of its context there, so this is not its own pairs drawn freely
    read, words     numbers of train words that the model has read, and of all
    """
    run, kept = snapshot.run, snapshot.bench.kept
    corpus, vocab = run.corpus, run.model.vocab
    with snapshot.bench.lock:
        if "pairs" not in kept:
            tokens = frequent(corpus, MOST_TOKENS)
            stream = corpus.stream("train")
            counted = pair_counts(stream, tokens, len(vocab), corpus.weights("train"))
            with np.errstate(invalid="ignore"):
                shares = counted[:, :-1] / counted.sum(1, keepdims=True)
            facts = {
                "characters": ["" if token == 0 else vocab.characters[token - 1] for token in tokens],
                "others": len(vocab) - len(tokens),
                "counts": table(counted[:, :-1], 0),
                "list": table(shares),
                "words": int(np.count_nonzero(stream[1:] == 0)),
            }
            kept["pairs"] = tokens, facts
    tokens, facts = kept["pairs"]
    expected, n_words = expected_pairs(run.model, corpus, tokens, READ_TOKENS)
    return {**facts, "model": table(expected), "read": n_words}


def pair(snapshot: Snapshot, *, before: Character, after: Character, seed: int = 42) -> dict[str, Any]:
    """Return words with a pair of characters; "" is the start of a word before another, and the end after one.

    words, of, times    some train words with the pair, how many have it, and how often it occurs in them
    drawn, among        words with the pair, among so many drawn with the present weights

    Raises InputError for a character that the list does not have.
    """
    run = snapshot.run
    vocab = run.model.vocab
    words, of, times = words_with_pair(run.corpus, _token(vocab, before), _token(vocab, after), LISTED_WORDS)
    drawn = [word for word, _ in drawn_words(run.model, DRAWN_WORDS, seed) if _has(word, before, after)]
    return {"words": words, "of": of, "times": times, "drawn": drawn[:LISTED_WORDS], "among": DRAWN_WORDS}


def _token(vocab: Vocab, character: str) -> int:
    return vocab.encode(character)[0] if character else 0


def _has(word: str, before: str, after: str) -> bool:
    end = [""] if len(word) < LONGEST else []  # a longer word was cut off before its end
    return (before, after) in pairwise(["", *word, *end])
