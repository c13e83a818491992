"""The tape engine: a list of layers run by the compiled machine."""

import threading
from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from ...layers import Layer, SoftmaxCrossEntropy
from ...layers.spec import BACKWARD, FORWARD, Y
from ..batches import Batches
from ..optim import BETA1, BETA2, EPSILON
from ..protocol import Draw, Steps
from ..threads import reserved_threads, run_parallel
from .barrier import make_team
from .compile import compiled, kernel_table, optimizer, walks
from .machine import batch_of
from .plan import Operation, Plan, make_plan
from .shards import parts_of, share

# One size each, however little there is to do: what comes out then does not depend on how much was asked for.
EVALUATION_BATCH = 512
GENERATION_BATCH = 256
# So much of it makes a thread of its own worth while.
EVALUATION_PIECE = 4096  # tokens
GENERATION_PIECE = 128  # words


def from_a_line(n: int, dtype: type) -> np.ndarray:
    """Zeros (n,) that begin at a cache line, whatever address NumPy is given."""
    raw = np.zeros(n + 64 // np.dtype(dtype).itemsize, dtype)
    skip = -raw.ctypes.data % 64 // raw.itemsize
    return raw[skip : skip + n]


class Prepared:
    """A plan with its memory and its kernels, ready to run."""

    def __init__(self, plan: Plan, dtype: type):
        self.plan = plan
        columns = (FORWARD, BACKWARD) if plan.gradients else (FORWARD,)
        self._table = kernel_table(np.unique(plan.ops()[:, 0, columns]).tolist(), dtype)
        self.arena = from_a_line(plan.arena_size, dtype)
        self.grads = from_a_line(plan.parts * plan.grads_size * plan.gradients, dtype)
        self.ints = np.zeros(plan.ints_size, np.int64)
        self.walk = self.walk_by(1)
        self.contexts, self.targets, self.counts = batch_of(self.ints, plan.shape)

    def walk_by(self, threads: int) -> tuple:
        """What every function of the machine takes first."""
        return (*self._table, self.plan.ops(threads), self.arena)

    def take(self, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Put a batch in place: contexts (B, T), targets and counts (B, L) or, if L is 1, (B,); or each counts once."""
        self.contexts[:] = contexts
        self.targets[:] = targets.reshape(self.targets.shape)
        self.counts[:] = 1 if counts is None else counts.reshape(self.counts.shape)

    def buffer(self, op: Operation, column: int) -> np.ndarray:
        """An operation's output (column Y) or its gradient (DY) as a view: (B, *op.out_shape)."""
        assert op.row is not None
        shape = (self.plan.shape[0], *op.out_shape)
        return self.arena[op.row[column] :][: np.prod(shape)].reshape(shape)

    def loss(self) -> float:
        """The mean nll in nats of the batch that was last walked forward."""
        nll = self.buffer(self.plan.operations[-1], Y).reshape(self.counts.shape)
        return float(np.average(nll.astype(np.float64), weights=self.counts))


class Tape:
    """Runs `layers`, which map contexts (B, block_size) to logits (B, n_vocab), in float32 or float64.

    Layers that keep every position take longer contexts too: (B, block_size - 1 + L) give logits (B, L, n_vocab).
    It works in memory of its own, so threads that share one Tape take turns.
    """

    def __init__(self, layers: Sequence[Layer], block_size: int, n_vocab: int, dtype: type = np.float32):
        self.layers, self.block_size, self.n_vocab, self.dtype = list(layers), block_size, n_vocab, dtype
        self._prepare = lru_cache(4)(self._prepared)
        self._crews: dict[tuple, list[Prepared]] = {}
        self._turn = threading.Lock()

    def plan(
        self,
        batch_size: int,
        n_places: int = 1,
        n_targets: int = 1,
        *,
        loss: bool = True,
        gradients: bool = True,
        fuse: bool = True,
    ) -> Plan:
        """The plan for batches of a size, of n_places tokens in a row to predict with n_targets targets each.

        With or without the loss as last operation, and the backward pass.
        """
        layers = [*self.layers, SoftmaxCrossEntropy(self.n_vocab, n_targets)] if loss else self.layers
        shape = (batch_size, self.block_size - 1 + n_places, n_places * n_targets)
        parts = parts_of(layers, *shape[:2]) if gradients and fuse else 1
        return make_plan(layers, shape, parts=parts, fuse=fuse, gradients=gradients)

    def _prepared(
        self, batch_size: int, n_places: int, n_targets: int, loss: bool, gradients: bool, fuse: bool = True
    ) -> Prepared:
        plan = self.plan(batch_size, n_places, n_targets, loss=loss, gradients=gradients, fuse=fuse)
        return Prepared(plan, self.dtype)

    def _crew(self, size: int, batch_size: int, n_targets: int, loss: bool) -> list[Prepared]:
        """A plan for forward passes, with memory for each of `size` threads."""
        crew = self._crews.setdefault((batch_size, n_targets, loss), [])
        crew += [self._prepared(batch_size, 1, n_targets, loss, False) for _ in range(size - len(crew))]
        return crew[:size]

    def prepared(
        self, batch_size: int, n_places: int = 1, n_targets: int = 1, *, gradients: bool = True, fuse: bool
    ) -> Prepared:
        """A plan of one's own for batches of a size, with its memory, to be walked step by step."""
        return self._prepared(batch_size, n_places, n_targets, True, gradients, fuse)

    def loss_and_grads(
        self,
        params: np.ndarray,
        contexts: np.ndarray,
        targets: np.ndarray,
        counts: np.ndarray | None = None,
        *,
        fuse: bool = True,
    ) -> tuple[float, np.ndarray]:
        """The mean nll in nats of targets after contexts, as in training, and its gradient, flat (n_trained,).

        contexts (B, T); targets and counts (B, L K), or (B,) if that is 1, with L = T - block_size + 1 and K targets
        for each. Each target weighs as often as it counts; without counts, once. params (P,) stay as they are.
        """
        with self._turn:
            B, L = len(targets), contexts.shape[1] - self.block_size + 1
            ready = self._prepare(B, L, targets.size // (B * L), True, True, fuse)
            ready.take(contexts, targets, counts)
            params = params.copy()  # training's forward pass updates what layers keep beside the trained
            for walk in walks(self.dtype):
                walk(*ready.walk, params, ready.grads, ready.ints)
            of_parts = ready.grads.reshape(ready.plan.parts, -1)[:, : ready.plan.layout.n_trained]
            return ready.loss(), of_parts.sum(0)

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Batches, steps: Steps) -> np.ndarray:
        """Make steps, updating params (P,) and moments (n_moments, n_trained).

        Returns the loss of each step in nats, before its update. It is shorter than the rates by the steps not made
        when a loss is not finite; that loss is the last one, and its step was not made either.
        """
        with self._turn:
            ready = self._prepare(batches.size, batches.n_places, batches.n_targets, True, True, True)
            if batches.fixed is not None:
                ready.take(*batches.fixed)
            plan, losses = ready.plan, np.zeros(len(steps.rates))
            hyper = np.array([steps.weight_decay, BETA1, BETA2, EPSILON])
            with reserved_threads(plan.parts) as size:
                train = partial(
                    compiled(self.dtype).train,
                    *(*ready.walk_by(size), params, ready.grads, ready.ints, plan.shape),
                    *(batches.stream, batches.starts, batches.seed),
                    *(optimizer(steps.optimizer, self.dtype), moments, hyper, steps.first, steps.rates, losses),
                )
                done = run_parallel([partial(train, row) for row in make_team(size)])[0]
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
            nll, evaluate = np.zeros(len(stream) - 1), compiled(self.dtype).evaluate
            with reserved_threads(len(nll) // EVALUATION_PIECE) as size:
                crew = self._crew(size, EVALUATION_BATCH, self.n_vocab, True)
                run_parallel(
                    [
                        partial(
                            *(evaluate, *ready.walk, params, ready.ints, ready.plan.shape, stream),
                            *(*share(len(nll), 1, place, size), nll),
                        )
                        for place, ready in enumerate(crew)
                    ]
                )
            return nll

    def logits(self, params: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Contexts (N, block_size) -> logits (N, n_vocab)."""
        with self._turn:
            ready = self._prepare(GENERATION_BATCH, 1, 1, False, False)
            forward, logits = walks(self.dtype)[0], np.zeros((len(contexts), self.n_vocab), self.dtype)
            y = ready.buffer(ready.plan.operations[-1], Y).reshape(GENERATION_BATCH, self.n_vocab)
            for first in range(0, len(contexts), GENERATION_BATCH):
                some = contexts[first : first + GENERATION_BATCH]
                ready.contexts[: len(some)] = some
                forward(*ready.walk, params, params, ready.ints)
                logits[first : first + len(some)] = y[: len(some)]
            return logits

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: a flat run of tokens, int32, each word ended by 0. No word is empty or over max_length."""
        with self._turn:
            # One column more than the longest word: the 0 that ends it.
            words, lengths = np.zeros((n, draw.max_length + 1), np.int32), np.zeros(n, np.int64)
            machine, prefix = compiled(self.dtype), np.array(draw.prefix, np.int32)

            def generate(ready: Prepared, first: int, last: int) -> None:
                logits = ready.buffer(ready.plan.operations[-1], Y).reshape(GENERATION_BATCH, self.n_vocab)
                machine.generate(
                    *(*ready.walk, params, ready.ints, ready.contexts, logits),
                    *(prefix, draw.temperature, draw.top_k, draw.top_p, draw.seed, draw.first + first),
                    *(draw.max_length, words[first:last], lengths[first:last]),
                )

            with reserved_threads(n // GENERATION_PIECE) as size:
                crew = self._crew(size, GENERATION_BATCH, 1, False)
                run_parallel([partial(generate, ready, *share(n, 1, place, size)) for place, ready in enumerate(crew)])
            return words[np.arange(draw.max_length + 1) <= lengths[:, None]]
