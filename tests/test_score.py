"""Scores: surprise, percentile and verdict, one by one and in batches."""

import itertools
import math
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st

import moreish
from moreish import InputError, Scorer
from moreish.analysis.scoring import CHARACTERS_PER_BATCH, WORDS_PER_BAND, bands
from moreish.models.model import UNKNOWN_NLL

ANY_WORDS = ["ba", "", "z", "bazad", "日本", "e\u0301", "\ud800", "\U0010ffff", "a\nb", "cd" * 500, "fafa"]


@pytest.fixture(scope="module")
def counted() -> moreish.Run:
    """An n-gram run on enough words for several bands of lengths."""
    return moreish.train(made_up_words(4000, seed=1), "ngram")


@pytest.fixture(scope="module", params=["ngram", "mlp"])
def named(request, names_file) -> moreish.Run:
    return moreish.train(moreish.read_words(names_file), request.param)


def test_a_score_is_the_closed_form_of_counted_pairs():
    words = ["ab", "a", "abb", "ba", "bab", "aab", "b"] * 10
    fitted = moreish.train(words, "bigram-counts")
    pairs = Counter(pair for word in fitted.corpus.parts["train"] for pair in zip(f".{word}", f"{word}.", strict=True))
    first = Counter(a for a, _ in pairs.elements())
    score = fitted.model.score("abba")
    expected = [-math.log((pairs[p] + 1) / (first[p[0]] + 3)) for p in zip(".abba", "abba.", strict=True)]
    assert score.per_char == pytest.approx(expected)
    assert score.nll == pytest.approx(sum(expected) / 5)
    assert score.bits == pytest.approx(sum(expected) / 5 / math.log(2))
    assert score.unknown == []


def test_without_a_false_positive_rate_there_is_no_verdict(saved_run):
    word, other = (moreish.Scorer(saved_run, rate).score("bada") for rate in (None, 0.1))
    assert (word.likely, other.likely) == (None, True)
    assert (word.percentile, word.per_char) == (other.percentile, other.per_char)


def test_the_rate_keeps_its_old_name(saved_run):
    for rate in (0.3, None):
        old, new = Scorer(saved_run, alarm=rate), Scorer(saved_run, false_positive_rate=rate)
        assert old.alarm == old.false_positive_rate == new.alarm == new.false_positive_rate == rate
        assert list(old.scores(["ba", "xqz"])) == list(new.scores(["ba", "xqz"]))


def test_an_unknown_character_costs_as_any_of_unicode_and_a_word_begins_after_it(saved_run, counted):
    assert math.log(sys.maxunicode + 1) == UNKNOWN_NLL
    for model in (saved_run.model, counted.model):
        whole = model.score("ba日deé")
        assert whole.unknown == [2, 5]
        assert whole.per_char[2] == whole.per_char[5] == UNKNOWN_NLL
        assert whole.per_char[:2] == model.score("ba").per_char[:2]
        assert whole.per_char[3:5] == model.score("de").per_char[:2]
        assert whole.per_char[6] == pytest.approx(-math.log(end_at_once(model)), rel=1e-5)
        assert model.score("e\u0301") == model.score("é")
    with pytest.raises(InputError, match="empty"):
        Scorer(counted).score("")


def end_at_once(model) -> float:
    """Probability of the end token at the start of a word."""
    return 1 - sum(math.exp(-model.score(c).per_char[0]) for c in model.vocab.characters)


def test_a_batch_has_the_scores_of_its_words_one_by_one(saved_run, counted):
    for fitted in (saved_run, counted):
        scorer = Scorer(fitted, 0.1)
        long = "ba" * (CHARACTERS_PER_BATCH // 2)  # alone as long as a batch
        words = [*ANY_WORDS, long, *fitted.corpus.parts["test"], long, *ANY_WORDS]
        together = list(scorer.scores(words))
        assert [score.word for score in together] == [unicodedata.normalize("NFC", word) for word in words]
        for word, score in zip(words, together, strict=True):
            if word:
                assert score == scorer.score(word)
                assert score.per_char == fitted.model.score(word).per_char
        batches = list(scorer.batches(iter(words)))
        assert [score for batch in batches for score in batch] == together
        assert len(batches) == 3
        columns = scorer.scores(words)
        assert len(columns) == len(words)
        assert columns.nll.tolist() == pytest.approx([score.nll for score in together])
        assert columns.bits.tolist() == pytest.approx([score.bits for score in together])
        assert list(scorer.scores([])) == list(scorer.batches([])) == []


def test_a_percentile_is_the_share_of_the_band_that_is_less_likely(counted):
    train, starts = list(counted.corpus.parts["train"]), bands(counted.corpus.parts["train"].lengths)
    assert len(starts) > 2
    scorer, nll = Scorer(counted, 0.1), [counted.model.score(word).nll for word in train]

    def band(word: str) -> int:
        return max(i for i, start in enumerate(starts) if start <= len(word))

    for word in [*train[:20], "baba", "ffffff", "x", "ba" * 40]:
        mine = counted.model.score(word).nll
        others = [x for x, other in zip(nll, train, strict=True) if band(other) == band(word)]
        less_likely = sum(x > mine and not math.isclose(x, mine) for x in others)
        assert scorer.score(word).percentile == pytest.approx(100 * less_likely / len(others))


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=300), st.integers(1, 40))
def test_bands_have_enough_words_each(lengths, enough):
    starts = bands(np.array(lengths), enough).tolist()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    sizes = Counter(sum(start <= length for start in starts) for length in lengths)
    assert len(starts) == 1 or (len(sizes) == len(starts) and min(sizes.values()) >= enough)
    # No band could have ended earlier.
    for start, end in itertools.pairwise(starts):
        assert sum(start <= length < end - 1 for length in lengths) < enough


def test_few_words_make_one_band():
    assert bands(np.arange(1, WORDS_PER_BAND)).tolist() == [0]


def test_as_many_val_words_are_unlikely_as_the_rate_allows(counted):
    """The threshold is the k-th smallest excess; words with the same excess are likely too."""
    val = list(counted.corpus.parts["val"])
    for rate in (0.01, 0.05, 0.2, 0.5):
        k = math.ceil(round((1 - rate) * (len(val) + 1), 6))
        likely = Scorer(counted, rate).scores(val).likely.sum()
        assert k <= likely < k + max(Counter(val).values())


def test_the_rate_holds_over_splits():
    """Over many splits the mean share of test words called unlikely is at most the false-positive rate."""
    words, shares, rate = moreish.bundled("dinosaurs"), [], 0.1
    for seed in range(40):
        corpus = moreish.Corpus(words, split_seed=seed)
        test = list(corpus.parts["test"])
        shares.append(1 - Scorer(moreish.train(corpus, "bigram-counts"), rate).scores(test).likely.mean())
    error = np.std(shares) / math.sqrt(len(shares))
    assert rate - 0.015 < np.mean(shares) < rate + 3 * error


def test_the_rate_holds_on_names(named):
    n_val, test = len(named.corpus.parts["val"]), list(named.corpus.parts["test"])
    for rate in (0.01, 0.02, 0.05, 0.1, 0.2):
        share = (~Scorer(named, rate).scores(test).likely).mean()
        error = math.sqrt(rate * (1 - rate) * (1 / n_val + 1 / len(test)))
        assert abs(share - rate) < 3 * error


def test_john_is_likely_and_xqzjk_is_not(named):
    for fitted in (named, moreish.train(moreish.bundled("names"), named.model.name)):
        scorer = Scorer(fitted)
        assert scorer.score("john").likely
        assert not scorer.score("xqzjk").likely


def test_a_rate_that_val_is_too_small_for_is_refused(saved_run):
    for rate in (0, 1, -0.1, math.nan):
        with pytest.raises(InputError, match="it must be between 0 and 1"):
            Scorer(saved_run, rate)
    with pytest.raises(InputError, match=r"rate is 0\.01: with only 40 val words it must be at least 0\.0244"):
        Scorer(saved_run)  # 1/41
    assert Scorer(saved_run, 0.0244).score("ba").likely


def test_a_model_without_finite_losses_is_refused(saved_run):
    broken = moreish.Model(saved_run.model.config, saved_run.model.vocab)
    broken.params[:] = np.nan
    with pytest.raises(InputError, match="not finite"):
        Scorer(moreish.Run(broken, saved_run.corpus, saved_run.options), 0.1).score("ba")
