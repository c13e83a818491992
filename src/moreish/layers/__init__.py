"""The layers, one file a kind: its formula, its sizes, `forward`, the hand-derived `backward`.

A new kind is one file here and its row in LAYERS. A kind that is a faster form of several in a row has a line in
FUSED too. The plan, the checks of gradients and the common tests know it from these tables.
"""

from . import activation, embedding, linear, lookup, loss, reshape
from .activation import ReLU, Tanh
from .embedding import Embedding
from .linear import Linear
from .lookup import LookupLinear
from .loss import SoftmaxCrossEntropy
from .reshape import FlattenConsecutive
from .spec import Kernels, Layer, Parameter, Shape

LAYERS: dict[type, Kernels] = {
    Embedding: embedding.KERNELS,
    FlattenConsecutive: reshape.KERNELS,
    Linear: linear.KERNELS,
    Tanh: activation.TANH,
    ReLU: activation.RELU,
    SoftmaxCrossEntropy: loss.KERNELS,
    LookupLinear: lookup.KERNELS,
}

# A run of layers of these kinds may be planned as the one on the right, made from them.
FUSED: dict[tuple[type, ...], type] = {
    (Embedding, FlattenConsecutive, Linear): LookupLinear,
}

__all__ = [
    "FUSED",
    "LAYERS",
    "Embedding",
    "FlattenConsecutive",
    "Kernels",
    "Layer",
    "Linear",
    "LookupLinear",
    "Parameter",
    "ReLU",
    "Shape",
    "SoftmaxCrossEntropy",
    "Tanh",
]
