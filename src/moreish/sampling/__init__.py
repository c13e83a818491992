"""Steering what a model writes: sets of words as automata, exact draws from them, and the likeliest of them."""

from .constraints import Constraints
from .deadline import done_by
from .draw import Samples, sample
from .dynamic_programming import Product, SamplingOptions
from .ranking import Candidate, Candidates, most_likely
from .writer import Writer

__all__ = [
    "Candidate",
    "Candidates",
    "Constraints",
    "Product",
    "Samples",
    "SamplingOptions",
    "Writer",
    "done_by",
    "most_likely",
    "sample",
]
