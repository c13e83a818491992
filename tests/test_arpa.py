"""`moreish export --to arpa`: readers of ARPA files give each word the probability that moreish gives it."""

import math
from pathlib import Path
from typing import Any

import pytest
from arpa_reader import Reader, kenlm_model
from conftest import made_up_words

import moreish
from moreish.export import onnx
from moreish.export.arpa import data
from moreish.ngram import SMOOTHINGS
from moreish.ngram.arpa import symbol

WORDS = made_up_words(300, seed=3)
# Characters that a file of words has to write in another way, or that look like its own.
ODD = ["a b", "b\u00a0a", "<s>", "\\2", "▁a", "e\u0301b", "U+0020", "# a", "a\u200db", "日 本", "b  b", "-1"] * 3


def written(run: moreish.Run) -> str:
    return b"".join(data(run)).decode()


def log10_p(model: moreish.Model, word: str) -> float:
    return -sum(model.score(word).per_char) / math.log(10)


def assert_same_scores(run: moreish.Run, reader: Any, others: list[str]) -> None:
    for word in [*list(run.corpus.words)[:100], *others]:
        wanted = log10_p(run.model, word)
        assert reader.score([symbol(c) for c in word]) == pytest.approx(wanted, rel=1e-5), word


def kenlm_reader(run: moreish.Run, folder: Path) -> Any:
    return kenlm_model(written(run), folder)


NEW = ["gagagaga", "bcdfg", "aaaaaaaa", "g", "dagefe"]
ALL = [(order, smoothing) for order in range(1, 7) for smoothing in SMOOTHINGS]


@pytest.mark.parametrize(("order", "smoothing"), ALL)
def test_each_word_has_the_probability_of_the_model(order, smoothing):
    run = moreish.train(WORDS, "ngram", order=order, smoothing=smoothing)
    assert_same_scores(run, Reader(written(run)), NEW)


@pytest.mark.parametrize(("order", "smoothing"), [x for x in ALL if x[0] > 1])
def test_kenlm_gives_each_word_the_probability_of_the_model(tmp_path, order, smoothing):
    run = moreish.train(WORDS, "ngram", order=order, smoothing=smoothing)
    assert_same_scores(run, kenlm_reader(run, tmp_path), NEW)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("at_least", [2, 3, 7])
def test_rare_sequences_that_were_left_out_change_nothing(tmp_path, at_least, smoothing):
    run = moreish.train(WORDS, "ngram", order=5, smoothing=smoothing, at_least=at_least)
    for reader in (Reader(written(run)), kenlm_reader(run, tmp_path)):
        assert_same_scores(run, reader, NEW)


@pytest.mark.parametrize("order", [2, 4])
def test_characters_that_separate_words_there_are_written_as_code_points(tmp_path, order):
    run = moreish.train(ODD, "ngram", order=order, split="distinct")
    for reader in (Reader(written(run)), kenlm_reader(run, tmp_path)):
        assert_same_scores(run, reader, ["a a", "\\<", "▁ ▁", "+#"])
    symbols = [symbol(c) for c in run.model.vocab.characters]
    assert len({*symbols}) == len(symbols)
    assert {"U+0020", "U+00A0", "U+200D", "▁", "<"} <= {*symbols}


def test_bigram_counts_are_written_too(tmp_path):
    run = moreish.train(WORDS, "bigram-counts")
    for reader in (Reader(written(run)), kenlm_reader(run, tmp_path)):
        assert_same_scores(run, reader, NEW)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_probabilities_after_each_context_add_up_to_one(smoothing):
    run = moreish.train(WORDS, "ngram", order=4, smoothing=smoothing)
    reader = Reader(written(run))
    words = [symbol(c) for c in run.model.vocab.characters] + ["</s>"]
    contexts = [(), *reader.b]
    assert ("<s>",) in contexts
    assert len(contexts) > 50
    for context in contexts:
        assert sum(10 ** reader.log_p(context, word) for word in words) == pytest.approx(1, rel=1e-5)


def test_each_context_is_an_entry_of_the_shorter_one():
    # KenLM finds a context by way of its entry.
    for at_least in (1, 2, 5):
        reader = Reader(written(moreish.train(WORDS, "ngram", order=5, at_least=at_least)))
        assert reader.b.keys() <= reader.p.keys()
        assert all(gram[:-1] in reader.b for gram in reader.p if len(gram) > 1)


def test_an_unknown_character_costs_what_it_costs_in_moreish():
    run = moreish.train(WORDS, "ngram", order=1)
    assert_same_scores(run, Reader(written(run)), [])
    unknown = Reader(written(run)).p[("<unk>",)]
    (position,) = run.model.score("gaxa").unknown
    assert unknown * math.log(10) == pytest.approx(-run.model.score("gaxa").per_char[position])


def test_a_model_given_a_label_is_written_and_one_with_labels_is_refused():
    labels = [word[0] for word in WORDS]
    run = moreish.train(WORDS, "ngram", labels=labels, order=4)
    with pytest.raises(moreish.InputError, match="--label b"):
        data(run)
    for label in ("b", "g"):
        given = moreish.Run(run.model.given(label), run.corpus, run.options)
        assert_same_scores(given, Reader(written(given)), NEW)


def test_models_that_are_not_counted_are_refused_with_the_way_out(saved_run, words):
    with pytest.raises(moreish.InputError, match="takes an n-gram model, and .* is an mlp: use --to onnx"):
        data(saved_run)
    mixed = moreish.mix([moreish.train(words, "ngram"), saved_run])
    with pytest.raises(moreish.InputError, match="is a mixture: use --to html"):
        data(mixed)
    with pytest.raises(moreish.InputError, match="takes a net, and .* is a mixture: use --to html"):
        onnx.data(mixed)
