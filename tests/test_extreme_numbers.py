"""The smallest lists and the most extreme numbers: results are finite and right, or one line says what is wrong."""

import math
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import MoreishError

QUICK: dict[str, Any] = {"steps": 30, "batch_size": 8, "n_hidden": 8, "n_embd": 4}
MODELS: dict[str, dict[str, Any]] = {"ngram": {}, "bigram-counts": {}, "mlp": QUICK, "gru": QUICK, "bow": QUICK}
LISTS = {
    "one word": ["anna"] * 6,
    "one character": ["a"] * 6,
    "one character in words of many lengths": ["a" * n for n in range(1, 9)],
    "words of one character": list("abcdef"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("model", MODELS)
def test_the_smallest_lists_train_and_their_probabilities_sum_to_one(model, name):
    run = moreish.train(LISTS[name], model, **MODELS[model])
    assert all(math.isfinite(loss) and loss >= 0 for loss in run.loss.values())
    assert sum(run.model.next("a").values()) == pytest.approx(1, rel=1e-5)
    drawn = run.model.sample(20)
    assert set("".join(drawn)) <= set("".join(LISTS[name]))
    word = LISTS[name][0]
    p = [run.model.next(word[:i])[char] for i, char in enumerate([*word, ""])]
    assert run.model.score(word).nll == pytest.approx(-np.log(p).mean(), rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("lr", [0.0, 1e-45, 1e-12, 1e3, 1e6, 1e38])
def test_extreme_rates_end_in_finite_losses_or_say_that_they_do_not(words, lr, optimizer):
    said = ""
    try:
        run = moreish.train(words, "mlp", optimizer=optimizer, lr=lr, **QUICK)
    except MoreishError as error:
        said = str(error)
    else:
        assert all(map(math.isfinite, run.loss.values()))
        if lr == 1e-12:
            np.testing.assert_allclose(run.model.params, run.first_params, rtol=1e-5, atol=1e-9)
    assert not said or "--lr" in said
    assert bool(said) >= (lr in (0.0, 1e-45, 1e38)), "a rate out of its bounds is refused"


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100])
def test_the_scale_of_the_weights_of_words_hardly_changes_probabilities(words, scale):
    weights = np.arange(1, len(words) + 1)
    one = moreish.train(words, "ngram", weights=weights, smoothing="witten-bell")
    other = moreish.train(words, "ngram", weights=weights * scale, smoothing="witten-bell")
    assert other.model.score("bada").nll == pytest.approx(one.model.score("bada").nll, rel=1e-3)


def test_weights_of_a_net_that_are_denormal_give_the_probabilities_of_zeros(words):
    run = moreish.train(words, "mlp", **QUICK)
    run.model.params[:] = np.float32(1e-42)
    p = run.model.next("ba")
    assert list(p.values()) == pytest.approx([1 / len(p)] * len(p), rel=1e-6)
    assert len(run.model.sample(5, top_p=0.5)) == 5
