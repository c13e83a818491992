"""The model families, one file each: a config and the list of layers that it stands for.

A new family is one file here and its row in MODELS: the command line, run folders, checks and common tests know it
from there.
"""

from .family import Family
from .mlp import MLP
from .ngram import BigramCounts

MODELS: dict[str, type[Family]] = {
    "bigram-counts": BigramCounts,
    "mlp": MLP,
}

__all__ = ["MLP", "MODELS", "BigramCounts", "Family"]
