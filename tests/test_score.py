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
from moreish.analysis.scoring import WORDS_PER_BAND, bands
from moreish.models.score import UNKNOWN_NLL

ANY_WORDS = ["ba", "", "z", "bazad", "日本", "e\u0301", "\ud800", "\U0010ffff", "a\nb", "cd" * 500, "fafa"]


@pytest.fixture(scope="module")
def counted() -> moreish.Run:
    """An n-gram run on enough words for several bands of lengths."""
    return moreish.train(made_up_words(4000, seed=1), "ngram")


@pytest.fixture(scope="module")
def spread() -> moreish.Run:
    """An n-gram run on a list with repeats, of which enough val words are not in train."""
    halves = (made_up_words(5000, seed, alphabet="abcdefghijklmn") for seed in (2, 3))
    return moreish.train([first + second for first, second in zip(*halves, strict=True)], "ngram")


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
        long = "ba" * (1 << 17)  # alone as long as a batch
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


def test_a_percentile_is_the_share_of_held_out_words_that_are_at_most_as_likely(spread):
    """And the verdict is the conformal test on the same words."""
    in_train = set(spread.corpus.parts["train"])
    val = [word for word in spread.corpus.parts["val"] if word not in in_train]
    assert WORDS_PER_BAND < len(val) < len(spread.corpus.parts["val"])
    starts = bands(np.array(list(map(len, val))))
    assert len(starts) > 2
    nll = [spread.model.score(word).nll for word in val]

    def band(word: str) -> int:
        return max(i for i, start in enumerate(starts) if start <= len(word))

    for word in [*val[:20], *list(in_train)[:20], "baba", "ffffff", "x", "ba" * 40]:
        mine = spread.model.score(word).nll
        others = [x for x, other in zip(nll, val, strict=True) if band(other) == band(word)]
        count = sum(x > mine or math.isclose(x, mine) for x in others)
        for rate in (0.012, 0.1, 0.5):
            score = Scorer(spread, rate).score(word)
            assert score.percentile == pytest.approx(100 * count / len(others))
            assert score.likely == ((count + 1) / (len(others) + 1) > rate)


def test_a_low_rate_widens_the_bands(spread):
    """A word less likely than all of its band is unlikely at every rate that gives verdicts."""
    n = len(spread.corpus.parts["val"])
    for rate in (1 / (n + 1), 2 / n, 0.005, 0.01, 0.3):
        scorer = Scorer(spread, rate)
        assert scorer.reason is None
        for word in ("gggggggggg", "qqqqqq", "zx", "z"):
            score = scorer.score(word)
            assert (score.percentile, score.likely) == (0, False)


def test_val_words_that_are_in_train_count_if_few_others_remain():
    words = made_up_words(2000, seed=5, alphabet="abcd")  # only 6 + 36 + 216 different ones
    run = moreish.train(words, "ngram")
    val, in_train = list(run.corpus.parts["val"]), run.corpus.stand_in_train("val")
    assert (~in_train).sum() < WORDS_PER_BAND < len(val)
    nll = [run.model.score(word).nll for word in val]
    starts = bands(np.array(list(map(len, val))))
    here = [x for x, word in zip(nll, val, strict=True) if len(word) >= starts[-1]]
    score = Scorer(run).score("bacada")
    assert score.percentile == pytest.approx(100 * np.mean(np.array(here) >= score.nll - 1e-12))


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
    """For words that are not in train. Each band rounds down the number of its words that may be unlikely."""
    in_train = set(named.corpus.parts["train"])
    test = [word for word in named.corpus.parts["test"] if word not in in_train]
    for rate in (0.01, 0.02, 0.05, 0.1, 0.2):
        scores = Scorer(named, rate).scores(test)
        share, error = (~scores.likely).mean(), math.sqrt(2 * rate * (1 - rate) / len(test))
        assert 0.7 * rate - 3 * error < share < rate + 3 * error
        assert not (scores.likely & (scores.percentile < 0.005)).any()
        assert np.median(scores.percentile) == pytest.approx(50, abs=3)


def test_john_is_likely_and_xqzjk_is_not(named):
    for fitted in (named, moreish.train(moreish.bundled("names"), named.model.name)):
        scorer = Scorer(fitted)
        assert scorer.score("john").likely
        assert not scorer.score("xqzjk").likely


def test_a_list_too_short_for_the_rate_has_scores_without_verdicts(saved_run):
    for rate in (0, 1, -0.1, math.nan):
        with pytest.raises(InputError, match="it must be between 0 and 1"):
            Scorer(saved_run, rate)
    short, plain = Scorer(saved_run), Scorer(saved_run, None)
    assert short.false_positive_rate is plain.false_positive_rate is plain.reason is None
    assert short.reason is not None
    assert "40 val words are too few for verdicts at a false-positive rate of 0.01" in short.reason
    assert "use --false-positive-rate 0.03" in short.reason  # 1/41, rounded up
    assert list(short.scores(["ba", "xq"])) == list(plain.scores(["ba", "xq"]))
    enough = Scorer(saved_run, 0.0244)
    assert (enough.reason, enough.score("ba").likely, enough.score("xqz").likely) == (None, True, False)


def test_a_model_without_finite_losses_is_refused(saved_run):
    broken = moreish.Model(saved_run.model.config, saved_run.model.vocab)
    broken.params[:] = np.nan
    with pytest.raises(InputError, match="not finite"):
        Scorer(moreish.Run(broken, saved_run.corpus, saved_run.options), 0.1).score("ba")
