"""Words and labels with control characters: no terminal gets them raw, and files and pipes get the words."""

import contextlib
import io
import json
import os
from xml.etree import ElementTree

import pytest
from terminals import shown_on_terminal

import moreish
from moreish.cli import run

HOSTILE = ("\x1b]0;title\x07", "\x1b[31m", "\x9b2J", "\u202e", "\x7f")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a terminal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs whose words hold control characters, one of them in a folder with such a name, and their list in files."""
    folder = tmp_path_factory.mktemp("control")
    words = [
        f"{a}{HOSTILE[i % len(HOSTILE)]}{b}" for i, (a, b) in enumerate(zip("abcd" * 20, "efg" * 30, strict=False))
    ]
    moreish.train(words, "ngram", labels=[word[-1] for word in words], out=folder / "labels")
    moreish.train(words, "ngram", out=folder / "plain")
    moreish.train(words, "bigram-counts", out=folder / f"b{HOSTILE[1]}")
    (folder / "list.csv").write_text("".join(f"{word[-1]},{word}\n" for word in words), encoding="utf-8")
    (folder / "list.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    return folder


def commands(folder):
    plain, labels, other = (str(folder / name) for name in ("plain", "labels", f"b{HOSTILE[1]}"))
    word = f"a{HOSTILE[0]}e"
    return [
        ["words", str(folder / "list.txt")],
        ["sample", plain],
        ["sample", plain, "--marks"],
        ["sample", plain, "--most-likely"],
        ["sample", labels],
        ["fill", plain, "a_*"],
        ["vary", plain, word],
        ["score", plain, word],
        ["score", plain, f"q{HOSTILE[1]}"],
        ["classify", labels, word],
        ["compare", plain, other],
        ["compare", plain, other, "--csv"],
        ["compare", plain, other, "--markdown"],
        ["novelty", plain, "-n", "50"],
        ["eval", labels],
        ["runs", str(folder)],
        ["sample", labels, "--label", f"e{HOSTILE[1]}"],
        ["sample", f"nothing{HOSTILE[0]}"],
        ["sample", plain, "--pattern", f"[{HOSTILE[0]}"],
        ["train", str(folder / "list.txt"), "--model", "ngram", "--out", str(folder / "trained")],
        [
            "train",
            str(folder / "list.csv"),
            "--column",
            "2",
            "--labels",
            "1",
            "--model",
            "ngram",
            "--out",
            f"{folder}/t",
        ],
    ]


def test_no_verb_prints_control_characters_on_a_terminal(folder):
    for command in commands(folder):
        shown = shown_on_terminal(json.dumps([command]), 200, statuses=(0, 2))
        assert "Traceback" not in shown, command
        for control in HOSTILE:
            assert control not in shown, (command, shown)


def test_a_file_gets_the_words_as_they_are(folder):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["sample", str(folder / "plain"), "-n", "50"]) == 0
    drawn = moreish.load(folder / "plain").model.sample(50)
    assert out.getvalue() == "".join(f"{word}\n" for word in drawn)
    assert any(control in out.getvalue() for control in HOSTILE)


def test_a_table_of_runs_has_no_formula_and_no_markup(folder):
    run = moreish.load(folder / "plain")
    found = moreish.compare([run], names=["=1+1|<b>"])
    assert "\n'=1+1|<b>," in found.csv()
    assert r"| =1+1\|\<b\> |" in found.markdown()
    assert not any(control in found.csv() + found.markdown() for control in HOSTILE if control != "\u202e")


def test_a_picture_is_well_formed_whatever_the_name_of_the_list(folder):
    listed = moreish.load(folder / "plain").corpus.words
    listed.name = "".join(HOSTILE)
    moreish.train(listed, "bigram-counts", out=folder / "named")
    assert run(["plot", str(folder / "named"), "bigrams", "samples", "--format", "svg"]) == 0
    pictures = list((folder / "named").rglob("*.svg"))
    assert len(pictures) == 2
    for picture in pictures:
        ElementTree.parse(picture)
