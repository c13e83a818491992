"""A run over HTTP: samples, scores and next-character probabilities, for a client that need not be friendly.

app.py        what there is to ask for, and the answers
doors.py      who may ask, and how much
work.py       the computing, in threads, bounded
server.py     the connections, each with its deadline
"""

try:
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError:
    from ..errors import InputError

    raise InputError("serving needs FastAPI and uvicorn: pip install 'moreish[serve]'") from None

from .app import make_app
from .limits import Limits
from .server import serve

__all__ = ["Limits", "make_app", "serve"]
