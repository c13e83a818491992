"""Serve a trained model over HTTP.

Clients can draw new words, find the most likely ones, score words, get the probabilities of the next character, and, if
the run has labels, find the labels of words. A browser that opens the address gets a page for this. To other programs,
GET / lists the paths, and GET /openapi.json describes them in full. By default only programs on this machine can
connect, and pages of other web origins are refused. Ctrl-C or SIGTERM stops the server, with exit status 0, once the
requests in progress have their responses.

Examples:
  moreish serve runs/names-mlp
  moreish serve runs/names-mlp --port 0 --allow-origin https://example.org
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..training.loading import load
from .terminal import announce_work, print_text
from .values import WholeNumber


def serve(
    run: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: WholeNumber = 8000,
    false_positive_rate: float | None = None,
    alarm: Annotated[float | None, Parameter(show=False)] = None,
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
        Address to listen on; only this machine can reach the default.
    port
        Port to listen on; 0 takes any free port.
    false_positive_rate
        Fraction of words like those of the list that may be called unlikely; a list that is too short for it gets no
        verdicts [default: 0.01].
    alarm
        Old name of --false-positive-rate.
    allow_origin
        Web origin whose pages may send requests, such as https://example.org; can be repeated [default: none].
    max_words
        Maximum number of words to score in one request [default: 1000].
    max_samples
        Maximum number of words to draw in one request [default: 10000].
    timeout
        Maximum seconds for a client to send a request, and for the server to compute the response [default: 10].
    """
    from ..serving import Limits
    from ..serving import serve as serve_run

    announce_work()
    given = {"words": max_words, "samples": max_samples, "seconds": timeout}
    limits = dataclasses.replace(Limits(), **{name: value for name, value in given.items() if value is not None})
    loaded = load(run)

    def print_address(address: str) -> None:
        print_text(f"{run.name} ({loaded.model.name}): open {address} in a browser; Ctrl-C stops the server")

    serve_run(
        loaded,
        host=host,
        port=port,
        false_positive_rate=alarm if false_positive_rate is None else false_positive_rate,
        allow_origins=allow_origin or (),
        limits=limits,
        on_listening=print_address,
    )
