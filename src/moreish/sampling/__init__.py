"""Constrained sampling: sets of words as automata, exact draws from a set, and its most likely words."""

from .constraints import Constraints, wishes
from .deadline import done_by
from .draw import Drawing, Samples
from .dynamic_programming import ExactSampler
from .lengths import DrawingByLength, wished_lengths
from .method import UNPROVEN, method_line
from .model import SamplingModel
from .options import SamplingOptions
from .ranking import Candidate, Candidates, most_likely

__all__ = [
    "UNPROVEN",
    "Candidate",
    "Candidates",
    "Constraints",
    "Drawing",
    "DrawingByLength",
    "ExactSampler",
    "Samples",
    "SamplingModel",
    "SamplingOptions",
    "done_by",
    "method_line",
    "most_likely",
    "wished_lengths",
    "wishes",
]
