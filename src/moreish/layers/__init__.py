"""The layers. Each kind has one file: its formula, its sizes, `forward`, and the hand-derived `backward`.

A new kind is one file here and a row in LAYERS. A kind that is a faster form of several layers in a row also has a row
in FUSED. The plan, the checks of gradients and the common tests find it in these tables.
"""

from typing import Any

from . import (
    activation,
    attention,
    average,
    cho,
    conv,
    dropout,
    embedding,
    gelu,
    gru,
    label,
    layernorm,
    linear,
    lookup,
    loss,
    lstm,
    norm,
    position,
    reshape,
    residual,
    rnn,
    soft_loss,
)
from .activation import ReLU, Tanh
from .attention import CausalSelfAttention
from .average import CausalAverage
from .cho import ChoGRU
from .conv import Unfold
from .dropout import Dropout
from .embedding import Embedding
from .gelu import GELU, TanhGELU
from .gru import GRU
from .label import LabelledEmbedding
from .layernorm import LayerNorm
from .linear import Linear
from .lookup import LookupLinear
from .loss import SoftmaxCrossEntropy
from .lstm import LSTM
from .norm import BatchNorm1d
from .position import PositionalEmbedding
from .reshape import FlattenConsecutive
from .residual import Residual, leaves
from .rnn import RNN
from .soft_loss import SoftCrossEntropy
from .spec import Kernels, Layer, Parameter, Shape, SmallSteps

LAYERS: dict[type[Any], Kernels] = {
    Embedding: embedding.KERNELS,
    FlattenConsecutive: reshape.KERNELS,
    Linear: linear.KERNELS,
    Tanh: activation.TANH,
    ReLU: activation.RELU,
    SoftmaxCrossEntropy: loss.KERNELS,
    LookupLinear: lookup.KERNELS,
    BatchNorm1d: norm.KERNELS,
    Unfold: conv.KERNELS,
    LabelledEmbedding: label.KERNELS,
    Dropout: dropout.KERNELS,
    RNN: rnn.KERNELS,
    GRU: gru.KERNELS,
    ChoGRU: cho.KERNELS,
    LSTM: lstm.KERNELS,
    Residual: residual.KERNELS,
    CausalSelfAttention: attention.KERNELS,
    CausalAverage: average.KERNELS,
    PositionalEmbedding: position.KERNELS,
    LayerNorm: layernorm.KERNELS,
    GELU: gelu.EXACT,
    TanhGELU: gelu.TANH,
    SoftCrossEntropy: soft_loss.KERNELS,
}

# A run of layers of these kinds may be planned as one layer of the kind on the right, which takes them as arguments.
FUSED: dict[tuple[type[Any], ...], type[Any]] = {
    (Embedding, FlattenConsecutive, Linear): LookupLinear,
    (Embedding, Linear): LookupLinear,
}

__all__ = [
    "FUSED",
    "GELU",
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "BatchNorm1d",
    "CausalAverage",
    "CausalSelfAttention",
    "ChoGRU",
    "Dropout",
    "Embedding",
    "FlattenConsecutive",
    "Kernels",
    "LabelledEmbedding",
    "Layer",
    "LayerNorm",
    "Linear",
    "LookupLinear",
    "Parameter",
    "PositionalEmbedding",
    "ReLU",
    "Residual",
    "Shape",
    "SmallSteps",
    "SoftCrossEntropy",
    "SoftmaxCrossEntropy",
    "Tanh",
    "TanhGELU",
    "Unfold",
    "leaves",
]
