"""The command `moreish score`: its input, its output in each form, and what it refuses."""

import csv
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

import moreish
from moreish import InputError, Scorer
from moreish.cli import run
from moreish.cli.lines import LONGEST_LINE, read_lines


def command(monkeypatch, capsys, run_folder, *arguments: str, given: bytes = b"") -> str:
    """Return what `moreish score` prints for words on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert run(["score", str(run_folder), "--false-positive-rate", "0.1", *arguments]) == 0
    return capsys.readouterr().out


AWKWARD = b"\xef\xbb\xbfba\r\n\n \t \nc\\d\n\xff\xfebe\nb\tc\x1b\xc2\x85f\n\r\ncafe\xcc\x81\n fe \nend\rend"
READ = ["ba", "", "", "c\\d", "��be", "b\tc\x1b\x85f", "", "café", "fe", "end\rend"]
WRITTEN = ["ba", "", "", "c\\\\d", "��be", "b\\tc\\x1b\\x85f", "", "café", "fe", "end\\rend"]


def test_lines_of_input_are_lines_of_output(monkeypatch, capsys, saved_run):
    expected = list(Scorer(saved_run, 0.1).scores(READ))
    out = command(monkeypatch, capsys, saved_run.path, "-", given=AWKWARD)
    rows = [line.split("\t") for line in out.split("\n")[:-1]]
    assert [row[0] for row in rows] == WRITTEN
    for row, score in zip(rows, expected, strict=True):
        wanted = [f"{score.nll:.4f}", f"{score.bits:.4f}", f"{score.percentile:.2f}", str(score.likely).lower()]
        assert row[1:] == wanted
    for arguments in (("-", "--json"), ("--json", "-")):
        out = command(monkeypatch, capsys, saved_run.path, *arguments, given=AWKWARD)
        for line, score in zip(out.split("\n")[:-1], expected, strict=True):
            found: dict[str, Any] = json.loads(line)
            assert list(found) == ["word", "nll", "bits", "percentile", "likely", "chars", "unknown"]
            assert (found["word"], found["likely"], found["unknown"]) == (score.word, score.likely, score.unknown)
            assert found["nll"] == pytest.approx(score.nll, abs=1e-4)
            assert found["bits"] == pytest.approx(score.bits, abs=1e-4)
            assert found["percentile"] == pytest.approx(score.percentile, abs=1e-2)
            assert found["chars"] == pytest.approx(score.per_char, abs=1e-4)
    assert command(monkeypatch, capsys, saved_run.path, "-") == ""


class ChunkedStream(io.BytesIO):
    """A stream that arrives in small chunks."""

    def __init__(self, data: bytes, sizes: list[int]):
        super().__init__(data)
        self.sizes = sizes

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.sizes.pop() if self.sizes else 3)


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=40))
def test_words_do_not_depend_on_how_the_input_is_chunked(sizes):
    words = [word for some in read_lines(ChunkedStream(AWKWARD, sizes)) for word in some]
    assert [unicodedata.normalize("NFC", word) for word in words] == READ


def test_words_are_scored_as_they_arrive():
    """A program that sends one word at a time gets each score before it sends the next word."""
    assert list(read_lines(ChunkedStream(b"ab\ncd\nef", [6, 3]))) == [["ab"], ["cd"], ["ef"]]


def test_a_very_long_line_is_scored_and_a_longer_one_is_refused(monkeypatch, capsys, tmp_path):
    moreish.train(made_up_words(4000, seed=1), "ngram", out=tmp_path / "run")
    long = b"ba" * 50_000
    out = command(monkeypatch, capsys, tmp_path / "run", "-", given=b"ba\n" + long + b"\nfe\n")
    assert [len(line.split("\t")[0]) for line in out.split("\n")] == [2, len(long), 2, 0]
    list(read_lines(io.BytesIO(b"a" * LONGEST_LINE + b"\n" + b"a" * LONGEST_LINE)))
    for endless in (b"\nab\n" + b"a" * (LONGEST_LINE + 1), b"a\nb\n" + b"a" * (LONGEST_LINE + 1) + b"\nb\n"):
        with pytest.raises(InputError, match="standard input:3: the line has more than 1,000,000 bytes"):
            list(read_lines(io.BytesIO(endless)))


def test_words_as_arguments(monkeypatch, capsys, saved_run):
    out = command(monkeypatch, capsys, saved_run.path, " ba ", "e\u0301", "\udcff", "--json")
    assert [json.loads(line)["word"] for line in out.splitlines()] == ["ba", "é", "�"]


def test_the_option_keeps_its_old_name(saved_run, capsys):
    printed = []
    for option in ("--false-positive-rate", "--alarm"):
        assert run(["score", str(saved_run.path), "ba", "xqz", option, "0.3", "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert run(["score", "--help"]) == 0
    assert "--alarm" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no words: give some, or -"),
        (("ba", " "), "an empty word has no score"),
        (("ba", "-"), "- reads words from standard input: give no other words with it"),
        (("-", "--encoding", "cp1252"), "--encoding is for a table on standard input"),
        (("ba", "--column", "1"), "--column is for a table on standard input"),
        (("ba", "--false-positive-rate", "2"), "the false-positive rate is 2.0: it must be between 0 and 1"),
        (("ba", "--alarm", "3"), "the false-positive rate is 3.0"),
    ],
)
def test_wrong_requests_are_refused(saved_run, capsys, arguments, says):
    assert run(["score", str(saved_run.path), *arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.out == ""


def test_a_short_list_gets_scores_without_verdicts(saved_run, monkeypatch, capsys):
    expected = Scorer(saved_run, None).score("ba")
    assert run(["score", str(saved_run.path), "ba", "xq"]) == 0
    out, err = capsys.readouterr()
    row = out.split("\n")[0].split("\t")
    assert row == ["ba", f"{expected.nll:.4f}", f"{expected.bits:.4f}", f"{expected.percentile:.2f}", ""]
    assert err.count("use --false-positive-rate 0.03") == 1
    assert run(["score", str(saved_run.path), "ba", "--json", "--false-positive-rate", "0.02"]) == 0
    assert json.loads(capsys.readouterr().out)["likely"] is None
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["score", str(saved_run.path), "ba"]) == 0
    assert "likely" not in capsys.readouterr().out


TABLES = {
    "commas": (b'\xef\xbb\xbfid,name,note\n1,ba,"x, y"\r\n\n2, fa ,"he said ""hi"""\n3,,\n', ",", "name"),
    "tabs": (b'id\tname\tnote\n1\tba\t"x, y\n2\t"fa\tz;"\n', "\t", "name"),
    "quotes alone": (b'word\n"anna"\n" fe"\n"b""a"\n', "\t", "word"),
    "another sign in a name": (b"name;price, EUR\nba;3,5\nfa;4,5\nba;3,5\n", ";", "name"),
    "bars": (b"id|name\r\n1|ba\r\n2|cafe\xcc\x81\r\n", "|", "name"),
    "a header, and a number": (b"name,city\nba,Ulm\nfa,Bonn\n", ",", "1"),
    "comments": (b"# from ba\n#\nid,name\n1, ba\n", ",", "name"),
    "semicolons": (b"id;name\n1;ba\n2;caf\xc3\xa9\n", ";", "2"),
    "one column": (b"ba\nfa", "\t", "1"),
    "a number that is no name": (b"7,1\nba,fa\n", ",", "1"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_column_of_a_table_is_scored(saved_run, monkeypatch, capsys, case):
    given, separator, column = TABLES[case]
    lines = [line for line in given.decode("utf-8-sig").split("\n") if line.strip()]
    lines = [line.removesuffix("\r") for line in lines if not line.startswith("#")]
    rows = list(csv.reader(lines, delimiter=separator, quoting=quoting(lines, separator), skipinitialspace=True))  # pyright: ignore[reportArgumentType]
    names = rows.pop(0) if "name" in rows[0] or "word" in rows[0] else None
    place = names.index(column) if names and not column.isdecimal() else int(column) - 1
    scores = list(Scorer(saved_run, 0.1).scores([row[place].strip() for row in rows]))
    added = [
        [f"{score.nll:.4f}", f"{score.bits:.4f}", f"{score.percentile:.2f}", str(score.likely).lower()]
        for score in scores
    ]
    out = command(monkeypatch, capsys, saved_run.path, "-", "--column", column, given=given)
    added = [["nll", "bits", "percentile", "likely"]] * bool(names) + added
    found = [line for line in out.split("\n")[:-1] if not line.startswith("#")]
    assert found == [separator.join([line, *more]) for line, more in zip(lines, added, strict=True)]
    assert out.count("#") == given.count(b"#")
    out = command(monkeypatch, capsys, saved_run.path, "-", "--column", column, "--json", given=given)
    for line, row, score in zip(out.splitlines(), rows, scores, strict=True):
        scored = json.loads(line)
        assert (scored["word"], scored["likely"]) == (score.word, score.likely)
        assert scored["row"] == (dict(zip(names, row, strict=True)) if names else row)


def quoting(lines: list[str], separator: str) -> int:
    return csv.QUOTE_NONE if any(line.count('"') % 2 for line in lines) else csv.QUOTE_MINIMAL


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lambda data: data], ids=["gzip", "xz", "plain"])
def test_a_table_may_be_packed_and_in_another_encoding(saved_run, monkeypatch, capsys, pack):
    table = 'name,note\nb\u00e4,"a\r\nb"\nfa,\u0141\n'
    wanted = command(monkeypatch, capsys, saved_run.path, "-", "--column", "name", given=table.encode())
    given = pack(table.encode("utf-16"))
    arguments = ("-", "--column", "name", "--encoding", "utf-16")
    assert command(monkeypatch, capsys, saved_run.path, *arguments, given=given) == wanted
    assert '"a\r\nb"' in wanted
    assert "\u0141" in wanted


def test_words_of_a_table_are_those_of_training(saved_run, monkeypatch, capsys, file):
    given = 'name;price, EUR\n"an\nna";3,5\n "be";4,5\n ; \ncafe\u0301;5\n'
    trained = moreish.read_words(file(given), column="name")
    out = command(monkeypatch, capsys, saved_run.path, "-", "--column", "name", "--json", given=given.encode())
    assert [json.loads(line)["word"] for line in out.splitlines()] == list(trained) == ["an na", "be", "caf\u00e9"]


def test_a_long_table_is_scored_row_by_row(saved_run, monkeypatch, capsys):
    words = made_up_words(10_000, seed=4)
    given = "".join(f"{i},{word}\n" for i, word in enumerate(words)).encode()
    out = command(monkeypatch, capsys, saved_run.path, "-", "--column", "2", given=given)
    plain = command(monkeypatch, capsys, saved_run.path, "-", given="\n".join(words).encode())
    assert out == "".join(f"{i},{line}\n".replace("\t", ",") for i, line in enumerate(plain.splitlines()))
    assert command(monkeypatch, capsys, saved_run.path, "-", "--column", "2") == ""
    assert command(monkeypatch, capsys, saved_run.path, "-", "--column", "name") == ""
    header = command(monkeypatch, capsys, saved_run.path, "-", "--column", "name", given=b"id,name\n")
    assert header == "id,name,nll,bits,percentile,likely\n"


@pytest.mark.parametrize(
    ("given", "column", "says"),
    [
        (
            b"id,name\n1,ba\n",
            "nmae",
            "no column 'nmae' for --column; did you mean name? (known: columns 1 (id), 2 (name))",
        ),
        (b"id,name\n1,ba\n", "3", "no column '3' for --column (known: columns 1 (id), 2 (name))"),
        (b"id,name\n1,ba\n", "0", "no column '0'"),
        (b"id,name\n1,ba\n\n2\n3,fa\n", "name", "standard input:4: 1 field where the first row has 2; correct it"),
        (b"id,name\n1,ba,c\n", "name", "standard input:2: 3 fields where the first row has 2"),
        (b"id,name\n1," + b"a" * 200_000 + b"\n", "name", "standard input:2: not CSV (field larger than field limit"),
        (
            b"id,name\n1,bo\xe4b\n",
            "name",
            "standard input:2: byte 0xe4 at offset 12 is not UTF-8; it is likely cp1252; ",
        ),
        (b"id,name\n1,bo\xe4b\n", "name", "- --column name --encoding cp1252"),
        ("id,name\n1,ba\n".encode("utf-16"), "name", "this is UTF-16; read it with: moreish score"),
        (b'{"name": "ba"}\n{"name": "fa"}\n', "name", "standard input: this is JSON"),
        (b'[\n"ba",\n"fa"\n]\n', "1", "standard input: this is JSON"),
        (b"id,nll\n1,ba\n", "id", "the table has a column nll already"),
        (b"name\tid\nba\tfa\nba\nfa\t1\n", "name", "standard input:3: 1 field where the first row has 2"),
    ],
)
def test_a_wrong_table_is_refused(saved_run, monkeypatch, capsys, given, column, says):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert run(["score", str(saved_run.path), "-", "--column", column, "--false-positive-rate", "0.1"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
@pytest.mark.parametrize("verb", ["score", "sample"])
def test_a_count_on_the_terminal_does_not_take_the_output(saved_run, tmp_path, verb):
    """stdout is a pipe, and stderr a terminal that shows progress."""
    (tmp_path / "words.txt").write_text("ba\nfa\n" * 500)
    more = {"score": ["-", "--false-positive-rate", "0.1"], "sample": ["-n", "1000"]}
    ours, terminal = os.openpty()
    with (tmp_path / "words.txt").open("rb") as words:
        line = [sys.executable, "-m", "moreish", verb, str(saved_run.path), *more[verb]]
        done = subprocess.run(
            line, stdin=words, stdout=subprocess.PIPE, stderr=terminal, env={**os.environ, "TERM": "xterm"}, timeout=120
        )
    os.close(terminal)
    os.close(ours)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1000


def test_a_terminal_shows_each_character(saved_run, monkeypatch, capsys):
    shown = {}
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for colour in (True, False):
        if not colour:
            monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        shown[colour] = command(monkeypatch, capsys, saved_run.path, "ba", "b日\x1b")
    score = Scorer(saved_run, 0.1).score("ba")
    assert "\x1b[32m" in shown[True]
    plain = shown[False]
    assert "\x1b[3" not in plain
    first, second = plain.split("\n")[:2]
    verdict = "likely" if score.likely else "unlikely"
    assert first.split() == [
        *("ba", f"{score.nll:.2f}", "nats"),
        *("percentile", f"{score.percentile:.1f}", verdict),
    ]
    b, a, end = score.per_char
    assert second == f"  b {b:.1f}  a {a:.1f}  end {end:.1f}"
    assert "日 13.9?" in plain.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\\x1b" in plain


@pytest.mark.parametrize("width", [44, 60, 80])
def test_a_narrow_terminal_keeps_each_character_with_its_surprise(width, saved_run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    words = ["ba", "bade日" * 9]
    lines = re.sub(r"\x1b\[[\d;]*m", "", command(monkeypatch, capsys, saved_run.path, *words)).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    pairs = [pair for line in lines if re.fullmatch(r"(  (\w|end) [\d.]+\??)+", line) for pair in line.split("  ")[1:]]
    assert [pair.split()[0] for pair in pairs] == [*"ba", "end", *words[1], "end"]
    assert [pair[-1] for pair in pairs if pair[0] == "日"] == ["?"] * 9
    verdicts = [line for line in lines if "percentile" in line]
    assert len({line.index(" nats") for line in verdicts}) == 1
    assert all(line.endswith("likely") for line in verdicts)


@pytest.mark.skipif(os.name == "nt", reason="no pipes that close early")
def test_the_reader_of_the_output_may_close_it(saved_run, tmp_path):
    (tmp_path / "many.txt").write_text("ba\n" * 100_000)
    line = [sys.executable, "-m", "moreish", "score", str(saved_run.path), "-", "--false-positive-rate", "0.1"]
    with (tmp_path / "many.txt").open("rb") as words:
        done = subprocess.Popen(line, stdin=words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline().startswith(b"ba\t")
        done.stdout.close()
        errors = done.stderr.read()
        done.stderr.close()
    assert (done.wait(60), errors) == (0, b"")
