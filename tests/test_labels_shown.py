"""Pictures, reports and checks of runs with labels and weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from test_report import Page

import moreish
from moreish import InputError, plots
from moreish.analysis.classification import Classifier, Confusion
from moreish.analysis.findings import Findings
from moreish.cli import run as command
from moreish.evaluation import evaluate, share_interval
from moreish.models import MODELS, NETS
from moreish.models.model import Model
from moreish.plots.confusion import plot_confusion
from moreish.plots.pictures import PICTURES, PictureOptions
from moreish.plots.style import save
from moreish.plots.text import next_probabilities, plot_samples
from moreish.reporting.report import report
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.fit import first_state
from moreish.training.folder import MODEL
from moreish.training.loop import Loop
from moreish.training.prepare import engine_of, prepare
from moreish.training.saving import begin_folder

KINDS = {
    "eight": made_up_words(300, 1, "abcdefghklm"),
    "five": made_up_words(200, 2, "aefghklmnr"),
    "two": ["hahc"] * 40,
}
WORDS = [word for kind in KINDS.values() for word in kind]
LABELS = [name for name, kind in KINDS.items() for _ in kind]
WEIGHTS = np.random.default_rng(3).integers(1, 40, len(WORDS)).tolist()
OPTIONS = {name: {"steps": 30, "batch_size": 32} if name in NETS else {} for name in MODELS} | {"bigram": {"steps": 30}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, moreish.Run]:
    """A run of each model with labels and weights, and a mixture."""
    folder = tmp_path_factory.mktemp("labelled")
    found: dict[str, moreish.Run] = {}
    for name in MODELS:
        options: dict[str, Any] = OPTIONS[name]
        found[name] = moreish.train(WORDS, name, labels=LABELS, weights=WEIGHTS, out=folder / name, **options)
    return {**found, "mixture": moreish.mix([found["ngram"], found["mlp"]]).save(folder / "mixture")}


@pytest.fixture(scope="module")
def unweighted() -> moreish.Run:
    return moreish.train(WORDS, "ngram", order=3, labels=LABELS)


def told(made) -> dict[tuple[str, str], str]:
    """The texts in the cells of a confusion matrix, by the names of their row and column."""
    (ax,) = made.axes
    columns, rows = ([t.get_text() for t in names] for names in (ax.get_xticklabels(), ax.get_yticklabels()))
    assert columns == rows
    return {(rows[text.get_position()[1]], columns[text.get_position()[0]]): text.get_text() for text in ax.texts}


def test_cells_have_the_share_of_the_row_and_the_number_of_words():
    found = Confusion(("a$", "b", "none"), np.array([[30.0, 10, 0], [5, 12_345, 0], [0, 0, 0]]))
    made = plot_confusion(found, "val")
    assert told(made) == {
        (r"a\$", r"a\$"): "75%\n30",
        (r"a\$", "b"): "25%\n10",
        ("b", r"a\$"): "0%\n5",
        ("b", "b"): "100%\n12k",
    }
    (ax,) = made.axes
    shares = np.ma.filled(np.ma.asarray(ax.images[0].get_array()), 0)
    assert shares == pytest.approx(np.array([[0.75, 0.25, 0], [5 / 12_350, 12_345 / 12_350, 0], [0, 0, 0]]))
    assert made.get_suptitle() == "Accuracy 99.9% on the val words"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("label given by the model", "label of the val word")


def test_a_run_is_classified(unweighted):
    for part in ("val", "test"):
        found = Classifier(unweighted).confusion(part)
        assert told(plot_confusion(unweighted, part)) == told(plot_confusion(found, part))
        assert f"{100 * found.accuracy:.1f}%" in plot_confusion(unweighted, part).get_suptitle()
    with pytest.raises(InputError, match="unknown part tests; did you mean test"):
        plot_confusion(unweighted, "tests")
    with pytest.raises(InputError, match="this run has no labels"):
        plot_confusion(moreish.train(WORDS, "bigram-counts"))


@pytest.mark.parametrize("n", [2, 4, 25, 30])
def test_names_and_numbers_are_legible(n, tmp_path):
    counts = np.random.default_rng(n).integers(1, 2000, (n, n)).astype(float)
    made: Any = plot_confusion(Confusion(tuple(f"a long label, number {i:02}" for i in range(n)), counts))
    made.draw_without_rendering()
    (ax,) = made.axes
    texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()]
    boxes = [(text, text.get_window_extent().padded(-0.5)) for text in texts]
    for i, (text, box) in enumerate(boxes):
        assert text.get_fontsize() >= 7
        assert made.bbox.x0 < box.x0 < box.x1 < made.bbox.x1, f"{text} is cut off"
        assert made.bbox.y0 < box.y0 < box.y1 < made.bbox.y1, f"{text} is cut off"
        assert not any(box.overlaps(its) for _, its in boxes[:i]), f"{text} lies on another"
    save(made, tmp_path / "a.png")


def test_of_many_labels_the_most_frequent_are_drawn():
    counts = np.diag(np.arange(1.0, 51))
    made = plot_confusion(Confusion(tuple(f"{i:02}" for i in range(50)), counts))
    assert list(told(made)) == [(f"{i:02}", f"{i:02}") for i in range(20, 50)]
    assert "the 30 most frequent of 50 labels" in made.get_suptitle()


UNDRAWN = {
    "counted": {"loss", "embedding", "activations", "saturation", "gradients", "ratios", "weights", "start"},
    "bigram": {"activations", "saturation", "gradients", "start"},
    "transformer": {"saturation"},
}


@pytest.mark.parametrize("name", [*MODELS, "mixture"])
def test_every_picture_of_every_model_with_labels_is_drawn(runs, name, tmp_path, capsys):
    assert command(["plot", str(runs[name].path), "--out", str(tmp_path)]) == 0
    undrawn = UNDRAWN.get(name, set() if name in NETS else UNDRAWN["counted"])
    if name == "mixture":
        undrawn = undrawn | {"architecture"}
    if name != "transformer":
        undrawn = undrawn | {"attention"}
    assert {path.stem for path in tmp_path.iterdir()} == set(PICTURES) - undrawn
    told = [re.sub(r"\(.*?\)", "", line) for line in capsys.readouterr().err.splitlines() if "skipped: " in line]
    assert len(told) == bool(undrawn)
    assert {name for name in PICTURES if any(name in re.findall(r"\w+", line) for line in told)} == undrawn


@pytest.mark.parametrize("name", NETS)
def test_the_architecture_has_the_tables_of_characters_and_labels(runs, name):
    model = runs[name].model
    made: Any = PICTURES["architecture"].draw(Findings(runs[name]), PictureOptions())
    (ax,) = made.axes
    texts = {text.get_gid(): text.get_text() for text in ax.texts}
    C, D = (model.weights[f"0.labelledembedding.{table}"].shape for table in "CD")
    assert texts["0.labelledembedding.weights"] == f"C {C[0]} × {C[1]}, D 3 × {D[1]}"
    T = (model.config.context or 1) + (4 if model.config.context is None or name == "wavenet-conv" else 0)
    assert texts["0.labelledembedding.output"] == f"{T} × {C[1]}"
    assert "The label's row of D is added to each." in " ".join(text.get_text() for text in ax.texts)
    made.draw_without_rendering()
    assert max(text.get_window_extent().x1 for text in ax.texts) < made.bbox.x1
    C = model.weights["0.labelledembedding.C"]  # pyright: ignore[reportConstantRedefinition]
    points = np.concatenate([np.asarray(c.get_offsets()) for c in plots.plot_embedding(model).axes[0].collections])
    assert points.var(0).sum() == pytest.approx(np.linalg.eigvalsh(np.cov(C.T, bias=True))[-2:].sum(), rel=1e-4)


@pytest.mark.parametrize("name", [*MODELS, "mixture"])
def test_next_characters_are_summed_over_labels(runs, name):
    model: Model = runs[name].model
    p = next_probabilities(model, "bacafa")
    tokens = [*model.vocab.encode("bacafa"), 0]
    expected = np.exp(np.negative(model.score("bacafa").per_char))
    assert p[np.arange(len(tokens)), tokens] == pytest.approx(expected, rel=1e-3)
    of_one = next_probabilities(model.given("five"), "bacafa")
    assert of_one[2].tolist() == list(model.next("ba", label="five").values())


def test_samples_are_shown_beside_train_words_by_their_weights(runs):
    run = runs["ngram"]
    lengths, letters = plot_samples(run.model, run.corpus, n=50).axes
    words, weights = run.corpus.parts["train"], run.corpus.weights("train")
    assert weights is not None
    shares: Any = next(patch for patch in lengths.patches if patch.get_label() == "train words")
    expected = [sum(w for word, w in zip(words, weights, strict=True) if len(word) == n) for n in range(1, 7)]
    assert shares.get_data().values[:6] == pytest.approx(np.array(expected) / weights.sum())
    dots = next(line for line in letters.lines if line.get_label() == "train words").get_ydata()
    counts = {c: sum(w * word.count(c) for word, w in zip(words, weights, strict=True)) for c in set("".join(words))}
    assert dots == pytest.approx(sorted((n / sum(counts.values()) for n in counts.values()), reverse=True))


@pytest.mark.parametrize("name", [*MODELS, "mixture", "unweighted"])
def test_the_report_tells_of_labels(runs, unweighted, name):
    run = unweighted if name == "unweighted" else runs[name]
    page = Page(report(run))
    rows = [row for row in page.rows if row]
    found, losses = Classifier(run), evaluate(run.model, run.corpus)
    for part in ("train", "val", "test"):
        loss, accuracy = (row for row in rows if row[0] == part)
        confusion = found.confusion(part)
        assert loss[1] == f"{losses.loss[part]:.4f}"
        assert accuracy[1] == f"{confusion.accuracy:.1%}"
        assert accuracy[-1] == f"{confusion.counts[0].sum() / confusion.counts.sum():.1%}"
        if name == "unweighted":
            within = share_interval(int(np.trace(confusion.counts)), int(confusion.counts.sum()))
            assert within is not None
            assert accuracy[2] == f"{within[0]:.1%} to {within[1]:.1%}"
        else:
            assert loss[-1] == f"{losses.each_once[part]:.4f}"
            assert len(accuracy) == 3
    test = found.confusion("test")
    for label, of_label in enumerate(test.labels):
        each, drawn = (row for row in rows if row[0] == of_label)
        assert each[1] == f"{test.counts[label].sum():,.0f}"
        assert each[2] == ("" if np.isnan(test.recall[label]) else f"{test.recall[label]:.1%}")
        assert each[3] == ("" if np.isnan(test.precision[label]) else f"{test.precision[label]:.1%}")
        assert drawn[1].split(",") == run.model.sample(5, label=of_label, seed=run.options.seed)
    assert page.ids.count("picture-confusion") == 1
    assert ("every word once" in page.text) == (name != "unweighted")


def test_the_report_of_a_run_without_labels_has_none(saved_run):
    page = Page(report(saved_run))
    assert "accuracy" not in page.text
    assert "picture-confusion" not in page.ids


def test_a_held_out_word_with_labels_is_no_copy(unweighted):
    found = moreish.novelty(unweighted, 200)
    assert not found.repeats
    assert "This list has no repeats, so there is no baseline for copying" in found.verdicts[0]


def test_a_folded_run_has_no_diagnostics_of_other_layers(tmp_path, capsys):
    run = moreish.train(
        WORDS, "mlp", labels=LABELS, steps=30, n_hidden=8, batch_norm=True, diagnostics=True, out=tmp_path / "run"
    )
    assert command(["fold", str(run.path), "--out", str(tmp_path / "folded")]) == 0
    assert command(["diagnose", str(tmp_path / "folded")]) == 0
    assert "0.labelledembedding" in capsys.readouterr().out
    part = "test"
    assert moreish.load(tmp_path / "folded").loss[part] == pytest.approx(run.loss[part], rel=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_training_starts_from_a_net_with_the_same_labels(runs, name):
    more = [word.replace("b", "z") for word in WORDS]
    source = runs[name].model
    begun = prepare(more, None, {"labels": LABELS, "steps": 5}, runs[name]).start().model
    assert begun.labels is not None
    assert "z" in begun.vocab.characters
    rows = [0, *begun.vocab.encode(source.vocab.characters)]
    table = begun.weights["0.labelledembedding.C"]
    own = source.weights["0.labelledembedding.C"]
    assert np.array_equal(table[rows][:, rows] if name == "bigram" else table[rows], own)
    of_labels = begun.weights["0.labelledembedding.D"]
    own = source.weights["0.labelledembedding.D"]
    assert np.array_equal(of_labels[:, rows] if name == "bigram" else of_labels, own)


@pytest.mark.parametrize("name", ["mlp", "wavenet-conv"])
def test_a_stopped_run_with_labels_and_weights_resumes_to_the_same_weights(runs, name, tmp_path):
    options = {"labels": LABELS, "weights": WEIGHTS, **OPTIONS[name]}
    task = prepare(WORDS, name, options)
    stopped = task.start()
    state = first_state(stopped)
    for at in Loop(stopped, state, task.need_steps(), engine_of(stopped)):
        if at.step >= 8:
            break
    begin_folder(stopped, tmp_path / "stopped", CHECKPOINT, state.to_bytes())
    moreish.resume(tmp_path / "stopped")
    whole = runs[name].path
    assert isinstance(whole, Path)
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (whole / MODEL).read_bytes()


@pytest.mark.parametrize("name", ["mlp", "wavenet", "wavenet-conv"])
def test_both_engines_train_with_labels_and_weights(runs, name, one_torch_thread):
    options: dict[str, Any] = OPTIONS[name]
    run = moreish.train(WORDS, name, labels=LABELS, weights=WEIGHTS, engine="torch", **options)
    assert run.loss["val"] == pytest.approx(runs[name].loss["val"], rel=1e-3)
