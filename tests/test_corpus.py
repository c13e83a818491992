"""Vocabulary, splits, streams and windows."""

import random

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given
from hypothesis import strategies as st

from moreish import Corpus, InputError, Vocab, bundled
from moreish.corpus.describe import describe
from moreish.corpus.split import split_words

WORDS = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1), min_size=6)


def lecture_windows(words: list[str], vocab: Vocab, block_size: int):
    """Contexts and targets as the lecture builds them: a sliding list of tokens, word by word."""
    X, Y = [], []
    for word in words:
        context = [0] * block_size
        for token in [*vocab.encode(word), 0]:
            X.append(context)
            Y.append(token)
            context = [*context[1:], token]
    return np.array(X), np.array(Y)


@given(WORDS, st.integers(1, 9))
def test_windows_are_those_of_the_lecture(words, block_size):
    corpus = Corpus(words)
    for part in corpus.parts:
        X, Y = corpus.windows(part, block_size)
        expected_x, expected_y = lecture_windows(corpus.parts[part], corpus.vocab, block_size)
        assert X.dtype == Y.dtype == np.int64
        np.testing.assert_array_equal(X, expected_x)
        np.testing.assert_array_equal(Y, expected_y)


@given(WORDS)
def test_streams_give_the_words_back(words):
    corpus = Corpus(words)
    stream = corpus.vocab.stream(words)
    assert stream.dtype == np.int32
    assert stream[0] == 0
    assert corpus.vocab.split(stream[1:]) == words


def test_the_lecture_split_is_the_shuffle_of_the_lines():
    words = made_up_words(103)
    expected = list(words)
    random.seed(42)
    random.shuffle(expected)
    parts = split_words(words)
    assert parts == {"train": expected[:82], "val": expected[82:92], "test": expected[92:]}


def test_the_distinct_split_keeps_the_parts_apart():
    words = made_up_words(300)
    parts = split_words(words, "distinct")
    assert sum(map(len, parts.values())) == len(set(words)) < len(words)
    assert set.union(*map(set, parts.values())) == set(words)


def test_a_list_too_short_to_split_is_refused():
    assert all(split_words(["a"] * 6).values())
    with pytest.raises(InputError, match="only 5 words"):
        split_words(["a"] * 5)
    with pytest.raises(InputError, match="only 1 different words"):
        split_words(["a"] * 50, "distinct")


def test_words_that_cannot_be_words_are_refused():
    for bad in ("", "a\nb"):
        with pytest.raises(InputError, match="word 3"):
            Corpus(["a", "b", bad, "c", "d", "e", "f"])


def test_the_end_token_is_no_character():
    vocab = Vocab("ab.")
    assert len(vocab) == 4
    assert vocab.encode(".ab") == [1, 2, 3]
    with pytest.raises(InputError, match="'x'"):
        vocab.encode("ax")


def test_marks_name_the_first_part_that_has_the_word():
    corpus = Corpus(made_up_words(60) + ["zz"])
    part = next(p for p in corpus.parts if "zz" in corpus.parts[p])
    assert corpus.mark("zz") == part
    assert corpus.mark("never") == "new"
    for word in corpus.parts["train"]:
        assert corpus.mark(word) == "train"


def test_the_bundled_names_are_what_they_say():
    names = bundled("names")
    assert len(set(names)) == len(names) >= 5000
    assert all(name.isascii() and name.isalpha() and name.islower() for name in names)
    with pytest.raises(InputError, match="did you mean names"):
        bundled("nmaes")


def test_a_description_counts_what_is_there_and_names_what_is_odd():
    words = ["Anna", "b2", "x y", "é", "anna", "anna", "w" * 50, "ab\u200bc"]
    found = describe(Corpus(words))
    assert (found["words"], found["distinct"], found["repeats"]) == (8, 7, 1)
    assert found["length"] == {"min": 1, "max": 50, "mean": sum(map(len, words)) / 8}
    odd = "\n".join(found["odd"])
    for expected in ("capital letters (the first: 'Anna')", "digits", "a space inside", "invisible", "more than 40"):
        assert expected in odd
    plain = describe(Corpus(made_up_words(200)))
    assert plain["odd"] == []
    assert 0 < plain["in_train"]["val"] <= 1
