"""The PyTorch engine: the same list of layers over the same flat vector of weights, differentiated by autograd.

It is the reference for the tape. The forward pass of a layer in PyTorch is in the layer's own file, and PyTorch derives
the backward pass. Batches, learning rates and the run folder are the same as the tape's. With several processes (see
`distributed`), each computes a shard of a batch, and DistributedDataParallel takes the mean of their gradients.
Importing this module needs PyTorch, which the extra `moreish[torch]` installs.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from ...errors import InputError
from ...layers import LAYERS, Layer, SoftmaxCrossEntropy, leaves
from ...layers.layout import Layout
from ..batches import Batches, windows
from ..optim import decay_segments
from ..picking import draw_words
from ..protocol import Draw, Steps
from ..states import WindowStates
from ..threads import chosen
from .distributed import batch_shard
from .levels import RowLevels
from .module import Part, TorchNet, TorchResidual, parts_of, to_module, view
from .step import Stepper, recorded, token_loss

EVALUATION_BATCH = 4096
log = logging.getLogger("moreish")


def choose_device(wanted: str) -> str:
    """Choose a device: `auto` is the GPU if there is one. For a missing device, log a warning and return the CPU."""
    mps = torch.backends.mps.is_available() and batch_shard().world_size == 1  # processes cannot communicate over mps
    available = {"cuda": torch.cuda.is_available(), "mps": mps, "cpu": True}
    if wanted == "auto":
        return next(name for name, is_available in available.items() if is_available)
    if not available[wanted]:
        log.warning("device %s is not available: using the CPU", wanted)
        return "cpu"
    return wanted


class Torch(WindowStates):
    """Runs `layers` in PyTorch. See `protocol` for the methods of every engine.

    device      auto, cpu, cuda or mps
    compile     compile the module with torch.compile
    graph       on a GPU, replay each training step as one CUDA graph
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        block_size: int,
        n_vocab: int,
        dtype: type = np.float32,
        device: str = "cpu",
        compile: bool = False,
        graph: bool = True,
    ):
        self.block_size, self.n_vocab, self.dtype, self.device = block_size, n_vocab, dtype, choose_device(device)
        if (threads := chosen()) is not None:
            torch.set_num_threads(threads)
        self.layout, like = Layout(layers), torch.from_numpy(np.zeros(0, dtype))
        self.flat = torch.zeros(self.layout.size, dtype=like.dtype, device=self.device)
        self.grads = torch.zeros(self.layout.n_trained, dtype=like.dtype, device=self.device)
        self.module = to_module(layers, self.flat)
        trained = [slot for slot in self.layout if slot.parameter.trained]
        for parameter, slot in zip(self.module.parameters(), trained, strict=True):
            parameter.grad = view(self.grads, slot)  # autograd adds to it in place: all gradients in one flat vector
        self._logits: Callable[..., torch.Tensor] = torch.compile(self.module) if compile else self.module
        self._trained, self.shard = self._logits, batch_shard()
        self._normalised = any(LAYERS[type(layer)].batch_statistics for _, layer in leaves(layers))
        if self.shard.world_size > 1:
            self._trained = DistributedDataParallel(self._logits)
            if self._normalised:
                log.info("BatchNorm normalises with the statistics of each process's share of the batch")
        # A graph cannot be recorded where processes wait for each other in the middle of a step, nor with random masks.
        graph = graph and self.device == "cuda" and self.shard.world_size == 1 and not self.module.along
        self._record = recorded if graph else None
        self._stepper = lru_cache(2)(self._make_stepper)
        self._turn = threading.RLock()

    def _stepper_of(self, batches: Batches, steps: Steps) -> Stepper:
        return self._stepper(batches.size, batches.n_places, batches.n_targets, steps, batches.softness)

    def _check_size(self, size: int) -> None:
        """Raise InputError for batches of a size that the processes cannot share."""
        least = 1 + self._normalised
        if size // self.shard.world_size < least:
            raise InputError(
                f"a batch of {size} is too small for {self.shard.world_size} processes: "
                f"each needs {least} of its examples at least (--batch-size)"
            )

    def _make_stepper(self, size: int, n_places: int, n_targets: int, steps: Steps, softness: float) -> Stepper:
        """Make the stepper for batches of `size` examples, and for steps with these settings."""
        self._check_size(size)
        own = len(self.shard.of(np.empty(size)))
        shape = (own, self.block_size - 1 + n_places, n_places * n_targets)
        segments = decay_segments(self.layout, steps.decay, steps.weight_decay)
        levels_of = self.module.levels_of if self.module.along else None
        return Stepper(self._trained, self.flat, self.grads, shape, steps, segments, self._record, levels_of, softness)

    def _losses_of(self, contexts: np.ndarray, targets: np.ndarray, softness: float = 0.0) -> torch.Tensor:
        x, y = (torch.from_numpy(a).to(self.device) for a in (contexts, targets))
        return token_loss(self._logits(x), y.view(-1), softness)

    def _take(self, params: np.ndarray) -> None:
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(params))

    def loss_and_grads(
        self,
        params: np.ndarray,
        contexts: np.ndarray,
        targets: np.ndarray,
        counts: np.ndarray | None = None,
        *,
        softness: float = 0.0,
    ) -> tuple[float, np.ndarray]:
        """The mean loss in nats of targets after contexts, and its gradient: see `Tape.loss_and_grads`."""
        counts = np.ones_like(targets) if counts is None else counts
        with self._turn:
            self._take(params)
            self.module.train()
            self.grads.zero_()
            weights = torch.from_numpy(counts / counts.sum()).view(-1).to(self.flat)
            loss = self._losses_of(contexts, targets, softness) @ weights
            loss.backward()
            return loss.item(), self.grads.cpu().numpy().copy()

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Batches, steps: Steps) -> np.ndarray:
        """Make steps with PyTorch's own optimizers: see `protocol.Engine`."""
        with self._turn:
            self.module.train()
            stepper = self._stepper_of(batches, steps)
            losses = self._losses(stepper.run(params, moments, batches, steps, self.shard))
            bad = np.flatnonzero(~np.isfinite(losses))
            if bad.size:  # checking each loss at once would mean waiting for the GPU: the good steps are made again
                losses, before = losses[: bad[0] + 1], replace(steps, rates=steps.rates[: bad[0]])
                stepper.run(params, moments, batches, before, self.shard)
            params[:] = self.flat.cpu().numpy()
            moments[:] = stepper.moments.cpu().numpy()
            return losses

    def _losses(self, own: torch.Tensor) -> np.ndarray:
        """The losses of the batches (n,), float64, from the losses of this process's own shards."""
        if self.shard.world_size > 1:
            distributed.all_reduce(own)
            own /= self.shard.world_size
        return own.cpu().numpy().astype(np.float64)

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Return an empty dictionary: PyTorch has nothing to add to the log."""
        return {}

    @torch.no_grad()
    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a stream: see `protocol.Reader`."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        with self._turn:
            self._take(params)
            self.module.eval()
            out = np.zeros(len(stream) - 1)
            for start in range(0, len(out), EVALUATION_BATCH):
                n = min(EVALUATION_BATCH, len(out) - start)
                contexts, targets = np.zeros((n, self.block_size), np.int64), np.zeros(n, np.int64)
                windows(stream, 1 + start, n, contexts, targets)
                out[start : start + n] = self._losses_of(contexts, targets).cpu().numpy()
            return out

    @torch.no_grad()
    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """States, which are contexts (N, block_size) -> logits (N, n_vocab)."""
        with self._turn:
            self._take(params)
            self.module.eval()
            return self._logits(torch.from_numpy(states).to(self.device)).view(-1, self.n_vocab).cpu().numpy()

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: the tape's random numbers decide, from probabilities that PyTorch computes."""
        return draw_words(self, params, n, draw)


def gradients(
    layers: Sequence[Layer], params: np.ndarray, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Autograd's gradients of the mean nll by every parameter, every layer's output, and every small step of a layer.

    Names are as in `gradcheck`: `2.linear.W`, `2.linear.out`, `3.batchnorm1d.xhat`, `loss.probs`.
    """
    module, x = to_module(layers, torch.from_numpy(params.copy())), torch.from_numpy(contexts)
    all_rows, weights = slice(None), counts.ravel() / counts.sum()
    return traced_gradients(module, x, module.levels_of(x), all_rows, torch.from_numpy(targets.ravel()), weights)


def traced_gradients(
    module: TorchNet,
    contexts: torch.Tensor,
    levels: RowLevels | None,
    rows: slice | torch.Tensor,
    targets: torch.Tensor,
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """The gradients of `gradients`, for targets (N,) of some rows of logits, with their weights in the loss (N,)."""
    wanted: dict[str, torch.Tensor] = {}
    row_levels = levels or module.levels_of(contexts)

    def traced(name: str) -> Callable[[str, torch.Tensor], torch.Tensor]:
        return lambda step, tensor: wanted.setdefault(f"{name}.{step}", tensor)

    def output(part: Part, path: str, x: torch.Tensor) -> torch.Tensor:
        """Compute a layer's output, and keep it and all tensors inside."""
        if isinstance(part, TorchResidual):
            name, y = f"{path}.residual", x
            for number, inner in enumerate(parts_of(part)):
                y = output(inner, f"{path}.{number}", y)
            y = x + y
        else:
            name, steps = f"{path}.{type(part.layer).__name__.lower()}", LAYERS[type(part.layer)].steps
            if steps is None:
                y = part(x, levels)
            else:
                rows = x.flatten(0, -2)
                along = [] if row_levels is None else steps.along(row_levels.levels, part.layer, len(rows))
                y = steps.forward(traced(name), torch, rows, *along, *part.parameters()).view(*x.shape[:-1], -1)
            wanted.update({f"{name}.{parameter}": tensor for parameter, tensor in part.named_parameters()})
        wanted[f"{name}.out"] = y
        return y

    x = contexts
    for number, part in enumerate(parts_of(module)):
        x = output(part, str(number), x)
    steps = LAYERS[SoftmaxCrossEntropy].steps
    assert steps is not None
    nll = steps.forward(traced("loss"), torch, x.flatten(0, -2)[rows], targets)
    for tensor in wanted.values():
        tensor.retain_grad()
    (nll @ torch.from_numpy(weights).to(nll)).backward()
    return {name: np.asarray(tensor.grad) for name, tensor in wanted.items()}
