"""Pictures of runs, models and word lists. Every function returns a matplotlib Figure."""

from .architecture import plot_architecture
from .attention import plot_attention
from .comparison import plot_comparison
from .confusion import plot_confusion
from .course import plot_loss, plot_ratios, plot_start
from .embedding import plot_embedding
from .layers import plot_activations, plot_gradients, plot_saturation, plot_weights
from .novelty import plot_novelty
from .study import plot_study
from .text import plot_bigrams, plot_next, plot_samples, plot_word

__all__ = [
    "plot_activations",
    "plot_architecture",
    "plot_attention",
    "plot_bigrams",
    "plot_comparison",
    "plot_confusion",
    "plot_embedding",
    "plot_gradients",
    "plot_loss",
    "plot_next",
    "plot_novelty",
    "plot_ratios",
    "plot_samples",
    "plot_saturation",
    "plot_start",
    "plot_study",
    "plot_weights",
    "plot_word",
]
