"""Lists too large for memory: files that are mapped into it, of which the system holds as much as there is room for.

A list is prepared once, in a folder of the user's cache that bears the SHA-256 of its words. Its files are arrays, each
with its type in its name:

text.u4                 the words as code points, each followed by a line break
starts.i8, lengths.i4   where each word begins in it, and its characters
about.json              how often each character occurs
places-lecture-42.i4    the places of all words as a split shuffles them
train-lecture-42.i4     the flat tokens of a part of a split
marks-lecture-42.u8     see `Marks`

So a character takes 8 bytes on the disk and a word 32. In memory a word takes 4 bytes, while a list is shuffled.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs

from ..errors import InputError, WorkError
from .stream import END, whole_words
from .wordlist import WordList, no_words

IN_MEMORY = 1 << 28  # bytes of a file, up to which its words are held in memory
TOGETHER = 1 << 21  # words of a part that are looked up together, in the order of the list
TOKENS = 1 << 20  # that are moved at a time
MOST = (1 << 31) - 1  # words: what a shuffle numbers
ABOUT, LIST = "about.json", ("text.u4", "starts.i8", "lengths.i4")

log = logging.getLogger("moreish")


def prepared_folder() -> Path:
    """Where prepared lists are kept: a folder of the user's cache."""
    return Path(platformdirs.user_cache_dir("moreish")) / "prepared"


def is_large(path: Path) -> bool:
    """Whether the words of a file are not to be held in memory."""
    return path.stat().st_size > IN_MEMORY


class MappedText:
    """A text in a file of code points, of which a slice is a string."""

    def __init__(self, codes: np.ndarray):
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, piece: slice) -> str:
        return self.codes[piece].tobytes().decode("utf-32-le")


class MappedWords(WordList):
    """A word list in a folder of files. A choice of its words is a WordList, whose places are held in memory."""

    text: MappedText  # type: ignore[assignment]

    def __init__(self, folder: Path):
        text, starts, lengths = (mapped(folder / name) for name in LIST)
        super().__init__(MappedText(text), starts, lengths)  # type: ignore[arg-type]
        self.folder = folder

    @classmethod
    def prepared(cls, pieces: Iterable[str], name: str) -> "MappedWords":
        """The words of a text in pieces, in which each is followed by a line break. `name` is what messages call it.

        Raises InputError if there are none, or too many; WorkError if the folder cannot be written.
        """
        home = prepared_folder()
        log.info("%s is over %d MB: its words are put on the disk, in %s", name, IN_MEMORY >> 20, home)
        with _new_folder(home) as making:
            sha256 = _write(pieces, making, name)
            folder = home / sha256
            if not folder.exists():
                _flush(*making.iterdir())
                making.rename(folder)
        return cls(folder)

    @classmethod
    def known(cls, sha256: str) -> "MappedWords | None":
        """The list with a hash, if it has been prepared."""
        folder = prepared_folder() / sha256
        return cls(folder) if folder.exists() else None

    @cached_property
    def sha256(self) -> str:
        return self.folder.name

    def character_counts(self) -> dict[str, int]:
        return json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))

    def kept(self, name: str, make: Callable[[Callable[[int], np.ndarray]], None]) -> np.ndarray:
        """The array of a file of this list. Where it is not there yet, `make` takes one of a size, and fills it.

        Raises WorkError if there is no room for it.
        """
        path = self.folder / name
        if not path.exists():
            with _new_folder(self.folder) as making:

                def new(size: int) -> np.ndarray:
                    needed, free = size * np.dtype(path.suffix[1:]).itemsize, shutil.disk_usage(making).free
                    if needed > free:  # to write into a mapped file that has no room would end the process
                        raise WorkError(f"{path}: it takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")
                    return mapped(making / name, size)

                make(new)
                _flush(making / name)
                (making / name).rename(path)
        return mapped(path)

    def stream(self, name: str, places: Callable[[], np.ndarray], table: np.ndarray) -> np.ndarray:
        """The words at some places as flat tokens (see `Vocab.stream`) in a file; table is that of the vocabulary."""

        def make(new: Callable[[int], np.ndarray]) -> None:
            wanted = places()
            pieces = np.array_split(wanted, -(-len(wanted) // TOGETHER))
            characters = sum(int(self.lengths[np.sort(piece)].sum(dtype=np.int64)) for piece in pieces)
            stream, begin = new(1 + characters + sum(map(len, pieces))), 1
            for piece in pieces:
                begin = self._copy(piece, table, stream, begin)

        return self.kept(name, make)

    def _copy(self, places: np.ndarray, table: np.ndarray, stream: np.ndarray, begin: int) -> int:
        """Put the words at some places into a stream from `begin` on; where they end.

        They are read in the order of the list: shuffled, each would be a page of the disk.
        """
        order = np.argsort(places)
        places = places[order]
        lengths = self.lengths[places].astype(np.int64) + 1  # with the line break, which the table makes an end
        begins = np.empty_like(lengths)
        begins[order] = lengths
        begins = (begin + np.cumsum(begins) - begins)[order]
        step = max(1, TOKENS * len(places) // int(lengths.sum()))
        for at in range(0, len(places), step):
            some = slice(at, at + step)
            within = np.arange(int(lengths[some].sum()))
            within -= np.repeat(np.cumsum(lengths[some]) - lengths[some], lengths[some])
            found = self.text.codes[within + np.repeat(self.starts[places[some]], lengths[some])]
            stream[within + np.repeat(begins[some], lengths[some])] = table[found]
        return begin + int(lengths.sum())


class Marks:
    """Where words stand: a sorted file of one number a word, the hash of its tokens and in the last two bits its part.

    Of n words, another one is taken for one of them with a chance of n in 2**62.
    """

    def __init__(self, words: MappedWords, streams: list[np.ndarray], name: str):
        def make(new: Callable[[int], np.ndarray]) -> None:
            runs = [(part, run) for part, stream in enumerate(streams) for run in whole_words(stream, TOKENS)]
            marks, end = new(int(sum(np.count_nonzero(run[1:] == END) for _, run in runs))), 0
            for part, run in runs:
                found = hashes(run) | np.uint64(part)
                marks[end : end + len(found)] = found
                end += len(found)
            marks.sort()

        self.marks = words.kept(name, make)

    def first(self, stream: np.ndarray) -> np.ndarray:
        """For each word of a stream the number of the first part that has it; -1 for none."""
        wanted = hashes(stream)
        found = self.marks[np.minimum(np.searchsorted(self.marks, wanted), len(self.marks) - 1)]
        return np.where(found >> np.uint64(2) == wanted >> np.uint64(2), (found & np.uint64(3)).astype(np.int64), -1)


def hashes(stream: np.ndarray) -> np.ndarray:
    """A hash of each word of a flat stream (1 + N,) of tokens, uint64 (W,), a multiple of 4.

    The sum over a word of a random number for each (token, place in the word): Zobrist 1970, with sums for exclusive
    or. The random numbers are those of SplitMix64 (Steele, Lea and Flood 2014).
    """
    tokens = stream[1:].astype(np.uint64)
    ends = np.flatnonzero(tokens == END)
    begins = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(tokens)) - np.repeat(begins, ends + 1 - begins)
    x = (tokens << np.uint64(32)) + place.astype(np.uint64)
    x *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    return np.add.reduceat(x, begins) & ~np.uint64(3)


def mapped(path: Path, size: int | None = None) -> np.ndarray:
    """The array in a file, or a new one of zeros. Not read-only, which compiled code would not take."""
    kind, mode = path.suffix[1:], "r+" if size is None else "w+"
    return np.memmap(path, kind, mode, shape=size).view(np.ndarray)  # type: ignore[call-overload]


def _flush(*files: Path) -> None:
    """Have files on the disk before they get their names: what has its name is whole."""
    for path in files:
        with path.open("r+b") as file:
            os.fsync(file.fileno())


@contextmanager
def _new_folder(home: Path) -> Iterator[Path]:
    """A new folder in another, for files in the making: what is still there in the end is removed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=home) as folder:
            yield Path(folder)
    except OSError as error:
        raise WorkError(f"{error.filename or home}: cannot be written ({error.strerror})") from None


def _write(pieces: Iterable[str], folder: Path, name: str) -> str:
    """Write the files of a list; the SHA-256 of its words."""
    digest, counts, characters, words = hashlib.sha256(), np.zeros(1, np.int64), 0, 0
    with ExitStack() as stack:
        text, starts, lengths = (stack.enter_context((folder / file).open("wb")) for file in LIST)
        for piece in filter(None, pieces):
            codes = np.frombuffer(piece.encode("utf-32-le"), np.uint32)
            ends = np.flatnonzero(codes == ord("\n"))
            begins = np.concatenate([[0], ends[:-1] + 1])
            text.write(codes.tobytes())
            starts.write((characters + begins).tobytes())
            lengths.write((ends - begins).astype(np.int32).tobytes())
            found = np.bincount(codes, minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
            digest.update((b"\n" if words else b"") + piece[:-1].encode())
            characters, words = characters + len(codes), words + len(ends)
    if not words:
        raise no_words(name)
    if words > MOST:
        raise InputError(f"{name}: {words:,} words, and a list can have {MOST:,}: train on a part of it")
    counts[ord("\n")] = 0
    about = {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return digest.hexdigest()
