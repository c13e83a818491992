"""Describe a list of words: number, characters, lengths and issues.

Issues are repeats, capital letters, digits, spaces inside, invisible and rare characters, mixed scripts and very long
lines. --clean OUT writes a cleaned list and reports the changes. Words that can be corrected are changed, and
others are dropped, unless more than a tenth of the words have the issue. Repeats are always dropped. The weights and
labels of a table are described too; a cleaned list has only the words.

Examples:
  moreish words places
  moreish words people.csv --column name --labels country
  moreish words mine.txt --clean cleaned.txt --keep case,spaces
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..corpus import BUNDLED, CHECKS, WordList, words_of
from ..corpus import clean as clean_words
from ..corpus.describe import describe
from ..errors import InputError, unknown
from ..files import write_atomically
from .fields import Flat, ListArguments, ListName, given_options
from .terminal import announce_work, print_json, print_table, print_text
from .values import Flag

KEEP = Parameter(
    help=f"Issues that --clean does not change, separated by commas: {', '.join(CHECKS)}.", show_default=False
)
MAX_ALPHABET_SHOWN = 100  # characters
MAX_LABELS_SHOWN = 10


def words(
    file: ListName | None = None,
    /,
    *,
    clean: Path | None = None,
    keep: Annotated[str, KEEP] = "",
    json: Flag = False,
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish words`.

    Parameters
    ----------
    file
        A word list: text with one word per line, CSV, JSON and others, compressed or not; - for standard input; a
        bundled list: names, dinosaurs, minerals or places; or a list of `moreish download` [default: names].
    clean
        Write a cleaned list to this new file, and report the changes.
    json
        Print JSON: {"words": ..., "distinct": ..., "repeats": ..., "alphabet": ..., "length": {"min", "max", "mean"},
        "weights": sum or null, "labels": {label: words, ...}, "issues": [{"kind", "count", "first", "message"}, ...],
        "parts": {...}, "tokens": {...}, "in_train": {...}}; with --clean also "cleaned": {"path", "words", "changes":
        [{"kind", "count", "first", "done", "message"}, ...]}. "odd" is an older name of "issues".
    """
    kept = [name.strip() for name in keep.split(",") if name.strip()]
    for name in kept:
        if name not in CHECKS:
            raise unknown("--keep", name, CHECKS)
    if kept and clean is None:
        raise InputError("--keep names issues that --clean does not change: give it with --clean OUT")
    announce_work()
    listed = words_of(file, **given_options(list_options))
    found = describe(listed)
    if clean is not None:
        found["cleaned"] = write_cleaned(listed, clean, kept)
    if json:
        print_json(found)
        return
    rows = [
        ("words", f"{found['words']:,}"),
        ("distinct", f"{found['distinct']:,} ({found['repeats']:,} repeat{'s' * (found['repeats'] != 1)})"),
        *((f"{part} words", f"{n:,} ({found['tokens'][part]:,} tokens)") for part, n in found["parts"].items()),
        *((f"{part} words in train too", f"{share:.1%}") for part, share in found["in_train"].items()),
        ("alphabet", f"{len(found['alphabet']):,} characters: {_shown(found['alphabet'])}"),
        *([] if found["weights"] is None else [("sum of weights", f"{found['weights']:,.10g}")]),
        *([("labels", _counted(found["labels"]))] if found["labels"] else []),
        ("length", "{min} to {max} characters, mean {mean:.1f}".format(**found["length"])),
    ]
    print_table(["", ""], rows)
    for issue in found["issues"]:
        print_text(f"issue: {issue['message']}")
    if clean is not None:
        for change in found["cleaned"]["changes"]:
            print_text(f"changed: {change['message']}" if change["done"] else f"unchanged: {change['message']}")
        alone = ", without their weights and labels" if listed.has_columns else ""
        print_text(f"wrote {clean}: {found['cleaned']['words']:,} of the {found['words']:,} words{alone}")
    elif found["issues"] and file not in (None, *BUNDLED):
        print_text("(--clean OUT writes a cleaned list)")


def write_cleaned(listed: WordList, out: Path, keep: list[str]) -> dict[str, Any]:
    """Write the cleaned words to a new file; return a summary for JSON."""
    if out.exists():
        raise InputError(f"{out} already exists: choose another file (--clean)")
    cleaned, changes = clean_words(listed, keep)
    if not cleaned:
        raise InputError("no word of this list would be left: name the issues to ignore with --keep")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; create it, or choose another (--clean)")
    write_atomically(out, cleaned.pieces())
    return {
        "path": str(out),
        "words": len(cleaned),
        "changes": [{**asdict(change), "message": change.message} for change in changes],
    }


def _shown(alphabet: str) -> str:
    return alphabet if len(alphabet) <= MAX_ALPHABET_SHOWN else f"{alphabet[:MAX_ALPHABET_SHOWN]} ..."


def _counted(labels: dict[str, int]) -> str:
    """Return the labels with their numbers of words, the most frequent first."""
    ordered = sorted(labels.items(), key=lambda item: -item[1])
    more = f", ... ({len(ordered):,} in all)" if len(ordered) > MAX_LABELS_SHOWN else ""
    return ", ".join(f"{label} {n:,}" for label, n in ordered[:MAX_LABELS_SHOWN]) + more
