"""The controls of the page, made from the options: with the names, help texts and bounds of the command line."""

import dataclasses
from typing import Any

from ..models import MODELS, NETS
from ..options import plain_type
from ..sampling import Constraints
from ..training.options import TrainOptions

# Options of training on the page, those that most people move first; the page shows the others on request.
FIRST = ("lr", "batch_size", "optimizer", "epochs", "seed")
OTHERS = (
    *("weight_decay", "schedule", "step_at", "warmup", "grad_clip", "label_smoothing", "average"),
    *("full_batch", "steps", "decay", "keep", "split", "split_seed", "weight_power"),
)
OF_MODELS_FIRST = (
    *("order", "smoothing", "block_size", "n_embd", "n_hidden", "n_layer", "n_head", "dropout"),
    *("activation", "batch_norm", "init"),
)
OF_WORDS_FIRST = ("gap", "prefix", "pattern", "min_length", "max_length")
KINDS: dict[Any, str] = {bool: "boolean", int: "whole", float: "number", str: "text", tuple[str, ...]: "texts"}
# Ends of the sliders, where the bounds of an option are too far apart, and True for a logarithmic one.
SLIDERS: dict[str, tuple[float, float, bool]] = {
    "lr": (1e-4, 10.0, True),
    "batch_size": (1, 4096, True),
    "epochs": (0.25, 256, True),
    "weight_decay": (1e-4, 10.0, True),
    "grad_clip": (0.0, 5.0, False),
    "block_size": (1, 16, False),
    "n_embd": (2, 128, True),
    "n_hidden": (4, 1024, True),
    "n_layer": (1, 8, False),
    "order": (1, 10, False),
}


def controls() -> dict[str, Any]:
    """Describe all controls: {"models": {name: {"summary", "options": [control, ...]}}, "training": [control, ...],
    "constraints": [control, ...]}.

    A control has name, help, kind (see KINDS, or "choice"), choices, low, high (None: no bound),
    default (None: chosen by the model), first (True if it is shown at once) and slider [low, high, logarithmic], None
    if the value is only typed.
    """
    training = {f.name: f for f in dataclasses.fields(TrainOptions)}
    constraints = {f.name: f for f in dataclasses.fields(Constraints)}
    of_words = dict.fromkeys((*OF_WORDS_FIRST, *constraints))
    return {
        "models": {
            name: {
                "summary": kind.summary,
                "net": name in NETS,
                "options": [_control(f, f.name in OF_MODELS_FIRST) for f in dataclasses.fields(kind)],
            }
            for name, kind in MODELS.items()
        },
        "training": [_control(training[name], name in FIRST) for name in (*FIRST, *OTHERS)],
        "constraints": [_control(constraints[name], name in OF_WORDS_FIRST) for name in of_words],
    }


def _control(f: dataclasses.Field[Any], first: bool) -> dict[str, Any]:
    meta, kind = f.metadata, plain_type(f)
    low, high = meta["low"], meta["high"]
    slider = SLIDERS.get(f.name)
    if slider is None and kind is float and low is not None and high is not None and high - low <= 1:
        slider = (low, high, False)
    if slider is None and meta["search"] and not isinstance(meta["search"], list):
        slider = (*meta["search"], True)
    return {
        "name": f.name,
        "help": meta["help"],
        "kind": "choice" if meta["choices"] else KINDS[kind],
        "choices": list(meta["choices"]),
        "low": low,
        "high": high,
        "default": f.default,
        "first": first,
        "slider": None if slider is None or meta["choices"] else list(slider),
    }
