"""How new the words are that a model makes, beside held-out words: copies, nearest train words, shared pieces.

A share of copies means little by itself. Where a list repeats words some held-out ones stand in train too, and a model
that drew from where the list was drawn from would copy as many. So everything is told of held-out words as well: of
those in val and test together, since both are as new to train, and more of them make it surer.

Where no word repeats no held-out one can be a copy, and their share says nothing. What tells there, as everywhere, is
`favour`: chance alone has put a word into train or not, so a model that has learnt no word by heart draws those of
train as often as the others.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ..corpus import Corpus
from ..errors import InputError
from ..evaluation import FEWEST, Interval, Z
from ..training.run import Run
from .neighbours import DISTANCES, PIECES, Kin, Likeness, longest_shared, nearest

HELD_OUT = ("val", "test")
PAIRS = 500_000_000  # of samples and train words that are compared at most, and as many of held-out words;
AT_LEAST = 100  # but these many words whatever it takes
EXAMPLES = 5


@dataclass(frozen=True)
class Novelty:
    """How new samples are, beside held-out words.

    samples, held_out   each held against the train words
    hits                how many samples stand in val or test and not in train: real words that it has never seen
    repeats             whether words of the list repeat, so that a held-out word can stand in train
    favour              of words that stand in the list once: how many times as often one of train was drawn as one
                        held out, 1 for a model that has learnt none by heart; None where too few were drawn to tell
    favour_interval     a 95% interval of it; None where it is None, 0 or infinite
    """

    samples: Likeness
    held_out: Likeness
    hits: int
    repeats: bool
    favour: float | None
    favour_interval: Interval | None

    @property
    def difference(self) -> Interval | None:
        """A 95% interval of the share of copies among samples less that among held-out words.

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
        """What the figures say, in sentences: of copies, of what is known by heart, of words that were hit."""
        return [self._of_copies(), self._of_favour(), self._of_hits()]

    def _of_copies(self) -> str:
        said = f"{self.samples.copied:.1%} of the samples stand in train"
        if not self.repeats:
            return f"{said}. No held-out word does, but none could, for no word repeats here: that is no measure."
        said += f", of the held-out words {self.held_out.copied:.1%}"
        if self.difference is None:
            return f"{said}: too few words to tell which is more."
        low, high = self.difference
        if low <= 0 <= high:
            return f"{said}: no difference shown."
        return f"{said}: the model copies {'more' if low > 0 else 'less'} often than held-out words repeat."

    def _of_favour(self) -> str:
        once = "Of the words that stand once in the list, "
        if self.favour is None:
            return f"{once}too few were drawn to tell whether the model favours those of train."
        if self.favour_interval is None:
            kinds = ("those of train", "those held out")
            return once + "{} were drawn, and {} never.".format(*(kinds if self.favour else kinds[::-1]))
        low, high = self.favour_interval
        said = f"{once}one of train is drawn {self.favour:.2f} times as often as one held out"
        said += f" (95% interval {low:.2f} to {high:.2f}): "
        if low <= 1 <= high:
            return said + "no difference shown."
        return said + f"the model {'favours' if low > 1 else 'avoids'} words that it has seen."

    def _of_hits(self) -> str:
        if not self.hits:
            return "No sample stands in val or test alone."
        which = (
            "1 sample stands"
            if self.hits == 1
            else f"{self.hits:,} samples ({self.hits / self.samples.words:.1%}) stand"
        )
        return (
            f"{which} in val or test alone: no copies, but words of the list that the model makes without having seen "
            "them."
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Samples and held-out words beside each other, as a heading and cells."""
        both, first = (self.samples, self.held_out), self.samples.first
        between = (f"{100 * x.interval[0]:.1f}–{x.interval[1]:.1%}" if x.interval else "too few words" for x in both)
        cells = [
            ["how many", *(f"{x.words:,}" for x in both)],
            ["stand in train", *(f"{x.copied:.1%}" for x in both)],
            ["95% interval", *between],
            ["stand in val or test alone", f"{self.hits / self.samples.words:.1%}", ""],
            ["different", *(f"{x.distinct / x.words:.1%}" for x in both)],
            [f"different of the first {first:,}", *(f"{x.among_first / first:.1%}" for x in both)],
        ]
        if any(len(x.kin) < x.words for x in both):
            cells.append(["what follows: of the first", *(f"{len(x.kin):,}" for x in both)])
        return ["", "samples", "held-out words"], [
            *cells,
            *([f"edits to train: {d}", *(f"{x.distances[d]:.1%}" for x in both)] for d in DISTANCES),
            ["mean", *(f"{x.mean_distance:.2f}" for x in both)],
            *([f"piece of train: {p}", *(f"{x.pieces[p]:.1%}" for x in both)] for p in PIECES),
            ["mean", *(f"{x.mean_piece:.1%}" for x in both)],
        ]

    def examples(self, n: int = EXAMPLES) -> dict[str, list[Kin]]:
        """Different samples by kind: the furthest from train, some one edit away, and some that hit held-out words."""
        rows = list({kin.word: kin for kin in self.samples.kin}.values())
        return {
            "furthest from train": sorted((kin for kin in rows if kin.distance), key=lambda kin: -kin.distance)[:n],
            "one edit away": [kin for kin in rows if kin.distance == 1 and kin.seen == "new"][:n],
            "in val or test": [kin for kin in rows if kin.seen in HELD_OUT][:n],
        }

    def as_json(self) -> dict:
        """Everything as plain dictionaries; `words` has a row for each sample that was searched for."""
        return {
            "samples": self.samples.as_json(),
            "held_out": self.held_out.as_json(),
            **{name: getattr(self, name) for name in ("difference", "hits", "repeats", "favour", "favour_interval")},
            "verdicts": self.verdicts,
            "words": [asdict(kin) for kin in self.samples.kin],
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
    """Draw n samples, and hold them and the held-out words against the train words.

    seed, temperature, top_k    as in `Model.sample`; without a seed that of the run
    tell                        called now and then with how many words have been compared, and of how many

    Nearest words and pieces are searched for all samples and
    all held-out words where either make at most PAIRS with the train words, else for the first of them.
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
    most = max(AT_LEAST, PAIRS // len(train))
    new = list(dict.fromkeys(word for marked in (samples, held_out) for word, seen in marked[:most] if seen != "train"))
    distances, places = nearest(new, train, lambda done: tell(done, len(new)))
    shared = longest_shared(new, train)
    found = {
        word: (train[place], distance, piece)
        for word, place, distance, piece in zip(new, places.tolist(), distances.tolist(), shared.tolist(), strict=True)
    }

    def likeness(marked: list[tuple[str, str]]) -> Likeness:
        return Likeness(
            words=len(marked),
            copies=sum(seen == "train" for _, seen in marked),
            distinct=len({word for word, _ in marked}),
            among_first=len({word for word, _ in marked[:first]}),
            first=first,
            kin=[Kin(word, seen, *found.get(word, (word, 0, len(word)))) for word, seen in marked[:most]],
        )

    hits = sum(seen in HELD_OUT for _, seen in samples)
    repeats = not all(corpus.stand_once(part).all() for part in corpus.parts)
    return Novelty(likeness(samples), likeness(held_out), hits, repeats, *favour(words, corpus))


def favour(samples: list[str], corpus: Corpus) -> tuple[float | None, Interval | None]:
    """Of words that stand in a corpus once, how many times as often one of train was drawn as one held out.

    With a 95% interval, from how much the words of each kind differ in it: of the logarithm, by the delta method. None
    for fewer than FEWEST different words, and for the interval also where one kind was never drawn.
    """
    times = Counter(samples)

    def drawn(*parts: str) -> np.ndarray:
        """How often each word of these parts was drawn."""
        marked = ((corpus.parts[part], corpus.stand_once(part).tolist()) for part in parts)
        return np.array(
            [times.get(w, 0) for words, once in marked for w, alone in zip(words, once, strict=True) if alone]
        )

    train, held_out = drawn("train"), drawn(*HELD_OUT)
    if not train.size or not held_out.size or np.count_nonzero(train) + np.count_nonzero(held_out) < FEWEST:
        return None, None
    if not train.any() or not held_out.any():
        return (math.inf if train.any() else 0.0), None
    ratio = float(train.mean() / held_out.mean())
    error = math.sqrt(sum(x.var() / (x.size * x.mean() ** 2) for x in (train, held_out)))
    return ratio, (ratio * math.exp(-Z * error), ratio * math.exp(Z * error))
