"""The most likely words: those that fit, fill a gap, or are near a word."""

import math

import numpy as np
import pytest
from conftest import levenshtein
from small_models import LETTERS, LONGEST, MODELS, WORDS, written_out

from moreish import InputError
from moreish.sampling import Constraints, SamplingOptions, ranking
from moreish.sampling.beam import beam_search


@pytest.mark.parametrize("name", MODELS)
def test_the_most_likely_words_are_those_with_the_highest_probability(models, name):
    model = models[name]
    p = written_out(model, lambda w: "da" in w and len(w) <= LONGEST)
    found = model.most_likely(10, contains="da", max_length=LONGEST)
    assert found.proven
    best = sorted(p, key=lambda w: -p[w])[:10]
    assert [round(math.log(p[c.word]), 4) for c in found] == [round(math.log(p[w]), 4) for w in best]
    for candidate in found:
        begun = 1 - math.exp(-model.nll(np.array([0, 0], np.int32))[0])
        nll = sum(model.score(candidate.word).per_char)
        assert candidate.probability == pytest.approx(math.exp(-nll) / begun, rel=1e-5)
        assert candidate.probability == pytest.approx(p[candidate.word], rel=1e-4)
        assert candidate.share == pytest.approx(p[candidate.word] / sum(p.values()), rel=1e-4)
    assert model.most_likely(0) == model.most_likely(0, contains="da") == []
    fewer = model.most_likely(8, contains="da", max_length=LONGEST, avoid=[best[0], best[3]])
    assert [c.word for c in fewer] == [c.word for c in found if c.word not in (best[0], best[3])]
    endless = model.most_likely(5, contains="da")
    assert [c.word for c in model.most_likely(3, contains="da", avoid=[endless[1].word])] == [
        endless[i].word for i in (0, 2, 3)
    ]
    assert [c.share for c in endless] == [None] * 5
    assert endless.proven
    probabilities = [c.probability for c in endless]
    assert probabilities == sorted(probabilities, reverse=True)


@pytest.mark.parametrize("name", ["ngram", "mlp 12", "gru", "mixture"])
def test_wishes_rank_words_by_probability_times_weight(models, name, monkeypatch):
    model, wishes = models[name], {"bb": 50.0, "da": 0.1, "a": 3.0}
    p = written_out(model, lambda w: len(w) <= LONGEST)
    weighed = {w: p[w] * math.prod(factor for text, factor in wishes.items() if text in w) for w in p}
    best = sorted(p, key=lambda w: -weighed[w])[:12]
    found = model.most_likely(12, prefer=wishes, max_length=LONGEST)
    assert [round(math.log(weighed[c.word]), 4) for c in found] == [round(math.log(weighed[w]), 4) for w in best]
    assert best != sorted(p, key=lambda w: -p[w])[:12]
    for candidate in found:
        assert candidate.probability == pytest.approx(p[candidate.word], rel=1e-4)
        assert candidate.share == pytest.approx(weighed[candidate.word] / sum(weighed.values()), rel=1e-4)
    monkeypatch.setattr(ranking, "MAX_ENUMERATED", 0)  # the search that leaves prefixes out
    searched = model.most_likely(12, prefer=wishes, max_length=LONGEST)
    assert [c.word for c in searched] == [c.word for c in found]
    assert searched.proven


def test_a_beam_that_may_have_missed_a_word_says_so(models):
    words = Constraints(suffix="abad").words(models["ngram"].vocab)
    model = models["ngram"].sampling_models()[0]
    wide, narrow = (beam_search(model, SamplingOptions(), words, 5, width=width) for width in (100_000, 3))
    assert wide.proven
    assert not narrow.proven
    assert narrow.log_p.max(initial=-np.inf) <= wide.log_p.max()


def test_gaps_and_variations(models):
    model = models["ngram"]
    filled = model.fill("b_d_", n=100)
    assert {c.word for c in filled} == {f"b{x}d{y}" for x in LETTERS for y in LETTERS}
    assert sum(c.share or 0 for c in filled) == pytest.approx(1)
    varied = model.vary("bada", n=1000, edits=2, max_length=LONGEST)
    assert {c.word for c in varied} == {w for w in WORDS if levenshtein(w, "bada") == 2}
    assert model.vary("xbada", n=3)[0].word == "bada"  # a character that the model does not know is edited away
    with pytest.raises(InputError, match="empty word"):
        model.vary("")


def test_gaps_are_filled_even_if_every_word_is_very_unlikely(models):
    filled = models["ngram"].fill("_" + "dbbd" * 60, n=3)
    assert len(filled) == 3
    assert sum(c.share or 0 for c in filled) == pytest.approx(1)
    assert len(models["ngram"].sample(4, gap="_" + "dbbd" * 60)) == 4
