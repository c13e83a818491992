r"""Score how likely words are, and tell which could belong to the list.

Give words as arguments, or - to read any number of them from standard input, one per line. Each word gives one line of
output. On a terminal, it is followed by the surprise of every character in nats; ? follows that of a character that the
model does not know. Elsewhere, the line contains the word, nats per token, bits per token, percentile, and true or
false, separated by tabs. Inside a word, a tab is written \t, a backslash \\ and an escape character \x1b.

The percentile compares the word with val words of similar length, which the model has not seen: it is the percentage of
them that are at most as likely, by nats per token. A word that is among the least likely of them is unlikely (false),
others are likely (true): the chance that a new word like those of the list is called unlikely is at most
--false-positive-rate. If the list is too short for that, the field is empty.

With --column, standard input is a table, which is read as `moreish train` reads it: compressed or not, with tabs,
semicolons, bars or commas, with or without a header. Each row that is not blank is printed as it stands, in UTF-8, with
its scores as further columns: nll, bits, percentile and likely.

A character that the model does not know costs 13.92 nats, as if every Unicode code point were equally likely. What
follows it is scored like the start of a word. Leading and trailing whitespace is removed. Lines of more than a million
bytes are refused. In lines of words, bytes that are not UTF-8 become U+FFFD; a table with such bytes is refused, unless
--encoding names its encoding.

Examples:
  moreish score runs/names-mlp john xqzjk
  moreish score runs/names-mlp - --json < words.txt > scores.jsonl
  moreish score runs/names-mlp - --column name < people.csv > scored.csv
  moreish score runs/names-mlp - < words.txt | awk -F'\t' '$5 == "false"'
"""

import json as json_module
import shlex
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from ..analysis.scoring import Scorer, Scores
from ..engine.threads import in_order
from ..errors import InputError
from ..files import STANDARD_INPUT, standard_input
from ..training.loading import load
from .lines import UNPRINTABLE, escape, escaped, given_words, read_blocks, words_of
from .table import Table
from .terminal import announce_work, on_terminal, print_data, say
from .tsv import PlainLines
from .values import Flag

if TYPE_CHECKING:
    from rich.text import Text

JSON_HEAD = '{"word": %s, "nll": %.4f, "bits": %.4f, "percentile": %.2f, "likely": %s, "chars": ['
JSON_TAIL = '%.4f], "unknown": [%s]}\n'
ADDED = ("nll", "bits", "percentile", "likely")  # columns
VERDICT_WIDTH = len("  13.92 nats  percentile 100.0  unlikely")
# Colours of surprises, each up to a multiple of the surprise of a character drawn uniformly from the alphabet.
SURPRISE_COLOURS = ((0.5, "green"), (1.0, "yellow"), (2.0, "red"), (float("inf"), "bold red"))


def score(
    run: Path,
    /,
    *words: str,
    false_positive_rate: float = 0.01,
    alarm: Annotated[float | None, Parameter(show=False)] = None,
    label: str | None = None,
    column: str | None = None,
    encoding: str | None = None,
    json: Flag = False,
) -> None:
    """Run `moreish score`.

    Parameters
    ----------
    run
        Folder of a run.
    words
        Words; or a single -, to read words from standard input, one per line.
    false_positive_rate
        Fraction of words like those of the list that may be called unlikely.
    alarm
        Old name of --false-positive-rate.
    label
        Score words as words with this label, for a run trained with --labels [default: the sum over labels].
    column
        Column of a table on standard input to score: its name in the header, or its number from 1.
    encoding
        Encoding of the table, such as cp1252, if it is not UTF-8.
    json
        Print a JSON object for each word, on one line: {"word": ..., "nll": nats per token, "bits": bits per token,
        "percentile": ..., "likely": true | false | null, "chars": [nats of each character and of the end], "unknown":
        [positions of characters that the model does not know]}. With --column also "row", the row of the table.
    """
    given = given_words(words, "score")
    if column is not None and given is not None:
        raise InputError("--column is for a table on standard input: give - in place of words")
    if encoding is not None and column is None:
        raise InputError("--encoding is for a table on standard input: give --column")
    announce_work()
    scorer = Scorer(load(run), false_positive_rate if alarm is None else alarm, label=label)
    if scorer.reason:
        say(f"moreish: {scorer.reason}")
    if given is not None:
        for scores in scorer.batches(given):
            _show(scores, scorer, json)
        return
    from .progress import counting

    with counting("words", hidden=on_terminal()) as count:
        if column is not None:
            command = shlex.join(["moreish", "score", str(run), "-", "--column", column])
            for n in score_table(Table(standard_input(), column, encoding, command), scorer, json):
                count(n)
            return
        blocks = read_blocks(standard_input())
        if on_terminal() and not json:
            for scores in chain.from_iterable(scorer.batches(words_of(block)) for block in blocks):
                _show(scores, scorer, json)
            return
        plain = None if json else PlainLines(scorer)
        _ = scorer.bands  # before there are several threads
        for lines, n in in_order(partial(scored_lines, block, scorer, plain) for block in blocks):
            print_data(lines)
            count(n)


def scored_lines(block: bytes, scorer: Scorer, plain: PlainLines | None) -> tuple[str, int]:
    """Score lines, each with a line feed at its end; return them as JSON, or with `plain` as TSV, and their number."""
    if plain is not None and (rows := plain.rows(block)) is not None:
        return rows.decode("ascii"), block.count(b"\n")
    form = json_lines if plain is None else tsv_lines
    return "".join(chain.from_iterable(map(form, scorer.batches(words_of(block))))), block.count(b"\n")


def score_table(table: Table, scorer: Scorer, json: bool) -> Iterator[int]:
    """Print the rows of a table with their scores; yield numbers of rows done."""
    if table.names is not None and not json:
        if taken := next((name for name in table.names if name in ADDED), None):
            raise InputError(f"{STANDARD_INPUT}: the table has a column {taken} already: rename it, or leave it out")
        print_data(table.line(table.head, ADDED))
    elif not json:
        print_data(table.head)
    for records in table.batches():
        left = iter(records)
        for scores in scorer.batches(table.word(row) for _, row in records):
            scored = islice(left, len(scores))
            if json:
                objects = (dict(zip(table.names, row, strict=True)) if table.names else row for _, row in scored)
                lines = (
                    f'{line[:-2]}, "row": {json_module.dumps(row)}}}\n'
                    for line, row in zip(json_lines(scores), objects, strict=True)
                )
            else:
                lines = (
                    table.line(text, line[:-1].split("\t")[1:])
                    for line, (text, _) in zip(tsv_lines(scores), scored, strict=True)
                )
            print_data("".join(lines))
            yield len(scores)


def _show(scores: Scores, scorer: Scorer, json: bool) -> None:
    """Print scores as JSON, for a terminal, or separated by tabs."""
    if json:
        print_data("".join(json_lines(scores)))
    elif on_terminal():
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False)
        for line in view(scores, np.log(len(scorer.model.vocab)), shutil.get_terminal_size().columns):
            console.print(line)
    else:
        print_data("".join(tsv_lines(scores)))


def tsv_lines(scores: Scores) -> Iterator[str]:
    """Format each score as a line: word, nll, bits, percentile and verdict, separated by tabs."""
    columns = (scores.nll, scores.bits, scores.percentile, _true_or_false(scores, ""))
    rows = zip(escaped(scores.words), *(column.tolist() for column in columns), strict=True)
    return starmap("{}\t{:.4f}\t{:.4f}\t{:.2f}\t{}\n".format, rows)


def json_lines(scores: Scores) -> Iterator[str]:
    """Format each score as a line with a JSON object."""
    quoted = map(json_module.dumps, scores.words)
    columns = (scores.nll, scores.bits, scores.percentile, _true_or_false(scores, "null"), scores.ends)
    nats, begin, unknown = scores.per_char.tolist(), 0, _unknown_places(scores)
    for i, (*row, end) in enumerate(zip(quoted, *(column.tolist() for column in columns), strict=True)):
        line = JSON_HEAD + "%.4f, " * (end - begin - 1) + JSON_TAIL  # one format operation per line, for speed
        yield line % (*row, *nats[begin:end], unknown.get(i, ""))
        begin = end


def _true_or_false(scores: Scores, neither: str) -> np.ndarray:
    """Texts of the verdicts, (W,); neither is that of no verdict."""
    without = scores.likely.dtype != bool
    return np.full(len(scores), neither) if without else np.where(scores.likely, "true", "false")


def _unknown_places(scores: Scores) -> dict[int, str]:
    """Positions of unknown characters, separated by commas, by the index of the word."""
    places = np.flatnonzero(scores.unknown)
    numbers = np.searchsorted(scores.ends, places, "right")
    begins = np.concatenate([[0], scores.ends])
    found: dict[int, list[str]] = {}
    for number, place in zip(numbers.tolist(), (places - begins[numbers]).tolist(), strict=True):
        found.setdefault(number, []).append(str(place))
    return {number: ", ".join(places) for number, places in found.items()}


def view(scores: Scores, alphabet: float, columns: int) -> Iterator["Text"]:
    """Format scores for a terminal, two texts per word: nats, percentile and verdict; and nats by character.

    alphabet    the surprise of a character drawn uniformly from the alphabet, to which colours are relative
    columns     width of the terminal; a character is kept on one line with its surprise
    """
    from rich.cells import cell_len
    from rich.text import Text

    width = min(max(map(cell_len, escaped(scores.words)), default=0), max(columns - VERDICT_WIDTH, 0))
    for score in scores:
        word, surprises, column = Text(), Text(), 0
        names = [*(UNPRINTABLE.sub(escape, c) for c in score.word), "end"]
        for place, (name, nats) in enumerate(zip(names, score.per_char, strict=True)):
            style = next(style for limit, style in SURPRISE_COLOURS if nats <= limit * alphabet)
            if place < len(score.word):
                word.append(name, style)
            shown = Text(f"  {'␣' if name.isspace() else name} ").append(f"{nats:.1f}", style)
            shown.append("?" if place in score.unknown else "")
            column += shown.cell_len
            if column > columns:
                surprises.append("\n")
                column = shown.cell_len
            surprises.append_text(shown)
        word.append("\n" + " " * width if word.cell_len > width else " " * (width - word.cell_len))
        word.append(f"  {score.nll:5.2f} nats  percentile {score.percentile:5.1f}  ")
        if score.likely is not None:
            word.append(*(("likely", "green") if score.likely else ("unlikely", "red")))
        yield word
        yield surprises
