"""The tape engine: a list of layers run by the compiled machine."""

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np

from ..layers import Layer, SoftmaxCrossEntropy
from ..layers.spec import BACKWARD, FORWARD, Y
from ..optim import BETA1, BETA2, EPSILON
from .compiled import compiled, kernel_table, optimizer, walks
from .plan import Plan
from .requests import Draw, Steps

# One size each, however little there is to do: what comes out then does not depend on how much was asked for.
EVALUATION_BATCH = 512
GENERATION_BATCH = 256


class Prepared:
    """A plan with its memory and its kernels, ready to run."""

    def __init__(self, plan: Plan, dtype: type):
        self.plan, self.ops = plan, plan.ops
        columns = (FORWARD, BACKWARD) if plan.gradients else (FORWARD,)
        table = kernel_table(np.unique(self.ops[:, columns]).tolist(), dtype)
        # A buffer begins at a cache line whatever address NumPy was given.
        raw = np.zeros(plan.arena_size + 64 // np.dtype(dtype).itemsize, dtype)
        skip = -raw.ctypes.data % 64 // raw.itemsize
        self.arena = raw[skip : skip + plan.arena_size]
        self.ints = np.zeros(plan.ints_size, np.int64)
        self.walk = (*table, self.ops, self.arena)  # what every function of the machine takes first
        B, T = plan.batch_size, plan.block_size
        self.contexts, self.targets = self.ints[: B * T].reshape(B, T), self.ints[B * T : B * T + B]


class Tape:
    """Runs `layers`, which map contexts (B, block_size) to logits (B, n_vocab), in float32 or float64.

    It works in memory of its own, so threads that share one Tape take turns.
    """

    def __init__(self, layers: Sequence[Layer], block_size: int, n_vocab: int, dtype: type = np.float32):
        self.layers, self.block_size, self.n_vocab, self.dtype = list(layers), block_size, n_vocab, dtype
        self._prepare = cache(self._prepared)
        self._turn = threading.Lock()

    def plan(self, batch_size: int, *, loss: bool = True, gradients: bool = True, fuse: bool = True) -> Plan:
        """The plan for batches of a size: with or without the loss as last operation, and the backward pass."""
        layers = [*self.layers, SoftmaxCrossEntropy(self.n_vocab)] if loss else self.layers
        return Plan(layers, self.block_size, batch_size, fuse=fuse, gradients=gradients)

    def _prepared(self, batch_size: int, loss: bool, gradients: bool, fuse: bool = True) -> Prepared:
        return Prepared(self.plan(batch_size, loss=loss, gradients=gradients, fuse=fuse), self.dtype)

    def prepared(self, batch_size: int, *, fuse: bool) -> Prepared:
        """A plan of one's own for training on batches of a size, with its memory, to be walked step by step."""
        return self._prepared(batch_size, True, True, fuse)

    def loss_and_grads(
        self, params: np.ndarray, contexts: np.ndarray, targets: np.ndarray, *, fuse: bool = True
    ) -> tuple[float, np.ndarray]:
        """The mean nll in nats of targets (B,) after contexts (B, T), and its gradient by params, flat (P,)."""
        with self._turn:
            ready = self._prepare(len(targets), True, True, fuse)
            ready.contexts[:] = contexts
            ready.targets[:] = targets
            grads = np.zeros_like(params)
            for walk in walks(self.dtype):
                walk(*ready.walk, params, grads, ready.ints)
            start = ready.ops[-1, Y]
            return float(ready.arena[start : start + len(targets)].mean(dtype=np.float64)), grads

    def train(self, params: np.ndarray, moments: np.ndarray, stream: np.ndarray, steps: Steps) -> np.ndarray:
        """Make steps, updating params (P,) and moments (n_moments, P), on stream (M,).

        Returns the loss of each step in nats, before its update. It is shorter than the rates by the steps not made
        when a loss is not finite; that loss is the last one, and its step was not made either.
        """
        with self._turn:
            ready = self._prepare(steps.batch_size, True, True)
            losses = np.zeros(len(steps.rates))
            hyper = np.array([steps.weight_decay, BETA1, BETA2, EPSILON])
            step, shape = optimizer(steps.optimizer, self.dtype), (steps.batch_size, self.block_size)
            done = compiled(self.dtype).train(
                *(*ready.walk, params, np.empty_like(params), ready.ints, stream, shape),
                *(step, moments, hyper, steps.seed, steps.first, steps.rates, losses),
            )
            return losses[: done + 1]

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Nothing to say at a point of the log."""
        return {}

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a flat stream (1 + N,) after its first 0, as float64 (N,).

        Raises ValueError for a token that is none of the n_vocab.
        """
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        with self._turn:
            ready = self._prepare(EVALUATION_BATCH, True, False)
            nll = np.zeros(len(stream) - 1)
            shape = (EVALUATION_BATCH, self.block_size)
            compiled(self.dtype).evaluate(*ready.walk, params, ready.ints, stream, shape, nll)
            return nll

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: a flat run of tokens, int32, each word ended by 0. No word is empty or over max_length."""
        with self._turn:
            ready = self._prepare(GENERATION_BATCH, False, False)
            start = ready.ops[-1, Y]
            logits = ready.arena[start : start + GENERATION_BATCH * self.n_vocab].reshape(-1, self.n_vocab)
            # One column more than the longest word: the 0 that ends it.
            words, lengths = np.zeros((n, draw.max_length + 1), np.int32), np.zeros(n, np.int64)
            compiled(self.dtype).generate(
                *(*ready.walk, params, ready.ints, ready.contexts, logits),
                *(np.array(draw.prefix, np.int32), draw.temperature, draw.top_k, draw.seed, draw.max_length),
                *(words, lengths),
            )
            return words[np.arange(draw.max_length + 1) <= lengths[:, None]]
