"""gradcheck passes what is right, and names first what is wrong."""

import dataclasses
import json
import subprocess
import sys

import pytest

from moreish.cli import run
from moreish.gradcheck import check_model, first_wrong
from moreish.layers import LAYERS, Embedding, Linear, LookupLinear, ReLU, SoftmaxCrossEntropy, Tanh
from moreish.layers.maths import kernel
from moreish.layers.spec import DX, P0, P1, P2, ROWS, S0, S1, S3
from moreish.models import MLP, MODELS
from moreish.tape import compiled


@pytest.mark.parametrize("name", MODELS)
def test_every_gradient_of_every_model_holds(name):
    config = MODELS[name]()
    checks = check_model(config)
    assert first_wrong(checks) is None
    layers = config.layers(27)
    parameters = {c.name for c in checks if c.kind == "parameter"}
    assert len({name.removesuffix(" (fused)") for name in parameters}) == sum(
        len(layer.parameters()) for layer in layers
    )
    assert {"loss.logprobs", "loss.probs", "loss.counts_sum", "loss.counts", "loss.shifted"} < {c.name for c in checks}
    for check in checks:
        assert check.max_rel <= {"float64": 1e-6, "float32": 1e-3}[check.dtype]
    assert {(c.dtype, c.against) for c in checks} == {
        (d, a) for d in ("float64", "float32") for a in ("autograd", "differences")
    }


# A backward pass broken on purpose, for each kernel: where its result stands, the columns whose product is its size, by
# what it is multiplied, and which gradient is then the first wrong one.
BROKEN = {
    "embedding: a wrong sign": (Embedding, P0, (S0, S1), -1.0, "0.embedding.C"),
    "linear: W half as large": (Linear, P0, (S0, S1), 0.5, "4.linear.W"),
    "linear: b a mean, not a sum": (Linear, P1, (S1,), 1 / 120, "4.linear.b"),
    "linear: x of a wrong sign": (Linear, DX, (ROWS, S0), -1.0, "3.tanh.out"),
    "tanh: off by a hundredth": (Tanh, DX, (ROWS, S0), 1.01, "2.linear.out"),
    "relu: a wrong sign": (ReLU, DX, (ROWS, S0), -1.0, "2.linear.out"),
    "loss: without 1/N": (SoftmaxCrossEntropy, DX, (ROWS, S0), 120.0, "4.linear.out"),
    "lookup: C of a wrong sign": (LookupLinear, P0, (S0, S1), -1.0, "0.embedding.C (fused)"),
    "lookup: b half as large": (LookupLinear, P2, (S3,), 0.5, "2.linear.b (fused)"),
}


def test_every_kernel_is_broken_here():
    assert {kind for kind, *_ in BROKEN.values()} == {kind for kind, kernels in LAYERS.items() if kernels.backward}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_backward_is_seen_and_named_first(mistake, monkeypatch):
    kind, column, size, factor, first = BROKEN[mistake]
    backward, of_params = LAYERS[kind].backward, column in (P0, P1, P2)
    assert backward is not None
    right = kernel(backward)

    def wrong(row, arena, params, grads, ints):
        right(row, arena, params, grads, ints)
        n = 1
        for c in size:
            n *= row[c]
        into = grads if of_params else arena
        for i in range(row[column], row[column] + n):
            into[i] *= factor

    monkeypatch.setattr(compiled, "cache_folder", lambda: None)  # what is wrong is not to be kept
    monkeypatch.setitem(LAYERS, kind, dataclasses.replace(LAYERS[kind], backward=wrong))
    config = MLP(block_size=2, n_embd=3, n_hidden=5, activation="relu" if kind is ReLU else "tanh")
    bad = first_wrong(check_model(config))
    assert bad is not None
    assert bad.name == first


def test_the_command(capsys):
    assert run(["gradcheck", "bigram-counts", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]["bigram-counts"]
    assert found["ok"]
    keys = {"name", "kind", "shape", "dtype", "against", "exact", "approximate", "max_abs", "max_rel", "ok"}
    assert all(set(tensor) == keys for tensor in found["tensors"])
    assert run(["gradcheck", "mlp"]) == 0
    out = capsys.readouterr().out
    assert "2.linear.W" in out
    assert "WRONG" not in out
    assert run(["gradcheck", "mpl"]) == 2


def test_without_pytorch_it_checks_against_differences_and_says_so():
    code = (
        "import sys, importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else found(name, *rest)\n"
        "from moreish.cli import run; sys.exit(run(['gradcheck', 'bigram-counts']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "differences" in done.stdout
    assert "autograd" not in done.stdout
    assert "without PyTorch" in done.stderr
