"""The lab: a page on which a model learns while one watches, and answers while one types.

session.py      the lists, the settings and the one training that all pages see
trainer.py      the thread that trains
training.py     one training: its loop, and its curve so far
snapshot.py     the training as it stands after a step
controls.py     the controls of the page, made from the options
views/          what a page asks of a snapshot: a file for each subject
app.py          the page, its files, and the WebSocket that each page holds
messages.py     what a page may send
server.py       the connections, on this machine only
page/           the page: ES modules without a build step
"""

from importlib import import_module

try:
    import_module("fastapi")
    import_module("uvicorn")
    import_module("websockets")
except ImportError:
    from ..errors import missing

    raise missing("the lab needs FastAPI, uvicorn and websockets", "lab") from None

from .server import serve_lab
from .session import Session

__all__ = ["Session", "serve_lab"]
