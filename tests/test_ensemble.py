"""Ensembles: members one after another, mixed into one run, stopped and resumed."""

import json
import signal
from typing import Any

import numpy as np
import pytest

import moreish
from moreish.cli import run as command
from moreish.errors import InputError
from moreish.training.ensemble import Member, Plan, train_members
from moreish.training.fit import clock

SMALL: dict[str, Any] = {"n_hidden": 8, "n_embd": 4, "steps": 12, "batch_size": 16}


def stop_at(step):
    def stop(at):
        if at.step >= step:
            signal.raise_signal(signal.SIGINT)

    return stop


def test_members_are_nets_of_consecutive_seeds_and_their_mean_is_the_model(words):
    run = moreish.train(words, "gru", members=3, seed=5, **SMALL)
    parts = [moreish.train(words, "gru", seed=seed, **SMALL) for seed in (5, 6, 7)]
    stream = run.corpus.stream("val")
    mean = -np.log(np.mean([np.exp(-part.model.nll(stream)) for part in parts], axis=0))
    np.testing.assert_allclose(run.model.nll(stream), mean, rtol=1e-6)
    assert run.model.name == "mixture"
    assert run.options.seed == 5
    assert run.loss["val"] < np.mean([part.loss["val"] for part in parts])


def test_progress_counts_the_steps_of_all_members_and_has_a_line_for_each(words):
    seen = []
    moreish.train(words, "mlp", members=3, on_progress=seen.append, **SMALL)
    assert {at.steps for at in seen} == {36}
    assert [at.step for at in seen] == sorted(at.step for at in seen)
    assert [at.step for at in seen if at.is_line] == [12, 24, 36]


def test_a_stopped_ensemble_loads_as_the_mixture_so_far_and_resumes_to_the_same_run(words, tmp_path):
    whole = moreish.train(words, "gru", members=3, out=tmp_path / "whole", **SMALL)
    with pytest.raises(KeyboardInterrupt, match="saved; continue with: moreish train --resume"):
        moreish.train(words, "gru", members=3, out=tmp_path / "run", on_progress=stop_at(18), **SMALL)
    stopped = moreish.load(tmp_path / "run")
    assert stopped.path == tmp_path / "run"
    assert len(stopped.model.weights["weights"]) == 2
    assert stopped.model.sample(3)
    assert np.isfinite(stopped.loss["val"])
    resumed = moreish.resume(tmp_path / "run")
    assert resumed.loss == whole.loss
    assert moreish.load(tmp_path / "run").loss == whole.loss
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }
    with pytest.raises(InputError, match="nothing to resume"):
        moreish.resume(tmp_path / "run")


def test_what_is_left_of_a_member_that_had_no_time_to_begin_does_not_stop_the_others(words, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", on_progress=stop_at(6), **SMALL)
    begun = tmp_path / "run" / "members" / "1"
    begun.mkdir()
    (begun / "words.txt.part").write_text("x")
    assert moreish.resume(tmp_path / "run").loss == moreish.train(words, "gru", members=2, **SMALL).loss


def test_an_ensemble_stopped_before_its_first_step_leaves_nothing(words, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("moreish.training.ensemble.fit", interrupt)
    with pytest.raises(KeyboardInterrupt, match="^stopped$"):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_after_the_deadline_no_member_begins(words):
    corpus = moreish.Corpus(words)
    plan = Plan((Member("ngram", {}), Member("gru", SMALL), Member("gru", SMALL)))
    assert train_members(plan, corpus, deadline=clock()).model.name == "ngram"
    assert train_members(plan, corpus).model.name == "mixture"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"members": [], "weights": "fitted", "most": null}', "no members"),
        ('{"members": [{"model": "gru"}], "weights": "fitted", "most": null}', '"options" is missing'),
        ('{"members": [{"model": "nothing", "options": {}}], "weights": "fitted", "most": null}', "unknown model"),
        (
            '{"members": [{"model": "gru", "options": {"n_hidden": -1}}], "weights": "fitted", "most": null}',
            "--n-hidden",
        ),
        ('{"members": [{"model": "gru", "options": {}}], "weights": "fitted", "most": "x"}', "most is 'x'"),
        ('{"members": [{"model": "gru", "options": {}}], "weights": "x", "most": null}', "weights is 'x'"),
    ],
)
def test_a_damaged_plan_is_one_line(words, tmp_path, text, problem):
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", on_progress=stop_at(6), **SMALL)
    plan = tmp_path / "run" / "plan.json"
    assert json.loads(plan.read_text())["weights"] == "equal"
    plan.write_text(text)
    with pytest.raises(InputError, match=problem):
        moreish.resume(tmp_path / "run")


def test_a_run_that_is_being_trained_is_not_overwritten(words, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", on_progress=stop_at(6), **SMALL)
    with pytest.raises(InputError, match="already holds a run"):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", **SMALL)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"model": "ngram", "members": 2}, "counted, not trained by steps: its members would all be equal"),
        ({"model": "gru", "members": 0}, "--members is 0"),
        ({"members": 2, "from_run": "x"}, "leave out --from"),
        ({"within": 5, "model": "gru"}, "leave out --model"),
        ({"within": 5, "members": 2}, "leave out --members"),
        ({"within": 5, "recipe": "small"}, "leave out --within"),
        ({"within": 5, "lr": 0.1}, "leave out --lr"),
        ({"within": 0}, "--within is 0"),
        ({"recipe": "best"}, "unknown recipe"),
        ({"recipe": "quick", "members": 0}, "--members is 0"),
        ({"recipe": "uncounted", "members": -1}, "--members is -1"),
        ({"recipe": "small", "epochs": 0.0}, "--epochs is 0"),
        ({"within": True}, "--within is True"),
        ({"recipe": "counts", "epochs": 2.0}, "only counts"),
        ({"recipe": "small", "n_hidden": 8}, "leave out --n-hidden"),
    ],
)
def test_options_that_exclude_each_other_are_one_line(words, arguments, problem):
    with pytest.raises(InputError, match=problem):
        moreish.train(words, **arguments)


def test_labels_and_weights_go_through_an_ensemble(words, tmp_path):
    labels, weights = [word[0] for word in words], [len(word) for word in words]
    columns: dict[str, Any] = {"labels": labels, "weights": weights}
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "gru", members=2, out=tmp_path / "run", on_progress=stop_at(18), **columns, **SMALL)
    run = moreish.resume(tmp_path / "run")
    assert run.corpus.label_names == tuple(sorted(set(labels)))
    assert run.loss == moreish.train(words, "gru", members=2, **columns, **SMALL).loss
    assert run.model.sample(3, label=labels[0])


def test_the_command_trains_members_and_lists_an_unfinished_ensemble_as_stopped(file, capsys, tmp_path, words):
    name, out = file("\n".join(words)), str(tmp_path / "runs" / "three")
    options = ["--model", "gru", "--n-hidden", "8", "--steps", "12", "--members", "2", "--out", out]
    assert command(["train", name, *options, "--samples", "2"]) == 0
    assert "50% gru + 50% gru" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "gru", members=2, out=tmp_path / "runs" / "b", on_progress=stop_at(18), **SMALL)
    assert command(["runs", str(tmp_path / "runs"), "--json"]) == 0
    found = {run["path"]: run["state"] for run in json.loads(capsys.readouterr().out)["runs"]}
    assert found == {out: "finished", str(tmp_path / "runs" / "b"): "stopped"}
