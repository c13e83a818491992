r"""Say how surprising words are, and whether they pass for words of the list.

Takes words as arguments, or - reads any number from standard input, one a line; each gives a line of output. On a
terminal every character is shown with its surprise in nats. Elsewhere a line is the word, nats a token, bits a token,
percentile, true or false, with tabs between; inside a word a tab is \t, a backslash \\, a control character \x1b.

The percentile is the share of the train words of about the same length that are less likely, by nats a token. A word is
likely (true) or not: of words like those of the list a share of at most --alarm is called unlikely, by calibration on
val.

A character that the model does not know costs 13.92 nats, as if any code point of Unicode stood there with equal
chance; what follows it is scored as at the beginning of a word. Space around a word is taken off; what is not UTF-8
becomes U+FFFD. A line of more than a million bytes is refused.

Examples:
  moreish score runs/names-mlp john xqzjk
  moreish score runs/names-mlp - --json < words.txt > scores.jsonl
  moreish score runs/names-mlp - --alarm 0.05 < words.txt | awk -F'\t' '$5 == "false"'
"""

import codecs
import itertools
import json as json_module
import os
import re
import sys
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.scoring import Scorer, Scores
from ..errors import InputError
from ..files import STANDARD_INPUT
from ..training.run import load
from .terminal import announce_work
from .values import Flag

if TYPE_CHECKING:
    from rich.text import Text

BLOCK = 1 << 18  # bytes that are read at a time
LONGEST = 1_000_000  # bytes of a line
JSON_HEAD = '{"word": %s, "nll": %.4f, "bits": %.4f, "percentile": %.2f, "likely": %s, "chars": ['
JSON_TAIL = '%.4f], "unknown": [%s]}\n'
# What would break a line apart, or move the cursor.
SPECIAL = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Colours of surprises, each up to so many times that of a character drawn from the alphabet with equal chance.
COLOURS = ((0.5, "green"), (1.0, "yellow"), (2.0, "red"), (float("inf"), "bold red"))


def score(run: Path, /, *words: str, alarm: float = 0.01, json: Flag = False) -> None:
    """Run `moreish score`.

    Parameters
    ----------
    run
        Folder of a run.
    words
        Words; or - alone, for words from standard input, one a line.
    alarm
        Share of words like those of the list that may be called unlikely.
    json
        Print a JSON line for each word: {"word": ..., "nll": nats a token, "bits": bits a token, "percentile": ...,
        "likely": true | false, "chars": [nats of each character and of the end], "unknown": [places of characters that
        the model does not know]}.
    """
    if not words:
        raise InputError("no words: give some, or - to read them from standard input")
    from_input = words in (("-",), (STANDARD_INPUT,))
    given = [] if from_input else [_cleaned(os.fsencode(word)) for word in words]
    if not all(given):
        raise InputError("an empty word has no score")
    announce_work()
    scorer = Scorer(load(run), alarm)
    if not from_input:
        for scores in scorer.batches(given):
            _show(scores, scorer, json)
        return
    from .progress import counting

    with counting("words", hidden=sys.stdout.isatty()) as count:
        for lines in read_lines(sys.stdin.buffer):  # type: ignore[arg-type]
            for scores in scorer.batches(lines):
                _show(scores, scorer, json)
                count(len(scores))


def read_lines(stream: BufferedIOBase) -> Iterator[list[str]]:
    """The lines of a stream as words, as many at a time as have come.

    Raises InputError for a line of more than LONGEST bytes.
    """
    number, rest = 1, b""
    while data := stream.read1(BLOCK):
        rest += data
        whole, line_break, after = rest.rpartition(b"\n")
        if len(rest) > LONGEST:
            for i, line in enumerate(rest.split(b"\n")):
                if len(line) > LONGEST:
                    raise InputError(f"{STANDARD_INPUT}:{number + i}: a line of more than {LONGEST:,} bytes is no word")
        if line_break:
            lines = whole.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").split(b"\n")
            yield [_cleaned(line) for line in lines]
            number += len(lines)
            rest = after
    if rest:
        yield [_cleaned(rest.removeprefix(codecs.BOM_UTF8 if number == 1 else b""))]


def _cleaned(word: bytes) -> str:
    return word.decode("utf-8", "replace").strip()


def _show(scores: Scores, scorer: Scorer, json: bool) -> None:
    """Print scores in the form that is asked for."""
    if json:
        sys.stdout.write("".join(json_lines(scores)))
    elif sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False)
        for line in view(scores, np.log(len(scorer.model.vocab))):
            console.print(line, soft_wrap=True)
    else:
        sys.stdout.write("".join(tsv_lines(scores)))
    sys.stdout.flush()


def tsv_lines(scores: Scores) -> Iterator[str]:
    """A line each: word, nll, bits, percentile and verdict between tabs."""
    columns = (scores.nll, scores.bits, scores.percentile, _true_or_false(scores))
    rows = zip(_escaped(scores.words), *(column.tolist() for column in columns), strict=True)
    return itertools.starmap("{}\t{:.4f}\t{:.4f}\t{:.2f}\t{}\n".format, rows)


def json_lines(scores: Scores) -> Iterator[str]:
    """A JSON object each, on a line."""
    quoted = map(json_module.JSONEncoder(ensure_ascii=False).encode, scores.words)
    columns = (scores.nll, scores.bits, scores.percentile, _true_or_false(scores), scores.ends)
    nats, begin, unknown = scores.per_char.tolist(), 0, _unknown_places(scores)
    for i, (*row, end) in enumerate(zip(quoted, *(column.tolist() for column in columns), strict=True)):
        line = JSON_HEAD + "%.4f, " * (end - begin - 1) + JSON_TAIL  # formatted at once: that is what makes it fast
        yield line % (*row, *nats[begin:end], unknown.get(i, ""))
        begin = end


def _true_or_false(scores: Scores) -> np.ndarray:
    return np.where(scores.likely, "true", "false")


def _unknown_places(scores: Scores) -> dict[int, str]:
    """For the number of each word with unknown characters their places in it, with commas between."""
    places = np.flatnonzero(scores.unknown)
    numbers = np.searchsorted(scores.ends, places, "right")
    begins = np.concatenate([[0], scores.ends])
    found: dict[int, list[str]] = {}
    for number, place in zip(numbers.tolist(), (places - begins[numbers]).tolist(), strict=True):
        found.setdefault(number, []).append(str(place))
    return {number: ", ".join(places) for number, places in found.items()}


def _escaped(words: list[str]) -> list[str]:
    """The words with a backslash and a letter or number for each character that would break a line apart."""
    if not SPECIAL.search("".join(words)):
        return words
    return [SPECIAL.sub(_escape, word) for word in words]


def _escape(found: re.Match) -> str:
    character = found[0]
    return ESCAPES.get(character) or (
        f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{ord(character):04x}"
    )


def view(scores: Scores, alphabet: float) -> Iterator["Text"]:
    """Scores for a person, two lines a word: nats, bits, percentile and verdict; every character with its nats.

    alphabet is the surprise of a character drawn from the whole alphabet with equal chance, beside which colours stand.
    """
    from rich.cells import cell_len
    from rich.text import Text

    width = max(map(cell_len, _escaped(scores.words)), default=0)
    for score in scores:
        word, surprises = Text(), Text()
        names = [*(SPECIAL.sub(_escape, c) for c in score.word), "end"]
        for place, (name, nats) in enumerate(zip(names, score.per_char, strict=True)):
            style = next(style for limit, style in COLOURS if nats <= limit * alphabet)
            if place < len(score.word):
                word.append(name, style)
            surprises.append(f"  {'␣' if name.isspace() else name} ").append(f"{nats:.1f}", style)
            surprises.append("?" if place in score.unknown else "")
        word.append(" " * (width - word.cell_len))
        word.append(f"  {score.nll:5.2f} nats  {score.bits:5.2f} bits  percentile {score.percentile:5.1f}  ")
        yield word.append("likely", "green") if score.likely else word.append("unlikely", "red")
        yield surprises
