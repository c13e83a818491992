"""Options of `moreish train`, and the defaults of those that depend on the model, the optimizer and the list."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..corpus.split import SPLITS
from ..engine.optim import DECAYS, OPTIMIZERS, SCHEDULES, Schedule
from ..engine.protocol import DEVICES, ENGINES, Steps
from ..errors import InputError
from ..options import Options, option

T = TypeVar("T")

# Defaults by optimizer, for options that the model's own defaults leave open.
BY_OPTIMIZER: dict[str, dict[str, Any]] = {
    "adamw": {"lr": 0.01, "weight_decay": 0.01, "schedule": "linear", "warmup": 0.05},
    "sgd": {"lr": 0.1, "weight_decay": 0.0, "schedule": "step", "warmup": 0.0},
}
# Defaults of all nets that name no others, and what a run of a version without these options did.
OF_ALL_NETS: dict[str, Any] = {"decay": "matrices", "grad_clip": 0.0, "average": 0.0, "label_smoothing": 0.0}
EARLIER: dict[str, Any] = {**OF_ALL_NETS, "decay": "all"}
# Default length of training on minibatches (False) or on full batches (True), for a model that defaults to the other.
BY_BATCH: dict[bool, dict[str, Any]] = {False: {"epochs": 3.0, "batch_size": 256}, True: {"epochs": 500.0}}
ENOUGH_STEPS = 500  # a short list takes smaller batches until its training has this many steps
MIN_BATCH = 16  # but none smaller than this
MIN_STEPS = 300  # a list too short for these batches takes more passes, at a lower rate
OF_ALL_MODELS = {"split", "split_seed", "weight_power", "seed", "weights", "labels"}  # options of counted models too
MIN_VAL_WORDS = 5  # fewer say too little about which weights are best


@dataclass(frozen=True)
class TrainOptions(Options):
    """Options of training. An option that is None is chosen by the model; `resolved` fills it in."""

    split: str = option(
        "lecture",
        "how to split the words; distinct drops repeats first; hash puts a word in the same part in every list (see "
        "moreish merge); with weights or labels, lines of one word stay together",
        choices=SPLITS,
    )
    split_seed: int = option(42, "seed of the shuffle before the split", low=0)
    weight_power: float = option(
        1.0, "exponent of the weights of the list: 1 counts a word as often as its weight says, 0 once", low=0, high=10
    )
    steps: int | None = option(None, "length of the training, in steps", low=1)
    epochs: float | None = option(None, "length of the training, in passes over the train words", low=0.001, high=1e9)
    batch_size: int | None = option(
        None,
        "examples in a step, over all processes: contexts, or whole words for models that read these; short lists use "
        "fewer",
        low=1,
        high=1 << 20,
    )
    full_batch: bool | None = option(None, "take the exact gradient over all train words at every step")
    optimizer: str | None = option(None, "update rule", choices=tuple(OPTIMIZERS))
    lr: float | None = option(None, "highest learning rate", low=1e-12, high=1e6)
    weight_decay: float | None = option(None, "strength of the decay of the weights towards zero", low=0, high=1e6)
    decay: str | None = option(
        None, "what decays: weight matrices and tables, but not biases, gains and other vectors; or all", choices=DECAYS
    )
    grad_clip: float | None = option(
        None, "largest norm of a step's gradient, to which a longer one is scaled; 0: any", low=0, high=1e6
    )
    label_smoothing: float | None = option(
        None,
        "part of each target that is spread evenly over all characters and the end, such as 0.05; losses on train, val "
        "and test stay those of the words",
        low=0,
        high=0.99,
    )
    average: float | None = option(
        None,
        "keep a moving average of the weights with this decay a step, such as 0.999, if its val loss is better or with "
        "--keep last; 1: always over a tenth of the steps so far; 0: no average",
        low=0,
        high=1,
    )
    schedule: str | None = option(None, "how the learning rate changes over the run", choices=SCHEDULES)
    step_at: float = option(
        0.5, "fraction of the run after which --schedule step cuts the rate to a tenth", low=0, high=1
    )
    warmup: float | None = option(None, "fraction of the run over which the rate rises from zero", low=0, high=1)
    keep: str = option(
        "best",
        f"keep the weights with the best val loss, or the last ones; with the default length and fewer than "
        f"{MIN_VAL_WORDS} val words, the default is last",
        choices=("best", "last"),
    )
    calibrate: bool = option(False, "at the end, recompute BatchNorm's running statistics over all train words")
    seed: int = option(42, "seed of the weights, the batches and the samples", low=0, high=(1 << 63) - 1)
    diagnostics: bool = option(False, "log statistics of activations, gradients and updates")
    log_every: int | None = option(None, "steps between lines of the log", low=1)
    engine: str = option("tape", "what trains: the compiled engine, PyTorch, or both in lockstep", choices=ENGINES)
    device: str = option("auto", "device for PyTorch; auto takes a GPU if there is one", choices=DEVICES)
    compile: bool = option(False, "compile the model with torch.compile first")

    def __post_init__(self):
        super().__post_init__()
        if self.steps is not None and self.epochs is not None:
            raise InputError("--steps and --epochs both set the length of the training: give only one")
        if self.full_batch and self.batch_size is not None:
            raise InputError("--full-batch takes all train words at every step: leave out --batch-size")

    @property
    def overridden(self) -> list[str]:
        """The options that the model would have chosen, and that were given instead."""
        return [f.name for f in dataclasses.fields(self) if f.default is None and getattr(self, f.name) is not None]

    def takes_full_batch(self, model_defaults: dict[str, Any]) -> bool:
        """True if every step takes all train words: on request, or as the model's default without --batch-size."""
        if self.full_batch is not None:
            return self.full_batch
        return model_defaults.get("full_batch", False) and self.batch_size is None

    def resolved(self, model_defaults: dict[str, Any], n_examples: int, *, of_words: bool = False) -> "TrainOptions":
        """These options with the model's choices filled in and epochs turned into steps, for n_examples to train on.

        With neither --steps nor --batch-size, a list too short for ENOUGH_STEPS batches takes smaller batches, in
        powers of two down to MIN_BATCH, and a learning rate smaller by the square root of that ratio. A default length
        is at least MIN_STEPS steps; for more passes, the rate is lowered by the ratio to the power of 2/3. At a higher
        rate they would overfit. (Measured on 12 to 4,000 names.) If examples are whole words (`of_words`), smaller
        batches keep their rate.
        """
        given: dict[str, Any] = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        own_full, own_optimizer = model_defaults.get("full_batch", False), model_defaults["optimizer"]
        full, optimizer = self.takes_full_batch(model_defaults), self.optimizer or own_optimizer
        # The model's learning rate and length belong to its own way of training, and say nothing about another.
        own = model_defaults if (full, optimizer) == (own_full, own_optimizer) else {}
        length = BY_BATCH[full] if full != own_full else {k: model_defaults[k] for k in BY_BATCH[full]}
        chosen: dict[str, Any] = {
            "optimizer": optimizer,
            **length,
            **{k: model_defaults.get(k, default) for k, default in OF_ALL_NETS.items()},
            **BY_OPTIMIZER[optimizer],
            **own,
            **given,
            "full_batch": full,
        }
        if "steps" in given:
            chosen.pop("epochs")
        if optimizer == "sgd" and "lr" not in given:  # a step that decays a weight by more than all of it diverges
            chosen["lr"] = min(chosen["lr"], 0.5 / max(chosen["weight_decay"], 1e-12))
        if "epochs" in chosen and full:
            chosen["steps"] = max(1, round(chosen["epochs"]))
        elif "epochs" in chosen:
            examples = chosen["epochs"] * n_examples
            if "batch_size" not in given:
                fitting = 2 ** int(math.log2(max(examples / ENOUGH_STEPS, MIN_BATCH)))
                if fitting < chosen["batch_size"]:
                    if "lr" not in given and not of_words:
                        chosen["lr"] *= math.sqrt(fitting / chosen["batch_size"])
                    chosen["batch_size"] = fitting
            chosen["steps"] = max(1, round(examples / chosen["batch_size"]))
            if "epochs" not in given and chosen["steps"] < MIN_STEPS:
                if "lr" not in given:
                    chosen["lr"] *= (chosen["steps"] / MIN_STEPS) ** (2 / 3)
                chosen["steps"] = MIN_STEPS
        chosen["epochs"] = None
        return TrainOptions(**chosen)

    def learning_rates(self) -> Schedule:
        """The learning rate of every step, once the options are resolved."""
        return Schedule(
            resolved(self.schedule), resolved(self.lr), resolved(self.steps), self.step_at, resolved(self.warmup)
        )

    def steps_from(self, first: int, rates: np.ndarray) -> Steps:
        """Steps `first`, `first` + 1, ... at the rates (n,), as an engine takes them, once the options are resolved."""
        return Steps(
            resolved(self.optimizer),
            resolved(self.weight_decay),
            first,
            rates,
            resolved(self.decay),
            resolved(self.grad_clip),
            resolved(self.average),
        )


def resolved(value: T | None) -> T:
    """The value of an option that `TrainOptions.resolved` has filled in."""
    assert value is not None, "options are resolved before training"
    return value
