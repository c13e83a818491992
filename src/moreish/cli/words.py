"""Describe a list of words: how many, which characters, how long, what is odd.

Odd are repeats, capital letters, digits, spaces inside, invisible and rare characters, mixed scripts and very long
lines. --clean OUT writes a cleaned list and says what it changed: words are mended where they can be, else dropped, but
not for what more than a tenth of them have.

Examples:
  moreish words places
  moreish words mine.txt --clean cleaned.txt --keep case,spaces
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..corpus import BUNDLED, KINDS, WordList, words_of
from ..corpus import clean as clean_words
from ..corpus.describe import describe
from ..errors import InputError, unknown
from ..files import write_atomically
from .terminal import print_json, print_table
from .values import Flag

SHOWN = 100  # characters of an alphabet


def words(
    file: str | None = None,
    /,
    *,
    clean: Path | None = None,
    keep: Annotated[str, Parameter(help=f"Kinds of oddity that --clean leaves: some of {','.join(KINDS)}.")] = "",
    json: Flag = False,
) -> None:
    """Run `moreish words`.

    Parameters
    ----------
    file
        Word list, UTF-8, one word a line; - reads standard input; or the name of a bundled list. Without it, the
        bundled names.
    clean
        Write a cleaned list into this new file, and say what was changed.
    json
        Print JSON: {"words": ..., "distinct": ..., "repeats": ..., "alphabet": ..., "length": {"min", "max", "mean"},
        "odd": [{"kind", "count", "first", "message"}, ...], "parts": {...}, "tokens": {...}, "in_train": {...}}, and
        with --clean "cleaned": {"path", "words", "changes": [{"kind", "count", "first", "done", "message"}, ...]}.
    """
    kept = [kind.strip() for kind in keep.split(",") if kind.strip()]
    for kind in kept:
        if kind not in KINDS:
            raise unknown("--keep", kind, KINDS)
    if kept and clean is None:
        raise InputError("--keep says what --clean is to leave: give it with --clean OUT")
    listed = words_of(file)
    found = describe(listed)
    if clean is not None:
        found["cleaned"] = write_cleaned(listed, clean, kept)
    if json:
        print_json(found)
        return
    rows = [
        ("words", f"{found['words']:,}"),
        ("distinct", f"{found['distinct']:,} ({found['repeats']:,} repeats)"),
        *((f"{part} words", f"{n:,} ({found['tokens'][part]:,} tokens)") for part, n in found["parts"].items()),
        *((f"{part} words in train too", f"{share:.1%}") for part, share in found["in_train"].items()),
        ("alphabet", f"{len(found['alphabet']):,} characters: {_shown(found['alphabet'])}"),
        ("length", "{min} to {max} characters, mean {mean:.1f}".format(**found["length"])),
    ]
    print_table(["", ""], rows)
    for oddity in found["odd"]:
        print(f"odd: {oddity['message']}")
    if clean is not None:
        for change in found["cleaned"]["changes"]:
            print(f"changed: {change['message']}" if change["done"] else f"left: {change['message']}")
        print(f"wrote {clean}: {found['cleaned']['words']:,} of the {found['words']:,} words")
    elif found["odd"] and file not in (None, *BUNDLED):
        print("(for a cleaned list: --clean OUT)")


def write_cleaned(listed: WordList, out: Path, keep: list[str]) -> dict[str, Any]:
    """Write the cleaned words into a file that is not there yet; what was done."""
    if out.exists():
        raise InputError(f"{out} is there already: choose another file (--clean)")
    cleaned, changes = clean_words(listed, keep)
    if not cleaned:
        raise InputError("nothing would be left of this list: say with --keep what is not odd about it")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; make it, or choose another (--clean)")
    write_atomically(out, cleaned.pieces())
    return {
        "path": str(out),
        "words": len(cleaned),
        "changes": [{**asdict(change), "message": change.message} for change in changes],
    }


def _shown(alphabet: str) -> str:
    return alphabet if len(alphabet) <= SHOWN else f"{alphabet[:SHOWN]} ..."
