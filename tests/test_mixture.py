"""Mixtures of runs: their weights, their probabilities, and that they are runs like any other."""

import math
import re
import shlex
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError, mix
from moreish.cli import run
from moreish.engine.states import state_after
from moreish.models.mixture import MIXTURES, log_sum
from moreish.training.mixing import em, fit_log_linear

SMALL: dict[str, Any] = {"n_embd": 4, "n_hidden": 12, "steps": 150, "batch_size": 32}


@pytest.fixture(scope="module")
def parts(corpus) -> list[moreish.Run]:
    """A counted model and two nets with contexts of other lengths. Do not change them."""
    return [
        moreish.train(corpus, "ngram", order=3),
        moreish.train(corpus, "mlp", **SMALL, block_size=2),
        moreish.train(corpus, "wavenet", **SMALL, block_size=4),
    ]


def part_probabilities(parts, stream) -> np.ndarray:
    return np.exp(-np.array([part.model.nll(stream) for part in parts]))


def test_a_linear_mixture_is_the_weighted_mean_of_its_parts(parts, corpus):
    mixed, stream = mix(parts), corpus.stream("test")
    weights = mixed.model.weights["weights"]
    assert weights.sum() == pytest.approx(1)
    expected = -np.log(weights @ part_probabilities(parts, stream))
    np.testing.assert_allclose(mixed.model.nll(stream), expected, rtol=1e-5, atol=1e-7)
    for delta in (0.05, -0.05):  # no other weights are better on val
        moved = np.abs(weights + np.array([delta, -delta, 0]))
        val = -np.log(moved / moved.sum() @ part_probabilities(parts, corpus.stream("val"))).mean()
        assert val >= mixed.loss["val"] - 1e-7
    assert mixed.loss["val"] <= min(part.loss["val"] for part in parts) + 1e-6


def test_a_log_linear_mixture_is_the_normalised_product(parts, corpus):
    mixed = mix(parts, "log-linear")
    w = mixed.model.weights["weights"]
    assert mixed.loss["val"] <= min(part.loss["val"] for part in parts) + 1e-4
    for prefix in ("", "de", "gage"):
        product = np.ones(len(corpus.vocab))
        for part, weight in zip(parts, w, strict=True):
            product *= np.array([*part.model.next(prefix).values()]) ** weight
        found = [*mixed.model.next(prefix).values()]
        np.testing.assert_allclose(found, product / product.sum(), rtol=1e-5)


@pytest.mark.parametrize("kind", MIXTURES)
def test_a_mixture_sums_to_one_and_scores_as_it_predicts(parts, corpus, kind):
    model = mix(parts, kind).model
    for word in ("de", "gage"):
        per_char = model.score(word).per_char
        for k in range(len(word) + 1):
            state = state_after(model.engine, model.params, corpus.vocab.encode(word[:k]))
            p = np.exp(model.engine.logits(model.params, state)[0])
            assert p.sum() == pytest.approx(1, rel=1e-6)
            token = corpus.vocab.encode(word)[k] if k < len(word) else 0
            assert per_char[k] == pytest.approx(-math.log(p[token]), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", MIXTURES)
def test_a_mixture_is_a_run_like_any(parts, kind, tmp_path):
    mixed = mix(parts, kind).save(tmp_path / "mixed")
    loaded = moreish.load(tmp_path / "mixed")
    assert loaded.loss == mixed.loss
    words = loaded.model.sample(30, seed=2)
    assert words == mixed.model.sample(30, seed=2)
    assert words[:10] == mixed.model.sample(10, seed=2)
    assert all(words)
    assert all(word.startswith("ga") for word in loaded.model.sample(5, prefix="ga"))
    again = mix([loaded, parts[1]])  # also one of mixtures
    assert again.loss["val"] <= loaded.loss["val"] + 1e-6
    assert loaded.model.n_parameters == sum(part.model.n_parameters for part in parts) + 3


def test_em_never_lowers_the_likelihood_and_finds_the_best_weights():
    generator = np.random.default_rng(3)
    for n in (2, 3, 5):
        logs = generator.normal(-2, 1, (n, 400))
        weights, losses = em(logs)
        assert (np.diff(losses) <= 1e-12).all()
        assert losses[-1] < losses[0]
        gain = np.exp(logs - log_sum(np.log(weights)[:, None] + logs)).mean(1)  # 1 for parts that are used, else less
        assert gain[weights > 1e-3] == pytest.approx(1, abs=1e-3)
        assert (gain <= 1 + 1e-3).all()


def test_a_log_linear_fit_is_at_its_minimum():
    generator = np.random.default_rng(4)
    logs = np.log(generator.dirichlet(np.ones(6), (3, 300)))
    targets = np.array([generator.choice(6, p=p) for p in np.exp(logs[0])])  # the first part is right
    weights = fit_log_linear(logs, targets)

    def loss(w):
        mixed = np.tensordot(w, logs, 1)
        return (log_sum(mixed.T) - mixed[np.arange(300), targets]).mean()

    assert weights[0] > 5 * weights[1:].max()
    for i in range(3):
        for factor in (0.9, 1.1):
            assert loss(weights * np.where(np.arange(3) == i, factor, 1)) >= loss(weights) - 1e-6


def test_runs_that_do_not_go_together_are_refused(parts, words):
    with pytest.raises(InputError, match="at least two runs"):
        mix(parts[:1])
    with pytest.raises(InputError, match="other words, weights or labels, or another split"):
        mix([parts[0], moreish.train(words, "ngram", split="distinct")])
    with pytest.raises(InputError, match="unknown model mixture"):
        moreish.train(words, "mixture")
    assert run(["show", "mixture"]) == 2
    with pytest.raises(InputError, match="did you mean linear"):
        mix(parts, "linaer")


def test_the_command(parts, tmp_path, capsys):
    folders, mixed = [str(tmp_path / str(i)) for i in range(2)], tmp_path / "of both"
    for part, folder in zip(parts, folders, strict=False):
        moreish.Run(part.model, part.corpus, part.options).save(folder)
    assert run(["mix", *folders, "--out", str(mixed)]) == 0
    out = capsys.readouterr().out
    assert "weight" in out
    assert run(shlex.split(out.partition("with: moreish ")[2])) == 0
    for command in (["eval"], ["sample", "-n", "3"]):
        assert run([*command, str(mixed)]) == 0
    capsys.readouterr()
    for command in ("show", "diagnose"):
        assert run([command, str(mixed)]) == 2
        assert capsys.readouterr().err == "moreish: a mixture has no layers: train a net, as with --model mlp\n"
    config = mixed / "config.json"
    good = config.read_text(encoding="utf-8")
    for bad in ('"parts": [1, 2]', '"parts": [{"model": "nothing", "options": {}}]', '"parts": []'):
        config.write_text(re.sub(r'"parts": \[.*?\}\s*\}\s*\]', bad, good, flags=re.DOTALL), encoding="utf-8")
        assert config.read_text(encoding="utf-8") != good
        assert run(["eval", str(mixed)]) == 2
        assert "damaged or incomplete" in capsys.readouterr().err
    config.write_text(good, encoding="utf-8")
    (mixed / "model.safetensors").write_bytes((tmp_path / "0" / "model.safetensors").read_bytes())
    assert run(["eval", str(mixed)]) == 2
    assert "damaged or incomplete" in capsys.readouterr().err
