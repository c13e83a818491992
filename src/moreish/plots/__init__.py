"""The pictures: every function takes what it shows, and returns a matplotlib Figure."""

from .ladder import plot_comparison

__all__ = ["plot_comparison"]
