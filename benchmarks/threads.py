"""The gain of several threads over one in training steps, evaluation, sampling and counting, with equal results.

python benchmarks/threads.py --names names.txt [--json benchmarks/results/threads.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from loops import tape_loop
from machine import machine, versions

from moreish import Corpus, Model, get_threads, read_words, set_threads, train
from moreish.engine.batches import Batches
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw, Steps
from moreish.engine.tape import Tape
from moreish.models import MLP, WaveNet, WaveNetConv
from moreish.ngram.windows import count_windows

OF_MLP, OF_TREE = MLP(block_size=4, n_embd=10, n_hidden=200), WaveNet(block_size=8, n_embd=24, n_hidden=128)
STEPS: list[tuple[str, MLP | WaveNet, int]] = [
    *(("mlp 4 / 10 / 200", OF_MLP, batch) for batch in (32, 256, 1024, 4096)),
    ("mlp 6 / 24 / 256, the default", MLP(), 256),
    ("mlp 3 / 10 / 200, BatchNorm", MLP(block_size=3, n_embd=10, n_hidden=200, batch_norm=True), 256),
    ("wavenet 8 / 24 / 128", OF_TREE, 32),
    ("wavenet 8 / 24 / 128", OF_TREE, 128),
    ("wavenet 8 / 24 / 128", OF_TREE, 512),
    ("wavenet-conv 8 / 24 / 128", WaveNetConv(block_size=8, n_embd=24, n_hidden=128), 128),
]
TRAINED: list[tuple[str, str, dict[str, Any]]] = [
    ("mlp 4 / 10 / 200", "mlp", {"block_size": 4, "n_embd": 10, "n_hidden": 200, "steps": 200}),
    ("wavenet 8 / 24 / 128", "wavenet", {"block_size": 8, "n_embd": 24, "n_hidden": 128, "steps": 50}),
    ("n-grams", "ngram", {}),
]
WORDS, TOKENS = 20_000, 8_000_000  # drawn and counted
ROUNDS, SECONDS = 20, 0.2  # of each measurement; many rounds, as other guests may slow down the host


class Row:
    """A loop(n), timed with one thread and with several; `same` is True if the results are equal."""

    def __init__(self, what: str, same: bool, loop: Callable[[int], None], threads: int):
        self.what, self.same, self.loop, self.ways = what, same, loop, {"one": 1, "several": threads}
        self.best = dict.fromkeys(self.ways, float("inf"))
        self.count, spent = 1, 0.0
        while spent < SECONDS / 2:
            self.count *= 2
            began = time.perf_counter()
            loop(self.count)
            spent = time.perf_counter() - began

    def measure(self) -> None:
        """Time the loop once more with each number of threads, and keep the shortest times."""
        for way, n in self.ways.items():
            set_threads(n)
            began = time.perf_counter()
            self.loop(self.count)
            self.best[way] = min(self.best[way], (time.perf_counter() - began) / self.count)

    def as_json(self) -> dict:
        gain = self.best["one"] / self.best["several"]
        return {"what": self.what, "same": self.same, **self.best, "gain": gain}


def repeated(work: Callable[[], object]) -> Callable[[int], None]:
    """Make a loop of calls."""

    def loop(n: int) -> None:
        for _ in range(n):
            work()

    return loop


def same_steps(corpus: Corpus, config: MLP | WaveNet, batch: int, threads: int) -> bool:
    """True if the weights after some steps are the same, bit for bit."""
    found = []
    for n in (1, threads):
        set_threads(n)
        model = Model(config, corpus.vocab)
        batches = Batches.drawn(corpus.stream("train"), batch, 1, config.context, config.whole_words)
        steps = Steps("adamw", weight_decay=0.01, first=0, rates=np.full(20, 0.003))
        moments = zero_moments("adamw", model.layout.n_trained)
        Tape(model.layers, config.context, len(corpus.vocab)).train(model.params, moments, batches, steps)
        found.append(model.params)
    return bool((found[0] == found[1]).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    corpus, threads, rows = Corpus(read_words(arguments.names)), get_threads(), []

    def note(what: str, same: bool, loop: Callable[[int], None]) -> None:
        rows.append(Row(what, same, loop, threads))

    for name, config, batch in STEPS:
        same = same_steps(corpus, config, batch, threads)
        note(f"a step of {name}, batch {batch:,}", same, tape_loop(corpus, config, batch, "adamw"))
    stream, draw = corpus.stream("train"), Draw(seed=1)
    for name, kind, options in TRAINED:
        model = train(corpus, kind, **options).model
        losses, drawn = [], []
        for n in (1, threads):
            set_threads(n)
            losses.append(model.nll(stream))
            drawn.append(model.engine.generate(model.params, WORDS, draw))
        note(
            f"the loss of {len(stream) - 1:,} tokens, {name}",
            bool((losses[0] == losses[1]).all()),
            repeated(lambda m=model: m.nll(stream)),
        )
        if kind != "ngram":
            note(
                f"{WORDS:,} words of {name}",
                bool(np.array_equal(*drawn)),
                repeated(lambda m=model: m.engine.generate(m.params, WORDS, draw)),
            )
    V, generator = len(corpus.vocab), np.random.default_rng(1)
    text = generator.integers(0, V, TOKENS).astype(np.int32)
    text[0] = text[-1] = 0
    counted = []
    for n in (1, threads):
        set_threads(n)
        counted.append(count_windows(text, 4, V).counts)
    note(
        f"counting runs of 4 in {TOKENS:,} random characters",
        bool(np.array_equal(*counted)),
        repeated(lambda: count_windows(text, 4, V)),
    )
    for _ in range(ROUNDS):
        for row in rows:
            row.measure()
    for row in rows:
        print("{what}: {one:.6f} s, {several:.6f} s, {gain:.2f}, same {same}".format(**row.as_json()))
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "threads": threads}
        arguments.json.write_text(json.dumps({**found, "rows": [row.as_json() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
