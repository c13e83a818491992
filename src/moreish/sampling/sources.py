"""Sources of words that satisfy constraints: enumeration, plain draws, dynamic programming and rejection."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine.rng import WISHES, bits, uniforms
from ..errors import InputError
from .beam import beam_search
from .constraints import Constraints
from .dfa import DFA
from .dynamic_programming import MAX_STEPS, ExactSampler, SamplingOptions, estimated_steps
from .model import SamplingModel

MAX_ENUMERATED = 1 << 17  # words
REDRAWS = 16  # of a word that is too long
WORDS_LIKE_ONE = 256  # drawing fewer words takes as long
QUICK_STEPS = MAX_STEPS >> 4  # up to this many, dynamic programming is tried before rejection


@dataclass
class Source:
    """A way to draw words.

    draw    draw(n, first) returns words number first, first + 1, ...; "" for one that does not satisfy the constraints.
            Calls follow on from each other: the first word of a call has the number after the last of the call before
    share   see `Samples`; None to count it
    last    True if no other source follows if this one finds too few words
    """

    method: str
    draw: Callable[[int, int], list[str]]
    share: float | None
    last: bool = True


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


def sources_of(
    models: Sequence[SamplingModel], constraints: Constraints, words: DFA, options: SamplingOptions, seed: int
) -> Iterator[Source]:
    """Yield the sources of a set of words, the fastest first; the next is for when that finds too few words."""
    longest = constraints.max_length or words.shortest + models[0].most_extra
    steps = len(models) * estimated_steps(models[0].contexts, words, len(models[0].vocab))
    exact = _exact(models, words, options, seed, longest) if steps <= QUICK_STEPS else None
    if exact:
        yield exact
        return
    has_other = QUICK_STEPS < steps <= MAX_STEPS
    yield _rejection(models, words, options, seed, longest, not has_other)
    if has_other and (exact := _exact(models, words, options, seed, longest)):
        yield exact


def _exact(
    models: Sequence[SamplingModel], words: DFA, options: SamplingOptions, seed: int, longest: int
) -> Source | None:
    """Return a source by dynamic programming; None if that does not converge."""
    samplers = [ExactSampler(model, options, words) for model in models]
    if not all(sampler.converged for sampler in samplers):
        return None

    def source(number: int, seed: int) -> Source:
        sampler = samplers[number]

        def draw(n: int, first: int) -> list[str]:
            return models[0].vocab.split(sampler.draw(n, seed, first, longest - len(sampler.prefix)))

        return Source("dynamic programming", draw, sampler.mass / words.largest)

    found = _by_label(models, words.split_prefix()[0], seed, source)
    if not found.share:
        raise never_generated(options)
    return found


def _rejection(
    models: Sequence[SamplingModel], words: DFA, options: SamplingOptions, seed: int, longest: int, last: bool
) -> Source:
    """Return a source that draws words with the shared prefix and rejects those that are not in the set.

    With wishes, a word is kept with a probability in proportion to its weight.
    """
    prefix = words.split_prefix()[0]

    def source(number: int, seed: int) -> Source:
        model = models[number]

        def draw(n: int, first: int) -> list[str]:
            tokens = model.draw(n, prefix, options, seed, first, longest + 1)
            lengths = np.diff(np.flatnonzero(tokens == 0), prepend=-1) - 1
            weights = words.weigh_each(tokens)
            if words.has_wishes:
                weights = weights > words.largest * uniforms(bits(seed, WISHES), np.arange(first, first + n))
            accepted = (weights > 0) & (lengths <= longest)
            return [word if ok else "" for word, ok in zip(model.vocab.split(tokens), accepted.tolist(), strict=True)]

        return Source("rejection", draw, None, last)

    return _by_label(models, prefix, seed, source)


def never_generated(options: SamplingOptions) -> InputError:
    """Return the error for constraints that some words satisfy, but none that the model generates."""
    if options == SamplingOptions():
        return InputError("the words that fit have a probability of zero, or less than 1e-300, under the model")
    return InputError(
        "the model generates no word that fits with this temperature, top-k and top-p: use "
        "--temperature 1, without --top-k and --top-p"
    )
