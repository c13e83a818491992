"""Check of the hand-derived gradients against autograd and against central differences.

For each model, the plan without fused kernels runs forward and backward once. The gradients of all parameters, buffers
and small steps inside layers are compared in the order in which the backward pass computes them, so the first wrong one
shows which derivation to look at. Then the parameters' gradients by the fused kernels, which training uses, are
compared too.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from ..engine.tape import Operation
from ..engine.tape.compile import walks
from ..engine.tape.fuse import fused
from ..engine.words import WordBatches
from ..layers import FUSED, LAYERS, LabelledEmbedding, Layer
from ..layers.layout import Layout
from ..layers.spec import DY, Y
from ..models import NETS, NetConfig, make_config
from .gradcase import Case, central_slope

N_VOCAB, CHECKED_EXAMPLES = 27, 120  # enough examples per character for the plan to use fused kernels
CHECKED_LENGTH, CHECKED_LETTERS = 4, 8  # characters of a word, and letters, for layers that go along words
FUSED_SUFFIX = " (fused)"
RANDOM_ENTRIES = 16  # entries of a tensor to take central differences of, chosen at random;
LARGEST_ENTRIES = 8  # and those with the largest gradients
MANY_OPERATIONS = 20  # of a net; if there are more, fewer entries are checked

# Largest allowed max |difference| / max |reference|, by float type and by reference.
TOLERANCES = {
    ("float64", "autograd"): 1e-8,
    ("float64", "differences"): 1e-6,
    ("float32", "autograd"): 1e-3,
    ("float32", "differences"): 1e-3,
}


@dataclass(frozen=True)
class Check:
    """Comparison of one gradient with one reference.

    kind            parameter or intermediate
    against         autograd or differences
    exact           True if all entries are equal to the last bit
    approximate     True if all entries are equal to within 1e-5 relative plus 1e-8 absolute
    max_abs         max |difference|
    max_rel         max_abs / max |reference|
    ok              True if max_rel is within TOLERANCES
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
    """A hand-derived gradient, its tensor, and a function that recomputes the loss from the tensor as it now is."""

    name: str
    kind: str
    gradient: np.ndarray
    tensor: np.ndarray
    loss: Callable[[], float]


def check_model(config: NetConfig, *, seed: int = 1) -> list[Check]:
    """Check every gradient of a model over an alphabet of 26 letters: see `check_layers`."""
    n_places = 3 if config.whole_words else 1
    return check_layers(config.layers(N_VOCAB), config.context, N_VOCAB, n_places=n_places, seed=seed)


def check_layers(
    layers: list[Layer], context: int | None, n_vocab: int, *, n_places: int = 1, seed: int = 1
) -> list[Check]:
    """Check every gradient of layers from contexts (B, context) to logits (B, n_vocab), in float64 and float32.

    context     its length; None for layers that go along whole words

    The weights are initial ones plus noise, so that none is zero. Without PyTorch, central differences are the only
    reference. These are taken of some entries of each tensor, of fewer if the net is deep.
    """
    checks, case = [], _case(layers, context, n_vocab, n_places, seed)
    with np.errstate(invalid="ignore"):  # a step may leave the domain of a logarithm; the next one is smaller
        share = min(1.0, MANY_OPERATIONS / len(case.prepared().plan.operations))
        differences = {g.name: _differences(g, share, seed) for g in _hand_derived(case)}
    for dtype in (np.float64, np.float32):
        typed = case.of_type(dtype)
        known = typed.by_autograd()
        for g in (*_hand_derived(typed), *_fused(typed)):
            tensor = g.name.removesuffix(FUSED_SUFFIX)
            if known:
                checks.append(_compare(g, g.gradient, known[tensor], np.dtype(dtype).name, "autograd"))
            entries, slopes = differences[tensor]
            checks.append(_compare(g, g.gradient.ravel()[entries], slopes, np.dtype(dtype).name, "differences"))
    return checks


def first_wrong(checks: list[Check]) -> Check | None:
    """The first check that fails, in the order of the backward pass."""
    return next((check for check in checks if not check.ok), None)


def as_json(results: dict[str, list[Check]]) -> dict[str, Any]:
    """Results for several models as plain dictionaries."""
    return {
        "models": {
            name: {"ok": first_wrong(c) is None, "tensors": [asdict(x) for x in c]} for name, c in results.items()
        }
    }


def _compare(g: _Gradient, ours: np.ndarray, reference: np.ndarray, dtype: str, against: str) -> Check:
    if ours.shape != reference.shape:
        raise ValueError(
            f"{g.name}: the gradient has shape {ours.shape}, but its reference has shape {reference.shape}"
        )
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
        ok=bool(relative <= TOLERANCES[dtype, against]),
    )


def _case(layers: list[Layer], context: int | None, n_vocab: int, n_places: int, seed: int) -> Case:
    generator = np.random.default_rng(seed)
    layout = Layout(layers)
    params = layout.initial(seed, np.float64)
    params[: layout.n_trained] += 0.1 * generator.standard_normal(layout.n_trained)
    if context is None:
        lengths = np.append(generator.integers(1, CHECKED_LENGTH + 1, CHECKED_EXAMPLES), CHECKED_LENGTH)
        # Few letters, so that words have beginnings in common; the first word is there twice.
        letters = min(CHECKED_LETTERS, n_vocab - 1)
        words = [np.append(generator.integers(1, letters + 1, n), 0) for n in lengths]
        stream = np.concatenate([[0], words[0], *words]).astype(np.int32)
        first, n = layers[0], len(words) + 1
        labels = generator.integers(0, first.n_labels, n) if isinstance(first, LabelledEmbedding) else None
        batches = WordBatches.drawn(stream, n, seed, labels)
        return Case(layers, 1, n_vocab, params, batches.packed(0))
    contexts = generator.integers(0, n_vocab, (CHECKED_EXAMPLES, context - 1 + n_places))
    targets = generator.integers(0, n_vocab, (CHECKED_EXAMPLES, n_places))
    return Case(layers, context, n_vocab, params, (contexts, targets, generator.integers(1, 4, targets.shape)))


def _hand_derived(case: Case) -> Iterator[_Gradient]:
    """Yield every gradient of the unfused plan, in the order of the backward pass."""
    params, (of_rows, targets, counts) = case.params.copy(), case.pairs
    ready = case.prepared()
    forward, backward = walks(params.dtype.type)
    grads = np.zeros(ready.plan.layout.n_trained, params.dtype)
    for walk in (forward, backward):
        walk(ready.program, params, grads)
    program = ready.program
    grads = grads.copy()

    def loss_from(step: int) -> float:
        """Run the operations from `step` on again, and return the loss."""
        forward(program._replace(ops=program.ops[step:]), params, grads)
        return ready.loss()

    step = len(program.ops)
    for op in reversed(ready.plan.operations):
        after, step = step, step - len(op.rows)
        if op.row is None:
            continue
        is_loss = op is ready.plan.operations[-1]
        name = "loss" if is_loss else op.name
        y = ready.buffer(op, Y)
        if is_loss:
            dy = (counts / counts.sum()).astype(params.dtype).reshape(y.shape)
        else:
            dy = ready.buffer(op, DY).copy()
            yield _Gradient(f"{name}.out", "intermediate", dy, y, lambda n=after: loss_from(n))
        others: list[Any] = [targets] if is_loss else [s.view(params) for s in op.slots if s.parameter.trained]
        if (steps := LAYERS[type(op.layer)].steps) is not None:
            x = ready.input_of(op).reshape(-1, op.in_shape[-1])
            x = x[of_rows] if is_loss else x
            if LAYERS[type(op.layer)].levels:
                others = [*steps.along(ready.levels, op.layer, len(x)), *others]
            yield from _in_steps(name, op, x, y, dy, others, lambda n=after: loss_from(n))
        for slot in op.slots:
            if slot.parameter.trained:
                yield _Gradient(
                    slot.name, "parameter", slot.view(grads), slot.view(params), lambda n=step: loss_from(n)
                )


def _in_steps(
    name: str,
    op: Operation,
    x: np.ndarray,
    y: np.ndarray,
    dy: np.ndarray,
    others: list[Any],
    loss_after: Callable[[], float],
) -> Iterator[_Gradient]:
    """Yield the gradients inside an operation that has small steps, in the order of its backward pass."""
    steps = LAYERS[type(op.layer)].steps
    assert steps is not None
    tensors: dict[str, np.ndarray] = {}  # contiguous, so that differences can move each entry in its flat view
    steps.forward(lambda step, tensor: tensors.setdefault(step, np.ascontiguousarray(tensor)), np, x, *others)
    dy = dy.reshape(-1, *dy.shape[len(op.in_shape) :])
    for step, gradient in steps.backward(tensors, dy, *others).items():

        def loss(step: str = step) -> float:
            """Recompute the loss with this tensor as it now is."""
            result = steps.forward(lambda s, tensor: tensors[step] if s == step else tensor, np, x, *others)
            kept = y.copy()
            y[...] = result.reshape(y.shape)
            found = loss_after()
            y[...] = kept
            return found

        yield _Gradient(f"{name}.{step}", "intermediate", gradient, tensors[step], loss)


def _fused(case: Case) -> Iterator[_Gradient]:
    """Yield the parameters' gradients by the fused kernels; nothing if the plan has none."""
    if not any(type(layer) in FUSED.values() for layer, _ in fused(case.layers, *case.batch[0].shape)):
        return
    grads = case.gradients(fuse=True)
    for slot in reversed(list(Layout(case.layers))):
        if slot.parameter.trained:
            yield _Gradient(
                slot.name + FUSED_SUFFIX, "parameter", slot.view(grads), slot.view(case.params), lambda: 0.0
            )


def _differences(g: _Gradient, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of the loss at some entries of a tensor: their flat indices (n,), and the slopes (n,).

    share   of the usual number of entries
    """
    generator = np.random.default_rng(seed)
    flat = g.tensor.reshape(-1)
    # Random entries are not enough: most rows of an embedding table are not used by the batch.
    n_random, n_largest = (max(2, round(share * n)) for n in (RANDOM_ENTRIES, LARGEST_ENTRIES))
    largest = np.argsort(-np.abs(g.gradient.ravel()))[:n_largest]
    entries = np.union1d(largest, generator.integers(0, flat.size, n_random))
    slopes = np.array([central_slope(flat, entry, g.loss) for entry in entries.tolist()])
    g.loss()
    return entries, slopes


def check_models(names: list[str], options: dict[str, Any]) -> Iterator[tuple[str, list[Check]]]:
    """Check models by name, with these of their options; yield the checks of one after the other."""
    for name in names:
        yield name, check_model(cast(NetConfig, make_config(name, options, NETS)))
