"""A training step in PyTorch over tensors that stay in place, so that a GPU can replay it as one CUDA graph.

A step of a small model is many kernels that a GPU runs in less time than it takes to launch them one by one. A CUDA
graph records them once and launches them together. It reads and writes the very memory that was recorded: so batch,
learning rate, weights, gradients, moments and loss have tensors of their own, and only their values change.
"""

import logging
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..batches import Batches
from ..optim import BETA1, BETA2, EPSILON, OPTIMIZERS
from ..protocol import Steps
from .distributed import Share

log = logging.getLogger("moreish")
STAGED = 1 << 16  # tokens and targets that are sent to a GPU together
WARM_UP = 3  # steps before a recording, in which libraries allocate what they need

Work = Callable[[], None]


def token_nll(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The nll in nats of targets (N K,) under logits (..., V), N rows in all, with K targets for each."""
    rows = logits.view(-1, logits.shape[-1])
    if len(rows) == len(targets):
        return F.cross_entropy(rows, targets, reduction="none")
    return -rows.log_softmax(1).gather(1, targets.view(len(rows), -1)).view(-1)


def recorded(work: Work) -> Work:
    """What replays some work of the GPU as one CUDA graph. It is done a few times before, and its results are void."""
    before, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(before)
    with torch.cuda.stream(stream), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AdamW wonders why it is not recorded yet
        for _ in range(WARM_UP):
            work()
    before.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            work()
    except RuntimeError as error:
        torch.cuda.set_stream(before)
        log.warning(
            "the GPU cannot record a training step (%s): it launches each kernel anew", str(error).split("\n")[0]
        )
        return work
    return graph.replay


class Stepper:
    """Makes steps on weights `flat` (P,) with gradients `grads` (n_trained,), where autograd puts them.

    logits      contexts (B, T) -> logits (B, V) or (B, L, V), by those weights
    shape       (B, T, L) of a batch: of this process's share of it
    record      makes of a step what does the same faster: `recorded`, on a GPU
    """

    def __init__(
        self,
        logits: Callable[[torch.Tensor], torch.Tensor],
        flat: torch.Tensor,
        grads: torch.Tensor,
        shape: tuple[int, int, int],
        optimizer: str,
        weight_decay: float,
        record: Callable[[Work], Work] | None = None,
    ):
        B, T, L = shape
        self.ahead = max(1, STAGED // (B * (T + L)))  # steps whose batches are sent together
        self.logits, self.flat, self.grads = logits, flat, grads
        self.contexts = torch.zeros((B, T), dtype=torch.int64, device=flat.device)
        self.targets = self.contexts.new_zeros(B * L)
        self.weights = flat.new_zeros(B * L)
        self.batch = self.contexts, self.targets, self.weights
        self.loss = flat.new_zeros(())
        self.moments = flat.new_zeros((OPTIMIZERS[optimizer].n_moments, grads.numel()))
        self.number = torch.zeros((), device=flat.device)  # of the steps made
        # GPUs take no learning rate in double precision.
        self.rate = self.number.to(torch.float64 if flat.device.type == "cpu" else torch.float32, copy=True)
        trained = flat[: grads.numel()]
        trained.grad = grads
        if optimizer == "sgd":
            self.optimizer = torch.optim.SGD([trained], self.rate, weight_decay=weight_decay, fused=True)
        else:
            self.optimizer = torch.optim.AdamW(
                *([trained], self.rate, (BETA1, BETA2), EPSILON, weight_decay),
                fused=True,
                capturable=record is not None,
            )
            state = {"step": self.number, "exp_avg": self.moments[0], "exp_avg_sq": self.moments[1]}
            self.optimizer.state[trained] = state
        self._made = self._step if record is None else record(self._step)

    def _step(self) -> None:
        self.grads.zero_()
        loss = token_nll(self.logits(self.contexts), self.targets) @ self.weights
        loss.backward()
        self.loss.copy_(loss.detach())
        self.optimizer.step()

    def run(
        self, params: np.ndarray, moments: np.ndarray, batches: Batches, steps: Steps, share: Share
    ) -> torch.Tensor:
        """Make steps from weights (P,) and moments, to be found in `flat` and `moments`; these stay as they are.

        Returns this process's losses (n,). Their mean over the processes is the loss of the batch, as the mean of the
        gradients is its gradient: each example weighs as many times its part of the batch as there are processes.
        """
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(params))
            self.moments.copy_(torch.from_numpy(moments))
        self.number.fill_(steps.first)
        losses = self.flat.new_zeros(len(steps.rates))
        for first in range(0, len(losses), self.ahead):
            rates = steps.rates[first : first + self.ahead].tolist()
            staged = self._staged(batches, steps.first + first, len(rates), share)
            for i, (rate, *batch) in enumerate(zip(rates, *staged, strict=True)):
                for fixed, values in zip(self.batch, batch, strict=True):
                    fixed.copy_(values)
                self.rate.fill_(rate)
                self._made()
                losses[first + i] = self.loss
        return losses

    def _staged(self, batches: Batches, first: int, n: int, share: Share) -> list[torch.Tensor]:
        """The contexts (n, B, T), targets and weights (n, B L) of n steps, where they are computed with.

        A GPU is not waited for: it copies from pinned memory, which PyTorch keeps until it has.
        """
        on_gpu = self.flat.is_cuda
        staged = [torch.empty((n, *fixed.shape), dtype=fixed.dtype, pin_memory=on_gpu) for fixed in self.batch]
        contexts, targets, counts = batches.room(self.contexts.shape[1] + 1 - batches.n_places)
        for i, (x, y, weights) in enumerate(zip(*(values.numpy() for values in staged), strict=True)):
            batches.fill(first + i, contexts, targets, counts)
            x[:], y[:] = share.of(contexts), share.of(targets).ravel()
            weights[:] = (share.count * share.of(counts) / counts.sum()).ravel()
        return [values.to(self.flat.device, non_blocking=on_gpu) for values in staged]
