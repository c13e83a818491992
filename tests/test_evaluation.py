"""Losses and their intervals."""

import json
import math

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish import evaluate
from moreish.cli import run
from moreish.evaluation import interval, word_nll


@pytest.mark.parametrize("tokens", [0, 1_200_000])
def test_words_have_the_loss_of_their_tokens(saved_run, tokens):
    """A stream of more than a million tokens is evaluated in pieces."""
    model, words = saved_run.model, list(saved_run.corpus.parts["val"])
    stream = saved_run.corpus.stream("val")
    times = 1 + tokens // len(stream)
    nll, lengths = word_nll(model.nll, np.append(0, np.tile(stream[1:], times)).astype(stream.dtype))
    np.testing.assert_allclose(nll, [sum(model.score(word).per_char) for word in words] * times, rtol=1e-5)
    assert lengths.tolist() == [len(word) + 1 for word in words] * times


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Words of random length, each with a random loss per token. The true mean loss is known."""
    generator, held, truth = np.random.default_rng(1), 0, 2.0
    for seed in range(300):
        tokens = generator.integers(2, 12, 150)
        luck = generator.gamma(4, truth / 4, 150)  # nats per token, the same for all tokens of a word
        low, high = interval(tokens * luck, tokens, seed) or (0, 0)
        held += low <= truth <= high
    # 95% of 300 is 285, with a standard deviation of 3.8. With few words, bootstrap intervals are a little narrow.
    assert 267 <= held <= 297


@pytest.mark.parametrize("n", [5_000, 45_000])
def test_an_interval_is_as_wide_as_the_spread_of_the_words_says(n):
    """By the normal approximation. More than 10,000 words are drawn in groups."""
    generator = np.random.default_rng(3)
    tokens = generator.integers(2, 12, n)
    nll = tokens * generator.gamma(4, 0.5, n)
    low, high = interval(nll, tokens) or (0, 0)
    loss = nll.sum() / tokens.sum()
    spread = (nll - loss * tokens).std() / tokens.mean() / math.sqrt(n)
    assert high - low == pytest.approx(3.92 * spread, rel=0.08)
    assert (low + high) / 2 == pytest.approx(loss, abs=0.3 * spread)


def test_a_few_words_give_no_interval(tmp_path, capsys):
    """Resampling one word gives an interval of no width, which would be wrong."""
    assert interval(np.ones(19), np.ones(19)) is None
    assert interval(np.ones(20), np.ones(20)) == (1, 1)
    (tmp_path / "list.txt").write_text("\n".join(made_up_words(30)))
    for order in ("2", "3"):
        command = ["train", str(tmp_path / "list.txt"), "--model", "ngram", "--order", order]
        assert run([*command, "--out", str(tmp_path / order)]) == 0
    capsys.readouterr()
    assert run(["eval", str(tmp_path / "2")]) == 0
    assert "too few words" in capsys.readouterr().out
    for form, says in ((), "too few words to tell"), (("--markdown",), "too few words"), (("--csv",), ",,"):
        assert run(["compare", str(tmp_path / "2"), str(tmp_path / "3"), *form]) == 0
        assert says in capsys.readouterr().out


def test_intervals_over_tokens_would_be_too_narrow():
    generator = np.random.default_rng(2)
    tokens = np.full(400, 10)
    luck = generator.gamma(4, 0.5, 400)
    low, high = interval(tokens * luck, tokens) or (0, 0)
    by_word = luck.std() / math.sqrt(400) * 3.92
    assert high - low == pytest.approx(by_word, rel=0.15)
    as_tokens = interval(np.repeat(luck, 10), np.ones(4000)) or (0, 0)
    assert as_tokens[1] - as_tokens[0] < 0.5 * (high - low)


def test_words_in_train_and_others_come_to_the_whole(saved_run):
    corpus, found = saved_run.corpus, evaluate(saved_run.model, saved_run.corpus, intervals=True)
    for part in ("val", "test"):
        seen = corpus.stand_in_train(part)
        nll, tokens = word_nll(saved_run.model.nll, corpus.stream(part))
        whole = found.in_train[part] * tokens[seen].sum() + found.new[part] * tokens[~seen].sum()
        assert whole / tokens.sum() == pytest.approx(found.loss[part])
        low, high = found.interval[part] or (0, 0)
        assert low < found.loss[part] < high
        assert nll.sum() / tokens.sum() == pytest.approx(saved_run.loss[part])
    assert found.in_train["train"] == found.loss["train"]
    assert "train" not in found.new
    assert evaluate(saved_run.model, corpus).interval == {}


def test_the_command_shows_them(saved_run, capsys):
    assert run(["eval", str(saved_run.path)]) == 0
    assert "95% interval" in capsys.readouterr().out
    assert run(["eval", str(saved_run.path), "--split", "val", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"loss", "interval", "bits", "perplexity", "tokens", "in_train", "new", "baseline"}
    counted = moreish.train(saved_run.corpus, "ngram").loss["val"]
    assert found["baseline"] == {"model": "ngram", "loss": {"val": pytest.approx(counted)}}
    assert run(["eval", str(saved_run.path), "--no-baseline"]) == 0
    assert "counting" not in capsys.readouterr().out
    low, high = found["interval"]["val"]
    assert low < found["loss"]["val"] < high
    assert found["bits"]["val"] == pytest.approx(found["loss"]["val"] / math.log(2))


def test_a_bigger_sample_has_a_smaller_interval():
    words = moreish.bundled("names")
    widths = []
    for n in (500, 8000):
        corpus = moreish.Corpus(words[:n])
        found = evaluate(moreish.train(corpus, "ngram").model, corpus, ("val",), intervals=True)
        low, high = found.interval["val"] or (0, 0)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.5)
