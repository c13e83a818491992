"""The compiled engine: one loop that runs any list of layers, with the gradients that are read in `moreish.layers`."""

from .batch import Batches
from .engine import Tape
from .plan import Operation, Plan, make_plan
from .requests import Draw, Steps

__all__ = ["Batches", "Draw", "Operation", "Plan", "Steps", "Tape", "make_plan"]
