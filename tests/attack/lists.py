"""Random files through the reader of word lists, and random words from Python: words, or one clear line.

Files are lists of all formats, damaged; noise in many encodings; words of 100,000 characters, alphabets of 60,000 and
lines that never end; and what is no regular file: folders, pipes, devices and links. Words from Python hold lone
surrogates, NUL and marks of direction. Reading takes at most TIMES the memory of the file.
"""

import contextlib
import gzip
import itertools
import logging
import os
import random
import threading
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

from harness import main

import moreish
from moreish.corpus import mapped

LISTS = (
    "Anna\nBen\nClara\nÉmile\nSaint-Denis\nWashington, D.C.\n",
    "Anna,F,2001\nBen,M,1001\nClara,F,667\nDaria,F,501\n",
    'name;sex;count\nAnna;F;12\n"Ben ""B""";M;9\nClara;F;0\n',
    '[{"name": "Anna", "n": 3}, {"name": "Ben", "n": 1.5}]',
    '{"name": "Anna", "kind": "cat"}\n{"name": "Ben", "kind": "dog"}\n',
    "      3 anna\n      2 ben\n      1 clara maria\n",
    "3\nanna/MS\nben\nand\\/or/S po:conj\n",
    "𐐀𐐁\nשלום\nمرحبا\n日本\na\u0301b\n👩‍🚀\n",
)
PIECES = (
    *"\n\r\t,;|\"'[]{}:>#/\\ 07-.e\0\ufeffé日\u202e\u200f\x1b\x9b",
    *("\r\n", '""', "null", "NaN", "1e999", "\\ud800", "=1+1", "<script>", "\ud7ff", "\U0010ffff"),
    *("[" * 3000, "9" * 5000, "{" * 3000),
)
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1")
SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".dic", ".gz", ".xz", ".zip", "", ".npy")
STRANGE = [*"ab\0\n\r\x1b\u202e\u200f\u0301\ud800\udfff\ufffe日 ", "a" * 1000, "\U0010ffff", ""]
LONGEST = 100_000  # characters of a word
ALPHABET = [chr(code) for code in (*range(0x3400, 0xD000), *range(0x20000, 0x26000))]  # 64,512 ideographs and syllables
ENDLESS = 1 << 24  # bytes after which a line is refused here; the limit outside is 256 MB
TIMES = 70  # bytes of memory for a byte of the file, if all its words are of one character; else about 40


def text(r: random.Random) -> str:
    """Return a list with random pieces, or a very long word or line, or a large alphabet."""
    match r.randrange(100):
        case 0:
            return "\n".join(ALPHABET[: r.randint(1, len(ALPHABET))])
        case 1 | 2 | 3 | 4:
            return "\n".join(["x" * r.randint(1, LONGEST)] * r.randint(1, 3) + ["ab", "ba"])
        case kind if kind < 12:
            return "".join(chr(r.randrange(0xD800)) for _ in range(r.randint(0, 300)))
        case _:
            found = r.choice(LISTS) * r.choice([1, 1, 20])
            for _ in range(r.randint(0, 6)):
                at = r.randrange(len(found) + 1)
                found = found[:at] + r.choice(PIECES) + found[at + r.choice([0, 0, 1, 5]) :]
            return found


def data(r: random.Random) -> bytes:
    """Return the bytes of a list, perhaps packed, cut or with noise."""
    found = text(r).encode(r.choice(ENCODINGS), "replace")
    if r.random() < 0.1:
        found = gzip.compress(found, 1)
    if r.random() < 0.2 and found:
        at = r.randrange(len(found))
        found = found[:at] + (b"" if r.random() < 0.5 else r.randbytes(3) + found[at + 3 :])
    return r.randbytes(r.randint(0, 500)) if r.random() < 0.05 else found


def special(r: random.Random, folder: Path) -> Path:
    """Return a path that is no regular file."""
    path = folder / "list.txt"
    kind = r.randrange(7)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(path)
    elif kind == 2:
        write_into_pipe(path, [data(r)])
    elif kind == 6 and r.random() < 0.05:
        write_into_pipe(path, itertools.repeat(r.choice([b"a", b"\t", b"\0", b'"', b"[", b"\xff"]) * 65536))
    elif kind == 3:
        return Path(r.choice(["/dev/null", "/dev/full", "/proc/self/mem", "/proc/self/status", "/"]))
    elif kind == 4:
        path.symlink_to("/dev/null")
    return path


def write_into_pipe(path: Path, pieces: Iterable[bytes]) -> None:
    """Make a pipe, and write pieces into it until its reader has gone."""
    os.mkfifo(path)

    def write() -> None:
        while path.exists():  # the reader may refuse the options before it opens the pipe
            try:
                opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # which makes no file
            except OSError:  # nobody reads yet
                time.sleep(0.001)
                continue
            os.set_blocking(opened, True)
            with contextlib.suppress(OSError), os.fdopen(opened, "wb") as file:
                file.writelines(pieces)
            return

    threading.Thread(target=write, daemon=True).start()


def memory(r: random.Random, path: Path) -> str:
    """Read a larger file of many equal pieces, and measure what that takes."""
    pieces = "".join(
        r.choices([*LISTS, *PIECES, "a\n", "a,1\n", "\t\n", "{}\n", '"a",', "\U0010ffff\n"], k=r.randint(1, 3))
    )
    path.write_bytes((pieces * (1 + 200_000 // len(pieces))).encode("utf-8", "replace"))
    tracemalloc.start()
    try:
        with contextlib.suppress(moreish.MoreishError):
            moreish.read_words(path)
        peak, size = tracemalloc.get_traced_memory()[1], path.stat().st_size
    finally:
        tracemalloc.stop()
    assert peak < TIMES * size + (4 << 20), f"{peak / size:.0f} bytes for a byte of {pieces[:50]!r}"
    return "memory"


def from_python(r: random.Random) -> str:
    """Make a corpus of strange words, and train on it."""
    words = ["".join(r.choices(STRANGE, k=r.randint(0, 5))) for _ in range(r.randint(0, 12))]
    words += ["ab" * (LONGEST // 2)] if r.random() < 0.01 else []
    run = moreish.train(words, r.choice(["bigram-counts", "ngram"]))
    drawn = run.model.sample(3, seed=r.randrange(100))
    assert all(set(word) <= set(run.corpus.vocab.characters) for word in drawn)
    return "trained"


def one(r: random.Random, folder: Path) -> str:
    """Read a random list with random options."""
    kind = r.random()
    if kind < 0.001:
        return memory(r, folder / "list.txt")
    if kind < 0.02:
        return from_python(r)
    if kind < 0.1:
        path = special(r, folder)
    else:
        path = folder / f"list{r.choice(SUFFIXES)}"
        path.write_bytes(data(r))
    values = {
        "column": ["1", "2", "name", "0", "-1", "99", "nmae"],
        "weights": ["2", "n", "count"],
        "labels": ["2", "kind", "sex"],
        "format": ["text", "csv", "json", "jsonl", "what"],
        "encoding": ["utf-16", "latin-1", "nothing"],
    }
    options = {name: r.choice(values[name]) for name in r.sample(list(values), r.choice([0, 0, 0, 0, 1, 2]))}
    words = moreish.read_words(path, **options)
    assert len(words), "a list without words is refused"
    assert not any("\n" in word for word in words)
    return "words"


def prepare() -> None:
    """Let messages about lists go nowhere, and end lines earlier, so that many can be tried."""
    logging.getLogger("moreish").setLevel(logging.ERROR)
    mapped.MAX_IN_MEMORY = ENDLESS
    moreish.train(LISTS[0].split() * 3, "ngram")


if __name__ == "__main__":
    main("lists", one, tries=1_000_000, prepare=prepare)
