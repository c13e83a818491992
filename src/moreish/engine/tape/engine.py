"""The tape engine: a list of layers run by the compiled machine."""

import threading
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np

from ...errors import check_finite, not_finite
from ...layers import Layer
from ...layers.levels import DEPTH, REMEMBERED, TRAINING, Levels, levels_of
from ...layers.soft_loss import loss_layer
from ...layers.spec import ROWS, X, Y
from ..batches import Batches
from ..guide import Guide
from ..optim import BETA1, BETA2, EPSILON, decay_segments
from ..protocol import Draw, Steps
from ..states import WindowStates
from ..threads import reserved_threads, run_parallel
from ..words import Packed
from .barrier import thread_group
from .batch import Program, batch_of
from .compile import EVALUATE, GENERATE, TRAIN, Entry, compile_machine, kernel_table, machine_function, optimizer, walks
from .generate import Settings
from .plan import Operation, Plan
from .planner import make_plan
from .shards import bounds, count_shards
from .update import GRADIENTS_PER_BLOCK, Update

# Batches have one size each, however few are computed, so that no result depends on the number.
EVALUATION_BATCH = 512
GENERATION_BATCH = 256
# The least work that is worth a thread of its own.
TOKENS_PER_THREAD = 4096
WORDS_PER_THREAD = 128


def aligned_zeros(n: int, dtype: type) -> np.ndarray:
    """Zeros (n,) that begin at a cache line."""
    raw = np.zeros(n + 64 // np.dtype(dtype).itemsize, dtype)
    skip = -raw.ctypes.data % 64 // raw.itemsize
    return raw[skip : skip + n]


class Prepared:
    """A plan with its memory and its kernels, ready to run."""

    def __init__(self, plan: Plan, dtype: type):
        self.plan = plan
        self._kernels = kernel_table(plan.codes(), dtype)
        self.arena = aligned_zeros(plan.arena_size, dtype)
        self.grads = aligned_zeros(plan.shards * plan.grads_size * plan.gradients, dtype)
        self.ints = plan.new_ints()
        self.guide: Guide | None = None
        self.program = self.program_for(1)
        self.contexts, self.targets, self.counts = batch_of(self.ints, plan.shape)

    @property
    def levels(self) -> Levels:
        """The levels of the rows of the first shard, for layers that go along words."""
        return levels_of(self.ints, int(self.plan.levels[0]))

    def program_for(self, threads: int) -> Program:
        """The plan as the compiled machine takes it, for a number of threads."""
        return Program(*self._kernels, self.plan.ops(threads), self.arena, self.ints, self.plan.shape, self.plan.levels)

    def take(self, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Set the batch: contexts (B, T), targets and counts (B, L), or (B,) if L is 1. Counts are 1 by default."""
        self.contexts[:] = contexts
        self.targets[:] = targets.reshape(self.targets.shape)
        self.counts[:] = 1 if counts is None else counts.reshape(self.counts.shape)

    def follow(self, guide: Guide | None) -> None:
        """Set the guide of a plan that has room for one. It is copied if it is another one than before."""
        D, n = self.plan.guide
        if D and guide is not None and guide is not self.guide:
            self.ints[self.ints.size - D :] = guide.keys
            self.arena[self.arena.size - D * n :] = guide.rows.ravel()
            self.guide = guide

    def hold(self, packed: Packed) -> None:
        """Set the batch of a plan for whole words."""
        self.follow(packed.guide)
        n = len(packed.contexts)
        self.contexts[:n] = packed.contexts
        self.program.ops[:, 0, ROWS] = n
        self.levels.head[:TRAINING] = packed.levels.head[:TRAINING]
        self.levels.head[[REMEMBERED, DEPTH]] = 0
        for ours, theirs in zip(self.levels[1:], packed.levels[1:], strict=True):
            size = min(len(ours), len(theirs))
            ours[:size] = theirs[:size]

    def buffer(self, op: Operation, column: int) -> np.ndarray:
        """An operation's output (column Y) or its gradient (DY) as a view: (B, *op.out_shape)."""
        assert op.row is not None
        shape = (self.plan.shape[0], *op.out_shape)
        return self.arena[op.row[column] :][: np.prod(shape)].reshape(shape)

    def input_of(self, op: Operation) -> np.ndarray:
        """An operation's input as a view: (B, *op.in_shape)."""
        assert op.row is not None
        shape = (self.plan.shape[0], *op.in_shape)
        return self.arena[op.row[X] :][: np.prod(shape)].reshape(shape)

    def loss(self) -> float:
        """The mean nll in nats of the batch in the last forward pass."""
        nll = self.buffer(self.plan.operations[-1], Y).reshape(self.counts.shape)
        return float(np.average(nll.astype(np.float64), weights=self.counts))


class Tape(WindowStates):
    """Runs `layers`, which map contexts (B, block_size) to logits (B, n_vocab), in float32 or float64.

    See `protocol` for the methods of every engine. Layers that keep every position take longer contexts too:
    (B, block_size - 1 + L) give logits (B, L, n_vocab). `shards` is the number of shards of a training batch; by
    default it is the fastest for the layers and the batch size. Threads that share one Tape take turns.
    """

    # The machine's functions that train and draw words.
    training: ClassVar[Entry] = TRAIN
    drawing: ClassVar[Entry] = GENERATE

    def __init__(
        self,
        layers: Sequence[Layer],
        block_size: int,
        n_vocab: int,
        dtype: type = np.float32,
        *,
        shards: int | None = None,
    ):
        self.layers, self.block_size, self.n_vocab, self.dtype = list(layers), block_size, n_vocab, dtype
        self.shards = shards
        self._prepare = lru_cache(4)(self._prepared)
        self._replicas: dict[tuple[int, int, bool], list[Prepared]] = {}
        self._turn = threading.Lock()
        self._may_train = False  # True once everything that follows a training is compiled, too

    def plan(
        self,
        batch_size: int,
        n_places: int = 1,
        n_targets: int = 1,
        *,
        loss: bool = True,
        gradients: bool = True,
        fuse: bool = True,
        softness: float = 0.0,
    ) -> Plan:
        """Plan batches of a size, each example with n_places tokens in a row to predict and n_targets targets for each.

        The plan is with or without the loss as its last operation, and with or without the backward pass. softness is
        that of the targets: see `layers.soft_loss`.
        """
        layers = [*self.layers, loss_layer(self.n_vocab, n_targets, softness)] if loss else self.layers
        shape = (batch_size, self.block_size - 1 + n_places, n_places * n_targets)
        shards = (self.shards or count_shards(layers, *shape[:2])) if gradients and fuse else 1
        return make_plan(layers, shape, shards=shards, fuse=fuse, gradients=gradients)

    def _prepared(
        self,
        batch_size: int,
        n_places: int,
        n_targets: int,
        loss: bool,
        gradients: bool,
        fuse: bool = True,
        softness: float = 0.0,
    ) -> Prepared:
        plan = self.plan(batch_size, n_places, n_targets, loss=loss, gradients=gradients, fuse=fuse, softness=softness)
        return Prepared(plan, self.dtype)

    def _replicated(self, threads: int, batch_size: int, n_targets: int, loss: bool) -> list[Prepared]:
        """A plan for forward passes, with memory of its own for each thread."""
        replicas = self._replicas.setdefault((batch_size, n_targets, loss), [])
        if not replicas:
            plan = self.plan(batch_size, 1, n_targets, loss=loss, gradients=False)
            compile_machine([EVALUATE if loss else GENERATE], [plan], [], self.dtype)
        replicas += [self._prepared(batch_size, 1, n_targets, loss, False) for _ in range(threads - len(replicas))]
        return replicas[:threads]

    def prepared(
        self,
        batch_size: int,
        n_places: int = 1,
        n_targets: int = 1,
        *,
        gradients: bool = True,
        fuse: bool,
        softness: float = 0.0,
    ) -> Prepared:
        """A new plan for batches of a size, with memory of its own, for a caller that runs single operations."""
        return self._prepared(batch_size, n_places, n_targets, True, gradients, fuse, softness)

    def loss_and_grads(
        self,
        params: np.ndarray,
        contexts: np.ndarray,
        targets: np.ndarray,
        counts: np.ndarray | None = None,
        *,
        fuse: bool = True,
        softness: float = 0.0,
    ) -> tuple[float, np.ndarray]:
        """The mean loss in nats of targets after contexts, as in training, and its gradient, flat (n_trained,).

        contexts (B, T); targets and counts (B, L K), or (B,) if L K is 1, with L = T - block_size + 1 places and K
        targets for each. counts are the weights of the targets; they are 1 by default. With softness 0 the loss is the
        mean nll: see `layers.soft_loss`. params (P,) are not changed.
        """
        with self._turn:
            B, L = len(targets), contexts.shape[1] - self.block_size + 1
            ready = self._prepare(B, L, targets.size // (B * L), True, True, fuse, softness)
            ready.take(contexts, targets, counts)
            params = params.copy()  # in training, the forward pass updates the parameters that are not trained
            for walk in walks(self.dtype):
                walk(ready.program, params, ready.grads)
            of_shards = ready.grads.reshape(ready.plan.shards, -1)[:, : ready.plan.layout.n_trained]
            return ready.loss(), of_shards.sum(0)

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Batches, steps: Steps) -> np.ndarray:
        """Make steps: see `protocol.Engine`. The result is the same, bit for bit, for any number of threads."""
        with self._turn:
            if not self._may_train:
                self._compile_for_training(batches, steps.optimizer)
                self._may_train = True
            ready = self._ready_to_train(batches)
            plan, losses = ready.plan, np.zeros(len(steps.rates))
            segments = decay_segments(plan.layout, steps.decay, steps.weight_decay)
            update = Update(
                optimizer(steps.optimizer, self.dtype),
                moments,
                np.array([end for _, end, _ in segments], np.int64),
                np.array([[decay, BETA1, BETA2, EPSILON, 1] for _, _, decay in segments]).ravel(),
                float(steps.grad_clip),
                np.zeros(-(-plan.layout.n_trained // GRADIENTS_PER_BLOCK)),
                moments[-1] if steps.average else np.zeros(0, moments.dtype),
                float(steps.average),
            )
            with reserved_threads(plan.shards) as threads:
                train = partial(
                    machine_function(self.training, self.dtype),
                    ready.program_for(threads),
                    params,
                    ready.grads,
                    batches.source,
                    update,
                    steps.first,
                    steps.rates,
                    losses,
                )
                done = run_parallel([partial(train, thread) for thread in thread_group(threads)])[0]
            return losses[: done + 1]

    def plan_of(self, batches: Batches, *, fuse: bool = True) -> Plan:
        """Plan the training on batches."""
        return self.plan(batches.size, batches.n_places, batches.n_targets, fuse=fuse, softness=batches.softness)

    def _compile_for_training(self, batches: Batches, optimizer: str) -> None:
        """Compile all that a training needs, and what follows it."""
        plans = [
            self.plan_of(batches),
            self.plan(EVALUATION_BATCH, 1, self.n_vocab, gradients=False),
            self.plan(GENERATION_BATCH, loss=False, gradients=False),
        ]
        compile_machine([TRAIN, GENERATE, EVALUATE], plans, [optimizer], self.dtype)

    def _ready_to_train(self, batches: Batches) -> Prepared:
        """Prepare the plan of a training step."""
        shape = batches.size, batches.n_places, batches.n_targets
        ready = self._prepare(*shape, True, True, True, batches.softness)
        if batches.fixed is not None:
            ready.take(*batches.fixed)
        return ready

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Return an empty dictionary: the tape has nothing to add to the log."""
        return {}

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a stream: see `protocol.Reader`."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        with self._turn:
            nll, evaluate = np.zeros(len(stream) - 1), machine_function(EVALUATE, self.dtype)
            with reserved_threads(len(nll) // TOKENS_PER_THREAD) as threads:
                replicas = self._replicated(threads, EVALUATION_BATCH, self.n_vocab, True)
                run_parallel(
                    [
                        partial(evaluate, ready.program, params, stream, *bounds(len(nll), 1, thread, threads), nll)
                        for thread, ready in enumerate(replicas)
                    ]
                )
            return nll

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """States, which are contexts (N, block_size) -> logits (N, n_vocab)."""
        with self._turn:
            ready = self._prepare(GENERATION_BATCH, 1, 1, False, False)
            forward, logits = walks(self.dtype)[0], np.zeros((len(states), self.n_vocab), self.dtype)
            y = ready.buffer(ready.plan.operations[-1], Y).reshape(GENERATION_BATCH, self.n_vocab)
            for first in range(0, len(states), GENERATION_BATCH):
                some = states[first : first + GENERATION_BATCH]
                ready.contexts[: len(some)] = some
                forward(ready.program, params, params)
                logits[first : first + len(some)] = y[: len(some)]
            check_finite(logits)
            return logits

    def _drawing(self, threads: int, max_length: int) -> list[Prepared]:
        """A plan that draws words of up to max_length characters, with memory of its own for each thread."""
        return self._replicated(threads, GENERATION_BATCH, 1, False)

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: see `protocol.Reader`."""
        with self._turn:
            # One column more than the longest word, for the 0 that ends it.
            words, lengths = np.zeros((n, draw.max_length + 1), np.int32), np.zeros(n, np.int64)
            compiled_generate = machine_function(self.drawing, self.dtype)
            prefix = np.array(draw.prefix, np.int32)

            def generate(ready: Prepared, first: int, last: int) -> None:
                logits = ready.buffer(ready.plan.operations[-1], Y).reshape(-1, self.n_vocab)
                settings = Settings(
                    prefix,
                    float(draw.temperature),
                    draw.top_k,
                    float(draw.top_p),
                    draw.seed,
                    draw.first + first,
                    draw.max_length,
                )
                compiled_generate(ready.program, params, logits, settings, words[first:last], lengths[first:last])

            with reserved_threads(n // WORDS_PER_THREAD) as threads:
                replicas = self._drawing(threads, draw.max_length)
                run_parallel([partial(generate, ready, *bounds(n, 1, i, threads)) for i, ready in enumerate(replicas)])
            if draw.max_length and not lengths.all():  # a word is empty only if its first weights were not numbers
                raise not_finite()
            return words[np.arange(draw.max_length + 1) <= lengths[:, None]]
