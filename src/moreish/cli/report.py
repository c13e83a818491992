"""Write report.html into a run: one file with all that there is to know about it.

Losses with intervals, its place beside the counts, curve, diagnosis, pictures, samples and how new they are, options.
It needs no network, and can be read on a phone, in the dark, or printed.

Examples:
  moreish report runs/names-mlp
  moreish report runs/names-mlp --out report.html
"""

from pathlib import Path

from ..files import write_atomically
from ..training.run import load
from .terminal import announce_work


def report(run: Path, /, *, out: Path | None = None) -> None:
    """Run `moreish report`.

    Parameters
    ----------
    run
        Folder of a run.
    out
        The file to write [default: report.html in the folder of the run].
    """
    from ..reporting.report import report as report_of

    announce_work()
    path = out or run / "report.html"
    page = report_of(load(run)).encode()
    write_atomically(path, page)
    print(f"{path}  ({len(page) / 1e6:.2f} MB; open it in a browser)")
