"""The loops that benchmarks/sequence.py times: training steps of recurrent nets, and their matrix products alone."""

from collections.abc import Callable

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from moreish import Corpus
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.registry import make_engine
from moreish.engine.words import WordBatches
from moreish.models import NetConfig
from moreish.models.model import Model

N_EMBD, RATE = 64, 0.004
PREPARED = 20  # batches that PyTorch finds packed


def tape_loop(corpus: Corpus, config: NetConfig, words: int, *, shared: bool) -> Callable[[int], None]:
    """Training steps of the tape."""
    model, made = Model(config, corpus.vocab), 0
    engine = make_engine("tape", model.layers, 1, len(corpus.vocab))
    moments = zero_moments("adamw", model.layout.n_trained)
    batches = WordBatches.drawn(corpus.stream("train"), words, 1, shared=shared)

    def loop(n: int) -> None:
        nonlocal made
        engine.train(model.params, moments, batches, Steps("adamw", 0.01, made, np.full(n, RATE)))
        made += n

    return loop


def nets_loop(
    corpus: Corpus, kind: str, n_hidden: int, n_layer: int, words: int, threads: int
) -> Callable[[int], None]:
    """Training steps of PyTorch's own recurrent layer, on words that are packed by their lengths beforehand."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.utils.rnn import PackedSequence, pack_sequence

    V, generator = len(corpus.vocab), torch.Generator().manual_seed(1)
    embedding, head = nn.Embedding(V, N_EMBD), nn.Linear(n_hidden, V)
    net = getattr(nn, kind.upper())(N_EMBD, n_hidden, n_layer)
    parameters = [*embedding.parameters(), *net.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, RATE, fused=True)
    encoded = [corpus.vocab.encode(word) for word in corpus.parts["train"]]
    batches = []
    for _ in range(PREPARED):
        chosen = torch.randint(0, len(encoded), (words,), generator=generator).tolist()
        some = sorted((encoded[i] for i in chosen), key=len, reverse=True)
        inputs, targets = (
            pack_sequence([torch.tensor(word) for word in padded])
            for padded in ([[0, *word] for word in some], [[*word, 0] for word in some])
        )
        batches.append((inputs, targets.data))

    def loop(n: int) -> None:
        torch.set_num_threads(threads)
        for i in range(n):
            inputs, targets = batches[i % PREPARED]
            y, _ = net(PackedSequence(embedding(inputs.data), inputs.batch_sizes))
            loss = F.cross_entropy(head(y.data), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.set_num_threads(1)

    return loop


def products_loop(corpus: Corpus, config: NetConfig, words: int, threads: int) -> Callable[[int], None]:
    """The matrix products of a step on all tokens alone, by BLAS from compiled code.

    The input of the first layer costs no product, as it is a table of V rows.
    """
    import scipy.linalg.cython_blas  # noqa: F401  Numba finds gemm in it

    generator, layers = np.random.default_rng(1), config.layers(len(corpus.vocab))
    H, blocks, n_layer = config.n_hidden, layers[2].blocks, config.n_layer  # pyright: ignore[reportAttributeAccessIssue]
    batches = WordBatches.drawn(corpus.stream("train"), words, 1, shared=False)
    sizes = [batches.packed(step).levels.sizes for step in range(PREPARED)]
    sizes = [of_step[of_step > 0] for of_step in sizes]
    most = max(int(of_step.sum()) for of_step in sizes)

    def random(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32)

    h, gates, logits = random(most, H), random(most, blocks * H), random(most, len(corpus.vocab))
    U, head = random(H, blocks * H), random(H, len(corpus.vocab))

    @numba.njit
    def products(sizes, h, gates, logits, U, head, dU, dhead, n_layer):
        rows = sizes.sum()
        for layer in range(n_layer):
            if layer:  # the input's share, of all tokens at once
                np.dot(h[:rows], U, gates[:rows])
                np.dot(gates[:rows], U.T, h[:rows])
                np.dot(h[:rows].T, gates[:rows], dU)
            begin = 0
            for size in sizes:
                np.dot(h[begin : begin + size], U, gates[begin : begin + size])
                np.dot(gates[begin : begin + size], U.T, h[begin : begin + size])
                begin += size
            np.dot(h[:rows].T, gates[:rows], dU)
        np.dot(h[:rows], head, logits[:rows])
        np.dot(logits[:rows], head.T, h[:rows])
        np.dot(h[:rows].T, logits[:rows], dhead)

    def loop(n: int) -> None:
        with threadpool_limits(threads):
            for i in range(n):
                h.fill(0.5)  # the products of random numbers would grow from step to step
                gates.fill(0.5)
                products(sizes[i % PREPARED], h, gates, logits, U, head, U.copy(), head.copy(), n_layer)

    return loop
