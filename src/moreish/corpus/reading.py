"""Reading a list of words: text with one word per line, or a table, packed or not, in any encoding."""

import io
import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from ..files import STANDARD_INPUT, standard_input
from . import mapped
from .columns import chosen
from .encodings import checked_encoding, decoded
from .formats import SAMPLE_SIZE, SEPARATORS, ListOptions, forced, list_name, odd_lines, recognised
from .mapped import MappedWords, is_large
from .packed import unpacked
from .tables import table_of
from .wordlist import WordList, no_words, sha256_of, shown

BLOCK_SIZE = 1 << 20  # bytes or characters processed at a time
UNCLEAN = ("\n\n", *(c for c in map(chr, range(128)) if c.isspace() and c != "\n"))  # in a block that may need cleaning
FIRST_LINE = re.compile(r"^(?!#(?:[ \n]|\Z))[^\S\n]*\S", re.MULTILINE)  # that is not blank and no comment

log = logging.getLogger("moreish")


def read_words(
    path: str | Path,
    *,
    column: str | int | None = None,
    weights: str | int | None = None,
    labels: str | int | None = None,
    format: str | None = None,
    encoding: str | None = None,
) -> WordList:
    """Read the words of a file, in file order, with repeats; `-` reads standard input.

    A text has one word per line. A byte-order mark, line ends of any kind, blank lines, leading and trailing spaces,
    and a leading block of lines that begin with "# " are removed. The text is normalised to NFC, so that é is one
    character however it was typed. A word may contain any character.

    A table with one column of words is read too, and the log says how; if there is a choice, the error gives the
    command that reads it. A list of more than 256 MB is kept on disk.

    The names of the lecture are `read_words(download("makemore-names"))`, with `from moreish.corpus import download`.

    path        a file of text, CSV, TSV, JSON, JSON lines, counts as of `uniq -c`, FASTA, or a Hunspell dictionary;
                it may be packed by gzip, xz, bzip2, or alone in a zip archive
    column      the column of the words: its name in the header, a key of JSON objects, or its number from 1
    weights     the column that says how often each word counts; a word with weight 0 is left out
    labels      the column with the label of each word, such as its language
    format      one of `formats.FORMATS`; None recognises it. "text" takes every line as it stands
    encoding    any encoding of text that Python knows; None for UTF-8

    Raises InputError, naming the file, the line and the way out, if the file is missing, a folder, unreadable, binary,
    damaged, not in its encoding, without words, or not clearly a list of words.
    """
    column, weights, labels = (None if value is None else str(value) for value in (column, weights, labels))
    encoding = None if encoding is None else checked_encoding(encoding)
    options = ListOptions(column=column, weights=weights, labels=labels, format=format, encoding=encoding)
    if str(path) in ("-", STANDARD_INPUT):
        return _words(standard_input(), STANDARD_INPUT, options, large=False)
    with _opened(Path(path)) as file:
        words = _words(file, str(path), options, is_large(Path(path)))
    words.name = list_name(path)
    return words


def written_words(path: Path) -> WordList:
    """Read the words of a file of a run, one per line, unchanged."""
    if not is_large(path):
        return WordList.of_text(path.read_bytes().decode())
    with path.open("rb") as file:
        sha256 = sha256_of(_blocks(file))
        file.seek(0)
        return MappedWords.known(sha256) or MappedWords.prepared(map(bytes.decode, _blocks(file)), str(path))


def parse_words(data: bytes, name: str, options: ListOptions | None = None) -> WordList:
    """Read the words in the bytes of a file; errors call it `name`. Raises InputError as `read_words` does."""
    words = _words(io.BytesIO(data), name, options or ListOptions(), large=False)
    words.name = list_name(name)
    return words


def comments(text: str) -> str:
    """Return the leading comments of a text, with the blank lines between them."""
    first = FIRST_LINE.search(text)
    return text[: first.start()] if first else text


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    """Open a file. Raises InputError if it cannot be read."""
    folder = InputError(f"{path}: this is a folder; give a text file with one word per line")
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; give a text file with one word per line, or - for standard input"
        ) from None
    except IsADirectoryError:
        raise folder from None
    except OSError as error:
        if path.is_dir():  # Windows says "permission denied" of a folder
            raise folder from None
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _words(file: BinaryIO, name: str, options: ListOptions, large: bool) -> WordList:
    """Read the words of an open file, which may be too large for memory."""
    texts = decoded(unpacked(file, name), name, options.encoding, lambda likely: options.command(name, encoding=likely))
    head, size = [], 0
    for text in texts:
        head.append(text)
        size += len(text)
        if size > (SAMPLE_SIZE if large else mapped.MAX_IN_MEMORY):
            large = True
            break
    text = "".join(head)
    del head
    skipped = comments(text) if options.format != "text" else ""
    text = text[len(skipped) :]
    if skipped.strip() and not text.strip() and not large:
        raise InputError(
            f'{name}: all lines are comments, as they begin with "# "; take each line as it is with: '
            f"{options.as_it_stands(name)}"
        )
    layout = forced(options.format, text, not large) if options.format else recognised(text, name, not large, options)
    columns, told = None, ""
    if layout.format == "text" and not (options.column or options.weights or options.labels):
        pieces = (words for piece in chain([text], texts) for words in _stripped(piece))
        if options.format is None:
            _warn_of_odd_lines(text, name)
    elif layout.format == "json" and large:
        raise InputError(
            f"{name}: JSON of more than {mapped.MAX_IN_MEMORY >> 20} MB: make JSON lines of it first, with one word or "
            "object per line (jq -c '.[]' does so for an array)"
        )
    else:
        table = table_of(layout, chain([text], texts), name, skipped.count("\n"), options)
        columns, told = chosen(table, name, options)
        pieces = columns.pieces(table, name)
    words = MappedWords.prepared(pieces, name) if large else WordList.of_text("".join(pieces))
    if not words:
        raise no_words(name)
    if columns is None:
        return words
    log.info("%s%s", told, columns.left_out)
    return columns.attached(words, name)


def _warn_of_odd_lines(text: str, name: str) -> None:
    """Say so if a few lines of a list of words look like rows of a table."""
    odd, separators = odd_lines(text)
    if odd:
        lines = f"{len(odd):,} line{'s look' if len(odd) > 1 else ' looks'} odd"
        signs = " or ".join(f"a {SEPARATORS[separator]}" for separator in separators)
        log.warning("%s: %s, with %s, such as %s: read as words", name, lines, signs, shown(odd[0]))


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines."""
    while block := file.read(BLOCK_SIZE):
        yield block + file.readline()


def _stripped(text: str) -> Iterator[str]:
    """Yield the lines without leading and trailing spaces and without blank lines, some thousands at a time."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK_SIZE)
        end = len(text) if end < 0 else end + 1
        block = text[start:end]
        if block.isascii() and block[0] != "\n" and block[-1] == "\n" and not any(some in block for some in UNCLEAN):
            yield block  # as it is, which is much faster than line after line
        elif words := [word for line in block.split("\n") if (word := line.strip())]:
            yield "\n".join([*words, ""])
        start = end
