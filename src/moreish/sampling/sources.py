"""Sources of words that satisfy constraints: enumeration, plain draws, dynamic programming, rejection, look-ahead."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice

import numpy as np

from ..engine.rng import WISHES, bits, uniforms
from ..errors import InputError
from .beam import beam_search
from .dfa import DFA
from .dynamic_programming import MAX_STEPS, ExactSampler, estimated_steps
from .guided import GROUPS, chosen, effective_share, grow
from .lookahead import LookAhead
from .model import SamplingModel
from .options import SamplingOptions

MAX_ENUMERATED = 1 << 17  # words
REDRAWS = 16  # of a word that is too long
WORDS_LIKE_ONE = 256  # drawing fewer words takes as long
QUICK_STEPS = MAX_STEPS >> 4  # up to this many, dynamic programming is the cheapest
LEAST_SHARE = 1e-15  # that is told apart
LEAST_RATE = 1 / 8  # of words that satisfy the constraints, for rejection to be cheaper than looking ahead
MAX_REJECTED = 1 << 20  # words, for rejection to be cheaper than a long dynamic programming
FIRST_BATCH, LARGEST_BATCH = 1 << 10, 1 << 12  # words that grow together
PREFIXES_PER_WORD, LEAST_OF_LABEL = 2, 32  # prefixes, in all groups and in one group


@dataclass
class Source:
    """A way to draw words.

    draw    draw(n, first) returns words number first, first + 1, ...; "" for one that does not satisfy the constraints;
            none if there are no more. Calls follow on from each other: the first word of a call has the number after
            the last of the call before
    share   see `Samples`; None to count it
    last    True if no other source follows if this one finds too few words
    least   the lowest share of words that satisfy the constraints among those drawn; with less, another source follows
    effective   see `Samples`
    all_wanted  True if all words drawn are wanted: they satisfy the constraints, and none is to be left out
    expected    the number of words that have to be drawn, if it was estimated; else 0
    """

    method: str
    draw: Callable[[int, int], list[str]]
    share: float | None
    last: bool = True
    least: float = 0.0
    effective: float | None = None
    all_wanted: bool = False
    expected: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """Words of a set, and what is wanted of them.

    models      the model, or the models of all labels
    longest     characters of the longest word
    unwanted    words to leave out, which may grow while words are drawn
    distinct    True if each word is wanted once
    """

    models: Sequence[SamplingModel]
    words: DFA
    options: SamplingOptions
    seed: int
    longest: int
    unwanted: set[str]
    distinct: bool


def enumerated(
    models: Sequence[SamplingModel], options: SamplingOptions, words: DFA
) -> tuple[list[list[int]], np.ndarray]:
    """Return all words of a set, the most likely first, and the logarithm of each one's probability times weight, (n,).

    Probabilities are given the prefix that the words share.
    """
    if len(models) == 1:
        found = beam_search(models[0], options, words)
        return found.words, found.log_p
    weights = label_weights(models, words.split_prefix()[0])
    p: dict[tuple[int, ...], float] = {}
    for model, weight in zip(models, weights.tolist(), strict=True):
        found = beam_search(model, options, words)
        for word, of_label in zip(map(tuple, found.words), np.exp(found.log_p).tolist(), strict=True):
            p[word] = p.get(word, 0.0) + weight * of_label
    ranked = sorted((word for word in p if p[word] > 0), key=lambda word: (-p[word], word))
    return [list(word) for word in ranked], np.log([p[word] for word in ranked])


def label_weights(models: Sequence[SamplingModel], prefix: Sequence[int]) -> np.ndarray:
    """Return the probability of each model's label given a prefix, (models,)."""
    if len(models) == 1:
        return np.ones(1)
    weights = np.array([model.weight(prefix) for model in models])
    if not weights.sum() > 0:  # a prefix that no label makes likely
        weights = np.array([model.share for model in models])
    return weights / weights.sum()


def plain(models: Sequence[SamplingModel], prefix: list[int], options: SamplingOptions, seed: int) -> Source:
    """Return a source of words with a prefix and no other constraint.

    A word that is too long is drawn again, under a number that no other word has. After REDRAWS, it is cut: with a
    temperature of 0, for example, a model may never end a word.
    """
    longest = len(prefix) + models[0].most_extra

    def source(number: int, seed: int) -> Source:
        model = models[number]

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

    return _by_label(models, prefix, seed, source)


def _by_label(
    models: Sequence[SamplingModel],
    prefix: Sequence[int],
    seed: int,
    make: Callable[[int, int], Source],
) -> Source:
    """Return a source that draws a label for each word, and the word from the source of the label.

    make    returns the source of a label, by its number, with a seed. Either all sources know their share, or none does
    """
    if len(models) == 1:
        return make(0, seed)
    sources = [make(number, int(bits(seed, number)) >> 1) for number in range(len(models))]
    chances = label_weights(models, prefix)
    share = None
    if sources[0].share is not None:
        chances = chances * [source.share for source in sources]
        share = float(chances.sum())
        if not share:
            return replace(sources[0], share=0.0)
    generator, drawn = np.random.default_rng(seed), [0] * len(sources)

    def draw(n: int, first: int) -> list[str]:
        labels = np.searchsorted(np.cumsum(chances) / chances.sum(), generator.random(n), "right")
        labels = np.minimum(labels, len(sources) - 1)
        words = [""] * n
        for label in np.unique(labels).tolist():
            places = np.flatnonzero(labels == label).tolist()
            for place, word in zip(places, sources[label].draw(len(places), drawn[label]), strict=True):
                words[place] = word
            drawn[label] += len(places)
        return words

    return replace(sources[0], draw=draw, share=share)


def sources_of(wanted: Wanted, n: int, exact: bool) -> Iterator[Source]:
    """Yield the sources of n words, the cheapest first; the next is for when that finds too few words.

    exact   True for those sources alone that draw a word exactly as often as the model generates it
    """
    models, options = wanted.models, wanted.options
    steps = len(models) * estimated_steps(models[0].contexts, wanted.words, options)
    if steps <= QUICK_STEPS and (source := _exact(wanted)):
        yield source
        return
    if not exact:
        yield _rejection(wanted, last=False, least=LEAST_RATE)
        yield _guided(wanted)
    has_other = QUICK_STEPS < steps <= MAX_STEPS
    expected = n / _estimated_share(wanted) if exact else 0.0
    if has_other and expected > MAX_REJECTED and (source := _exact(wanted)):
        yield source
        return
    yield replace(_rejection(wanted, last=not has_other), expected=expected)
    if has_other and (source := _exact(wanted)):
        yield source


def _estimated_share(wanted: Wanted) -> float:
    """Estimate the share of the model's words that are in the set, by a look-ahead; at least LEAST_SHARE."""
    ahead = _guided(wanted)
    ahead.draw(1, 0)
    return max(ahead.share or 0.0, LEAST_SHARE)


def _exact(wanted: Wanted) -> Source | None:
    """Return a source by dynamic programming; None if that does not converge."""
    samplers = [ExactSampler(model, wanted.options, wanted.words) for model in wanted.models]
    if not all(sampler.converged for sampler in samplers):
        return None

    def source(number: int, seed: int) -> Source:
        sampler = samplers[number]

        def draw(n: int, first: int) -> list[str]:
            tokens = sampler.draw(n, seed, first, wanted.longest - len(sampler.prefix))
            return wanted.models[0].vocab.split(tokens)

        return Source("dynamic programming", draw, sampler.mass / wanted.words.largest)

    found = _by_label(wanted.models, wanted.words.split_prefix()[0], wanted.seed, source)
    if not found.share:
        raise never_generated(wanted.options)
    return found


def _rejection(wanted: Wanted, *, last: bool, least: float = 0.0) -> Source:
    """Return a source that draws words with the shared prefix and rejects those that are not in the set.

    With wishes, a word is kept with a probability in proportion to its weight.
    """
    words, prefix = wanted.words, wanted.words.split_prefix()[0]

    def source(number: int, seed: int) -> Source:
        model = wanted.models[number]

        def draw(n: int, first: int) -> list[str]:
            tokens = model.draw(n, prefix, wanted.options, seed, first, wanted.longest + 1)
            lengths = np.diff(np.flatnonzero(tokens == 0), prepend=-1) - 1
            weights = words.weigh_each(tokens)
            if words.has_wishes:
                weights = weights > words.largest * uniforms(bits(seed, WISHES), np.arange(first, first + n))
            accepted = (weights > 0) & (lengths <= wanted.longest)
            return [word if ok else "" for word, ok in zip(model.vocab.split(tokens), accepted.tolist(), strict=True)]

        return Source("rejection", draw, None, last, least)

    return _by_label(wanted.models, prefix, wanted.seed, source)


def _guided(wanted: Wanted) -> Source:
    """Return a source of words that grow with an n-gram looking ahead: see `guided`.

    They come in batches whose sizes depend on nothing, so that the first words are the same however many are asked for.
    """
    models, words, (prefix, rest) = wanted.models, wanted.words, wanted.words.split_prefix()
    aheads = [LookAhead(model.guide(), rest, prefix, wanted.options) for model in models]
    chances, longest = label_weights(models, prefix).tolist(), wanted.longest - len(prefix)
    sizes: list[int] = []  # of each batch
    masses: list[np.ndarray] = []  # of the groups of each

    def batch(size: int) -> list[str]:
        generator = np.random.default_rng([wanted.seed, len(sizes)])
        in_group = size * PREFIXES_PER_WORD // GROUPS
        spelt: list[str] = []
        weights, mass, complete = [], np.zeros(GROUPS), True
        for model, ahead, chance in zip(models, aheads, chances, strict=True):
            most = min(max(LEAST_OF_LABEL, int(in_group * chance)), in_group)
            grown = grow(model, ahead, prefix, wanted.options, most, longest, generator)
            spelt += grown.spell(model.vocab)
            weights.append(grown.weights * chance)
            mass += grown.masses() * chance
            complete &= grown.complete
        sizes.append(size)
        masses.append(mass / words.largest)
        if not mass.any():
            raise never_generated(wanted.options)
        source.share = float(np.average(np.mean(masses, 1), weights=sizes))
        source.effective = effective_share(np.array(masses), np.array(sizes) * PREFIXES_PER_WORD // GROUPS)
        if complete:
            source.method, source.effective = "enumeration", None
        left = np.array([word not in wanted.unwanted for word in spelt], bool)
        p = np.concatenate(weights) * left
        numbers = chosen(p, size, generator, again=not wanted.distinct) if p.sum() > 0 else []
        return [spelt[i] for i in numbers]

    def batches() -> Iterator[list[str]]:
        for number in count():
            if not (some := batch(min(FIRST_BATCH << number, LARGEST_BATCH))):
                return
            yield some

    drawn = chain.from_iterable(batches())
    source = Source("look-ahead", lambda n, _: list(islice(drawn, n)), 0.0, last=False, all_wanted=True)
    return source


def never_generated(options: SamplingOptions) -> InputError:
    """Return the error for constraints that some words satisfy, but none that the model generates."""
    if options == SamplingOptions():
        return InputError("the words that fit have a probability of zero, or less than 1e-300, under the model")
    return InputError(
        "the model generates no word that fits, or hardly any, with this temperature, top-k and top-p: use "
        "--temperature 1, without --top-k and --top-p"
    )
