"""Vowels and consonants, syllables and words that sound alike, compared with sets of words listed one by one."""

import json
import re
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dfa import regex

import moreish
from moreish import InputError, Vocab
from moreish.cli import run
from moreish.sampling import Constraints
from moreish.sampling.dfa import DFA
from moreish.sampling.sounds import sound

VOCAB = Vocab("abé-")
WORDS = ["".join(letters) for length in range(1, 7) for letters in product(VOCAB.characters, repeat=length)]


def written_out(dfa: DFA, vocab: Vocab = VOCAB, words: list[str] = WORDS) -> set[str]:
    """Return those of some words that are in a set."""
    stream = np.array([token for word in words for token in (*vocab.encode(word), 0)])
    return {word for word, weight in zip(words, dfa.weigh_each(stream), strict=True) if weight}


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("katherine", "cvccvcvcv"),
        ("yggdrasil", "vccccvcvc"),
        ("ZOË-ANN", "cvv vcc"),
        ("o'neil", "v cvvc"),
        ("þórður", "cvccvc"),
        ("ilkiğ œ ı", "vccvc v v"),
        ("ọlá", "vcv"),
        ("Ελευθερία", "vcvvcvcvv"),
        ("Дмитрий", "ccvccvc"),
        ("юлія", "vcvv"),
        ("Ўладзь", "ccvcc "),
        ("Գայանե", "cvcvcv"),
        ("ნინო", "cvcv"),
        ("\u05d3\u05d5\u05d3", "cvc"),
        ("\u05d3\u05b8\u05d2", "cvc"),
        ("\u0633\u0627\u0631\u0627", "cvcv"),
        ("\u0645\u064e\u062f", "cvc"),
        ("मोहिनी", "cvcvcv"),
        ("अदिति", "vcvcv"),
        ("ऋषि", "vcv"),
        ("মৌসুমী", "cvcvcv"),
        ("கண்ணன்", "cc cc "),
        ("สมชาย", "cccvc"),
        ("あおいさん", "vvvcc"),
        ("ヴァレリー", "cvcc "),
        ("李김 7_.", "      "),
    ],
)
def test_the_script_tells_vowels_from_consonants(word, sounds):
    assert [sound(char) for char in word] == [kind.strip() for kind in sounds]


@pytest.mark.parametrize("name", ["names", "dinosaurs", "minerals", "places"])
def test_the_letters_of_the_bundled_lists_are_vowels_or_consonants(name):
    for char in {char for word in moreish.bundled(name) for char in word}:
        assert bool(sound(char)) == char.isalpha(), char


PIECES = {
    r"\v": "[aé]",
    r"\c": "b",
    r"[\v-]": "[aé-]",
    r"[^\c-]": "[aé]",
    r"[b\v]": "[abé]",
    "b": "b",
    "?": "?",
    "*": "*",
}


@given(st.lists(st.sampled_from([*PIECES]), min_size=1, max_size=5))
def test_patterns_have_signs_for_vowels_and_consonants(pieces):
    fits = Constraints(pattern="".join(pieces)).words(VOCAB)
    plain = regex("".join(PIECES[piece] for piece in pieces))
    assert written_out(fits) == {word for word in WORDS if plain.fullmatch(word)}


def test_other_backslashes_stay_literal():
    vocab = Vocab("abcv\\")
    words = ["".join(letters) for length in (1, 2) for letters in product(vocab.characters, repeat=length)]
    for pattern, fitting in [(r"\\c", {r"\c"}), (r"\a\b", {"ab"}), (r"[\\]\v", {"\\a"}), (r"[\\v]", {"\\", "v"})]:
        assert written_out(Constraints(pattern=pattern).words(vocab), vocab, words) == fitting
    assert written_out(Constraints(gap=r"_\v").words(vocab), vocab, words) == {c + "a" for c in vocab.characters}


@given(st.integers(0, 3), st.integers(0, 3))
def test_syllables_are_runs_of_vowels(low, more):
    def counted(least: int, most: int) -> set[str]:
        return {word for word in WORDS if least <= len(re.findall("[aé]+", word)) <= most}

    assert written_out(Constraints(syllables=f"{low}-{low + more}").words(VOCAB)) == counted(low, low + more)
    for syllables in (low, f"{low}"):
        found = Constraints(syllables=syllables).words(VOCAB)  # pyright: ignore[reportArgumentType]
        assert written_out(found) == counted(low, low)


LIKED = Vocab("aémn")
SHORT = ["".join(letters) for length in range(1, 7) for letters in product(LIKED.characters, repeat=length)]
STREAM = np.array([token for word in SHORT for token in (*LIKED.encode(word), 0)])


@cache
def distance(word: str, other: str, before: str = "") -> float:
    """Return the least cost of edits that make another word of a word; `before` stands before it in the whole word."""
    costs = [0.0] if not word and not other else []
    if word and other:
        similar = any({word[0], other[0]} <= set(group) for group in ("aéeü", "mñn"))
        replaced = 0 if word[0] == other[0] else 0.5 if similar else 1
        costs.append(replaced + distance(word[1:], other[1:], word[0]))
    if word:
        costs.append((0.5 if word[0] == before else 1) + distance(word[1:], other, word[0]))
    if other:
        costs.append((0.5 if other[0] == before else 1) + distance(word, other[1:], before))
    return min(costs)


@given(st.text("aéeümñnt", min_size=1, max_size=8), st.floats(1, 100))
def test_words_alike_have_weights_by_their_distance(word, factor):
    distances = np.array([distance(word, other) for other in SHORT])
    allowed = (distances > 0) & (distances <= min(max(len(word) / 2, 1), 3))
    wanted = np.where(allowed, factor**-distances, 0)
    if not wanted.any():  # the word is longer than all these
        return
    found = Constraints(like=f"{word}:{factor!r}").words(LIKED).weigh_each(STREAM)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("word", "other", "halves"),
    [
        ("katherine", "catherine", 1),
        ("katherine", "katharyne", 2),
        ("katherine", "kathryn", 5),
        ("katherine", "therine", 4),
        ("anna", "ana", 1),
        ("ana", "annna", 2),
        ("bob", "pof", 2),
        ("bob", "bobo", 2),
        ("ZOÉ", "zoe", 3),
        ("Чарли", "шарлы", 3),
        ("илья", "ильа", 1),
        ("pqrst" * 6, "pqrst" * 5 + "bkrz", 5),
        ("anna", "anna", None),
        ("anna", "bob", None),
    ],
)
def test_sounds_are_compared_as_the_ear_does(word, other, halves):
    vocab = Vocab("abcdefghijklmnopqrstuvwxyzшарлыильа")
    weight = Constraints(like=f"{word}:4").words(vocab).weigh_each(np.array([*vocab.encode(other), 0]))
    assert weight[0] == pytest.approx(0 if halves is None else 2.0**-halves, rel=1e-12)


@pytest.mark.parametrize(
    ("asked", "characters", "says"),
    [
        ({"pattern": r"b\v"}, "bc", r"\v fits nothing, because the list has no vowels"),
        ({"pattern": r"[\ca]"}, "ae-", r"\c fits nothing, because the list has no consonants"),
        ({"pattern": r"[a-\c]"}, "abc", r"a range cannot end with \c"),
        ({"syllables": "1"}, "bc-", "--syllables 1 counts runs of vowels, and the list has no vowels"),
        ({"syllables": "3-2"}, "abc", "--syllables is 3-2: it must be from 0 to 100, the smaller number first"),
        ({"syllables": 101}, "abc", "--syllables is 101: it must be from 0 to 100"),
        ({"syllables": -1}, "abc", "--syllables is '-1': it must be a number or a range"),
        ({"syllables": "two"}, "abc", "--syllables is 'two': it must be a number or a range"),
        ({"syllables": "2-"}, "abc", "--syllables is '2-': it must be a number or a range"),
        ({"like": "anna:b"}, "abc", "--like 'anna:b': what follows the last colon must be a number"),
        ({"like": "anna:0.5"}, "abc", "--like 'anna:0.5': the number must be between 1 and 10,000"),
        ({"like": ":3"}, "abc", "--like ':3': give a text of one character or more"),
        ({"like": "a" * 31}, "abc", "has 31 characters: give a word of up to 30"),
        ({"like": "rlrlr"}, "abc", "no word fits --like rlrlr"),
        ({"like": "bcab", "prefix": "acacac"}, "abc", "no word fits --prefix acacac and --like bcab"),
        ({"syllables": 3, "max_length": 4}, "abc", "no word fits --max-length 4 and --syllables 3"),
    ],
)
def test_sounds_that_cannot_be_had_are_refused(asked, characters, says):
    with pytest.raises(InputError) as refused:
        Constraints(**asked).words(Vocab(characters))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("options", "fitting"),
    [
        (["--pattern", r"\c\v\c\v"], "[b-df-g][ae][b-df-g][ae]"),
        (["--syllables", "2"], "[^ae]*[ae]+[^ae]+[ae]+[^ae]*"),
        (["--like", "bada", "--min-length", "5"], "[a-g]{5,6}"),
        (["--syllables", "2-3", "--pattern", r"\c*"], "[^ae]+([ae]+[^ae]+){1,2}[ae]+[^ae]*"),
    ],
    ids=" ".join,
)
def test_words_are_drawn_by_their_sounds(saved_run, capsys, options, fitting):
    assert run(["sample", str(saved_run.path), *options, "--json"]) == 0
    words = [at["word"] for at in json.loads(capsys.readouterr().out)["samples"]]
    assert len(words) == 20
    assert all(re.fullmatch(fitting, word) for word in words)
