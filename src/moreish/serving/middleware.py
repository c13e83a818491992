"""Middleware: which web origins may send requests, and how large and how slow a request may be."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import error_response
from .limits import Limits


class OriginCheck:
    """Refuses requests from pages of other web origins, unless that origin is allowed.

    Browsers send such requests without a preflight if they look like a form or an image, and mark them by the headers
    Origin and Sec-Fetch-Site. Against DNS rebinding, where a page makes its own host name resolve to this machine, the
    Host header must be a name of this machine or an IP address.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], allowed: Iterable[str]):
        self.app, self.allowed = app, set(allowed)
        self.names = {name.lower() for name in (*names, "localhost", socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not (reason := self._reason_to_refuse(Headers(scope=scope))):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is accepted: the response is 403
        else:
            await error_response(403, reason)(scope, receive, send)

    def _reason_to_refuse(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and not self._is_own(host):
            return f"the request is for the host {host[:100]!r}, which is not a name of this server"
        if origin in self.allowed:
            return None
        if origin is not None and _netloc(origin) != host.lower():
            return f"requests from the web origin {origin[:100]!r} are not allowed (see --allow-origin)"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "requests from pages of other web origins are not allowed (see --allow-origin)"
        return None

    def _is_own(self, host: str) -> bool:
        """True if a Host header, with or without a port, is a name of this server or an IP address."""
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
    """Limits the size of a request's body, with or without a Content-Length, and the time to receive it.

    The application gets an HTTPException, 413 or 408, when it reads the body.
    """

    def __init__(self, app: ASGIApp, limits: Limits):
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        most, seconds = self.limits.body, self.limits.seconds
        size, until = 0, asyncio.get_running_loop().time() + seconds
        announced = int(Headers(scope=scope).get("content-length", 0))  # the server has checked that these are digits

        def check_size() -> None:
            if max(announced, size) > most:
                raise HTTPException(413, f"the body of the request is larger than {most:,} bytes")

        async def receive_within_limits() -> Message:
            nonlocal size
            check_size()  # before the client is told to continue (Expect: 100-continue)
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the request did not arrive within {seconds:g} s") from None
            size += len(message.get("body", b""))
            check_size()
            return message

        await self.app(scope, receive_within_limits, send)
