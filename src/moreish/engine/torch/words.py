"""The PyTorch engine for layers that go along words of any length, such as recurrent ones."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from ...layers import LAYERS, Layer, leaves
from ...layers.dropout import chances
from ...layers.levels import N_PAIRS
from ...layers.random import CHANCES
from ..optim import decay_segments
from ..protocol import Steps
from ..states import PrefixStates
from ..words import Packed, WordBatches, ended, pack_words, sorted_words
from .distributed import BatchShard
from .engine import Torch, to_module, traced_gradients
from .levels import RowLevels
from .step import Updater, token_loss

EVALUATION_TOKENS = 1 << 14  # of the words that are evaluated together
PAIRS_OF_ROWS = 1 << 18  # that attention computes together


class WordStepper(Updater):
    """Makes steps on batches of whole words. See `Updater`.

    loss_of     a packed batch, or a part of one -> its share of the batch's loss, from the weights
    """

    def __init__(
        self,
        loss_of: Callable[[Packed], torch.Tensor],
        flat: torch.Tensor,
        grads: torch.Tensor,
        steps: Steps,
        segments: Sequence[tuple[int, int, float]],
    ):
        self.loss_of = loss_of
        super().__init__(flat, grads, steps, segments)

    def load(self, batches: WordBatches, steps: Steps, shard: BatchShard) -> Iterator[None]:
        for i in range(len(steps.rates)):
            self.packed = batches.packed(steps.first + i, part=shard.rank, parts=shard.world_size)
            self.scale = shard.world_size
            yield

    def loss_of_batch(self) -> torch.Tensor:
        return self.scale * self.loss_of(self.packed)


class WordTorch(Torch):
    """Runs `layers`, which map the prefixes of words, level by level, to logits (rows, n_vocab). See `Torch`.

    columns     of a row of contexts: 1 for its token, 2 with the label of its word
    """

    def __init__(
        self, layers: Sequence[Layer], columns: int, n_vocab: int, dtype: type = np.float32, device: str = "cpu"
    ):
        super().__init__(layers, columns, n_vocab, dtype, device, graph=False)
        self._word_stepper = lru_cache(2)(self._make_word_stepper)
        self._states = [size for _, layer in leaves(layers) for size in LAYERS[type(layer)].state(layer)]

    def _make_word_stepper(self, size: int, steps: Steps) -> WordStepper:
        """Make the stepper for batches of `size` words, and for steps with these settings."""
        self._check_size(size)
        segments = decay_segments(self.layout, steps.decay, steps.weight_decay)
        return WordStepper(self._loss, self.flat, self.grads, steps, segments)

    def _stepper_of(self, batches: WordBatches, steps: Steps) -> WordStepper:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._word_stepper(batches.size, steps)

    def _loss_of_pairs(self, packed: Packed) -> torch.Tensor:
        """The loss in nats of each pair of a batch (P,), with targets as soft as the batch says."""
        x, rows, targets = (tensor.to(self.device) for tensor in (torch.from_numpy(packed.contexts), *_pairs(packed)))
        logits = self._trained if self.module.training else self._logits
        of_pairs = logits(x, RowLevels(packed.levels, self.module.training)).flatten(0, -2)[rows]
        if packed.guide is None:
            return token_loss(of_pairs, targets, packed.softness)
        entries = packed.guide.entries(packed.levels.keys[: len(x)])
        q = torch.from_numpy(packed.guide.rows[np.maximum(entries, 0)]).to(of_pairs)[rows]
        soft = torch.from_numpy((entries >= 0) * chances(packed.softness) / CHANCES).to(of_pairs)[rows]
        return token_loss(of_pairs, targets).lerp(F.cross_entropy(of_pairs, q, reduction="none"), soft)

    def _loss(self, packed: Packed) -> torch.Tensor:
        """The sum of the pairs' losses, each weighted by its fraction of the whole batch's counts."""
        return self._loss_of_pairs(packed) @ torch.from_numpy(_weights(packed)).to(self.flat)

    def loss_and_grads_of_words(self, params: np.ndarray, packed: Packed) -> tuple[float, np.ndarray]:
        """The mean loss in nats of a batch, as in training, and its gradient: see `WordTape`."""
        with self._turn:
            self._take(params)
            self.module.train()
            self.grads.zero_()
            loss = self._loss(packed)
            loss.backward()
            return loss.item(), self.grads.cpu().numpy().copy()

    @torch.no_grad()
    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a stream: see `protocol.Reader`."""
        n_tokens, stream = len(stream) - 1, ended(stream, self.n_vocab)
        if not n_tokens:
            return np.zeros(0)
        with self._turn:
            self._take(params)
            self.module.eval()
            words, nll = sorted_words(stream), np.zeros(len(stream) - 1)
            lengths = words.lengths()
            parts = np.cumsum(lengths[words.order] + 1) // self._tokens_at_a_time(int(lengths.max()))
            cuts = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(parts)]
            pairs = np.empty(len(nll), np.int64)
            for first, last in pairwise(cuts):
                pairs.fill(-1)
                of_pairs = self._loss_of_pairs(pack_words(words, first, last, pairs=pairs)).cpu().numpy()
                own = pairs >= 0
                nll[own] = of_pairs[pairs[own]]
            return nll[:n_tokens]

    def _tokens_at_a_time(self, longest: int) -> int:
        """The number of tokens that an evaluation computes together, of words of up to `longest` characters."""
        return EVALUATION_TOKENS

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The state at the beginning of a word: what the layers carry along it, and the logits."""
        return self._read(params, None, np.zeros(1, np.int64))

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states after one more token of each: see `protocol.Reader`."""
        of_layers = torch.from_numpy(states[:, : -self.n_vocab]).to(self.device).split(self._states, 1)
        return self._read(params, list(of_layers), tokens)

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """States (N, W) -> logits (N, n_vocab)."""
        return np.ascontiguousarray(states[:, -self.n_vocab :])

    @torch.no_grad()
    def _read(self, params: np.ndarray, given: list[torch.Tensor] | None, tokens: np.ndarray) -> np.ndarray:
        """Read a token (N,) after each of the given states; None is the start of a word."""
        with self._turn:
            self._take(params)
            self.module.eval()
            levels = RowLevels.of_one(given, len(tokens))
            logits = self._logits(torch.from_numpy(tokens[:, None].astype(np.int64)).to(self.device), levels)
            return torch.cat([*levels.reached, logits.flatten(0, -2)], 1).cpu().numpy()


class PrefixTorch(PrefixStates, WordTorch):
    """Runs layers that look back at all rows of a word. See `WordTorch`."""

    def _tokens_at_a_time(self, longest: int) -> int:
        return 1 + min(EVALUATION_TOKENS, PAIRS_OF_ROWS // (longest + 1))

    @torch.no_grad()
    def logits_of_rows(self, params: np.ndarray, packed: Packed) -> np.ndarray:
        with self._turn:
            self._take(params)
            self.module.eval()
            x = torch.from_numpy(packed.contexts).to(self.device)
            return self._logits(x, RowLevels(packed.levels, False)).flatten(0, -2).cpu().numpy()


def gradients_of_words(layers: Sequence[Layer], params: np.ndarray, packed: Packed) -> dict[str, np.ndarray]:
    """The gradients of `engine.gradients`, for a batch of whole words.

    The output of a layer is (rows, 1, C); the tensors of the loss have a row for each pair.
    """
    module, levels = to_module(layers, torch.from_numpy(params.copy())), RowLevels(packed.levels, training=True)
    rows, targets = _pairs(packed)
    return traced_gradients(module, torch.from_numpy(packed.contexts), levels, rows, targets, _weights(packed))


def _pairs(packed: Packed) -> list[torch.Tensor]:
    """The rows and the targets of a batch's pairs, (P,) each."""
    n = packed.levels.head[N_PAIRS]
    return [torch.from_numpy(values[:n]) for values in (packed.levels.rows, packed.levels.targets)]


def _weights(packed: Packed) -> np.ndarray:
    """The fraction of the whole batch's counts that each pair has, (P,)."""
    return packed.levels.counts[: packed.levels.head[N_PAIRS]] / packed.total
