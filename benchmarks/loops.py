"""The loops that benchmarks/speed.py times: training steps of moreish and PyTorch, and the matrix products alone."""

import math
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.typed.typedlist import List as numba_list
from threadpoolctl import threadpool_limits

from moreish import Corpus
from moreish.engine.batches import Batches
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear, Tanh
from moreish.models import MLP, WaveNet
from moreish.models.model import Model

ROUNDS = 7
ROUND_SECONDS = 0.3


def alternate(loops: dict) -> dict[str, float]:
    """Time each loop(n), in rounds in which the loops alternate. Returns the best seconds per iteration of each."""
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


def tape_loop(corpus: Corpus, config: MLP | WaveNet, batch: int, optimizer="sgd"):
    """Training steps of the tape."""
    model = Model(config, corpus.vocab)
    engine = Tape(model.layers, config.context, len(corpus.vocab))
    moments = zero_moments(optimizer, model.layout.n_trained)
    batches, made = Batches.drawn(corpus.stream("train"), batch, 1, config.context, config.whole_words), 0

    def loop(n: int) -> None:
        nonlocal made
        steps = Steps(optimizer, weight_decay=0.0, first=made, rates=np.full(n, 0.1))
        engine.train(model.params, moments, batches, steps)
        made += n

    return loop


def module_loop(corpus: Corpus, config: MLP | WaveNet, batch: int):
    """The training loop of the lecture in eager PyTorch, on a Sequential of PyTorch's own modules."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Rows(nn.Module):
        """A module over the rows of (B, T, C), or over (B, C)."""

        def __init__(self, inner: nn.Module):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x.reshape(-1, x.shape[-1])).view(x.shape)

    class Join(nn.Module):
        def __init__(self, n: int):
            super().__init__()
            self.n = n

        def forward(self, x):
            B, T, C = x.shape
            return x.view(B, T // self.n, C * self.n).squeeze(1)

    kinds: dict[type, Callable[[Any], nn.Module]] = {
        Embedding: lambda layer: nn.Embedding(layer.n_vocab, layer.n_embd),
        FlattenConsecutive: lambda layer: Join(layer.n),
        Linear: lambda layer: nn.Linear(layer.n_in, layer.n_out, bias=layer.bias is not None),
        BatchNorm1d: lambda layer: Rows(nn.BatchNorm1d(layer.n_features)),
        Tanh: lambda layer: nn.Tanh(),
    }
    net = nn.Sequential(*(kinds[type(layer)](layer) for layer in config.layers(len(corpus.vocab))))
    X, Y = (torch.from_numpy(a) for a in corpus.windows("train", config.context))
    parameters = list(net.parameters())

    def loop(n: int) -> None:
        for _ in range(n):
            ix = torch.randint(0, X.shape[0], (batch,))
            loss = F.cross_entropy(net(X[ix]), Y[ix])
            for p in parameters:
                p.grad = None
            loss.backward()
            for p in parameters:
                p.data += -0.1 * p.grad  # pyright: ignore[reportOperatorIssue]

    return loop


def torch_loop(corpus: Corpus, config: MLP, batch: int, how: str = "eager", threads: int = 1):
    """The lecture's loop for its mlp, on plain tensors: eager, compiled by torch.compile, or with gradients by hand."""
    import torch
    import torch.nn.functional as F

    block_size, n_embd, n_hidden = config.block_size, config.n_embd, config.n_hidden
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
                p.data += -0.1 * gradient  # pyright: ignore[reportOperatorIssue]
        torch.set_num_threads(1)

    return loop


def products_loop(corpus: Corpus, config: MLP | WaveNet, batch: int):
    """The matrix products of a step alone, three for each Linear, by BLAS from compiled code, on one thread."""
    import scipy.linalg.cython_blas  # noqa: F401  Numba finds gemm in it

    threadpool_limits(1)
    generator, shape = np.random.default_rng(1), (config.context,)
    arrays: list[list] = [[], [], [], [], [], []]
    for layer in config.layers(len(corpus.vocab)):
        if isinstance(layer, Linear):
            N, K, M = batch * math.prod(shape[:-1]), layer.n_in, layer.n_out
            for kept, size in zip(arrays, [(N, K), (K, M), (N, M), (N, M), (K, M), (N, K)], strict=True):
                kept.append(generator.standard_normal(size, np.float32))
        shape = layer.out_shape(shape)

    @numba.njit
    def products(n, xs, Ws, dys, ys, dWs, dxs):
        for _ in range(n):
            for x, W, dy, y, dW, dx in zip(xs, Ws, dys, ys, dWs, dxs):  # noqa: B905  Numba lacks strict
                np.dot(x, W, y)
                np.dot(x.T, dy, dW)
                np.dot(dy, W.T, dx)

    typed = [numba_list(kept) for kept in arrays]
    return lambda n: products(n, *typed)
