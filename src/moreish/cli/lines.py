"""Words of a command, from its arguments or from standard input, and words in lines of output."""

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..corpus.packed import UNPACKERS, packing
from ..display.shown import escape
from ..errors import InputError
from ..files import STANDARD_INPUT

BYTES_PER_READ = 1 << 18
LONGEST_LINE = 1_000_000  # bytes
# Characters that would break a line, or move the cursor.
UNPRINTABLE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SPACE = re.compile(r"[^\S\n]")
# Characters that a terminal obeys, or that reverse the text around them; a text also keeps its line breaks and tabs.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
CONTROL_IN_TEXT = re.compile(rf"(?![\n\t]){CONTROL.pattern}")


def given_words(words: Sequence[str], what: str) -> list[str] | None:
    """Return the words given as arguments, cleaned; None for a single -, which means standard input.

    what is what an empty word does not have. Raises InputError for no words, an empty word, and a - among others.
    """
    if not words:
        raise InputError("no words: give some, or - to read them from standard input")
    if tuple(words) in (("-",), (STANDARD_INPUT,)):
        return None
    if {"-", STANDARD_INPUT} & set(words):
        raise InputError("- reads words from standard input: give no other words with it")
    given = [os.fsencode(word).decode("utf-8", "replace").strip() for word in words]
    if not all(given):
        raise InputError(f"an empty word has no {what}")
    return given


def read_blocks(stream: Any) -> Iterator[bytes]:
    """Read a stream of bytes; yield as many whole lines at a time as have arrived, each with a line feed at its end.

    Raises InputError for a line of more than LONGEST_LINE bytes, and for a packed file.
    """
    number, rest = 1, b""
    while data := stream.read1(BYTES_PER_READ):
        rest += data
        if number == 1 and (kind := packing(rest)):
            raise InputError(
                f"{STANDARD_INPUT}: this is packed by {kind}: unpack it, as in {UNPACKERS[kind]} | moreish"
            )
        if len(rest) > LONGEST_LINE:
            for i, line in enumerate(rest.split(b"\n")):
                if len(line) > LONGEST_LINE:
                    raise InputError(f"{STANDARD_INPUT}:{number + i}: the line has more than {LONGEST_LINE:,} bytes")
        if end := rest.rfind(b"\n") + 1:
            yield rest[:end].removeprefix(codecs.BOM_UTF8 if number == 1 else b"")
            number += rest.count(b"\n")
            rest = rest[end:]
    if rest:
        yield rest.removeprefix(codecs.BOM_UTF8 if number == 1 else b"") + b"\n"


def read_lines(stream: Any) -> Iterator[list[str]]:
    """Read the lines of a stream of bytes as words; yield as many at a time as have arrived: see `read_blocks`."""
    return map(words_of, read_blocks(stream))


def words_of(block: bytes) -> list[str]:
    """Decode lines, each with a line feed at its end, and strip each, all at once if there is no other white space."""
    text = block[:-1].decode("utf-8", "replace")
    lines = text.split("\n")
    return [line.strip() for line in lines] if SPACE.search(text) else lines


def escaped(words: list[str]) -> list[str]:
    """Replace unprintable characters of the words by escape sequences."""
    if not UNPRINTABLE.search("".join(words)):
        return words
    return [UNPRINTABLE.sub(escape, word) for word in words]
