"""A run as one HTML file without external resources: losses, comparison, samples, novelty, diagnosis, pictures."""

import dataclasses
import datetime
import math
import platform
import re
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from .._version import __version__
from ..analysis.comparison import Comparison, compare, shown
from ..analysis.findings import Findings
from ..corpus import PARTS
from ..display.shown import Page
from ..errors import InputError
from ..evaluation import evaluate, share_interval
from ..files import written_at
from ..models import CountConfig
from ..plots.pictures import PICTURES, PictureOptions, draw
from ..plots.style import svg
from ..training.folder import MODEL
from ..training.options import OF_ALL_MODELS
from ..training.run import Run
from ..training.train import train

SAMPLES = 48
SAMPLED_LABELS, SAMPLES_PER_LABEL = 12, 5


def report(run: Run) -> str:
    """Return the report of a run as HTML, which a notebook shows in a frame. It takes a few seconds to make."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("moreish.reporting") / "report.html").read_text(encoding="utf-8"))
    samples = run.model.sample(SAMPLES, seed=run.options.seed)
    marked = [(word, run.corpus.mark(word)) for word in samples]
    found, compared = Findings(run), comparison(run)
    drawn, date = pictures(found), written_at(run.path / MODEL) if run.path else None
    page = template.render(
        title=f"{run.model.name} trained on {run.corpus.name}" if run.corpus.name else run.model.name,
        date=shown_date(date or datetime.date.today()),
        dated=date is not None,
        made=f"{made(run)} on {shown_date(date)}" if date else made(run),
        words=len(run.corpus.words),
        characters=len(run.model.vocab) - 1,
        parameters=run.model.n_parameters,
        split=f"{run.corpus.split}, seed {run.corpus.split_seed}",
        data=run.corpus.data_hash,
        weighted=run.corpus.words.weights is not None,
        losses=losses(run),
        counted=isinstance(run.model.config, CountConfig),
        baseline=compared.baseline,
        comparison=[(row, row.name == "this run", difference(compared, row.name)) for row in compared.rows],
        shown=shown,
        samples=marked,
        copied=sum(mark != "new" for _, mark in marked),
        novelty=found.novelty,
        novelty_picture=drawn.pop("novelty"),  # it is beside the table
        labels=labels(found) if run.model.labels else None,
        confusion_picture=drawn.pop("confusion", None),
        diagnosis=found.diagnosis if run.model.layers and not run.folded else None,
        pictures=drawn.values(),
        options=options(run),
        versions=f"moreish {__version__}, Python {platform.python_version()}",
    )
    return Page(page)


def made(run: Run) -> str:
    """Words for the making of the model, with its seconds if they were measured: "trained for 500 steps in 2.1 s"."""
    parts = getattr(run.model.config, "parts", None)
    took = "" if run.seconds is None else f" in {run.seconds:.1f} s"
    if parts:
        return f"mixed from {' and '.join(part['model'] for part in parts)}{took}"
    if not run.options.steps:
        return f"counted{took}"
    done = run.history[-1]["step"] if run.history else run.options.steps
    return f"trained for {done:,}{f' of {run.options.steps:,}' if done < run.options.steps else ''} steps{took}"


def shown_date(date: datetime.date) -> str:
    """A date such as 5 March 2026."""
    return f"{date.day} {date:%B %Y}"


def losses(run: Run) -> list[tuple[str, ...]]:
    """A row for each part of the split, from its name to the losses of words in train and of other words.

    With weights, a last cell has the loss with every word counted once.
    """
    found = evaluate(run.model, run.corpus, intervals=True)
    kinds = (found.in_train, found.new, *([found.each_once] if found.each_once else []))
    by_kind = [{part: f"{loss:.4f}" for part, loss in kind.items()} for kind in kinds]
    return [
        (
            part,
            f"{loss:.4f}",
            shown(found.interval[part]),
            f"{found.bits[part]:.4f}",
            f"{found.perplexity[part]:.3f}",
            *(kind.get(part, "") for kind in by_kind),
        )
        for part, loss in found.loss.items()
    ]


def comparison(run: Run) -> Comparison:
    """Compare the run with counts of pairs and with the n-gram."""
    pairs = train(run.corpus, "bigram-counts")
    return compare([run, pairs], names=["this run", "bigram-counts"], samples=0)


def difference(compared: Comparison, name: str) -> str:
    """Verdict of the paired bootstrap on test for a row and this run; empty for this run."""
    for pair in compared.pairs:
        if pair.part == "test" and {pair.one, pair.other} == {name, "this run"}:
            return pair.verdict
    return ""


def labels(found: Findings) -> dict[str, Any]:
    """Tables of the labels of a run.

    parts   a row for each part of the split: its name, the accuracy, its 95% interval for a list without weights, and
            the share of the words with the label that is most frequent in train
    each    a row for each label: its name, words in test (with weights, their sum), recall and precision on test
    words   words drawn given each of the most frequent labels
    """
    run, classifier = found.run, found.classifier
    known, weighted = classifier.labels, run.corpus.words.weights is not None
    most = known.shares.argmax()
    parts = []
    for part in PARTS:
        confusion = classifier.confusion(part)
        n, right = confusion.counts.sum(), confusion.counts.trace()
        within = None if weighted else share_interval(int(right), int(n))
        told = "too few words" if within is None else f"{within[0]:.1%} to {within[1]:.1%}"
        always = confusion.counts[most].sum() / n
        parts.append((part, percent(confusion.accuracy), *([] if weighted else [told]), percent(always)))
    test = classifier.confusion("test")
    rows = zip(known.names, test.counts.sum(1), test.recall, test.precision, strict=True)
    frequent = sorted(np.argsort(-known.shares, kind="stable")[:SAMPLED_LABELS].tolist())
    return {
        "most": known.names[most],
        "parts": parts,
        "each": [(name, f"{n:,.0f}", percent(recall), percent(precision)) for name, n, recall, precision in rows],
        "words": {
            known.names[label]: run.model.sample(SAMPLES_PER_LABEL, label=known.names[label], seed=run.options.seed)
            for label in frequent
        },
    }


def percent(share: float) -> str:
    """Return a share in percent; empty for NaN."""
    return "" if math.isnan(share) else f"{share:.1%}"


def pictures(found: Findings) -> dict[str, tuple[str, str, Markup]]:
    """Draw every picture for which the run has something to show: name, caption and SVG, by name."""
    return {
        name: (name, PICTURES[name].caption, inline(svg(made), name))
        for name, made in draw(found, PictureOptions())
        if not isinstance(made, InputError)
    }


def inline(picture: str, name: str) -> Markup:
    """Turn an SVG file into an element of a page: without its head and metadata, with `name` before each id."""
    element = picture[picture.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return Markup(element)


def options(run: Run) -> list[tuple[str, Any]]:
    """Options of the model and of its training, as resolved, without those that this run does not use."""
    of_model = dataclasses.asdict(run.model.config)
    of_model.pop("parts", None)
    of_training = dataclasses.asdict(run.options)
    if run.corpus.words.weights is None:
        del of_training["weight_power"]
    if not run.options.steps:
        of_training = {name: of_training[name] for name in of_training if name in OF_ALL_MODELS}
    shown = {True: "yes", False: "no"}
    return [
        (name.replace("_", "-"), shown[value] if isinstance(value, bool) else value)
        for name, value in [*of_model.items(), *of_training.items()]
        if value is not None
    ]
