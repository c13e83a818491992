"""The layers, one file a kind: its formula, its sizes, `forward`, the hand-derived `backward`.

A new kind is one file here and its row in LAYERS. A kind that is a faster form of several in a row has a line in
FUSED too. The plan, the checks of gradients and the common tests know it from these tables.
"""

from . import activation, conv, embedding, linear, lookup, loss, norm, reshape
from .activation import ReLU, Tanh
from .conv import Unfold
from .embedding import Embedding
from .linear import Linear
from .lookup import LookupLinear
from .loss import SoftmaxCrossEntropy
from .norm import BatchNorm1d
from .reshape import FlattenConsecutive
from .spec import Kernels, Layer, Parameter, Shape, SmallSteps

LAYERS: dict[type, Kernels] = {
    Embedding: embedding.KERNELS,
    FlattenConsecutive: reshape.KERNELS,
    Linear: linear.KERNELS,
    Tanh: activation.TANH,
    ReLU: activation.RELU,
    SoftmaxCrossEntropy: loss.KERNELS,
    LookupLinear: lookup.KERNELS,
    BatchNorm1d: norm.KERNELS,
    Unfold: conv.KERNELS,
}

# A run of layers of these kinds may be planned as the one on the right, made from them.
FUSED: dict[tuple[type, ...], type] = {
    (Embedding, FlattenConsecutive, Linear): LookupLinear,
}

__all__ = [
    "FUSED",
    "LAYERS",
    "BatchNorm1d",
    "Embedding",
    "FlattenConsecutive",
    "Kernels",
    "Layer",
    "Linear",
    "LookupLinear",
    "Parameter",
    "ReLU",
    "Shape",
    "SmallSteps",
    "SoftmaxCrossEntropy",
    "Tanh",
    "Unfold",
]
