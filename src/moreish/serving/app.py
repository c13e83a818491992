"""The paths of the server and their requests. FastAPI derives the OpenAPI description from them."""

import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, FailFast, Field
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from .._version import __version__
from ..analysis.classification import Classifier
from ..analysis.scoring import Scorer
from ..errors import InputError
from ..training.run import Run
from .errors import HANDLERS
from .limits import Limits
from .middleware import BodyLimit, OriginCheck
from .page import VARY, make_page, prefers_html
from .requests import LABEL, Label, LabelledRequest, StrictRequest, likeliest_request, sample_request
from .schemas import (
    ClassifyResponse,
    ErrorResponse,
    Health,
    LikeliestResponse,
    NextResponse,
    SampleResponse,
    ScoreResponse,
    ServerInfo,
    classify_response,
    likeliest_response,
    next_response,
    sample_response,
    score_response,
)
from .workers import WorkerPool

WEB_ORIGIN = re.compile(r"https?://[^/\s,*]+")
NotEmpty = Annotated[str, Field(min_length=1)]
PATHS = {
    "/health": "GET: check that the server works",
    "/sample": "POST: draw new words",
    "/most-likely": "POST: find the most likely words",
    "/score": "GET, POST: score how likely words are",
    "/classify": "GET, POST: tell the labels of words",
    "/next": "GET, POST: get the probabilities of the next character",
    "/openapi.json": "GET: description of all paths, in OpenAPI",
}
FAILURES = {
    "4XX": "the request is wrong, too large or not allowed",
    "503": "too many requests: try again later",
    "504": "the request took too long to compute",
}
log = logging.getLogger("moreish")


def make_app(
    run: Run,
    *,
    false_positive_rate: float | None = None,
    alarm: float | None = None,
    limits: Limits = Limits(),
    names: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
) -> FastAPI:
    """Make an ASGI application that serves a run.

    false_positive_rate     as for `Scorer`, with its default; if val has too few words for it, scores have no verdicts
    alarm                   its old name
    names                   names of this machine, beside localhost, that the Host header of a request may have
    allow_origins           web origins whose pages may send requests, such as https://example.org

    Raises InputError for an invalid origin, and for a rate that `Scorer` refuses.
    """
    allowed = list(allow_origins)
    for origin in allowed:
        if not WEB_ORIGIN.fullmatch(origin):
            raise InputError(f"{origin!r} is not a web origin: give one like https://example.org (--allow-origin)")
    rate = alarm if false_positive_rate is None else false_positive_rate

    @cache
    def scorer_of(label: str | None) -> Scorer:
        return Scorer(run, label=label) if rate is None else Scorer(run, rate, label=label)

    @cache
    def classifier() -> Classifier:
        return Classifier(run)

    scorer = scorer_of(None)
    if scorer.reason:
        log.warning(scorer.reason)
    workers = WorkerPool(limits)

    async def respond(compute: Callable[..., BaseModel], *args: Any, **options: Any) -> Response:
        """Compute a response and serialise it to JSON, in a worker thread."""
        data = await workers(lambda: compute(*args, **options).model_dump_json())
        return Response(data, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        yield
        workers.close()

    middleware = [Middleware(OriginCheck, names=names, allowed=allowed)]
    if allowed:
        # Inside OriginCheck and outside the rest, so that allowed pages can also read error responses.
        cors = Middleware(
            CORSMiddleware, allow_origins=allowed, allow_methods=["GET", "POST"], allow_headers=["content-type"]
        )
        middleware.append(cors)
    middleware.append(Middleware(BodyLimit, limits=limits))
    app = FastAPI(
        title="moreish",
        version=__version__,
        summary="A character-level language model: draw new words, find the most likely ones, score words, and get the "
        "probabilities of the next character.",
        docs_url=None,  # FastAPI's documentation pages load scripts from other servers
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=middleware,
        responses={status: {"model": ErrorResponse, "description": text} for status, text in FAILURES.items()},
        exception_handlers=HANDLERS,
    )

    class SampleRequest(sample_request(limits)):
        """Constraints and options of a draw; those of `Model.sample`."""

    class LikeliestRequest(likeliest_request(limits)):
        """Constraints on the words; those of `Model.most_likely`."""

    class ScoreRequest(LabelledRequest):
        words: Annotated[list[NotEmpty], FailFast()] = Field(
            min_length=1, max_length=limits.words, description="words to score, of any characters"
        )

    class ClassifyRequest(StrictRequest):
        words: Annotated[list[NotEmpty], FailFast()] = Field(
            min_length=1, max_length=limits.words, description="words to classify, of any characters"
        )

    class NextRequest(LabelledRequest):
        prefix: str = Field("", max_length=limits.text, description="characters that the word starts with")
        temperature: float = Field(
            1.0, gt=0, le=1000, description="values below 1 make likely characters more likely, above 1 all more equal"
        )

    page = make_page()

    @app.get(
        "/",
        summary="Describe the run and the paths",
        response_model=ServerInfo,
        responses={200: {"content": {"text/html": {}}, "description": "JSON, or a page for a browser"}},
    )
    async def index(request: Request, response: Response) -> ServerInfo | Response:
        if prefers_html(",".join(request.headers.getlist("accept"))):
            return page
        response.headers.update(VARY)
        return ServerInfo(
            name=run.path.name if run.path else "",
            model=run.model.name,
            parameters=run.model.n_parameters,
            words=len(run.corpus.words),
            characters=run.model.vocab.characters,
            labels=list(run.model.labels.names) if run.model.labels else [],
            false_positive_rate=scorer.false_positive_rate,
            alarm=scorer.false_positive_rate,
            version=__version__,
            paths=PATHS,
        )

    @app.get("/health", summary="Check that the server works")
    async def health() -> Health:
        return Health()

    @app.post("/sample", summary="Draw new words", response_model=SampleResponse)
    async def sample(request: SampleRequest) -> Response:
        return await respond(sample_response, run, limits, **request.model_dump())

    @app.post("/most-likely", summary="Find the most likely words", response_model=LikeliestResponse)
    async def most_likely(request: LikeliestRequest) -> Response:
        return await respond(likeliest_response, run, limits, **request.model_dump())

    def check_characters(words: list[str]) -> None:
        if (characters := sum(map(len, words))) > limits.characters:
            raise InputError(f"the words have {characters:,} characters, more than {limits.characters:,}: send fewer")

    async def score(words: list[str], label: str | None) -> Response:
        check_characters(words)
        return await respond(lambda: score_response(scorer_of(label), words))

    @app.post("/score", summary="Score words", response_model=ScoreResponse)
    async def score_words(request: ScoreRequest) -> Response:
        return await score(request.words, request.label)

    @app.get("/score", summary="Score one word or several", response_model=ScoreResponse)
    async def score_word(
        word: Annotated[list[NotEmpty], FailFast()] = Query(
            min_length=1, max_length=limits.words, description="word to score; repeat it for several words"
        ),
        label: Label = Query(None, description=LABEL),
    ) -> Response:
        return await score(word, label)

    async def classify(words: list[str]) -> Response:
        check_characters(words)
        return await respond(lambda: classify_response(classifier(), words))

    @app.post("/classify", summary="Tell the labels of words", response_model=ClassifyResponse)
    async def classify_words(request: ClassifyRequest) -> Response:
        return await classify(request.words)

    @app.get("/classify", summary="Tell the label of one word or several", response_model=ClassifyResponse)
    async def classify_word(
        word: Annotated[list[NotEmpty], FailFast()] = Query(
            min_length=1, max_length=limits.words, description="word to classify; repeat it for several words"
        ),
    ) -> Response:
        return await classify(word)

    @app.post("/next", summary="Get the probabilities of the next character", response_model=NextResponse)
    async def next_post(request: NextRequest) -> Response:
        return await respond(next_response, run.model, request.prefix, request.temperature, request.label)

    @app.get("/next", summary="Get the probabilities of the next character", response_model=NextResponse)
    async def next_get(
        prefix: str = Query("", max_length=limits.text, description="characters that the word starts with"),
        temperature: float = Query(
            1.0, gt=0, le=1000, description="values below 1 make likely characters more likely, above 1 all more equal"
        ),
        label: Label = Query(None, description=LABEL),
    ) -> Response:
        return await respond(next_response, run.model, prefix, temperature, label)

    # Use everything once now: the first use compiles or loads kernels, and indexes and scores the list.
    run.corpus.mark(run.model.sample(1)[0])
    run.model.most_likely(1, max_length=1)
    score_response(scorer, [run.model.vocab.characters[0]])
    next_response(run.model, "", 1.0, None)
    if run.model.labels:
        classify_response(classifier(), [run.model.vocab.characters[0]])
    return app
