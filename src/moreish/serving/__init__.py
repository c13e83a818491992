"""HTTP server for a run: samples, scores, labels and next-character probabilities, for untrusted clients.

app.py          the paths and their requests, as a FastAPI application
schemas.py      the responses
errors.py       the error responses
page.py         the page that browsers get, page.html
middleware.py   who may send requests, and how much
workers.py      threads that compute, bounded in number and time
server.py       the connections, each with a deadline
"""

from importlib import import_module

try:
    import_module("fastapi")
    import_module("uvicorn")
except ImportError:
    from ..errors import missing

    raise missing("serving needs FastAPI and uvicorn", "serve") from None

from .app import make_app
from .limits import Limits
from .server import serve

__all__ = ["Limits", "make_app", "serve"]
