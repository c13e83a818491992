"""Drawing words that fit: each way here draws them exactly as often as the model makes them, among its words that fit.

enumeration     where few words fit, each one's probability is computed
dynamic programming     where a model has few contexts, as counted ones and nets that see three or four characters have
rejection       elsewhere words are drawn until enough of them fit

What every word has to begin with is given: it costs nothing, and temperature, top-k and top-p bear on what comes after.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from ..corpus import Vocab
from ..engines import Reader
from ..errors import InputError
from ..tape import Draw
from .constraints import LONGEST, Constraints
from .contexts import Contexts
from .deadline import check_time
from .dfa import DFA
from .product import Chances, Product, fits
from .search import likeliest

ENUMERABLE = 1 << 17  # words that fit
TAIL = 50  # characters that a word of unlimited length may have more than the shortest one that fits
PIECE = 1 << 19  # characters that the words drawn at a time may come to
TRIES = 2_000_000  # or a thousand for each word that is asked for, if that is more


@dataclass(frozen=True)
class Writer:
    """A model as what writes words: its vocabulary, what reads and draws by its weights, and its contexts."""

    vocab: Vocab
    reader: Reader
    params: np.ndarray
    contexts: Contexts


class Samples(list[str]):
    """Words that were drawn.

    method  how: plainly, by enumeration, dynamic programming or rejection
    share   of the words that the model makes, how many fit (after what all begin with): exactly, or by rejection as
            many as did; 1 if nothing was asked
    tried   how many words were drawn for these: more, where some were not wanted or did not fit
    """

    def __init__(self, words: Collection[str], method: str, share: float, tried: int):
        super().__init__(words)
        self.method, self.share, self.tried = method, share, tried


@dataclass
class Source:
    """Where words come from: draw(n, first) gives word number first, first + 1, ..., "" for one that does not fit.

    share is as in `Samples`; None where it is to be counted. longest is what a word may come to, in characters.
    """

    method: str
    draw: Callable[[int, int], list[str]]
    share: float | None
    longest: int


def sample(
    writer: Writer,
    n: int,
    seed: int,
    chances: Chances,
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
    if constraints.only_prefix:
        source = _plain(writer, constraints, chances, seed)
        if not avoid and not distinct:
            return Samples(source.draw(n, 0), source.method, 1.0, n)
    else:
        words = constraints.words(writer.vocab)
        if words.n_words <= ENUMERABLE:
            return _enumerated(writer, n, seed, chances, words, avoid, distinct)
        source = _product(writer, words, chances, seed) or _rejection(writer, constraints, words, chances, seed)
    avoided, found, tried, fitting = set(avoid), [], 0, 0
    most = max(TRIES, 1000 * n) if tries is None else tries
    while len(found) < n:
        check_time()
        if tried >= most:
            raise _too_few(len(found), n, tried, source, bool(avoided), distinct)
        rate = (len(found) + 1) / (tried + 1)
        some = int(min(max(1, PIECE // source.longest), max(64, 1.1 * (n - len(found)) / rate), most - tried))
        for word in source.draw(some, tried):
            tried += 1
            fitting += word != ""
            if word and word not in avoided:
                found.append(word)
                if distinct:
                    avoided.add(word)
                if len(found) == n:
                    break
        on_progress(len(found), tried)
    return Samples(found, source.method, fitting / max(1, tried) if source.share is None else source.share, tried)


def _plain(writer: Writer, constraints: Constraints, chances: Chances, seed: int) -> Source:
    """Words of which nothing is asked but how they begin; one that does not end is cut."""
    prefix = writer.vocab.encode(constraints.prefix)
    longest = max(1, len(prefix)) + TAIL

    def draw(n: int, first: int) -> list[str]:
        wanted = Draw(prefix, chances.temperature, chances.top_k, chances.top_p, seed, longest, first)
        return writer.vocab.split(writer.reader.generate(writer.params, n, wanted)) if n else []

    return Source("plain", draw, 1.0, longest)


def _enumerated(
    writer: Writer, n: int, seed: int, chances: Chances, words: DFA, avoid: Collection[str], distinct: bool
) -> Samples:
    """Draw from words each of whose probability is computed."""
    found = likeliest(writer.contexts, chances, words)
    spelt, p = spell(writer.vocab, found.words), np.exp(found.log_p)
    share = float(p.sum())
    if not share:
        raise _impossible(chances)
    avoided = set(avoid)
    wanted = [i for i, word in enumerate(spelt) if word not in avoided]
    if n > len(wanted) and (distinct or not wanted):
        others = f", and {len(spelt) - len(wanted):,} of them are to be avoided" if avoid else ""
        raise InputError(f"{len(spelt):,} words fit{others}: {len(wanted):,} are left, and {n:,} are asked for")
    spelt, p = [spelt[i] for i in wanted], p[wanted]
    generator = np.random.default_rng(seed)
    if distinct:  # exponential waiting times: the order in which words come, each the first time (Efraimidis, Spirakis)
        chosen = np.argsort(generator.exponential(size=len(p)) / p, kind="stable")[:n]
    else:
        sums = np.cumsum(p)
        chosen = np.minimum(np.searchsorted(sums, generator.random(n) * sums[-1], "right"), len(p) - 1)
    return Samples([spelt[i] for i in chosen], "enumeration", share, n)


def _product(writer: Writer, words: DFA, chances: Chances, seed: int) -> Source | None:
    """Draws by dynamic programming, where that is not too much."""
    if not fits(writer.contexts, words, len(writer.vocab)):
        return None
    product = Product(writer.contexts, chances, words)
    if not product.settled:
        return None
    if not product.mass:
        raise _impossible(chances)

    def draw(n: int, first: int) -> list[str]:
        return writer.vocab.split(product.draw(n, seed, first, LONGEST))

    return Source("dynamic programming", draw, product.mass, words.shortest + TAIL)


def _rejection(writer: Writer, constraints: Constraints, words: DFA, chances: Chances, seed: int) -> Source:
    """Draws of which those that do not fit are thrown away, each after what all words begin with."""
    head, longest = words.head()[0], constraints.max_length or words.shortest + TAIL

    def draw(n: int, first: int) -> list[str]:
        wanted = Draw(head, chances.temperature, chances.top_k, chances.top_p, seed, longest + 1, first)
        tokens = writer.reader.generate(writer.params, n, wanted)
        lengths = np.diff(np.flatnonzero(tokens == 0), prepend=-1) - 1
        fit = words.accepts_each(tokens) & (lengths <= longest)
        return [word if fits else "" for word, fits in zip(writer.vocab.split(tokens), fit.tolist(), strict=True)]

    return Source("rejection", draw, None, longest)


def _impossible(chances: Chances) -> InputError:
    """The error where words fit, but the model never makes one."""
    if chances == Chances():
        return InputError("words fit, but the model gives them a probability of zero, or of less than 1e-300")
    return InputError(
        "words fit, but none that the model makes with this temperature, top-k and top-p: allow it more, "
        "with --temperature 1 and neither of the others"
    )


def _too_few(found: int, n: int, tried: int, source: Source, avoid: bool, distinct: bool) -> InputError:
    """The error where too few of the words drawn were wanted."""
    wanted = " ".join(["new"] * avoid + ["different"] * distinct + ["words"])
    advice = f"ask for fewer (-n {found})" if found else "ask for less"
    if source.method == "rejection":
        advice += ", or of a counted model (moreish train --model ngram), which draws words that fit without trying"
    return InputError(f"only {found:,} of {n:,} {wanted} were found among {tried:,} that the model made: {advice}")


def spell(vocab: Vocab, words: list[list[int]]) -> list[str]:
    """Words as text."""
    flat = [token for word in words for token in (*word, 0)]
    return vocab.split(np.array(flat, np.int64)) if words else []
