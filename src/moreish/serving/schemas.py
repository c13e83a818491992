"""What a server answers, and how it comes by it."""

import secrets
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, Field

from ..analysis.scoring import Scorer
from ..errors import InputError
from ..models.model import Model, Score
from ..training.run import Run
from .limits import Limits

USUAL = 50  # characters that a word hardly ever has more than what is asked of it
SEEDS = 1 << 53  # what every reader of JSON can hold
SEEN = "the part of the list that it stands in: train, val or test; or new"


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
    alarm: float | None = Field(
        description="share of words like the list's that are called unlikely; null: no verdicts"
    )
    version: str = Field(description="of moreish")
    paths: dict[str, str] = Field(description="what there is to ask for")


class Health(BaseModel):
    status: str = "ok"


class Sample(BaseModel):
    word: str
    seen: str = Field(description=SEEN)


class Samples(BaseModel):
    seed: int = Field(description="gives the same words again")
    samples: list[Sample]
    method: str = Field(description="how they were drawn: plain, enumeration, dynamic programming or rejection")
    share: float = Field(description="of the model's words that begin with head, how many fit; or of those tried")
    head: str = Field(description="what every word that fits begins with")
    tried: int = Field(description="how many words were drawn for these")


class Candidate(BaseModel):
    word: str
    seen: str = Field(description=SEEN)
    probability: float = Field(description="of all words that the model makes")
    share: float | None = Field(description="of its words that fit; null where these are too many to be summed up")


class Candidates(BaseModel):
    words: list[Candidate] = Field(description="the likeliest first")
    proven: bool = Field(description="whether no likelier word can have been missed")


class Character(BaseModel):
    char: str = Field(description="empty for the end of the word")
    nll: float = Field(description="nats")


class WordScore(BaseModel):
    word: str
    nll: float = Field(description="nats a token: each character, and the end")
    bits: float = Field(description="bits a token")
    percentile: float = Field(
        description="share in percent of the train words of about its length that are less likely"
    )
    likely: bool | None = Field(description="whether it passes for a word of the list; null if val has too few to tell")
    chars: list[Character]
    unknown: list[int] = Field(description="places in chars of characters that the model does not know")


class Scores(BaseModel):
    scores: list[WordScore]


class Probability(BaseModel):
    char: str
    probability: float


class Next(BaseModel):
    prefix: str
    end: float = Field(description="the probability that the word ends here")
    next: list[Probability] = Field(description="of every character, the likeliest first")


def sampled(
    run: Run,
    limits: Limits,
    *,
    n: int,
    seed: int | None,
    avoid: Collection[str],
    only_new: bool,
    tries: int | None,
    **options: Any,
) -> Samples:
    """Draw words; options are others of `Model.sample`. Raises InputError."""
    check_room(n, options, limits)
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    words = run.model.sample(
        n,
        seed=seed,
        avoid=[*avoid, *(run.corpus.words if only_new else ())],
        tries=max(n, limits.tries) if tries is None else tries,
        **options,
    )
    samples = [Sample(word=word, seen=run.corpus.mark(word)) for word in words]
    return Samples(
        seed=seed, samples=samples, method=words.method, share=words.share, head=words.head, tried=words.tried
    )


def likeliest(run: Run, limits: Limits, *, n: int, **constraints: Any) -> Candidates:
    """The likeliest words that fit. Raises InputError."""
    check_room(n, constraints, limits)
    found = run.model.most_likely(n, **constraints)
    words = [
        Candidate(word=at.word, seen=run.corpus.mark(at.word), probability=at.probability, share=at.share)
        for at in found
    ]
    return Candidates(words=words, proven=found.proven)


def check_room(n: int, options: dict[str, Any], limits: Limits) -> None:
    """Raise InputError if n words could come to too many characters together."""
    asked = sum(len(value) for value in options.values() if isinstance(value, str))
    longest = options["max_length"] or max(asked, options["min_length"]) + USUAL
    if n * longest > limits.room:
        raise InputError(f"{n:,} words of up to {longest:,} characters are more than {limits.room:,}: ask for less")


def scored(scorer: Scorer, words: list[str]) -> Scores:
    """Score words of any characters."""
    return Scores(scores=[_word_score(score) for score in scorer.scores(words)])


def _word_score(score: Score) -> WordScore:
    assert score.percentile is not None
    return WordScore(
        word=score.word,
        nll=score.nll,
        bits=score.bits,
        percentile=score.percentile,
        likely=score.likely,
        chars=[Character(char=c, nll=nats) for c, nats in zip([*score.word, ""], score.per_char, strict=True)],
        unknown=score.unknown,
    )


def likely_next(model: Model, prefix: str, temperature: float) -> Next:
    """The probabilities of what comes after a prefix."""
    found = model.next(prefix, temperature=temperature)
    end = found.pop("")
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return Next(prefix=prefix, end=end, next=[Probability(char=c, probability=p) for c, p in ordered])
