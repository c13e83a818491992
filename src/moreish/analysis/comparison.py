"""Runs beside each other, on the same tokens of the same split, and how sure their differences are."""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..corpus import Corpus
from ..errors import InputError
from ..evaluation import Interval, interval, word_nll
from ..models import NGram
from ..training.run import Run
from ..training.train import train

PARTS = ("val", "test")


@dataclass(frozen=True)
class Row:
    """A run: its losses on val and test in nats per token, with 95% intervals.

    seconds how long it was trained, or counted; None where the run does not say
    seen    the share of each part's words that stand in the words which the run was trained on
    samples words that it makes, each {"word", "seen"}: with the part of its list where it stands, or "new"
    """

    name: str
    model: str
    parameters: int
    seconds: float | None
    loss: dict[str, float]
    interval: dict[str, Interval | None]
    seen: dict[str, float]
    samples: list[dict[str, str]]


@dataclass(frozen=True)
class Pair:
    """Two runs on one part: the loss of the one less that of the other, with a 95% interval by the paired bootstrap."""

    one: str
    other: str
    part: str
    difference: float
    interval: Interval | None

    @property
    def verdict(self) -> str:
        if self.interval is None:
            return "too few words to tell"
        low, high = self.interval
        if low <= 0 <= high:
            return "no difference shown"
        return f"{self.one if high < 0 else self.other} is better"


@dataclass(frozen=True)
class Comparison:
    """Rows by val loss, the best first, and a pair for each two of them on each part.

    baseline    the name of the row that all are to be held against: what counting gives
    rescored    whether runs may have learnt from words that they are scored on: then the tables say of how many
    """

    rows: list[Row]
    pairs: list[Pair]
    baseline: str
    rescored: bool = False

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def as_json(self) -> dict:
        """Everything as plain dictionaries."""
        pairs = [{**asdict(pair), "verdict": pair.verdict} for pair in self.pairs]
        return {"runs": [asdict(row) for row in self.rows], "pairs": pairs, "baseline": self.baseline}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The rows as a heading and cells."""
        cells = [
            [row.name, row.model, f"{row.parameters:,}", "" if row.seconds is None else f"{row.seconds:.1f}"]
            + [f"{row.loss[part]:.4f} ({shown(row.interval[part])})" for part in PARTS]
            for row in self.rows
        ]
        heading = ["run", "model", "parameters", "seconds", *PARTS]
        if self.rescored:
            heading.append("val, test words learnt from")
            for row, line in zip(self.rows, cells, strict=True):
                line.append(", ".join(f"{row.seen[part]:.1%}" for part in PARTS))
        return heading, cells

    def markdown(self) -> str:
        """The rows as a table in Markdown."""
        heading, cells = self.table()
        lines = [heading, ["---", "---", *["---:"] * (len(heading) - 2)], *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def csv(self) -> str:
        """The rows as comma-separated values, losses and intervals in columns of their own."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = [f"{part}{what}" for part in PARTS for what in ("", "_low", "_high", "_seen")]
        writer.writerow(["run", "model", "parameters", "seconds", *columns, "samples"])
        for row in self.rows:
            losses = [x for part in PARTS for x in (row.loss[part], *(row.interval[part] or ("", "")), row.seen[part])]
            samples = " ".join(sample["word"] for sample in row.samples)
            writer.writerow([row.name, row.model, row.parameters, row.seconds, *losses, samples])
        return out.getvalue()


def baseline(corpus: Corpus) -> Run:
    """The n-gram model as it comes, counted on the corpus: what every net's result is to be held against.

    Of a list so large that its counts would outgrow their memory, shorter ones are counted.
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
    """Compare runs on val and test of the first one's split, with the n-gram model beside them if none of them is that.

    names       what to call the runs; without them, their folders or models
    samples     how many words each makes, drawn with `seed`

    Raises InputError for runs on other words or another split, unless they are to be scored on it too (`rescore`);
    then `seen` of their rows tells how many of these words they have learnt from. And for another vocabulary.
    """
    if not runs:
        raise InputError("a comparison takes a run or more")
    corpus = runs[0].corpus
    names = list(names) if names else _names(runs)
    counted = [run for run in runs if run.model.config == NGram() and _of(run.corpus) == _of(corpus)]
    if not counted:
        counted = [baseline(corpus)]
        runs, names = [*runs, counted[0]], _unique([*names, "ngram"])
    rows, nll = [], {}
    for name, run in zip(names, runs, strict=True):
        if _of(run.corpus) != _of(corpus) and not rescore:
            raise InputError(
                f"{name} was trained on other words or another split than {names[0]}, so their losses cannot be "
                "compared: --rescore scores all on the split of the first, and says what of it they have learnt from"
            )
        run.model.check_vocab(corpus)
        losses, intervals, seen = {}, {}, {}
        train = set(run.corpus.parts["train"])
        for part in PARTS:
            sums, tokens = nll[name, part] = word_nll(run.model.nll, corpus.stream(part))
            losses[part], intervals[part] = float(sums.sum() / tokens.sum()), interval(sums, tokens)
            seen[part] = sum(word in train for word in corpus.parts[part]) / len(corpus.parts[part])
        words = run.model.sample(samples, seed=seed)
        drawn = [{"word": word, "seen": run.corpus.mark(word)} for word in words]
        rows.append(Row(name, run.model.name, run.model.n_parameters, run.seconds, losses, intervals, seen, drawn))
    rows.sort(key=lambda row: row.loss["val"])
    pairs = []
    for part in PARTS:
        for one, other in itertools.combinations([row.name for row in rows], 2):
            (a, tokens), (b, _) = nll[one, part], nll[other, part]
            difference = float((a - b).sum() / tokens.sum())
            # The words are drawn again for both at once: what a word costs both of them cancels out.
            pairs.append(Pair(one, other, part, difference, interval(a - b, tokens)))
    return Comparison(rows, pairs, names[next(i for i, run in enumerate(runs) if run is counted[0])], rescore)


def shown(found: Interval | None, sign: str = "") -> str:
    """An interval in words."""
    return "too few words" if found is None else f"{found[0]:{sign}.4f} to {found[1]:{sign}.4f}"


def _of(corpus: Corpus) -> tuple[str, str, int]:
    return corpus.data_hash, corpus.split, corpus.split_seed


def _names(runs: Sequence[Run]) -> list[str]:
    """A name for each run: its folder, or its model."""
    return _unique([str(run.path) if run.path else run.model.name for run in runs])


def _unique(bases: Sequence[str]) -> list[str]:
    """Names, numbered where two are the same."""
    names: list[str] = []
    for base in bases:
        number, name = 1, base
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names
