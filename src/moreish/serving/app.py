"""What can be asked of a server: FastAPI makes the OpenAPI description from it."""

import dataclasses
import logging
import re
import reprlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, FailFast, Field, create_model
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from .._version import __version__
from ..analysis.scoring import Scorer
from ..errors import InputError
from ..sampling import Constraints
from ..training.run import Run
from .limits import Limits
from .middleware import BodyLimit, OwnOrigin, problem
from .schemas import Candidates, Health, Index, Next, Problem, Samples, Scores, likeliest, likely_next, sampled, scored
from .workers import Work

ORIGIN = re.compile(r"https?://[^/\s,*]+")
NotEmpty = Annotated[str, Field(min_length=1)]
log = logging.getLogger("moreish")


def make_app(
    run: Run,
    *,
    alarm: float | None = None,
    limits: Limits = Limits(),
    names: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
) -> FastAPI:
    """An ASGI application that serves a run.

    alarm           as a `Scorer` takes it; None for that of its own, or no verdicts where val is too small for it
    names           of this machine, beside localhost, by which requests may call it
    allow_origins   web origins whose pages may ask, such as https://example.org

    Raises InputError for an origin that is none, and for an alarm that a `Scorer` refuses.
    """
    allowed = list(allow_origins)
    for origin in allowed:
        if not ORIGIN.fullmatch(origin):
            raise InputError(f"{origin!r} is no web origin: give one such as https://example.org (--allow-origin)")
    scorer, work = _scorer(run, alarm), Work(limits)

    async def answer(function: Callable[..., BaseModel], *args: Any, **options: Any) -> Response:
        """What a function of answers.py gives, as JSON; it is computed and written out in a thread."""
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
        summary="New words, likely ones, scores and next-character probabilities of a trained model.",
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

    Fitting: Any = create_model("Fitting", __base__=Asked, **constraint_fields(limits))

    class SampleRequest(Fitting):
        """The arguments of `Model.sample`."""

        n: int = Field(20, ge=0, le=limits.samples, description="how many words")
        seed: int | None = Field(None, ge=0, lt=1 << 63, description="the same seed gives the same words; null for any")
        temperature: float = Field(1.0, ge=0, le=1000, description="0 always takes the likeliest character")
        top_k: int = Field(0, ge=0, le=1 << 31, description="draw among the k likeliest characters; 0 for all")
        top_p: float = Field(
            1.0, gt=0, le=1, description="draw among the fewest characters with that much of the probability; 1 for all"
        )
        avoid: Annotated[list[Annotated[str, Field(max_length=limits.text)]], FailFast()] = Field(
            [], max_length=limits.words, description="words that are not wanted"
        )
        only_new: bool = Field(False, description="no words of the list")
        distinct: bool = Field(False, description="each word once")
        tries: int | None = Field(
            None,
            ge=1,
            le=limits.tries,
            description="words to draw at most where not every one fits; null for all of them",
        )

    class LikeliestRequest(Fitting):
        """The arguments of `Model.most_likely`."""

        n: int = Field(20, ge=0, le=limits.samples, description="how many words")

    class ScoreRequest(Asked):
        words: Annotated[list[NotEmpty], FailFast()] = Field(min_length=1, max_length=limits.words)

    class NextRequest(Asked):
        prefix: str = Field("", max_length=limits.text)
        temperature: float = Field(1.0, gt=0, le=1000, description="below 1 sharpens, above 1 flattens")

    @app.get("/", summary="What is served")
    async def index() -> Index:
        return Index(
            name=run.path.name if run.path else "",
            model=run.model.name,
            parameters=run.model.n_parameters,
            words=len(run.corpus.words),
            characters=run.model.vocab.characters,
            alarm=scorer.alarm,
            version=__version__,
            paths={
                "/health": "GET: whether the server answers",
                "/sample": "POST: new words",
                "/most-likely": "POST: the likeliest words",
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

    @app.post("/most-likely", summary="The likeliest words", response_model=Candidates)
    async def most_likely(request: LikeliestRequest) -> Response:
        return await answer(likeliest, run, limits, **request.model_dump())

    async def score(words: list[str]) -> Response:
        if (characters := sum(map(len, words))) > limits.characters:
            raise InputError(f"the words have {characters:,} characters, more than {limits.characters:,}: ask for less")
        return await answer(scored, scorer, words)

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
        prefix: str = Query("", max_length=limits.text), temperature: float = Query(1.0, gt=0, le=1000)
    ) -> Response:
        return await answer(likely_next, run.model, prefix, temperature)

    # What is used for the first time takes longer: kernels are loaded, or compiled, and the list is indexed and scored.
    run.corpus.mark(run.model.sample(1)[0])
    run.model.most_likely(1, max_length=1)
    scored(scorer, [run.model.vocab.characters[0]])
    likely_next(run.model, "", 1.0)
    return app


def _scorer(run: Run, alarm: float | None) -> Scorer:
    """What scores words; without verdicts if nobody asked for them and val is too small."""
    if alarm is not None:
        return Scorer(run, alarm)
    try:
        return Scorer(run)
    except InputError as error:
        log.warning(f"scores come without a verdict: {error}")
        return Scorer(run, None)


def constraint_fields(limits: Limits) -> dict[str, Any]:
    """What words have to be, as fields of a request: name -> type and field."""
    found = {}
    for f in dataclasses.fields(Constraints):
        meta = f.metadata
        bounds: dict[str, Any] = {}
        if f.type is str:
            bounds["max_length"] = limits.text
        else:
            bounds.update(ge=meta["low"], le=min(meta["high"], limits.text))
        found[f.name] = (f.type, Field(f.default, description=meta["help"], **bounds))
    return found


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
