"""The compiled engine: one loop that runs any list of layers, with the gradients that are read in `moreish.layers`."""

from .engine import Tape
from .plan import Operation, Plan
from .requests import Draw, Steps

__all__ = ["Draw", "Operation", "Plan", "Steps", "Tape"]
