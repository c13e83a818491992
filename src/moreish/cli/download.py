"""Download a published word list, check it, and keep it in the user's cache folder.

Other commands then take it by its name. The list makemore-names is names.txt of the lecture, on which published results
are compared. It is not the bundled list names.

Examples:
  moreish download
  moreish download makemore-names
"""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ..corpus import DOWNLOADS, read_words
from ..corpus import download as download_list
from ..corpus.lists import LECTURE
from .terminal import print_json, print_table, print_text, say
from .values import Flag, one_of

if TYPE_CHECKING:
    ListName = str
else:
    ListName = one_of(DOWNLOADS)


class DownloadBar:
    """A progress bar, if there is a terminal, with the interface of tqdm's bars."""

    def __init__(self, name: str):
        console = Console(stderr=True)
        columns = (TextColumn(name), BarColumn(), DownloadColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task("", total=None)
        self.total = 0

    def update(self, n: int) -> None:
        self.progress.start()
        self.progress.update(self.task, total=self.total or None, advance=n)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        self.progress.stop()


def download(name: ListName | None = None, /, *, json: Flag = False) -> None:
    """Run `moreish download`.

    Parameters
    ----------
    name
        List to download; without it, show the lists.
    json
        Print JSON: {"name": ..., "path": ..., "words": ...}, or {"lists": {NAME: {"summary", "url", "sha256"}, ...}}.
    """
    if name is None:
        lists = {n: {"summary": d.summary, "url": d.url, "sha256": d.sha256} for n, d in DOWNLOADS.items()}
        if json:
            print_json({"lists": lists})
        else:
            print_table(["list", "summary", "address"], [(n, d["summary"], d["url"]) for n, d in lists.items()])
        return
    if name == "names":  # what 0.1 called it
        say(f"({name} is now the bundled list; the names of the lecture are the list {LECTURE})")
        name = LECTURE
    bar = DownloadBar(name)
    try:
        path = download_list(name, progress=bar)
    finally:
        bar.close()
    words = len(read_words(path))
    if json:
        print_json({"name": name, "path": str(path), "words": words})
    else:
        print_text(f"{words:,} words in {path}; train on them with: moreish train {name}")
