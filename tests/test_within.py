"""Training within a time: the choice of a recipe, its repetition, and the end at the deadline."""

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run as command
from moreish.cli.values import duration
from moreish.corpus import PARTS
from moreish.evaluation import part_loss, stream_of
from moreish.training import within
from moreish.training.fit import clock, fit
from moreish.training.prepare import prepare
from moreish.training.recipes import BY_NAME, RECIPES, expected
from moreish.training.summary import summaries
from moreish.training.within import best_within, of_recipe

WORDS = made_up_words(400, seed=3)
OF_STEP = {"mlp": 1e-4, "gru": 4e-3, "lstm": 2e-2}  # seconds


@pytest.fixture
def machine(monkeypatch):
    """A machine on which every step and token takes the same time."""
    monkeypatch.setattr(within, "_pace", lambda task, seconds: (OF_STEP[task.name], 1e-6))
    monkeypatch.setattr(within, "_speed_of_products", lambda: 1e11)


def test_more_time_never_chooses_a_cheaper_recipe_or_a_shorter_training_of_it(machine):
    found = [best_within(WORDS, seconds, {}, clock()) for seconds in (0.01, 0.5, 3, 10, 60, 300, 3600)]
    places = [RECIPES.index(choice.recipe) for choice in found]
    assert places == sorted(places)
    assert found[0].recipe.name == "counts"
    assert found[-1].recipe.name == "ensemble"
    assert found[-1].members == BY_NAME["ensemble"].members
    for choice in found[1:]:
        task = prepare(choice.corpus, choice.plan.members[-1].model, choice.plan.members[-1].options)
        steps = choice.members * (task.options.steps or 0)
        assert clock() + steps * OF_STEP[task.name] < choice.deadline


@pytest.mark.parametrize("slower", [1, 10, 100])
def test_a_slower_machine_gets_a_shorter_training(monkeypatch, slower):
    monkeypatch.setattr(within, "_pace", lambda task, seconds: (slower * OF_STEP[task.name], slower * 1e-6))
    monkeypatch.setattr(within, "_speed_of_products", lambda: 1e11 / slower)
    choice = best_within(WORDS, 20, {}, clock())
    one = prepare(choice.corpus, choice.plan.members[-1].model, choice.plan.members[-1].options)
    assert choice.members * (one.options.steps or 0) * slower * OF_STEP[one.name] < 20


def test_the_options_that_are_printed_train_the_same_again(machine):
    choice = best_within(WORDS, 1.5, {"seed": 4, "split": "distinct"}, clock())
    assert choice.recipe.model is not None
    run = replace(choice, deadline=math.inf).train()
    again = moreish.train(WORDS, seed=4, split="distinct", **choice.options)
    assert run.loss == again.loss
    assert run.options.seed == again.options.seed == 4
    assert run.corpus.split == "distinct"


def test_a_list_for_which_counting_takes_too_long_gets_a_net_alone(machine, monkeypatch):
    monkeypatch.setattr(within, "COUNTING", 1.0)
    choice = best_within(WORDS, 5, {}, clock())
    assert [member.model for member in choice.plan.members] == ["mlp"]
    assert choice.train().model.name == "mlp"


def test_what_is_evaluated_is_limited_if_it_would_take_too_long(monkeypatch):
    monkeypatch.setattr(within, "FEWEST_EVALUATED", 50)
    monkeypatch.setattr(within, "_pace", lambda task, seconds: (1e-4, 1e-3))
    choice = best_within(WORDS, 2, {}, clock())
    assert choice.most is not None
    run = choice.train()
    for part in PARTS:
        stream = stream_of(run.corpus, part, choice.most)
        assert run.loss[part] == pytest.approx(float(run.model.nll(stream).mean()))
        assert len(stream) - 1 <= choice.most + 40


def test_the_first_words_of_a_part_end_at_a_word(words):
    corpus = moreish.Corpus(words)
    whole, nll = corpus.stream("train"), moreish.train(corpus, "bigram-counts").model.nll
    for most in (1, 2, 7, 30):
        some = stream_of(corpus, "train", most)
        assert most <= len(some) - 1 < len(whole)
        assert some[-1] == 0
        np.testing.assert_array_equal(some, whole[: len(some)])
        assert part_loss(nll, corpus, "train", most) == pytest.approx(float(nll(some).mean()))
    assert stream_of(corpus, "train", 10**6) is whole


def test_at_the_deadline_a_training_ends_with_its_best_weights_and_is_finished(words, tmp_path, caplog):
    caplog.set_level("INFO", "moreish")
    task = prepare(words, "mlp", {"n_hidden": 8, "steps": 1_000_000, "batch_size": 16})
    run = fit(task, out=tmp_path / "run", deadline=clock() + 0.3)
    last = run.history[-1]
    assert 0 < last["step"] < 1_000_000
    assert run.options.steps == last["step"]
    assert last["val"] is not None
    assert run.loss["val"] < math.log(len(run.corpus.vocab))
    assert "the time was over after" in caplog.text
    (found,) = summaries(tmp_path)
    assert found.state == "finished"  # pyright: ignore[reportAttributeAccessIssue]
    assert moreish.load(tmp_path / "run").loss == run.loss


def test_recipes_stand_in_the_order_of_their_cost_and_gain():
    counted = [recipe for recipe in RECIPES if recipe.counts]
    assert [recipe.seconds for recipe in counted] == sorted(recipe.seconds for recipe in counted)
    for n_words in (500, 1437, 5000, 32_033, 10**6):
        gains = [recipe.gain(n_words) for recipe in counted]
        assert gains == sorted(gains)
        chosen = [RECIPES.index(expected(seconds, n_words)) for seconds in (0.1, 1, 10, 100, 1000, 10_000)]
        assert chosen == sorted(chosen)


def test_a_recipe_takes_the_members_and_passes_that_are_given():
    choice = of_recipe(WORDS, "ensemble", {"epochs": 1.5, "seed": 3}, 2)
    assert [member.options["seed"] for member in choice.plan.members] == [3, 3, 4]
    assert [member.options.get("epochs") for member in choice.plan.members] == [None, 1.5, 1.5]


class Token:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("1.5", 1.5), ("10min", 600), ("1h", 3600), ("90 s", 90)])
def test_times_have_units(text, seconds):
    assert duration(None, [Token(text)]) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1d", "1e3", "nan", "1h30"])
def test_other_times_are_refused(text, capsys):
    assert command(["train", "names", f"--within={text}"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 2


def test_the_command_says_what_it_chose_and_how_to_repeat_it(monkeypatch, file, capsys):
    monkeypatch.setattr(within, "_pace", lambda task, seconds: (0.03, 1e-6))  # far slower than it is
    name = file("\n".join(WORDS))
    assert command(["train", name, "--within", "10", "--samples", "2"]) == 0
    captured = capsys.readouterr()
    assert "the same again: moreish train" in captured.err
    again = captured.err.partition("the same again: ")[2].splitlines()[0].split()
    assert command([*again[1:], "--samples", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1:5] == captured.out.splitlines()[1:5]
