"""How a model is trained: the options of `moreish train`, and how those left open are chosen."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ..corpus.split import SPLITS
from ..engine.optim import OPTIMIZERS, SCHEDULES
from ..engine.protocol import DEVICES, ENGINES
from ..errors import InputError
from ..options import Options, option

# What an optimizer takes where the model, which has its own one in mind, does not say.
BY_OPTIMIZER = {
    "adamw": {"lr": 0.01, "weight_decay": 0.01, "schedule": "linear", "warmup": 0.05},
    "sgd": {"lr": 0.1, "weight_decay": 0.0, "schedule": "step", "warmup": 0.0},
}
# How long, for a model that is not meant for full batches, or for nothing else: by whether they are full.
OF_BATCH = {False: {"epochs": 3.0, "batch_size": 256}, True: {"epochs": 500.0}}
ENOUGH_STEPS = 500  # that a run on a short list should come to
LEAST_BATCH = 16


@dataclass(frozen=True)
class TrainOptions(Options):
    """How a model is trained. What is None here is chosen by the model; `resolved` fills it in."""

    split: str = option("lecture", "how words are shared out; distinct drops repeated words first", choices=SPLITS)
    split_seed: int = option(42, "seed of the shuffle before the split", low=0)
    steps: int | None = option(None, "length of training, in steps", low=1)
    epochs: float | None = option(None, "length of training, in passes over the train words", low=0.001, high=1e9)
    batch_size: int | None = option(
        None, "examples a step, of all processes; a short list takes fewer", low=1, high=1 << 20
    )
    full_batch: bool | None = option(None, "take the exact gradient over all train words at every step")
    optimizer: str | None = option(None, "the update rule", choices=tuple(OPTIMIZERS))
    lr: float | None = option(None, "highest learning rate", low=1e-12, high=1e6)
    weight_decay: float | None = option(None, "pull of the weights towards zero", low=0, high=1e6)
    schedule: str | None = option(None, "how the learning rate changes over the run", choices=SCHEDULES)
    step_at: float = option(0.5, "share of the run after which step takes a tenth of the rate", low=0, high=1)
    warmup: float | None = option(None, "share of the run over which the rate rises from zero", low=0, high=1)
    keep: str = option("best", "keep the weights of the best val loss seen, or the last ones", choices=("best", "last"))
    calibrate: bool = option(False, "in the end, take BatchNorm's running statistics over all train words")
    seed: int = option(42, "seed of weights, batches and samples", low=0, high=(1 << 63) - 1)
    diagnostics: bool = option(False, "keep activations', gradients' and updates' statistics at each point of the log")
    log_every: int | None = option(None, "steps from one line of the log to the next", low=1)
    engine: str = option("tape", "what trains: our compiled engine, PyTorch, or both in lockstep", choices=ENGINES)
    device: str = option("auto", "where PyTorch computes; auto takes a GPU if there is one", choices=DEVICES)
    compile: bool = option(False, "let PyTorch compile the model first (torch.compile)")

    def __post_init__(self):
        super().__post_init__()
        if self.steps is not None and self.epochs is not None:
            raise InputError("--steps and --epochs both give the length of training: give one of them")
        if self.full_batch and self.batch_size is not None:
            raise InputError("--full-batch takes all train words at every step: give no --batch-size with it")

    @property
    def overridden(self) -> list[str]:
        """The options that were set of those that the model would choose otherwise."""
        return [f.name for f in dataclasses.fields(self) if f.default is None and getattr(self, f.name) is not None]

    def resolved(self, model_defaults: dict[str, Any], n_examples: int) -> "TrainOptions":
        """These options with the model's choices filled in, and steps in place of epochs, for n_examples to train on.

        Where neither --steps nor --batch-size is given, a list too short for ENOUGH_STEPS batches takes smaller ones,
        powers of two down to LEAST_BATCH, and a rate smaller by the square root of that: going over it more often
        would overfit (measured on 100 to 4,000 names).
        """
        given = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        own_full = model_defaults.get("full_batch", False)
        full = given.get("full_batch", own_full and "batch_size" not in given)
        optimizer = given.get("optimizer", model_defaults["optimizer"])
        # The model has one way of training in mind: its rate and length say nothing about another.
        own = model_defaults if (full, optimizer) == (own_full, model_defaults["optimizer"]) else {}
        length = OF_BATCH[full] if full != own_full else {k: model_defaults[k] for k in OF_BATCH[full]}
        chosen = {"optimizer": optimizer, **length, **BY_OPTIMIZER[optimizer], **own, **given, "full_batch": full}
        if "steps" in given:
            chosen.pop("epochs")
        if optimizer == "sgd" and "lr" not in given:  # a step that takes off more than all of a weight diverges
            chosen["lr"] = min(chosen["lr"], 0.5 / max(chosen["weight_decay"], 1e-12))
        if "epochs" in chosen and full:
            chosen["steps"] = max(1, round(chosen["epochs"]))
        elif "epochs" in chosen:
            examples = chosen["epochs"] * n_examples
            if "batch_size" not in given:
                fitting = 2 ** int(math.log2(max(examples / ENOUGH_STEPS, LEAST_BATCH)))
                if fitting < chosen["batch_size"]:
                    if "lr" not in given:
                        chosen["lr"] *= math.sqrt(fitting / chosen["batch_size"])
                    chosen["batch_size"] = fitting
            chosen["steps"] = max(1, round(examples / chosen["batch_size"]))
        chosen["epochs"] = None
        return TrainOptions(**chosen)
