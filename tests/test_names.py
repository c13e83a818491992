"""Losses on the reference list, which MOREISH_NAMES names. Without it these tests are skipped."""

import pytest

import moreish


@pytest.fixture(scope="module")
def corpus(names_file):
    return moreish.Corpus(moreish.read_words(names_file))


@pytest.fixture(scope="module")
def wavenet(corpus):
    return moreish.train(corpus, "wavenet")


def test_the_lecture_split(corpus):
    assert {part: corpus.stream(part).size - 1 for part in corpus.parts} == {
        "train": 182_625,
        "val": 22_655,
        "test": 22_866,
    }


def test_bigram_counts(corpus):
    loss = moreish.train(corpus, "bigram-counts").loss
    assert loss["val"] == pytest.approx(2.4533, abs=0.0005)
    assert loss["test"] == pytest.approx(2.4584, abs=0.0005)


def test_ngrams_with_fitted_strengths(corpus):
    """Losses equal those of another implementation of the formula, and a higher order is never worse."""
    losses = {order: moreish.train(corpus, "ngram", order=order).loss for order in range(1, 9)}
    for order, val, test in ((4, 2.058, 2.058), (5, 1.984, 1.984), (6, 1.976, 1.975), (8, 1.976, 1.975)):
        assert losses[order]["val"] == pytest.approx(val, abs=0.002)
        assert losses[order]["test"] == pytest.approx(test, abs=0.002)
    for order in range(2, 9):
        assert losses[order]["val"] <= min(losses[k]["val"] for k in range(1, order)) + 0.002


def test_ngrams_with_the_smoothings_of_others(corpus):
    """KenLM's modified Kneser-Ney has val 1.9746 and test 1.9779 at order 6."""
    loss = moreish.train(corpus, "ngram", smoothing="kneser-ney").loss
    assert (loss["val"], loss["test"]) == pytest.approx((1.9746, 1.9779), abs=0.0003)
    assert moreish.train(corpus, "ngram", order=5, smoothing="witten-bell").loss["val"] == pytest.approx(
        2.0348, abs=1e-3
    )


def test_an_ngram_and_a_net_together_beat_both(corpus, wavenet):
    parts = [moreish.train(corpus, "ngram"), wavenet]
    for kind in ("linear", "log-linear"):
        assert moreish.mix(parts, kind).loss["test"] < min(part.loss["test"] for part in parts) - 0.02


def test_the_bigram_net(corpus):
    counted, trained = moreish.train(corpus, "bigram-counts").loss, moreish.train(corpus, "bigram").loss
    assert trained == pytest.approx(counted, abs=0.01)


def test_wavenets_with_their_defaults(corpus, wavenet):
    for run in (wavenet, moreish.train(corpus, "wavenet-conv")):
        assert run.loss["val"] <= 2.01


def test_the_defaults(corpus):
    run = moreish.train(corpus)
    assert run.loss["val"] <= 2.06
    words = run.model.sample(2000)
    assert 0.05 < sum(corpus.mark(word) != "new" for word in words) / 2000 < 0.5


LECTURE = {
    "block_size": 3,
    "n_embd": 10,
    "n_hidden": 200,
    "activation": "tanh",
    "steps": 200_000,
    "batch_size": 32,
    "optimizer": "sgd",
    "lr": 0.1,
    "keep": "last",
}
WIDER = {"block_size": 3, "n_embd": 16, "n_hidden": 300, "steps": 60_000, "batch_size": 64, "lr": 0.003}


@pytest.mark.parametrize(
    ("options", "train", "val"),
    [
        ({**LECTURE, "block_size": 4, "batch_size": 64}, 1.97, 2.07),
        (LECTURE, 2.0607, 2.1171),
        (WIDER, 2.0156, 2.0992),
        ({**LECTURE, "batch_norm": True}, 2.075, 2.115),
    ],
    ids=["context 4", "context 3", "context 3, wider", "BatchNorm"],
)
def test_published_mlps_are_reached(corpus, options, train, val):
    run = moreish.train(corpus, **options)
    assert (run.model.config.context, run.options.batch_size) == (options["block_size"], options["batch_size"])
    loss = run.loss
    assert loss["train"] <= train
    assert loss["val"] <= val
