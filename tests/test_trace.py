"""Traces of a net against PyTorch's autograd, and the statistics that a training records."""

import json
import math
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError
from moreish.analysis.diagnosis import replay, trace_run
from moreish.engine.statistics import record
from moreish.engine.trace import Tracer
from moreish.engine.words import WordBatches
from moreish.layers.layout import outputs
from moreish.training.folder import MODEL
from moreish.training.loop import stride
from moreish.training.prepare import of_run

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32}


@pytest.mark.parametrize("model", ["mlp", "wavenet", "wavenet-conv"])
def test_outputs_and_gradients_are_those_of_autograd(words, model):
    torch = pytest.importorskip("torch")
    run = moreish.train(words, model, n_hidden=8, n_embd=4, steps=20, batch_size=8)
    batches = of_run(run).need_steps()
    tracer = Tracer(run.model.layers, run.model.columns, len(run.model.vocab), batches, 8)
    before = run.model.params.copy()
    found = tracer(run.model.params, 5)
    assert (run.model.params == before).all(), "looking changes nothing, running statistics neither"
    contexts, targets, counts = (torch.from_numpy(part) for part in tracer.batch)
    module = run.model.to_torch().train()
    kept = []

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept.append(output)

    for layer in module.children():
        layer.register_forward_hook(keep)
    logits = module(contexts)
    each = torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    loss = (each * counts.flatten()).sum() / counts.sum()
    loss.backward()
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    by_index = {int(layer.name.split(".")[0]): layer for layer in found.layers}
    assert len(by_index) > 3
    for index, layer in by_index.items():
        theirs = kept[index]
        np.testing.assert_allclose(layer.output.ravel(), theirs.detach().ravel(), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(layer.gradient.ravel(), theirs.grad.ravel(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_a_batch_of_words_is_traced_as_autograd_sees_it(words, model):
    """With the masks of the step. The rows are those of some words, equal prefixes once."""
    pytest.importorskip("torch")
    from moreish.engine.torch.words import gradients_of_words

    options: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.3, "n_layer": 2}
    run = moreish.train(words, model, n_hidden=8, n_embd=4, steps=20, batch_size=16, **options)
    params, batches = run.model.params, of_run(run).need_steps()
    assert isinstance(batches, WordBatches)
    found, packed = Tracer(run.model.layers, 1, len(run.model.vocab), batches, 12)(params, 5), batches.packed(5, 12)
    known = gradients_of_words(run.model.layers, params, packed._replace(total=int(packed.levels.counts.sum())))
    assert len(found.layers) == len(run.model.layers) == 8
    for layer in found.layers:
        assert len(layer.output) == len(layer.gradient) == len(packed.contexts)
        np.testing.assert_allclose(layer.gradient, known[f"{layer.name}.out"], rtol=1e-3, atol=1e-7)
        for name, gradient in layer.grads.items():
            np.testing.assert_allclose(gradient, known[name], rtol=1e-3, atol=1e-6)
    (saturated,) = {layer.name for layer in found.activations} - {"5." + model}
    assert saturated == "2." + model


@pytest.mark.parametrize(("model", "activation"), [("transformer", "tanhgelu"), ("bow", "tanh")])
def test_a_net_with_residuals_is_traced_as_autograd_sees_it(words, model, activation):
    pytest.importorskip("torch")
    from moreish.engine.torch.words import gradients_of_words

    options: dict[str, Any] = {"n_layer": 2, "n_head": 2} if model == "transformer" else {"n_hidden": 6}
    run = moreish.train(words, model, n_embd=8, steps=20, batch_size=16, **options)
    params, batches = run.model.params, of_run(run).need_steps()
    assert isinstance(batches, WordBatches)
    found, packed = Tracer(run.model.layers, 1, len(run.model.vocab), batches, 12)(params, 5), batches.packed(5, 12)
    known = gradients_of_words(run.model.layers, params, packed._replace(total=int(packed.levels.counts.sum())))
    expected = [f"{path}.{type(layer).__name__.lower()}" for path, layer, _ in outputs(run.model.layers, (1,))]
    assert [layer.name for layer in found.layers] == expected, "a sum comes after its branch"
    for layer in found.layers:
        np.testing.assert_allclose(layer.gradient, known[f"{layer.name}.out"], rtol=2e-3, atol=1e-7)
        for name, gradient in layer.grads.items():
            np.testing.assert_allclose(gradient, known[name], rtol=2e-3, atol=1e-6)
    by_name = {layer.name: layer for layer in found.layers}
    terms = {
        "transformer": ("3.residual", "2.residual", "3.3.linear"),
        "bow": ("2.residual", "1.positionalembedding", "2.0.causalaverage"),
    }
    total, x, z = (by_name[name].output for name in terms[model])
    np.testing.assert_allclose(total, x + z, rtol=1e-5, atol=1e-6)
    assert {layer.name.partition(".")[2].split(".")[-1] for layer in found.activations} == {activation}


def test_a_record_holds_what_it_says(saved_run):
    trace = trace_run(saved_run)
    found = record(trace)
    for row, layer in zip(found["layers"], trace.layers, strict=True):
        assert row["mean"] == pytest.approx(layer.output.mean(), rel=1e-3, abs=1e-5)
        assert row["gradient"] == pytest.approx(layer.gradient.std(), rel=1e-3)
    row, layer = next(pair for pair in zip(found["layers"], trace.layers, strict=True) if pair[0]["name"] == "3.tanh")
    saturated = np.abs(layer.output) > 0.97
    assert row["saturated"] == pytest.approx(saturated.mean(), rel=1e-3)
    assert (row["dead"], row["units"]) == (saturated.all(0).sum(), 16)
    assert [row["name"] for row in found["tensors"]] == [slot.name for slot in saved_run.model.layout]


def test_a_relu_unit_that_never_answers_is_dead(words):
    run = moreish.train(words, **SMALL, steps=1, activation="relu")
    run.model.weights["2.linear.b"][3:5] = -1e3
    layer = next(layer for layer in trace_run(run).layers if layer.saturated is not None)
    assert layer.dead is not None
    assert layer.dead[3:5].all()
    assert record(trace_run(run))["layers"][2]["dead"] == layer.dead.sum() < 16


def test_diagnostics_change_nothing_but_the_history(words, tmp_path):
    plain = moreish.train(words, **SMALL, steps=150, out=tmp_path / "plain")
    looked = moreish.train(words, **SMALL, steps=150, out=tmp_path / "looked", diagnostics=True)
    assert (tmp_path / "plain" / MODEL).read_bytes() == (tmp_path / "looked" / MODEL).read_bytes()
    assert not any("tensors" in line for line in plain.history)
    assert all("tensors" in line for line in looked.history)
    assert looked.history[0]["step"] == 1, "the start is a point of the log"
    vals = {line["step"]: line["val"] for line in plain.history}
    assert {line["step"]: line["val"] for line in looked.history[1:]} == vals
    lines = [json.loads(line) for line in (tmp_path / "looked" / "history.jsonl").read_text().splitlines()]
    assert lines == looked.history


def test_gradients_and_updates_are_those_of_the_step(words):
    run = moreish.train(words, n_hidden=16, n_embd=4, batch_size=32, steps=9, log_every=3, diagnostics=True,
                        optimizer="sgd", lr=0.3, schedule="constant", keep="last")  # fmt: skip
    assert [line["step"] for line in run.history] == [*range(1, 10)], "evaluations are points too"
    for line in run.history:
        for row in line["tensors"]:  # plain SGD: the update is the rate times the gradient
            assert row["update"] == pytest.approx(0.3 * row["gradient"], rel=1e-3)
    again = moreish.train(words, n_hidden=16, n_embd=4, batch_size=32, steps=6, optimizer="sgd", lr=0.3,
                          schedule="constant", keep="last")  # fmt: skip
    tracer = Tracer(run.model.layers, 6, len(run.model.vocab), of_run(run).need_steps(), 32)
    seventh = record(tracer(again.model.params, 6))
    kept = [{k: v for k, v in row.items() if k != "update"} for row in run.history[6]["tensors"]]
    assert seventh["tensors"] == kept
    assert seventh["layers"] == run.history[6]["layers"]


def test_a_run_that_is_stopped_keeps_the_same_records(words, tmp_path):
    def stop(at):
        if at.step > 60:
            raise KeyboardInterrupt

    options: dict[str, Any] = {**SMALL, "steps": 200, "diagnostics": True}
    whole = moreish.train(words, **options)
    monkey = pytest.MonkeyPatch()
    monkey.setattr("moreish.training.fit.CHECKPOINT_SECONDS", 0.0)
    with monkey.context(), pytest.raises(KeyboardInterrupt):
        moreish.train(words, **options, out=tmp_path / "run", on_progress=stop)
    resumed = moreish.resume(tmp_path / "run")
    monkey.undo()
    unlike = ("seconds",)
    for mine, theirs in zip(resumed.history, whole.history, strict=True):
        assert {k: v for k, v in mine.items() if k not in unlike} == {
            k: v for k, v in theirs.items() if k not in unlike
        }


@pytest.mark.parametrize("steps", [7, 150, 2500])
def test_some_batch_losses_are_kept_one_by_one(words, steps):
    run = moreish.train(words, n_hidden=4, n_embd=2, batch_size=4, steps=steps)
    losses = [x for line in run.history for x in line["losses"]]
    assert len(losses) == steps // stride(steps)
    if stride(steps) == 1:  # then the lines' means are theirs
        for line in run.history:
            assert np.mean(line["losses"]) == pytest.approx(line["train"], abs=1e-4)
    assert losses[0] == pytest.approx(math.log(len(run.model.vocab)), rel=0.05)


def test_a_replay_is_the_training_made_again(words):
    options: dict[str, Any] = {**SMALL, "steps": 100}
    recorded = moreish.train(words, **options, diagnostics=True, log_every=5).history
    again = replay(moreish.train(words, **options))
    assert [line["step"] for line in again] == [line["step"] for line in recorded]
    for name in ("lr", "train", "layers", "tensors"):
        assert [line[name] for line in again] == [line[name] for line in recorded]


def test_a_counted_model_has_nothing_to_trace(words):
    with pytest.raises(InputError, match="an n-gram has no layers: train a net, as with --model mlp"):
        moreish.diagnose(moreish.train(words, "ngram", order=2))


def test_a_callback_sees_the_run_in_the_making(words):
    seen, recorded = [], []

    def look(at):
        recorded.append(at.record is not None)
        seen.append(json.dumps(record(trace_run(at.run))))

    moreish.train(words, **SMALL, steps=60, diagnostics=True, on_progress=look)
    assert any(recorded)
    assert len(set(seen)) == len(seen), "its weights are those of now"
