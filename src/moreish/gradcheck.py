"""The proof that the hand-derived gradients are right: each one against autograd, and against central differences.

For a model, the plan without fused kernels is walked forward and backward once, and every parameter's and every
buffer's gradient is compared, in the order in which the backward pass computes them: the first one that is wrong is
the one whose derivation to look at. The parameters' gradients by the fused kernels, which training runs, follow.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import numpy as np

from .layers import FUSED as FUSED_KINDS
from .layers.layout import Layout
from .layers.loss import stepwise, stepwise_losses
from .layers.spec import DY, Y
from .models import MODELS, ModelConfig
from .tape import Tape
from .tape.compiled import walks

N_VOCAB, BATCH = 27, 120  # enough examples a character for the fused kernels to be planned
FUSED = " (fused)"
ENTRIES = 25  # of a tensor that are moved for central differences
STEP = 1e-5

# The largest |difference| / largest |reference| that a gradient may have, by float type and by what it is held against.
TOLERANCE = {
    ("float64", "autograd"): 1e-8,
    ("float64", "differences"): 1e-6,
    ("float32", "autograd"): 1e-3,
    ("float32", "differences"): 1e-3,
}


@dataclass(frozen=True)
class Check:
    """One gradient held against a reference.

    kind        parameter or intermediate; against: autograd or differences
    exact       equal to the last bit; approximate: equal to 1e-5 relative and 1e-8 absolute, element by element
    max_abs     largest |difference|; max_rel: that over the largest |reference|
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    against: str
    exact: bool
    approximate: bool
    max_abs: float
    max_rel: float
    ok: bool


@dataclass(frozen=True)
class _Gradient:
    """A hand-derived gradient, and the loss as a function of the tensor that it belongs to (float64)."""

    name: str
    kind: str
    gradient: np.ndarray
    tensor: np.ndarray
    loss: Callable[[], float]


def check_model(config: ModelConfig, *, seed: int = 1) -> list[Check]:
    """Check every gradient of a model over an alphabet of 26 letters, in float64 and float32.

    Weights are the model's own initial ones with noise, so that none is zero. Without PyTorch, references are central
    differences alone.
    """
    checks = []
    for dtype in (np.float64, np.float32):
        exact = {g.name: g for g in _hand_derived(config, np.float64, seed)}
        known = {}
        if find_spec("torch") is not None:
            from .autograd import gradients

            known = gradients(*_case(config, dtype, seed))
        for g in (*_hand_derived(config, dtype, seed), *_fused(config, dtype, seed)):
            tensor = g.name.removesuffix(FUSED)
            if known:
                checks.append(_compare(g, g.gradient, known[tensor], np.dtype(dtype).name, "autograd"))
            entries, slopes = _differences(exact[tensor], seed)
            checks.append(_compare(g, g.gradient.ravel()[entries], slopes, np.dtype(dtype).name, "differences"))
    return checks


def first_wrong(checks: list[Check]) -> Check | None:
    """The first check that fails, in the order of the backward pass."""
    return next((check for check in checks if not check.ok), None)


def as_json(results: dict[str, list[Check]]) -> dict:
    """The results for several models as plain dictionaries."""
    return {
        "models": {
            name: {"ok": first_wrong(c) is None, "tensors": [asdict(x) for x in c]} for name, c in results.items()
        }
    }


def _compare(g: _Gradient, ours: np.ndarray, reference: np.ndarray, dtype: str, against: str) -> Check:
    if ours.shape != reference.shape:
        raise ValueError(f"{g.name}: the gradient is {ours.shape}, its reference {reference.shape}")
    worst = float(np.abs(ours - reference).max())
    scale = float(np.abs(reference).max())
    relative = worst / scale if scale else float(worst > 0)
    return Check(
        g.name,
        g.kind,
        g.gradient.shape,
        dtype,
        against,
        exact=bool((ours == reference).all()),
        approximate=bool(np.allclose(ours, reference)),
        max_abs=worst,
        max_rel=relative,
        ok=bool(relative <= TOLERANCE[dtype, against]),
    )


def _case(config: ModelConfig, dtype: type, seed: int):
    """The layers, weights, contexts and targets that a model is checked with: the same for every float type."""
    generator = np.random.default_rng(seed)
    layers = config.layers(N_VOCAB)
    noise = 0.1 * generator.standard_normal(Layout(layers).size)
    params = (Layout(layers).initial(seed, np.float64) + noise).astype(dtype)
    contexts = generator.integers(0, N_VOCAB, (BATCH, config.context))
    return layers, params, contexts, generator.integers(0, N_VOCAB, BATCH)


def _hand_derived(config: ModelConfig, dtype: type, seed: int) -> Iterator[_Gradient]:
    """Every gradient of the unfused plan, in the order of the backward pass."""
    layers, params, contexts, targets = _case(config, dtype, seed)
    tape = Tape(layers, config.context, N_VOCAB, dtype)
    ready = tape.prepared(BATCH, fuse=False)
    ready.contexts[:], ready.targets[:] = contexts, targets
    forward, backward = walks(dtype)
    grads = np.zeros_like(params)
    for walk in (forward, backward):
        walk(*ready.walk, params, grads, ready.ints)
    (like, table, ops, arena), start = ready.walk, ready.ops[-1, Y]
    grads, after = grads.copy(), arena.copy()

    def loss_from(step: int) -> float:
        """The loss when the operations from `step` on are made again."""
        forward(like, table, ops[step:], arena, params, grads, ready.ints)
        return float(arena[start : start + BATCH].mean(dtype=np.float64))

    steps = [op for op in ready.plan.operations if op.row is not None]
    places = {id(op): n for n, op in enumerate(steps)}
    logits_step = len(steps) - 2
    logits = _buffer(after, steps[logits_step], Y).reshape(BATCH, N_VOCAB)
    chain = stepwise(logits, targets)
    losses = stepwise_losses(chain, targets)
    for name, (tensor, gradient) in chain.items():
        yield _Gradient(f"loss.{name}", "intermediate", gradient, tensor, losses[name])
    index = len(layers)
    for op in reversed(ready.plan.operations[:-1]):
        index -= 1
        if op.row is None:
            continue
        step = places[id(op)]
        name = f"{index}.{op.name.lower()}"
        gradient = _buffer(after, op, DY)
        yield _Gradient(f"{name}.out", "intermediate", gradient, _buffer(arena, op, Y), lambda n=step: loss_from(n + 1))
        for slot in op.slots:
            yield _Gradient(slot.name, "parameter", slot.view(grads), slot.view(params), lambda n=step: loss_from(n))


def _fused(config: ModelConfig, dtype: type, seed: int) -> Iterator[_Gradient]:
    """The parameters' gradients once more, by the fused kernels; nothing where the plan has none."""
    layers, params, contexts, targets = _case(config, dtype, seed)
    tape = Tape(layers, config.context, N_VOCAB, dtype)
    if not any(type(op.layer) in FUSED_KINDS.values() for op in tape.plan(BATCH).operations):
        return
    grads = tape.loss_and_grads(params, contexts, targets)[1]
    for slot in reversed(list(Layout(layers))):
        yield _Gradient(slot.name + FUSED, "parameter", slot.view(grads), slot.view(params), lambda: 0.0)


def _buffer(arena: np.ndarray, op, column: int) -> np.ndarray:
    shape = (BATCH, *op.out_shape)
    return arena[op.row[column] : op.row[column] + int(np.prod(shape))].reshape(shape)


def _differences(g: _Gradient, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of the loss by some entries of a tensor: which (n,), and the slopes (n,)."""
    generator = np.random.default_rng(seed)
    flat = g.tensor.reshape(-1)
    # Where the gradient is largest too: most entries of a table of embeddings are in no batch.
    largest = np.argsort(-np.abs(g.gradient.ravel()))[: ENTRIES // 2]
    entries = np.union1d(largest, generator.integers(0, flat.size, ENTRIES))
    slopes = np.zeros(len(entries))
    for i, entry in enumerate(entries):
        before = flat[entry]
        h = STEP * max(0.1, abs(float(before)))
        # (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h: its error falls with h**4, which small probabilities need.
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            flat[entry] = before + steps * h
            slopes[i] += weight * g.loss() / (12 * h)
        flat[entry] = before
    g.loss()
    return entries, slopes


def check_models(names: list[str]) -> dict[str, list[Check]]:
    """Check models by name, in their default sizes."""
    return {name: check_model(MODELS[name]()) for name in names}
