"""Weights to and from modules of PyTorch. Importing this module needs PyTorch.

The recurrent layers here are PyTorch's, with other names: see `recurrent_state_dict`. makemore.py has an RNN and a GRU
of its own: see `makemore`.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..engine.torch.module import to_module
from ..errors import InputError
from ..layers.layout import Layout, Slot
from .config import NetConfig
from .makemore import CELL, converted
from .recurrent import GRUConfig, LSTMConfig, RecurrentConfig, RNNConfig
from .recurrent_state_dict import not_of_pytorch, recurrent_state_dict

if TYPE_CHECKING:
    from .model import Model

Arrays = dict[str, np.ndarray]

OF_TRAINING = ("dropout", "recurrent_dropout", "init")  # options on which the weights' shapes and meaning do not depend
KINDS: dict[Any, type[RecurrentConfig]] = {nn.RNN: RNNConfig, nn.GRU: GRUConfig, nn.LSTM: LSTMConfig}


class RecurrentModule(nn.Module):
    """An rnn, a gru or an lstm with PyTorch's own layers.

    embedding, recurrent, head      nn.Embedding; nn.RNN, nn.GRU or nn.LSTM with batch_first; nn.Linear
    """

    def __init__(self, embedding: nn.Embedding, recurrent: nn.RNNBase, head: nn.Linear, dropout: float):
        super().__init__()
        self.embedding, self.recurrent, self.dropout, self.head = embedding, recurrent, nn.Dropout(dropout), head

    def forward(self, contexts: torch.Tensor, state: Any = None) -> torch.Tensor:
        """Contexts (B, T), int64, which begin with 0 -> the logits after each token (B, T, V).

        state   that of `recurrent`, to go on from; by default the start of a word
        """
        return self.head(self.dropout(self.recurrent(self.embedding(contexts), state)[0]))


def module_of(model: "Model") -> nn.Module:
    """Make a module in eval mode with a copy of a model's weights: see `Model.to_torch`."""
    config = model.config
    kinds = {ours: theirs for theirs, ours in KINDS.items()}
    if not isinstance(config, RecurrentConfig) or model.labels or not_of_pytorch(config):
        return to_module(model.layers, torch.from_numpy(model.params.copy())).eval()
    V, E, H, n = len(model.vocab), config.n_embd, config.n_hidden, config.n_layer
    between = config.dropout if n > 1 else 0.0
    with torch.device("meta"):  # without memory, and without random numbers for weights that are replaced at once
        recurrent = kinds[type(config)](E, H, n, batch_first=True, dropout=between)
        module = RecurrentModule(nn.Embedding(V, E), recurrent, nn.Linear(H, V), config.dropout)
    theirs = recurrent_state_dict(model)
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in theirs.items()}, assign=True)
    return module.eval()


def take(model: "Model", module: nn.Module) -> None:
    """Copy a module's weights to a model: see `Model.from_torch`."""
    theirs = _arrays(module)
    own: dict[str, Slot] = {}
    for slot in model.layout:
        *path, _, name = slot.name.split(".")  # the module has no names of kinds
        own[".".join([*path, name])] = slot
    if {k: w.shape for k, w in theirs.items()} == {k: slot.shape for k, slot in own.items()}:
        for name, slot in own.items():
            slot.view(model.params)[...] = theirs[name]
        return
    if not isinstance(model.config, RecurrentConfig) or model.labels:
        names = ", ".join(theirs) or "none"
        raise InputError(f"the module's parameters are not those of this model: {names}")
    model.params[...] = recurrent_weights(module, model.config, len(model.vocab))


def recurrent_weights(module: nn.Module, config: RecurrentConfig, n_vocab: int) -> np.ndarray:
    """Return the weights of a recurrent model from those of a module that computes the same, flat float64 (P,).

    The module has one nn.Embedding, one nn.RNN, nn.GRU or nn.LSTM, and one nn.Linear; or it is makemore's RNN or GRU.
    Raises InputError if it does not fit the model.
    """
    theirs = module.state_dict()
    found, V, flat = converted(theirs) if CELL & theirs.keys() else _of_pytorch(module)
    if type(found) is not type(config):
        raise InputError(f"the module is {found.called}, and the model is {config.called}")
    options, own = (
        {"tokens": tokens} | {name: value for name, value in asdict(of).items() if name not in OF_TRAINING}
        for of, tokens in ((found, V), (config, n_vocab))
    )
    if options != own:
        has, had = (
            ", ".join(f"{name} {value}" for name, value in of.items() if options[name] != own[name])
            for of in (options, own)
        )
        raise InputError(f"the module does not fit the model: it has {has}, and the model {had}")
    return flat


def _arrays(module: nn.Module) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def _of_pytorch(module: nn.Module) -> tuple[NetConfig, int, np.ndarray]:
    """The config, the number of tokens and the weights, flat float64 (P,), of a module with layers of PyTorch."""
    parts: list[list[Any]] = [
        [part for part in module.modules() if isinstance(part, kind)] for kind in (nn.Embedding, nn.RNNBase, nn.Linear)
    ]
    if any(len(own) != 1 for own in parts):
        wanted = "one nn.Embedding, one nn.RNN, nn.GRU or nn.LSTM, and one nn.Linear"
        raise InputError("the module must have {}: it has {}, {} and {}".format(wanted, *map(len, parts)))
    (embedding,), (recurrent,), (head,) = parts
    kind = next((ours for theirs, ours in KINDS.items() if isinstance(recurrent, theirs)), None)
    is_relu = getattr(recurrent, "nonlinearity", "tanh") == "relu"
    if kind is None or recurrent.bidirectional or recurrent.proj_size or is_relu:
        wanted = "nn.RNN with tanh, nn.GRU or nn.LSTM, in one direction"
        raise InputError(f"the module has {recurrent}: it must be {wanted}")
    weights = {name: array.astype(np.float64) for name, array in _arrays(recurrent).items()}
    found = [_arrays(embedding)["weight"]]
    for k in range(recurrent.num_layers):
        W, U = weights[f"weight_ih_l{k}"].T, weights[f"weight_hh_l{k}"].T
        nothing = np.zeros(W.shape[1])
        b, of_state = (weights.get(f"bias_{of}_l{k}", nothing) for of in ("ih", "hh"))
        c = []
        if kind is GRUConfig:
            c = [of_state[-len(U) :]]
            of_state = np.where(np.arange(len(b)) < len(b) - len(U), of_state, 0)
        found += [W, b + of_state, U, *c]
    bias = np.zeros(len(head.weight)) if head.bias is None else head.bias.detach().cpu().numpy()
    found += [head.weight.detach().cpu().numpy().T, bias]
    V, E = embedding.weight.shape
    config = kind(n_embd=E, n_hidden=recurrent.hidden_size, n_layer=recurrent.num_layers, dropout=0.0)
    try:
        return config, V, Layout(config.layers(V)).joined(found)
    except ValueError:
        raise InputError("the layers of the module do not fit together: their sizes differ") from None
