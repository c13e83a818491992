"""A view of long work while it runs, updated in place: a line, a bar and curves in a notebook, a line elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self

from markupsafe import Markup

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
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        if self.wanted:
            (self._open_notebook if in_notebook() else self._open_terminal)()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._share = 0.0
        self._line += "" if kind is None else "; stopped" if self._line else "stopped"
        self._draw()
        self._close()

    @property
    def due(self) -> bool:
        """True if the view is shown, and its last update is long enough ago for another."""
        return self.wanted and time.monotonic() >= self._next

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
        left = "" if seconds is None else f"{', ' * bool(self._line)}{seconds:,.0f} s left"
        return f"{self.title}: {self._line}{left}"

    def html(self) -> str:
        """Return the state as HTML."""
        bar = '<div><progress style="width: 26em" max="1" value="{:.4f}"></progress></div>'
        shown_bar = Markup(bar).format(self._share) if self._share else ""
        return str(Markup("<div>{}{}{}</div>").format(self.text, shown_bar, curves_svg(self._curves, self._log_x)))

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

        def close() -> None:
            lines.stop()
            if not console.is_terminal:
                console.line()

        lines.start()
        self._draw, self._close = lambda: lines.update(Text(self.text), refresh=True), close
