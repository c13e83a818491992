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


def read_lines(stream: Any) -> Iterator[list[str]]:
    """Read the lines of a stream of bytes as words; yield as many at a time as have arrived.

    Raises InputError for a line of more than LONGEST_LINE bytes, and for a packed file.
    """
    number, rest = 1, b""
    while data := stream.read1(BYTES_PER_READ):
        rest += data
        if number == 1 and (kind := packing(rest)):
            raise InputError(
                f"{STANDARD_INPUT}: this is packed by {kind}: unpack it, as in {UNPACKERS[kind]} | moreish"
            )
        whole, line_break, after = rest.rpartition(b"\n")
        if len(rest) > LONGEST_LINE:
            for i, line in enumerate(rest.split(b"\n")):
                if len(line) > LONGEST_LINE:
                    raise InputError(f"{STANDARD_INPUT}:{number + i}: the line has more than {LONGEST_LINE:,} bytes")
        if line_break:
            lines = _cleaned(whole.removeprefix(codecs.BOM_UTF8 if number == 1 else b"")).split("\n")
            yield lines
            number += len(lines)
            rest = after
    if rest:
        yield [_cleaned(rest.removeprefix(codecs.BOM_UTF8 if number == 1 else b""))]


def _cleaned(lines: bytes) -> str:
    """Decode lines and strip each, all at once if there is no other white space."""
    text = lines.decode("utf-8", "replace")
    return "\n".join(map(str.strip, text.split("\n"))) if SPACE.search(text) else text


def escaped(words: list[str]) -> list[str]:
    """Replace unprintable characters of the words by escape sequences."""
    if not UNPRINTABLE.search("".join(words)):
        return words
    return [UNPRINTABLE.sub(escape, word) for word in words]
