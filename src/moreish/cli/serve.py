"""Answer over HTTP with a trained model: new words, the likeliest, scores, next-character probabilities.

GET / says what there is to ask for, GET /openapi.json describes it. Only programs on this machine can ask, and no pages
of other web origins. Ctrl-C or SIGTERM stops it once running requests are answered, with exit status 0: it is the way
to stop a server, and nothing is left undone.

Examples:
  moreish serve runs/names-mlp
  moreish serve runs/names-mlp --port 0 --allow-origin https://example.org
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..training.run import load
from .terminal import announce_work
from .values import WholeNumber


def serve(
    run: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: WholeNumber = 8000,
    alarm: float | None = None,
    allow_origin: Annotated[list[str] | None, Parameter(negative="")] = None,
    max_words: WholeNumber | None = None,
    max_samples: WholeNumber | None = None,
    timeout: float | None = None,
) -> None:
    """Run `moreish serve`.

    Parameters
    ----------
    run
        Folder of a run.
    host
        Address to listen at; the default is reached from this machine alone.
    port
        Port to listen at; 0 takes one that is free.
    alarm
        Share of words like those of the list that may be called unlikely [default: 0.01, or no verdicts where the list
        is too short for it].
    allow_origin
        Web origin whose pages may ask, such as https://example.org; may be given several times [default: none].
    max_words
        Most words to score in one request [default: 1000].
    max_samples
        Most words to draw in one request [default: 10000].
    timeout
        Seconds that a client may take to send a request, and the work on it may take [default: 10].
    """
    from ..serving import Limits
    from ..serving import serve as serve_run

    announce_work()
    given = {"words": max_words, "samples": max_samples, "seconds": timeout}
    limits = dataclasses.replace(Limits(), **{name: value for name, value in given.items() if value is not None})
    loaded = load(run)

    def say_where(address: str) -> None:
        print(f"{run.name} ({loaded.model.name}) is served at {address}; Ctrl-C stops it", flush=True)

    serve_run(
        loaded,
        host=host,
        port=port,
        alarm=alarm,
        allow_origins=allow_origin or (),
        limits=limits,
        on_listening=say_where,
    )
