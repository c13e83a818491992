"""Novelty of the words that a model makes: copies, nearest train words and shared substrings, beside held-out words.

A share of copies means little by itself. If a list repeats words, some held-out words are also in train, and a perfect
model would copy just as many. So every figure is computed for held-out words too: those of val and test together,
because both are equally new to the model, and more words give narrower intervals.

If no word repeats, no held-out word can be a copy, and their share says nothing. The memorisation ratio works for every
list: chance alone decides whether a word is in train, so a model that has memorised no words draws train words as often
as held-out words.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.shown import Shown, Table
from ..errors import InputError
from ..evaluation import FEWEST, Interval, Z
from ..training.run import Run
from .neighbours import DISTANCE_LABELS, SUBSTRING_LABELS, Neighbour, Similarity, longest_shared, nearest

HELD_OUT = ("val", "test")
MOST_PAIRS = 500_000_000  # of samples and train words to compare, and of held-out words and train words,
FEWEST_SEARCHED = 100  # but at least this many words are searched for
EXAMPLES_PER_KIND = 5


@dataclass(frozen=True, repr=False)
class Novelty(Shown):
    """Novelty of samples, beside held-out words.

    samples, held_out       similarity of each to the train words
    hits                    number of samples that are held-out words: in val or test, not in train
    repeats                 True if words repeat and the split is not by different words, so that a held-out word
                            can be in train
    memorisation_ratio      over the words that occur once in the list: how many times as often a train word was drawn
                            as a held-out word. 1 if the model has memorised none; None if too few were drawn
    memorisation_interval   its 95% interval; None if the ratio is None, 0 or infinite
    """

    samples: Similarity
    held_out: Similarity
    hits: int
    repeats: bool
    memorisation_ratio: float | None
    memorisation_interval: Interval | None

    @property
    def favour(self) -> float | None:
        """`memorisation_ratio`, under its old name."""
        return self.memorisation_ratio

    @property
    def favour_interval(self) -> Interval | None:
        """`memorisation_interval`, under its old name."""
        return self.memorisation_interval

    @property
    def difference(self) -> Interval | None:
        """95% interval of the share of copies among samples minus that among held-out words.

        Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
        """
        a, b = self.samples, self.held_out
        if a.interval is None or b.interval is None:
            return None
        between, (a_low, a_high), (b_low, b_high) = a.copied - b.copied, a.interval, b.interval
        below, above = math.hypot(a.copied - a_low, b_high - b.copied), math.hypot(a_high - a.copied, b.copied - b_low)
        return between - below, between + above

    @property
    def verdicts(self) -> list[str]:
        """Three sentences: on copies, on memorisation, and on samples that are held-out words."""
        return [self._verdict_on_copies(), self._verdict_on_memorisation(), self._verdict_on_hits()]

    def _verdict_on_copies(self) -> str:
        copied = f"{self.samples.copied:.1%} of the samples"
        if not self.repeats:
            return f"{copied} are in train. This list has no repeats, so there is no baseline for copying."
        shares = f"{copied} and {self.held_out.copied:.1%} of the held-out words are in train"
        if self.difference is None:
            return f"{shares}: too few words to tell which share is larger."
        low, high = self.difference
        if low <= 0 <= high:
            return f"{shares}: no significant difference."
        return f"{shares}: the model copies {'more' if low > 0 else 'less'} often than held-out words repeat."

    def _verdict_on_memorisation(self) -> str:
        if self.memorisation_ratio is None:
            return "Memorisation ratio: unknown: the model drew too few of the words that occur once in the list."
        if self.memorisation_interval is None:
            drawn, never = ("train", "held-out") if self.memorisation_ratio else ("held-out", "train")
            ratio = "infinite" if self.memorisation_ratio else "0"
            return (
                f"Memorisation ratio {ratio}: of the words that occur once in the list, the model drew {drawn} words "
                f"and no {never} words."
            )
        low, high = self.memorisation_interval
        ratio = (
            f"Memorisation ratio {self.memorisation_ratio:.2f} (95% interval {low:.2f} to {high:.2f}): of the words "
            "that occur once in the list, the model draws "
        )
        if low <= 1 <= high:
            return f"{ratio}train words about as often as held-out words: no sign of memorisation."
        often, sign = ("more", "a sign") if low > 1 else ("less", "no sign")
        return f"{ratio}train words {often} often than held-out words: {sign} of memorisation."

    def _verdict_on_hits(self) -> str:
        if not self.hits:
            return "No sample is a held-out word (in val or test, not in train)."
        if self.hits == 1:
            return "1 sample is a held-out word (in val or test, not in train)."
        share = self.hits / self.samples.words
        return f"{self.hits:,} samples ({share:.1%}) are held-out words (in val or test, not in train)."

    def __repr__(self) -> str:
        return Table(f"Novelty of {self.samples.words:,} samples", notes=self.verdicts).text()

    def _table(self) -> Table:
        heading, cells = self.table()
        aligned = [heading[0], *(f">{name}" for name in heading[1:])]
        return Table(f"Novelty of {self.samples.words:,} samples", cells, aligned, self.verdicts)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Samples and held-out words side by side, as a heading and rows of cells."""
        both, first = (self.samples, self.held_out), self.samples.first
        between = (f"{100 * x.interval[0]:.1f}–{x.interval[1]:.1%}" if x.interval else "too few words" for x in both)
        cells = [
            ["words", *(f"{x.words:,}" for x in both)],
            ["in train", *(f"{x.copied:.1%}" for x in both)],
            ["95% interval", *between],
            ["in val or test, not in train", f"{self.hits / self.samples.words:.1%}", ""],
            ["distinct", *(f"{x.distinct / x.words:.1%}" for x in both)],
            [f"distinct among the first {first:,}", *(f"{x.among_first / first:.1%}" for x in both)],
        ]
        if any(len(x.neighbours) < x.words for x in both):
            cells.append(["rows below: only the first", *(f"{len(x.neighbours):,}" for x in both)])
        return ["", "samples", "held-out words"], [
            *cells,
            *([f"edits to train: {d}", *(f"{x.distances[d]:.1%}" for x in both)] for d in DISTANCE_LABELS),
            ["mean edits", *(f"{x.mean_distance:.2f}" for x in both)],
            *(
                [f"substring of train: {shown}", *(f"{x.pieces[p]:.1%}" for x in both)]
                for p, shown in SUBSTRING_LABELS.items()
            ),
            ["mean piece", *(f"{x.mean_piece:.1%}" for x in both)],
        ]

    def examples(self, n: int = EXAMPLES_PER_KIND) -> dict[str, list[Neighbour]]:
        """Up to n distinct samples of each kind: furthest from train, one edit away, and in val or test."""
        rows = list({row.word: row for row in self.samples.neighbours}.values())
        return {
            "furthest from train": sorted((row for row in rows if row.distance), key=lambda row: -row.distance)[:n],
            "one edit away": [row for row in rows if row.distance == 1 and row.seen == "new"][:n],
            "in val or test": [row for row in rows if row.seen in HELD_OUT][:n],
        }

    def longest_pieces(self, n: int = EXAMPLES_PER_KIND) -> list[Neighbour]:
        """Up to n distinct samples, not in train, that share the longest substrings with a train word."""
        rows = {row.word: row for row in self.samples.neighbours if row.seen != "train" and row.shared}
        return sorted(rows.values(), key=lambda row: -row.shared)[:n]

    def as_json(self) -> dict[str, Any]:
        """All values as plain dictionaries; `words` has a row for each sample whose neighbours were searched for."""
        return {
            "samples": self.samples.as_json(),
            "held_out": self.held_out.as_json(),
            "difference": self.difference,
            "hits": self.hits,
            "repeats": self.repeats,
            "memorisation_ratio": self.memorisation_ratio,
            "memorisation_interval": self.memorisation_interval,
            "favour": self.memorisation_ratio,  # old names of the two above
            "favour_interval": self.memorisation_interval,
            "verdicts": self.verdicts,
            "words": [asdict(row) for row in self.samples.neighbours],
        }


def novelty(
    run: Run,
    n: int = 10_000,
    *,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    tell: Callable[[int, int], object] = lambda done, words: None,
) -> Novelty:
    """Draw n samples, and compare them and the held-out words with the train words.

    seed, temperature, top_k    as in `Model.sample`; the default seed is that of the run
    tell                        called from time to time with the number of words compared so far, and of all

    Nearest words and shared substrings are computed for all samples and all held-out words. On a long list, where that
    would take more than MOST_PAIRS comparisons with train words, they are computed for the first words only.

    Raises InputError for values out of range.
    """
    if n < 1:
        raise InputError(f"the number of samples is {n}: it must be at least 1")
    corpus, train = run.corpus, run.corpus.parts["train"]
    words = run.model.sample(
        n,
        seed=run.options.seed if seed is None else seed,
        temperature=temperature,
        top_k=top_k,
    )
    marks = {word: corpus.mark(word) for word in set(words)}
    samples = [(word, marks[word]) for word in words]
    held_out = [
        (word, "train" if copy else part)
        for part in HELD_OUT
        for word, copy in zip(corpus.parts[part], corpus.stand_in_train(part).tolist(), strict=True)
    ]
    first = min(len(samples), len(held_out))
    searched = max(FEWEST_SEARCHED, MOST_PAIRS // len(train))
    new = list(
        dict.fromkeys(word for marked in (samples, held_out) for word, seen in marked[:searched] if seen != "train")
    )
    distances, places = nearest(new, train, lambda done: tell(done, len(new)))
    shared, sources = longest_shared(new, train)
    columns = (array.tolist() for array in (places, distances, shared, sources))
    found = {
        word: (train[place], distance, length, train[source] if length else "")
        for word, place, distance, length, source in zip(new, *columns, strict=True)
    }

    def similarity(marked: list[tuple[str, str]]) -> Similarity:
        return Similarity(
            words=len(marked),
            copies=sum(seen == "train" for _, seen in marked),
            distinct=len({word for word, _ in marked}),
            among_first=len({word for word, _ in marked[:first]}),
            first=first,
            neighbours=[
                Neighbour(word, seen, *found.get(word, (word, 0, len(word), word))) for word, seen in marked[:searched]
            ],
        )

    hits = sum(seen in HELD_OUT for _, seen in samples)
    repeats = corpus.split != "distinct" and not all(corpus.stand_once(part).all() for part in corpus.parts)
    return Novelty(similarity(samples), similarity(held_out), hits, repeats, *memorisation_ratio(words, corpus))


def memorisation_ratio(samples: list[str], corpus: Corpus) -> tuple[float | None, Interval | None]:
    """Mean draws of a train word over mean draws of a held-out word, for words that occur once; and its 95% interval.

    The interval is that of the logarithm, by the delta method, from the variance of the draws of each kind. Both are
    None if fewer than FEWEST distinct words were drawn; the interval also if one kind was never drawn.
    """
    times = Counter(samples)

    def draws(*parts: str) -> np.ndarray:
        """Number of times that each word of these parts was drawn."""
        marked = ((corpus.parts[part], corpus.stand_once(part).tolist()) for part in parts)
        return np.array(
            [times.get(w, 0) for words, once in marked for w, alone in zip(words, once, strict=True) if alone]
        )

    train, held_out = draws("train"), draws(*HELD_OUT)
    if not train.size or not held_out.size or np.count_nonzero(train) + np.count_nonzero(held_out) < FEWEST:
        return None, None
    if not train.any() or not held_out.any():
        return (math.inf if train.any() else 0.0), None
    ratio = float(train.mean() / held_out.mean())
    error = math.sqrt(sum(x.var() / (x.size * x.mean() ** 2) for x in (train, held_out)))
    return ratio, (ratio * math.exp(-Z * error), ratio * math.exp(Z * error))
