"""The pictures: every function takes what it shows, and returns a matplotlib Figure."""

from .ladder import plot_comparison
from .study import plot_study

__all__ = ["plot_comparison", "plot_study"]
