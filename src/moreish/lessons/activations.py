"""Checks for lesson 3: initial weights, signals in a deep net, and BatchNorm."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..analysis.diagnosis import diagnose
from ..corpus import Corpus
from ..training.train import train
from .feedback import NoAnswer, feedback, missing, number_feedback

PLACEHOLDER_LEFT = NoAnswer("Replace the dots with your answer.")
MLP_TENSORS = ("C", "W1", "b1", "W2", "b2")
GAIN_TOLERANCE = 0.01  # relative
GAIN_SAMPLES = 400_000
GAIN_LAYERS = 50  # a wrong gain is shown over this many layers

# The nets of the last exercise: their common training options; the further options and the diagnosis of each.
PATIENT_OPTIONS: dict[str, Any] = {
    "n_layer": 4,
    "n_hidden": 64,
    "batch_size": 64,
    "optimizer": "sgd",
    "lr": 0.2,
    "keep": "last",
    "diagnostics": True,
}
PATIENTS: dict[str, tuple[dict[str, Any], str]] = {
    "ada": ({"init": "small"}, "weights too small"),
    "bea": ({"lr": 0.003}, "rate too low"),
    "cas": ({}, "healthy"),
    "dov": ({"activation": "relu", "optimizer": "adamw", "lr": 0.1}, "dead units"),
    "eli": ({"init": "naive"}, "weights too large"),
}
TROUBLES = ("healthy", "weights too small", "weights too large", "rate too low", "dead units")
HINTS = {  # by diagnosis
    "healthy": "Do any of its columns leave the healthy range?",
    "weights too small": "Follow its outputs and gradients from layer to layer, at the start.",
    "weights too large": "Look at its first loss, and at the outputs of its layers at the start.",
    "rate too low": "Look at how much a step changes its weights.",
    "dead units": "Compare its layers at the end with those at the start.",
}


def check_moving(answer: Any, zeros: Iterable[str]) -> bool | None:
    """Check that `answer` names the tensors whose gradient is not zero at the first step.

    The net is h = tanh(C[X] @ W1 + b1), logits = h @ W2 + b2. The tensors in `zeros` start at zero, others at random.
    """
    started = tuple(zeros)
    exercise = f"nonzero gradients if {', '.join(started)} start at zero"
    if missing(answer):
        return feedback(exercise, PLACEHOLDER_LEFT)
    named = {answer} if isinstance(answer, str) else set(answer)
    if named - set(MLP_TENSORS):
        return feedback(
            exercise, f"The tensors are {', '.join(MLP_TENSORS)}; there is no {min(named - set(MLP_TENSORS))}."
        )
    moving = {name for name, gradient in _first_gradients(started).items() if np.any(gradient != 0)}
    if named - moving:
        return feedback(exercise, "One of these has a gradient of zero: work out its line of the backward pass.")
    if moving - named:
        return feedback(exercise, "One is missing: not every product in the backward pass has a factor of zero.")
    return feedback(exercise, None)


def _first_gradients(zeros: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Gradients of a small net at its first step, by hand."""
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


def check_gain(answer: Any, activation: Callable[[Any], Any], name: str = "the gain") -> bool | None:
    """Check that a stack of Linear layers with this gain, each followed by the activation, keeps the signal's scale.

    activation maps a torch tensor element by element, with f(k x) = k f(x) for positive k.
    """
    if missing(answer):
        return feedback(name, PLACEHOLDER_LEFT)
    import torch

    z = torch.randn(GAIN_SAMPLES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kept = float(answer) * float(activation(z).square().mean().sqrt())
    if abs(kept - 1) <= GAIN_TOLERANCE:
        return feedback(name, None)
    if kept <= 0:
        return feedback(name, f"The gain is {answer:g}, and must be above zero.")
    fate = "shrinks" if kept < 1 else "grows"
    factor = math.exp(abs(GAIN_LAYERS * math.log(kept)))
    return feedback(
        name, f"With {answer:.4g} the signal {fate} by a factor of about {factor:.1g} over {GAIN_LAYERS} layers."
    )


def check_bound(answer: Any, fan_in: int, gain: float) -> bool | None:
    """Check the bound a with which U(-a, a) has the standard deviation of Kaiming initialisation."""
    exercise = "the bound"
    if missing(answer):
        return feedback(exercise, PLACEHOLDER_LEFT)
    wanted = gain * math.sqrt(3 / fan_in)
    hint = "Draw a million numbers between -a and a, and compare their std with gain / sqrt(fan_in)."
    return number_feedback(exercise, answer, wanted, 0.005 * wanted, hint)


def check_folded(folded: Any, net: Callable[[Any], Any], x: Any) -> bool | None:
    """Check that `folded` gives the output of `net` in eval mode for x (B, C).

    folded is a function of x, or (W, b) for x @ W + b.
    """
    exercise = "the folded layers"
    if missing(folded) or (isinstance(folded, tuple) and any(map(missing, folded))):
        return feedback(exercise, PLACEHOLDER_LEFT)
    if isinstance(folded, tuple):
        W, b = folded
        if len(W) != x.shape[1]:
            return feedback(exercise, f"x @ W is not defined for x {tuple(x.shape)} and W {tuple(W.shape)}.")
        if b.ndim != 1 or len(b) != W.shape[1]:
            return feedback(exercise, f"b {tuple(b.shape)} does not fit W {tuple(W.shape)}.")
        found = _array(x @ W + b)
    else:
        found = _array(folded(x))
    wanted = _array(net(x))
    if found.shape != wanted.shape:
        return feedback(exercise, f"Their output has the shape {found.shape}, and the net's has {wanted.shape}.")
    difference, scale = found - wanted, np.abs(wanted).max()
    if np.abs(difference).max() <= 1e-4 * scale:
        return feedback(exercise, None)
    off = f"Outputs differ by up to {np.abs(difference).max():.2g}"
    if np.ptp(difference, axis=0).max() <= 1e-4 * scale:
        return feedback(exercise, f"{off}, by the same amount for every example: W is right, but b is not.")
    if np.abs(found - found.mean(0) - (wanted - wanted.mean(0))).max() <= 0.05 * scale:
        return feedback(exercise, f"{off}, nearly the same for every example: is each scale exact, including eps?")
    return feedback(exercise, f"{off}. Begin with W: compare how outputs change from one example to the next.")


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value, np.float64)


def patients(corpus: Corpus, steps: int = 400) -> dict[str, dict[str, Any]]:
    """Train the five nets of the diagnosis exercise; return measurements of each, by name.

    first_loss      nats, before the first step
    start, end      for each tanh or relu layer, before the first step and after the last: std of its outputs (std) and
                    of their gradient (gradient), fraction of outputs saturated, fraction of units dead
    update          log10 of the update-to-weight ratio of each weight matrix, the median over the steps
    """
    found = {}
    for name, (options, _) in PATIENTS.items():
        run = train(corpus, "mlp", steps=steps, progress=False, **{**PATIENT_OPTIONS, **options})
        diagnosis = diagnose(run)
        matrices = [row for row in diagnosis.tensors() if row["name"].endswith((".W", ".C"))]
        found[name] = {
            "first_loss": float(run.history[0]["train"]),
            "start": _hidden(diagnosis.start),
            "end": _hidden(diagnosis.end),
            "update": [math.log10(max(row["update"], 1e-12) / max(row["data"], 1e-12)) for row in matrices],
        }
    return found


def _hidden(state: dict[str, Any]) -> list[dict[str, float]]:
    """Measurements of the tanh and relu layers."""
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


def check_patients(answer: Any) -> bool | None:
    """Check a mapping from the name of each net of `patients` to one of TROUBLES."""
    exercise = "the diagnoses"
    if missing(answer) or any(map(missing, answer.values())):
        return feedback(exercise, PLACEHOLDER_LEFT)
    for name, said in answer.items():
        if name not in PATIENTS:
            return feedback(exercise, f"There is no {name}: the nets are {', '.join(PATIENTS)}.")
        if said not in TROUBLES:
            return feedback(exercise, f"{said!r} for {name} is not one of: {', '.join(TROUBLES)}.")
    unanswered = [name for name in PATIENTS if name not in answer]
    if unanswered:
        return feedback(exercise, f"There is no answer for {', '.join(unanswered)}.")
    wrong = [name for name, (_, trouble) in PATIENTS.items() if answer[name] != trouble]
    if not wrong:
        return feedback(exercise, None)
    return feedback(
        exercise,
        f"{len(PATIENTS) - len(wrong)} of {len(PATIENTS)} are right; {wrong[0]} is not. {HINTS[PATIENTS[wrong[0]][1]]}",
    )
