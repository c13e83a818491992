"""Drawing words that fit: each way here draws them exactly as often as the model makes them, among its words that fit.

enumeration     where few words fit, each one's probability is computed
dynamic programming     where a model has few contexts, as counted ones and nets that see three or four characters have
rejection       elsewhere words are drawn until enough of them fit

What every word has to begin with is given: it costs nothing, and temperature, top-k and top-p bear on what comes after.
Words of more than CUT characters beyond the shortest that fits are not drawn, unless a longest is asked for.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .beam import likeliest
from .constraints import Constraints
from .deadline import check_time
from .dfa import DFA
from .dynamic_programming import WORK, Product, SamplingOptions, work
from .writer import Writer

ENUMERABLE = 1 << 17  # words that fit
CUT = 1000
PIECE = 1 << 16  # words that are drawn at a time
TRIES = 2_000_000  # or a thousand for each word that is asked for, if that is more
QUICK = WORK >> 4  # work of dynamic programming that is done before rejection is tried


class Samples(list[str]):
    """Words that were drawn.

    method  how: plainly, by enumeration, dynamic programming or rejection
    share   of the words that the model makes, and that begin with head, how many fit: exactly, or by rejection as many
            as did; 1 if nothing else was asked
    head    what every word that fits begins with
    tried   how many words were drawn for these: more, where some were not wanted or did not fit
    """

    def __init__(self, words: Collection[str], method: str, share: float, head: str, tried: int):
        super().__init__(words)
        self.method, self.share, self.head, self.tried = method, share, head, tried


@dataclass
class Source:
    """Where words come from: draw(n, first) gives word number first, first + 1, ..., "" for one that does not fit.

    share is as in `Samples`; None where it is to be counted.
    """

    method: str
    draw: Callable[[int, int], list[str]]
    share: float | None


def sample(
    writer: Writer,
    n: int,
    seed: int,
    chances: SamplingOptions,
    constraints: Constraints,
    *,
    avoid: Collection[str] = (),
    distinct: bool = False,
    tries: int | None = None,
    on_progress: Callable[[int, int], None] = lambda found, tried: None,
) -> Samples:
    """Draw n words that fit.

    avoid       words that are not wanted; distinct: each word once
    tries       words that are drawn at most; None for TRIES
    on_progress is told how many are found, and how many were drawn

    Raises InputError if no word fits, and if fewer than n are found.
    """
    if isinstance(avoid, str):
        raise InputError(f"avoid is {avoid!r}: give a list of words")
    avoided = {unicodedata.normalize("NFC", word) for word in avoid}
    if constraints.only_prefix:
        head = writer.vocab.encode(constraints.prefix)
        sources = iter([_plain(writer, head, chances, seed)])
    else:
        words = constraints.words(writer.vocab)
        head = words.head()[0]
        if words.n_words <= ENUMERABLE:
            return _enumerated(writer, n, seed, chances, words, avoided, distinct)
        sources = _sources(writer, constraints, words, chances, seed)
    error: InputError = _impossible(chances)
    for source in sources:
        try:
            found, share, tried = _gathered(source, n, avoided, distinct, tries, on_progress)
            return Samples(found, source.method, share, writer.spell([head])[0], tried)
        except _TooFew as few:  # the next way is slower, and may find more
            error = few
    raise error


class _TooFew(InputError):
    """Fewer words were found than were asked for."""


def _gathered(
    source: Source,
    n: int,
    avoided: set[str],
    distinct: bool,
    tries: int | None,
    on_progress: Callable[[int, int], None],
) -> tuple[list[str], float, int]:
    """n words that are wanted, the share of those that fit, and how many were drawn."""
    most = max(TRIES, 1000 * n) if tries is None else tries
    found: list[str] = []
    seen, tried, fitting = set(avoided), 0, 0
    while len(found) < n:
        check_time()
        if tried >= most:
            wanted = " ".join(["new"] * bool(avoided) + ["different"] * distinct + ["words"])
            advice = f"ask for fewer (-n {len(found)}), or" if found else "ask for less, or"
            raise _TooFew(
                f"only {len(found):,} of {n:,} {wanted} were found among {tried:,} that the model made: "
                f"{advice} for more to be drawn (--tries {10 * most})"
            )
        rate = (len(found) + 1) / (tried + 1)
        some = int(min(PIECE, max(64, 1.1 * (n - len(found)) / rate), most - tried))
        if not seen and not distinct and source.share is not None:
            some = min(some, n - len(found))  # every word is wanted
        for word in source.draw(some, tried):
            tried += 1
            fitting += word != ""
            if word and word not in seen:
                found.append(word)
                if distinct:
                    seen.add(word)
                if len(found) == n:
                    break
        on_progress(len(found), tried)
    return found, fitting / max(tried, 1) if source.share is None else source.share, tried


def _plain(writer: Writer, head: list[int], chances: SamplingOptions, seed: int) -> Source:
    """Words of which nothing is asked but how they begin; one that does not end is cut."""

    def draw(n: int, first: int) -> list[str]:
        return writer.vocab.split(writer.draw(n, head, chances, seed, first, len(head) + CUT))

    return Source("plain", draw, 1.0)


def _enumerated(
    writer: Writer, n: int, seed: int, chances: SamplingOptions, words: DFA, avoided: set[str], distinct: bool
) -> Samples:
    """Draw from words each of whose probability is computed."""
    found = likeliest(writer.contexts, chances, words)
    if not found.words:
        raise _impossible(chances)
    spelt, p = writer.spell(found.words), np.exp(found.log_p - found.log_p[0])
    share = float(np.exp(found.log_p[0]) * p.sum())
    wanted = [i for i, word in enumerate(spelt) if word not in avoided]
    if n > len(wanted) and (distinct or not wanted):
        others = f", and {len(spelt) - len(wanted):,} of them are to be avoided" if avoided else ""
        raise InputError(
            f"{len(spelt):,} words fit that the model makes{others}: {len(wanted):,} are left, and {n:,} are asked for"
        )
    spelt, p = [spelt[i] for i in wanted], p[wanted]
    generator = np.random.default_rng(seed)
    if distinct:  # exponential waiting times: the order in which words come, each the first time (Efraimidis, Spirakis)
        chosen = np.argsort(generator.exponential(size=len(p)) / np.maximum(p, 1e-300), kind="stable")[:n]
    else:
        sums = np.cumsum(p)
        chosen = np.minimum(np.searchsorted(sums, generator.random(n) * sums[-1], "right"), len(p) - 1)
    return Samples([spelt[i] for i in chosen], "enumeration", share, writer.spell([words.head()[0]])[0], n)


def _sources(
    writer: Writer, constraints: Constraints, words: DFA, chances: SamplingOptions, seed: int
) -> Iterator[Source]:
    """The ways to draw words that fit, the quickest first; the next one is asked for if that finds too few."""
    longest = constraints.max_length or words.shortest + CUT
    cost = work(writer.contexts, words, len(writer.vocab))
    product = _product(writer, words, chances, seed, longest) if cost <= QUICK else None
    if product:
        yield product
        return
    yield _rejection(writer, words, chances, seed, longest)
    if QUICK < cost <= WORK and (product := _product(writer, words, chances, seed, longest)):
        yield product


def _product(writer: Writer, words: DFA, chances: SamplingOptions, seed: int, longest: int) -> Source | None:
    """Draws by dynamic programming; None where it does not settle."""
    product = Product(writer.contexts, chances, words)
    if not product.settled:
        return None
    if not product.mass:
        raise _impossible(chances)

    def draw(n: int, first: int) -> list[str]:
        return writer.vocab.split(product.draw(n, seed, first, longest - len(product.head)))

    return Source("dynamic programming", draw, product.mass)


def _rejection(writer: Writer, words: DFA, chances: SamplingOptions, seed: int, longest: int) -> Source:
    """Draws of which those that do not fit are thrown away, each after what all words begin with."""
    head = words.head()[0]

    def draw(n: int, first: int) -> list[str]:
        tokens = writer.draw(n, head, chances, seed, first, longest + 1)
        lengths = np.diff(np.flatnonzero(tokens == 0), prepend=-1) - 1
        fit = words.accepts_each(tokens) & (lengths <= longest)
        return [word if fits else "" for word, fits in zip(writer.vocab.split(tokens), fit.tolist(), strict=True)]

    return Source("rejection", draw, None)


def _impossible(chances: SamplingOptions) -> InputError:
    """The error where words fit, but the model never makes one."""
    if chances == SamplingOptions():
        return InputError("words fit, but the model gives them a probability of zero, or of less than 1e-300")
    return InputError(
        "words fit, but none that the model makes with this temperature, top-k and top-p: allow it more, "
        "with --temperature 1 and neither of the others"
    )
