"""Steering what a model writes: sets of words as automata, exact draws from them, and the likeliest of them."""

from .constraints import Constraints
from .deadline import done_by
from .product import Chances, Product
from .ranking import Candidate, Candidates, most_likely
from .sampling import Samples, sample
from .writer import Writer

__all__ = [
    "Candidate",
    "Candidates",
    "Chances",
    "Constraints",
    "Product",
    "Samples",
    "Writer",
    "done_by",
    "most_likely",
    "sample",
]
