"""Responses of the server: their schemas, and the functions that compute them."""

import secrets
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, Field

from ..analysis.classification import Classifier
from ..analysis.scoring import Scorer
from ..errors import InputError
from ..models.model import Model
from ..models.score import Score
from ..sampling import Samples, wished_lengths
from ..training.run import Run
from .limits import Limits

EXTRA_LENGTH = 50  # a word rarely has more characters than this beyond those that its constraints require
SEED_LIMIT = 1 << 53  # every JSON parser can represent smaller integers exactly
SEEN = "part of the list that contains the word: train, val or test; or new"


class ErrorResponse(BaseModel):
    """Explanation of a failure."""

    error: str = Field(description="what is wrong, in one line")


class ServerInfo(BaseModel):
    """The run that is served, and the paths of the server."""

    name: str = Field(description="name of the run")
    model: str = Field(description="name of the model")
    parameters: int = Field(description="number of parameters of the model")
    words: int = Field(description="number of words in the list of the run")
    characters: str = Field(description="characters that the model knows")
    labels: list[str] = Field(description="labels that the model tells apart; empty for a run without labels")
    false_positive_rate: float | None = Field(
        description="fraction of words like those of the list that /score may call unlikely; null without verdicts"
    )
    alarm: float | None = Field(description="old name of false_positive_rate", json_schema_extra={"deprecated": True})
    version: str = Field(description="version of moreish")
    paths: dict[str, str] = Field(description="methods and purpose of each path")


class Health(BaseModel):
    """Confirmation that the server works."""

    status: str = "ok"


class SampledWord(BaseModel):
    word: str
    seen: str = Field(description=SEEN)


class SampleResponse(BaseModel):
    """Words drawn from the model."""

    seed: int = Field(description="seed of the draw: with it, the same request gives the same words")
    samples: list[SampledWord]
    method: str = Field(
        description="how the words were drawn: plain, enumeration, dynamic programming, "
        "rejection or look-ahead, or several of them"
    )
    share: float = Field(
        description="share of the model's words starting with `head` that meet the constraints; for rejection, the "
        "share of the words tried; for look-ahead, an estimate; with `prefer` or `like`, their mean weight, as a share "
        "of the largest"
    )
    effective: float | None = Field(
        description="effective sample size of a draw by look-ahead, as a share; null for exact draws"
    )
    head: str = Field(description="common start of all words that meet the constraints")
    tried: int = Field(description="number of words drawn to get these")


class LikelyWord(BaseModel):
    word: str
    seen: str = Field(description=SEEN)
    probability: float = Field(description="probability of the word under the model")
    share: float | None = Field(
        description="probability of the word among those that meet the constraints; null if these are too many to sum"
    )


class LikeliestResponse(BaseModel):
    """The most likely words that meet the constraints."""

    words: list[LikelyWord] = Field(description="most likely first")
    proven: bool = Field(description="true if no more likely word can have been missed")


class CharacterScore(BaseModel):
    char: str = Field(description="a character; empty for the end of the word")
    nll: float = Field(description="negative log-likelihood in nats")


class WordScore(BaseModel):
    word: str
    nll: float = Field(description="mean negative log-likelihood in nats per token: each character, and the end")
    bits: float = Field(description="the same in bits per token")
    percentile: float = Field(description="percentage of the val words of similar length that are at most as likely")
    likely: bool | None = Field(
        description="true if the word could belong to the list; null if val has too few words to tell"
    )
    chars: list[CharacterScore]
    unknown: list[int] = Field(description="positions in chars of characters that the model does not know")


class ScoreResponse(BaseModel):
    """Scores, in the order of the words."""

    scores: list[WordScore]


class ClassifiedWord(BaseModel):
    word: str
    label: str = Field(description="likeliest label")
    probabilities: dict[str, float] = Field(description="probability of each label")


class ClassifyResponse(BaseModel):
    """Labels, in the order of the words."""

    words: list[ClassifiedWord]


class NextCharacter(BaseModel):
    char: str
    probability: float


class NextResponse(BaseModel):
    """Probabilities of what follows a prefix."""

    prefix: str
    end: float = Field(description="probability that the word ends here")
    next: list[NextCharacter] = Field(description="every character, most likely first")


def sample_response(run: Run, limits: Limits, **request: Any) -> SampleResponse:
    """Draw words: see `draw`. Raises InputError."""
    words, seed = draw(run, limits, **request)
    samples = [SampledWord(word=word, seen=run.corpus.mark(word)) for word in words]
    return SampleResponse(
        seed=seed,
        samples=samples,
        method=words.method,
        share=words.share,
        effective=words.effective,
        head=words.head,
        tried=words.tried,
    )


def draw(
    run: Run,
    limits: Limits,
    *,
    n: int,
    seed: int | None,
    lengths: str,
    avoid: Collection[str],
    only_new: bool,
    tries: int | None,
    **options: Any,
) -> tuple[Samples, int]:
    """Draw words within limits; return them and the seed. `options` are further arguments of `Model.sample`.

    Raises InputError.
    """
    if lengths:
        longest = max(wished_lengths(lengths, run.corpus))
        if lengths != "list" and longest > limits.text:
            raise InputError(f"lengths has {longest:,}: it must be at most {limits.text:,}")
        check_room(n, {"max_length": min(longest, options["max_length"] or longest)}, limits)
    else:
        check_room(n, options, limits)
    seed = secrets.randbelow(SEED_LIMIT) if seed is None else seed
    words = run.model.sample(
        n,
        seed=seed,
        lengths=lengths,
        avoid=[*avoid, *(run.corpus.words if only_new else ())],
        tries=max(n, limits.tries) if tries is None else tries,
        **options,
    )
    return words, seed


def likeliest_response(run: Run, limits: Limits, *, n: int, **constraints: Any) -> LikeliestResponse:
    """Find the most likely words that meet the constraints. Raises InputError."""
    check_room(n, constraints, limits)
    found = run.model.most_likely(n, **constraints)
    words = [
        LikelyWord(word=at.word, seen=run.corpus.mark(at.word), probability=at.probability, share=at.share)
        for at in found
    ]
    return LikeliestResponse(words=words, proven=found.proven)


def check_room(n: int, options: dict[str, Any], limits: Limits) -> None:
    """Raise InputError if n words could have too many characters in all."""
    required = sum(len(value) for value in options.values() if isinstance(value, str))
    longest = options["max_length"] or max(required, options["min_length"]) + EXTRA_LENGTH
    if n * longest > limits.room:
        raise InputError(f"{n:,} words of up to {longest:,} characters are more than {limits.room:,}: request less")


def score_response(scorer: Scorer, words: list[str]) -> ScoreResponse:
    """Score words of any characters."""
    return ScoreResponse(scores=[_word_score(score) for score in scorer.scores(words)])


def _word_score(score: Score) -> WordScore:
    assert score.percentile is not None
    return WordScore(
        word=score.word,
        nll=score.nll,
        bits=score.bits,
        percentile=score.percentile,
        likely=score.likely,
        chars=[CharacterScore(char=c, nll=nats) for c, nats in zip([*score.word, ""], score.per_char, strict=True)],
        unknown=score.unknown,
    )


def classify_response(classifier: Classifier, words: list[str]) -> ClassifyResponse:
    """Tell the labels of words of any characters."""
    return ClassifyResponse(words=[ClassifiedWord(**found.as_json()) for found in classifier.each(words)])


def next_response(model: Model, prefix: str, temperature: float, label: str | None) -> NextResponse:
    """Compute the probabilities of what follows a prefix. Raises InputError."""
    found = model.next(prefix, temperature=temperature, label=label)
    end = found.pop("")
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return NextResponse(prefix=prefix, end=end, next=[NextCharacter(char=c, probability=p) for c, p in ordered])
