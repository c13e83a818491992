"""The tape engine for layers that go along words of any length, such as recurrent ones."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np

from ...corpus import END
from ...errors import InputError, check_finite
from ...layers import LAYERS, Layer, NGramCrossEntropy, leaves
from ...layers.levels import FROM_START, N_LEVELS, N_PAIRS
from ...layers.ngram_loss import strength_of
from ...layers.soft_loss import loss_layer
from ...layers.spec import AUX0, ROWS, STATE0, Y
from ..guide import Guide
from ..states import LONGEST_PREFIX, PrefixStates
from ..threads import reserved_threads, run_parallel
from ..words import Packed, WordBatches, ended, sorted_words
from .compile import EVALUATE_WORDS, GENERATE_WORDS, TRAIN_WORDS, Entry, compile_machine, machine_function, walks
from .engine import TOKENS_PER_THREAD, Prepared, Tape
from .plan import Operation, Plan
from .planner import make_plan
from .shards import GRAIN, bounds, count_word_shards

# Rows that plans without gradients have room for. Layers are fused for that number, however few rows are used, so that
# no result depends on how many they are.
EVALUATION_ROWS = 1024
EVALUATION_LEVELS = 256  # of words with up to 255 characters; longer ones have a plan of their own
GENERATION_ROWS = 2048
GENERATION_MEMORY = 1 << 14  # rows that layers which look back remember; more for words that are longer than that
LONGEST_READ = 4096  # characters of a word that layers which look back can read


class WordTape(Tape):
    """Runs `layers`, which map the prefixes of words, level by level, to logits (rows, n_vocab). See `Tape`.

    columns     of a row of contexts: 1 for its token, 2 with the label of its word
    inside      the log-probabilities of an n-gram that `nll` reads inside the net, for all pairs of its stream; None,
                unless it is set, for a net alone
    """

    training: ClassVar[Entry] = TRAIN_WORDS
    drawing: ClassVar[Entry] = GENERATE_WORDS

    def __init__(
        self,
        layers: Sequence[Layer],
        columns: int,
        n_vocab: int,
        dtype: type = np.float32,
        *,
        shards: int | None = None,
    ):
        super().__init__(layers, columns, n_vocab, dtype, shards=shards)
        self.inside: Guide | None = None
        self._word_plans = lru_cache(4)(lambda *shape, **kind: Prepared(self.plan_words(*shape, **kind), self.dtype))
        self._of_threads: dict[tuple[int, int, bool, int], list[Prepared]] = {}

    def plan_words(
        self,
        room: int,
        max_levels: int,
        shards: int = 1,
        loss: bool = True,
        gradients: bool = True,
        fuse: bool = True,
        memory: int = 0,
        softness: float = 0.0,
        entries: int = 0,
        inside: bool = False,
    ) -> Plan:
        """Plan batches of whole words, with room for a number of rows in each shard and for a number of levels.

        memory              the rows of levels before that layers which look back remember
        softness, entries   of the targets, and of their guide: see `layers.soft_loss`
        inside              the entries are those of an n-gram inside the net: see `layers.ngram_loss`
        """
        layers = self.layers
        if loss:
            of_net = loss_layer(self.n_vocab, 0, softness, entries)
            layers = [*layers, NGramCrossEntropy(self.n_vocab, entries) if inside else of_net]
        rows = -(-room // GRAIN) * GRAIN * shards
        shape = (rows, self.block_size, 0)
        return make_plan(
            layers, shape, max_levels=max_levels, memory=memory, shards=shards, fuse=fuse, gradients=gradients
        )

    def _training_plan(self, batches: WordBatches) -> tuple[int, int, int]:
        """Return the arguments of `plan_words` for training."""
        shards = self.shards or count_word_shards(self.layers, batches.tokens, self.block_size)
        return batches.room(shards), batches.longest + 1, shards

    def plan_of(self, batches: WordBatches, *, fuse: bool = True) -> Plan:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Plan the training on batches of words."""
        return self.plan_words(*self._training_plan(batches), fuse=fuse, **_targets_of(batches))

    def _compile_for_training(self, batches: WordBatches, optimizer: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        plans = [
            self.plan_of(batches),
            self.plan_words(EVALUATION_ROWS, 1, gradients=False),
            self.plan_words(GENERATION_ROWS, 1, loss=False, gradients=False),
        ]
        parts = [TRAIN_WORDS, GENERATE_WORDS, EVALUATE_WORDS]
        compile_machine(parts, plans, [optimizer], self.dtype)

    def _ready_to_train(self, batches: WordBatches) -> Prepared:  # pyright: ignore[reportIncompatibleMethodOverride]
        ready = self._word_plans(*self._training_plan(batches), **_targets_of(batches))
        ready.follow(batches.guide)
        return ready

    def _replicas_of(self, threads: int, room: int, max_levels: int, loss: bool, memory: int = 0) -> list[Prepared]:
        """A plan for forward passes, with memory of its own for each thread."""
        replicas: list[Prepared] = []
        # Plans for longer words are large, and not kept.
        if max_levels <= EVALUATION_LEVELS and memory <= GENERATION_MEMORY:
            replicas = self._of_threads.setdefault((room, max_levels, loss, memory), replicas)
        if len(replicas) < threads:
            kind = _kind_of(self.inside) if loss else {}
            plan = self.plan_words(room, max_levels, loss=loss, gradients=False, memory=memory, **kind)
            replicas += [Prepared(plan, self.dtype) for _ in range(threads - len(replicas))]
        return replicas[:threads]

    def prepared_words(self, packed: Packed, *, gradients: bool = True, fuse: bool = False) -> "PreparedWords":
        """A new plan with memory of its own that holds a batch, for a caller that runs single operations."""
        head = packed.levels.head
        room = max(len(packed.contexts), int(head[N_PAIRS]))
        plan = self.plan_words(room, int(head[N_LEVELS]), gradients=gradients, fuse=fuse, **_targets_of(packed))
        return PreparedWords(plan, self.dtype, packed)

    def loss_and_grads_of_words(
        self, params: np.ndarray, packed: Packed, *, fuse: bool = True
    ) -> tuple[float, np.ndarray]:
        """The mean loss in nats of a batch, as in training, and its gradient, flat (n_trained,)."""
        with self._turn:
            ready = self.prepared_words(packed, fuse=fuse)
            for walk in walks(self.dtype):
                walk(ready.program, params, ready.grads)
            return ready.loss(), ready.grads[: ready.plan.layout.n_trained].copy()

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a stream: see `protocol.Reader`."""
        n_tokens, stream = len(stream) - 1, ended(stream, self.n_vocab)
        if not n_tokens:
            return np.zeros(0)
        with self._turn:
            words, nll = sorted_words(stream), np.zeros(len(stream) - 1)
            n_levels = max(EVALUATION_LEVELS, 1 + int(words.lengths().max()))
            evaluate, room = machine_function(EVALUATE_WORDS, self.dtype), max(EVALUATION_ROWS, n_levels)
            with reserved_threads(len(nll) // TOKENS_PER_THREAD) as threads:
                replicas = self._replicas_of(threads, room, n_levels, True)
                for ready in replicas:
                    ready.follow(self.inside)
                calls = [
                    partial(evaluate, ready.program, params, words, *bounds(len(words.order), 1, thread, threads), nll)
                    for thread, ready in enumerate(replicas)
                ]
                run_parallel(calls)
            return nll[:n_tokens]

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Return the strength of the n-gram inside the net, if there is one."""
        return {} if self.inside is None else {"strength": strength_of(params)}

    @property
    def state_size(self) -> int:
        """Numbers in a state: what the layers carry from one character to the next, and the logits."""
        return sum(sum(LAYERS[type(layer)].state(layer)) for _, layer in leaves(self.layers)) + self.n_vocab

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The state at the beginning of a word: see `protocol.Reader`."""
        return self._stepped(params, None, np.zeros(1, np.int64))

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states after one more token of each: see `protocol.Reader`. Raises ValueError for an unknown token."""
        if tokens.min(initial=0) < 0 or tokens.max(initial=0) >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        return self._stepped(params, states, tokens)

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """States (N, state_size) -> logits (N, n_vocab)."""
        logits = np.ascontiguousarray(states[:, -self.n_vocab :])
        check_finite(logits)
        return logits

    def _stepped(self, params: np.ndarray, states: np.ndarray | None, tokens: np.ndarray) -> np.ndarray:
        """Read a token (N,) after each state; None is the start of a word."""
        with self._turn:
            (ready,) = self._replicas_of(1, GENERATION_ROWS, 1, False)
            forward, found = walks(self.dtype)[0], np.zeros((len(tokens), self.state_size), self.dtype)
            levels, ops = ready.levels, ready.program.ops
            for first in range(0, len(tokens), GENERATION_ROWS):
                some = slice(first, first + GENERATION_ROWS)
                n = len(tokens[some])
                ready.contexts[:n, 0] = tokens[some]
                levels.parents[:n] = np.arange(n)
                levels.head[N_LEVELS : FROM_START + 1] = 1, 0, 1, n, states is None
                levels.begins[0], levels.sizes[0], levels.alive[0] = 0, n, 0
                ops[:, 0, ROWS] = n
                places = list(self._places_of_states(ready, n))
                if states is not None:
                    for columns, given, _ in places:
                        given[:] = states[some, columns]
                forward(ready.program, params, params)
                for columns, _, reached in places:
                    found[some, columns] = reached
                found[some, -self.n_vocab :] = ready.buffer(ready.plan.operations[-1], Y).reshape(-1, self.n_vocab)[:n]
            return found

    def _places_of_states(self, ready: Prepared, n: int):
        """Yield the columns of each array of states, and the n rows of it that a level continues and reaches."""
        first = 0
        for op in ready.plan.operations:
            for number, size in enumerate(LAYERS[type(op.layer)].state(op.layer)):
                assert op.row is not None
                given, reached = (
                    ready.arena[op.row[column] :][: n * size].reshape(n, size)
                    for column in (STATE0 + number, Y if number == 0 else AUX0)
                )
                yield slice(first, first + size), given, reached
                first += size

    def _drawing(self, threads: int, max_length: int) -> list[Prepared]:
        return self._replicas_of(threads, GENERATION_ROWS, 1, False)


class PrefixTape(PrefixStates, WordTape):
    """Runs layers that look back at all rows of a word. See `WordTape`.

    The time that a word takes grows with the square of its length: `nll` raises InputError for one with more than
    LONGEST_READ characters.
    """

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        longest = int(np.diff(np.flatnonzero(stream == END), prepend=0, append=len(stream)).max()) - 1
        if longest > LONGEST_READ:
            reason = f"a word of {longest:,} characters is too long for a model that looks back at all of a word"
            raise InputError(reason, f"give words of at most {LONGEST_READ:,} characters, or use another model")
        return super().nll(params, stream)

    def logits_of_rows(self, params: np.ndarray, packed: Packed) -> np.ndarray:
        with self._turn:
            rows, n_levels = len(packed.contexts), int(packed.levels.head[N_LEVELS])
            room = 1 << max(8, (rows - 1).bit_length())  # few different plans
            (ready,) = self._replicas_of(1, room, max(n_levels, LONGEST_PREFIX + 1), False)
            ready.hold(packed)
            walks(self.dtype)[0](ready.program, params, params)
            return ready.buffer(ready.plan.operations[-1], Y).reshape(-1, self.n_vocab)[:rows].copy()

    def _drawing(self, threads: int, max_length: int) -> list[Prepared]:
        memory = max(GENERATION_MEMORY, max_length + 1)
        return self._replicas_of(threads, GENERATION_ROWS, 1, False, memory)


def _targets_of(batch: WordBatches | Packed) -> dict[str, Any]:
    """The arguments of `plan_words` for the targets of a batch."""
    return {"softness": batch.softness, **_kind_of(batch.guide)}


def _kind_of(guide: Guide | None) -> dict[str, Any]:
    """The arguments of `plan_words` for a guide."""
    return {} if guide is None else {"entries": len(guide.keys), "inside": guide.inside}


class PreparedWords(Prepared):
    """A plan with one shard that holds a batch of whole words."""

    def __init__(self, plan: Plan, dtype: type, packed: Packed):
        super().__init__(plan, dtype)
        self.n_rows = len(packed.contexts)
        self.hold(packed)

    def buffer(self, op: Operation, column: int) -> np.ndarray:
        """An operation's output (column Y) or its gradient (DY): (rows, *op.out_shape), or (pairs,) of the loss."""
        if LAYERS[type(op.layer)].reads == "targets":
            assert op.row is not None
            return self.arena[op.row[column] :][: self.levels.head[N_PAIRS]]
        return super().buffer(op, column)[: self.n_rows]

    def input_of(self, op: Operation) -> np.ndarray:
        """An operation's input as a view: (rows, *op.in_shape)."""
        return super().input_of(op)[: self.n_rows]

    def loss(self) -> float:
        """The mean loss in nats of the batch in the last forward pass."""
        nll = self.buffer(self.plan.operations[-1], Y)
        return float(np.average(nll.astype(np.float64), weights=self.levels.counts[: len(nll)]))
