"""Random files through the reader of word lists, and random words from Python: words, or one clear line.

Files are lists of all formats, damaged; noise in many encodings; long words and lines; large alphabets; and what is no
regular file: folders, pipes, devices and links. Words from Python hold lone surrogates, NUL and marks of direction.
"""

import contextlib
import gzip
import os
import random
import threading
from pathlib import Path

from harness import main

import moreish

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
LONGEST = 100_000


def text(r: random.Random) -> str:
    """Return a list with random pieces, or a very long word or line, or a large alphabet."""
    match r.randrange(12):
        case 0:
            return "\n".join(["x" * r.randint(1, LONGEST)] * r.randint(1, 3) + ["ab", "ba"])
        case 1:
            return "\n".join(chr(c) + "a" for c in range(0x4E00, 0x4E00 + r.randint(1, 20_000)))
        case 2:
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
    kind = r.randrange(6)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(path)
    elif kind == 2:
        os.mkfifo(path)
        written = data(r)

        def write() -> None:
            with contextlib.suppress(OSError):  # the reader has refused it and gone
                path.write_bytes(written)

        threading.Thread(target=write, daemon=True).start()
    elif kind == 3:
        return Path(r.choice(["/dev/null", "/dev/full", "/proc/self/mem", "/proc/self/status", "/"]))
    elif kind == 4:
        path.symlink_to("/dev/null")
    return path


def from_python(r: random.Random) -> str:
    """Make a corpus of strange words, and train on it."""
    words = ["".join(r.choices(STRANGE, k=r.randint(0, 5))) for _ in range(r.randint(0, 12))]
    run = moreish.train(words, r.choice(["bigram-counts", "ngram"]))
    drawn = run.model.sample(3, seed=r.randrange(100))
    assert all(set(word) <= set(run.corpus.vocab.characters) for word in drawn)
    return "trained"


def one(r: random.Random, folder: Path) -> str:
    """Read a random list with random options."""
    if r.random() < 0.1:
        return from_python(r)
    if r.random() < 0.1:
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


if __name__ == "__main__":
    main("lists", one, tries=100_000)
