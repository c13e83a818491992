"""A run as one HTML file that asks the network for nothing: losses, place, diagnosis, pictures, samples."""

import dataclasses
import platform
import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from .._version import __version__
from ..analysis.comparison import Comparison, compare, shown
from ..analysis.diagnosis import Diagnosis, diagnose
from ..analysis.novelty import novelty
from ..errors import InputError
from ..evaluation import evaluate
from ..plots import plot_novelty
from ..plots.pictures import PICTURES, Asked
from ..plots.style import svg
from ..training.run import Run
from ..training.train import train

SAMPLES = 48


def report(run: Run) -> str:
    """The report of a run, as HTML. It takes a few seconds to make."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("moreish.reporting") / "report.html").read_text(encoding="utf-8"))
    samples = run.model.sample(SAMPLES, seed=run.options.seed)
    marked = [(word, run.corpus.mark(word)) for word in samples]
    found, diagnosis, newness = ladder(run), diagnosed(run), novelty(run)
    return template.render(
        name=run.model.name,
        words=len(run.corpus.words),
        characters=len(run.model.vocab) - 1,
        parameters=run.model.n_parameters,
        seconds=run.seconds,
        steps=run.options.steps,
        split=f"{run.corpus.split}, seed {run.corpus.split_seed}",
        data=run.corpus.data_hash,
        losses=losses(run),
        ladder=[(row, row.name == "this run", verdict(found, row.name)) for row in found.rows],
        shown=shown,
        samples=marked,
        copied=sum(mark != "new" for _, mark in marked),
        novelty=newness,
        novelty_picture=("novelty", PICTURES["novelty"][0], inline(svg(plot_novelty(newness)), "novelty")),
        diagnosis=diagnosis,
        pictures=pictures(run),
        options=options(run),
        versions=f"moreish {__version__}, Python {platform.python_version()}",
    )


def losses(run: Run) -> list[tuple[str, ...]]:
    """A row for each part of the split: its name, loss, interval, bits, perplexity, and the losses of words that stand
    in train and of others."""
    found = evaluate(run.model, run.corpus, intervals=True)
    apart = [{part: f"{loss:.4f}" for part, loss in kind.items()} for kind in (found.in_train, found.new)]
    return [
        (
            part,
            f"{loss:.4f}",
            shown(found.interval[part]),
            f"{found.bits[part]:.4f}",
            f"{found.perplexity[part]:.3f}",
            *(kind.get(part, "") for kind in apart),
        )
        for part, loss in found.loss.items()
    ]


def ladder(run: Run) -> Comparison:
    """The run between what counting pairs and counting well give."""
    pairs = train(run.corpus, "bigram-counts")
    return compare([run, pairs], names=["this run", "bigram-counts"], samples=0)


def verdict(found: Comparison, name: str) -> str:
    """What the paired bootstrap on test says of a row and this run."""
    for pair in found.pairs:
        if pair.part == "test" and {pair.one, pair.other} == {name, "this run"}:
            return pair.verdict
    return ""


def diagnosed(run: Run) -> Diagnosis | None:
    """The diagnosis of a net; None for other models."""
    return diagnose(run) if run.model.layers else None


def pictures(run: Run) -> list[tuple[str, str, Markup]]:
    """Every picture that there is of a run, but that of its novelty: its name, what it shows, and the SVG."""
    drawn = []
    for name, (about, draw) in PICTURES.items():
        if name == "novelty":  # stands with its table
            continue
        try:
            drawn.append((name, about, inline(svg(draw(run, Asked())), name)))
        except InputError:  # there is nothing to show of this model
            continue
    return drawn


def inline(picture: str, name: str) -> Markup:
    """An SVG file as an element of a page: without its head and metadata, its ids made unique by the picture's name."""
    element = picture[picture.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return Markup(element)


def options(run: Run) -> list[tuple[str, Any]]:
    """The options of the model and of its training, as they were resolved."""
    of_model = dataclasses.asdict(run.model.config)  # type: ignore[call-overload]
    of_model.pop("parts", None)
    of_training = dataclasses.asdict(run.options)
    return [(k.replace("_", "-"), v) for k, v in [*of_model.items(), *of_training.items()] if v is not None]
