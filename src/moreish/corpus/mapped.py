"""Lists too large for memory, as memory-mapped files.

A list is prepared once, in a folder of the user's cache that is named after the SHA-256 of its words. The files are
arrays whose names end with their type:

text.u4                 the words as code points, each followed by a line break
starts.i8, lengths.i4   place in text and number of characters of each word
about.json              count of each character
places-lecture-42.i4    places of all words in the shuffled order of a split
train-lecture-42.i4     flat tokens of a part of a split
marks-lecture-42.u8     see `Marks`

So a character takes 8 bytes on disk and a word 32. In memory a word takes 4 bytes while the list is shuffled.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, WorkError
from ..files import user_cache
from .stream import END, whole_words
from .wordlist import WordList, no_words

MAX_IN_MEMORY = 1 << 28  # bytes of a file; the words of a larger file are kept on disk
WORDS_PER_LOOKUP = 1 << 21  # words of a part that are copied together, in the order of the list
TOKENS_PER_COPY = 1 << 20
MAX_WORDS = (1 << 31) - 1  # places are int32
ABOUT_FILE, LIST_FILES = "about.json", ("text.u4", "starts.i8", "lengths.i4")

log = logging.getLogger("moreish")


def prepared_folder() -> Path:
    """Return the folder of prepared lists, in the user's cache."""
    return user_cache() / "prepared"


def is_large(path: Path) -> bool:
    """Return True if a file is too large to hold its words in memory."""
    return path.stat().st_size > MAX_IN_MEMORY


class MappedText:
    """A text in a file of code points; a slice of it is a string."""

    def __init__(self, path: Path):
        self.path, self.codes = path, mapped(path)

    def __reduce__(self) -> tuple[type["MappedText"], tuple[Path]]:
        return MappedText, (self.path,)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, piece: slice) -> str:
        return self.codes[piece].tobytes().decode("utf-32-le")


class MappedWords(WordList):
    """A word list in a folder of files. A slice is a WordList whose places are in memory."""

    text: MappedText

    def __init__(self, folder: Path):
        text, starts, lengths = (folder / name for name in LIST_FILES)
        super().__init__(MappedText(text), mapped(starts), mapped(lengths))  # type: ignore[arg-type]
        self.folder = folder

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k not in ("text", "starts", "lengths")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        MappedWords.__init__(self, state["folder"])
        vars(self).update(state)

    @classmethod
    def prepared(cls, texts: Iterable[str], name: str) -> "MappedWords":
        """Prepare the words of a text in pieces, each word followed by a line break. Messages call the list `name`.

        Raises InputError if there are no words or too many; WorkError if the folder cannot be written.
        """
        home = prepared_folder()
        log.info("%s is over %d MB: its words are stored on disk, in %s", name, MAX_IN_MEMORY >> 20, home)
        with _temporary_folder(home) as temporary:
            sha256 = _write(texts, temporary, name)
            folder = home / sha256
            if not folder.exists():
                _flush(*temporary.iterdir())
                temporary.rename(folder)
        return cls(folder)

    @classmethod
    def known(cls, sha256: str) -> "MappedWords | None":
        """Return the list with a hash; None if it has not been prepared."""
        folder = prepared_folder() / sha256
        return cls(folder) if folder.exists() else None

    @cached_property
    def sha256(self) -> str:
        return self.folder.name

    def character_counts(self) -> dict[str, int]:
        return json.loads((self.folder / ABOUT_FILE).read_text(encoding="utf-8"))

    def cached_array(self, name: str, fill: Callable[[Callable[[int], np.ndarray]], None]) -> np.ndarray:
        """Return the array in a file of this list, making the file if it does not exist.

        fill(new) makes it: new(size) returns an array of that size in the file, for fill to write to. Raises WorkError
        if the disk has no room for it.
        """
        path = self.folder / name
        if not path.exists():
            with _temporary_folder(self.folder) as temporary:

                def new(size: int) -> np.ndarray:
                    needed, free = size * np.dtype(path.suffix[1:]).itemsize, shutil.disk_usage(temporary).free
                    if needed > free:  # writing to a mapped file on a full disk would kill the process
                        raise WorkError(f"{path}: it takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")
                    return mapped(temporary / name, size)

                fill(new)
                _flush(temporary / name)
                (temporary / name).rename(path)
        return mapped(path)

    def stream(self, name: str, places: Callable[[], np.ndarray], table: np.ndarray) -> np.ndarray:
        """Return the words at some places as flat tokens (see `Vocab.stream`) in a file; table is `Vocab.table`."""

        def fill(new: Callable[[int], np.ndarray]) -> None:
            wanted = places()
            chunks = np.array_split(wanted, -(-len(wanted) // WORDS_PER_LOOKUP))
            characters = sum(int(self.lengths[np.sort(chunk)].sum(dtype=np.int64)) for chunk in chunks)
            stream, begin = new(1 + characters + sum(map(len, chunks))), 1
            for chunk in chunks:
                begin = self._copy(chunk, table, stream, begin)

        return self.cached_array(name, fill)

    def _copy(self, places: np.ndarray, table: np.ndarray, stream: np.ndarray, begin: int) -> int:
        """Copy the words at some places into a stream from `begin` on; return the position after them.

        Words are read in the order of the list: in shuffled order, each would cost a page of the disk.
        """
        order = np.argsort(places)
        places = places[order]
        lengths = self.lengths[places].astype(np.int64) + 1  # with the line break, which the table maps to END
        begins = np.empty_like(lengths)
        begins[order] = lengths
        begins = (begin + np.cumsum(begins) - begins)[order]
        step = max(1, TOKENS_PER_COPY * len(places) // int(lengths.sum()))
        for at in range(0, len(places), step):
            chunk = slice(at, at + step)
            within = np.arange(int(lengths[chunk].sum()))
            within -= np.repeat(np.cumsum(lengths[chunk]) - lengths[chunk], lengths[chunk])
            codes = self.text.codes[within + np.repeat(self.starts[places[chunk]], lengths[chunk])]
            stream[within + np.repeat(begins[chunk], lengths[chunk])] = table[codes]
        return begin + int(lengths.sum())


def joined(lists: Sequence[WordList]) -> WordList:
    """Return the words of several lists, one list after another, with their weights; on disk if there are too many.

    All lists have weights, or none has. Labels are left out.
    """
    chunks = (chunk for words in lists for chunk in words.chunks())
    weights = [words.weights for words in lists if words.weights is not None]
    if not weights and sum(words.n_characters + len(words) for words in lists) > MAX_IN_MEMORY:
        return MappedWords.prepared(chunks, "the merged list")
    return WordList.of_text("".join(chunks)).with_weights(np.concatenate(weights) if weights else None)


class Marks:
    """The part of each word: a sorted file of one integer per word, a hash of its tokens with the part in two bits.

    For a list of n words, a word that is not in it is mistaken for one of them with a probability of n / 2**62.
    """

    def __init__(self, words: MappedWords, streams: list[np.ndarray], name: str):
        def fill(new: Callable[[int], np.ndarray]) -> None:
            runs = [(part, run) for part, stream in enumerate(streams) for run in whole_words(stream, TOKENS_PER_COPY)]
            marks, end = new(int(sum(np.count_nonzero(run[1:] == END) for _, run in runs))), 0
            for part, run in runs:
                found = hashes(run) | np.uint64(part)
                marks[end : end + len(found)] = found
                end += len(found)
            marks.sort()

        self.marks = words.cached_array(name, fill)

    def first(self, stream: np.ndarray) -> np.ndarray:
        """Return for each word of a stream the number of the first part that contains it, -1 for none."""
        wanted = hashes(stream)
        found = self.marks[np.minimum(np.searchsorted(self.marks, wanted), len(self.marks) - 1)]
        return np.where(found >> np.uint64(2) == wanted >> np.uint64(2), (found & np.uint64(3)).astype(np.int64), -1)


def hashes(stream: np.ndarray) -> np.ndarray:
    """Hash each word of a flat stream (1 + N,) of tokens: uint64 (W,), multiples of 4.

    A hash is the sum of a random number for each (token, place in the word), as in Zobrist 1970, but with addition in
    place of exclusive or. The random numbers come from SplitMix64 (Steele, Lea and Flood 2014).
    """
    tokens = stream[1:].astype(np.uint64)
    ends = np.flatnonzero(tokens == END)
    begins = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(tokens)) - np.repeat(begins, ends + 1 - begins)
    x = (tokens << np.uint64(32)) + place.astype(np.uint64)
    x *= np.uint64(0x9E3779B97F4A7C15)
    mix_bits(x)
    return np.add.reduceat(x, begins) & ~np.uint64(3)


def mix_bits(x: np.ndarray) -> None:
    """Mix the bits of each number (N,), uint64, in place: the last steps of SplitMix64."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)


def mapped(path: Path, size: int | None = None) -> np.ndarray:
    """Map the array in a file, or in a new file of zeros. It is writable: compiled code takes no read-only arrays."""
    dtype, mode = path.suffix[1:], "r+" if size is None else "w+"
    return np.memmap(path, dtype, mode, shape=size).view(np.ndarray)


def _flush(*files: Path) -> None:
    """Flush files to the disk. Files are renamed after that, so that a file with its final name is complete."""
    for path in files:
        with path.open("r+b") as file:
            os.fsync(file.fileno())


@contextmanager
def _temporary_folder(home: Path) -> Generator[Path]:
    """Yield a new folder in another one; it is removed at the end, with the files that are still in it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=home) as folder:
            yield Path(folder)
    except OSError as error:
        raise WorkError(f"{error.filename or home}: cannot be written ({error.strerror})") from None


def _write(texts: Iterable[str], folder: Path, name: str) -> str:
    """Write the files of a list, and return the SHA-256 of its words."""
    digest, counts, characters, words = hashlib.sha256(), np.zeros(1, np.int64), 0, 0
    with ExitStack() as stack:
        text, starts, lengths = (stack.enter_context((folder / file).open("wb")) for file in LIST_FILES)
        for piece in filter(None, texts):
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
    if words > MAX_WORDS:
        raise InputError(f"{name}: {words:,} words, but a list can have at most {MAX_WORDS:,}: train on a part of it")
    counts[ord("\n")] = 0
    about = {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}
    (folder / ABOUT_FILE).write_text(json.dumps(about), encoding="utf-8")
    return digest.hexdigest()
