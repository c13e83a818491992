"""Sets of words as automata, compared with sets of words listed one by one."""

import math
import re
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from conftest import levenshtein
from hypothesis import given
from hypothesis import strategies as st

from moreish import InputError, Vocab
from moreish.sampling.constraints import Constraints, wishes
from moreish.sampling.dfa import DFA, nothing
from moreish.sampling.pattern import automaton, items
from moreish.sampling.sets import at_edits, containing_none, of_lengths

VOCAB = Vocab("abc")
ANYTHING = np.array([False, True, True, True])
WORDS = ["".join(letters) for length in range(6) for letters in product("abc", repeat=length)]


def written_out(dfa: DFA) -> set[str]:
    """Return the words of up to five letters that are in a set."""
    stream = np.array([token for word in WORDS for token in (*VOCAB.encode(word), 0)])
    return {word for word, fits in zip(WORDS, dfa.weigh_each(stream) > 0, strict=True) if fits}


def regex(pattern: str) -> re.Pattern[str]:
    """Translate a pattern to a regular expression."""
    return re.compile(pattern.replace("*", ".*").replace("?", "."))


PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "?", "*", "[ab]", "[^a]", "[a-b]", "[b-c]"]), max_size=6)


@given(PATTERNS)
def test_a_pattern_matches_the_words_of_its_regular_expression(pieces):
    pattern = "".join(pieces)
    fits = automaton(items(pattern, VOCAB), ANYTHING)
    assert written_out(fits) == {word for word in WORDS if regex(pattern).fullmatch(word)}


@given(PATTERNS, PATTERNS)
def test_the_intersection_has_the_words_of_both(one, other):
    a, b = (automaton(items("".join(p), VOCAB), ANYTHING) for p in (one, other))
    assert written_out(a & b) == written_out(a) & written_out(b)
    limited = a & b & of_lengths(1, 4, ANYTHING)
    few = {word for word in written_out(a) & written_out(b) if 1 <= len(word) <= 4}
    assert limited.n_words == len(few)
    assert limited.empty == (not few)
    if few:
        assert limited.shortest == min(map(len, few))
        head, rest = limited.split_prefix()
        assert {VOCAB.split(np.array([*head, 0]))[0] + word for word in written_out(rest)} == few


def test_classes_negation_and_escapes():
    vocab = Vocab("abc-]*?[\\_")

    def fitting(pattern: str, any_one: str = "?") -> set[str]:
        dfa = automaton(items(pattern, vocab, any_one), np.arange(len(vocab)) > 0)
        stream = np.array([token for c in vocab.characters for token in (*vocab.encode(c), 0)])
        return {c for c, fits in zip(vocab.characters, dfa.weigh_each(stream) > 0, strict=True) if fits}

    assert fitting("[ab]") == fitting("[a-b]") == {"a", "b"}
    assert fitting("[^a-c]") == fitting("[!a-c]") == set("-]*?[\\_")
    assert fitting("[]a]") == {"]", "a"}
    assert fitting("[a-]") == {"a", "-"}
    assert fitting(r"[\]]") == {"]"}
    assert fitting(r"\*") == {"*"}
    assert fitting(r"\\") == {"\\"}
    assert fitting("?") == set(vocab.characters)
    assert fitting("_") == fitting(r"\_", "?_") == {"_"}
    assert fitting("_", "?_") == set(vocab.characters)
    assert fitting(r"[\[-\]]") == {"[", "\\", "]"}
    assert fitting(r"[*-\-]") == {"*", "-"}


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("[ab", "never closed"),
        ("a\\", "ends with a backslash"),
        ("[xyz]", "no character"),
        ("[b-a]", "the wrong order"),
        ("ax", "'x' is not"),
    ],
)
def test_a_pattern_that_is_not_well_formed_is_refused(pattern, says):
    with pytest.raises(InputError, match=says):
        items(pattern, VOCAB)


@given(st.text("abcx", max_size=5), st.integers(1, 3))
def test_edits_are_counted_as_levenshtein_counts_them(word, distance):
    tokens = ["abc".find(c) + 1 or -1 for c in word]  # x is not known: it has to be edited
    near = at_edits(tokens, distance, ANYTHING)
    assert written_out(near) == {other for other in WORDS if levenshtein(word, other) == distance}


def test_words_are_counted():
    assert of_lengths(1, None, ANYTHING).n_words == math.inf
    assert of_lengths(2, 3, ANYTHING).n_words == 3**2 + 3**3
    assert nothing(4).n_words == 0
    assert of_lengths(1, 5000, ANYTHING).n_words >= 1e300
    assert not nothing(4).weigh_each(np.array([1, 0, 2, 0])).any()


def test_components_come_after_those_that_they_lead_to():
    dfa = automaton(items("a*bca?*", VOCAB), ANYTHING) & of_lengths(1, None, ANYTHING)
    groups = dfa.components
    place = {q: i for i, group in enumerate(groups) for q in group}
    assert sorted(place) == list(range(len(dfa.accept)))
    reached = np.eye(len(dfa.accept), dtype=bool)  # by a walk of any length
    for _ in reached:
        for q, row in enumerate(dfa.delta):
            reached[q] |= reached[row[row >= 0]].any(0)
    for p, q in product(place, place):
        assert (place[p] == place[q]) == (reached[p, q] and reached[q, p])
        if reached[p, q]:
            assert place[q] <= place[p]


@given(PATTERNS, PATTERNS, st.dictionaries(st.text("abc", min_size=1, max_size=2), st.floats(0.1, 9), max_size=2))
def test_no_two_states_and_no_two_classes_are_the_same(one, other, prefer):
    """Some continuation tells any two states apart: the pairs are marked one by one (Myhill 1957, Nerode 1958)."""
    try:
        words = Constraints(pattern="".join(one), gap="".join(other), prefer=prefer, max_length=6).words(VOCAB)
    except InputError:
        return
    Q = len(words.weights)
    onward = np.append(words.delta, np.full((1, words.delta.shape[1]), -1), 0)  # the last row is that of no state
    differ = np.not_equal.outer(*2 * [np.append(words.weights, 0)])
    for _ in range(Q):
        differ |= np.array([differ[column][:, column] for column in onward.T]).any(0)
    assert differ[:Q, :Q].sum() == Q * (Q - 1)
    assert len({column.tobytes() for column in words.delta.T}) == words.delta.shape[1] == words.classes.max() + 1


def test_patterns_with_many_gaps_take_few_states():
    assert len(automaton(items("*a" + "?" * 12 + "*", VOCAB), ANYTHING).weights) == 14  # not 2**13
    for times in range(1, 8):
        assert len(automaton(items("*a" + "?" * times, VOCAB), ANYTHING).weights) == 2 ** (times + 1)
        assert len(automaton(items("*" + "[ab]*" * times, VOCAB), ANYTHING).weights) == times + 1


def test_too_many_states_are_refused():
    with pytest.raises(InputError, match="states"):
        automaton(items("*a" + "?" * 30, VOCAB), ANYTHING)
    with pytest.raises(InputError, match="states"):
        Constraints(require="abc" * 40).words(VOCAB)


@given(
    prefix=st.text("abc", max_size=2),
    suffix=st.text("abc", max_size=2),
    contains=st.text("abc", max_size=2),
    pattern=PATTERNS.map("".join),
    lengths=st.tuples(st.integers(1, 4), st.integers(0, 3)),
    forbid=st.text("ab", max_size=1),
    require=st.text("abc", max_size=2),
    near=st.text("abc", max_size=3),
)
def test_constraints_together(prefix, suffix, contains, pattern, lengths, forbid, require, near):
    low, high = lengths[0], min(5, sum(lengths))
    asked = Constraints(prefix, suffix, contains, pattern, low, high, forbid, require, near, 2 if near else None)

    fitting = {
        word
        for word in WORDS
        if word.startswith(prefix)
        and word.endswith(suffix)
        and contains in word
        and low <= len(word) <= high
        and (not pattern or regex(pattern).fullmatch(word))
        and not set(forbid) & set(word)
        and all(word.count(c) >= require.count(c) for c in require)
        and (not near or levenshtein(near, word) == 2)
    }
    if fitting:
        assert written_out(asked.words(VOCAB)) == fitting
    else:
        with pytest.raises(InputError, match="no word fits"):
            asked.words(VOCAB)


def weighed(words: DFA) -> dict[str, float]:
    """Return the weight of each word of up to five letters."""
    stream = np.array([token for word in WORDS for token in (*VOCAB.encode(word), 0)])
    return dict(zip(WORDS, words.weigh_each(stream).tolist(), strict=True))


@given(
    prefer=st.dictionaries(st.text("abcx", min_size=1, max_size=3), st.floats(0.01, 100), max_size=3),
    pattern=PATTERNS.map("".join),
    prefix=st.text("abc", max_size=2),
)
def test_the_weight_of_a_word_is_the_product_of_its_wishes(prefer, pattern, prefix):
    asked = Constraints(max_length=5, pattern=pattern, prefix=prefix, prefer=prefer)
    expected = {
        word: math.prod(factor for text, factor in prefer.items() if text in word)
        if word and word.startswith(prefix) and (not pattern or regex(pattern).fullmatch(word))
        else 0.0
        for word in WORDS
    }
    largest = max(expected.values())
    if not largest:
        return
    words = asked.words(VOCAB)
    assert weighed(words) == pytest.approx(expected, rel=1e-12)
    assert words.largest == words.best[0] == pytest.approx(largest, rel=1e-12)
    assert words.n_words == sum(weight > 0 for weight in expected.values())
    head, rest = words.split_prefix()
    spelt = "".join(VOCAB.characters[token - 1] for token in head)
    others = {spelt + word: weight for word, weight in weighed(rest).items() if weight}
    assert others == pytest.approx({word: weight for word, weight in expected.items() if weight}, rel=1e-12)
    for state, best in enumerate(words.best):
        onward = words.rows(np.array([state]))[0]
        assert best == max(words.weights[state], *words.best[onward[onward >= 0]], 0)


def test_the_number_of_a_wish_follows_its_last_colon():
    assert wishes(["a", "b:3", "a:b:0.5", "::1e3"]) == {"a": 2, "b": 3, "a:b": 0.5, ":": 1000}
    assert Constraints(prefer=cast(Any, {"a:": 3, "e\u0301": 0.1})).prefer == ("a::3", "é:0.1")
    assert not Constraints(prefer=("a",)).only_prefix


@pytest.mark.parametrize(
    ("prefer", "says"),
    [
        (["a:b"], "--prefer 'a:b': what follows the last colon must be a number, such as 'a:2'"),
        (["a:"], "must be a number, such as 'a:2'"),
        (["a:0"], "the number is 0: it must be above 0"),
        (["a:-2"], "the number is -2: it must be above 0"),
        (["a:inf"], "the number is inf: it must be above 0, and finite"),
        (["a:nan"], "the number is nan"),
        ([":2"], "one character or more"),
        ([""], "one character or more"),
        (["a:2", "a:3"], "'a' twice"),
        (["a:1e60", "b:1e60"], "between 1e-100 and 1e100"),
        (["a:1e-60", "b:1e-60"], "between 1e-100 and 1e100"),
        ({"a": 0}, "the number is 0"),
        ("a:2", "must be a list of strings"),
    ],
)
def test_wrong_wishes_are_refused(prefer, says):
    with pytest.raises(InputError, match=says):
        Constraints(prefer=prefer)


def test_the_constraints_that_exclude_each_other_are_named_and_no_others():
    asked = Constraints(prefix="ab", suffix="c", pattern="b*", min_length=3, forbid="c", require="a")
    with pytest.raises(InputError) as caught:
        asked.words(VOCAB)
    named = [
        name for name in ("prefix", "suffix", "pattern", "length", "forbid", "require") if name in str(caught.value)
    ]
    assert named in (["prefix", "pattern"], ["suffix", "forbid"])
    with pytest.raises(InputError, match="no word fits --max-length 2 and --require aaa"):
        Constraints(max_length=2, require="aaa", suffix="a").words(VOCAB)
    with pytest.raises(InputError, match="--max-length is 2: it must be at least --min-length 3"):
        Constraints(min_length=3, max_length=2)


def test_composed_and_decomposed_characters_are_the_same():
    vocab = Vocab("aeé")
    decomposed = "e\u0301"
    for asked in (Constraints(forbid=decomposed, max_length=2), Constraints(forbid="é", max_length=2)):
        assert asked.words(vocab).n_words == 2 + 4
    for name in ("prefix", "suffix", "contains", "pattern", "require", "near", "gap"):
        one, other = (Constraints(max_length=3, **cast(Any, {name: text})).words(vocab) for text in (decomposed, "é"))
        assert one.n_words == other.n_words > 0


def test_edits_need_a_word():
    with pytest.raises(InputError, match="with --near"):
        Constraints(edits=2)


@given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=6))
def test_words_without_some_pieces(pieces):
    found = containing_none(map(VOCAB.encode, pieces), ANYTHING)
    assert written_out(found) == {word for word in WORDS if not any(piece in word for piece in pieces)}
    assert len(found.accept) <= 1 + sum(map(len, pieces))


def test_only_characters_that_are_told_apart_cost_anything():
    """3,000 characters take as many states and classes as those that the constraints name."""
    large, small = (
        Vocab("".join(map(chr, range(0x4E00, 0x4E00 + 3000)))),
        Vocab("".join(map(chr, range(0x4E00, 0x4E08)))),
    )
    a, b, c, d = small.characters[:4]
    asked = Constraints(prefix=b, suffix=a + a, pattern=f"*[{a}-{c}]?{d}*", without=(b + d, c), near=b + d * 4, edits=3)
    many, few = asked.words(large), asked.words(small)
    assert np.array_equal(many.delta, few.delta)
    assert np.array_equal(many.weights, few.weights)
    assert np.array_equal(many.classes[: len(few.classes)], few.classes)
    assert set(many.classes[len(few.classes) :]) == {few.classes[-1]}
    assert many.n_words > few.n_words
    counted = {
        size: Constraints(contains=a, max_length=3, forbid=b).words(v).n_words
        for size, v in ((3000, large), (8, small))
    }
    for size, n in counted.items():
        free = size - 1
        assert n == sum(free**length - (free - 1) ** length for length in (1, 2, 3))


def test_pieces_with_too_many_states_are_refused():
    pieces = ["".join(letters) + "a" * 8 for letters in product("abc", repeat=7)]
    with pytest.raises(InputError, match="--without has too many or too long texts: about the first") as refused:
        containing_none(map(VOCAB.encode, pieces), ANYTHING)
    fitting = int("".join(filter(str.isdecimal, str(refused.value))))
    containing_none(map(VOCAB.encode, pieces[:fitting]), ANYTHING)
    with pytest.raises(InputError, match=f"{fitting:,} of them fit"):
        containing_none(map(VOCAB.encode, pieces[: fitting + 1]), ANYTHING)
