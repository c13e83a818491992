"""Runs that hold numbers which no training writes: they are refused in one line, and nothing loops for ever."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import moreish
from moreish import InputError
from moreish.training import tensors as of_files
from moreish.training.folder import CONFIG, HISTORY, MODEL

KINDS = ("ngram", "labels", "mlp", "batch norm", "gru", "transformer", "mixture", "by context", "distilled")


@pytest.fixture(scope="module")
def runs(words, tmp_path_factory) -> Callable[[str], Path]:
    """A function from a kind of model to the folder of a small run."""
    folder = tmp_path_factory.mktemp("kinds")
    steps: dict[str, Any] = {"steps": 20, "batch_size": 16, "n_hidden": 8, "n_embd": 4}
    of_mlp = moreish.train(words, "mlp", **steps, out=folder / "mlp")
    of_ngram = moreish.train(words, "ngram", out=folder / "ngram")
    makers = {
        "labels": lambda: moreish.train(words, "ngram", labels=[word[0] for word in words]),
        "batch norm": lambda: moreish.train(words, "mlp", batch_norm=True, **steps),
        "gru": lambda: moreish.train(words, "gru", **steps),
        "transformer": lambda: moreish.train(words, "transformer", steps=20, n_layer=1, n_head=2, n_embd=8),
        "mixture": lambda: moreish.mix([of_mlp, of_ngram]),
        "by context": lambda: moreish.mix([of_mlp, of_ngram], by_context=True),
        "distilled": lambda: moreish.distill(of_ngram, model="gru", **steps),
    }

    def folder_of(kind: str) -> Path:
        if not (folder / kind).exists():
            makers[kind]().save(folder / kind)
        return folder / kind

    return folder_of


@pytest.fixture(params=["read", "mapped"])
def stored(request, monkeypatch) -> None:
    """Read the weights of all runs, or map them into memory."""
    monkeypatch.setattr(of_files, "MAPPED_FROM", 0 if request.param == "mapped" else 1 << 62)


def is_number(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("stored")
def test_a_number_that_is_not_finite_is_refused(runs, tmp_path, kind, value):
    tensors = load_tensors((runs(kind) / MODEL).read_bytes())
    for name in filter(lambda name: is_number(tensors[name]), tensors):
        if name.rpartition(".")[2] in ("strengths", "gate_gain"):  # of the fit, not of the model
            continue
        copy = shutil.copytree(runs(kind), tmp_path / name)
        changed = tensors[name].copy()
        changed.flat[changed.size // 2] = value
        (copy / MODEL).write_bytes(save_tensors({**tensors, name: changed}))
        with pytest.raises(InputError, match=r"model.safetensors: damaged or incomplete \(.*\)"):
            moreish.load(copy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("stored")
def test_an_array_of_another_shape_or_type_is_refused(runs, tmp_path, kind):
    tensors = load_tensors((runs(kind) / MODEL).read_bytes())
    for name, array in tensors.items():
        if name.rpartition(".")[2] in ("strengths", "gate_gain"):
            continue
        others = [other for other in (array[:1], array[None], array[..., None]) if other.shape != array.shape]
        if not name.startswith(("weights", "gate")):  # any floats
            others.append(array.astype(np.float64 if array.dtype == np.float32 else np.float32))
        for number, other in enumerate(others):
            copy = shutil.copytree(runs(kind), tmp_path / f"{name} {number}")
            (copy / MODEL).write_bytes(save_tensors({**tensors, name: np.ascontiguousarray(other)}))
            with pytest.raises(InputError, match=r"model.safetensors: damaged or incomplete"):
                moreish.load(copy)


def test_a_seed_of_the_split_that_is_no_number_is_refused(runs, tmp_path):
    copy = shutil.copytree(runs("ngram"), tmp_path / "copy")
    config = json.loads((copy / CONFIG).read_text("utf-8"))
    config["split"]["seed"] = [42]
    (copy / CONFIG).write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config.json: damaged or incomplete \(the seed of its split is \[42\]\)"):
        moreish.load(copy)


def test_contexts_that_are_longer_than_the_order_are_refused(runs, tmp_path):
    """The kernels have room for `order` contexts on the way to the empty one."""
    tensors = dict(load_tensors((runs("ngram") / MODEL).read_bytes()))
    tensors["parent"] = np.maximum(np.arange(len(tensors["parent"]), dtype=np.int32) - 1, 0)
    copy = shutil.copytree(runs("ngram"), tmp_path / "copy")
    (copy / MODEL).write_bytes(save_tensors(tensors))
    with pytest.raises(InputError, match="longer than its order"):
        moreish.load(copy)


def test_a_negative_variance_is_refused(runs, tmp_path):
    tensors = load_tensors((runs("batch norm") / MODEL).read_bytes())
    (name,) = (name for name in tensors if name.endswith("running_var"))
    copy = shutil.copytree(runs("batch norm"), tmp_path / "copy")
    (copy / MODEL).write_bytes(save_tensors({**tensors, name: -tensors[name]}))
    with pytest.raises(InputError, match="negative variance"):
        moreish.load(copy)


@pytest.mark.parametrize("kind", ["mlp", "gru", "transformer"])
@pytest.mark.parametrize("value", [np.nan, 3e38])
def test_every_use_of_a_model_that_overflows_says_so(runs, kind, value):
    model = moreish.load(runs(kind)).model
    model.params[:] = np.where(np.arange(model.params.size) % 2, value, -value)
    uses = (
        lambda: model.sample(5),
        lambda: model.sample(5, top_p=0.5),
        lambda: model.sample(5, pattern="b?*a"),
        lambda: model.score("bada"),
        lambda: model.next("ba"),
        lambda: model.most_likely(3),
        lambda: moreish.evaluate(model, moreish.load(runs(kind)).corpus),
        lambda: moreish.novelty(moreish.Run(model, moreish.load(runs(kind)).corpus, moreish.load(runs(kind)).options)),
    )
    for use in uses:
        with pytest.raises(InputError, match="not finite"):
            use()


@pytest.mark.parametrize("line", [{"step": 1, "val": "low"}, {"step": 1, "seconds": [1]}, {"step": 1, "lr": {}}])
def test_a_log_with_other_values_is_refused(runs, tmp_path, line):
    copy = shutil.copytree(runs("mlp"), tmp_path / "copy")
    (copy / HISTORY).write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match="history.jsonl: damaged or incomplete"):
        moreish.load(copy)


def test_a_word_that_would_take_hours_is_refused(runs):
    """Attention takes the square of a word's length."""
    model = moreish.load(runs("transformer")).model
    assert len(model.score("ba" * 2048).per_char) == 4097
    with pytest.raises(InputError, match="a word of 4,097 characters is too long .* give words of at most 4,096"):
        model.score("b" * 4097)
    assert moreish.load(runs("gru")).model.score("ba" * 50_000).nll > 0
