"""Tests of the advice after a training: other words, counting, the mixture of both, and another length."""

import gzip
import re
import shlex
from pathlib import Path

import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run as command
from moreish.cli.advice import advice
from moreish.cli.request import Request


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder of a test is the current one, and counting is compiled."""
    monkeypatch.chdir(tmp_path)
    moreish.train(made_up_words(50), "ngram").loss  # noqa: B018
    return tmp_path


def trained(capsys, *arguments: object) -> dict[str, str]:
    """Train by the command; return its advice, as reasons with commands."""
    assert command(["train", *map(str, arguments), "--samples", "0"]) == 0
    lines = capsys.readouterr().out.partition("\nnext:\n")[2].splitlines()
    found, reason = {}, ""
    for line in lines:
        if line.startswith("    "):
            found[reason] = line.strip()
        else:
            reason = line.strip().removesuffix(":")
            found[reason] = ""
    return found


def losses(text: str) -> list[float]:
    """The losses that a reason names."""
    return [float(loss) for loss in re.findall(r"(?:val|test) (\d\.\d{3})", text)]


def one(found: dict[str, str], begin: str) -> str:
    """The only reason that begins so."""
    (reason,) = (reason for reason in found if reason.startswith(begin))
    return reason


@pytest.mark.parametrize("name", ["dinosaurs", "minerals"])
def test_on_a_bundled_list_counts_are_better_and_the_mixture_is_the_best(here, capsys, name):
    """The losses are those of the runs that the commands make, and the commands work."""
    found = trained(capsys, name)
    counted, mixed = one(found, "an n-gram model does better"), one(found, "then the two mixed")
    for reason, folder in ((counted, f"runs/{name}-ngram"), (mixed, f"runs/{name}-mixture")):
        assert command(shlex.split(found[reason])[1:]) == 0
        run = moreish.load(folder)
        assert losses(reason) == pytest.approx([run.loss["val"], run.loss["test"]], abs=6e-4)
    run = moreish.load(f"runs/{name}-mlp")
    for part, of_counts, of_both in zip(("val", "test"), losses(counted), losses(mixed), strict=True):
        assert of_both < of_counts < run.loss[part]
    gap = run.loss["val"] - run.loss["train"]
    longer = f"longer training with more weight decay may gain up to 0.05: val is {gap:.2f} above train"
    assert found[longer] == f"moreish train {name} --epochs 6 --weight-decay 0.1"
    again = moreish.train(run.corpus, epochs=6, weight_decay=0.1)
    assert again.loss["val"] < run.loss["val"] - 0.01
    sampled = found["safer words that are not in your list"]
    assert command([*shlex.split(sampled)[1:], "-n", "3"]) == 0
    words = capsys.readouterr().out.split()[-3:]
    assert not set(words) & set(run.corpus.words)


@pytest.mark.parametrize("options", [["--labels", "kind"], ["--weights", "n"], []])
def test_a_gain_is_named_only_where_it_was_measured(here, capsys, options):
    """It was not on lists with columns, nor on short ones."""
    words = moreish.bundled("dinosaurs")[: 1_200 if options else 900]
    rows = ["word,kind,n", *(f"{word},{word[0]},{1 + i % 5}" for i, word in enumerate(words))]
    (here / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    found = trained(capsys, "list.csv", "--column", "word", "--model", "mlp", *options)
    assert "may help" in one(found, "longer training")
    (here / "list.csv").write_text("\n".join(moreish.bundled("dinosaurs")[:1_200]), encoding="utf-8")
    assert "may gain up to 0.05" in one(trained(capsys, "list.csv"), "longer training")


@pytest.mark.parametrize(
    ("higher", "verdict"),
    [(0.02, "does better"), (0.004, "is about as good"), (-0.004, "is about as good"), (-0.02, "does worse")],
)
def test_val_alone_decides_whether_counts_are_better(here, words, higher, verdict):
    """A difference of some thousandths of a nat is none."""
    counts = moreish.train(words, "ngram").loss
    run = moreish.train(words, "mlp", n_hidden=8, n_embd=3, steps=50, out="runs/few-mlp")
    run.loss = {"train": 2.0, "val": counts["val"] + higher, "test": counts["test"] - 9 * higher}
    reason = one(dict(advice(run, Request("few.txt", None, {}, {}))), "an n-gram model")
    assert reason == f"an n-gram model {verdict}: val {counts['val']:.3f}, test {counts['test']:.3f}"


def test_few_val_words_decide_nothing(here, capsys):
    (here / "few.txt").write_text("\n".join(moreish.bundled("minerals")[:150]), encoding="utf-8")
    found = trained(capsys, "few.txt")
    assert len(losses(one(found, "an n-gram model has: val"))) == 2


@pytest.mark.parametrize("n", [20_000, 50_001])
def test_the_mixture_is_named_for_long_lists_too(here, n):
    """Its losses are not computed for very long ones."""
    turned = [word[k:] + word[:k] for k in range(6) for word in moreish.bundled("names")][:n]
    run = moreish.train(turned, steps=300, out="runs/long-mlp")
    found = dict(advice(run, Request("long.txt", None, {}, {})))
    counted, (mixed,) = one(found, "an n-gram model"), (reason for reason in found if "mixed" in reason)
    assert len(losses(counted)) == len(losses(mixed)) == (2 if n == 20_000 else 0)
    assert found[counted] == "moreish train long.txt --model ngram"
    assert found[mixed] == "moreish mix runs/long-mlp runs/long-ngram --out runs/long-mixture"


def test_commands_repeat_what_was_asked_for(here, capsys):
    lines = ["word,kind", *(f"{word},{word[0]}" for word in moreish.bundled("dinosaurs")[:400])]
    (here / "two words.csv").write_text("\n".join(lines), encoding="utf-8")
    options = "--column word --split distinct --seed 3 --n-hidden 16 --steps 40"
    found = trained(capsys, "two words.csv", *options.split())
    asked = "moreish train 'two words.csv'"
    assert found[one(found, "an n-gram model")] == f"{asked} --model ngram --column word --split distinct --seed 3"
    longer = found[one(found, "longer training should help: val is only")]
    assert longer == f"{asked} --column word --n-hidden 16 --split distinct --steps 80 --seed 3"
    begun = Request("few.txt", None, {}, {"from": Path("runs/a b")})
    assert begun.command() == "moreish train few.txt --from 'runs/a b'"
    assert begun.of("ngram").command() == "moreish train few.txt --model ngram"


def test_a_training_that_was_long_enough_should_not_be_longer_and_one_that_learns_should(here, capsys):
    found = trained(capsys, "dinosaurs", "--epochs", "20", "--n-hidden", "64")
    reason = one(found, "longer training would not help: val was lowest at step")
    at, steps = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+)(?= of|$)", reason))
    run = moreish.load("runs/dinosaurs-mlp")
    val = {line["step"]: line["val"] for line in run.history}
    assert min(val, key=val.__getitem__) == at < steps == run.options.steps
    assert found[reason] == ""

    found = trained(capsys, "dinosaurs", "--epochs", "0.5")
    assert found[one(found, "longer training should help: val is only")] == "moreish train dinosaurs --epochs 1"
    assert moreish.train(run.corpus, epochs=1).loss["val"] < moreish.load("runs/dinosaurs-mlp-2").loss["val"]


def test_the_log_changes_no_advice(here, capsys):
    plain, logged = (trained(capsys, "dinosaurs", *options) for options in ([], ["--diagnostics", "--log-every", "9"]))
    assert one(plain, "longer training") == one(logged, "longer training")


def test_a_model_that_draws_copies_alone_is_not_asked_for_new_words(here, capsys):
    (here / "one.txt").write_text("anna\n" * 30, encoding="utf-8")
    found = trained(capsys, "one.txt")
    assert found["safer words"] == "moreish sample runs/one-mixture --temperature 0.7"


def test_a_net_at_its_optimum_would_gain_nothing(here, capsys):
    found = trained(capsys, "dinosaurs", "--model", "bigram")
    assert found["longer training would not help: val has levelled off"] == ""


def test_a_run_that_learnt_nothing_is_pointed_to_its_diagnosis(here, capsys):
    found = trained(capsys, "dinosaurs", "--lr", "5", "--schedule", "constant", "--keep", "last")
    assert list(found.values()) == ["moreish diagnose runs/dinosaurs-mlp"]
    too_high = ["--lr", "1e5", "--optimizer", "sgd", "--activation", "relu"]
    assert command(["train", "dinosaurs", *too_high, "--out", "a b"]) == 1
    assert "moreish diagnose 'a b' looks for the cause" in capsys.readouterr().err
    assert moreish.load("a b").diverged


def test_counts_and_mixtures_get_what_makes_sense_for_them(here, capsys):
    found = trained(capsys, "dinosaurs", "--model", "ngram")
    assert list(found.values()) == [
        "moreish sample runs/dinosaurs-ngram --temperature 0.7 --only-new",
        "moreish train dinosaurs --model mlp",
        "moreish mix runs/dinosaurs-ngram runs/dinosaurs-mlp --out runs/dinosaurs-mixture",
        "moreish train dinosaurs --within 10",
    ]
    (here / "short.txt").write_text("\n".join(moreish.bundled("minerals")[:400]), encoding="utf-8")
    found = trained(capsys, "short.txt")
    assert list(found.values()) == [
        "moreish sample runs/short-mixture --temperature 0.7 --only-new",
        "",
        "moreish train short.txt --within 10",
    ]
    assert len(losses(one(found, "an n-gram model does worse"))) == 2


def test_folders_have_the_name_of_the_list(here, capsys):
    """It is that of its file, packed or not, as in titles."""
    (here / "few words.csv.gz").write_bytes(gzip.compress("\n".join(made_up_words(50)).encode()))
    found = trained(capsys, "few words.csv.gz", "--model", "ngram")
    mixture = "moreish mix 'runs/few words-ngram' 'runs/few words-mlp' --out 'runs/few words-mixture'"
    assert found["then the two mixed"] == mixture
    assert moreish.load("runs/few words-ngram").corpus.name == "few words"
    assert command(["tune", "few words.csv.gz", "--model", "ngram", "--trials", "1"]) == 0
    evaluated = capsys.readouterr().out.partition("losses on all parts: moreish ")[2]
    assert "runs/few words-ngram-study/" in evaluated
    assert command(shlex.split(evaluated)) == 0


def test_a_resumed_run_gets_the_advice_that_needs_no_list(saved_run):
    ((_, sample),) = advice(saved_run, None)
    assert sample == shlex.join(["moreish", "sample", str(saved_run.path), "--temperature", "0.7", "--only-new"])


def test_a_piped_list_has_to_be_piped_again(saved_run, here):
    piped = Request("standard input", None, {}, {"n_hidden": 16})
    commands = [command for _, command in advice(saved_run, piped)]
    assert re.fullmatch(r"\.\.\. \| moreish train - --n-hidden 16 --epochs [0-9.]+", commands[-2])
    assert commands[-1] == "... | moreish train - --within 10"
