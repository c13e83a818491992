"""What a server answers, and how it comes by it."""

import math
import secrets
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from ..corpus import END
from ..errors import InputError
from ..model import Model
from ..run import Run
from .limits import Limits

BITS = 1 / math.log(2)  # in a nat
SEEDS = 1 << 53  # what every reader of JSON can hold


class Problem(BaseModel):
    """What is wrong with a request, in one line."""

    error: str


class Index(BaseModel):
    """What is served."""

    name: str = Field(description="of the run")
    model: str
    parameters: int
    words: int = Field(description="in its list")
    characters: str = Field(description="that it knows")
    version: str = Field(description="of moreish")
    paths: dict[str, str] = Field(description="what there is to ask for")


class Health(BaseModel):
    status: str = "ok"


class Sample(BaseModel):
    word: str
    seen: str = Field(description="the part of the list that it stands in: train, val or test; or new")


class Samples(BaseModel):
    seed: int = Field(description="gives the same words again")
    samples: list[Sample]


class Character(BaseModel):
    char: str = Field(description="empty for the end of the word")
    nll: float | None = Field(description="nats; null if it is infinite")


class WordScore(BaseModel):
    word: str
    nll: float | None = Field(description="nats a token: each character, and the end")
    bits: float | None = Field(description="bits a token")
    chars: list[Character]


class Scores(BaseModel):
    scores: list[WordScore]


class Probability(BaseModel):
    char: str
    probability: float


class Next(BaseModel):
    prefix: str
    end: float = Field(description="the probability that the word ends here")
    next: list[Probability] = Field(description="of every character, the likeliest first")


def sampled(run: Run, limits: Limits, *, n: int, seed: int | None, max_length: int | None, **options: Any) -> Samples:
    """Draw words; options are those of `Model.sample`. Raises InputError."""
    longest = len(options["prefix"]) + 50 if max_length is None else max_length
    if n * longest > limits.room:
        raise InputError(f"{n:,} words of up to {longest:,} characters are more than {limits.room:,}: ask for less")
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    words = run.model.sample(n, seed=seed, max_length=max_length, **options)
    return Samples(seed=seed, samples=[Sample(word=word, seen=run.corpus.mark(word)) for word in words])


def scored(model: Model, words: list[str]) -> Scores:
    """Score words. Raises InputError for a character that the model does not know."""
    tokens = [[*model.vocab.encode(word), END] for word in words]
    nll = model.nll(np.array([END, *(token for word in tokens for token in word)], np.int32))
    scores, start = [], 0
    for word, its in zip(words, tokens, strict=True):
        per_char = nll[start : start + len(its)].tolist()
        mean, start = sum(per_char) / len(its), start + len(its)
        chars = [
            Character(char="" if token == END else model.vocab.characters[token - 1], nll=value)
            for token, value in zip(its, per_char, strict=True)
        ]
        scores.append(WordScore(word=word, nll=mean, bits=mean * BITS, chars=chars))
    return Scores(scores=scores)


def likely_next(model: Model, prefix: str, temperature: float) -> Next:
    """The probabilities of what comes after a prefix."""
    found = model.next(prefix, temperature=temperature)
    end = found.pop("")
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return Next(prefix=prefix, end=end, next=[Probability(char=c, probability=p) for c, p in ordered])
