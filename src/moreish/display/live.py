"""A view of long work while it runs, updated in place: a line, a bar and curves in a notebook, a line elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from markupsafe import Markup

from .compiling import Compiling, watchers
from .curves import Points, curves_svg

SECONDS = 0.15  # between two updates


def in_notebook() -> bool:
    """Return True in a notebook: in Jupyter, VS Code or Colab. IPython is not imported."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


class Live:
    """A view of long work, as a context. Its last state remains, without the bar.

    title       what the work is
    wanted      True to show it, False not to; None to show it in a notebook only
    """

    def __init__(self, title: str, wanted: bool | None = None):
        self.title, self.wanted = title, in_notebook() if wanted is None else wanted
        self._line, self._share, self._curves = "", 0.0, dict[str, Points]()
        self._log_x, self._next, self._began = False, 0.0, (0.0, 0.0)
        self._draw: Callable[[], None] = lambda: None
        self._stack, self._thread = ExitStack(), threading.get_ident()

    def __enter__(self) -> Self:
        if self.wanted:
            (self._open_notebook if in_notebook() else self._open_terminal)()
            watchers.append(self._compiling)
            self._stack.callback(watchers.remove, self._compiling)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._share = 0.0
        self._line += "" if kind is None else "; stopped" if self._line else "stopped"
        self._draw()
        self._stack.close()

    @property
    def due(self) -> bool:
        """True if the view is shown, and its last update is long enough ago for another. A notebook takes updates from
        the thread that has opened the view.
        """
        return self.wanted and time.monotonic() >= self._next and threading.get_ident() == self._thread

    def tell(
        self, line: str, share: float = 0.0, curves: Mapping[str, Points] | None = None, *, log_x: bool = False
    ) -> None:
        """Show the state of the work, or keep it for the next update.

        line        what is done
        share       how much of the work is done, up to 1; 0 if that is not known: there is no bar then
        curves      the points (x, y) of each curve by its name; None leaves the curves as they are
        log_x       the x axis is logarithmic
        """
        self._line, self._share = line, share
        if not self._began[1]:
            self._began = time.monotonic(), share
        if curves is not None:
            self._curves, self._log_x = curves, log_x
        if self.due:
            self._draw()
            self._next = time.monotonic() + SECONDS

    @property
    def text(self) -> str:
        """The state as a line of text."""
        (began, first), share = self._began, self._share
        seconds = (time.monotonic() - began) * (1 - share) / (share - first) if first < share < 1 else None
        left = "" if seconds is None else f", {seconds:,.0f} s left"
        return f"{self.title}: {self._line}{left}" if self._line else self.title

    def html(self) -> str:
        """Return the state as HTML."""
        bar = '<div><progress style="width: 26em" max="1" value="{:.4f}"></progress></div>'
        shown_bar = Markup(bar).format(self._share) if self._share else ""
        return str(Markup("<div>{}{}{}</div>").format(self.text, shown_bar, curves_svg(self._curves, self._log_x)))

    def _compiling(self, at: Compiling) -> None:
        self.tell(str(at) if at.ended else f"{at}, {at.seconds:.0f} s")

    def _open_notebook(self) -> None:
        from IPython.display import display

        def bundle() -> dict[str, str]:
            return {"text/html": self.html(), "text/plain": self.text}

        handle = display(bundle(), raw=True, display_id=True)
        assert handle is not None
        self._draw = lambda: handle.update(bundle(), raw=True)

    def _open_terminal(self) -> None:
        from rich.console import Console
        from rich.live import Live as Lines
        from rich.text import Text

        console = Console(stderr=True)
        lines = Lines(Text(self.text), console=console, auto_refresh=False, redirect_stdout=False)
        if not console.is_terminal:
            self._stack.callback(console.line)
        self._stack.callback(lines.stop)
        lines.start()
        self._draw = lambda: lines.update(Text(self.text), refresh=True)
