"""The paths of the lab: the page, its files, a list that is dropped on it, and the WebSocket that each page holds."""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncGenerator, Callable
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..corpus.describe import describe
from ..errors import InputError, MoreishError
from ..export.web import html
from ..serving.errors import HANDLERS, error_response
from ..serving.limits import Limits
from ..serving.middleware import BodyLimit, OriginCheck
from ..serving.workers import WorkerPool
from .controls import controls
from .messages import RECEIVED, Ask, Command, Configure, Describe, Pace, id_of, refusal
from .session import Session
from .views import LONG, answer

LIMITS = Limits(body=64_000_000, requests=32, threads=2, seconds=20.0)
SHARE = 0.02  # of the time may go into quick views that follow the training while it plays, and as much into long ones
# At least, between two messages with the state: of a training that has begun or stopped, and of one that plays on.
PUSH_SECONDS, FOLLOW_SECONDS = 0.05, 0.25
log = logging.getLogger("moreish")
FIRST_SECONDS = 0.5  # of a training, which a page sees as soon as it can
QUESTIONS = 16  # of one page at a time
GONE = (WebSocketDisconnect, RuntimeError)  # the second for what is sent after the first
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


class Ration:
    """Time between steps for the views that follow a training: each waits until they have taken no more than SHARE."""

    def __init__(self) -> None:
        self._free_at = self._taken = 0.0
        self._lock = asyncio.Lock()

    async def __call__(self, session: Session, pool: WorkerPool, view: Callable[[], Any]) -> Any:
        """Answer in a thread of a pool, when it is time."""
        async with self._lock:
            while session.trainer.status.playing and (wait := self._free_at - time.monotonic()) > 0:
                await asyncio.sleep(min(wait, 0.1))
            try:
                return await pool(session.trainer.between_steps, lambda: self._timed(view))
            finally:
                self._free_at = time.monotonic() + self._taken / SHARE

    def _timed(self, view: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return view()
        finally:
            self._taken = time.monotonic() - began


class Page:
    """One page: what it has been sent, and its questions that are being answered."""

    def __init__(self, socket: WebSocket):
        self.socket, self.changed, self.sending = socket, asyncio.Event(), asyncio.Lock()
        self.training = self.points = -1
        self.facts: dict[str, Any] | None = None
        self.version = -1
        self.questions: set[asyncio.Task[None]] = set()
        self.changed.set()

    async def send(self, kind: str, **values: Any) -> None:
        async with self.sending:
            await self.socket.send_json({"kind": kind, **values})


def make_app(session: Session, token: str) -> FastAPI:
    """Make the ASGI application of a session. Its addresses begin with the token."""
    workers, quick, patient = (WorkerPool(LIMITS) for _ in range(3))
    rations = {long: Ration() for long in (False, True)}
    pages: set[Page] = set()
    folder = files("moreish.lab") / "page"
    served = {item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in KINDS}

    def is_token(given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), token.encode())

    async def file(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if not is_token(request.path_params["token"]) or name not in served:
            raise HTTPException(404)
        kind = KINDS[name.rpartition(".")[2]]
        return Response(served[name], headers=HEADERS, media_type=kind)

    async def take_page(request: Request) -> Response:
        """The model as it stands, as a page without a server."""
        if not is_token(request.path_params["token"]) or session.trainer.snapshot is None:
            raise HTTPException(404)
        run = session.trainer.snapshot.run
        data = await workers(html, run)
        name = "".join(c if c.isalnum() and c.isascii() else "-" for c in f"{run.corpus.name}-{run.model.name}")
        headers = {"Content-Disposition": f'attachment; filename="{name}.html"', "X-Content-Type-Options": "nosniff"}
        return Response(data, headers=headers, media_type="text/html")

    async def take_list(request: Request) -> Response:
        if not is_token(request.path_params["token"]):
            raise HTTPException(404)
        query = request.query_params
        options = {name: query.get(name, "")[:1000] for name in ("column", "weights", "labels")}
        file = "".join(filter(str.isprintable, query.get("file", "")))[:200] or "words.txt"  # messages name it
        data = await request.body()
        try:
            found = await workers(session.read_list, data, file, **options)
        except InputError as error:  # status 200: browsers write others to the console
            found = {"error": str(error)}
        return JSONResponse(found)

    async def closed(request: Request) -> Response:
        if is_token(request.path_params.get("token", "")):
            return RedirectResponse(f"/{token}/")
        return PlainTextResponse("Open the whole address that moreish lab printed.\n", 403)

    async def wrong(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        texts = {404: "there is nothing here: open the address that moreish lab printed", 405: "this takes only GET"}
        return error_response(error.status_code, texts.get(error.status_code, error.detail), error.headers)

    async def push(page: Page) -> None:
        """Send the state whenever it has changed, until the page has gone."""
        with contextlib.suppress(*GONE):
            while True:
                await page.changed.wait()
                page.changed.clear()
                await send_state(page)
                began = time.monotonic()
                await asyncio.sleep(PUSH_SECONDS)
                while plays_on(page) and time.monotonic() < began + FOLLOW_SECONDS:
                    await asyncio.sleep(PUSH_SECONDS / 2)

    def plays_on(page: Page) -> bool:
        """True if nothing has happened but steps of the training that the page knows."""
        trainer = session.trainer
        status, training = trainer.status, trainer.training
        known = training is not None and training.number == page.training
        return known and status.playing and status.seconds > FIRST_SECONDS

    async def send_state(page: Page) -> None:
        """Send what the page does not have yet."""
        trainer = session.trainer
        training, status = trainer.training, trainer.status
        facts = session.facts()
        if facts != page.facts:
            page.facts = facts
            await page.send("settings", **facts)
        if training is not None:
            if training.number != page.training:
                page.training, page.points = training.number, 0
            curve = training.curve[page.points :]
            if curve or page.points == 0:
                start, page.points = page.points, page.points + len(curve)
                await page.send("curve", training=training.number, start=start, points=curve)
        if status.version != page.version:
            page.version = status.version
            await page.send("status", **status.as_json())

    async def respond(page: Page, message: Any) -> None:
        """Do what a message asks for, and send the result or the error with its id."""
        try:
            values = {"kind": "answer", "result": await done(message)}
        except MoreishError as error:
            values = {"kind": "error", "text": str(error)}
        except HTTPException as error:
            values = {"kind": "error", "text": str(error.detail)}
        except Exception:
            log.exception("a question failed: %s", message)
            values = {"kind": "error", "text": "internal error: see the terminal of moreish lab"}
        with contextlib.suppress(*GONE):
            await page.send(**values, id=message.id)

    async def done(message: Any) -> Any:
        trainer = session.trainer
        match message:
            case Ask(view=view, values=values, live=live):
                pool = patient if view in LONG else workers if live else quick

                def found() -> dict[str, Any]:
                    snapshot = trainer.snapshot  # the newest, after a wait
                    if snapshot is None:
                        raise InputError("the training has not begun yet")
                    answered = answer(snapshot, view, values)
                    return {"training": snapshot.training, "step": snapshot.step, **answered}

                return await (rations[view in LONG](session, pool, found) if live else pool(found))
            case Configure(list=name, model=model, options=options, play=play):
                return {"training": await quick(session.configure, name, model, options, play)}
            case Describe(list=name):
                return await workers(lambda: describe(session.words_of(name)))
            case Pace(steps=steps):
                trainer.set_pace(steps)
            case Command(do="save"):
                return {"folder": str(await quick(session.save))}
            case Command(do="baseline"):
                return {"val": await workers(session.baseline)}
            case Command(do="restart"):
                return {"training": await quick(session.restart)}
            case Command(do=what):
                getattr(trainer, what)()
            case _:
                raise HTTPException(422, "the message is not one that the lab knows")
        return {}

    async def socket(websocket: WebSocket) -> None:
        if not is_token(websocket.path_params["token"]):
            await websocket.close()
            return
        await websocket.accept()
        page = Page(websocket)
        pages.add(page)
        session.trainer.watch(1)
        pushing = asyncio.create_task(push(page))
        try:
            await page.send("controls", controls=controls())
            while True:
                received = await websocket.receive()
                if received["type"] == "websocket.disconnect":
                    break
                try:
                    message = RECEIVED.validate_json(received.get("text") or b"")
                except ValidationError as error:
                    await page.send("error", id=id_of(received.get("text") or b""), text=refusal(error))
                    continue
                if len(page.questions) >= QUESTIONS:
                    await page.send("error", id=message.id, text="too many questions at once: try again later")
                    continue
                question = asyncio.create_task(respond(page, message))
                page.questions.add(question)
                question.add_done_callback(page.questions.discard)
        except GONE:
            pass
        finally:
            pages.discard(page)
            session.trainer.watch(-1)
            for task in (pushing, *page.questions):
                task.cancel()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()

        def tell() -> None:
            for page in pages:
                page.changed.set()

        session.on_change = lambda: loop.call_soon_threadsafe(tell)
        yield
        session.on_change = lambda: None
        for pool in (workers, quick, patient):
            pool.close()

    return FastAPI(
        title="moreish lab",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[Middleware(OriginCheck, names=(), allowed=()), Middleware(BodyLimit, limits=LIMITS)],
        exception_handlers={**HANDLERS, HTTPException: wrong},
        routes=[
            Route("/", closed),
            Route("/{token}", closed),
            Route("/{token}/", file),
            Route("/{token}/list", take_list, methods=["POST"]),
            Route("/{token}/export", take_page),
            Route("/{token}/{name}", file),
            WebSocketRoute("/{token}/socket", socket),
        ],
    )
