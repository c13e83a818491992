"""Questions of a page to a training: next characters, scores, constrained words, states, attention, and gradients."""

import dataclasses
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish import InputError
from moreish.analysis.attention import attention
from moreish.analysis.derivation import derivation
from moreish.analysis.gradcheck import TOLERANCES
from moreish.analysis.scoring import Scorer
from moreish.lab.controls import controls
from moreish.lab.snapshot import Snapshot
from moreish.lab.training import Training
from moreish.lab.views import answer
from moreish.layers import FUSED, LAYERS, Residual
from moreish.models import MODELS, NETS
from moreish.sampling import Constraints, method_line
from moreish.training.prepare import prepare

SMALL = {"n_embd": 6, "n_hidden": 12, "n_head": 2, "n_layer": 2, "steps": 6, "batch_size": 20, "lr": 0.05}
WORDS = made_up_words(200)


def options_of(name: str) -> dict[str, Any]:
    return {
        k: v
        for k, v in SMALL.items()
        if name in NETS and (k in ("steps", "batch_size", "lr") or hasattr(NETS[name], k))
    }


@cache
def snapshot_of(name: str, *more: tuple[str, Any]) -> Snapshot:
    """A training after three steps, whose weights are moved away from zero, and are not those of its bench."""
    training = Training.begin(1, prepare(WORDS, name, {**options_of(name), **dict(more)}))
    run = training.run
    if training.loop is not None:
        training.advance(3)
        params = run.model.params.copy()
        params[: run.model.n_parameters] += 0.1 * np.random.default_rng(3).standard_normal(run.model.n_parameters)
        run = replace(run, model=run.model.with_params(params.astype(np.float32)))
    return Snapshot(1, 1, training.step, run, None, training.task, training.bench)


def ask(snapshot: Snapshot, view: str, **values: Any) -> dict[str, Any]:
    return answer(snapshot, view, values)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("prefix", ["", "ba"])
def test_next_characters_are_those_of_the_model(name, prefix):
    snapshot = snapshot_of(name)
    model = snapshot.run.model
    for temperature in (1.0, 0.5):
        found = ask(snapshot, "next", prefix=prefix, temperature=temperature, n=4)
        expected = model.next(prefix, temperature=temperature)
        shown = {bar["char"]: bar["p"] for bar in found["bars"]}
        assert list(shown) == sorted(expected, key=lambda c: -expected[c])[:4]
        assert all(p == pytest.approx(expected[c], rel=1e-12) for c, p in shown.items())
        assert found["rest"]["n"] == len(expected) - 4
        assert sum(shown.values()) + found["rest"]["p"] == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("prefix", ["", "ba"])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"top_p": 0.6}, {"temperature": 1.5, "top_p": 0.8}])
def test_next_characters_are_drawn_as_often_as_the_bars_say(prefix, options):
    model = snapshot_of("mlp").run.model
    found = ask(snapshot_of("mlp"), "next", prefix=prefix, n=100, **options)
    p = np.exp(
        -np.array(
            [model.nll(np.array([0, *model.vocab.encode(prefix), v], np.int32))[-1] for v in range(len(model.vocab))]
        )
    )
    if not prefix:
        p[0] = 0
    p = p ** (1 / options.get("temperature", 1))
    p /= p.sum()
    kept = np.zeros(len(p), bool)
    for i in np.argsort(-p):
        kept[i] = True
        if p[kept].sum() > options.get("top_p", 1):
            break
    expected = np.where(kept, p, 0) / p[kept].sum()
    drawn = {bar["char"]: bar["drawn"] for bar in found["bars"]}
    for i, char in enumerate(["", *model.vocab.characters]):
        assert drawn[char] == pytest.approx(expected[i], rel=1e-4, abs=1e-12)


def test_at_temperature_zero_one_character_is_left():
    found = ask(snapshot_of("gru"), "next", prefix="b", temperature=0.0)
    assert [bar["p"] for bar in found["bars"]][:2] == [1, 0]
    assert found["bars"][0]["char"] == ask(snapshot_of("gru"), "next", prefix="b")["bars"][0]["char"]


def test_an_unknown_character_is_said():
    for view, values in {"next": {"prefix": "bz"}, "along": {"word": "bz"}}.items():
        with pytest.raises(InputError, match="'z' is not in the word list"):
            ask(snapshot_of("mlp"), view, **values)


@pytest.mark.parametrize("name", MODELS)
def test_the_score_of_a_word_is_that_of_the_model_and_its_percentile_that_of_a_scorer(name):
    snapshot = snapshot_of(name)
    run = snapshot.run
    scorer = Scorer(replace(run), None)
    for word in (WORDS[0], "bagabaga", "gg", "bzé"):
        found, expected = ask(snapshot, "score", word=word), run.model.score(word)
        assert [char["nats"] for char in found["chars"]] == expected.per_char
        assert "".join(char["char"] for char in found["chars"]) == word
        assert [i for i, char in enumerate(found["chars"]) if char["unknown"]] == expected.unknown
        assert found["total"] == pytest.approx(sum(expected.per_char), rel=1e-12)
        assert found["mean"] == expected.nll
        assert found["percentile"] == scorer.score(word).percentile
        assert found["mark"] == run.corpus.mark(word)
    drawn = ask(snapshot, "score")
    assert drawn["drawn"]
    assert drawn["word"] == run.model.sample(1, seed=42, max_length=30)[0]


def test_the_percentile_follows_the_weights():
    first = snapshot_of("mlp")
    before = ask(first, "score", word="bagabaga")
    moved = replace(
        first, version=2, run=replace(first.run, model=first.run.model.with_params(-first.run.model.params))
    )
    after = ask(moved, "score", word="bagabaga")
    assert after["percentile"] == Scorer(moved.run, None).score("bagabaga").percentile != before["percentile"]


@pytest.mark.parametrize("name", ["mlp", "gru", "ngram"])
def test_words_are_steered_as_sample_steers_them(name):
    snapshot = snapshot_of(name)
    run = snapshot.run
    values: dict[str, Any] = {"pattern": "b*a", "max_length": 6, "forbid": "c", "temperature": 1.2, "seed": 5, "n": 7}
    found = ask(snapshot, "steer", **values)
    expected = run.model.sample(**values)
    assert [word["word"] for word in found["words"]] == expected
    assert [word["mark"] for word in found["words"]] == [run.corpus.mark(word) for word in expected]
    assert found["line"] == method_line(expected)
    new = ask(snapshot, "steer", only_new=True, distinct=True, n=20, seed=1)
    assert {word["mark"] for word in new["words"]} == {"new"}
    likeliest = ask(snapshot, "likeliest", gap="b_g_", n=3)
    best = run.model.most_likely(3, gap="b_g_")
    assert [(at["word"], at["probability"], at["share"]) for at in likeliest["words"]] == [
        (at.word, at.probability, at.share) for at in best
    ]
    unseen = ask(snapshot, "likeliest", gap="b_g_", n=3, only_new=True)
    assert [at["word"] for at in unseen["words"]] == [
        at.word for at in run.model.most_likely(3, gap="b_g_", avoid=run.corpus.words)
    ]


def test_what_cannot_be_steered_is_said_in_one_line():
    snapshot = snapshot_of("mlp")
    for values, reason in [
        ({"prefix": "ba", "pattern": "c*"}, "no word fits"),
        ({"n": 1000}, "n: it should be less than or equal to 200"),
        ({"wish": "x"}, "wish: Extra inputs"),
        ({"gap": "[b"}, "--gap|\\["),
    ]:
        with pytest.raises(InputError, match=reason) as error:
            ask(snapshot, "steer", **values)
        assert "\n" not in str(error.value)


def test_a_transformer_shows_its_attention():
    snapshot = snapshot_of("transformer")
    maps = attention(snapshot.run.model, "bagade")
    for layer in range(2):
        for head in range(2):
            found = ask(snapshot, "along", word="bagade", layer=layer, head=head)
            assert (found["kind"], found["layers"], found["heads"]) == ("attention", 2, 2)
            weights = np.array(found["weights"])
            np.testing.assert_allclose(weights, maps[layer][head], atol=5.1e-5)
            np.testing.assert_allclose(weights.sum(1), 1, atol=4e-4)
            assert found["characters"] == ["", *"bagade"]
    with pytest.raises(InputError, match="2 heads, numbered from 0: there is no 2"):
        ask(snapshot, "along", word="bagade", head=2)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step_of(kind: str, w: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray, c: np.ndarray):
    """One step of a recurrent layer, from its definition."""
    H = h.size
    U = w["U"]
    if kind == "rnn":
        return np.tanh(x + h @ U), c
    u = h @ U
    if kind == "gru":
        r, z = np.split(sigmoid(x[: 2 * H] + u[: 2 * H]), 2)
        n = np.tanh(x[2 * H :] + r * (u[2 * H :] + w["c"]))
        return (1 - z) * n + z * h, c
    i, f, g, o = np.split(x + u, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_recurrent_net_shows_its_states(name):
    snapshot, word = snapshot_of(name), "bagade"
    model = snapshot.run.model
    w = {key: array.astype(np.float64) for key, array in model.weights.items()}
    expected: dict[str, np.ndarray] = {}
    x = w["0.embedding.C"][[0, *model.vocab.encode(word)]]
    for path in sorted({key.split(".")[0] for key in w if key.split(".")[1] == name}):
        before = f"{int(path) - 1}.linear"
        x = x @ w[f"{before}.W"] + w[f"{before}.b"]
        own = {key.rsplit(".", 1)[1]: value for key, value in w.items() if key.startswith(f"{path}.")}
        h, c = np.zeros((2, own["U"].shape[0]))
        rows = []
        for inputs in x:
            h, c = step_of(name, own, inputs, h, c)
            rows.append((h, c))
        expected[f"{path}.{name}.h"] = x = np.array([h for h, _ in rows])
        if name == "lstm":
            expected[f"{path}.{name}.c"] = np.array([c for _, c in rows])
    layers = ask(snapshot, "along", word=word)["layers"]
    assert layers == list(expected)
    for number, values in enumerate(expected.values()):
        found = ask(snapshot, "along", word=word, layer=number)
        assert (found["kind"], found["units"]) == ("state", 12)
        np.testing.assert_allclose(np.array(found["values"]), values, atol=1e-4)


@pytest.mark.parametrize("name", sorted({*MODELS} - {"rnn", "gru", "lstm", "transformer"}))
def test_other_models_see_a_window_on_which_their_prediction_depends(name):
    snapshot, word = snapshot_of(name), "bagadebabada"
    model, found = snapshot.run.model, ask(snapshot, "along", word=word)
    assert found["kind"] == "window"
    sees = found["sees"]
    assert len(found["windows"]) == len(word) + 1
    for t, window in enumerate(found["windows"]):
        assert "".join(window) == word[0 if sees is None else max(0, t - sees) : t]
        assert sees is None or len(window) == sees
    if sees is not None and sees < len(word):
        other = "g" * (len(word) - sees) + word[len(word) - sees :]
        assert model.next(word) == pytest.approx(model.next(other), rel=1e-6), (
            "what is before the window does not matter"
        )


GRADIENTS = [
    *((name, ()) for name in NETS),
    ("mlp", (("batch_norm", True),)),
    ("mlp", (("label_smoothing", 0.2),)),
    ("mlp", (("full_batch", True),)),
    ("gru", (("learn_start", True), ("dropout", 0.3), ("recurrent_dropout", 0.3))),
    ("gru", (("reset", "before"), ("label_smoothing", 0.2))),
    ("transformer", (("dropout", 0.3),)),
]


@pytest.mark.parametrize(("name", "more"), GRADIENTS, ids=str)
def test_the_gradients_of_a_parameter_agree(name, more):
    options = dict(more)
    if options.get("full_batch"):
        more = (*more, ("batch_size", None))
    snapshot = snapshot_of(name, *more)
    parameters = ask(snapshot, "gradient")["parameters"]
    assert [p["name"] for p in parameters] == [name for name in snapshot.run.model.weights if "running" not in name]
    for parameter in parameters:
        found = ask(snapshot, "gradient", parameter=parameter["name"], autograd=True)
        scale, hand = found["largest"], found["hand"]
        assert abs(hand["float64"]) == scale > 0, "by default it is the entry with the largest gradient"
        for dtype, value in hand.items():
            for against in ("autograd", "differences"):
                reference = found["difference" if against == "differences" else against]
                assert abs(value - reference) <= TOLERANCES[dtype, against] * scale, (parameter, dtype, against)
        weights = snapshot.run.model.weights[parameter["name"]].reshape(-1, parameter["shape"][-1])
        assert found["value"] == weights[found["row"], found["column"]]
        assert found["examples"] <= 32


def test_an_update_of_the_training_is_that_of_the_gradient():
    """Plain gradient descent on one batch moves each weight by the rate times the gradient that is shown."""
    task = prepare(WORDS, "mlp", {**options_of("mlp"), "optimizer": "sgd", "lr": 0.5, "weight_decay": 0.0, "steps": 50})
    training = Training.begin(1, task)
    training.advance(3)
    assert training.loop is not None
    step, before = training.step, training.run.model.params.copy()
    run = replace(training.run, model=training.run.model.with_params(before))
    snapshot = Snapshot(1, 1, step, run, None, task, training.bench)
    rate = training.loop.schedule.rates(step, step + 1)[0]
    training.advance(1)
    assert training.step == step + 1
    moved = training.run.model.layout.views(training.run.model.params - before)
    for name in moved:
        found = ask(snapshot, "gradient", parameter=name, map="gradients")
        shown = np.array(found["map"]["values"])
        made = moved[name].reshape(-1, moved[name].shape[-1])[: shown.shape[0], : shown.shape[1]]
        np.testing.assert_allclose(made, -rate * shown, rtol=1e-3, atol=2e-6 * rate)


def test_a_gradient_is_that_of_the_entry_that_was_asked_for():
    snapshot = snapshot_of("mlp")
    shown = np.array(ask(snapshot, "gradient", parameter="2.linear.W")["map"]["values"])
    for row, column in [(0, 0), (3, 7), (11, 2)]:
        found = ask(snapshot, "gradient", parameter="2.linear.W", row=row, column=column)
        assert shown[row, column] == pytest.approx(found["hand"]["float64"], rel=1e-3)
        values = ask(snapshot, "gradient", parameter="2.linear.W", row=row, column=column, map="weights")["map"][
            "values"
        ]
        assert values[row][column] == pytest.approx(found["value"], rel=1e-3)
    with pytest.raises(InputError, match=r"there is no \[0, 99\]"):
        ask(snapshot, "gradient", parameter="2.linear.W", row=0, column=99)
    with pytest.raises(InputError, match="unknown parameter"):
        ask(snapshot, "gradient", parameter="2.linear.V")
    for name in ("ngram", "bigram-counts"):
        with pytest.raises(InputError, match="no layers"):
            ask(snapshot_of(name), "gradient")


def test_a_large_tensor_is_shown_around_the_entry():
    snapshot = snapshot_of("mlp", ("n_hidden", 150))
    found = ask(snapshot, "gradient", parameter="2.linear.W", row=5, column=140, map="weights")
    block = found["map"]
    weights = snapshot.run.model.weights["2.linear.W"]
    assert (block["row"], block["column"]) == (0, 150 - 64)
    np.testing.assert_allclose(np.array(block["values"]), weights[:64, 86:], rtol=1e-3)


LEARNT = [
    (kind, parameter.name)
    for kind, row in LAYERS.items()
    if row.example is not None and kind is not Residual and kind not in FUSED.values()
    for parameter in row.example.parameters()
    if parameter.trained
]


@pytest.mark.parametrize(("kind", "parameter"), LEARNT, ids=lambda value: getattr(value, "__name__", value))
def test_the_lines_of_a_gradient_are_at_their_place_and_compute_it(kind, parameter):
    found = derivation(LAYERS[kind].example, parameter)
    root = Path(moreish.__file__).parents[1]
    assert found.file == f"moreish/layers/{kind.__module__.rpartition('.')[2]}.py"
    assert (
        found.formula.startswith(kind.__name__.removesuffix("1d").replace("ChoGRU", "")[:3])
        or kind.__name__ in found.formula
    )
    for lines in (*found.forward, *found.backward):
        text = (root / lines.file).read_text(encoding="utf-8").splitlines(keepends=True)
        shown = lines.text.splitlines(keepends=True)
        assert text[lines.line - 1 : lines.line - 1 + len(shown)] == shown
        assert f"def {lines.name}(" in lines.text
    assert "forward" in [lines.name for lines in found.forward]
    source = "".join(lines.text for lines in found.backward)
    written = {"U": "dU", "V": "dU", "start_c": "dstart"}.get(parameter, f"d{parameter}")
    assert f"{written}[" in source or f", {written})" in source, "it is written there"


def test_constraints_are_controls_with_their_help_and_bounds():
    found = {control["name"]: control for control in controls()["constraints"]}
    constraints = {f.name: f for f in dataclasses.fields(Constraints)}
    assert set(found) == set(constraints)
    for name, f in constraints.items():
        assert [found[name][key] for key in ("help", "low", "high")] == [
            f.metadata[key] for key in ("help", "low", "high")
        ]
    assert list(found)[:2] == ["gap", "prefix"]
    assert {control["kind"] for control in found.values()} == {"text", "texts", "whole"}
