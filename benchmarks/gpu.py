"""Training on a GPU, by PyTorch: a step launched kernel by kernel, compiled, and replayed as one CUDA graph.

python benchmarks/gpu.py [--names names.txt] [--json benchmarks/results/gpu.json]

Prints Markdown tables with the name of the GPU: microseconds per step, and val losses after trainings of some seconds.
Each training has as many steps as its speed allows, with a rate that falls to zero. Without a GPU it prints a message
and ends with exit status 2.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine, versions
from speed_sections import gpu_section

from moreish import Corpus, bundled, read_words
from moreish.engine.batches import Batches
from moreish.engine.optim import Schedule, zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.torch.engine import Torch
from moreish.evaluation import mean_nll
from moreish.models import MLP
from moreish.models.model import Model

CONFIG = MLP()
WAYS: dict[str, dict[str, Any]] = {
    "eager": {"graph": False},
    "compiled": {"graph": False, "compile": True},
    "graph": {},
    "compiled graph": {"compile": True},
}
BATCHES = (32, 256, 2_048, 16_384, 65_536)
SECONDS = (1.0, 3.0, 10.0)
RATE, DECAY = 0.01, 0.01  # for a batch of 256; the rate grows with the square root of the batch size
HIGHEST_RATE = 0.05
ROUNDS, ROUND_SECONDS, STEPS_PER_CALL = 5, 0.3, 100


class Training:
    """A training of CONFIG at one batch size, in one of the ways."""

    def __init__(self, corpus: Corpus, batch: int, device: str, **way: Any):
        self.corpus, self.batch, V = corpus, batch, len(corpus.vocab)
        self.model = Model(CONFIG, corpus.vocab)
        self.engine = Torch(self.model.layers, CONFIG.context, V, device=device, **way)
        self.batches = Batches.drawn(corpus.stream("train"), batch, 1, CONFIG.context, CONFIG.whole_words)

    def step_seconds(self) -> float:
        """Seconds per step, the best of several rounds, after compiling and recording."""
        self.steps(np.full(3, RATE))
        began = time.perf_counter()
        self.steps(np.full(20, RATE))
        n, best = max(20, int(20 * ROUND_SECONDS / (time.perf_counter() - began))), float("inf")
        for _ in range(ROUNDS):
            began = time.perf_counter()
            self.steps(np.full(n, RATE))
            best = min(best, (time.perf_counter() - began) / n)
        return best

    def steps(self, rates: np.ndarray) -> np.ndarray:
        """Make steps from fresh weights, and return the weights."""
        params, moments = self.model.params.copy(), zero_moments("adamw", self.model.layout.n_trained)
        for first in range(0, len(rates), STEPS_PER_CALL):
            some = rates[first : first + STEPS_PER_CALL]
            self.engine.train(params, moments, self.batches, Steps("adamw", DECAY, first=first, rates=some))
        return params

    def val_loss(self, n: int) -> float:
        """The val loss in nats after a training of n steps."""
        rate = min(RATE * (self.batch / 256) ** 0.5, HIGHEST_RATE)
        params = self.steps(Schedule("linear", rate, n, warmup=0.05).rates(0, n))
        return mean_nll(lambda stream: self.engine.nll(params, stream), self.corpus.stream("val"))


def measure(corpus: Corpus, device: str, batches: tuple[int, ...] = BATCHES, seconds=SECONDS) -> list[dict]:
    """A row for each batch size and way."""
    rows = []
    for batch in batches:
        for name, way in WAYS.items():
            training = Training(corpus, batch, device, **way)
            step = training.step_seconds()
            steps = [max(1, int(of / step)) for of in seconds]
            row = {"batch": batch, "way": name, "us": step * 1e6, "seconds": seconds, "steps": steps}
            row["val"] = [training.val_loss(n) for n in steps]
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", help="word list to measure on (default: the bundled names)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no GPU here that PyTorch can use: nothing is measured", file=sys.stderr)
        sys.exit(2)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "machine": machine(), "versions": versions()}
    found["data"] = Path(arguments.names).name if arguments.names else "bundled names"
    found["rows"] = measure(Corpus(read_words(arguments.names) if arguments.names else bundled()), "cuda")
    print(gpu_section(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
