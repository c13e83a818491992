"""Preparing a training, and its loop as an iterator."""

from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError
from moreish.training.fit import first_state
from moreish.training.loop import Loop
from moreish.training.prepare import engine_of, of_run, prepare

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32}


def test_stopping_to_iterate_and_going_on_is_the_same_training(corpus):
    """The loop may be left at any Progress, and another one goes on from its state."""
    task = prepare(corpus, "mlp", {**SMALL, "steps": 200})
    whole = moreish.train(corpus, **SMALL, steps=200, keep="last")
    run = task.start()
    state, steps = first_state(run), []
    while state.step < 200:
        for at in Loop(run, state, task.need_steps(), engine_of(run)):
            steps.append(at.step)
            if at.step >= 50 * len(steps):
                break
    assert steps == sorted(set(steps))
    assert (state.params == whole.model.params).all()
    assert [line["step"] for line in run.history] == [line["step"] for line in whole.history]


def test_a_run_trained_by_pytorch_is_evaluated_as_when_it_is_loaded(corpus, tmp_path):
    pytest.importorskip("torch")
    run = moreish.train(corpus, **SMALL, steps=20, engine="torch", out=tmp_path / "run")
    assert run.loss == moreish.load(tmp_path / "run").loss
    assert run.model.sample(20, seed=1) == moreish.load(tmp_path / "run").model.sample(20, seed=1)


def test_a_run_has_the_options_and_batches_that_were_prepared(corpus):
    nets = (("mlp", {}), ("wavenet-conv", {}), ("mlp", {"full_batch": True}), ("bigram", {}))
    for model, options in (*nets, ("gru", {}), ("lstm", {"full_batch": True})):
        task = prepare(corpus, model, options)
        again = of_run(task.start())
        assert again.options == task.options
        np.testing.assert_equal(vars(again.need_steps()), vars(task.need_steps()))
        with pytest.raises(InputError, match="split_seed is 7, but the corpus was split with 42"):
            prepare(corpus, model, {**options, "split_seed": 7})
    with pytest.raises(InputError, match="no option --steps"):
        prepare(corpus, "ngram", {"steps": 5})
    with pytest.raises(InputError, match="counted, not trained by steps"):
        prepare(corpus, "ngram", {}).need_steps()
