"""Vocabulary, splits, streams and windows."""

import random
import unicodedata
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from unittest import mock

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given
from hypothesis import strategies as st

from moreish import Corpus, InputError, Vocab, bundled
from moreish.corpus import BUNDLED, ListOptions, WordList
from moreish.corpus.reading import parse_words

WORDS = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1), min_size=6)


def lecture_windows(words: Sequence[str], vocab: Vocab, block_size: int):
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
    assert corpus.vocab.split(stream[1:]) == corpus.words == [unicodedata.normalize("NFC", word) for word in words]


def test_the_lecture_split_is_the_shuffle_of_the_lines():
    words = made_up_words(103)
    expected = list(words)
    random.seed(42)
    random.shuffle(expected)
    assert Corpus(words).parts == {"train": expected[:82], "val": expected[82:92], "test": expected[92:]}


def test_the_distinct_split_is_that_shuffle_without_repeats():
    words = made_up_words(300)
    expected = list(dict.fromkeys(words))
    random.Random(7).shuffle(expected)
    parts = Corpus(words, "distinct", 7).parts
    n = len(expected)
    assert n < len(words)
    assert parts == {"train": expected[: int(0.8 * n)], "val": expected[int(0.8 * n) : int(0.9 * n)],
                     "test": expected[int(0.9 * n) :]}  # fmt: skip
    assert not set(parts["train"]) & set(parts["val"])


def test_a_list_too_short_to_split_is_refused():
    assert all(map(len, Corpus(["a"] * 6).parts.values()))
    with pytest.raises(InputError, match="the list has 5 words: at least 6 are needed to split it"):
        Corpus(["a"] * 5)
    with pytest.raises(InputError, match="the list has 1 different word:"):
        Corpus(["a"] * 50, "distinct")


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


def test_marks_do_not_depend_on_a_hash_alone(monkeypatch):
    """Words whose hashes are equal are told apart."""
    import moreish.corpus.wordlist as home

    monkeypatch.setattr(home, "hash", lambda word: len(word), raising=False)
    words = made_up_words(80)
    corpus = Corpus(words)
    assert corpus.words.distinct().tolist() == [i for i, word in enumerate(words) if word not in words[:i]]
    for part in ("val", "test"):
        for word in corpus.parts[part]:
            first = next(p for p in ("train", "val", "test") if word in list(corpus.parts[p]))
            assert corpus.mark(word) == first
        shared = sum(word in set(corpus.parts["train"]) for word in corpus.parts[part])
        assert corpus.stand_in_train(part).mean() == shared / len(corpus.parts[part])
    assert corpus.mark("zzzz") == "new"


@given(WORDS, st.data())
def test_a_word_list_is_a_sequence(words, data):
    words = [unicodedata.normalize("NFC", word) for word in words]
    listed = WordList.of(words)
    assert list(listed) == words == listed
    assert listed.n_characters == sum(map(len, words))
    assert WordList.of_text(listed.text) == words
    i = data.draw(st.integers(-len(words), len(words) - 1))
    assert listed[i] == words[i]
    assert listed[i:] == words[i:] == WordList.of(listed[i:])
    assert "".join(listed.chunks()) == listed.text
    assert listed.character_counts() == dict(sorted(Counter("".join(words)).items()))
    assert listed.first_places.tolist() == [words.index(word) for word in words]
    assert listed.places(words[i]) == [j for j, word in enumerate(words) if word == words[i]]
    assert listed != words[:-1]


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_lists_are_what_they_say(name):
    words = bundled(name)
    assert len(set(words)) == len(words) >= 1000
    assert not any("#" in word for word in words)
    assert all(word[0].isalpha() or word[0] == "'" for word in words)
    if name != "places":
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    header = (
        (resources.files("moreish.corpus") / "datasets" / f"{name}.txt").read_text(encoding="utf-8").splitlines()[:2]
    )
    assert all(line.startswith("# ") for line in header)
    assert "taken from no" in header[1]


def test_a_list_that_is_not_there_is_named():
    with pytest.raises(InputError, match="did you mean names"):
        bundled("nmaes")


def test_the_error_of_an_unknown_character_lists_no_raw_control_characters():
    with pytest.raises(InputError) as caught:
        Vocab("a\t\u202e\u200dé").encode("aQ")
    assert str(caught.value) == r"'aQ': the character 'Q' is not in the word list (it has \taé\u200d\u202e)"


@given(st.text("ab\n\n \t\x1f\v\xa0", max_size=60), st.integers(1, 20))
def test_words_are_the_lines_without_spaces_around_them(text, size):
    """Blocks without spaces and blank lines are taken as they stand."""
    words = [word for line in text.split("\n") if (word := line.strip())]
    with mock.patch("moreish.corpus.reading.BLOCK_SIZE", size):
        if words:
            read = parse_words(text.encode(), "a.txt", ListOptions(format="text"))
            assert list(read) == words
            assert "".join(read[::-1].chunks()) == "".join(f"{word}\n" for word in words[::-1])
        else:
            with pytest.raises(InputError, match="no words"):
                parse_words(text.encode(), "a.txt", ListOptions(format="text"))
