"""What can be asked of a server, and what it answers: FastAPI makes the OpenAPI description from it."""

import math
import re
import reprlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, FailFast, Field
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from .. import __version__
from ..corpus import END
from ..errors import InputError
from ..model import Model
from ..run import Run
from .doors import BodyLimit, OwnOrigin, problem
from .limits import Limits
from .work import Work

ORIGIN = re.compile(r"https?://[^/\s,*]+")
BITS = 1 / math.log(2)  # in a nat
NotEmpty = Annotated[str, Field(min_length=1)]
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


def make_app(
    run: Run, *, limits: Limits = Limits(), names: Iterable[str] = (), allow_origins: Iterable[str] = ()
) -> FastAPI:
    """An ASGI application that serves a run.

    names           of this machine, beside localhost, by which requests may call it
    allow_origins   web origins whose pages may ask, such as https://example.org

    Raises InputError for an origin that is none.
    """
    allowed = list(allow_origins)
    for origin in allowed:
        if not ORIGIN.fullmatch(origin):
            raise InputError(f"{origin!r} is no web origin: give one such as https://example.org (--allow-origin)")
    work = Work(limits)

    async def answer(function: Callable[..., BaseModel], *args: Any, **options: Any) -> Response:
        """What a function of this file answers, as JSON; it is computed and written out in a thread."""
        data = await work(lambda: function(*args, **options).model_dump_json())
        return Response(data, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()

    middleware = [Middleware(OwnOrigin, names=names, allowed=allowed)]
    if allowed:
        # Behind the door, so that pages that may ask can read what was wrong with a request.
        cors = Middleware(
            CORSMiddleware, allow_origins=allowed, allow_methods=["GET", "POST"], allow_headers=["content-type"]
        )
        middleware.append(cors)
    middleware.append(Middleware(BodyLimit, limits=limits))
    failures = {"4XX": "the request is wrong", "503": "too much to do: try again later", "504": "it took too long"}
    app = FastAPI(
        title="moreish",
        version=__version__,
        summary="New words, scores and next-character probabilities of a trained model.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=middleware,
        responses={status: {"model": Problem, "description": text} for status, text in failures.items()},
        exception_handlers=HANDLERS,
    )

    class Asked(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    class SampleRequest(Asked):
        """The arguments of `Model.sample`."""

        n: int = Field(20, ge=0, le=limits.samples, description="how many words")
        seed: int | None = Field(None, ge=0, lt=1 << 63, description="the same seed gives the same words; null for any")
        temperature: float = Field(1.0, ge=0, le=1000, description="0 always takes the likeliest character")
        top_k: int = Field(0, ge=0, le=1 << 31, description="draw among the k likeliest characters; 0 for all")
        prefix: str = Field("", max_length=limits.prefix, description="what every word begins with")
        max_length: int | None = Field(None, ge=1, description="in characters; null for 50 more than the prefix")

    class ScoreRequest(Asked):
        words: Annotated[list[NotEmpty], FailFast()] = Field(min_length=1, max_length=limits.words)

    class NextRequest(Asked):
        prefix: str = Field("", max_length=limits.prefix)
        temperature: float = Field(1.0, gt=0, le=1000, description="below 1 sharpens, above 1 flattens")

    @app.get("/", summary="What is served")
    async def index() -> Index:
        return Index(
            name=run.path.name if run.path else "",
            model=run.model.name,
            parameters=run.model.n_parameters,
            words=len(run.corpus.words),
            characters=run.model.vocab.characters,
            version=__version__,
            paths={
                "/health": "GET: whether the server answers",
                "/sample": "POST: new words",
                "/score": "GET, POST: how likely words are",
                "/next": "GET, POST: what comes after a prefix",
                "/openapi.json": "GET: all of that, described for programs",
            },
        )

    @app.get("/health", summary="Whether the server answers")
    async def health() -> Health:
        return Health()

    @app.post("/sample", summary="New words", response_model=Samples)
    async def sample(request: SampleRequest) -> Response:
        return await answer(sampled, run, limits, **request.model_dump())

    async def score(words: list[str]) -> Response:
        if (characters := sum(map(len, words))) > limits.characters:
            raise InputError(f"the words have {characters:,} characters, more than {limits.characters:,}: ask for less")
        return await answer(scored, run.model, words)

    @app.post("/score", summary="How likely words are", response_model=Scores)
    async def score_words(request: ScoreRequest) -> Response:
        return await score(request.words)

    @app.get("/score", summary="How likely a word is, or several", response_model=Scores)
    async def score_word(
        word: Annotated[list[NotEmpty], FailFast()] = Query(min_length=1, max_length=limits.words),
    ) -> Response:
        return await score(word)

    @app.post("/next", summary="What comes after a prefix", response_model=Next)
    async def next_post(request: NextRequest) -> Response:
        return await answer(likely_next, run.model, request.prefix, request.temperature)

    @app.get("/next", summary="What comes after a prefix", response_model=Next)
    async def next_get(
        prefix: str = Query("", max_length=limits.prefix), temperature: float = Query(1.0, gt=0, le=1000)
    ) -> Response:
        return await answer(likely_next, run.model, prefix, temperature)

    # What is used for the first time takes longer: the kernels are loaded, or compiled, and the list is indexed.
    sampled(run, limits, n=1, seed=0, max_length=1, prefix="")
    scored(run.model, [run.model.vocab.characters[0]])
    likely_next(run.model, "", 1.0)
    return app


async def _wrong_request(request: Request, error: Exception) -> Response:
    """A request whose JSON or whose values are not as described."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, what, value = first["loc"], first["msg"], first.get("input")
    if first["type"] == "json_invalid":
        return problem(400, f"the body is no JSON: {first['ctx']['error']} at character {where[-1]}")
    if isinstance(value, bytes):
        return problem(415, "the body must be JSON, with the header Content-Type: application/json")
    place = ".".join(str(part)[:100] for part in where if part not in ("body", "query")) or where[0]
    return problem(422, f"{place}: {what}" + ("" if first["type"] == "missing" else f" (it is {reprlib.repr(value)})"))


async def _wrong_input(request: Request, error: Exception) -> Response:
    return problem(422, str(error))


async def _failed(request: Request, error: Exception) -> Response:
    """No such path, too large, too slow, too busy."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(404, f"there is no {request.url.path[:100]!r} here: GET / says what there is")
    if error.status_code == 405:
        # Starlette names the methods of one of a path's routes alone.
        routes = [route for route in request.app.routes if route.path == request.url.path]
        methods = ", ".join(sorted(set().union(*(route.methods for route in routes)) - {"HEAD"}))
        return problem(405, f"{request.url.path} takes {methods} alone", {"Allow": methods})
    return problem(error.status_code, error.detail, error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    return problem(500, "the server failed; its log says why")


HANDLERS: dict[Any, Any] = {
    RequestValidationError: _wrong_request,
    InputError: _wrong_input,
    HTTPException: _failed,
    Exception: _broken,
}
