"""The weights of a recurrent model under the names of PyTorch, which is not needed here.

PyTorch's recurrent layers are ours, with other names. For layer k of nn.GRU, for example:

    W (in, 3H)      weight_ih_lk transposed; blocks r, z, n
    U (H, 3H)       weight_hh_lk transposed
    b (3H,)         bias_ih_lk + bias_hh_lk, except for n
    c (H,)          bias_hh_lk of n, which the reset gate multiplies

nn.RNN and nn.LSTM have no c: their two biases are one.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..layers.layout import Layout, Slot
from .recurrent import GRUConfig, RecurrentConfig

if TYPE_CHECKING:
    from .model import Model


def recurrent_state_dict(model: "Model") -> dict[str, np.ndarray]:
    """Return the weights of a recurrent model by the names of an nn.Embedding `embedding`, an nn.RNN, nn.GRU or nn.LSTM
    `recurrent`, and an nn.Linear `head`.
    """
    own = {name: slot.view(model.params) for name, slot in _slots(model.layout).items()}
    theirs = {"embedding.weight": own["embedding.C"], "head.weight": own["head.W"].T, "head.bias": own["head.b"]}
    k = 0
    while f"{k}.W" in own:
        theirs[f"recurrent.weight_ih_l{k}"], theirs[f"recurrent.weight_hh_l{k}"] = own[f"{k}.W"].T, own[f"{k}.U"].T
        bias, c = np.zeros_like(own[f"{k}.b"]), own.get(f"{k}.c", np.zeros(0))
        bias[len(bias) - len(c) :] = c
        theirs[f"recurrent.bias_ih_l{k}"], theirs[f"recurrent.bias_hh_l{k}"] = own[f"{k}.b"], bias
        k += 1
    return theirs


def not_of_pytorch(config: RecurrentConfig) -> bool:
    """Return True if PyTorch has no such layers: their start is learnt, or the gate resets before the product."""
    return config.learn_start or (isinstance(config, GRUConfig) and config.reset == "before")


def _slots(layout: Layout) -> dict[str, Slot]:
    """The parameters of a recurrent model: `embedding.C`; for each layer `0.W`, `0.b`, `0.U`, ...; `head.W`, ..."""
    embedding, *layers, head = (slots for slots in layout.slots if slots)
    names = ["embedding", *(str(i // 2) for i in range(len(layers))), "head"]
    return {
        f"{name}.{slot.parameter.name}": slot
        for name, slots in zip(names, (embedding, *layers, head), strict=True)
        for slot in slots
    }
