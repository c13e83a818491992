"""Comparison of runs on the same tokens of one split, with intervals for the differences between their losses."""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.shown import Shown, Table, clean
from ..errors import InputError
from ..evaluation import Interval, interval, part_nll, word_nll
from ..evaluation import shown_interval as shown
from ..models import NGram
from ..training.run import Run
from ..training.train import train
from .classification import Classifier

SCORED_PARTS = ("val", "test")
MARKUP = re.compile(r"[\\`*<>\[\]|$~#]|(?<!\w)_|_(?!\w)")  # of Markdown
FORMULA = re.compile(r"(?=^[=+\-@])")  # the beginning of what a spreadsheet computes


@dataclass(frozen=True)
class Row:
    """One run: its losses on val and test in nats per token, with 95% intervals.

    seconds     time spent training or counting; None if the run does not record it
    seen        for each part, the share of its words that are among the train words of this run
    samples     words drawn from the model, each {"word", "seen"}: "seen" is the part of the run's list that contains
                the word, or "new"; with labels also "label", the likeliest under the run
    """

    name: str
    model: str
    parameters: int
    seconds: float | None
    loss: dict[str, float]
    interval: dict[str, Interval | None]
    seen: dict[str, float]
    samples: list[dict[str, str]] = field(repr=False)


@dataclass(frozen=True)
class Pair:
    """Two runs on one part: the loss of `one` minus that of `other`, with a 95% interval by the paired bootstrap."""

    one: str
    other: str
    part: str
    difference: float
    interval: Interval | None

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.interval is None:
            return "too few words to tell"
        low, high = self.interval
        if low <= 0 <= high:
            return "no significant difference"
        return f"{self.one if high < 0 else self.other} is better"


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Rows sorted by val loss, the best first, and for each part one pair for every two rows.

    baseline    name of the row to compare all others with: the n-gram model
    rescored    True if some runs may have been trained on words that they are scored on: tables then give their share
    """

    rows: list[Row]
    pairs: list[Pair]
    baseline: str
    rescored: bool = False

    def row(self, name: str) -> Row:
        """Return the row with that name."""
        return next(row for row in self.rows if row.name == name)

    def as_json(self) -> dict[str, Any]:
        """All values as plain dictionaries."""
        pairs = [{**asdict(pair), "verdict": pair.verdict} for pair in self.pairs]
        return {"runs": [asdict(row) for row in self.rows], "pairs": pairs, "baseline": self.baseline}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Rows as a heading and cells."""
        cells = [
            [row.name, row.model, f"{row.parameters:,}", "" if row.seconds is None else f"{row.seconds:.1f}"]
            + [f"{row.loss[part]:.4f} ({shown(row.interval[part])})" for part in SCORED_PARTS]
            for row in self.rows
        ]
        heading = ["run", "model", "parameters", "seconds", *SCORED_PARTS]
        if self.rescored:
            heading.append("val, test words seen in training")
            for row, line in zip(self.rows, cells, strict=True):
                line.append(", ".join(f"{row.seen[part]:.1%}" for part in SCORED_PARTS))
        return heading, cells

    def _table(self) -> Table:
        heading, cells = self.table()
        aligned = [*heading[:2], *(f">{name}" for name in heading[2:])]
        notes = [
            f"{p.one} minus {p.other} on test: {p.difference:+.4f} ({shown(p.interval, '+')}): {p.verdict}"
            for p in self.pairs
            if p.one == self.rows[0].name and p.part == "test"
        ]
        return Table(f"Comparison of {len(cells)} runs, loss in nats per token", cells, aligned, notes)

    def markdown(self) -> str:
        """Rows as a table in Markdown."""
        heading, cells = self.table()
        cells = [[MARKUP.sub(r"\\\g<0>", clean(cell)) for cell in row] for row in cells]
        lines = [heading, ["---", "---", *["---:"] * (len(heading) - 2)], *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def csv(self) -> str:
        """Rows as comma-separated values, with a column for each loss and for each end of an interval.

        A text that a spreadsheet would compute has a ' before it.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = [f"{part}{suffix}" for part in SCORED_PARTS for suffix in ("", "_low", "_high", "_seen")]
        writer.writerow(["run", "model", "parameters", "seconds", *columns, "samples"])
        for row in self.rows:
            losses = [
                x for part in SCORED_PARTS for x in (row.loss[part], *(row.interval[part] or ("", "")), row.seen[part])
            ]
            samples = " ".join(sample["word"] for sample in row.samples)
            name, model, samples = (FORMULA.sub("'", clean(text)) for text in (row.name, row.model, samples))
            writer.writerow([name, model, row.parameters, row.seconds, *losses, samples])
        return out.getvalue()


def baseline(corpus: Corpus) -> Run:
    """Count the n-gram model with its default options on a corpus: the result that a net should beat.

    If the list is so large that the counts exceed their memory limit, the order is lowered until they fit.
    """
    order = NGram().order
    while True:
        try:
            return train(corpus, "ngram", order=order)
        except InputError:
            order -= 1
            if order < 2:
                raise


def compare(
    runs: Sequence[Run],
    *,
    names: Sequence[str] | None = None,
    rescore: bool = False,
    samples: int = 5,
    seed: int = 42,
) -> Comparison:
    """Compare runs on val and test of the first run's split. The n-gram model is added if no run is one already.

    names       names of the runs; by default their folders or models
    rescore     accept runs trained on other words or another split too; `seen` then tells how much of val and test is
                among their train words
    samples     number of words to draw from each run, with `seed`

    Raises InputError for a run on other words or another split without `rescore`, and for one with another vocabulary.
    """
    if not runs:
        raise InputError("no runs to compare: give at least one")
    corpus = runs[0].corpus
    names = list(names) if names else _names(runs)
    counted = [
        run for run in runs if run.model.config == NGram() and not run.pruned and run.corpus.identity == corpus.identity
    ]
    if not counted:
        counted = [baseline(corpus)]
        runs, names = [*runs, counted[0]], _unique([*names, "ngram"])
    rows, nll = [], {}
    for name, run in zip(names, runs, strict=True):
        if run.corpus.identity != corpus.identity and not rescore:
            raise InputError(
                f"{name} was trained on other words, weights or labels, or another split, than {names[0]}, so their "
                f"losses cannot be compared: add --rescore to score all runs on the split of {names[0]}, and to see "
                "how many of its words each was trained on"
            )
        own = run.corpus if run.corpus.identity == corpus.identity else corpus  # its vocabulary may be wider
        run.model.check_vocab(own)
        losses, intervals, seen = {}, {}, {}
        train = set(run.corpus.parts["train"])
        for part in SCORED_PARTS:
            sums, tokens = nll[name, part] = _weighted(run, own, part)
            losses[part], intervals[part] = float(sums.sum() / tokens.sum()), interval(sums, tokens)
            seen[part] = sum(word in train for word in corpus.parts[part]) / len(corpus.parts[part])
        words = run.model.sample(samples, seed=seed)
        drawn = [{"word": word, "seen": run.corpus.mark(word)} for word in words]
        if run.model.labels is not None:
            for sample, found in zip(drawn, Classifier(run).each(words), strict=True):
                sample["label"] = found.label
        rows.append(Row(name, run.model.name, run.model.n_parameters, run.seconds, losses, intervals, seen, drawn))
    rows.sort(key=lambda row: row.loss["val"])
    pairs = []
    for part in SCORED_PARTS:
        for one, other in itertools.combinations([row.name for row in rows], 2):
            (a, tokens), (b, _) = nll[one, part], nll[other, part]
            difference = float((a - b).sum() / tokens.sum())
            # Both runs share each resample of the words, so the difficulty that a word has for both cancels out.
            pairs.append(Pair(one, other, part, difference, interval(a - b, tokens)))
    return Comparison(rows, pairs, names[next(i for i, run in enumerate(runs) if run is counted[0])], rescore)


def _weighted(run: Run, corpus: Corpus, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the nll and the tokens of each word of a part, by the weight of the word; given its label if it can be."""
    known = run.corpus.label_names == corpus.label_names
    sums, tokens = part_nll(run.model.nll, corpus, part) if known else word_nll(run.model.nll, corpus.stream(part))
    weights = corpus.weights(part)
    return (sums, tokens) if weights is None else (sums * weights, tokens * weights)


def _names(runs: Sequence[Run]) -> list[str]:
    """A name for each run: its folder, or its model."""
    return _unique([str(run.path) if run.path else run.model.name for run in runs])


def _unique(bases: Sequence[str]) -> list[str]:
    """Return the names, with a number added to each repeated one."""
    names: list[str] = []
    for base in bases:
        number, name = 1, base
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names
