"""Who may ask, and how much and how slowly they may send."""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that failed: {"error": message}, in ASCII, since half a surrogate pair has no UTF-8."""
    return Response(json.dumps({"error": message}), status, headers, media_type="application/json")


class OwnOrigin:
    """Refuses what a page of another web origin asks for, unless that origin is allowed.

    A browser sends such requests without asking first when they look like a form or a picture, and says so in Origin
    and Sec-Fetch-Site. A page whose own name was made to point at this machine (DNS rebinding) gives itself away by
    Host: names are those of this machine only; an address cannot be made to point elsewhere.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], allowed: Iterable[str]):
        self.app, self.allowed = app, set(allowed)
        self.names = {name.lower() for name in (*names, "localhost", socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (why := self.objection(Headers(scope=scope))):
            await problem(403, why)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def objection(self, headers: Headers) -> str | None:
        """What speaks against a request, if anything does."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and not self.is_own(host):
            return f"the request is for the host {host[:100]!r}, which is none of this server's names"
        if origin in self.allowed:
            return None
        if origin is not None and _netloc(origin) != host.lower():
            return f"the web origin {origin[:100]!r} is not allowed to ask (see --allow-origin)"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "pages of other web origins are not allowed to ask (see --allow-origin)"
        return None

    def is_own(self, host: str) -> bool:
        """Whether a Host header, a name or an address with or without a port, is one of this server's."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


class BodyLimit:
    """Bounds the size of a body while it is read, whether or not its length was announced, and the time that it takes.

    The application meets HTTPException 413 or 408 as it reads.
    """

    def __init__(self, app: ASGIApp, limits: Limits):
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        most, seconds = self.limits.body, self.limits.seconds
        size, until = 0, asyncio.get_running_loop().time() + seconds
        announced = int(Headers(scope=scope).get("content-length", 0))  # digits: the server has seen to it

        def check() -> None:
            if max(announced, size) > most:
                raise HTTPException(413, f"the request's body is larger than {most:,} bytes")

        async def receive_some() -> Message:
            nonlocal size
            check()  # before a client is told to go on (Expect: 100-continue)
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the request did not arrive within {seconds:g} s") from None
            size += len(message.get("body", b""))
            check()
            return message

        await self.app(scope, receive_some, send)
