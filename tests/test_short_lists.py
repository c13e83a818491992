"""Short lists: enough steps, words that look like the list, and a mixture by default."""

import signal

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run as command
from moreish.errors import InputError
from moreish.training.train import default_model


@pytest.mark.parametrize("n", [12, 30, 100])
def test_a_short_list_takes_some_hundred_steps_and_its_words_look_like_it(n):
    listed = made_up_words(n, seed=n, alphabet="abcdefghimnorstu")
    run = moreish.train(listed, "mlp")
    assert run.options.steps == 300
    assert run.options.keep == ("last" if n < 40 else "best")
    lengths = [len(word) for word in run.model.sample(500)]
    own = [len(word) for word in listed]
    assert max(lengths) <= 2 * max(own) + 10
    assert np.mean(lengths) < 1.6 * np.mean(own)
    few = moreish.train(listed, epochs=3)  # what it takes on a longer list
    assert run.loss["train"] < few.loss["train"] - 0.05
    assert few.options.steps < 300  # pyright: ignore[reportOptionalOperand]
    assert few.options.keep == "best"


def test_options_that_are_given_for_a_short_list_are_taken(words):
    assert moreish.train(words[:20], n_hidden=8, lr=0.02).options.lr == 0.02
    assert moreish.train(words[:20], n_hidden=8, keep="best").options.keep == "best"
    assert moreish.train(words[:20], n_hidden=8, batch_size=64).options.steps == 300


@pytest.mark.parametrize(("n", "model"), [(20, "mixture"), (999, "mixture"), (1000, "mlp"), (1400, "mlp")])
def test_the_size_of_the_list_decides_between_a_mixture_and_a_net(n, model):
    words = moreish.bundled("minerals")[:n]
    assert default_model(words, {}) == default_model(moreish.Corpus(words), {"seed": 1}) == model
    assert default_model(words, {"steps": 5}) == default_model(words, {"seed": 1, "n_hidden": 8}) == "mlp"


def test_the_default_for_a_short_list_is_the_mixture_of_a_net_and_counts(words, tmp_path):
    run = moreish.train(iter(words), seed=7, split="distinct", out=tmp_path / "run")
    parts = [moreish.train(words, model, seed=7, split="distinct") for model in ("mlp", "ngram")]
    assert run.loss == moreish.mix(parts).loss
    assert run.options.seed == 7
    saved = moreish.load(tmp_path / "run")
    assert saved.loss == run.loss
    assert saved.model.sample(5, seed=2) == run.model.sample(5, seed=2)


def test_a_folder_in_use_is_refused_before_a_mixture_is_trained(words, saved_run):
    def unexpected(_):
        raise AssertionError("it trains")

    with pytest.raises(InputError, match="already holds a run"):
        moreish.train(words, out=saved_run.path, on_progress=unexpected)


def test_a_stopped_mixture_is_saved_and_resumes_to_the_same_run(words, tmp_path):
    def stop(_):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="saved; continue with: moreish train --resume"):
        moreish.train(words, out=tmp_path / "run", on_progress=stop)
    assert moreish.resume(tmp_path / "run").loss == moreish.train(words).loss
    assert moreish.load(tmp_path / "run").model.name == "mixture"


def test_options_of_a_net_choose_the_net(words, saved_run):
    assert moreish.train(words, n_hidden=8, steps=5).model.name == "mlp"
    assert moreish.train(words, keep="last", steps=5).model.name == "mlp"
    assert moreish.train(words, from_run=saved_run, steps=5).model.name == "mlp"
    with pytest.raises(InputError, match="unknown option"):
        moreish.train(words, order=3)


def test_a_short_list_with_weights_and_labels_gets_a_mixture(words):
    labels, weights = [word[0] for word in words], [len(word) for word in words]
    run = moreish.train(words, weights=weights, labels=labels)
    assert run.model.name == "mixture"
    assert run.corpus.label_names == tuple(sorted(set(labels)))
    assert run.loss == moreish.train(moreish.WordList.of(words).with_weights(weights).with_labels(labels)).loss


def test_the_command_says_why_it_trained_a_mixture(file, capsys):
    name = file("\n".join(moreish.bundled("dinosaurs")[:300]))
    assert command(["train", name, "--samples", "0"]) == 0
    out = capsys.readouterr().out
    assert "the lowest loss on lists under 1,000 words" in out
    assert "saved in runs/list-mixture" in out
    assert command(["train", name, "--samples", "0", "--n-hidden", "8"]) == 0
    out = capsys.readouterr().out
    assert "a mixture usually" not in out
    assert "saved in runs/list-mlp" in out
