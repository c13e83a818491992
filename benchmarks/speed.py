"""How fast: microseconds a training step against PyTorch's eager loop, and against the step's own matrix products.

    python benchmarks/speed.py [--names names.txt] [--json benchmarks/results/speed.json]
    python benchmarks/readme.py       puts the figures of that file into the README

Each ratio is of two loops that alternate within this one run, on one thread each, best of several rounds: these
machines are shared, and only ratios can be compared. "products" are the six plain matrix products of the step as the
lecture writes it, taken by the BLAS that SciPy carries, called from compiled code.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np
from machine import machine, versions
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from moreish import Corpus, bundled, read_words, train
from moreish.model import Model
from moreish.models import MLP
from moreish.optim import zero_moments
from moreish.tape import Batches, Steps
from moreish.tape.compiled import cache_folder

ROUNDS = 7
ROUND_SECONDS = 0.3
SHAPES = [(4, 10, 200, 32), (4, 10, 200, 64), (4, 10, 200, 256), (3, 10, 200, 32)]  # context, embedding, hidden, batch


def alternate(loops: dict) -> dict[str, float]:
    """Seconds an iteration of each loop(n), best of rounds in which the loops take turns."""
    for loop in loops.values():
        loop(3)
    counts = {}
    for name, loop in loops.items():
        began = time.perf_counter()
        loop(20)
        counts[name] = max(20, int(ROUND_SECONDS / ((time.perf_counter() - began) / 20)))
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(ROUNDS):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop(counts[name])
            best[name] = min(best[name], (time.perf_counter() - began) / counts[name])
    return best


def tape_loop(corpus: Corpus, shape, optimizer="sgd"):
    """Training steps of our engine."""
    block_size, n_embd, n_hidden, batch = shape
    model = Model(MLP(block_size=block_size, n_embd=n_embd, n_hidden=n_hidden), corpus.vocab)
    moments = zero_moments(optimizer, model.layout.n_trained)
    batches, made = Batches.drawn(corpus.stream("train"), batch, 1, block_size, whole_words=False), 0

    def loop(n: int) -> None:
        nonlocal made
        steps = Steps(optimizer, weight_decay=0.0, first=made, rates=np.full(n, 0.1))
        model.engine.train(model.params, moments, batches, steps)
        made += n

    return loop


def torch_loop(corpus: Corpus, shape, how: str = "eager", threads: int = 1):
    """The training loop of the lecture in PyTorch: eager, compiled (torch.compile), or with its gradients by hand."""
    import torch
    import torch.nn.functional as F

    block_size, n_embd, n_hidden, batch = shape
    X, Y = (torch.from_numpy(a) for a in corpus.windows("train", block_size))
    V, generator = len(corpus.vocab), torch.Generator().manual_seed(1)
    C = torch.randn((V, n_embd), generator=generator)
    W1 = torch.randn((block_size * n_embd, n_hidden), generator=generator) * (5 / 3) / (block_size * n_embd) ** 0.5
    b1 = torch.zeros(n_hidden)
    W2, b2 = torch.randn((n_hidden, V), generator=generator) * 0.01, torch.zeros(V)
    parameters = [C, W1, b1, W2, b2]

    def loss_of(x, y):
        h = torch.tanh(C[x].view(batch, -1) @ W1 + b1)
        return F.cross_entropy(h @ W2 + b2, y)

    loss_now = torch.compile(loss_of) if how == "compiled" else loss_of

    def by_autograd(x, y):
        loss = loss_now(x, y)
        for p in parameters:
            p.grad = None
        loss.backward()
        return [p.grad for p in parameters]

    @torch.no_grad()
    def by_hand(x, y):
        emb = C[x].view(batch, -1)
        h = torch.tanh(emb @ W1 + b1)
        dlogits = F.softmax(h @ W2 + b2, 1)
        dlogits[range(batch), y] -= 1
        dlogits /= batch
        dhpre = (dlogits @ W2.T) * (1 - h * h)
        dC = torch.zeros_like(C).index_add_(0, x.view(-1), (dhpre @ W1.T).view(-1, n_embd))
        return [dC, emb.T @ dhpre, dhpre.sum(0), h.T @ dlogits, dlogits.sum(0)]

    for p in parameters:
        p.requires_grad = how != "by hand"
    gradients = by_hand if how == "by hand" else by_autograd

    def loop(n: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(n):
            ix = torch.randint(0, X.shape[0], (batch,), generator=generator)
            for p, gradient in zip(parameters, gradients(X[ix], Y[ix]), strict=True):
                p.data += -0.1 * gradient
        torch.set_num_threads(1)

    return loop


def products_loop(corpus: Corpus, shape):
    """The six plain matrix products of a step, by BLAS from compiled code, on one thread."""
    import scipy.linalg.cython_blas  # noqa: F401  where Numba finds gemm

    threadpool_limits(1)
    block_size, n_embd, H, B = shape
    K, V = block_size * n_embd, len(corpus.vocab)
    generator = np.random.default_rng(1)
    arrays = [generator.standard_normal(s, np.float32) for s in [(B, K), (K, H), (B, H), (H, V), (B, V)]]

    @numba.njit
    def products(n, x, W1, h, W2, dlogits):
        y, logits = np.empty_like(h), np.empty_like(dlogits)
        dW2, dh = np.empty_like(W2), np.empty_like(h)
        dW1, dx = np.empty_like(W1), np.empty_like(x)
        for _ in range(n):
            np.dot(x, W1, y)
            np.dot(h, W2, logits)
            np.dot(h.T, dlogits, dW2)
            np.dot(dlogits, W2.T, dh)
            np.dot(x.T, dh, dW1)
            np.dot(dh, W1.T, dx)

    return lambda n: products(n, *arrays)


def step_rows(corpus: Corpus) -> list[dict]:
    rows = []
    for shape in SHAPES:
        loops = {"moreish": tape_loop(corpus, shape), "products": products_loop(corpus, shape)}
        loops["adamw"] = tape_loop(corpus, shape, "adamw")
        if "torch" in VERSIONS:
            loops["torch"] = torch_loop(corpus, shape)
        best = {name: seconds * 1e6 for name, seconds in alternate(loops).items()}
        row = {"context": shape[0], "embedding": shape[1], "hidden": shape[2], "batch": shape[3], "us": best}
        row["of_products"] = best["moreish"] / best["products"]
        if "torch" in best:
            row["times_torch"] = best["torch"] / best["moreish"]
        rows.append(row)
    return rows


def torch_rows(corpus: Corpus) -> list[dict]:
    """PyTorch in its several ways, on one thread and on two, beside the tape on one."""
    rows = []
    for shape in SHAPES[:2]:
        ways = [(how, threads) for how in ("eager", "compiled", "by hand") for threads in (1, 2)]
        loops = {
            f"{how}, {threads} thread{'s' * (threads > 1)}": torch_loop(corpus, shape, how, threads)
            for how, threads in ways
        }
        best = alternate({"moreish": tape_loop(corpus, shape), **loops})
        rows.append({"batch": shape[3], "us": {name: seconds * 1e6 for name, seconds in best.items()}})
    return rows


def sampling_row(corpus: Corpus) -> dict:
    """Names a second from a trained mlp 4/10/200, on one core, words as strings included."""
    run, n = train(corpus, block_size=4, n_embd=10, n_hidden=200), 100_000
    best, words = float("inf"), []
    for seed in range(ROUNDS):
        began = time.perf_counter()
        words = run.model.sample(n, seed=seed)
        best = min(best, time.perf_counter() - began)
    return {
        "mlp": "4 / 10 / 200",
        "names_per_second": n / best,
        "characters_per_second": sum(map(len, words)) / best,
    }


def process_rows(names: str | None) -> dict:
    """Whole processes, in seconds: training with the defaults, first with nothing kept on disk, then warm."""
    command, rows = [sys.executable, "-m", "moreish", "train", *([names] if names else []), "--out"], {}
    kept = cache_folder()
    if kept is not None:
        shutil.rmtree(kept)
    with tempfile.TemporaryDirectory() as folder:
        rows["train_cold"] = _timed([*command, f"{folder}/cold"])
        rows["train_warm"] = min(_timed([*command, f"{folder}/warm{i}"]) for i in range(ROUNDS))
    rows["import_numpy"] = min(_timed([sys.executable, "-c", "import numpy"]) for _ in range(ROUNDS))
    if "torch" in VERSIONS:
        rows["import_torch"] = min(_timed([sys.executable, "-c", "import torch"]) for _ in range(ROUNDS))
    return rows


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


VERSIONS = versions()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", help="word list to measure on (default: the bundled names)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    corpus = Corpus(read_words(arguments.names) if arguments.names else bundled())
    steps = step_rows(corpus)
    found = {
        "machine": machine(),
        "versions": VERSIONS,
        "threads": 1,
        "data": Path(arguments.names).name if arguments.names else "bundled names",
        "step": steps,
        "torch": torch_rows(corpus) if "torch" in VERSIONS else [],
        "sampling": sampling_row(corpus),
        "process_seconds": process_rows(arguments.names),
    }
    table = Table(title=f"{found['machine']['processor']}, one thread: microseconds a step", title_justify="left")
    for column in (
        "mlp",
        "batch",
        "moreish sgd",
        "adamw",
        "its products by BLAS",
        "PyTorch eager",
        "of products",
        "times PyTorch",
    ):
        table.add_column(column, justify="right")
    for row in found["step"]:
        us = row["us"]
        table.add_row(
            f"{row['context']}/{row['embedding']}/{row['hidden']}",
            str(row["batch"]),
            *(f"{us[k]:.1f}" for k in ("moreish", "adamw", "products")),
            f"{us['torch']:.1f}" if "torch" in us else "-",
            f"{row['of_products']:.2f}",
            f"{row['times_torch']:.1f}" if "times_torch" in row else "-",
        )
    console = Console(width=120)
    console.print(table)
    for row in found["torch"]:
        ways = ", ".join(f"{name} {us:.0f}" for name, us in row["us"].items())
        console.print(f"mlp 4/10/200, batch {row['batch']}, us a step: {ways}")
    console.print(f"sampling: {found['sampling']['names_per_second']:,.0f} names a second")
    console.print("whole processes: " + ", ".join(f"{k} {v:.2f} s" for k, v in found["process_seconds"].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
