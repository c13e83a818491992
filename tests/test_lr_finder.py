"""The learning-rate finder: the sweep, its suggestion, and training at the suggested rate compared with a grid."""

import json
import math
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words, other_words_in

import moreish
from moreish import Corpus, InputError, WorkError, find_lr
from moreish.cli import run
from moreish.plots.lr_finder import plot_lr
from moreish.training.lr_finder import find_valley, smooth

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32}


@pytest.fixture(scope="module")
def finding(words) -> moreish.LRFinding:
    return find_lr(words, **SMALL)


def test_a_sweep_rises_by_a_constant_factor_from_a_loss_of_even_odds(finding, words):
    ratios = finding.lr[1:] / finding.lr[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    assert ratios[0] > 1
    V = len(set("".join(words))) + 1
    assert finding.loss[:20].mean() == pytest.approx(math.log(V), rel=0.02)
    assert finding.smoothed.min() < finding.smoothed[0] - 0.1
    assert len(finding.lr) == len(finding.loss) == len(finding.smoothed)


def test_it_is_cut_where_the_loss_explodes(finding):
    assert finding.lr[-1] < 10.0
    assert (finding.loss <= 2 * finding.loss[0]).all()
    diverging = find_lr(Corpus(moreish.bundled("dinosaurs")), **SMALL, optimizer="sgd", activation="relu")
    assert diverging.lr[-1] < 1000.0
    assert np.isfinite(diverging.loss).all()


def test_the_same_seed_finds_the_same(words, finding):
    again, other = find_lr(words, **SMALL), find_lr(words, **SMALL, seed=7)
    assert (again.loss == finding.loss).all()
    assert again.suggested == finding.suggested
    assert (other.loss[:50] != finding.loss[:50]).any()
    assert finding.suggested / 2 < other.suggested < finding.suggested * 2


def test_only_train_words_are_looked_at():
    words = list(dict.fromkeys(made_up_words(900)))
    found, without_others, without_train = (
        find_lr(list_of_words, **SMALL, high=0.5).loss.tolist()
        for list_of_words in (words, other_words_in(words, "val", "test"), other_words_in(words, "train"))
    )
    assert found == without_others
    assert found != without_train


def test_the_engines_find_the_same(words, finding):
    pytest.importorskip("torch")
    theirs = find_lr(words, **SMALL, engine="torch", high=10.0)
    n = min(len(theirs.loss), 300)
    np.testing.assert_allclose(theirs.loss[:n], finding.loss[:n], rtol=1e-3)


def test_smoothing_keeps_what_is_smooth():
    assert smooth(np.full(50, 3.0), 5.0) == pytest.approx(np.full(50, 3.0))
    line = np.linspace(0.0, 1.0, 200)
    assert smooth(line, 5.0)[30:-30] == pytest.approx(line[30:-30])


def test_the_valley_is_where_the_loss_is_low():
    rates = np.geomspace(1e-4, 1.0, 401)
    decades = np.log10(rates)
    # The loss falls by 1 nat from 1e-4 to 1e-2 and rises as steeply: 0.9 below at 10^-2.2, and 0.3 below at 10^-0.6.
    begin, end = find_valley(rates, 3 - np.minimum(decades + 4, 0 - decades) / 2, exploded=False)
    assert begin == pytest.approx(10**-2.2, rel=0.03)
    assert end == pytest.approx(10**-0.6, rel=0.03)
    with pytest.raises(WorkError, match="the loss does not fall"):
        find_valley(rates, np.full(401, 3.0), exploded=False)
    with pytest.raises(WorkError, match="has not risen again"):
        find_valley(rates[:150], 3 - (decades[:150] + 4) / 2, exploded=False)
    assert find_valley(rates[:150], 3 - (decades[:150] + 4) / 2, exploded=True)[1] == rates[149]
    # A valley that never ends, as with BatchNorm, ends at sixty times the rate where it begins.
    begin, end = find_valley(rates, 3 - np.minimum(decades + 4, 1.0), exploded=False)
    assert end / begin == pytest.approx(60, rel=0.03)


def test_what_has_no_rate_to_find_is_refused(words):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": "ngram"}, "counted, not trained"),
        ({"lr": 0.1}, "lr-find suggests --lr"),
        ({"low": 1.0, "high": 0.1}, "--low below --high"),
        ({"low": 0.0}, "--low below --high"),
        ({"n_hiden": 3}, "did you mean"),
    ]
    for options, why in wrong:
        with pytest.raises(InputError, match=why):
            find_lr(words, **options)


def test_the_picture_shows_the_sweep(finding):
    made = plot_lr(finding)
    (ax,) = made.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate (log scale)", "batch loss (nats per token)")
    assert ax.get_xscale() == "log"
    raw, smoothed = ax.lines[:2]
    np.testing.assert_allclose(np.asarray(raw.get_xydata()), np.column_stack([finding.lr, finding.loss]))
    np.testing.assert_allclose(np.asarray(smoothed.get_ydata()), finding.smoothed)
    assert any(np.asarray(line.get_xdata()).tolist() == [finding.suggested] * 2 for line in ax.lines)
    in_bits = plot_lr(finding, "bits", title="letters, mlp").axes[0].lines[1]
    np.testing.assert_allclose(np.asarray(in_bits.get_ydata()) * np.log(2), finding.smoothed)


def test_the_command(words, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    command = ["lr-find", str(tmp_path / "words.txt"), "--n-hidden", "16", "--n-embd", "4", "--batch-size", "32"]
    assert run([*command, "--plot", str(tmp_path / "lr.png")]) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "lr.png").stat().st_size > 10_000
    assert run([*command, "--json", "--plot", str(tmp_path / "lr.svg"), "--unit", "bits"]) == 0
    assert "batch loss (bits per token)" in (tmp_path / "lr.svg").read_text(encoding="utf-8")
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"suggested", "lr", "loss"}
    assert f"--lr {found['suggested']:g}" in out
    assert "--n-hidden 16" in out


def test_on_the_reference_list_it_comes_within_two_hundredths_of_the_best_of_a_grid(names_file):
    corpus = Corpus(moreish.read_words(names_file))
    suggested = find_lr(corpus, "mlp").suggested

    def val(lr: float) -> float:
        return min(line["val"] for line in moreish.train(corpus, "mlp", lr=lr).history if line["val"])

    grid = [val(lr) for lr in (0.002, 0.004, 0.008, 0.012, 0.016, 0.024, 0.048)]
    assert val(suggested) <= min(grid) + 0.02
