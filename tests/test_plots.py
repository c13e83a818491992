"""Pictures of a training and its layers: their data rather than their pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import overlapping_ticks
from matplotlib.axes import Axes

import moreish
from moreish import InputError, plots
from moreish.analysis.diagnosis import trace_run
from moreish.analysis.findings import Findings
from moreish.cli import run
from moreish.corpus import WordList
from moreish.engine.statistics import record
from moreish.engine.trace import Tracer
from moreish.plots.layers import smoothed
from moreish.plots.pictures import PICTURES, PictureOptions, draw
from moreish.plots.style import log_ticks, save, short_number


@pytest.fixture(scope="module")
def looked_at(words, tmp_path_factory) -> moreish.Run:
    """A run with diagnostics and two hidden layers. Tests must not change it."""
    folder = tmp_path_factory.mktemp("looked") / "run"
    listed = WordList.of(words)
    listed.name = "$yllables"
    return moreish.train(
        listed, n_layer=2, n_hidden=16, n_embd=2, steps=300, batch_size=32, diagnostics=True, out=folder
    )


def curve(ax: Axes, label: str) -> np.ndarray:
    """The points (N, 2) of a line by its label."""
    return np.asarray(next(line for line in ax.lines if str(line.get_label()).startswith(label)).get_xydata())


def test_the_loss_curve_is_the_history(looked_at):
    made = plots.plot_loss(looked_at)
    loss, rate = made.axes
    assert (loss.get_ylabel(), rate.get_ylabel(), rate.get_xlabel()) == (
        "loss (nats per token)",
        "learning rate",
        "step",
    )
    raw = [x for line in looked_at.history for x in line["losses"]]
    np.testing.assert_allclose(curve(loss, "batch"), np.column_stack([1 + np.arange(300), raw]))
    smoothed = curve(loss, "mean of 6 steps")
    assert smoothed[0].tolist() == pytest.approx([6, np.mean(raw[:6])])
    assert smoothed[-1].tolist() == pytest.approx([300, np.mean(raw[-6:])])
    val = [(line["step"], line["val"]) for line in looked_at.history if line["val"] is not None]
    np.testing.assert_allclose(curve(loss, "val"), val)
    assert curve(loss, "best val")[0].tolist() == list(min(val, key=lambda point: point[1]))
    drawn = np.asarray(rate.lines[0].get_xydata())
    logged = [(line["step"], line["lr"]) for line in looked_at.history]
    assert drawn[:, 0].tolist() == list(range(1, 301)), "the rate of every step"
    np.testing.assert_allclose(drawn[[step - 1 for step, _ in logged]], logged)
    np.testing.assert_allclose(drawn[:15, 1], looked_at.options.lr * np.arange(1, 16) / 16, err_msg="the warm-up")
    bits, _ = plots.plot_loss(looked_at, "bits").axes
    assert bits.get_ylabel() == "loss (bits per token)"
    np.testing.assert_allclose(curve(bits, "batch")[:, 1], np.array(raw) / np.log(2))
    np.testing.assert_allclose(curve(bits, "val")[:, 1], np.array(val)[:, 1] / np.log(2))
    with pytest.raises(InputError, match="not trained by steps"):
        plots.plot_loss(moreish.train(looked_at.corpus, "ngram"))


def test_ratios_are_those_of_the_record(looked_at):
    made = plots.plot_ratios(looked_at)
    matrices = ["0.embedding.C", "2.linear.W", "4.linear.W", "6.linear.W"]
    for ax, what in zip(made.axes, ("gradient", "update"), strict=True):
        assert [line.get_label() for line in ax.lines][:4] == matrices
        for name in matrices:
            rows = [next(r for r in line["tensors"] if r["name"] == name) for line in looked_at.history]
            expected = [
                (line["step"], np.log10(r[what] / r["data"])) for line, r in zip(looked_at.history, rows, strict=True)
            ]
            np.testing.assert_allclose(curve(ax, name), expected, rtol=1e-6)
    guide = made.axes[1].lines[-1]
    assert np.asarray(guide.get_ydata()).tolist() == [-3, -3]
    legend: Any = made.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["1e-3: a usual ratio"]
    assert "retrained" not in made.get_suptitle()
    unrecorded = moreish.Run(looked_at.model, looked_at.corpus, looked_at.options, [{"step": 300}])
    assert "(first steps retrained)" in plots.plot_ratios(unrecorded).get_suptitle()


@pytest.mark.parametrize(("draw", "what"), [(plots.plot_activations, "output"), (plots.plot_gradients, "gradient")])
def test_histograms_are_of_every_hidden_layer_at_the_start_and_now(looked_at, draw, what):
    made = draw(looked_at)
    for ax, at_start in zip(made.axes, (True, False), strict=True):
        layers = {layer.name: layer for layer in trace_run(looked_at, at_start=at_start).layers}
        assert [str(line.get_label()).split(":")[0] for line in ax.lines] == ["3.tanh", "5.tanh"]
        for name in ("3.tanh", "5.tanh"):
            x, share = curve(ax, name).T
            values = getattr(layers[name], what)
            share = share * (x[1] - x[0])
            assert share.sum() == pytest.approx(1, rel=1e-4)
            assert (x * share).sum() == pytest.approx(float(values.mean()), abs=float(np.ptp(values)) / 80)
            assert (values.min() < x[0] < x[-1] < values.max()) == (what == "output"), "outputs of tanh are bounded"


def test_weights_are_drawn_at_the_start_and_now(looked_at):
    made = plots.plot_weights(looked_at)
    for ax, params in zip(made.axes, (looked_at.model.layout.initial(42), looked_at.model.params), strict=True):
        weights = looked_at.model.layout.views(params)
        for name in ("0.embedding.C", "2.linear.W", "6.linear.W"):
            x, density = curve(ax, name).T
            w = weights[name].astype(float)
            assert np.average(x, weights=density) == pytest.approx(w.mean(), abs=float(np.ptp(w)) / 80)
            width = float(np.ptp(w)) / 80
            spread = np.sqrt(np.cov(x, aweights=density))
            assert spread == pytest.approx(np.hypot(w.std(), 2 * width), rel=0.05), "smoothed by two bins"
        assert ax.get_yscale() == "log"
        assert ax.get_ylabel() == "density (log scale)"


def test_saturated_units_are_white_and_dead_ones_named(words):
    broken = moreish.train(words, n_hidden=16, n_embd=4, steps=1)
    broken.model.weights["2.linear.b"][[3, 11]] = 50.0
    made = plots.plot_saturation(broken)
    start, now = made.axes
    layer = trace_run(broken).layers[2]
    image = np.asarray(now.images[0].get_array())
    assert (image == (np.abs(layer.output) > 0.97)[:200]).all()
    assert image[:, [3, 11]].all()
    assert now.images[0].get_cmap()(1.0)[:3] == (1, 1, 1)
    legend: Any = made.legends[0]
    shown = [(p.get_label(), p.get_facecolor()[:3]) for p in legend.get_patches()]
    assert shown == [("saturated", (1, 1, 1)), ("not saturated", (0, 0, 0))]
    assert "saturated, 2 dead" in now.get_title()
    assert "none dead" in start.get_title()


def test_a_bad_start_stands_beside_the_right_one(looked_at):
    made = plots.plot_start(looked_at)
    loss, own, other = made.axes
    assert [ax.get_title().split(",")[0] for ax in (own, other)] == ["--init kaiming", "--init naive"]
    good, bad = curve(loss, "--init kaiming"), curve(loss, "--init naive")
    even = np.log(len(looked_at.model.vocab))
    assert good[0, 1] == pytest.approx(even, rel=0.1)
    assert bad[0, 1] > 2 * even
    legends: list[Any] = [made.legends[0], loss.get_legend()]
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends] == [
        ["saturated", "not saturated"],
        ["--init kaiming", "--init naive", f"uniform over {len(looked_at.model.vocab)} tokens"],
    ]
    assert "good and bad initialisation" in made.get_suptitle()
    in_bits = plots.plot_start(looked_at, "bits").axes[0]
    np.testing.assert_allclose(curve(in_bits, "--init naive")[:, 1] * np.log(2), bad[:, 1])
    np.testing.assert_allclose(curve(in_bits, "uniform")[:, 1] * np.log(2), even)
    raw = [x for line in looked_at.history for x in line["losses"]]
    np.testing.assert_allclose(good[:, 1], raw, atol=1e-4, err_msg="it is the run's own beginning")
    assert np.asarray(other.images[0].get_array()).mean() > np.asarray(own.images[0].get_array()).mean()
    with pytest.raises(InputError, match="no hidden layers"):
        plots.plot_start(moreish.train(looked_at.corpus, "bigram"))


def test_a_diagnosis_is_traced_and_replayed_once_for_all_pictures(looked_at, monkeypatch, tmp_path):
    plain = [{k: v for k, v in line.items() if k not in ("layers", "tensors")} for line in looked_at.history]
    looked = moreish.Run(looked_at.model, looked_at.corpus, looked_at.options, plain)
    names = ("activations", "saturation", "gradients", "weights", "ratios", "start")
    draw = {name: getattr(plots, f"plot_{name}") for name in names}
    for name in names:
        save(draw[name](looked), tmp_path / f"{name}.png")
    tracers, make = [], Tracer.__init__

    def counted(tracer, *arguments):
        tracers.append(tracer)
        make(tracer, *arguments)

    monkeypatch.setattr(Tracer, "__init__", counted)
    found = moreish.diagnose(looked)
    assert found.as_json()["replayed"]
    for name in names:
        save(draw[name](found), tmp_path / "shared.png")
        assert (tmp_path / "shared.png").read_bytes() == (tmp_path / f"{name}.png").read_bytes(), name
    # At the start, now, at the other start; and one for the steps of the replay.
    assert len(tracers) == 4


def test_a_diagnosis_of_a_run_in_training_keeps_the_weights_of_that_step(words):
    found, seen = [], []

    def look(at):
        found.append(moreish.diagnose(at.run))
        seen.append(found[-1].as_json()["end"])

    moreish.train(words, n_hidden=4, n_embd=2, steps=3, log_every=1, diagnostics=True, on_progress=look)
    assert len({str(record(diagnosis.end_trace)) for diagnosis in found}) == len(found) > 1
    assert [record(diagnosis.end_trace) for diagnosis in found] == seen
    assert [len(diagnosis.steps) for diagnosis in found] == [1, 2, 3]


@pytest.mark.parametrize(
    "name", sorted(set(PICTURES) - {"confusion", "attention"})
)  # test_labels_shown and test_attention draw those
def test_every_picture_has_labelled_axes_and_is_saved(looked_at, name, tmp_path, capsys):
    made = PICTURES[name].draw(Findings(looked_at), PictureOptions())
    for ax in made.axes:
        if ax.axison:
            assert ax.get_xlabel() or ax.get_ylabel(), f"{name} has an axis without a label"
    assert not overlapping_ticks(made)
    title = made.axes[0].texts[0].get_text() if name == "architecture" else made.get_suptitle().partition(":")[0]
    assert title == (r"\$yllables" if name == "bigrams" else r"\$yllables, mlp")
    for form in ("png", "svg", "pdf"):
        command = ["plot", str(looked_at.path), name, "--out", str(tmp_path), "--format", form]
        assert run(command) == 0
        assert Path(capsys.readouterr().out.split("  ")[0]).stat().st_size > 3000


def test_the_command_draws_what_there_is(words, tmp_path, capsys):
    moreish.train(words, "ngram", order=3, out=tmp_path / "counted")
    assert run(["plot", str(tmp_path / "counted")]) == 0
    shown = capsys.readouterr()
    drawn = {path.stem for path in (tmp_path / "counted" / "plots").iterdir()}
    assert drawn == {"bigrams", "next", "word", "samples", "novelty", "architecture"}
    (told,) = [line for line in shown.err.splitlines() if "skipped" in line]
    assert told == (
        "skipped: loss (an n-gram is not trained by steps); attention, embedding, activations, saturation, gradients, "
        "ratios, weights, start (an n-gram has no layers); confusion (this run has no labels)"
    )
    assert run(["plot", str(tmp_path / "counted"), "embedding"]) == 2
    assert capsys.readouterr().err == "moreish: an n-gram has no layers: train a net, as with --model mlp\n"
    assert run(["plot", str(tmp_path / "counted"), "los"]) == 2
    assert "did you mean loss?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "troubles"),
    [
        pytest.param({"lr": 1e6, "n_hidden": 8}, ["saturation", "rate too high"], id="before the first point"),
        pytest.param({"lr": 1e6, "n_hidden": 8, "log_every": 1}, ["saturation", "rate too high"], id="after some"),
        # Gradients of 1e35. With this seed the words of the diverged net are short; with most they have 1,000 letters.
        pytest.param(
            {"lr": 0.1, "n_layer": 60, "n_hidden": 32, "activation": "relu", "seed": 6},
            ["exploding gradient", "rate too high"],
            id="at the first step",
        ),
    ],
)
def test_a_run_that_diverged_is_drawn_and_reported_too(words, tmp_path, capsys, options, troubles):
    folder = tmp_path / "run"
    with pytest.raises(moreish.WorkError):
        moreish.train(words, out=folder, steps=400, optimizer="sgd", n_embd=4, init="naive", **options)
    # The report draws every picture; those of layers and steps have to cope with huge and infinite values as PNG, too.
    of_layers = ["activations", "saturation", "gradients", "weights", "ratios", "start"]
    assert run(["plot", str(folder), *of_layers]) == 0
    assert run(["report", str(folder)]) == 0
    capsys.readouterr()
    assert run(["diagnose", str(folder), "--json"]) == 0
    found = [verdict["trouble"] for verdict in json.loads(capsys.readouterr().out)["verdicts"]]
    assert set(troubles) <= set(found)


def test_a_figure_is_drawn_by_hand_as_before_after_it_was_saved(looked_at, tmp_path):
    made = plots.plot_loss(looked_at)
    canvas, dpi = made.canvas, made.dpi
    for form in ("png", "svg", "pdf"):
        save(made, tmp_path / f"a.{form}")
        assert (made.canvas, made.dpi) == (canvas, dpi)


@pytest.mark.parametrize("bounded", [True, False])
def test_a_smoothed_histogram_keeps_its_area_and_its_centre(bounded):
    generator = np.random.default_rng(7)
    density, edges = np.histogram(generator.beta(0.4, 0.9, 500), 80, range=(0, 1), density=True)
    x, curve = smoothed(density, edges, bounded)
    assert curve.sum() * (x[1] - x[0]) == pytest.approx(1)
    assert np.abs(np.diff(curve)).sum() < np.abs(np.diff(density)).sum() / 3
    if bounded:
        assert x == pytest.approx((edges[1:] + edges[:-1]) / 2)
    else:
        assert (x * curve).sum() == pytest.approx(((edges[1:] + edges[:-1]) / 2 * density).sum())


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0029, 0.051, [0.005, 0.01, 0.02, 0.05]),
        (0.1, 29.0, [0.1, 0.3, 1, 3, 10]),
        (0.1, 31.0, [0.1, 1, 10]),
        (1, 10, [1, 2, 5, 10]),
        (730, 2e6, [1e3, 1e4, 1e5, 1e6]),
        (1e-5, 20.0, [1e-5, 1e-3, 0.1, 10]),
    ],
)
def test_a_logarithmic_axis_has_a_few_round_ticks(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("x", "short"), [(0.003, "0.003"), (12.5, "12.5"), (999, "999"), (44_707, "44.71k"), (1e5, "100k"), (2.5e6, "2.5M")]
)
def test_numbers_at_ticks_are_short(x, short):
    assert short_number(x) == short


def test_a_reason_with_a_colon_is_not_cut_off(looked_at, tmp_path, capsys):
    assert run(["plot", str(looked_at.path), "--prefix", "a:", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert run(["plot", str(looked_at.path), "next", "--prefix", "a:", "--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err.removeprefix("moreish: ").strip()
    assert "':'" in message
    assert f"next ({message})" in told


def test_pictures_are_drawn_in_order_with_the_reasons_for_those_that_are_not(looked_at):
    bigram = moreish.train(looked_at.corpus, "bigram", steps=20)
    names = ["novelty", "start", "weights", "loss", "saturation", "activations", "gradients", "ratios"]
    drawn = list(draw(Findings(bigram), PictureOptions(), names))
    assert [name for name, _ in drawn] == names
    reasons = {name: made.reason for name, made in drawn if isinstance(made, InputError)}
    assert reasons == {
        "start": "a bigram has no hidden layers",
        **dict.fromkeys(("saturation", "activations", "gradients"), "a bigram has no activations"),
    }
    pictures = draw(Findings(looked_at), PictureOptions(), names)
    assert next(pictures)[0] == "novelty"
    pictures.close()  # whoever wants no more of them need not wait for the rest


def test_a_picture_that_is_named_twice_is_drawn_once(looked_at):
    named = [name for name, _ in draw(Findings(looked_at), PictureOptions(), ["loss", "bigrams", "loss"])]
    assert named == ["loss", "bigrams"]


def test_of_many_layers_the_first_and_last_are_drawn_and_the_title_says_so(words):
    options: dict[str, Any] = {"n_layer": 10, "n_head": 2, "n_embd": 8, "batch_size": 16, "dropout": 0.0}
    found = moreish.diagnose(moreish.train(words, "transformer", steps=10, diagnostics=True, **options))
    matrices = [slot.name for slot in found.run.model.layout if len(slot.shape) == 2]
    assert len(matrices) == 43
    for made in (plots.plot_weights(found), plots.plot_ratios(found)):
        assert made.get_suptitle().endswith("; the first and last 4 of 43")
        names = [str(line.get_label()).split(":")[0] for line in made.axes[0].lines]
        assert names == matrices[:4] + matrices[-4:]
        styles = {(line.get_color(), line.get_linestyle()) for line in made.axes[0].lines}
        assert len(styles) == 8, "each line looks different"
        legend: Any = made.axes[0].get_legend()
        assert [text.get_text().split(":")[0] for text in legend.get_texts()] == names
    for made in (plots.plot_activations(found), plots.plot_gradients(found)):
        assert made.get_suptitle().endswith("; the first and last 4 of 10")
        names = [str(line.get_label()).split(":")[0] for line in made.axes[0].lines]
        assert names == [f"{number}.2.tanhgelu" for number in (3, 5, 7, 9, 15, 17, 19, 21)]
    with pytest.raises(InputError, match="a transformer has no activations that saturate"):
        plots.plot_saturation(found)
    (loss,) = plots.plot_start(found).axes
    assert {"--init kaiming", "--init naive"} < {line.get_label() for line in loss.lines}


def test_a_net_with_residuals_shows_its_layers_by_their_paths(words):
    model = moreish.train(words, "bow", n_embd=8, n_hidden=6, steps=2).model
    assert [(name, size) for name, _, size in model._table().rows] == [
        ("0.embedding", "64"),
        ("1.positionalembedding", "256"),
        ("2.0.causalaverage", ""),
        ("2.residual", ""),
        ("3.0.linear", "54"),
        ("3.1.tanh", ""),
        ("3.2.linear", "56"),
        ("3.residual", ""),
        ("4.linear", "72"),
    ]
    deep = moreish.train(words, "transformer", n_layer=10, n_head=2, n_embd=8, steps=1).model._table()
    assert len(deep.rows) == 20


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_short_training_has_whole_steps_and_no_mean_of_one(words, steps):
    trained = moreish.train(words, n_hidden=8, n_embd=2, steps=steps)
    loss = plots.plot_loss(trained)
    for made in (loss, plots.plot_ratios(trained), plots.plot_start(trained)):
        made.draw_without_rendering()
        stepped = [ax for ax in made.axes if ax.get_xlabel() == "step"]
        assert stepped
        for ax in stepped:
            low, high = ax.get_xlim()
            shown = [tick for tick in ax.get_xticks() if low <= tick <= high]
            assert shown
            assert shown == [round(tick) for tick in shown]
    assert not any("mean" in str(line.get_label()) for line in loss.axes[0].lines)
    assert curve(loss.axes[0], "batch")[:, 1].tolist() == [x for line in trained.history for x in line["losses"]]


def test_a_start_tells_of_batch_norm_and_draws_huge_losses_on_a_log_axis(words):
    options: dict[str, Any] = {"n_hidden": 8, "n_embd": 2, "steps": 4, "batch_size": 32}
    normalised = plots.plot_start(moreish.train(words, **options, batch_norm=True))
    assert "with BatchNorm, the activations hardly differ" in normalised.get_suptitle()
    assert normalised.axes[0].get_yscale() == "linear"
    huge = plots.plot_start(moreish.train(words, **options, optimizer="sgd", lr=1e4))
    assert "BatchNorm" not in huge.get_suptitle()
    assert curve(huge.axes[0], "--init kaiming")[:, 1].max() > 100
    assert huge.axes[0].get_yscale() == "log"


def test_a_folded_run_has_no_pictures_of_a_training_that_it_never_had(words, tmp_path, capsys):
    moreish.train(words, n_hidden=8, n_embd=2, steps=5, batch_norm=True, out=tmp_path / "run")
    assert run(["fold", str(tmp_path / "run"), "--out", str(tmp_path / "folded")]) == 0
    folded = moreish.load(tmp_path / "folded")
    assert folded.folded
    assert not moreish.load(tmp_path / "run").folded
    of_training = ["activations", "saturation", "gradients", "ratios", "weights", "start"]
    drawn = dict(draw(Findings(folded), PictureOptions(), [*of_training, "loss", "next"]))
    errors = [name for name, made in drawn.items() if isinstance(made, InputError)]
    assert errors == of_training
    with pytest.raises(InputError, match="folded after its training: choose the run that it was made from"):
        plots.plot_weights(folded)
    assert run(["report", str(tmp_path / "folded")]) == 0
    text = (tmp_path / "folded" / "report.html").read_text(encoding="utf-8")
    assert "step 0" not in text
