"""moreish words"""

from ..corpus import Corpus, bundled, read_words
from ..corpus.describe import describe
from .terminal import print_json, print_table
from .values import Flag


def words(file: str | None = None, /, *, json: Flag = False) -> None:
    """`moreish words`: its text stands in VERBS.

    Parameters
    ----------
    file
        Word list, UTF-8, one word a line; - reads standard input. Without it, the bundled names.
    json
        Print JSON: {"words": ..., "distinct": ..., "repeats": ..., "parts": {...}, "tokens": {...}, "in_train": {...},
        "alphabet": ..., "length": {"min", "max", "mean"}, "odd": [...]}.
    """
    found = describe(Corpus(bundled() if file is None else read_words(file)))
    if json:
        print_json(found)
        return
    rows = [
        ("words", f"{found['words']:,}"),
        ("distinct", f"{found['distinct']:,} ({found['repeats']:,} repeats)"),
        *((f"{part} words", f"{n:,} ({found['tokens'][part]:,} tokens)") for part, n in found["parts"].items()),
        *((f"{part} words in train too", f"{share:.1%}") for part, share in found["in_train"].items()),
        ("alphabet", f"{len(found['alphabet'])} characters: {found['alphabet']}"),
        ("length", "{min} to {max} characters, mean {mean:.1f}".format(**found["length"])),
    ]
    print_table(["", ""], rows)
    for oddity in found["odd"]:
        print(f"odd: {oddity}")
