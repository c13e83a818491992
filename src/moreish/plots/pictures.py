"""The pictures of a run by name: what `moreish plot` draws and the report shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from ..analysis.novelty import novelty
from ..training.run import Run
from .architecture import plot_architecture
from .course import plot_loss, plot_ratios, plot_start
from .embedding import plot_embedding
from .layers import plot_activations, plot_gradients, plot_saturation, plot_weights
from .novelty import plot_novelty
from .text import plot_bigrams, plot_next, plot_samples, plot_word


@dataclass(frozen=True)
class Asked:
    """What a picture may be asked for beside the run: the rows of the heat map, a prefix, a word, a seed.

    Without a word, one that the model makes is drawn.
    """

    order: Literal["frequency", "alphabet"] = "frequency"
    prefix: str = ""
    word: str | None = None
    seed: int = 42


def _word(run: Run, asked: Asked) -> Figure:
    return plot_word(run.model, asked.word or run.model.sample(1, seed=asked.seed)[0])


# In the order in which they are told; each raises InputError for a run that it has nothing to show of.
PICTURES: dict[str, tuple[str, Callable[[Run, Asked], Figure]]] = {
    "loss": ("batch losses, raw and smoothed, val losses and the learning rate", lambda run, asked: plot_loss(run)),
    "bigrams": ("how often each character follows each", lambda run, asked: plot_bigrams(run.corpus, asked.order)),
    "next": (
        "what comes next, at the beginning or after a prefix",
        lambda run, asked: plot_next(run.model, asked.prefix),
    ),
    "word": ("a word, character by character, with its surprise", _word),
    "embedding": ("a map of the characters' embeddings", lambda run, asked: plot_embedding(run.model)),
    "activations": ("histograms of each layer's activations", lambda run, asked: plot_activations(run)),
    "saturation": ("saturated and dead units, examples x units", lambda run, asked: plot_saturation(run)),
    "gradients": ("histograms of the gradients at each layer", lambda run, asked: plot_gradients(run)),
    "ratios": ("gradients and updates against weights, over time", lambda run, asked: plot_ratios(run)),
    "weights": ("histograms of the weights", lambda run, asked: plot_weights(run)),
    "start": ("the beginning, well and badly initialised", lambda run, asked: plot_start(run)),
    "samples": (
        "lengths and letters of samples against those of the list",
        lambda run, asked: plot_samples(run.model, run.corpus, seed=asked.seed),
    ),
    "novelty": (
        "how far samples are from the train words, beside held-out words",
        lambda run, asked: plot_novelty(novelty(run, seed=asked.seed)),
    ),
    "architecture": ("the layers and their shapes", lambda run, asked: plot_architecture(run.model)),
}
