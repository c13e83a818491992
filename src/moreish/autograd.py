"""The PyTorch engine: the same list of layers over the same flat vector of weights, differentiated by autograd.

It is there to be compared with: a layer is one row of TORCH, its forward pass alone, and PyTorch derives the rest. It
draws the same batches, follows the same learning rates and leaves the same run folder as the tape. Importing this
module needs PyTorch, which comes with the extra `moreish[torch]`.
"""

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .layers import Embedding, FlattenConsecutive, Layer, Linear, ReLU, Tanh
from .layers.layout import Layout
from .optim import BETA1, BETA2, EPSILON
from .tape.batch import draw_batch, windows
from .tape.generate import pick_token, weights
from .tape.requests import Draw, Steps
from .tape.rng import draw_number

EVALUATION_BATCH = 4096
log = logging.getLogger("moreish")

# The forward pass of each layer: (layer, input, its parameters) -> output, for a batch (B, ...).
TORCH: dict[type, Callable[..., torch.Tensor]] = {
    Embedding: lambda layer, x, C: C[x],
    FlattenConsecutive: lambda layer, x: x.reshape(len(x), *layer.out_shape(tuple(x.shape[1:]))),
    Linear: lambda layer, x, W, b: x @ W + b,
    Tanh: lambda layer, x: torch.tanh(x),
    ReLU: lambda layer, x: torch.relu(x),
}


class TorchLayer(nn.Module):
    """A layer as a module: its parameters are views of the flat vector, under their own names."""

    def __init__(self, layer: Layer, parameters: dict[str, torch.Tensor]):
        super().__init__()
        self.layer = layer
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return TORCH[type(self.layer)](self.layer, x, **dict(self.named_parameters()))

    def extra_repr(self) -> str:
        return str(self.layer)


def to_module(layers: Sequence[Layer], flat: torch.Tensor) -> nn.Sequential:
    """The layers as a module from contexts (B, T), int64, to logits (B, V).

    Its parameters are views of the flat vector (P,): `0.C`, `2.W`, `2.b` and so on, by layer and name.
    """
    modules = []
    for layer, slots in zip(layers, Layout(layers).slots, strict=True):
        views = {s.parameter.name: flat[s.start : s.start + s.parameter.size].view(s.shape) for s in slots}
        modules.append(TorchLayer(layer, views))
    return nn.Sequential(*modules)


def choose_device(wanted: str) -> str:
    """`auto` takes the GPU if there is one; a device that is not there falls back to the CPU, and says so."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, is_there in there.items() if is_there)
    if not there[wanted]:
        log.warning("there is no device %s: the CPU computes", wanted)
        return "cpu"
    return wanted


class Torch:
    """Runs `layers` in PyTorch, with the methods of the tape (see `tape.Tape` for what each takes and returns)."""

    def __init__(
        self,
        layers: Sequence[Layer],
        block_size: int,
        n_vocab: int,
        dtype: type = np.float32,
        device: str = "cpu",
        compile: bool = False,
    ):
        self.block_size, self.n_vocab, self.dtype, self.device = block_size, n_vocab, dtype, choose_device(device)
        self.flat = torch.zeros(
            Layout(layers).size, dtype=torch.from_numpy(np.zeros(0, dtype)).dtype, device=self.device
        )
        self.grads = torch.zeros_like(self.flat)
        self.module = to_module(layers, self.flat)
        for parameter, gradient in zip(
            self.module.parameters(), to_module(layers, self.grads).parameters(), strict=True
        ):
            parameter.grad = gradient.detach()  # autograd adds to it in place: all gradients in one flat vector
        self.logits: Callable[[torch.Tensor], torch.Tensor] = torch.compile(self.module) if compile else self.module
        self._turn = threading.RLock()

    def _loss(self, contexts: np.ndarray, targets: np.ndarray, reduction: str = "mean") -> torch.Tensor:
        x, y = (torch.from_numpy(a).to(self.device) for a in (contexts, targets))
        return F.cross_entropy(self.logits(x).view(-1, self.n_vocab), y, reduction=reduction)

    def _take(self, params: np.ndarray) -> None:
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(params))

    def loss_and_grads(self, params: np.ndarray, contexts: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean nll in nats of targets (B,) after contexts (B, T), and its gradient by params, flat (P,)."""
        with self._turn:
            self._take(params)
            self.grads.zero_()
            loss = self._loss(contexts, targets)
            loss.backward()
            return loss.item(), self.grads.cpu().numpy().copy()

    def train(self, params: np.ndarray, moments: np.ndarray, stream: np.ndarray, steps: Steps) -> np.ndarray:
        """Make steps, as `Tape.train` does, with PyTorch's own optimizers."""
        with self._turn:
            self._take(params)
            m = torch.from_numpy(moments).to(self.device, copy=True)
            self.flat.grad = self.grads
            if steps.optimizer == "sgd":
                optimizer = torch.optim.SGD([self.flat], weight_decay=steps.weight_decay)
            else:
                optimizer = torch.optim.AdamW(
                    [self.flat], betas=(BETA1, BETA2), eps=EPSILON, weight_decay=steps.weight_decay
                )
                optimizer.state[self.flat] = {
                    "step": torch.tensor(float(steps.first)),
                    "exp_avg": m[0],
                    "exp_avg_sq": m[1],
                }
            contexts = np.zeros((steps.batch_size, self.block_size), np.int64)
            targets, losses = np.zeros(steps.batch_size, np.int64), []
            for i, rate in enumerate(steps.rates.tolist()):
                draw_batch(stream, steps.seed, steps.first + i, steps.batch_size, contexts, targets)
                self.grads.zero_()
                loss = self._loss(contexts, targets)
                losses.append(loss.item())
                if not np.isfinite(losses[-1]):
                    break
                loss.backward()
                optimizer.param_groups[0]["lr"] = rate
                optimizer.step()
            params[:] = self.flat.cpu().numpy()
            moments[:] = m.cpu().numpy()
            return np.array(losses)

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Nothing to say at a point of the log."""
        return {}

    @torch.no_grad()
    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a flat stream (1 + N,) after its first 0, as float64 (N,)."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        with self._turn:
            self._take(params)
            out = np.zeros(len(stream) - 1)
            for start in range(0, len(out), EVALUATION_BATCH):
                n = min(EVALUATION_BATCH, len(out) - start)
                contexts, targets = np.zeros((n, self.block_size), np.int64), np.zeros(n, np.int64)
                windows(stream, 1 + start, n, contexts, targets)
                out[start : start + n] = self._loss(contexts, targets, "none").cpu().numpy()
            return out

    @torch.no_grad()
    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words, as `Tape.generate` does: by the same numbers, from probabilities that PyTorch computed."""
        T, P = self.block_size, len(draw.prefix)
        with self._turn:
            self._take(params)
            # T zeros before each word: what a context holds where the word has not begun.
            words, lengths = np.zeros((n, T + draw.max_length + 1), np.int32), np.full(n, P)
            words[:, T : T + P] = draw.prefix
            growing, weight = np.arange(n), np.zeros(self.n_vocab, self.dtype)
            while growing.size:
                contexts = words[growing[:, None], lengths[growing, None] + np.arange(T)].astype(np.int64)
                logits = self.logits(torch.from_numpy(contexts).to(self.device)).view(-1, self.n_vocab).cpu().numpy()
                for j, row in zip(growing, logits, strict=True):
                    if lengths[j] < draw.max_length:
                        total = weights(row, draw.temperature, draw.top_k, lengths[j] > 0, weight)
                        words[j, T + lengths[j]] = pick_token(weight, total, draw_number(draw.seed, j, lengths[j]))
                growing = growing[words[growing, T + lengths[growing]] != 0]
                lengths[growing] += 1
            return words[:, T:][np.arange(draw.max_length + 1) <= lengths[:, None]]


def gradients(
    layers: Sequence[Layer], params: np.ndarray, contexts: np.ndarray, targets: np.ndarray
) -> dict[str, np.ndarray]:
    """Autograd's gradients of the mean nll by every parameter, every layer's output, and every step inside the loss.

    Names are those of `gradcheck`: `2.linear.W`, `2.linear.out`, `loss.probs`.
    """
    module = to_module(layers, torch.from_numpy(params.copy()))
    wanted: dict[str, torch.Tensor] = {}
    x = torch.from_numpy(contexts)
    for i, (layer, part, slots) in enumerate(zip(layers, module, Layout(layers).slots, strict=True)):
        x = part(x)
        wanted[f"{i}.{type(layer).__name__.lower()}.out"] = x
        wanted.update({slot.name: part.get_parameter(slot.parameter.name) for slot in slots})
    x = x.view(len(targets), -1)
    shifted = x - x.max(dim=1, keepdim=True).values
    counts = shifted.exp()
    counts_sum = counts.sum(dim=1, keepdim=True)
    probs = counts / counts_sum
    logprobs = probs.log()
    steps = {"shifted": shifted, "counts": counts, "counts_sum": counts_sum, "probs": probs, "logprobs": logprobs}
    wanted.update({f"loss.{name}": tensor for name, tensor in steps.items()})
    for tensor in wanted.values():
        tensor.retain_grad()
    (-logprobs[torch.arange(len(targets)), torch.from_numpy(targets)].mean()).backward()
    return {name: np.asarray(tensor.grad) for name, tensor in wanted.items()}
