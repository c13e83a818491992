"""moreish report"""

from pathlib import Path

from ..files import write_atomically
from ..training.run import load
from .terminal import announce_work


def report(run: Path, /, *, out: Path | None = None) -> None:
    """`moreish report`: its text stands in VERBS.

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
