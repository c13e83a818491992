"""Packed files: gzip, xz, bzip2, and zip with one file in it, unpacked in blocks while they are read."""

import bz2
import gzip
import io
import lzma
import shlex
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from ..errors import InputError
from ..files import STANDARD_INPUT
from .formats import argument

BLOCK_SIZE = 1 << 18  # bytes processed at a time
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, ValueError, OverflowError)


def unpacked(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield a file in blocks; one that is packed, as its first bytes tell, is unpacked. Errors call it `name`.

    Raises InputError for an archive that is damaged, or does not hold exactly one file.
    """
    source: Any = file if hasattr(file, "peek") else io.BufferedReader(file)  # type: ignore[type-var]
    start = source.peek(16)[:16]
    for magic, (kind, opened) in KINDS.items():
        if start.startswith(magic):
            try:
                yield from _blocks(opened(source))
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
            except DAMAGE as error:
                problem = " ".join(str(error).split()) or type(error).__name__
                raise InputError(f"{name}: this {kind} file cannot be unpacked ({problem}); make it again") from None
            return
    if packing(start) == "zstd":
        raise InputError(
            f"{name}: this is packed by zstd; read it with: zstd -dc "
            f"{'FILE' if name == STANDARD_INPUT else shlex.quote(argument(name))} | moreish train -"
        )
    yield from _blocks(source)


def packing(start: bytes) -> str | None:
    """Return how a file that begins with some bytes is packed, a key of UNPACKERS; None if it is not."""
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    return next((kind for magic, (kind, _) in KINDS.items() if start.startswith(magic)), None)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_SIZE):
        yield block


def _zip_member(file: IO[bytes]) -> IO[bytes]:
    """Open the only file in a zip archive."""
    archive = zipfile.ZipFile(file if file.seekable() else io.BytesIO(file.read()))
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise InputError("this is an Office document; save the list as CSV, and read that")
    if not names:
        raise InputError("this zip archive holds no file; make it again with the list in it")
    if len(names) > 1:
        shown = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
        raise InputError(f"this zip archive holds {len(names)} files ({shown}): unpack it, and read one of them")
    return archive.open(names[0])


KINDS: dict[bytes, tuple[str, Callable[[Any], IO[bytes]]]] = {
    b"\x1f\x8b": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),  # type: ignore[dict-item]
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),  # type: ignore[dict-item]
    **{b"BZh%d1AY&SY" % level: ("bzip2", bz2.BZ2File) for level in range(1, 10)},  # type: ignore[dict-item]
    b"PK\x03\x04": ("zip", _zip_member),
    b"PK\x05\x06": ("zip", _zip_member),
}
UNPACKERS = {
    "gzip": "zcat FILE",
    "xz": "xzcat FILE",
    "bzip2": "bzcat FILE",
    "zip": "unzip -p FILE",
    "zstd": "zstdcat FILE",
}
