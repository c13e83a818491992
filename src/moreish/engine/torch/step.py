"""A training step in PyTorch over tensors that stay in place, so that a GPU can replay it as one CUDA graph.

In a step of a small model, launching the kernels one by one takes a GPU longer than running them. A CUDA graph records
them once and launches them together. It reads and writes the same memory at every replay, so batch, learning rate,
weights, gradients, moments and loss have tensors of their own, and only their values change.
"""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...layers.dropout import chances
from ...layers.random import CHANCES
from ..batches import Batches
from ..optim import BETA1, BETA2, EPSILON, OPTIMIZERS, average_share
from ..protocol import Steps
from ..rng import key_of_step
from .distributed import BatchShard
from .levels import RowLevels

log = logging.getLogger("moreish")
STAGED_TOKENS = 1 << 16  # tokens and targets that are sent to a GPU together
WARM_UP_STEPS = 3  # steps before a recording, in which libraries allocate their memory

Work = Callable[[], None]


def token_loss(logits: torch.Tensor, targets: torch.Tensor, softness: float = 0.0) -> torch.Tensor:
    """The loss in nats of targets (N K,) under logits (..., V), N rows in all, with K targets for each.

    It is the nll; with softness, in part the cross-entropy against the uniform distribution (see `layers.soft_loss`).
    """
    rows = logits.view(-1, logits.shape[-1])
    softness = chances(softness) / CHANCES
    if len(rows) == len(targets):
        return F.cross_entropy(rows, targets, reduction="none", label_smoothing=softness)
    log_p = rows.log_softmax(1)
    nll = -log_p.gather(1, targets.view(len(rows), -1))
    return (nll.lerp(-log_p.mean(1, keepdim=True), softness) if softness else nll).view(-1)


def recorded(work: Work) -> Work:
    """Record work of the GPU as one CUDA graph. Returns a function that replays it.

    The work is done a few times before the recording; the caller must ignore the results of these.
    """
    before, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(before)
    with torch.cuda.stream(stream), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AdamW warns that it is not recorded yet
        for _ in range(WARM_UP_STEPS):
            work()
    before.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            work()
    except RuntimeError as error:
        torch.cuda.set_stream(before)
        log.warning(
            "a step cannot be recorded as a CUDA graph (%s): its kernels are launched one by one",
            str(error).split("\n")[0],
        )
        return work
    return graph.replay


class Updater(ABC):
    """Makes steps on weights `flat` (P,) with gradients `grads` (n_trained,), to which autograd adds, from any batches.

    steps       the settings of the steps that it will make
    segments    of the weights by their decay: see optim.decay_segments
    record      turns a step into a faster function that does the same: `recorded`, on a GPU
    """

    def __init__(
        self,
        flat: torch.Tensor,
        grads: torch.Tensor,
        steps: Steps,
        segments: Sequence[tuple[int, int, float]],
        record: Callable[[Work], Work] | None = None,
    ):
        self.flat, self.grads = flat, grads
        self.loss = flat.new_zeros(())
        n_moments = OPTIMIZERS[steps.optimizer].n_moments
        self.moments = flat.new_zeros((n_moments + (steps.average > 0), grads.numel()))
        self.numbers = torch.zeros(len(segments), device=flat.device)  # of the steps made, for each segment
        # On a GPU a learning rate in double precision is not possible.
        self.rate = torch.zeros((), dtype=torch.float64 if flat.device.type == "cpu" else None, device=flat.device)
        self.trained = flat[: grads.numel()]
        self.trained.grad = grads
        self.clip = steps.grad_clip
        self.average, self.share = self.moments[n_moments:], flat.new_zeros(())
        weights = [flat[begin:end] for begin, end, _ in segments]
        groups: dict[float, dict[str, Any]] = {}
        for (begin, end, decay), own in zip(segments, weights, strict=True):
            own.grad = grads[begin:end]
            groups.setdefault(decay, {"params": [], "weight_decay": decay})["params"].append(own)
        if steps.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups.values(), self.rate, fused=True)
        else:
            self.optimizer = torch.optim.AdamW(
                *(groups.values(), self.rate, (BETA1, BETA2), EPSILON), fused=True, capturable=record is not None
            )
            for (begin, end, _), own, number in zip(segments, weights, self.numbers, strict=True):
                m, v = self.moments[:2, begin:end]
                self.optimizer.state[own] = {"step": number, "exp_avg": m, "exp_avg_sq": v}
        self._made = self._step if record is None else record(self._step)

    @abstractmethod
    def load(self, batches: Any, steps: Steps, shard: BatchShard) -> Iterator[None]:
        """Take this process's shard of the batch of one step after another."""

    @abstractmethod
    def loss_of_batch(self) -> torch.Tensor:
        """The loss of the shard: the weight of an example is world_size times its fraction of the batch."""

    def _step(self) -> None:
        self.grads.zero_()
        loss = self.loss_of_batch()
        loss.backward()
        self.loss.copy_(loss.detach())
        if self.clip:
            torch.nn.utils.clip_grad_norm_([self.trained], self.clip)
        self.optimizer.step()
        for average in self.average:
            average.lerp_(self.trained, self.share)

    def run(
        self, params: np.ndarray, moments: np.ndarray, batches: Any, steps: Steps, shard: BatchShard
    ) -> torch.Tensor:
        """Make steps from params (P,) and moments, which are not changed. The results are in `flat` and `self.moments`.

        Returns this process's losses (n,). Their mean over the processes is the loss of the batch, and the mean of the
        gradients is its gradient.
        """
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(params))
            self.moments.copy_(torch.from_numpy(moments))
        self.numbers.fill_(steps.first)
        losses = self.flat.new_zeros(len(steps.rates))
        for i, _ in enumerate(self.load(batches, steps, shard)):
            self.rate.fill_(float(steps.rates[i]))
            self.share.fill_(average_share(steps.average, steps.first + i + 1))
            self._made()
            losses[i] = self.loss
        return losses


class Stepper(Updater):
    """Makes steps on batches of contexts, in tensors that stay in place. See `Updater`.

    logits      contexts (B, T) -> logits (B, V) or (B, L, V), from the weights
    shape       (B, T, L) of this process's shard of a batch
    levels_of   (contexts, the step's key) -> the levels of the rows, for layers that go along them
    softness    of the targets
    """

    def __init__(
        self,
        logits: Callable[..., torch.Tensor],
        flat: torch.Tensor,
        grads: torch.Tensor,
        shape: tuple[int, int, int],
        steps: Steps,
        segments: Sequence[tuple[int, int, float]],
        record: Callable[[Work], Work] | None = None,
        levels_of: Callable[[torch.Tensor, int], RowLevels | None] | None = None,
        softness: float = 0.0,
    ):
        B, T, L = shape
        self.softness = softness
        self.levels_of, self.levels = levels_of, None
        self.ahead = max(1, STAGED_TOKENS // (B * (T + L)))  # steps whose batches are sent together
        self.logits = logits
        self.contexts = torch.zeros((B, T), dtype=torch.int64, device=flat.device)
        self.targets = self.contexts.new_zeros(B * L)
        self.weights = flat.new_zeros(B * L)
        self.batch = self.contexts, self.targets, self.weights
        super().__init__(flat, grads, steps, segments, record)

    def loss_of_batch(self) -> torch.Tensor:
        return token_loss(self.logits(self.contexts, self.levels), self.targets, self.softness) @ self.weights

    def load(self, batches: Batches, steps: Steps, shard: BatchShard) -> Iterator[None]:
        for first in range(0, len(steps.rates), self.ahead):
            n = min(self.ahead, len(steps.rates) - first)
            for i, batch in enumerate(zip(*self._staged(batches, steps.first + first, n, shard), strict=True)):
                for fixed, values in zip(self.batch, batch, strict=True):
                    fixed.copy_(values)
                if self.levels_of is not None:
                    key = key_of_step(batches.source.seed, steps.first + first + i)
                    self.levels = self.levels_of(self.contexts, int(key))
                yield

    def _staged(self, batches: Batches, first: int, n: int, shard: BatchShard) -> list[torch.Tensor]:
        """The contexts (n, B, T), targets and weights (n, B L) of n steps, on the device.

        The CPU does not wait for a GPU, which copies from pinned memory; PyTorch keeps this until the copy is made.
        """
        on_gpu = self.flat.is_cuda
        staged = [torch.empty((n, *fixed.shape), dtype=fixed.dtype, pin_memory=on_gpu) for fixed in self.batch]
        contexts, targets, counts = batches.room(self.contexts.shape[1] + 1 - batches.n_places)
        for i, (x, y, weights) in enumerate(zip(*(values.numpy() for values in staged), strict=True)):
            batches.fill(first + i, contexts, targets, counts)
            x[:], y[:] = shard.of(contexts), shard.of(targets).ravel()
            weights[:] = (shard.world_size * shard.of(counts) / counts.sum()).ravel()
        return [values.to(self.flat.device, non_blocking=on_gpu) for values in staged]
