"""Checks for lesson 3: how weights start, what goes through a deep net, and BatchNorm."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..analysis.diagnosis import diagnose
from ..corpus import Corpus
from ..training.train import train
from .verdict import NoAnswer, near, verdict

EMPTY = NoAnswer("Put your answer in the place of the dots.")
TENSORS = ("C", "W1", "b1", "W2", "b2")
GAIN_TOLERANCE = 0.01  # relative
SAMPLES = 400_000
DEPTH = 50  # layers over which a wrong gain is shown

# The nets of the last exercise: how each is trained, and what ails it.
PATIENTS: dict[str, tuple[dict[str, Any], str]] = {
    "ada": ({"init": "small"}, "weights too small"),
    "bea": ({"lr": 0.003}, "rate too low"),
    "cas": ({}, "healthy"),
    "dov": ({"activation": "relu", "optimizer": "adamw", "lr": 0.1}, "dead units"),
    "eli": ({"init": "naive"}, "weights too large"),
}
TROUBLES = ("healthy", "weights too small", "weights too large", "rate too low", "dead units")
LOOK = {  # at what, by what ails a net
    "healthy": "Do any of its columns leave the healthy range?",
    "weights too small": "Follow its outputs and gradients from layer to layer, at the start.",
    "weights too large": "Look at its first loss, and at what its layers put out at the start.",
    "rate too low": "Look at what a step does to its weights.",
    "dead units": "Compare its layers at the end with those at the start.",
}


def check_moving(answer: Iterable[str] | None, zeros: Iterable[str]) -> bool | None:
    """Whether `answer` names the tensors whose first gradient is not zero, in an mlp in which `zeros` start at zero.

    The mlp is h = tanh(C[X] @ W1 + b1), logits = h @ W2 + b2; what is not in `zeros` starts at random.
    """
    started = tuple(zeros)
    what = f"what moves if {', '.join(started)} start at zero"
    if answer is None or answer is ...:
        return verdict(what, EMPTY)
    named = {answer} if isinstance(answer, str) else set(answer)
    if named - set(TENSORS):
        return verdict(what, f"The tensors are {', '.join(TENSORS)}; there is no {min(named - set(TENSORS))}.")
    moving = {name for name, gradient in _first_gradients(started).items() if np.any(gradient != 0)}
    if named - moving:
        return verdict(what, "One that you name has a gradient of zero: multiply out its backward line.")
    if moving - named:
        return verdict(what, "One is missing: not every product in the backward pass has a factor of zero.")
    return verdict(what, None)


def _first_gradients(zeros: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The gradients of a small mlp at its first step, by hand."""
    generator = np.random.default_rng(1)
    V, C, H, B = 7, 3, 5, 16
    shapes = {"C": (V, C), "W1": (C, H), "b1": (H,), "W2": (H, V), "b2": (V,)}
    p = {k: np.zeros(shape) if k in zeros else generator.standard_normal(shape) for k, shape in shapes.items()}
    X, Y = generator.integers(V, size=(2, B))
    x = p["C"][X]
    h = np.tanh(x @ p["W1"] + p["b1"])
    e = np.exp(h @ p["W2"] + p["b2"])
    dlogits = (e / e.sum(1, keepdims=True) - np.eye(V)[Y]) / B
    dhpre = (dlogits @ p["W2"].T) * (1 - h**2)
    dC = np.zeros((V, C))
    np.add.at(dC, X, dhpre @ p["W1"].T)
    return {"C": dC, "W1": x.T @ dhpre, "b1": dhpre.sum(0), "W2": h.T @ dlogits, "b2": dlogits.sum(0)}


def check_gain(answer: float | None, activation: Callable[[Any], Any], name: str = "the gain") -> bool | None:
    """Whether Linear layers with this gain, an activation after each, keep the scale of what goes through.

    activation takes a torch tensor and returns one, element by element, with f(k x) = k f(x) for positive k.
    """
    if answer is None or answer is ...:
        return verdict(name, EMPTY)
    import torch

    z = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kept = float(answer) * float(activation(z).square().mean().sqrt())
    if abs(kept - 1) <= GAIN_TOLERANCE:
        return verdict(name, None)
    if kept <= 0:
        return verdict(name, f"{answer:g} lets nothing through with its sign: a gain is above zero.")
    fate = "shrinks" if kept < 1 else "grows"
    times = math.exp(abs(DEPTH * math.log(kept)))
    return verdict(name, f"With {answer:.4g} the signal {fate} about {times:.1g} times over {DEPTH} layers.")


def check_bound(answer: float | None, fan_in: int, gain: float) -> bool | None:
    """Whether `answer` is the bound a of U(-a, a) that gives weights the standard deviation of Kaiming's rule."""
    what = "the bound"
    if answer is None or answer is ...:
        return verdict(what, EMPTY)
    wanted = gain * math.sqrt(3 / fan_in)
    hint = "Draw a million numbers between -a and a, and compare their std with gain / sqrt(fan_in)."
    return near(what, answer, wanted, 0.005 * wanted, hint)


def check_folded(folded: Any, net: Callable[[Any], Any], x: Any) -> bool | None:
    """Whether `folded` gives what `net`, in eval mode, gives for x (B, C): a function of x, or (W, b) for x @ W + b."""
    what = "the folded layers"
    if folded is None or folded is ... or (isinstance(folded, tuple) and any(a is None or a is ... for a in folded)):
        return verdict(what, EMPTY)
    if isinstance(folded, tuple):
        W, b = folded
        if len(W) != x.shape[1]:
            return verdict(what, f"x @ W does not go with x {tuple(x.shape)} and W {tuple(W.shape)}.")
        if b.ndim != 1 or len(b) != W.shape[1]:
            return verdict(what, f"b {tuple(b.shape)} does not go with W {tuple(W.shape)}.")
        found = _array(x @ W + b)
    else:
        found = _array(folded(x))
    wanted = _array(net(x))
    if found.shape != wanted.shape:
        return verdict(what, f"They put out {found.shape}, and the net {wanted.shape}.")
    difference, scale = found - wanted, np.abs(wanted).max()
    if np.abs(difference).max() <= 1e-4 * scale:
        return verdict(what, None)
    off = f"Outputs differ by up to {np.abs(difference).max():.2g}"
    if np.ptp(difference, axis=0).max() <= 1e-4 * scale:
        return verdict(what, f"{off}, by the same for every example: W is right, and b is not.")
    if np.abs(found - found.mean(0) - (wanted - wanted.mean(0))).max() <= 0.05 * scale:
        return verdict(what, f"{off}, nearly the same for every example: is each scale exact, with eps in it?")
    return verdict(what, f"{off}: begin with W, by looking at how outputs change from one example to another.")


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value, np.float64)


def patients(corpus: Corpus, steps: int = 400) -> dict[str, dict[str, Any]]:
    """Five nets in numbers, by name, of which some are ill.

    first_loss      nats, before the first step
    start, end      of each tanh or relu layer, before the first step and after the last: std of its outputs, std of the
                    gradient there, saturated (a share) and dead (a share of its units)
    update          log10 of update:data of each weight matrix, the median over the steps
    """
    found = {}
    for name, (options, _) in PATIENTS.items():
        common = {"n_layer": 4, "n_hidden": 64, "steps": steps, "batch_size": 64, "optimizer": "sgd", "lr": 0.2}
        run = train(corpus, "mlp", **{**common, "keep": "last", "diagnostics": True, **options})
        told = diagnose(run)
        matrices = [row for row in told.tensors() if row["name"].endswith((".W", ".C"))]
        found[name] = {
            "first_loss": float(run.history[0]["train"]),
            "start": _hidden(told.start),
            "end": _hidden(told.end),
            "update": [math.log10(max(row["update"], 1e-12) / max(row["data"], 1e-12)) for row in matrices],
        }
    return found


def _hidden(state: dict[str, Any]) -> list[dict[str, float]]:
    """The activations of a record."""
    rows = [row for row in state["layers"] if "saturated" in row]
    return [
        {
            "std": row["std"],
            "gradient": row["gradient"],
            "saturated": row["saturated"],
            "dead": row["dead"] / row["units"],
        }
        for row in rows
    ]


def check_patients(answer: Mapping[str, str] | None) -> bool | None:
    """Whether `answer` says of each of the `patients` which of the TROUBLES it has."""
    what = "the patients"
    if answer is None or answer is ... or any(said is None or said is ... for said in answer.values()):
        return verdict(what, EMPTY)
    for name, said in answer.items():
        if name not in PATIENTS:
            return verdict(what, f"There is no {name} among {', '.join(PATIENTS)}.")
        if said not in TROUBLES:
            return verdict(what, f"{said!r} of {name} is none of: {', '.join(TROUBLES)}.")
    missing = [name for name in PATIENTS if name not in answer]
    if missing:
        return verdict(what, f"You say nothing of {', '.join(missing)}.")
    wrong = [name for name, (_, trouble) in PATIENTS.items() if answer[name] != trouble]
    if not wrong:
        return verdict(what, None)
    return verdict(
        what,
        f"{len(PATIENTS) - len(wrong)} of {len(PATIENTS)} are right; not {wrong[0]}. {LOOK[PATIENTS[wrong[0]][1]]}",
    )
