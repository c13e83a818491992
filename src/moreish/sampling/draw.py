"""Drawing words that satisfy constraints, each exactly as often as the model generates it among these words.

There are three ways:

enumeration             if few words satisfy the constraints, the probability of each is computed
dynamic programming     if a model has few contexts, as counted models and nets with a block size up to 3 or 4 do
rejection               otherwise words are drawn until enough of them satisfy the constraints

The prefix that all words share is given: its probability does not count, and temperature, top-k and top-p apply only
after it. Without a maximum length, a word may have `SamplingModel.most_extra` characters more than the shortest one.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .beam import beam_search
from .constraints import Constraints
from .deadline import check_time
from .dfa import DFA
from .dynamic_programming import MAX_STEPS, ExactSampler, SamplingOptions, estimated_steps
from .model import SamplingModel

MAX_ENUMERATED = 1 << 17  # words
REDRAWS = 16  # of a word that is too long
WORDS_LIKE_ONE = 256  # drawing fewer words takes as long
WORDS_PER_DRAW = 1 << 16
DEFAULT_TRIES = 2_000_000  # or 1,000 for each word asked for, if that is more
QUICK_STEPS = MAX_STEPS >> 4  # up to this many, dynamic programming is tried before rejection


class Samples(list[str]):
    """Words that were drawn.

    method  "plain" without constraints, "enumeration", "dynamic programming" or "rejection"
    share   the probability that a word of the model that begins with head satisfies the constraints: exact, or for
            rejection the share of the words drawn; 1 without constraints
    head    the prefix that all words share
    tried   the number of words drawn, with those that were not wanted or did not satisfy the constraints
    """

    def __init__(self, words: Collection[str], method: str, share: float, head: str, tried: int):
        super().__init__(words)
        self.method, self.share, self.head, self.tried = method, share, head, tried


@dataclass
class Source:
    """A way to draw words.

    draw    draw(n, first) returns words number first, first + 1, ...; "" for one that does not satisfy the constraints
    share   see `Samples`; None to count it
    """

    method: str
    draw: Callable[[int, int], list[str]]
    share: float | None


def sample(
    model: SamplingModel,
    n: int,
    seed: int,
    options: SamplingOptions,
    constraints: Constraints,
    *,
    avoid: Collection[str] = (),
    distinct: bool = False,
    tries: int | None = None,
    on_progress: Callable[[int, int], None] = lambda found, tried: None,
) -> Samples:
    """Draw n words that satisfy the constraints.

    avoid       words to leave out
    distinct    draw each word only once
    tries       words to draw at most; None for DEFAULT_TRIES
    on_progress called with the number of words found and of words drawn

    Raises InputError if no word satisfies the constraints, and if fewer than n are found.
    """
    if isinstance(avoid, str):
        raise InputError(f"avoid is {avoid!r}: give a list of words")
    avoided = {unicodedata.normalize("NFC", word) for word in avoid}
    if constraints.only_prefix:
        prefix = model.vocab.encode(constraints.prefix)
        sources = iter([_plain(model, prefix, options, seed)])
    else:
        words = constraints.words(model.vocab)
        prefix = words.split_prefix()[0]
        if words.n_words <= MAX_ENUMERATED:
            return _enumerate(model, n, seed, options, words, avoided, distinct)
        sources = _sources(model, constraints, words, options, seed)
    error: InputError = _never_generated(options)
    for source in sources:
        try:
            found, share, tried = _collect(source, n, avoided, distinct, tries, on_progress)
            return Samples(found, source.method, share, model.spell([prefix])[0], tried)
        except _TooFew as too_few:  # the next source is slower, and may find more
            error = too_few
    raise error


class _TooFew(InputError):
    """Fewer words were found than requested."""


def _collect(
    source: Source,
    n: int,
    avoided: set[str],
    distinct: bool,
    tries: int | None,
    on_progress: Callable[[int, int], None],
) -> tuple[list[str], float, int]:
    """Draw until n wanted words are found; return them, the share that satisfies the constraints, and the tries."""
    most = max(DEFAULT_TRIES, 1000 * n) if tries is None else tries
    found: list[str] = []
    excluded, tried, satisfying = set(avoided), 0, 0
    while len(found) < n:
        check_time()
        if tried >= most:
            wanted = " ".join(["new"] * bool(avoided) + ["different"] * distinct + ["words"])
            advice = f"ask for fewer (-n {len(found)})" if found else "relax the constraints"
            raise _TooFew(
                f"only {len(found):,} of {n:,} {wanted} were found among {tried:,} that the model generated: "
                f"{advice}, or draw more (--tries {10 * most})"
            )
        rate = (len(found) + 1) / (tried + 1)
        n_draws = int(min(WORDS_PER_DRAW, max(64, 1.1 * (n - len(found)) / rate), most - tried))
        if not excluded and not distinct and source.share is not None:
            n_draws = min(n_draws, n - len(found))  # every word is wanted
        for word in source.draw(n_draws, tried):
            tried += 1
            satisfying += word != ""
            if word and word not in excluded:
                found.append(word)
                if distinct:
                    excluded.add(word)
                if len(found) == n:
                    break
        on_progress(len(found), tried)
    return found, satisfying / max(tried, 1) if source.share is None else source.share, tried


def _plain(model: SamplingModel, prefix: list[int], options: SamplingOptions, seed: int) -> Source:
    """Return a source of words with a prefix and no other constraint.

    A word that is too long is drawn again, under a number that no other word has. After REDRAWS, it is cut: with a
    temperature of 0, for example, a model may never end a word.
    """
    longest = len(prefix) + model.most_extra

    def drawn(n: int, first: int) -> list[str]:
        return model.vocab.split(model.draw(n, prefix, options, seed, first, longest + 1))

    def draw(n: int, first: int) -> list[str]:
        words = drawn(n, first)
        for turn in range(1, REDRAWS + 1):
            too_long = [i for i, word in enumerate(words) if len(word) > longest]
            if len(too_long) * WORDS_LIKE_ONE > n:
                again = drawn(n, first + (turn << 40))
                for i in too_long:
                    words[i] = again[i]
            else:
                for i in too_long:
                    words[i] = drawn(1, first + i + (turn << 40))[0]
        return [word[:longest] for word in words]

    return Source("plain", draw, 1.0)


def _enumerate(
    model: SamplingModel,
    n: int,
    seed: int,
    options: SamplingOptions,
    words: DFA,
    avoided: set[str],
    distinct: bool,
) -> Samples:
    """Draw n words of a set by the probability of each."""
    found = beam_search(model.contexts, options, words)
    if not found.words:
        raise _never_generated(options)
    spelt, p = model.spell(found.words), np.exp(found.log_p - found.log_p[0])
    share = float(np.exp(found.log_p[0]) * p.sum())
    wanted = [i for i, word in enumerate(spelt) if word not in avoided]
    if n > len(wanted) and (distinct or not wanted):
        fitting = "word that fits" if len(spelt) == 1 else "words that fit"
        others = f", and {len(spelt) - len(wanted):,} of them are excluded" if avoided else ""
        raise InputError(
            f"the model can generate {len(spelt):,} {fitting}{others}: {len(wanted):,} are left, "
            f"fewer than the {n:,} requested"
        )
    spelt, p = [spelt[i] for i in wanted], p[wanted]
    generator = np.random.default_rng(seed)
    if distinct:  # exponential waiting times: the order in which each word first comes (Efraimidis and Spirakis 2006)
        chosen = np.argsort(generator.exponential(size=len(p)) / np.maximum(p, 1e-300), kind="stable")[:n]
    else:
        sums = np.cumsum(p)
        chosen = np.minimum(np.searchsorted(sums, generator.random(n) * sums[-1], "right"), len(p) - 1)
    prefix = model.spell([words.split_prefix()[0]])[0]
    return Samples([spelt[i] for i in chosen], "enumeration", share, prefix, n)


def _sources(
    model: SamplingModel, constraints: Constraints, words: DFA, options: SamplingOptions, seed: int
) -> Iterator[Source]:
    """Yield the sources of a set of words, the fastest first; the next is for when that finds too few words."""
    longest = constraints.max_length or words.shortest + model.most_extra
    steps = estimated_steps(model.contexts, words, len(model.vocab))
    exact = _exact(model, words, options, seed, longest) if steps <= QUICK_STEPS else None
    if exact:
        yield exact
        return
    yield _rejection(model, words, options, seed, longest)
    if QUICK_STEPS < steps <= MAX_STEPS and (exact := _exact(model, words, options, seed, longest)):
        yield exact


def _exact(model: SamplingModel, words: DFA, options: SamplingOptions, seed: int, longest: int) -> Source | None:
    """Return a source by dynamic programming; None if that does not converge."""
    sampler = ExactSampler(model.contexts, options, words)
    if not sampler.converged:
        return None
    if not sampler.mass:
        raise _never_generated(options)

    def draw(n: int, first: int) -> list[str]:
        return model.vocab.split(sampler.draw(n, seed, first, longest - len(sampler.prefix)))

    return Source("dynamic programming", draw, sampler.mass)


def _rejection(model: SamplingModel, words: DFA, options: SamplingOptions, seed: int, longest: int) -> Source:
    """Return a source that draws words with the shared prefix and rejects those that are not in the set."""
    prefix = words.split_prefix()[0]

    def draw(n: int, first: int) -> list[str]:
        tokens = model.draw(n, prefix, options, seed, first, longest + 1)
        lengths = np.diff(np.flatnonzero(tokens == 0), prepend=-1) - 1
        accepted = words.accepts_each(tokens) & (lengths <= longest)
        return [word if ok else "" for word, ok in zip(model.vocab.split(tokens), accepted.tolist(), strict=True)]

    return Source("rejection", draw, None)


def _never_generated(options: SamplingOptions) -> InputError:
    """Return the error for constraints that some words satisfy, but none that the model generates."""
    if options == SamplingOptions():
        return InputError("the words that fit have a probability of zero, or less than 1e-300, under the model")
    return InputError(
        "the model generates no word that fits with this temperature, top-k and top-p: use "
        "--temperature 1, without --top-k and --top-p"
    )
