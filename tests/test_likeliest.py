"""The most likely words: those that fit, fill a gap, or are near a word."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import levenshtein, made_up_words
from small_models import LETTERS, LONGEST, MODELS, WORDS, written_out

import moreish
from moreish import InputError
from moreish.corpus import WordList
from moreish.sampling import Constraints, SamplingModel, SamplingOptions, ranking
from moreish.sampling.beam import beam_search, likeliest
from moreish.sampling.lookahead import LookAhead


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


class Counting:
    """A reader that counts the prefixes whose logits are computed."""

    def __init__(self, reader: Any):
        self.reader, self.n_read = reader, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        self.n_read += len(states)
        return self.reader.logits(params, states)


def counted(model: moreish.Model) -> tuple[SamplingModel, Counting]:
    (read,) = model.sampling_models()
    counting = Counting(read.reader)
    return replace(read, reader=counting), counting


WISHES = {"bb": 50.0, "da": 0.1, "a": 3.0}
SEARCHES: list[tuple[dict[str, Any], Any]] = [
    ({"suffix": "ab"}, lambda w: w.endswith("ab")),
    ({"require": "dd"}, lambda w: w.count("d") > 1),
    ({"prefix": "b", "contains": "da"}, lambda w: w[0] == "b" and "da" in w),
    ({"near": "bada", "edits": 2}, lambda w: levenshtein(w, "bada") == 2),
    ({"prefer": WISHES}, lambda w: True),
    (
        {"prefer": WISHES, "pattern": "*b"},
        lambda w: w.endswith("b"),
    ),
]


@pytest.mark.parametrize("name", ["ngram", "mlp 2", "mlp 12", "gru", "transformer", "mixture"])
def test_a_proof_is_right_however_few_prefixes_a_search_keeps(models, name, monkeypatch):
    model, proven = models[name], []
    monkeypatch.setattr(ranking, "MAX_ENUMERATED", 0)
    for asked, fits in SEARCHES:
        p, wishes = written_out(model, fits), asked.get("prefer", {})
        weighed = {w: p[w] * math.prod(factor for text, factor in wishes.items() if text in w) for w in p}
        best = [round(math.log(weighed[w]), 4) for w in sorted(weighed, key=lambda w: -weighed[w])[:12]]
        for width in (1, 2, 4, 8, 100):
            monkeypatch.setattr(ranking, "BEAM_WIDTH", width)
            found = model.most_likely(12, **asked, max_length=LONGEST)
            logs = [round(math.log(weighed[c.word]), 4) for c in found]
            assert logs == sorted(logs, reverse=True)
            assert [c.probability for c in found] == pytest.approx([p[c.word] for c in found], rel=1e-4)
            assert logs == best or not found.proven
            assert found.proven or width < 100
            proven.append(found.proven)
    assert set(proven) == {True, False}


def test_a_known_bound_saves_prefixes_and_changes_no_word(models):
    for name in ("ngram", "gru"):
        model, counting = counted(models[name])
        words = Constraints(suffix="abad").words(models[name].vocab)
        plain = beam_search(model, SamplingOptions(), words, 6, width=100_000)
        n_plain, counting.n_read = counting.n_read, 0
        bounded = beam_search(model, SamplingOptions(), words, 6, width=100_000, least=plain.log_p[-1] - 1e-5)
        assert bounded.proven
        assert plain.proven
        assert bounded.words == plain.words
        assert counting.n_read < n_plain / 2


@pytest.mark.parametrize("name", ["mlp 12", "gru", "transformer"])
def test_in_a_set_without_end_the_words_are_those_of_a_search_that_keeps_all_prefixes(models, name):
    (model,) = models[name].sampling_models()
    cases: list[dict[str, Any]] = [{"suffix": "dbad"}, {"contains": "bab"}]
    cases.append({"suffix": "bb", "prefer": {"dd": 9.0, "a": 0.5}})
    for asked in cases:
        words = Constraints(**asked).words(models[name].vocab)
        expected = beam_search(model, SamplingOptions(), words, 5, width=100_000)
        found = likeliest(model, words, 5, 500)
        assert found.proven
        assert expected.proven
        assert found.words == expected.words
        np.testing.assert_allclose(found.log_p, expected.log_p, rtol=1e-5)


@pytest.mark.parametrize("name", ["ngram", "mlp 12", "gru", "transformer"])
def test_a_narrow_beam_that_looks_ahead_finds_likelier_words(models, name):
    (model,) = models[name].sampling_models()
    prefix, rest = Constraints(contains="dbbbad").words(models[name].vocab).split_prefix()
    ahead = LookAhead(model.guide(), rest, prefix, SamplingOptions())
    best = beam_search(model, SamplingOptions(), rest, 3, width=100_000)
    plain, guided = (
        beam_search(model, SamplingOptions(), rest, 3, width=8, ahead=each, longest=30) for each in (None, ahead)
    )
    assert guided.words == best.words
    assert not guided.proven
    assert plain.log_p.sum() < guided.log_p.sum() or len(plain.words) < 3


def test_the_searches_of_all_labels_look_ahead_and_prove(monkeypatch):
    listed = list(dict.fromkeys(made_up_words(300, alphabet=LETTERS)))
    labelled = WordList.of(listed).with_labels("many a" if w.count("a") > 1 else "few a" for w in listed)
    model = moreish.train(labelled, "mlp", steps=60, n_hidden=8, n_embd=3, block_size=5).model
    expected = model.most_likely(5, contains="ba", max_length=LONGEST)
    assert all(candidate.share for candidate in expected)
    monkeypatch.setattr(ranking, "MAX_ENUMERATED", 0)
    proven = []
    for width in (1, 3, 10, 30, 100):
        monkeypatch.setattr(ranking, "BEAM_WIDTH", width)
        found = model.most_likely(5, contains="ba", max_length=LONGEST)
        proven.append(found.proven)
        if found.proven:
            assert [c.word for c in found] == [c.word for c in expected]
            assert [c.probability for c in found] == pytest.approx([c.probability for c in expected], rel=1e-4)
    assert proven[-1]
    assert not proven[0]


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
