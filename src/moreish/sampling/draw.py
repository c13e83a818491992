"""Drawing words that satisfy constraints, each as often as the model generates it among these words.

With wishes, words have weights, and a word is drawn in proportion to its probability times its weight. There are four
ways, and the last one alone is not exact:

enumeration             if few words satisfy the constraints, the probability of each is computed
dynamic programming     if a model has few contexts, as counted models and nets with a block size up to 3 or 4 do
rejection               if many words satisfy the constraints, words are drawn until enough of them do
look-ahead              otherwise words grow with an n-gram looking ahead, and their weights correct for it

A model with labels is several models, one for each label, and a share for each. Then a label is drawn first, and a word
with it; which labels go well with the constraints counts.

The prefix that all words share is given: its probability does not count, and temperature, top-k and top-p apply only
after it. Without a maximum length, a word may have `SamplingModel.most_extra` characters more than the shortest one.
"""

import math
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.shown import Shown, Table, first, marked, more
from ..errors import InputError
from .constraints import Constraints
from .deadline import check_time
from .dfa import DFA
from .model import FIRST_LENGTH, SamplingModel
from .options import SamplingOptions
from .sources import MAX_ENUMERATED, Source, Wanted, enumerated, never_generated, plain, sources_of

WORDS_PER_DRAW = 1 << 16
MOST_WORDS = 50  # shown
MANY = 1 << 18  # words to draw, for their number to be told first
TIMED = 1 << 12  # words drawn to measure the time of one
PROBES = 256  # words drawn to see whether rejection is cheap
DEFAULT_TRIES = 2_000_000  # or 1,000 for each word asked for, if that is more
STALE = 1 << 17  # words in a row that fit and bring nothing new, after which drawing ends


class Samples(Shown, list[str]):
    """Words that were drawn.

    method  "plain" without constraints, "enumeration", "dynamic programming", "rejection" or "look-ahead"; or several,
            such as "rejection and look-ahead", with wished lengths: see `DrawingByLength`
    share   the probability that a word of the model that begins with head satisfies the constraints: exact, or for
            rejection the share of the words drawn, or for look-ahead an estimate; 1 without constraints. With wishes,
            the mean weight of such a word, as a share of the largest weight
    effective   for look-ahead, the effective sample size as a share of the prefixes that grew: see `guided`; else None
    head    the prefix that all words share
    tried   the number of words drawn, with those that were not wanted or did not satisfy the constraints
    wishes  True if wishes weigh the words
    corpus  the corpus of the run that drew them; None for a model without a run
    """

    corpus: Corpus | None = None

    def __init__(
        self,
        words: Collection[str],
        method: str,
        share: float,
        head: str,
        tried: int,
        wishes: bool = False,
        effective: float | None = None,
    ):
        super().__init__(words)
        self.method, self.share, self.effective = method, share, effective
        self.head, self.tried, self.wishes = head, tried, wishes

    def __getstate__(self) -> dict[str, Any]:
        """State without the corpus."""
        return {k: v for k, v in vars(self).items() if k != "corpus"}

    def __repr__(self) -> str:
        number = f" {len(self):,} words" if len(self) > MOST_WORDS else ""
        return f"[{', '.join(first(self, MOST_WORDS))}]{number}"

    def _table(self) -> Table:
        some = self[:MOST_WORDS]
        marks = None if self.corpus is None else map(self.corpus.mark, some)
        return Table(f"{len(self):,} words", notes=[marked(some, marks), *more(len(self), MOST_WORDS)])


class Drawing:
    """A draw of n words that satisfy the constraints. Iterate over it once for lists of up to WORDS_PER_DRAW words.

    models      the model, or the models of all labels
    avoid       words to leave out
    distinct    draw each word only once
    exact       draw each word exactly as often as the model generates it, whatever it costs
    tries       words to draw at most; None for DEFAULT_TRIES, ended early by STALE words in a row with nothing new
    on_progress called with the number of words found and of words drawn
    on_cost     called with a line about the time that an exact draw takes, if it takes long

    Iterating raises InputError if no word satisfies the constraints, and if fewer than n are found; before the first
    word if n is at most WORDS_PER_DRAW. The attributes method, share, head, tried and wishes are as in `Samples`, for
    the words drawn so far.
    """

    def __init__(
        self,
        models: Sequence[SamplingModel],
        n: int,
        seed: int,
        options: SamplingOptions,
        constraints: Constraints,
        *,
        avoid: Collection[str] = (),
        distinct: bool = False,
        exact: bool = False,
        tries: int | None = None,
        on_progress: Callable[[int, int], None] = lambda found, tried: None,
        on_cost: Callable[[str], None] = lambda cost: None,
    ):
        if isinstance(avoid, str):
            raise InputError(f"avoid is {avoid!r}: give a list of words")
        self.models, self.n, self.seed, self.options, self.constraints = models, n, seed, options, constraints
        self.avoided = {unicodedata.normalize("NFC", word) for word in avoid}
        self.distinct, self.exact, self.tries = distinct, exact, tries
        self.on_progress, self.on_cost = on_progress, on_cost
        self.method, self.share, self.head, self.tried, self.wishes = "plain", 1.0, "", 0, False
        self.effective: float | None = None
        self._excluded = set(self.avoided)

    def __repr__(self) -> str:
        return f"Drawing({self.n:,} words, seed {self.seed}, {self.tried:,} drawn)"

    def samples(self) -> Samples:
        """Draw all the words."""
        words = [word for some in self for word in some]
        return Samples(words, self.method, self.share, self.head, self.tried, self.wishes, self.effective)

    def __iter__(self) -> Iterator[list[str]]:
        model = self.models[0]
        if self.constraints.only_prefix:
            prefix = model.vocab.encode(self.constraints.prefix)
            sources = iter([plain(self.models, prefix, self.options, self.seed)])
            self.head = model.spell([prefix])[0]
        else:
            words = self.constraints.words(model.vocab)
            self.wishes = words.has_wishes
            self.head = model.spell([words.split_prefix()[0]])[0]
            if words.n_words <= MAX_ENUMERATED:
                yield from self._enumerate(words)
                return
            longest = self.constraints.max_length or words.shortest + model.most_extra
            wanted = Wanted(self.models, words, self.options, self.seed, longest, self._excluded, self.distinct)
            sources = sources_of(wanted, self.n, self.exact)
        error: InputError = never_generated(self.options)
        for source in sources:
            drawn = self._draw(source)
            try:
                first = list(drawn if self.distinct and not source.last else _first(drawn))
            except _TooFew as too_few:  # the next source is slower, and may find more
                error = too_few
                continue
            yield from first
            yield from drawn
            return
        raise error

    def _draw(self, source: Source) -> Iterator[list[str]]:
        """Draw until n wanted words are found."""
        most = max(DEFAULT_TRIES, 1000 * self.n) if self.tries is None else self.tries
        if source.expected > MANY:
            self._tell_cost(source.expected, most)
        excluded, found, tried, satisfying, stale = self._excluded, 0, 0, 0, 0
        one_word = self.options.greedy and len(self.models) == 1
        excluded.clear()
        excluded.update(self.avoided)
        self.method, self.share, self.effective, self.tried = source.method, source.share or 0.0, None, 0
        while found < self.n:
            check_time()
            if one_word and tried and not satisfying and not self.wishes:
                raise _TooFew(str(never_generated(self.options)))
            if tried >= most or (one_word and stale) or (self.tries is None and stale >= STALE):
                raise self._too_few(found, tried)
            rate = (found + 1) / (tried + 1)
            n_draws = int(min(WORDS_PER_DRAW, max(64, 1.1 * (self.n - found) / rate), most - tried))
            if source.share is None and source.least and not tried:
                n_draws = min(n_draws, PROBES)
            if source.all_wanted or (not excluded and not self.distinct and source.share is not None):
                n_draws = min(n_draws, self.n - found)
            wanted: list[str] = []
            drawn = source.draw(n_draws, tried)
            if not drawn:
                raise self._too_few(found, tried)
            for word in drawn:
                tried += 1
                satisfying += word != ""
                stale += word != ""
                if word and word not in excluded:
                    stale = 0
                    wanted.append(word)
                    if self.distinct:
                        excluded.add(word)
                    if found + len(wanted) == self.n:
                        break
            found += len(wanted)
            self.tried = tried
            self.method, self.effective = source.method, source.effective
            self.share = satisfying / tried if source.share is None else source.share
            self.on_progress(found, tried)
            if found < self.n and satisfying < source.least * tried:
                raise self._too_few(found, tried)
            yield wanted

    def _tell_cost(self, words: float, most: int) -> None:
        """Tell how many words have to be drawn; raise InputError if these are more than the limit."""
        draw = partial(self.models[0].draw, TIMED, (), self.options, self.seed, 0, FIRST_LENGTH)
        draw()  # loads kernels
        begun = time.perf_counter()
        draw()
        seconds = (time.perf_counter() - begun) / TIMED * words
        cost = f"exact draws take rejection here: about {words:,.0f} words, in {_duration(seconds)}"
        if words > most:
            raise InputError(
                f"{cost}, and the limit is {most:,}: raise it (--tries {math.ceil(2 * words)}), or draw without --exact"
            )
        self.on_cost(cost)

    def _too_few(self, found: int, tried: int) -> "_TooFew":
        wanted = " ".join(["new"] * bool(self.avoided) + ["different"] * self.distinct + ["words"])
        advice = f"ask for fewer (-n {found})" if found else "relax the constraints"
        otherwise = self.options.way_out_of_greedy or f"draw more (--tries {10 * tried})"
        return _TooFew(
            f"only {found:,} of {self.n:,} {wanted} were found among {tried:,} that the model generated: "
            f"{advice}, or {otherwise}"
        )

    def _enumerate(self, words: DFA) -> Iterator[list[str]]:
        """Draw words of a set by the probability of each, times its weight."""
        found, log_p = enumerated(self.models, self.options, words)
        if not found:
            raise never_generated(self.options)
        spelt, p = self.models[0].spell(found), np.exp(log_p - log_p[0])
        self.method, self.share = "enumeration", float(np.exp(log_p[0]) * p.sum()) / words.largest
        wanted = [i for i, word in enumerate(spelt) if word not in self.avoided]
        if self.n > len(wanted) and (self.distinct or not wanted):
            fitting = "word that fits" if len(spelt) == 1 else "words that fit"
            others = f", and {len(spelt) - len(wanted):,} of them are excluded" if self.avoided else ""
            raise InputError(
                f"the model can generate {len(spelt):,} {fitting}{others}: {len(wanted):,} are left, "
                f"fewer than the {self.n:,} requested"
            )
        spelt, p = [spelt[i] for i in wanted], p[wanted]
        generator = np.random.default_rng(self.seed)
        if self.distinct:
            # Exponential waiting times: the order in which each word first comes (Efraimidis and Spirakis 2006).
            waits = generator.exponential(size=len(p)) / np.maximum(p, 1e-300)
            yield [spelt[i] for i in np.argsort(waits, kind="stable")[: self.n]]
            self.tried = self.n
            return
        sums = np.cumsum(p)
        while self.tried < self.n:
            chances = generator.random(min(WORDS_PER_DRAW, self.n - self.tried)) * sums[-1]
            self.tried += len(chances)
            yield [spelt[i] for i in np.minimum(np.searchsorted(sums, chances, "right"), len(p) - 1)]


def _duration(seconds: float) -> str:
    """Return a time in the largest unit that it has one of, such as 12 s."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


class _TooFew(InputError):
    """Fewer words were found than requested."""


def _first(drawn: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the first WORDS_PER_DRAW words, or all. If so many are found, the source does not find too few."""
    found = 0
    while found < WORDS_PER_DRAW and (words := next(drawn, None)) is not None:
        found += len(words)
        yield words
