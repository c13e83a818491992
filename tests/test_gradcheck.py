"""gradcheck passes correct gradients, and of wrong ones names the first."""

import ctypes
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
from networks import NETWORKS, WITH_EXAMPLE, T, V, always_fuse

from moreish.analysis.gradcheck import CHECKED_EXAMPLES, check_layers, check_model, first_wrong
from moreish.cli import run
from moreish.engine.tape import Tape
from moreish.layers import FUSED, LAYERS, SoftCrossEntropy, leaves
from moreish.layers.maths import kernel
from moreish.layers.spec import DX, DY, P0, P1, P2, P3
from moreish.models import NETS
from moreish.models.transformer import TransformerConfig

SMALL = {"n_embd": 6, "n_hidden": 12, "n_head": 2, "n_layer": 1}  # the same kernels and derivations as at full width


@pytest.mark.parametrize("name", NETS)
def test_every_gradient_of_every_model_holds(name):
    config = NETS[name](**{option: size for option, size in SMALL.items() if hasattr(NETS[name], option)})
    checks = check_model(config)
    assert first_wrong(checks) is None
    layers = [layer for _, layer in leaves(config.layers(27))]
    parameters = {c.name for c in checks if c.kind == "parameter"}
    assert len({name.removesuffix(" (fused)") for name in parameters}) == sum(
        parameter.trained for layer in layers for parameter in layer.parameters()
    )
    assert {"loss.logprobs", "loss.probs", "loss.counts_sum", "loss.counts", "loss.shifted"} < {c.name for c in checks}
    for check in checks:
        assert check.max_rel <= {"float64": 1e-6, "float32": 1e-3}[check.dtype]
    assert {(c.dtype, c.against) for c in checks} == {
        (d, a) for d in ("float64", "float32") for a in ("autograd", "differences")
    }


def results(kind: type) -> list[tuple[str, int]]:
    """Results of a backward pass, each with its column: the gradients by the trained parameters and by the input."""
    row, kernels = LAYERS[kind].example.parameters(), LAYERS[kind]
    found = [(p.name, column) for p, column in zip(row, (P0, P1, P2, P3), strict=False) if p.trained]
    return found if kernels.reads == "contexts" else [*found, ("x", DX)]


# Only a plan for training ends with soft targets, and the check's plan has plain ones.
CHECKED = [kind for kind in WITH_EXAMPLE if LAYERS[kind].backward and kind is not SoftCrossEntropy]
MISTAKES = [(kind, *result) for kind in CHECKED for result in results(kind)]


class Mistake(NamedTuple):
    """A factor by which a backward pass multiplies `size` numbers from `start` on, where `column` points."""

    column: int = 0
    start: int = 0
    size: int = 0
    factor: float = 1.0


mistake = Mistake()
# Compiled code asks for the mistake while it runs: one kernel of a kind makes all of them.
current = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(lambda field: mistake[field])


@cache
def mistaken(kind: type) -> Callable[..., None]:
    """Return the backward pass of a kind, followed by the current mistake."""
    backward = LAYERS[kind].backward
    assert backward is not None
    right = kernel(backward)

    def wrong(row, arena, params, grads, ints):
        right(row, arena, params, grads, ints)
        column, start, size, factor = int(current(0)), int(current(1)), int(current(2)), current(3)
        into = arena if column == DX else grads
        if column == DX or row[column] == start:
            for i in range(row[column], row[column] + size):
                into[i] *= factor

    return wrong


@pytest.mark.filterwarnings("ignore:Cannot cache compiled function")  # a wrong kernel must not be cached
@pytest.mark.parametrize(("kind", "what", "column"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("factor", [-1.0, 1.01])
def test_a_broken_backward_is_seen_and_named_first(kind, what, column, factor, monkeypatch):
    """Each result of each kernel has a wrong sign, or is off by 1%."""
    always_fuse(monkeypatch)
    layers = NETWORKS[kind.__name__]
    fuse = kind in FUSED.values()
    operations = [op for op in Tape(layers, T, V).plan(CHECKED_EXAMPLES, fuse=fuse).operations if op.row is not None]
    place = max(n for n, op in enumerate(operations) if type(op.layer) is kind)
    op = operations[place]
    assert op.row is not None
    if what == "x":
        before = next(o for o in reversed(operations) if o.row is not None and o.row[DY] == op.row[DX])
        size, first = CHECKED_EXAMPLES * math.prod(op.in_shape), f"{before.name}.out"
    else:
        slot = next(s for s in op.slots if s.parameter.name == what)
        size, first = slot.parameter.size, slot.name + " (fused)" * fuse
    monkeypatch.setattr(sys.modules[__name__], "mistake", Mistake(column, int(op.row[column]), size, factor))
    monkeypatch.setitem(LAYERS, kind, dataclasses.replace(LAYERS[kind], backward=mistaken(kind)))
    bad = first_wrong(check_layers(layers, T, V))
    assert bad is not None
    assert bad.name == first


def test_the_command(capsys):
    assert run(["gradcheck", "bigram", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]["bigram"]
    assert found["ok"]
    keys = {"name", "kind", "shape", "dtype", "against", "exact", "approximate", "max_abs", "max_rel", "ok"}
    assert all(set(tensor) == keys for tensor in found["tensors"])
    assert run(["gradcheck", "mlp"]) == 0
    out = capsys.readouterr().out
    assert "2.linear.W" in out
    assert out.index("mlp in float64") < out.index("mlp in float32")
    assert {line.split()[-4] for line in out.splitlines() if line.endswith("ok")} <= {"exactly", "nearly", "no"}
    assert "WRONG" not in out
    assert run(["gradcheck", "mpl"]) == 2
    assert run(["gradcheck", "ngram"]) == 2, "it has no gradients"


def test_the_weights_of_attention_are_checked():
    checks = check_model(TransformerConfig(n_layer=1, n_head=2, n_embd=8, dropout=0.1))
    assert first_wrong(checks) is None
    steps = [c.name.rpartition(".")[2] for c in checks if c.name.startswith("3.2.causalselfattention")]
    assert list(dict.fromkeys(steps)) == ["out", "weights", "scores", "v", "k", "q"], (
        "in the order of the backward pass"
    )
    shapes = {c.name: c.shape for c in checks}
    assert shapes["3.2.causalselfattention.weights"][1:] == (5, 2), "a weight for each row before, and each head"


def test_without_pytorch_it_checks_against_differences_and_says_so():
    code = (
        "import sys, importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else found(name, *rest)\n"
        "from moreish.cli import run; sys.exit(run(['gradcheck', 'bigram']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "differences" in done.stdout
    assert "autograd" not in done.stdout
    assert "without PyTorch" in done.stderr
