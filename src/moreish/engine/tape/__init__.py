"""The compiled engine: one loop that runs any list of layers, with the gradients in `moreish.layers`."""

from .engine import Tape
from .plan import Operation, Plan
from .planner import make_plan
from .word_tape import PrefixTape, WordTape

__all__ = ["Operation", "Plan", "PrefixTape", "Tape", "WordTape", "make_plan"]
