"""Reading a list of words: any UTF-8 text, one word a line."""

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..files import STANDARD_INPUT
from .wordlist import WordList

PIECE = 1 << 20  # characters of a file that are taken apart at a time


def read_words(source: str | Path) -> WordList:
    """Read the words of a UTF-8 file, one a line, in file order, repeats kept; `-` reads standard input.

    A byte-order mark, any kind of line end, blank lines and space around a word are taken off, and the text is
    normalised to NFC, so that é is one character however it was typed. Any character may stand in a word.

    Raises InputError, naming file, line and way out, if the file is missing, a folder, unreadable, binary, not UTF-8
    or without a single word.
    """
    name, data = _read_bytes(source)
    return parse_words(data, name)


def parse_words(data: bytes, name: str) -> WordList:
    """The words in the bytes of a file; `name` is what errors call it. Raises InputError as `read_words` does."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name}: this is UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8 {name})")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise InputError(
            f"{name}:{line}: this is a binary file (it holds a zero byte); give a text file, one word a line"
        )
    try:
        text = data.decode("utf-8-sig").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        # With a byte-order mark, positions count from behind it.
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = data.count(b"\n", 0, at) + 1
        raise InputError(
            f"{name}:{line}: byte 0x{data[at]:02x} at offset {at} is not UTF-8; "
            f"convert the file first (for example iconv -f latin1 -t utf-8 {name})"
        ) from None
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    words = WordList.of_text("".join(_stripped(text)))
    if not words:
        raise InputError(f"{name}: no words in it; give a text file, one word a line")
    return words


def _stripped(text: str) -> Iterator[str]:
    """The lines without the space around them, blank ones left out, some thousands at a time."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE)
        end = len(text) if end < 0 else end
        yield "\n".join([word for line in text[start:end].split("\n") if (word := line.strip())] + [""])
        start = end


def _read_bytes(source: str | Path) -> tuple[str, bytes]:
    if str(source) in ("-", STANDARD_INPUT):
        return STANDARD_INPUT, sys.stdin.buffer.read()
    path = Path(source)
    try:
        return str(path), path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; give a text file with one word a line, or - for standard input"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; give a text file with one word a line") from None
    except OSError as error:
        if path.is_dir():  # Windows says "permission denied" of a folder
            raise InputError(f"{path}: this is a folder; give a text file with one word a line") from None
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
