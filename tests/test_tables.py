"""Tables on terminals of all widths, and for other programs."""

import json
import math
import os
import random

import pytest
from rich.cells import cell_len
from terminals import lines_on_terminal

import moreish
from moreish.cli.terminal import print_losses, print_samples, print_table, wrapped
from moreish.evaluation import Evaluation

WORDS = ["さくら", "ひまわり", "すみれ", "ゆり", "もも", "きく", "うめ", "つばき", "ふじ", "あさがお"] * 3


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_table_fits_the_terminal(width, saved_run, tmp_path):
    japanese = moreish.train([f"{word}{i % 3}" for i, word in enumerate(WORDS)], "ngram", out=tmp_path / "花の名前")
    own, other = str(saved_run.path), str(japanese.path)
    (tmp_path / "list.txt").write_text("\n".join(WORDS), encoding="utf-8")
    commands = [
        ["eval", own],
        ["eval", other, "--no-baseline"],
        ["compare", own],
        ["show", "wavenet"],
        ["show", other],
        ["models"],
        ["diagnose", own],
        ["novelty", own, "-n", "200"],
        ["novelty", other, "-n", "50"],
        ["fill", other, "___*"],
        ["sample", other, "-n", "5", "--most-likely"],
        ["score", own, "bada" * 9],
        ["words", str(tmp_path / "list.txt")],
        ["download"],
    ]
    lines = lines_on_terminal(json.dumps(commands), width)
    assert len(lines) > 100
    for line in lines:
        assert cell_len(line) <= width or line.startswith("compiled "), line
        assert line.strip() or not line, "a row of spaces"
    assert all(f"{loss:.4f}" in " ".join(lines) for loss in moreish.load(own).loss.values())


def test_sentences_are_broken_between_words_and_never_inside_a_command():
    command = "moreish train 'my list.txt' --model ngram --out runs/a-run-with-a-long-name"
    text = f"  of 桜の花 these: one two three four (to copy: {command}); and more\nfive"
    lines = wrapped(text, 24).split("\n")
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert lines[-1] == "five"
    assert [line for line in lines if cell_len(line) > 24] == [f"  {command});"]
    assert all(line.startswith("  ") for line in lines[:-1])
    assert wrapped(text, 200) == text


def random_table(seed):
    """Return columns and rows of numbers and texts, some of them Japanese, some long."""
    r = random.Random(seed)
    kinds = [r.choice(["number", "interval", "text"]) for _ in range(r.randint(2, 7))]

    def cell(kind):
        if kind == "number":
            return f"{r.uniform(-1e6, 1e6):,.{r.randint(0, 4)}f}"
        if kind == "interval":
            return f"{r.random():.4f} ({r.random():.4f} to {r.random():.4f})"
        return " ".join("".join(r.choices("añb語花/-", k=r.randint(1, 14))) for _ in range(r.randint(0, 9)))

    names = [f"{'' if kind == 'text' else '>'}{kind} {i}" for i, kind in enumerate(kinds)]
    return names, [[cell(kind) for kind in kinds] for _ in range(r.randint(1, 5))]


@pytest.mark.parametrize("seed", range(40))
def test_a_narrow_table_has_all_of_its_text_and_whole_numbers(seed, monkeypatch, capsys):
    monkeypatch.setattr("moreish.cli.terminal.on_terminal", lambda: True)
    columns, rows = random_table(seed)
    for width in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(columns, rows)
        out = capsys.readouterr().out
        assert all(cell_len(line) <= width and line.strip() for line in out.splitlines())
        for name, *column in zip(columns, *rows, strict=True):
            if name.startswith(">"):
                assert all(number in out for cell in column for number in cell.split(" (", 1))
            else:
                assert sum(map(out.count, "語花")) >= sum(map("".join(column).count, "語花"))


def test_other_programs_get_a_line_for_each_row(capsys):
    columns, rows = ["what", ">n"], [["語" * 200, 1], ["a b " * 100, 22]]
    print_table(columns, rows)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["n", "1", "22"]
    assert lines[1].startswith("語" * 200)
    assert lines == [line.rstrip() for line in lines]
    assert cell_len(lines[1]) == cell_len(lines[2]) == cell_len(lines[0])


def test_a_table_without_names_has_no_line_of_them(capsys):
    print_table(["", ""], [["a", "b"]])
    assert capsys.readouterr().out.split("\n") == ["a  b", ""]


@pytest.mark.parametrize(("loss", "shown"), [(2.0, "7.389"), (13.5, "729416.370"), (184.4, "1.2e+80"), (900.0, "inf")])
def test_a_perplexity_of_many_digits_is_rounded(loss, shown, capsys):
    print_losses(Evaluation({"val": loss}, {"val": 10}))
    assert capsys.readouterr().out.split()[-1] == shown
    assert Evaluation({"val": loss}, {"val": 10}).as_json()["perplexity"]["val"] == (
        math.exp(loss) if loss < 700 else math.inf
    )


def test_one_very_long_word_does_not_move_the_marks_of_the_others_far(capsys):
    print_samples(["x" * 500, "ab"], ["new", "val"])
    assert capsys.readouterr().out.splitlines() == ["x" * 500 + "  new", "ab" + " " * 40 + "in val"]


def test_control_characters_do_not_break_a_line(capsys):
    print_table(["word", ">n"], [["a\nb\tc\x1b[1m", 1]])
    print_samples(["\r", "d\x85"], ["new", "train"])
    assert capsys.readouterr().out.splitlines()[1:] == [r"a\nb\tc\x1b[1m  1", r"\r     new", r"d\x85  in train"]
