"""Open a page on which a model learns while you watch, and answers while you type.

The page trains on a bundled list, on a file, or on a list that is dropped on it. Its controls are the options of
moreish train: moving one starts the training anew. It shows the losses, words, pairs of characters, embeddings, layers
and gradients as they change, answers questions with the present weights, and saves the training as a run. Given the
folder of a run, it opens that run.

Only this machine can reach the page, at the address that is printed, which changes with every start. Ctrl-C ends it.

Examples:
  moreish lab
  moreish lab dinosaurs
  moreish lab people.csv --column name
  moreish lab runs/names-mlp --no-browser
"""

import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..corpus import BUNDLED, words_of
from ..errors import InputError
from ..training.folder import CONFIG
from ..training.loading import load
from .fields import Flat, ListArguments, ListName, given_options
from .lr_find import train_command
from .request import Request
from .terminal import announce_work, print_text
from .values import WholeNumber


def lab(
    source: ListName | None = None,
    /,
    *,
    port: WholeNumber = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish lab`.

    Parameters
    ----------
    source
        A word list, as for train, or the folder of a run [default: names].
    port
        Port of the page; 0 takes any free port.
    browser
        Open the page in a browser.
    """
    from ..lab import Session, serve_lab

    announce_work()
    of_list = given_options(list_options)
    session = Session(command=train_command, folder=lambda file, model: Request(file, None, {}, {}).folder(model))
    try:
        if source is not None and (Path(source) / CONFIG).is_file():
            if of_list:
                raise InputError(f"{source} is a run, which has its own list: leave out --{next(iter(of_list))}")
            session.open(load(source), Path(source).resolve().name)
        elif source is None or (source in BUNDLED and not Path(source).is_file()):
            session.configure(words_of(source, **of_list).name, "mlp", {}, play=False)
        else:
            session.configure(session.add_list(words_of(source, **of_list), source, of_list), "mlp", {}, play=False)
    except BaseException:
        session.close()
        raise

    def tell(address: str) -> None:
        print_text(f"the lab is open until Ctrl-C: {address}")
        if browser:
            threading.Thread(target=open_browser, args=[address], daemon=True).start()

    serve_lab(session, port=port, on_listening=tell)


def open_browser(address: str) -> None:
    """Open an address in a browser with a window; one that runs in the terminal would take it over."""
    with suppress(webbrowser.Error):
        if type(browser := webbrowser.get()) is not webbrowser.GenericBrowser:
            browser.open(address)
