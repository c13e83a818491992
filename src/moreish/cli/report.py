"""Write report.html into a run: one file with its losses, samples, pictures and diagnosis.

Losses have confidence intervals and are compared with those of the n-gram model. The page also has the novelty of the
samples and all options. It needs no network, adapts to phones and dark mode, and can be printed.

Examples:
  moreish report runs/names-mlp
  moreish report runs/names-mlp --out report.html
"""

from pathlib import Path

from ..files import write_atomically
from ..training.loading import load
from .terminal import announce_work, print_text


def report(run: Path, /, *, out: Path | None = None) -> None:
    """Run `moreish report`.

    Parameters
    ----------
    run
        Folder of a run.
    out
        File to write [default: report.html, in the folder of the run].
    """
    from ..reporting.report import report as report_of

    announce_work()
    path = out or run / "report.html"
    page = report_of(load(run)).encode()
    write_atomically(path, page)
    print_text(f"{path}  ({len(page) / 1e6:.2f} MB; open it in a browser)")
