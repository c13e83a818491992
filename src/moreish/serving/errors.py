"""Error responses: each is {"error": message}, with a message of one line."""

import json
import reprlib
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ..errors import InputError


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Response with a status and {"error": message}, in ASCII because UTF-8 cannot encode unpaired surrogates."""
    return Response(json.dumps({"error": message}), status, headers, media_type="application/json")


async def _invalid_request(request: Request, error: Exception) -> Response:
    """Respond to a body or a query that does not match its schema."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    location, message, value = first["loc"], first["msg"], first.get("input")
    if first["type"] == "json_invalid":
        return error_response(400, f"the body is not valid JSON: {first['ctx']['error']} at character {location[-1]}")
    if isinstance(value, bytes):
        return error_response(415, "the body must be JSON, with the header Content-Type: application/json")
    place = ".".join(str(part)[:100] for part in location if part not in ("body", "query")) or location[0]
    given = "" if first["type"] == "missing" else f" (it is {reprlib.repr(value)})"
    return error_response(422, f"{place}: {message.replace('Input should', 'it should')}{given}")


async def _invalid_input(request: Request, error: Exception) -> Response:
    """Respond to a request that moreish itself refuses."""
    return error_response(422, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    """Respond to an unknown path or method, and to a request that is too large, too slow or one too many."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_response(404, f"there is no path {request.url.path[:100]!r}: GET / lists the paths")
    if error.status_code == 405:
        # Starlette lists the methods of only one of the routes of a path.
        routes = [route for route in request.app.routes if route.path == request.url.path]
        methods = ", ".join(sorted(set().union(*(route.methods for route in routes)) - {"HEAD"}))
        return error_response(405, f"{request.url.path} accepts only {methods}", {"Allow": methods})
    return error_response(error.status_code, error.detail, error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    """Respond to nobody: the client has gone before its body was complete."""
    return error_response(400, "the body of the request is not complete")


async def _internal_error(request: Request, error: Exception) -> Response:
    """Respond to a request on which the server failed, without details."""
    return error_response(500, "internal error: see the server's log")


HANDLERS: dict[Any, Any] = {
    RequestValidationError: _invalid_request,
    InputError: _invalid_input,
    HTTPException: _http_error,
    ClientDisconnect: _client_gone,
    Exception: _internal_error,
}
