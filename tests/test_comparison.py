"""Runs beside each other: the same tokens, paired intervals, and what may not be compared."""

import csv
import io
import json

import numpy as np
import pytest

import moreish
from moreish import InputError, compare
from moreish.cli import run


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
    assert [row.loss["val"] for row in found.rows] == sorted(r.loss["val"] for r in runs)
    by_name = {row.name: row for row in found.rows}
    for r in runs:
        row = by_name[str(r.path)]
        assert row.loss == {part: pytest.approx(r.loss[part]) for part in ("val", "test")}
        assert row.parameters == r.model.n_parameters
        assert all(found and found[0] < row.loss[part] < found[1] for part, found in row.interval.items())
        assert row.seen["val"] == pytest.approx(r.corpus.stand_in_train("val").mean())


def test_a_clear_difference_is_shown_and_a_small_one_is_not(runs):
    good, twin, bad = (str(r.path) for r in runs)
    verdicts = {(p.part, frozenset((p.one, p.other))): p for p in compare(runs).pairs}
    assert len(verdicts) == 6
    for part in ("val", "test"):
        for better in (good, twin):
            pair = verdicts[part, frozenset((better, bad))]
            assert pair.verdict == f"{better} is better"
        assert verdicts[part, frozenset((good, twin))].verdict == "no difference shown"
    # Paired: far narrower than the intervals of the two losses would let one think.
    pair, rows = verdicts["val", frozenset((good, twin))], {row.name: row for row in compare(runs).rows}
    assert np.diff(pair.interval or 0)[0] < 0.5 * np.diff(rows[good].interval["val"] or 0)[0]
    assert pair.difference == pytest.approx(rows[pair.one].loss["val"] - rows[pair.other].loss["val"])


def test_other_splits_are_refused_or_said_to_be_seen(runs, words, capsys, tmp_path):
    other = moreish.train(words, "ngram", order=3, split_seed=1, out=tmp_path / "other")
    with pytest.raises(InputError, match="--rescore scores all"):
        compare([runs[0], other])
    row = next(row for row in compare([runs[0], other], rescore=True).rows if row.name == str(other.path))
    train = set(other.corpus.parts["train"])
    assert row.seen["val"] == pytest.approx(np.mean([w in train for w in runs[0].corpus.parts["val"]]))
    assert run(["compare", str(runs[0].path), str(other.path), "--rescore"]) == 0
    assert f"{other.path} has learnt from" in capsys.readouterr().err
    strange = moreish.train(["xyz", "zyx", "yy"] * 9, "ngram", order=2)
    with pytest.raises(InputError, match="the corpus has the characters"):
        compare([runs[0], strange], rescore=True)
    with pytest.raises(InputError, match="two runs or more"):
        compare(runs[:1])


def test_the_command_prints_every_form(runs, capsys):
    command = ["compare", *(str(r.path) for r in runs)]
    assert run(command) == 0
    assert "no difference shown" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in found["runs"]][-1] == str(runs[2].path)
    assert {"one", "other", "part", "difference", "interval", "verdict"} == set(found["pairs"][0])
    assert run([*command, "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert float(table[0]["val"]) == pytest.approx(found["runs"][0]["loss"]["val"])
    assert float(table[0]["val_low"]) < float(table[0]["val"]) < float(table[0]["val_high"])
    assert run([*command, "--markdown"]) == 0
    assert capsys.readouterr().out.count("\n") == 5
