"""Distillation: a net that learns from the probabilities of other models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_models import conditional

import moreish
from moreish import InputError
from moreish.cli import run as command
from moreish.engine.guide import prefix_keys
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.distilling import drawn_words, guide_of, in_order
from moreish.training.folder import CONFIG, MODEL
from moreish.training.teacher import TEACHER

LIST = ["abba", "bad", "dab", "dad", "baba", "abad", "ada", "bab", "add", "dabb", "aba", "bada", "daba", "ab"] * 4
SMALL: dict[str, Any] = {"n_embd": 8, "n_hidden": 16, "steps": 100, "batch_size": 16, "lr": 0.02, "average": 0.8}


@pytest.fixture(scope="module")
def teacher() -> moreish.Run:
    """Counts of pairs and triples: a teacher whose probabilities are known."""
    return moreish.train(LIST, "ngram", order=3)


@pytest.fixture(scope="module")
def teachers(teacher, tmp_path_factory) -> list[Path]:
    """The folders of two runs on one list."""
    folder = tmp_path_factory.mktemp("teachers")
    net = moreish.train(teacher.corpus, "mlp", block_size=2, n_hidden=8, steps=100)
    return [run.save(folder / run.model.name).path for run in (teacher, net)]  # pyright: ignore[reportReturnType]


def silent(*_: object) -> None:
    """Take the report of a stage."""


@pytest.mark.parametrize("model", ["ngram", "mlp", "gru", "transformer", "mixture"])
def test_a_guide_has_the_distribution_of_the_teacher_after_every_prefix(model, teacher):
    options: dict[str, Any] = {"steps": 20} if model not in ("ngram", "mixture") else {}
    options["seed"] = 3
    run = moreish.train(teacher.corpus, "gru" if model == "mixture" else model, **options)
    if model == "mixture":
        run = moreish.mix([run, teacher])
    words = ["ab", "abba", "bad", "ab", "dd", "d"]
    stream = run.model.vocab.stream(words)
    guide = guide_of(run.model, stream, silent)
    prefixes = {word[:n] for word in words for n in range(len(word) + 1)}
    assert len(guide.keys) == len(prefixes)
    for prefix in prefixes - {""}:
        key = prefix_keys(run.model.vocab.stream([prefix]))[-1:]
        assert guide.rows[guide.entries(key)[0]] == pytest.approx(conditional(run.model, prefix, {}), rel=1e-4)
    assert guide.rows.sum(1) == pytest.approx(1, rel=1e-5)


def test_a_guide_that_would_be_too_large_keeps_the_most_frequent_prefixes(teacher, monkeypatch):
    stream = teacher.model.vocab.stream(["ab", "ab", "ab", "ad", "bad", "db", "d"])
    whole = guide_of(teacher.model, stream, silent)
    monkeypatch.setattr("moreish.training.distilling.MAX_GUIDE", 4 * 4)
    kept = guide_of(teacher.model, stream, silent)
    frequent = ["", "a", "ab", "d"]
    keys = [prefix_keys(teacher.model.vocab.stream([prefix or "a"]))[len(prefix)] for prefix in frequent]
    assert sorted(kept.keys) == sorted(keys)
    assert np.array_equal(kept.rows, whole.rows[whole.entries(kept.keys)])


def test_words_in_order_are_the_same_words(teacher):
    stream = teacher.model.vocab.stream(LIST)
    assert teacher.model.vocab.split(in_order(stream)[1:]) == sorted(LIST)


def test_the_words_that_a_teacher_draws_follow_its_distribution(teacher, monkeypatch):
    monkeypatch.setattr("moreish.training.distilling.DRAWN_AT_A_TIME", 700)
    words = teacher.model.vocab.split(drawn_words(teacher.model, 3000, 5, silent)[1:])
    assert len(words) == 3000
    p = teacher.model.next("")
    begins = {c: sum(word[0] == c for word in words) / 3000 for c in "abd"}
    assert [begins[c] for c in "abd"] == pytest.approx([p[c] / (1 - p[""]) for c in "abd"], abs=0.03)


@pytest.mark.parametrize("model", ["gru", "transformer"])
def test_a_student_of_the_distributions_alone_becomes_the_teacher(model, teacher):
    """After every prefix that the teacher has drawn often, far nearer than a net that learns from the list."""
    options: dict[str, Any] = {"steps": 1200, "batch_size": 64, "lr": 0.01, "weight_decay": 0.0, "keep": "last"}
    options |= {"n_embd": 16, "n_hidden": 32} if model == "gru" else {"n_embd": 32, "n_head": 2, "n_layer": 1}
    student = moreish.distill(teacher, model, teacher_share=1.0, drawn=2000, **options)
    plain = moreish.train(teacher.corpus, model, **options)

    def distance(run: moreish.Run) -> float:
        """The mean divergence of the teacher's distribution from a run's, in nats."""
        found = []
        for prefix in ("a", "b", "d", "ab", "ba", "da", "ad", "bad", "dab", "aba"):
            p, q = conditional(teacher.model, prefix, {}), conditional(run.model, prefix, {})
            found.append(float((p * np.log(p / q)).sum()))
        return float(np.mean(found))

    assert distance(student) < 5e-3
    assert distance(student) < distance(plain) / 10


def test_a_student_of_several_runs_learns_from_their_mixture(teachers, tmp_path):
    loaded = [moreish.load(path) for path in teachers]
    one = moreish.distill(teachers, **SMALL, out=tmp_path / "one")
    other = moreish.distill([moreish.mix(loaded)], **SMALL)
    assert one.model.params.tobytes() == other.model.params.tobytes()
    assert one.taught is not None
    assert one.taught.runs == ("ngram", "mlp")
    assert one.taught.drawn == 4 * len(one.corpus.parts["train"])
    again = moreish.load(tmp_path / "one")
    assert again.taught == one.taught
    assert not (tmp_path / "one" / TEACHER).exists()
    assert again.loss == one.loss
    assert "teacher" in repr(again)
    assert moreish.diagnose(again).as_json()


def test_a_share_of_zero_is_the_list_and_the_drawn_words(teacher):
    """Without drawn words it is a training like any other."""
    student = moreish.distill(teacher, teacher_share=0, drawn=0, **SMALL)
    assert student.model.params.tobytes() == moreish.train(LIST, "gru", dropout=0, **SMALL).model.params.tobytes()
    others = [moreish.distill(teacher, teacher_share=share, drawn=n, **SMALL) for share, n in ((0.5, 0), (0, 50))]
    assert all(other.model.params.tobytes() != student.model.params.tobytes() for other in others)


def stop_at(step: int):
    def stop(at: moreish.Progress) -> None:
        if at.step >= step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("weighted", [False, True])
def test_a_stopped_distillation_goes_on_as_if_it_had_not_stopped(weighted, tmp_path, monkeypatch):
    monkeypatch.setattr("moreish.training.fit.CHECKPOINT_SECONDS", 0)
    words = dict(zip(LIST[:14], np.linspace(0.5, 4, 14), strict=True)) if weighted else LIST
    teacher = moreish.train(words, "ngram", order=2)
    whole = moreish.distill(teacher, **SMALL, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        moreish.distill(teacher, **SMALL, out=tmp_path / "stopped", on_progress=stop_at(40))
    assert (tmp_path / "stopped" / TEACHER).exists()
    assert 0 < load_file(tmp_path / "stopped" / CHECKPOINT)["step"] < 100
    resumed = moreish.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    assert not (tmp_path / "stopped" / TEACHER).exists()
    assert resumed.loss == whole.loss


@pytest.fixture
def stopped(teacher, tmp_path) -> Path:
    """The folder of a stopped distillation."""
    with pytest.raises(KeyboardInterrupt):
        moreish.distill(teacher, **SMALL, drawn=30, out=tmp_path / "stopped", on_progress=stop_at(1))
    return tmp_path / "stopped"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t | {"stream": t["stream"][:-1]}, "not a stream of tokens"),
        (lambda t: t | {"stream": np.delete(t["stream"], slice(1, int(np.flatnonzero(t["stream"])[0]) + 20))}, "words"),
        (lambda t: t | {"stream": np.where(t["stream"] == 1, 9, t["stream"]).astype(np.int32)}, "from 0 to 3"),
        (lambda t: t | {"stream": t["stream"].astype(np.int64)}, "not a stream of tokens"),
        (lambda t: t | {"keys": np.ascontiguousarray(t["keys"][::-1])}, "keys are not sorted"),
        (lambda t: t | {"rows": t["rows"][:-1]}, "not float32"),
        (lambda t: t | {"rows": 2 * t["rows"]}, "do not sum to one"),
        (lambda t: t | {"rows": t["rows"] * np.nan}, "do not sum to one"),
        (lambda t: {"rows": t["rows"]}, '"stream" is missing'),
    ],
)
def test_a_damaged_teacher_is_refused(stopped, change, says):
    save_file(change(load_file(stopped / TEACHER)), stopped / TEACHER)
    with pytest.raises(InputError, match="teacher.safetensors: damaged") as caught:
        moreish.resume(stopped)
    assert says in str(caught.value)


def test_a_missing_teacher_is_named(stopped):
    (stopped / TEACHER).unlink()
    with pytest.raises(InputError, match="teacher.safetensors: damaged or incomplete"):
        moreish.resume(stopped)
    assert moreish.load(stopped).taught is not None


@pytest.mark.parametrize(
    "change", [{"share": 2.0}, {"share": "all"}, {"drawn": -1}, {"loss": {}}, {"runs": None}, {"more": 1}]
)
def test_a_damaged_note_of_a_teacher_is_refused(stopped, change):
    config = json.loads((stopped / CONFIG).read_text())
    config["teacher"] |= change
    (stopped / CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match="config.json: damaged"):
        moreish.load(stopped)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"model": "mlp"},
            "whole words, and mlp is none: choose bow, rnn, gru, lstm, transformer",
        ),
        ({"model": "ngram"}, "must be a net that reads whole words, and ngram is none"),
        ({"model": "guru"}, "unknown model guru; did you mean gru"),
        ({"n_hiden": 3}, "unknown option of gru --n-hiden"),
        ({"teacher_share": 1.5}, "--teacher-share is 1.5: it must be between 0 and 1"),
        ({"drawn": -1}, "--drawn is -1: it must be at least 0"),
        ({"label_smoothing": 0.1}, "take the place of --label-smoothing"),
        ({"split": "distinct"}, "split is distinct, but the corpus was split with lecture"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(teacher, tmp_path, options, says):
    with pytest.raises(InputError) as caught:
        moreish.distill(teacher, **options, out=tmp_path / "run", on_stage=lambda *_: pytest.fail("works"))
    assert says in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_teachers_that_cannot_teach_are_refused(teacher):
    with pytest.raises(InputError, match="there is no teacher"):
        moreish.distill([])
    labelled = moreish.train(LIST, "ngram", labels=[("one", "other")[len(word) % 2] for word in LIST])
    with pytest.raises(InputError, match="models with labels cannot teach yet"):
        moreish.distill(labelled)
    with pytest.raises(InputError, match="other words"):
        moreish.distill([teacher, moreish.train(LIST[:30], "ngram")])


def test_the_command_prints_teacher_and_student(teachers, tmp_path, capsys):
    options = ["--steps", "60", "--n-hidden", "16", "--drawn", "40", "--out", str(tmp_path / "student")]
    assert command(["distill", *map(str, teachers), "--model", "lstm", *options]) == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(("teacher", "student"))}
    student = moreish.load(tmp_path / "student")
    assert rows["student"][1:] == [
        *("lstm", f"{student.model.n_parameters:,}"),
        *(f"{student.loss[part]:.4f}" for part in ("val", "test")),
    ]
    assert student.taught is not None
    assert rows["teacher"][1] == "mixture"
    assert rows["teacher"][3:] == [f"{student.taught.loss[part]:.4f}" for part in ("val", "test")]
    assert "drawing words from the teacher" in err
    assert "reading the teacher's probabilities" in err
    assert command(["distill", "--out", str(tmp_path / "none")]) == 2
    assert "there is no teacher" in capsys.readouterr().err
