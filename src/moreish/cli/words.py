"""moreish words"""

from typing import Annotated

from cyclopts import Parameter

from ..corpus import Corpus, bundled, read_words
from ..corpus.describe import describe
from .terminal import print_json, print_table


def words(file: str | None = None, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Describe a list of words: how many, which characters, how long, what is odd.

    Parameters
    ----------
    file
        Word list, UTF-8, one word a line; - reads standard input. Without it, the bundled names.
    json
        Print JSON.
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
