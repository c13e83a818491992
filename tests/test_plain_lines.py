"""Lines of `moreish score` that are formatted a block at a time: the same bytes as those of words, one by one."""

import io
import math
import sys
import threading

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_labels import label_of

import moreish
from moreish import Scorer, WordList
from moreish.cli import run
from moreish.cli.lines import read_blocks
from moreish.cli.score import tsv_lines
from moreish.cli.tsv import LARGEST, PlainLines, texts

WORDS = list(dict.fromkeys(made_up_words(1500, seed=6, alphabet="abcdefghijklmn")))
LISTS = {
    "plain": WordList.of(WORDS),
    "labels": WordList.of(WORDS).with_labels(map(label_of, WORDS)),
    "weights": WordList.of(WORDS).with_weights(1.0 + np.arange(len(WORDS)) % 7),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, moreish.Run]:
    folder = tmp_path_factory.mktemp("runs")
    found = {name: moreish.train(words, "ngram", out=folder / name) for name, words in LISTS.items()}
    found["mlp"] = moreish.train(WORDS, "mlp", steps=50, out=folder / "mlp")
    return found


def one_by_one(run: moreish.Run, words: list[str], rate: float | None, label: str | None = None) -> str:
    """Score each word alone, and format its numbers in Python."""
    scorer, lines = Scorer(run, rate, label=label), []
    for word in words:
        (score,) = scorer.scores([word])
        nll = math.fsum(score.per_char) / len(score.per_char)
        likely = "" if score.likely is None else str(score.likely).lower()
        lines.append(f"{word}\t{nll:.4f}\t{nll / math.log(2):.4f}\t{score.percentile:.2f}\t{likely}\n")
    return "".join(lines)


def some_words(seed: int) -> list[str]:
    """Words of the list and others, empty ones, ones with characters that no model here knows, and a long one."""
    generator = np.random.default_rng(seed)
    letters = generator.choice(list("abcdefgABC'\"~!<&%09"), (60, 8))
    others = ["".join(row[:n]) for row, n in zip(letters, generator.integers(0, 9, 60), strict=True)]
    return [*WORDS[:40], *others, "", "badega" * 6, "", "%s", "."]


@pytest.mark.parametrize(
    ("name", "label"), [("plain", None), ("labels", None), ("labels", "no a"), *[(n, None) for n in ("weights", "mlp")]]
)
@pytest.mark.parametrize("rate", [0.05, None])
def test_lines_are_those_of_words_one_by_one(runs, name, label, rate):
    scorer, words = Scorer(runs[name], rate, label=label), some_words(1)
    rows = PlainLines(scorer).rows("".join(f"{word}\n" for word in words).encode())
    assert rows is not None
    assert rows.decode() == "".join(tsv_lines(scorer.scores(words)))
    found, expected = (
        [line.split("\t") for line in x.splitlines()]
        for x in (rows.decode(), one_by_one(runs[name], words, rate, label))
    )
    assert [line[:3] for line in found] == [line[:3] for line in expected]
    if (
        runs[name].model.labels is None or label is not None
    ):  # the sum over labels differs by rounding, which splits ties
        assert found == expected
        assert len({line[3] for line in found}) > 3
        assert {line[4] for line in found} == ({"true", "false"} if rate else {""})


def test_blocks_that_are_not_plain_are_left_to_python(runs):
    plain = PlainLines(Scorer(runs["plain"], 0.1))
    assert plain.rows(b"\n") is not None
    for block in (b"ba fe\n", b"ba\tfe\n", b"ba\r\n", b"b\\a\n", b"b\x00a\n", b"b\x7fa\n", "bé\n".encode(), b"\xff\n"):
        assert plain.rows(b"ba\n" + block) is None
    assert plain.rows(b"a\n" * 100 + b"ba" * 1000 + b"\n") is None, "the zero bytes would take much memory"


def test_a_nll_that_prints_with_a_sign_is_left_to_python(runs, monkeypatch):
    plain = PlainLines(Scorer(runs["plain"], 0.1))
    for nll in (-0.0, -1e-9, 1.5 * LARGEST):
        monkeypatch.setattr(plain.scorer, "of_lines", lambda block, nll=nll: (np.array([nll]), np.array([0])))
        assert plain.rows(b"ba\n") is None


HALVES = [k / 32 + m for k in range(32) for m in (0, 1, 9, 99, 4095)]  # those of odd k end in 125, 375, 625 or 875


def beside(numbers: list[float]) -> list[float]:
    """Numbers, and the next ones on both sides."""
    return [x for number in numbers for x in (number, math.nextafter(number, 0), math.nextafter(number, math.inf))]


@settings(deadline=None)
@example(beside(HALVES))
@example(beside([(k + 0.5) / 10_000 for k in range(0, 30_000, 7)]))
@example(np.random.default_rng(0).exponential(3, 100_000).tolist())
@example([0.0, 9.99995, 9.99994999, 99.99995, 0.00005, 0.00004999999, 9999.99995, 9999.99994])
@given(st.lists(st.floats(0, LARGEST), min_size=1))
def test_decimals_are_rounded_as_python_rounds(numbers):
    whole, decimals = texts(np.array(numbers))
    found = [a.decode() + b.decode() for a, b in zip(whole.tolist(), decimals.tolist(), strict=True)]
    assert found == [f"\t{number:.4f}" for number in numbers]


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_lines_do_not_depend_on_threads_and_stay_in_order(runs, form, monkeypatch, capsys):
    """Of blocks that are plain and others in turns."""
    some = [some_words(seed) for seed in range(12)]
    some[3] += ["café", "a b"]
    some[7][5] = "c\\d"
    given = [line for words in some for line in words]
    found = []
    for threads in ("1", "2", "3"):
        stream = io.BytesIO("\n".join(given).encode())
        monkeypatch.setattr("moreish.cli.lines.BYTES_PER_READ", 400)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        assert run(["score", str(runs["plain"].path), "-", *form, "--threads", threads]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] == found[2]
    assert found[0].count("\n") == len(given)
    if not form:
        expected = list(Scorer(runs["plain"]).scores(given))
        assert [line.split("\t")[1] for line in found[0].splitlines()] == [f"{score.nll:.4f}" for score in expected]


class Dialogue(io.RawIOBase):
    """A stream that gives the next line when the score of the line before has been printed."""

    def __init__(self, lines: list[bytes], printed: threading.Semaphore):
        self.lines, self.printed = lines, printed

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        assert self.printed.acquire(timeout=60), "the score was not printed"
        return self.lines.pop(0) if self.lines else b""


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_score_does_not_wait_for_the_next_line(runs, monkeypatch, capsys, threads):
    printed = threading.Semaphore(1)
    lines = [b"ba\n", b"fe\nda\n", b"g\\a\n", b"ba\n"]
    monkeypatch.setattr("moreish.cli.score.standard_input", lambda: Dialogue(lines, printed))

    def print_data(text: str) -> None:
        sys.stdout.write(text)
        printed.release()

    monkeypatch.setattr("moreish.cli.score.print_data", print_data)
    assert run(["score", str(runs["plain"].path), "-", "--threads", threads]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["ba", "fe", "da", "g\\\\a", "ba"]


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_what_comes_before_a_line_that_is_too_long_is_printed(runs, monkeypatch, capsys, threads):
    monkeypatch.setattr("moreish.cli.lines.BYTES_PER_READ", 8)
    monkeypatch.setattr("moreish.cli.lines.LONGEST_LINE", 20)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ba\n" * 10 + b"ba" * 20 + b"\nfe\n")))
    assert run(["score", str(runs["plain"].path), "-", "--threads", threads]) == 2
    out, err = capsys.readouterr()
    assert out.count("ba\t") == 10
    assert "standard input:11: the line has more than 20 bytes" in err


def test_blocks_are_whole_lines():
    data = b"\xef\xbb\xbfba\n\nfe\nda"
    assert b"".join(read_blocks(io.BytesIO(data))) == data.removeprefix(b"\xef\xbb\xbf") + b"\n"
    assert list(read_blocks(io.BytesIO(b""))) == []
