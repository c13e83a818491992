"""Comparison of runs: the same tokens, paired intervals, and runs that cannot be compared."""

import csv
import dataclasses
import io
import json
import math
import os
import signal
import time

import numpy as np
import pytest
from conftest import overlapping_ticks

import moreish
from moreish import InputError, compare
from moreish.analysis.comparison import Comparison
from moreish.cli import run
from moreish.plots import plot_comparison
from moreish.plots.style import spread


@pytest.fixture(scope="module")
def runs(words, tmp_path_factory) -> list[moreish.Run]:
    """Three runs on one split: a good one, nearly the same, and a bad one."""
    home = tmp_path_factory.mktemp("compared")
    return [
        moreish.train(words, "ngram", order=3, out=home / "good"),
        moreish.train(words, "ngram", order=4, out=home / "twin"),
        moreish.train(words, "ngram", order=1, out=home / "bad"),
    ]


def test_rows_are_the_runs_own_losses_the_best_first(runs):
    found = compare([runs[2], runs[0], runs[1]])
    own = moreish.train(runs[0].corpus, "ngram")
    assert [row.loss["val"] for row in found.rows] == sorted(r.loss["val"] for r in [*runs, own])
    by_name = {row.name: row for row in found.rows}
    for r in runs:
        row = by_name[str(r.path)]
        assert row.loss == {part: pytest.approx(r.loss[part]) for part in ("val", "test")}
        assert row.parameters == r.model.n_parameters
        assert all(found and found[0] < row.loss[part] < found[1] for part, found in row.interval.items())
        assert row.seen["val"] == pytest.approx(r.corpus.stand_in_train("val").mean())
        assert row.seconds == r.seconds == json.loads((r.path / "history.jsonl").read_text())["seconds"]
        assert [s["word"] for s in row.samples] == r.model.sample(5)
        assert [s["seen"] for s in row.samples] == [r.corpus.mark(s["word"]) for s in row.samples]


def test_the_counts_are_beside_every_result(runs, words, corpus):
    found = compare(runs[:1])
    assert found.baseline == "ngram"
    assert found.row("ngram").loss["test"] == pytest.approx(moreish.train(corpus, "ngram").loss["test"])
    # The n-gram model is not added if one of the runs is one already.
    own = moreish.train(words, "ngram")
    assert [row.name for row in compare([own]).rows] == ["ngram"]


def test_seconds_are_those_of_the_training(words, tmp_path):
    began = time.perf_counter()
    calls = []

    def stop(at):
        calls.append(at.step)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, n_hidden=16, n_embd=4, batch_size=8, steps=3000, out=tmp_path / "run", on_progress=stop)
    time.sleep(0.3)  # a pause without training
    run = moreish.resume(tmp_path / "run")
    took = time.perf_counter() - began
    seconds = [line["seconds"] for line in run.history]
    assert seconds == sorted(seconds)
    assert run.seconds == seconds[-1]
    assert 0 < seconds[-1] < took - 0.3
    mixed = moreish.mix([run, moreish.train(words, "ngram")])
    assert (mixed.seconds or 0) > seconds[-1]


def test_the_picture_holds_every_run(runs):
    found = compare(runs)
    made = plot_comparison(found)
    assert [ax.get_xlabel() for ax in made.axes] == ["seconds to train", "parameters, or numbers counted"]
    for ax, name in zip(made.axes, ("seconds", "parameters"), strict=True):
        points = {container.get_label(): container[0].get_xydata()[0] for container in ax.containers}
        assert points == {row.name: pytest.approx((getattr(row, name), row.loss["val"])) for row in found.rows}
        line = next(line for line in ax.lines if line.get_label() == "ngram (baseline)")
        assert np.asarray(line.get_ydata()).tolist() == [found.row("ngram").loss["val"]] * 2
    assert {text.get_text() for text in made.axes[1].texts} == {row.name for row in found.rows}
    assert not overlapping_ticks(made)


@pytest.mark.parametrize(
    ("seconds", "parameters"),
    [([0.1, 0.11, 31], [120_345, 120_400, 120_351]), ([800.5, 801, 803.25], [5e3, 2e7, 1e9]), ([1, 4, 8], [9, 80, 81])],
)
def test_ticks_are_apart_whatever_the_runs_cost(runs, seconds, parameters):
    rows = [
        dataclasses.replace(row, seconds=s, parameters=int(p))
        for row, s, p in zip(compare(runs).rows, seconds, parameters, strict=False)
    ]
    found = Comparison(rows, [], rows[0].name)
    made = plot_comparison(found, unit="bits", title="letters")
    assert not overlapping_ticks(made)
    assert made.get_suptitle().startswith("letters: ")
    assert made.axes[0].get_ylabel() == "val loss (bits per token), 95% interval"
    heights = [container[0].get_xydata()[0][1] for container in made.axes[1].containers]
    assert heights == pytest.approx([row.loss["val"] / math.log(2) for row in rows])


@pytest.mark.parametrize("heights", [[0.0, 0.0, 0.0], [3.0, 1.0, 1.1, 1.2, 7.0, 7.3], [0.0, 0.9, 1.8, 5.0]])
def test_names_beside_a_picture_are_moved_apart_and_no_further(heights):
    moved = spread(heights, 1.0)
    assert np.argsort(moved, kind="stable").tolist() == np.argsort(heights, kind="stable").tolist()
    assert (np.diff(sorted(moved)) >= 1 - 1e-9).all()
    assert np.mean(moved) == pytest.approx(np.mean(heights))
    assert spread([0.0, 2.0, 4.0], 1.0) == [0.0, 2.0, 4.0]


def test_a_clear_difference_is_shown_and_a_small_one_is_not(runs):
    good, twin, bad = (str(r.path) for r in runs)
    verdicts = {(p.part, frozenset((p.one, p.other))): p for p in compare(runs).pairs}
    assert len(verdicts) == 12
    for part in ("val", "test"):
        for better in (good, twin):
            pair = verdicts[part, frozenset((better, bad))]
            assert pair.verdict == f"{better} is better"
        assert verdicts[part, frozenset((good, twin))].verdict == "no significant difference"
    # The paired interval is far narrower than the intervals of the two losses.
    pair, rows = verdicts["val", frozenset((good, twin))], {row.name: row for row in compare(runs).rows}
    assert np.diff(pair.interval or 0)[0] < 0.5 * np.diff(rows[good].interval["val"] or 0)[0]
    assert pair.difference == pytest.approx(rows[pair.one].loss["val"] - rows[pair.other].loss["val"])


def test_other_splits_are_refused_or_said_to_be_seen(runs, words, capsys, tmp_path):
    other = moreish.train(words, "ngram", order=3, split_seed=1, out=tmp_path / "other")
    with pytest.raises(InputError, match="add --rescore to score all runs"):
        compare([runs[0], other])
    row = next(row for row in compare([runs[0], other], rescore=True).rows if row.name == str(other.path))
    train = set(other.corpus.parts["train"])
    assert row.seen["val"] == pytest.approx(np.mean([w in train for w in runs[0].corpus.parts["val"]]))
    assert run(["compare", str(runs[0].path), str(other.path), "--rescore"]) == 0
    shown = capsys.readouterr()
    assert f"{other.path} was trained on" in shown.err
    assert "seen in training" in shown.out
    markdown = compare([runs[0], other], rescore=True).markdown().splitlines()
    assert [len(line.split("|")) for line in markdown] == [len(markdown[0].split("|"))] * 5
    assert f"{row.seen['val']:.1%}" in next(line for line in markdown if str(other.path) in line)
    strange = moreish.train(["xyz", "zyx", "yy"] * 9, "ngram", order=2)
    with pytest.raises(InputError, match="the corpus has the characters"):
        compare([runs[0], strange], rescore=True)
    with pytest.raises(InputError, match="no runs to compare"):
        compare([])


def test_the_command_prints_every_form(runs, capsys, tmp_path):
    command = ["compare", *(str(r.path) for r in runs)]
    assert run(command) == 0
    assert "no significant difference" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in found["runs"]][-1] == str(runs[2].path)
    assert {"one", "other", "part", "difference", "interval", "verdict"} == set(found["pairs"][0])
    assert run([*command, "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert float(table[0]["val"]) == pytest.approx(found["runs"][0]["loss"]["val"])
    assert float(table[0]["val_low"]) < float(table[0]["val"]) < float(table[0]["val_high"])
    assert run([*command, "--markdown"]) == 0
    assert capsys.readouterr().out.count("\n") == 2 + 4
    for ending in (".png", ".svg", ".pdf"):
        assert run([*command, "--plot", str(tmp_path / f"a{ending}")]) == 0
        assert (tmp_path / f"a{ending}").stat().st_size > 5000
    for unit in ("nats", "bits"):
        capsys.readouterr()
        assert run([*command, "--plot", str(tmp_path / "unit.svg"), "--unit", unit]) == 0
        assert f"val loss ({unit} per token)" in (tmp_path / "unit.svg").read_text(encoding="utf-8")
        assert f"plot saved in {tmp_path / 'unit.svg'}" in capsys.readouterr().err
    assert run([*command, "--plot", str(tmp_path / "a.bmp")]) == 2
    assert "the name of a picture must end in one of .png" in capsys.readouterr().err
