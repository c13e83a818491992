"""Models by counting: windows of characters, the tables made of them, their smoothing, and what walks over them."""

from .automaton import Automaton
from .contexts import NodeContexts
from .smoothing import SMOOTHINGS, smoothed
from .tables import Tables, count_tables

__all__ = ["SMOOTHINGS", "Automaton", "NodeContexts", "Tables", "count_tables", "smoothed"]
