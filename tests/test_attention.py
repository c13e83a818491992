"""Attention over a word, against NumPy, and its picture."""

from typing import Any

import numpy as np
import pytest
from conftest import overlapping_ticks

import moreish
from moreish import InputError, plots
from moreish.analysis.attention import attention, likeliest_label
from moreish.cli import run
from moreish.corpus import Vocab
from moreish.engine.trace import Tracer
from moreish.engine.words import WordBatches
from moreish.layers.levels import rows_before
from moreish.models import make_config
from moreish.models.model import Model
from moreish.plots.style import save

TINY: dict[str, Any] = {"n_layer": 2, "n_head": 2, "n_embd": 8, "steps": 30, "batch_size": 16, "lr": 0.05}


@pytest.fixture(scope="module")
def trained(words, tmp_path_factory) -> moreish.Run:
    return moreish.train(words, "transformer", out=tmp_path_factory.mktemp("attention") / "run", **TINY)


def model_of(letters: str, **options: Any) -> Model:
    return Model(make_config("transformer", options), Vocab(letters))


def normalised(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return gamma * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) + beta


def by_numpy(model: Model, word: str) -> list[np.ndarray]:
    """The weights of attention of each block, from the definition of a transformer: softmax(Q K' / sqrt(C))."""
    w = {name: array.astype(np.float64) for name, array in model.weights.items()}
    tokens = [0, *model.vocab.encode(word)]
    config: Any = model.config
    T, heads, first = len(tokens), config.n_head, 3 if config.dropout else 2
    x = w["0.embedding.C"][tokens] + w["1.positionalembedding.P"][np.minimum(np.arange(T), config.n_positions - 1)]
    found = []
    for block in range(config.n_layer):
        one, two = first + 2 * block, first + 2 * block + 1
        qkv = normalised(x, w[f"{one}.0.layernorm.gamma"], w[f"{one}.0.layernorm.beta"]) @ w[f"{one}.1.linear.W"]
        q, k, v = (
            part.reshape(T, heads, -1).transpose(1, 0, 2) for part in np.split(qkv + w[f"{one}.1.linear.b"], 3, axis=1)
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        scores[:, np.triu(np.ones((T, T), bool), 1)] = -np.inf
        exps = np.exp(scores)
        weights = exps / exps.sum(2, keepdims=True)
        found.append(weights)
        heard = (weights @ v).transpose(1, 0, 2).reshape(T, -1)
        x = x + heard @ w[f"{one}.3.linear.W"] + w[f"{one}.3.linear.b"]
        h = normalised(x, w[f"{two}.0.layernorm.gamma"], w[f"{two}.0.layernorm.beta"]) @ w[f"{two}.1.linear.W"]
        h = h + w[f"{two}.1.linear.b"]
        h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ w[f"{two}.3.linear.W"] + w[f"{two}.3.linear.b"]
    return found


@pytest.mark.parametrize("word", ["a", "badge", "gabadefacade", "facade" * 8, ""])
def test_the_weights_are_the_softmax_of_the_products_of_queries_and_keys(trained, word):
    found, T = attention(trained.model, word), len(word) + 1
    assert [weights.shape for weights in found] == [(2, T, T)] * 2
    for ours, theirs in zip(found, by_numpy(trained.model, word), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(ours.sum(2), 1, rtol=1e-5)
        assert (ours[:, np.triu(np.ones((T, T), bool), 1)] == 0).all(), "nothing looks at what comes later"
    assert (len(word) < 2) or np.abs(found[0] - found[1]).max() > 0.01, "the layers differ"


def test_there_is_a_map_for_each_layer_and_head(trained):
    made = plots.plot_attention(trained.model, "badge")
    *maps, bar = made.axes
    assert [ax.get_title() for ax in maps] == [f"layer {i}, head {j}" for i in (1, 2) for j in (1, 2)]
    weights = np.concatenate(attention(trained.model, "badge"))
    for ax, expected in zip(maps, weights, strict=True):
        (image,) = ax.images
        drawn: Any = image.get_array()
        np.testing.assert_array_equal(drawn.mask, np.triu(np.ones((6, 6), bool), 1))
        np.testing.assert_array_equal(drawn.filled(0), expected)
        assert image.get_clim() == (0, 1)
    for ax, labels in ((maps[0], maps[0].get_yticklabels()), (maps[2], maps[2].get_xticklabels())):
        assert tuple(ax.images[0].get_extent()) == (-0.5, 5.5, 5.5, -0.5)
        assert "".join(label.get_text() for label in labels) == "·badge", "at the left and the lower edge"
    assert bar.get_ylabel() == "weight"
    assert made.get_suptitle().endswith("attention over “badge”")
    assert made.get_supylabel() == "character read last"


@pytest.mark.parametrize(
    ("letters", "options", "word", "told"),
    [
        (
            "abc",
            {"n_layer": 12, "n_head": 8},
            "abc" * 13 + "a",
            "; the first and last 3 of 12 layers; the last 12 of 41",
        ),
        ("abc", {"n_layer": 1, "n_head": 16}, "abc", "; the first and last 4 of 16 heads"),
        ("abc", {"n_layer": 1, "n_head": 1, "n_embd": 8}, "a", "“a”"),
        ("abc", {"n_layer": 1, "n_head": 2}, "abc" * 13, "; the last 23 of 40 positions"),
        ("日本語", {"n_layer": 2, "n_head": 4}, "日本語" * 10, "; the last 23 of 31 positions"),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_large_maps_stay_legible(letters, options, word, told, tmp_path):
    model = model_of(letters, **options)
    made = plots.plot_attention(model, word)
    assert told in made.get_suptitle()
    *maps, _ = made.axes
    assert len(maps) == min(options["n_layer"], 6) * min(options["n_head"], 8)
    assert made.get_size_inches().max() < 16
    save(made, tmp_path / "a.png")
    made.draw_without_rendering()
    assert not overlapping_ticks(made)
    for label in maps[0].get_yticklabels():
        assert float(label.get_fontsize()) >= 6.4
    titles = [ax.title.get_window_extent() for ax in maps]
    assert not any(one.overlaps(other) for i, one in enumerate(titles) for other in titles[:i])
    drawn: Any = maps[-1].images[0].get_array()
    n = len(drawn)
    np.testing.assert_array_equal(drawn.filled(0), attention(model, word)[-1][-1][-n:, -n:])
    assert maps[-1].get_title() == f"layer {options['n_layer']}, head {options['n_head']}"


def test_labels_have_attention_of_their_own(words):
    labels = ["long" if len(word) > 4 else "short" for word in words]
    model = moreish.train(words, "transformer", labels=labels, **TINY).model
    for label in ("long", "short"):
        np.testing.assert_array_equal(
            attention(model, "badge", label=label)[1], attention(model.given(label), "badge")[1]
        )
        assert plots.plot_attention(model, "badge", label=label).get_suptitle().endswith(f"“badge” given {label}")
    likeliest = likeliest_label(model, "badge")
    chances = {label: model.given(label).nll_of_words(["badge"])[0][:-1].sum() for label in ("long", "short")}
    assert model.labels is not None
    shares = dict(zip(model.labels.names, model.labels.shares.tolist(), strict=True))
    assert likeliest == max(chances, key=lambda label: np.log(shares[label]) - chances[label])
    np.testing.assert_array_equal(attention(model, "badge")[0], attention(model, "badge", label=likeliest)[0])
    assert plots.plot_attention(model, "badge").get_suptitle().endswith(f"“badge” given {likeliest}")
    with pytest.raises(InputError, match="unknown label"):
        attention(model, "badge", label="wide")


def test_what_has_no_attention_says_so(trained, words):
    for name, reason in {"bow": "a bow has no attention", "ngram": "an n-gram has no layers"}.items():
        options: dict[str, Any] = {"steps": 2} if name == "bow" else {}
        with pytest.raises(InputError, match=reason):
            plots.plot_attention(moreish.train(words, name, **options).model, "badge")
    with pytest.raises(InputError, match="'z' is not in the word list"):
        attention(trained.model, "bazde")
    with pytest.raises(InputError, match="empty word"):
        plots.plot_attention(trained.model, "")
    with pytest.raises(InputError, match="has no labels"):
        attention(trained.model, "badge", label="long")


def test_the_command_draws_a_word_or_a_sample(trained, tmp_path, capsys):
    assert (
        run(["plot", str(trained.path), "attention", "--word", "badge", "--format", "svg", "--out", str(tmp_path)]) == 0
    )
    assert "attention.svg  attention over a word" in capsys.readouterr().out
    assert "“badge”" in (tmp_path / "attention.svg").read_text(encoding="utf-8")
    assert run(["plot", str(trained.path), "attention", "--format", "svg", "--out", str(tmp_path)]) == 0
    sample = trained.model.sample(1, seed=42)[0]
    assert f"“{sample}”" in (tmp_path / "attention.svg").read_text(encoding="utf-8")


def test_a_trace_has_the_weights_of_attention_of_every_row(trained):
    model, batches = trained.model, WordBatches.drawn(trained.corpus.stream("train"), 3, 1)
    trace = Tracer(model.layers, model.columns, len(model.vocab), batches, 3)(model.params, 0)
    found = [layer.attention for layer in trace.layers if layer.attention is not None]
    assert [layer.name for layer in trace.layers if layer.attention is not None] == [
        "2.2.causalselfattention",
        "4.2.causalselfattention",
    ]
    packed = batches.packed(0, 3)
    before = rows_before(packed.levels, len(packed.contexts))
    for weights in found:
        assert weights.shape == (*before.shape, 2)
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
        assert ((weights == 0) == (before < 0)[..., None]).all()
