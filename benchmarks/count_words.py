"""Count and smooth the words of a file, and write the model beside it: the process that benchmarks/counting.py times.

python benchmarks/count_words.py WORDS ORDER THREADS
"""

import sys
from collections.abc import Iterable

import numpy as np

from moreish import read_words, set_threads
from moreish.corpus import Vocab, WordList
from moreish.ngram import count_tables, smoothed

SMOOTHING = "kneser-ney"
WORDS_AT_A_TIME = 1 << 16


def count(path: str, order: int) -> None:
    """Count the words of a file up to an order and smooth the counts as published, from words with one start."""
    words = read_words(path)
    vocab = Vocab(words.character_counts())
    streams = in_streams(vocab, words)
    del words  # they are freed when they are counted
    tables = count_tables(streams, order, len(vocab), padded=False)
    no_val = np.zeros(1, np.int32)
    np.savez(f"{path}.{order}.npz", allow_pickle=False, **smoothed(tables, SMOOTHING, 0.0, no_val))


def in_streams(vocab: Vocab, words: WordList) -> Iterable[np.ndarray]:
    """Yield the tokens of some thousand words at a time."""
    for first in range(0, len(words), WORDS_AT_A_TIME):
        yield vocab.stream(words[first : first + WORDS_AT_A_TIME])


if __name__ == "__main__":
    set_threads(int(sys.argv[3]))
    count(sys.argv[1], int(sys.argv[2]))
