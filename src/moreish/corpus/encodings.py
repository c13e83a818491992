"""Encodings: the bytes of a file as text, and the likely encoding of a file that is not UTF-8."""

import codecs
import encodings.aliases
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from itertools import chain
from string import ascii_letters

from ..errors import InputError
from . import mapped

LF = b"\n"
SPACES = "\n\t\ufeff\xa0\u3000\u200c\u200d"  # that are not printable, but part of texts
BYTE_ORDER_MARKS = {  # the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

ASCII = bytes(range(128))
LETTER = r"[^\W\d_]"
MARKS = "¢£¤¥¦¨¬¯±³¶¸¹¼½¾"  # that stand beside no letter in western Europe
UNLIKELY = re.compile(  # in a text: then it was in another encoding
    rf"[\x80-\x9f\u2200-\u25ff]|{LETTER}[{MARKS}¡¿]|[{MARKS}]{LETTER}"
    rf"|{LETTER}(?:[ªºˆ×÷]|[^\w\s\x00-\x7f’‘´·\xad–—®°]){LETTER}"
)


def decoded(blocks: Iterable[bytes], name: str, encoding: str | None, command: Callable[[str], str]) -> Iterator[str]:
    """Yield the text of a file in pieces of whole lines: in NFC, with line feeds, without a byte-order mark.

    encoding    None for UTF-8
    command     returns the command that reads the file in an encoding

    Raises InputError for bytes that are not in the encoding, and for a binary file. It names the likely encoding.
    """
    for text in texts(blocks, name, encoding, command):
        yield with_line_feeds(unicodedata.normalize("NFC", text))


def with_line_feeds(text: str) -> str:
    """Replace line ends of any kind by line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def checked_encoding(name: str) -> str:
    """Return the name of an encoding. Raises InputError if it is unknown, or none of text."""
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        pairs = [pair for pair in encodings.aliases.aliases.items() if not pair[1].endswith(("_codec", "rot_13"))]
        known = {alias.replace("_", "-") for pair in pairs for alias in pair}
        close = get_close_matches(name.lower().replace("_", "-"), sorted(known), n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else "for example cp1252, utf-16 or shift_jis"
        raise InputError(f"unknown encoding {name!r}: {hint}") from None
    try:
        codecs.getincrementaldecoder(name)
        b"a".decode(name)
    except UnicodeError:
        return name  # of more than one byte for each character
    except LookupError:
        raise InputError(
            f"{name!r} is not a text encoding: give one, for example cp1252, utf-16 or shift_jis"
        ) from None
    return name


def texts(blocks: Iterable[bytes], name: str, encoding: str | None, command: Callable[[str], str]) -> Iterator[str]:
    """Yield the text of a file in pieces of whole lines, unchanged but for its byte-order mark; see `decoded`."""
    blocks = blocks if encoding is None else _in_utf8(blocks, name, encoding)
    line, offset = 1, 0  # where the block begins
    for data in _whole_lines(blocks, name):
        marked = next((kind for mark, kind in BYTE_ORDER_MARKS.items() if offset == 0 and data.startswith(mark)), None)
        likely = marked or (_with_zeros(data) if offset == 0 and b"\0" in data else None)
        if likely and likely != encoding:
            raise InputError(f"{name}: this is {likely.upper()}; read it with: {command(likely)}")
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
                f"{offset + error.start} is not UTF-8; {_way_out(data, command)}"
            ) from None
        yield text if offset else text.lstrip("\ufeff")
        line, offset = line + data.count(LF), offset + len(data)


def _in_utf8(blocks: Iterable[bytes], name: str, encoding: str) -> Iterator[bytes]:
    """Yield blocks in another encoding as blocks in UTF-8. Raises InputError for bytes that are not in the encoding."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    try:
        for block in chain(blocks, [b""]):
            yield decoder.decode(block, final=not block).encode()
            line += block.count(LF)
    except UnicodeDecodeError as error:
        place = line + error.object.count(LF, 0, error.start)
        byte = f"byte 0x{error.object[error.start]:02x}" if error.start < len(error.object) else "the end of the file"
        raise InputError(f"{name}:{place}: {byte} is not {encoding} ({error.reason}): try another --encoding") from None
    except UnicodeError as error:
        raise InputError(f"{name}:{line}: not {encoding} ({error}): try another --encoding") from None


def _whole_lines(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield blocks that are cut after line ends. Raises InputError for a line that is too large for memory."""
    waiting: list[bytes] = []
    size = 0
    for block in blocks:
        end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, max(len(block) - 1, 0))) + 1  # not between CR and LF
        if end:
            yield b"".join([*waiting, block[:end]])
            waiting, size = [], 0
        waiting.append(block[end:])
        size += len(block) - end
        if size > max(mapped.MAX_IN_MEMORY, 1 << 20):
            raise InputError(f"{name}: a line of more than {mapped.MAX_IN_MEMORY >> 20} MB: give one word per line")
    if size:
        yield b"".join(waiting)


def _with_zeros(data: bytes) -> str | None:
    """Return the likely encoding of a file with zero bytes and no mark; None for a binary file."""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data).replace("\r", "\n")
        except UnicodeDecodeError:
            continue
        if text and (text.isascii() or "\n" in text) and all(c.isprintable() or c in SPACES for c in text):
            return encoding
    return None


def _way_out(data: bytes, command: Callable[[str], str]) -> str:
    """Return the command that reads a file that is not UTF-8, if its encoding can be told."""
    high, valid = (len(d.translate(None, ASCII)) for d in (data, data.decode(errors="ignore").encode()))
    if 2 * valid > high:
        return "most of the file is UTF-8: correct this line"
    letters = sum(map(data.count, map(str.encode, ascii_letters)))
    if high > letters:  # western Europe has more plain letters than accented ones
        return f"name its encoding, for example: {command('cp1251')} (Cyrillic), or shift_jis, gb18030, big5"
    if _is_likely(data, "cp1252"):
        return f"it is likely cp1252; read it with: {command('cp1252')}"
    others = [encoding for encoding in ("iso8859_2", "cp1250", "cp850", "mac_roman") if _is_likely(data, encoding)]
    perhaps = f", perhaps {' or '.join(others)}" if others else ""
    return f"it is damaged or in another encoding{perhaps}: try, for example: {command((others or ['cp1252'])[0])}"


def _is_likely(data: bytes, encoding: str) -> bool:
    """Return True if bytes in an encoding are text that looks right."""
    try:
        return not UNLIKELY.search(data.decode(encoding))
    except UnicodeDecodeError:
        return False
