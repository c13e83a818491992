"""Models, one file per family. The config of a model holds its options and builds its layers.

A new family is one file here and its row in MODELS. The command line, run folders and common tests use that table.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import unknown
from .bigram import Bigram
from .bow import BagOfWords
from .config import CountConfig, ModelConfig, NetConfig, ReaderConfig
from .mixture import Mixture
from .mlp import MLP
from .ngram import ArpaNGram, BigramCounts, NGram
from .recurrent import GRUConfig, LSTMConfig, RNNConfig
from .transformer import TransformerConfig
from .wavenet import WaveNet, WaveNetConv

MODELS: dict[str, type[ModelConfig]] = {
    "bigram-counts": BigramCounts,
    "ngram": NGram,
    "bigram": Bigram,
    "mlp": MLP,
    "wavenet": WaveNet,
    "wavenet-conv": WaveNetConv,
    "bow": BagOfWords,
    "rnn": RNNConfig,
    "gru": GRUConfig,
    "lstm": LSTMConfig,
    "transformer": TransformerConfig,
}

NETS: dict[str, type[NetConfig]] = {name: kind for name, kind in MODELS.items() if issubclass(kind, NetConfig)}

ALL_MODELS: dict[str, type[ModelConfig]] = {
    **MODELS,
    "mixture": Mixture,
    "arpa": ArpaNGram,
}  # with those that are not trained


def make_config(model: str, options: dict[str, Any], among: Mapping[str, type[ModelConfig]] = MODELS) -> ModelConfig:
    """Make the config of a model by its name. Raises InputError for an unknown model, option or value."""
    if model not in among:
        raise unknown("model", model, among)
    known = [f.name for f in dataclasses.fields(among[model])]
    for name in options:
        if name not in known:
            dashed = [f"--{k.replace('_', '-')}" for k in known]
            raise unknown(f"option of {model}", f"--{name.replace('_', '-')}", dashed)
    return among[model](**options)


__all__ = [
    "ALL_MODELS",
    "MLP",
    "MODELS",
    "NETS",
    "Bigram",
    "BigramCounts",
    "CountConfig",
    "Mixture",
    "ModelConfig",
    "NGram",
    "NetConfig",
    "ReaderConfig",
    "WaveNet",
    "WaveNetConv",
    "make_config",
]
