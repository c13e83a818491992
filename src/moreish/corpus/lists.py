"""Word lists by name: bundled with the package, or downloaded once and kept."""

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import InputError, WorkError, unknown
from ..files import user_cache
from .reading import parse_words, read_words
from .wordlist import WordList

# Each list and its summary. The first lines of its file tell its source.
BUNDLED = {
    "names": "given names from many cultures, in lower-case Latin letters",
    "dinosaurs": "genera of dinosaurs",
    "minerals": "minerals and their varieties",
    "places": "cities and towns of the world, with capitals, diacritics and spaces",
}


@dataclass(frozen=True)
class Download:
    """A list that others publish: its summary, and the address and SHA-256 of its file."""

    summary: str
    url: str
    sha256: str


LECTURE = "makemore-names"  # the list of the lecture; 0.1 called it names, and its file names.txt
DOWNLOADS = {
    LECTURE: Download(
        "the 32,033 names of the lecture (names.txt), on which published results are compared",
        "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
}


def bundled(name: str = "names") -> WordList:
    """Return the words of a bundled list. Raises InputError for an unknown name."""
    if name not in BUNDLED:
        raise unknown("bundled list", name, BUNDLED)
    from importlib import resources

    return parse_words((resources.files("moreish.corpus") / "datasets" / f"{name}.txt").read_bytes(), name)


def downloads_folder() -> Path:
    """Return the folder of downloaded lists, in the user's cache."""
    return user_cache() / "lists"


def download(name: str, *, progress: Any = None, timeout: float = 30.0) -> Path:
    """Download a list of DOWNLOADS, unless it is in the user's cache already, and return its path there.

    `read_words` reads it. progress is a bar like tqdm's; timeout is how long the server may be silent, in seconds.
    Raises InputError for an unknown name, and WorkError if the list cannot be reached or is not the expected file; no
    file is kept then.
    """
    if name in BUNDLED:
        raise InputError(f"{name} is bundled, and needs no download")
    if name not in DOWNLOADS:
        raise unknown("list to download", name, DOWNLOADS)
    import logging
    import warnings

    with warnings.catch_warnings(action="ignore"):  # tqdm warns in a notebook without widgets
        import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)
    wanted, folder = DOWNLOADS[name], downloads_folder()
    fetch: Any = pooch.HTTPDownloader(progressbar=progress or False, timeout=timeout)
    try:
        return Path(pooch.retrieve(wanted.url, wanted.sha256, _kept(name).name, folder, downloader=fetch))
    except requests.HTTPError as error:
        answer = error.response.status_code if error.response is not None else error
        raise WorkError(f"{wanted.url} cannot be downloaded: the server returned {answer}") from None
    except requests.RequestException as error:
        problem = f"{wanted.url} cannot be reached ({type(error).__name__})"
        raise WorkError(f"{problem}: try again when you are online, or give a file of your own") from None
    except ValueError:
        raise WorkError(f"{wanted.url} has changed (its SHA-256 differs): the file was not kept") from None
    except OSError as error:
        raise WorkError(f"{folder}: cannot be written ({error.strerror})") from None


def words_of(source: str | Path | None, **options: Any) -> WordList:
    """Read the words of a file, or of the bundled or downloaded list of that name.

    None means the bundled names. The options are those of `read_words`; a bundled list takes none. Raises InputError as
    `read_words` does, and for a list that is not downloaded yet.
    """
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if source is None or (str(source) in BUNDLED and not Path(source).is_file()):
        if given:
            raise InputError(f"the bundled list {source or 'names'} takes no {', '.join(given)}: give it with a file")
        return bundled(str(source or "names"))
    name = str(source)
    if name in DOWNLOADS and not Path(source).is_file():
        if _kept(name).is_file() and hashlib.sha256(_kept(name).read_bytes()).hexdigest() == DOWNLOADS[name].sha256:
            return read_words(_kept(name), **options)
        raise InputError(f"{name} is not downloaded yet: first run moreish download {name}")
    if not Path(source).exists():
        if name == "names.txt":
            now = f"The names of the lecture are now the list {LECTURE}: moreish download {LECTURE}"
            raise InputError(f"{name}: no such file. {now}")
        if close := get_close_matches(name, [*BUNDLED, *DOWNLOADS], n=1, cutoff=0.7):
            raise InputError(f"{name}: no such file or list; did you mean {close[0]}?")
    return read_words(source, **options)


def _kept(name: str) -> Path:
    """Return the path of a list of DOWNLOADS in the user's cache."""
    return downloads_folder() / f"{name}.txt"
