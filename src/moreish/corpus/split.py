"""Splitting a list: 80% train, 10% val and 10% test."""

import random
from array import array
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from ..errors import InputError, unknown
from .mapped import MappedWords, hashes, mix_bits
from .wordlist import WordList

PARTS = ("train", "val", "test")
SPLITS = ("lecture", "distinct", "hash")
MIN_WORDS = 6  # fewer leave a part empty
HASH_BITS = 64
SORTED_BITS = 4  # hashes that begin with the same bits are sorted at a time


def split_words(words: WordList, how: str = "lecture", seed: int = 42) -> dict[str, np.ndarray]:
    """Split words into train, val and test, 80/10/10: the places of each part's words, in shuffled order.

    lecture     shuffle the lines in file order with `random.Random(seed)` and cut, as for published results on
                names.txt. A repeated word may be in several parts.
    distinct    drop repeats first: no word of val or test is in train
    hash        put a word, with all its repeats, where its hash says, and sort each part by the hash. So a word is in
                the same part of every list, and the parts do not depend on the order of the list. The sizes are about
                80/10/10

    A list with weights or labels is always split by its different words, so that no word of val or test is in train:
    all lines of a word, with their different labels, are in one part, one after another.

    Raises InputError if a part would be empty.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    if words.has_columns and how != "hash":
        return _split_lines(words, seed)
    if isinstance(words, MappedWords):

        def fill(new: Callable[[int], np.ndarray]) -> None:
            places = _shuffled(words, how, seed)
            new(len(places))[:] = places

        places = words.cached_array(f"places-{how}-{seed}.i4", fill)
    else:
        places = _shuffled(words, how, seed)
    n = len(places)
    if how == "hash":
        return _cut_by_hash(words, places, seed)
    check_number(n, "different " if how == "distinct" else "")
    return dict(zip(PARTS, np.split(places, _cuts(n)), strict=True))


def _split_lines(words: WordList, seed: int) -> dict[str, np.ndarray]:
    """Split the different words of a list, and return the places of all lines of each part's words."""
    shuffled = _shuffled(words, "distinct", seed)
    n = len(shuffled)
    check_number(n, "different ")
    rank = np.empty(len(words), np.int32)
    rank[shuffled] = np.arange(n)
    rank = rank[words.first_places]  # of the word of each line
    lines = np.argsort(rank, kind="stable")
    return dict(zip(PARTS, np.split(lines, np.searchsorted(rank[lines], _cuts(n))), strict=True))


def _cuts(n: int) -> list[int]:
    """Return where val and test begin among n words."""
    return [int(0.8 * n), int(0.9 * n)]


def check_number(n: int, kind: str = "") -> None:
    """Raise InputError if n words would leave a part empty."""
    if not 0 < int(0.8 * n) < int(0.9 * n) < n:
        what = kind + ("word" if n == 1 else "words")
        raise InputError(
            f"the list has {n} {what}: at least {MIN_WORDS} are needed to split it into train, val and test"
        )


def _shuffled(words: WordList, how: str, seed: int) -> np.ndarray:
    """Return the places of the words to split, in shuffled order."""
    if how == "hash":
        return _sorted_by_hash(words, seed)
    distinct = words.distinct() if how == "distinct" else None
    n = len(words) if distinct is None else len(distinct)
    shuffled = array("i", range(n))  # a list of integers would take ten times the memory
    random.Random(seed).shuffle(shuffled)  # the order depends only on n
    places = np.frombuffer(shuffled, np.intc)
    return places if distinct is None else distinct[places]


def _sorted_by_hash(words: WordList, seed: int) -> np.ndarray:
    """Return the places of all words in the order of their hashes, int32 (n,); repeats of a word stay in list order."""
    found, places, end = word_hashes(words, seed), np.empty(len(words), np.int32), 0
    for first in range(1 << SORTED_BITS):  # a part at a time, because sorting takes memory
        here = np.flatnonzero(found >> np.uint64(HASH_BITS - SORTED_BITS) == first)
        places[end : end + len(here)] = here[np.argsort(found[here], kind="stable")]
        end += len(here)
    return places


def _cut_by_hash(words: WordList, places: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Cut places that are sorted by hash into parts. Raises InputError if one is empty."""

    def hash_at(i: int) -> int:
        return int(word_hashes(words[places[i : i + 1]], seed)[0])

    cuts = [bisect_left(range(len(places)), cut, key=hash_at) for cut in _cuts(1 << HASH_BITS)]
    parts: dict[str, np.ndarray] = dict(zip(PARTS, np.split(places, cuts), strict=True))
    for part, here in parts.items():
        if not len(here):
            raise InputError(
                f"the hash split leaves {part} empty, as the list has only {len(words):,} words: give a longer list, "
                "another --split-seed, or --split distinct"
            )
    return parts


def word_hashes(words: WordList, seed: int) -> np.ndarray:
    """Hash each word with a seed: uint64 (n,). The hash depends on the characters alone."""
    found = np.empty(len(words), np.uint64)
    end = 0
    for chunk in words.chunks():
        codes = np.frombuffer(chunk.encode("utf-32-le"), np.uint32)
        tokens = np.where(codes == ord("\n"), 0, codes + 1)  # 0 ends a word, and may be a character of it
        of_chunk = hashes(np.concatenate([[0], tokens]))
        found[end : end + len(of_chunk)] = of_chunk
        end += len(of_chunk)
    found += np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << HASH_BITS))
    mix_bits(found)
    return found
