"""Training that starts from a trained net, on a list of another kind."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish import InputError
from moreish.cli import run as command
from moreish.corpus import mapped
from moreish.models import NETS
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.fit import first_state
from moreish.training.folder import CONFIG, MODEL, START
from moreish.training.loop import Loop
from moreish.training.prepare import engine_of, prepare
from moreish.training.saving import begin_folder

OTHERS = made_up_words(80, seed=9, alphabet="aekmz")  # shares only a and e with the words of the run
SMALL = {"mlp": {"n_hidden": 16, "n_embd": 4}, "wavenet": {"n_hidden": 8, "n_embd": 4}}
SMALL.update(dict.fromkeys(("wavenet-conv", "rnn", "gru", "lstm"), SMALL["wavenet"]))


@pytest.fixture(scope="module")
def sources(words) -> dict[str, moreish.Run]:
    return {name: moreish.train(words, name, steps=60, batch_size=32, **SMALL.get(name, {})) for name in NETS}  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", NETS)
def test_known_characters_keep_their_weights_and_new_ones_start_afresh(name, sources):
    source = sources[name]
    run = prepare(OTHERS, None, {"seed": 8}, source).start()
    assert run.model.config == source.model.config
    assert run.model.vocab.characters == "abcdefgkmz"
    fresh = moreish.Model(source.model.config, run.model.vocab, seed=8)
    assert len(source.model.vocab) == 8  # the end, and a to g
    for weight_name, weight in run.model.weights.items():
        own = source.model.weights[weight_name]
        block = tuple(slice(None) if n == m else slice(8) for n, m in zip(weight.shape, own.shape, strict=True))
        assert np.array_equal(weight[block], own), weight_name
        others = np.ones(weight.shape, bool)
        others[block] = False
        assert np.array_equal(weight[others], fresh.weights[weight_name][others])
    for prefix in ("", "ba", "gagafe"):  # so what it says of these characters is what it said, apart from the new ones
        before, after = source.model.next(prefix), run.model.next(prefix)
        share = sum(after[c] for c in before)
        assert {c: after[c] / share for c in before} == pytest.approx(before, rel=1e-4)
        assert 0 < share < 1


def test_characters_are_matched_by_what_they_are(words):
    """The new list's characters come before and between those of the run."""
    source = moreish.train([word.replace("a", "m") for word in words], "mlp", steps=40, **SMALL["mlp"])  # pyright: ignore[reportArgumentType]
    run = prepare(made_up_words(60, alphabet="aefhz"), None, {}, source).start()
    assert run.model.vocab.characters == "abcdefghmz"
    for c in source.model.vocab.characters:
        here, there = run.model.vocab.encode(c)[0], source.model.vocab.encode(c)[0]
        assert here != there or c in "bcdefg"
        for name, axis in (("0.embedding.C", 0), ("4.linear.W", 1), ("4.linear.b", 0)):
            new, old = run.model.weights[name], source.model.weights[name]
            assert np.array_equal(np.take(new, here, axis), np.take(old, there, axis))


def test_a_short_list_of_the_same_kind_gains(words):
    many = made_up_words(3000, seed=11, alphabet="abcdefghiklmnopr")
    few = made_up_words(60, seed=12, alphabet="abcdefghiklmnopr")
    held_out = sorted(set(made_up_words(1500, seed=13, alphabet="abcdefghiklmnopr")) - set(many) - set(few))
    source = moreish.train(many)
    begun, alone = moreish.train(few, from_run=source), moreish.train(few, "mlp")
    known = [word for word in held_out if set(word) <= set(alone.model.vocab.characters)]
    assert len(known) > 100
    assert begun.model.nll_of_words(known)[0].mean() < alone.model.nll_of_words(known)[0].mean() - 0.1
    assert begun.options == alone.options


@pytest.mark.parametrize("engine", ["tape", "torch"])
def test_a_run_that_began_from_another_comes_back_and_resumes(engine, sources, tmp_path, one_torch_thread):
    options = {"steps": 40, "batch_size": 16, "engine": engine}
    source = replace(sources["mlp"]).save(tmp_path / "source")
    assert source.path is not None
    whole = moreish.train(OTHERS, from_run=source.path, out=tmp_path / "whole", **options)  # pyright: ignore[reportArgumentType]
    loaded = moreish.load(tmp_path / "whole")
    assert loaded.loss == whole.loss
    assert loaded.model.sample(20) == whole.model.sample(20)
    assert loaded.start is not None
    assert loaded.start.name == source.path.name
    assert np.array_equal(loaded.first_params, prepare(OTHERS, None, options, source).start().model.params)
    stored = json.loads((tmp_path / "whole" / CONFIG).read_text(encoding="utf-8"))
    assert stored["from"] == source.path.name
    assert str(tmp_path) not in json.dumps(stored)

    task = prepare(OTHERS, None, options, source)
    stopped = task.start()
    state = first_state(stopped)
    for at in Loop(stopped, state, task.need_steps(), engine_of(stopped)):
        if at.step >= 8:
            break
    assert 0 < state.step < 40
    begin_folder(stopped, tmp_path / "stopped", CHECKPOINT, state.to_bytes())
    assert moreish.load(tmp_path / "stopped").model.vocab == whole.model.vocab
    moreish.resume(tmp_path / "stopped")
    if engine == "tape":
        assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    else:
        assert moreish.load(tmp_path / "stopped").loss["val"] == pytest.approx(whole.loss["val"], rel=1e-4)


def test_a_diagnosis_starts_where_the_training_did(sources):
    run = moreish.train(OTHERS, from_run=sources["mlp"], steps=40, batch_size=64)
    found = moreish.diagnose(run)
    again = moreish.Model(run.model.config, run.model.vocab, run.first_params)
    assert found.start_trace.loss == pytest.approx(again.nll(run.corpus.stream("train")).mean(), rel=0.05)
    assert found.start_trace.loss != pytest.approx(np.log(len(run.model.vocab)), rel=0.1)
    assert found.replayed
    assert found.steps[0]["losses"][0] == pytest.approx(run.history[0]["losses"][0], rel=1e-6)
    assert list(found.beginnings) == ["from mlp", "kaiming"]


def test_runs_with_other_vocabularies_are_compared_on_their_common_words(sources):
    begun = moreish.train(OTHERS, from_run=sources["mlp"], steps=40)
    alone = moreish.train(OTHERS, "mlp", steps=40)
    found = moreish.compare([alone, begun], names=["alone", "begun"])
    assert found.row("begun").loss["val"] == pytest.approx(begun.loss["val"], rel=1e-6)
    assert found.row("alone").loss["val"] == pytest.approx(alone.loss["val"], rel=1e-6)
    with pytest.raises(InputError, match="the corpus has the characters"):
        moreish.mix([alone, begun])


def test_a_run_without_anything_new_is_in_the_first_format(sources, tmp_path):
    plain = moreish.train(OTHERS, "mlp", steps=5, decay="all", out=tmp_path / "plain")
    assert plain.path is not None
    stored = json.loads((plain.path / CONFIG).read_text(encoding="utf-8"))
    assert stored["format"] == 1
    assert not {"from", "extra_characters"} & stored.keys()
    assert not (plain.path / START).exists()
    begun = moreish.train(OTHERS, from_run=sources["mlp"], steps=5)
    counted = moreish.train(begun.corpus, "ngram", out=tmp_path / "counted")  # which has the characters of both lists
    assert moreish.load(tmp_path / "counted").loss == counted.loss


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_first_weights_are_said_in_one_line(damage, sources, tmp_path):
    folder = tmp_path / "run"
    moreish.train(OTHERS, from_run=sources["mlp"], steps=5, out=folder)
    match damage:
        case "missing":
            (folder / START).unlink()
        case "cut":
            (folder / START).write_bytes((folder / START).read_bytes()[:80])
        case _:
            moreish.train(OTHERS, "bigram", steps=5, out=tmp_path / "other")
            shutil.copy(tmp_path / "other" / MODEL, folder / START)
    with pytest.raises(InputError, match=r"start\.safetensors: damaged or incomplete"):
        moreish.load(folder)


def test_a_list_on_disk_keeps_the_tokens_of_both_vocabularies(sources, monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "prepared_folder", lambda: tmp_path / "prepared")
    on_disk = mapped.MappedWords.prepared(["".join(f"{word}\n" for word in OTHERS)], "words")
    narrow = moreish.Corpus(on_disk)
    marks, stream = [narrow.mark(word) for word in OTHERS], narrow.stream("train").copy()
    kept = moreish.train(narrow, from_run=sources["mlp"], steps=20, out=tmp_path / "run")
    held = moreish.train(OTHERS, from_run=sources["mlp"], steps=20)
    assert kept.loss == held.loss
    assert [kept.corpus.mark(word) for word in OTHERS] == marks
    assert np.array_equal(moreish.Corpus(on_disk).stream("train"), stream)
    assert moreish.load(tmp_path / "run").loss == held.loss


@pytest.mark.parametrize(
    ("source", "model", "options", "says"),
    [
        ("ngram", None, {}, "ngram is an n-gram, not a net: it has no weights to go on from. Start from a net"),
        ("mixture", None, {}, "mixture is a mixture, not a net: it has no weights to go on"),
        ("mlp", "wavenet", {}, "the model is wavenet, but mlp is mlp: leave out --model"),
        ("mlp", "mlp", {"n_hidden": 16}, "mlp has its own model options: leave out --n-hidden"),
        ("mlp", None, {"hidden": 16}, "option of mlp.*--n-hidden"),
    ],
)
def test_what_does_not_go_together_is_refused(source, model, options, says, sources, words):
    counted = moreish.train(words, "ngram")
    known = {**sources, "ngram": counted, "mixture": moreish.mix([counted, sources["mlp"]])}
    with pytest.raises(InputError, match=says):
        moreish.train(OTHERS, model, from_run=known[source], **options)


def test_the_command_names_the_folder_by_the_model_and_says_what_is_wrong(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base = str(replace(sources["wavenet"]).save(tmp_path / "base").path)
    (tmp_path / "others.txt").write_text("\n".join(OTHERS), encoding="utf-8")
    assert command(["train", "others.txt", "--from", base, "--steps", "10"]) == 0
    assert "saved in" in capsys.readouterr().out
    begun = moreish.load("runs/others-wavenet")
    assert begun.start is not None
    assert "from base" in repr(begun)
    for tokens, says in (
        (["others.txt", "--from", base, "--n-hidden", "9"], "leave out --n-hidden"),
        (["others.txt", "--from", base, "--model", "mlp"], "leave out --model"),
        (["others.txt", "--from", "nowhere"], "nowhere: no such run folder"),
        (["--resume", base, "--from", base], "--resume continues a run"),
    ):
        assert command(["train", *tokens, "--out", "runs/never"]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "runs" / "never").exists()
