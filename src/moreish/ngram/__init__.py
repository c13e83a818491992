"""N-gram models: counts of windows of characters, tables made from them, smoothing, and a compiled automaton."""

from .automaton import Automaton
from .smoothing import PADDED, SMOOTHINGS, smoothed
from .tables import Tables, count_tables

__all__ = ["PADDED", "SMOOTHINGS", "Automaton", "Tables", "count_tables", "smoothed"]
