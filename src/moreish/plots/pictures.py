"""The pictures of a run by name, as `moreish plot` and the report draw them."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

from matplotlib.figure import Figure

from ..analysis.findings import Findings
from ..engine.threads import reserved_threads
from ..errors import InputError
from .architecture import plot_architecture
from .attention import plot_attention
from .confusion import plot_confusion
from .course import plot_loss, plot_ratios, plot_start
from .embedding import plot_embedding
from .layers import plot_activations, plot_gradients, plot_saturation, plot_weights
from .novelty import plot_novelty
from .style import Unit, boxes_allowed
from .text import plot_bigrams, plot_next, plot_samples, plot_word


@dataclass(frozen=True)
class PictureOptions:
    """Options of the pictures.

    order   of the rows of the bigrams
    prefix  of which the next characters are predicted
    word    of the pictures word and attention; None for a sample of the model
    seed    of the samples
    unit    of losses and surprises
    """

    order: Literal["frequency", "alphabet"] = "frequency"
    prefix: str = ""
    word: str | None = None
    seed: int = 42
    unit: Unit = "nats"


class Picture(NamedTuple):
    """A caption, and the function that draws; it raises InputError if the run has nothing to show."""

    caption: str
    draw: Callable[[Findings, PictureOptions], Figure]


def _word(found: Findings, options: PictureOptions) -> str:
    return options.word or found.run.model.sample(1, seed=options.seed)[0]


# In the order of the report.
PICTURES = {
    "loss": Picture(
        "batch losses (raw and smoothed), val losses, and the learning rate of every step",
        lambda f, o: plot_loss(f.run, o.unit),
    ),
    "bigrams": Picture("counts of each pair of characters", lambda f, o: plot_bigrams(f.run.corpus, o.order)),
    "next": Picture(
        "probabilities of the next character, at the start of a word or after a prefix",
        lambda f, o: plot_next(f.run.model, o.prefix),
    ),
    "word": Picture(
        "the surprise at each character of a word", lambda f, o: plot_word(f.run.model, _word(f, o), o.unit)
    ),
    "attention": Picture(
        "attention over a word: the weights of the characters that each character looks at",
        lambda f, o: plot_attention(f.run.model, _word(f, o)),
    ),
    "embedding": Picture("2-D map of the character embeddings", lambda f, o: plot_embedding(f.run.model)),
    "activations": Picture(
        "smoothed histograms of the outputs of each activation", lambda f, o: plot_activations(f.diagnosis)
    ),
    "saturation": Picture(
        "saturated outputs (white) of the activations, and dead units: examples x units",
        lambda f, o: plot_saturation(f.diagnosis),
    ),
    "gradients": Picture(
        "smoothed histograms of the gradients at each activation", lambda f, o: plot_gradients(f.diagnosis, o.unit)
    ),
    "ratios": Picture(
        "ratios of gradients and updates to weights, over the steps", lambda f, o: plot_ratios(f.diagnosis)
    ),
    "weights": Picture("histograms of the weights, on a log scale", lambda f, o: plot_weights(f.diagnosis)),
    "start": Picture(
        "good and bad initialisation: the first steps from the run's initial weights and from others",
        lambda f, o: plot_start(f.diagnosis, o.unit),
    ),
    "samples": Picture(
        "lengths and characters of samples, compared with train words",
        lambda f, o: plot_samples(f.run.model, f.run.corpus, seed=o.seed),
    ),
    "novelty": Picture(
        "distances of samples from the train words, compared with held-out words, and the longest shared pieces",
        lambda f, o: plot_novelty(f.novelty, title=f.run.model.title),
    ),
    "confusion": Picture(
        "confusion matrix of the test words",
        lambda f, o: plot_confusion(f.classifier.confusion("test"), title=f.run.model.title),
    ),
    "architecture": Picture("the layers, their shapes and connections", lambda f, o: plot_architecture(f.run.model)),
}

# What takes long to compute, for the pictures that need it.
LENGTHY: dict[str, Callable[[Findings], object]] = {
    **dict.fromkeys(("activations", "saturation", "gradients", "weights"), lambda f: f.diagnosis),
    "ratios": lambda f: f.diagnosis.steps,
    "start": lambda f: f.diagnosis.beginnings,
    "novelty": lambda f: f.novelty,
}


def draw(
    found: Findings, options: PictureOptions, names: Iterable[str] = tuple(PICTURES)
) -> Generator[tuple[str, Figure | InputError]]:
    """Draw each named picture once, while a second thread computes what those to come need.

    Yields each name with its picture, or with the error that says why the run has nothing to show.
    """
    names, pool = list(dict.fromkeys(names)), ThreadPoolExecutor(1)
    with reserved_threads(1), boxes_allowed():  # this thread draws
        try:
            computed = {name: pool.submit(LENGTHY[name], found) for name in names if name in LENGTHY}
            for name in names:
                try:
                    if name in computed:
                        computed[name].result()
                    made = PICTURES[name].draw(found, options)
                except InputError as error:
                    made = error
                yield name, made
        finally:
            pool.shutdown(cancel_futures=True)
