"""Short lists: enough steps, words that look like the list, and advice to count where that is better."""

import re

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run as command


@pytest.mark.parametrize("n", [12, 30, 100])
def test_a_short_list_takes_some_hundred_steps_and_its_words_look_like_it(n):
    listed = made_up_words(n, seed=n, alphabet="abcdefghimnorstu")
    run = moreish.train(listed)
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


def test_the_command_advises_to_count_only_where_that_is_better(tmp_path, capsys):
    """On the dinosaurs it is, on random syllables it is not, and on a longer list there is no advice."""
    said = {}
    (tmp_path / "syllables.txt").write_text("\n".join(made_up_words(600, seed=2)), encoding="utf-8")
    (tmp_path / "long.txt").write_text("\n".join([*moreish.bundled("dinosaurs")] * 2), encoding="utf-8")
    for name, file in (("dinosaurs", "dinosaurs"), ("syllables", "syllables.txt"), ("long", "long.txt")):
        source = file if file == name else str(tmp_path / file)
        assert command(["train", source, "--out", str(tmp_path / name), "--samples", "2"]) == 0
        said[name] = capsys.readouterr().out
    advice = re.search(r"suits this short list better: val ([\d.]+), test ([\d.]+), against", said["dinosaurs"])
    assert advice
    run = moreish.load(tmp_path / "dinosaurs")
    counted = moreish.train(run.corpus, "ngram")
    assert advice.groups() == (f"{counted.loss['val']:.2f}", f"{counted.loss['test']:.2f}")
    assert "(try moreish train dinosaurs --model ngram)" in said["dinosaurs"]
    assert counted.loss["test"] < run.loss["test"]
    assert "list better" not in said["syllables"] + said["long"]
    assert command(["train", "dinosaurs", "--model", "ngram", "--out", str(tmp_path / "counted")]) == 0
    assert "list better" not in capsys.readouterr().out
