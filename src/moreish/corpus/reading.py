"""Reading a list of words: any UTF-8 text, one word per line."""

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from ..files import STANDARD_INPUT
from .mapped import MappedWords, is_large
from .wordlist import WordList, no_words, sha256_of

BLOCK_SIZE = 1 << 20  # bytes or characters processed at a time
LF = b"\n"


def read_words(source: str | Path) -> WordList:
    """Read the words of a UTF-8 file, one per line, in file order, with repeats; `-` reads standard input.

    A byte-order mark, line ends of any kind, blank lines, and leading and trailing spaces are removed. The text is
    normalised to NFC, so that é is one character however it was typed. A word may contain any character. The words of
    a file of more than `mapped.MAX_IN_MEMORY` bytes are kept on disk: see `MappedWords`.

    Raises InputError, naming the file, the line and the way out, if the file is missing, a folder, unreadable, binary,
    not UTF-8 or without words.
    """
    if str(source) in ("-", STANDARD_INPUT):
        return parse_words(sys.stdin.buffer.read(), STANDARD_INPUT)
    path = Path(source)
    try:
        with path.open("rb") as file:
            if is_large(path):
                return MappedWords.prepared(_cleaned(_blocks(file), str(path)), str(path))
            return parse_words(file.read(), str(path))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; give a text file with one word per line, or - for standard input"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give a text file with one word per line") from None
    except OSError as error:
        if path.is_dir():  # Windows says "permission denied" of a folder
            raise InputError(f"{path}: this is a folder; give a text file with one word per line") from None
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def written_words(path: Path) -> WordList:
    """Read the words of a file of a run, one per line, unchanged."""
    if not is_large(path):
        return WordList.of_text(path.read_bytes().decode())
    with path.open("rb") as file:
        sha256 = sha256_of(_blocks(file))
        file.seek(0)
        return MappedWords.known(sha256) or MappedWords.prepared(map(bytes.decode, _blocks(file)), str(path))


def parse_words(data: bytes, name: str) -> WordList:
    """Read the words in the bytes of a file; errors call it `name`. Raises InputError as `read_words` does."""
    words = WordList.of_text("".join(_cleaned([data], name)))
    if not words:
        raise no_words(name)
    return words


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines."""
    while block := file.read(BLOCK_SIZE):
        yield block + file.readline()


def _cleaned(blocks: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield the words in blocks of a file, each followed by a line break, some thousands at a time."""
    line, offset = 1, 0  # where the block begins
    for data in blocks:
        if offset == 0 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{name}: this is UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8 {name})")
        if b"\0" in data:
            raise InputError(
                f"{name}:{line + data.count(LF, 0, data.index(0))}: this is a binary file (it contains a zero byte); "
                "give a text file, one word per line"
            )
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}:{line + data.count(LF, 0, error.start)}: byte 0x{data[error.start]:02x} at offset "
                f"{offset + error.start} is not UTF-8; "
                f"convert the file first (for example iconv -f latin1 -t utf-8 {name})"
            ) from None
        text = text if offset else text.lstrip("\ufeff")
        yield from _stripped(unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n"))
        line, offset = line + data.count(LF), offset + len(data)


def _stripped(text: str) -> Iterator[str]:
    """Yield the lines without leading and trailing spaces and without blank lines, some thousands at a time."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK_SIZE)
        end = len(text) if end < 0 else end
        yield "\n".join([word for line in text[start:end].split("\n") if (word := line.strip())] + [""])
        start = end
