"""Telling labels of words: the posterior, its calibration, accuracies, and the commands."""

import io
import json
import math
import sys

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish import InputError
from moreish.analysis.classification import Classifier, Confusion, calibration_loss
from moreish.cli import run as run_command
from moreish.corpus import WordList


@pytest.fixture(scope="module")
def listed():
    """Words of two made-up languages, which share few letters."""
    rows = dict.fromkeys(made_up_words(300, alphabet="abcde"), "first")
    rows |= dict.fromkeys(made_up_words(200, seed=1, alphabet="aefgh"), "second")
    return WordList.of(rows.keys()).with_labels(rows.values())


@pytest.fixture(scope="module")
def run(listed, tmp_path_factory):
    return moreish.train(listed, "ngram", order=3, out=tmp_path_factory.mktemp("labels") / "run")


@pytest.fixture(scope="module")
def classifier(run):
    return Classifier(run)


def test_the_gradient_of_the_calibration_is_right():
    generator = np.random.default_rng(1)
    log_p, lengths = 5 * generator.normal(size=(30, 3)), generator.uniform(0.5, 2, 30)
    labels, weights = generator.integers(0, 3, 30), generator.uniform(1, 5, 30)
    for counts in (None, weights):
        loss = calibration_loss(log_p, lengths, labels, counts, np.array([0, 0, -1.0, -2.0, -0.5]))
        x = generator.normal(size=5)
        slopes = [(loss(x + h)[0] - loss(x - h)[0]) / 2e-6 for h in np.eye(5) * 1e-6]
        np.testing.assert_allclose(loss(x)[1], slopes, rtol=1e-6)


def test_without_calibration_it_is_bayes_rule(run):
    classifier = Classifier(run)
    shares = run.model.labels.shares
    classifier.__dict__["_numbers"] = np.concatenate([[0.0, 0.0], np.log(shares)])
    for word in ("abba", "gefa", "zz"):
        joint = [
            share * math.exp(-sum(run.model.score(word, label=label).per_char))
            for share, label in zip(shares, ("first", "second"), strict=True)
        ]
        found = classifier.classify(word)
        assert list(found.probabilities.values()) == pytest.approx([p / sum(joint) for p in joint], rel=1e-6)
        assert found.label == max(found.probabilities, key=found.probabilities.get)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_calibration_lowers_the_val_loss(run, classifier):
    words, labels = run.corpus.parts["val"], run.corpus.labels("val")
    bayes = Classifier(run)
    bayes.__dict__["_numbers"] = np.concatenate([[0.0, 0.0], np.log(run.model.labels.shares)])
    losses = [-np.log(c.probabilities(words)[np.arange(len(words)), labels]).mean() for c in (classifier, bayes)]
    assert losses[0] < losses[1]


def test_accuracy_and_confusion_count_the_words(run, classifier):
    found = classifier.confusion("test")
    words, labels = run.corpus.parts["test"], run.corpus.labels("test")
    expected = np.zeros((2, 2))
    for one, label in zip(classifier.each(words), labels.tolist(), strict=True):
        expected[label, found.labels.index(one.label)] += 1
    np.testing.assert_array_equal(found.counts, expected)
    assert found.accuracy == np.trace(expected) / len(words) > 0.8
    assert classifier.accuracy()["test"] == found.accuracy
    np.testing.assert_allclose(found.recall, np.diag(expected) / expected.sum(1))
    np.testing.assert_allclose(found.precision, np.diag(expected) / expected.sum(0))


def test_every_word_counts_once_in_the_confusion(listed):
    weights = np.random.default_rng(2).uniform(1, 9, len(listed))
    run = moreish.train(listed.with_weights(weights), "ngram", order=3)
    found = Classifier(run).confusion("test")
    assert found.counts.sum() == len(run.corpus.parts["test"])


def test_a_label_without_words_has_no_recall():
    found = Confusion(("x", "y"), np.array([[3.0, 1.0], [0.0, 0.0]]))
    assert found.accuracy == 0.75
    assert found.recall[0] == 0.75
    assert math.isnan(found.recall[1])


@pytest.mark.parametrize("name", ["bigram", "mlp", "wavenet-conv"])
def test_every_model_classifies_better_than_chance(listed, name):
    options = {"bigram": {"epochs": 300.0}, "mlp": {}, "wavenet-conv": {"block_size": 4, "n_hidden": 16}}[name]
    accuracy = Classifier(moreish.train(listed, name, **options)).accuracy(["test"])["test"]  # pyright: ignore[reportArgumentType]
    assert accuracy > 0.75


def test_a_million_words_need_little_memory(classifier):
    """They are classified some at a time, as they are asked for."""
    asked = 0

    def words():
        nonlocal asked
        for number in range(1_000_000):
            asked = number
            yield "abefgh"[number % 6] * 3

    found = classifier.each(words())
    assert next(found).word == "aaa"
    assert asked < 200_000


def test_the_command_classifies_arguments_and_standard_input(run, classifier, capsys, monkeypatch):
    assert run_command(["classify", str(run.path), "abba", "gefa"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["abba", "first"], ["gefa", "second"]]

    class Input:
        buffer = io.BufferedReader(io.BytesIO("abba\ngefä\n".encode()))  # type: ignore[arg-type]

    monkeypatch.setattr(sys, "stdin", Input())
    assert run_command(["classify", str(run.path), "-", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found == [one.as_json() for one in classifier.each(["abba", "gefä"])]
    monkeypatch.setattr(Input, "buffer", io.BufferedReader(io.BytesIO(b"abba\n\nge\n")))  # type: ignore[arg-type]
    assert run_command(["classify", str(run.path), "-"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert [line.split("\t")[:2] for line in lines] == [["abba", "first"], ["", ""], ["ge", "second"], [""]]
    assert lines[1] == "\t\t"
    monkeypatch.setattr(Input, "buffer", io.BufferedReader(io.BytesIO(b" \nge")))  # type: ignore[arg-type]
    assert run_command(["classify", str(run.path), "-", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found == [{"word": "", "label": None, "probabilities": {}}, classifier.classify("ge").as_json()]


def test_wrong_requests_get_one_line(run, listed, tmp_path, capsys):
    plain = moreish.train(list(listed), "bigram-counts", out=tmp_path / "plain")
    for arguments, problem in (
        (["classify", str(plain.path), "abba"], "this run has no labels: train one with --labels"),
        (["classify", str(run.path)], "no words: give some"),
        (["sample", str(run.path), "--label", "frist"], "unknown label frist; did you mean first?"),
        (["score", str(run.path), "abba", "--label", "third"], "unknown label third"),
        (["sample", str(plain.path), "--label", "first"], "this bigram-counts has no labels"),
    ):
        assert run_command(arguments) == 2
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert problem in message
    with pytest.raises(InputError, match="an empty word has no label"):
        Classifier(run).classify("")


def test_eval_and_compare_tell_labels(run, capsys):
    assert run_command(["eval", str(run.path), "--json", "--no-baseline"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == Classifier(run).accuracy()
    assert found["confusion"]["labels"] == ["first", "second"]
    assert np.sum(found["confusion"]["val"]) == len(run.corpus.parts["val"])
    assert run_command(["eval", str(run.path), "--split", "test", "--no-baseline"]) == 0
    assert "predicted second" in capsys.readouterr().out
    assert run_command(["compare", str(run.path), "--json"]) == 0
    samples = json.loads(capsys.readouterr().out)["runs"][0]["samples"]
    assert {sample["label"] for sample in samples} <= {"first", "second"}


def test_words_of_one_label_are_scored_among_those_of_that_label(run, capsys):
    scorer = moreish.Scorer(run, 0.1, label="second")
    assert scorer.score("gefa").nll == pytest.approx(run.model.score("gefa", label="second").nll)
    assert scorer.score("gefa").percentile > scorer.score("dada").percentile  # pyright: ignore[reportOperatorIssue]
    assert run_command(["score", str(run.path), "gefa", "--label", "second", "--false-positive-rate", "0.1"]) == 0
    assert capsys.readouterr().out.startswith(f"gefa\t{scorer.score('gefa').nll:.4f}")


def test_drawn_words_of_the_command_have_the_label(run, capsys):
    for label, letters in (("first", "bcd"), ("second", "fgh")):
        assert run_command(["sample", str(run.path), "--label", label, "-n", "60"]) == 0
        words = capsys.readouterr().out.split()
        assert len(words) == 60
        assert np.mean([any(letter in word for letter in letters) for word in words]) > 0.7
    assert run_command(["fill", str(run.path), "g_f_", "--label", "second", "-n", "3", "--samples", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("g")
