"""The commands with constraints: sample, fill and vary."""

import json
import sys

import pytest

import moreish
from moreish.cli import run
from moreish.sampling import ranking


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["fill", "RUN", "b_d_"], "at random"),
        (["vary", "RUN", "bada", "--edits", "2"], "at random"),
        (["sample", "RUN", "--pattern", "b*", "--only-new", "--distinct"], "b"),
        (["sample", "RUN", "--most-likely", "--suffix", "da", "--only-new"], "da\n"),
        (["sample", "RUN", "--without", "ba", "--without-file", "LIST", "--only-new"], "\n"),
        (["sample", "RUN", "--prefer", "da:9", "--prefer", "b", "--only-new"], "da"),
        (["sample", "RUN", "--most-likely", "--prefer", "b:0.01", "--max-length", "4"], "\n"),
        (["sample", "RUN", "--contains", "da", "--avoid", "LIST", "--tries", "90000"], "da"),
    ],
    ids=" ".join,
)
def test_commands(saved_run, tmp_path, capsys, command: list[str], says):
    (tmp_path / "list").write_text("da\nbada\n")
    places = {"RUN": str(saved_run.path), "LIST": str(tmp_path / "list")}
    command = [places.get(word, word) for word in command]
    assert run([*command, "-n", "4"]) == 0
    out, err = capsys.readouterr()
    assert says in out
    assert run([*command, "-n", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    words = [at["word"] for at in found["samples"]]
    assert all(saved_run.corpus.mark(at["word"]) == at["seen"] for at in found["samples"])
    assert all(word in out for word in words)
    if "likeliest" in found:
        assert len(found["likeliest"]) == 4
        assert found["proven"]
        assert 0 < found["share"] <= 1
    if "--only-new" in command:
        assert {at["seen"] for at in found["samples"]} == {"new"}
    if "--without" in command:
        assert not [word for word in words if "ba" in word or "da" in word]
    if "--avoid" in command:
        assert not {"da", "bada"} & set(words)
        assert "fit: exact, by dynamic programming" in err
    assert run([*command, "-n", "0"]) == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["fill", ""], "no gap"),
        (["fill", "b_", "--suffix", "cc"], "no word fits --suffix cc and b_"),
        (["fill", "b_["], "'b_[': the [ at place 3"),
        (["vary", ""], "no variations"),
        (["vary", "bada", "--edits", "0"], "--edits is 0"),
        (["sample", "--prefix", "ab", "--pattern", "b*"], "no word fits --prefix ab and --pattern 'b*'"),
        (
            ["sample", "--contains", "cab", "--without", "b a", "--without", "ab"],
            "fits --contains cab and --without",
        ),
        (["vary", "bada", "--without", ""], "--without '': give a text"),
        (["fill", "b_", "--without-file", "nowhere.txt"], "nowhere.txt: no such file"),
        (["sample", "--json", "--marks"], "choose one"),
        (["sample", "--contains", "xyz"], "'x' is not in the word list"),
        (["sample", "--most-likely", "--seed", "3"], "draws nothing"),
        (["sample", "--most-likely", "--tries", "0"], "draws nothing"),
        (["sample", "--avoid", "nowhere.txt"], "nowhere.txt: no such file"),
        (["sample", "--distinct", "--temperature", "0", "--tries", "99"], "only 1 of 20 different words"),
    ],
    ids=" ".join,
)
def test_commands_that_cannot_be_followed_end_with_2(saved_run, capsys, command, says):
    assert run([command[0], str(saved_run.path), *command[1:]]) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert not out


@pytest.mark.parametrize(
    ("characters", "hint"),
    [("ass", True), ("cum", True), ("ee", True), ("qx", False), ("aeiou", False), ("'-.", False), ("gb", False)],
)
def test_characters_that_look_like_a_word_get_a_hint(saved_run, capsys, characters, hint):
    assert run(["sample", str(saved_run.path), "--forbid", characters, "-n", "2"]) == 0
    out, err = capsys.readouterr()
    assert not set(characters) & set(out)
    assert (f"--without {characters}" in err) == hint


def test_words_into_a_pipe_are_a_list(tmp_path, monkeypatch, capsys):
    """Words with spaces and of several widths come out as the model drew them, and are a list to train on."""
    listed = ["el paso", "san jose", "ab", "åb", "東 京", "paso"] * 8
    trained = moreish.train(listed, "ngram", out=tmp_path / "run")
    drawn = trained.model.sample(40)
    marked = [(word, trained.corpus.mark(word)) for word in drawn]
    command = ["sample", str(trained.path), "-n", "40"]
    assert run(command) == 0
    printed = capsys.readouterr().out
    assert printed.split("\n") == [*drawn, ""]
    (tmp_path / "drawn.txt").write_text(printed, encoding="utf-8")
    assert list(moreish.read_words(tmp_path / "drawn.txt")) == [word.strip() for word in drawn if word.strip()]
    for terminal in (False, True):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
        assert run([*command, "--marks"]) == 0
        assert [tuple(line.split("\t")) for line in capsys.readouterr().out.splitlines()] == marked
        assert run([*command, "--jsonl"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert found == [{"word": word, "seen": mark} for word, mark in marked]
    assert run(command) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in table] == [word.split("  ")[0] for word in drawn]
    assert [line.split()[-1] for line in table] == [mark for _, mark in marked]


@pytest.mark.parametrize("form", ["--marks", "--jsonl", ""])
def test_a_search_that_may_have_missed_words_says_so(saved_run, monkeypatch, capsys, form):
    monkeypatch.setattr(ranking, "BEAM_WIDTH", 1)
    command = ["sample", str(saved_run.path), "--most-likely", "-n", "3", "--min-length", "3", form]
    assert run([word for word in command if word]) == 0
    assert "may have missed more likely words" in capsys.readouterr().err


def test_the_most_likely_words_into_a_pipe(tmp_path, monkeypatch, capsys):
    trained = moreish.train(["el paso", "el pase", "ab", "san jose"] * 10, "ngram", out=tmp_path / "run")
    found = trained.model.fill("el pas_")
    mark = trained.corpus.mark
    assert run(["fill", str(trained.path), "el pas_", "--samples", "3"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    rows = [line.split("\t") for line in first.split("\n")]
    assert rows[0] == ["word", "probability", "share of matches", "mark"]
    assert [(row[0], row[-1]) for row in rows[1:]] == [(each.word, mark(each.word)) for each in found]
    drawn = [line.split("\t") for line in second.splitlines()[2:]]
    assert drawn == [[word, mark(word)] for word in trained.model.sample(3, gap="el pas_")]
    command = ["sample", str(trained.path), "--most-likely", "--prefix", "el", "-n", "2"]
    found = trained.model.most_likely(2, prefix="el")
    assert run(command) == 0
    assert capsys.readouterr().out.splitlines() == [each.word for each in found]
    assert run([*command, "--marks"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{each.word}\t{mark(each.word)}" for each in found]
    assert run([*command, "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["word"], line["probability"]) for line in lines] == [(each.word, each.probability) for each in found]


def test_what_is_said_of_wishes_is_their_mean_weight(saved_run, capsys):
    command = ["sample", str(saved_run.path), "-n", "3", "--max-length", "3", "--prefix", "b", "--prefer", "a:4"]
    assert run(command) == 0
    said = capsys.readouterr().err
    fitting = saved_run.model.most_likely(1000, prefix="b", max_length=3)
    share = saved_run.model.sample(1, prefix="b", max_length=3).share
    mean = share * sum(found.share * (4 if "a" in found.word else 1) for found in fitting) / 4
    assert f"(the mean weight of the model's words that start with b is {100 * mean:.3g}% of the largest: " in said
    assert saved_run.model.sample(3, prefix="b", max_length=3, prefer=["a:4"]).share == pytest.approx(mean, rel=1e-6)
    many = [*command[:4], "--contains", "da", "--tries", "99999", "--prefer", "da:2", "--prefer", "ZZ:3"]
    assert run(many) == 0
    said = capsys.readouterr().err
    assert "(--prefer has no effect for 'ZZ': the model does not know" in said
    assert "% of the model's words fit: exact" in said  # all of them have the same weight
    assert run([*command, "--prefer", "b:x"]) == 2
    assert "--prefer 'b:x': what follows the last colon must be a number" in capsys.readouterr().err


def test_texts_that_cannot_occur_are_named(saved_run, capsys):
    folder = str(saved_run.path)
    for verb, *words in (["sample"], ["sample", "--most-likely"], ["fill", "b_"], ["vary", "ba"]):
        assert run([verb, folder, *words, "-n", "2", "--without", "BA", "--without", "ga", "--without", "z a"]) == 0
        said = capsys.readouterr().err
        assert said.count("(--without has no effect for 'BA', 'z a': the model does not know") == 1
    many = [part for text in ("X", "Y", "Z", "W", "V") for part in ("--without", text)]
    assert run(["sample", folder, "-n", "2", *many]) == 0
    assert "no effect for 'X', 'Y', 'Z' and 2 more:" in capsys.readouterr().err
    assert run(["sample", folder, "-n", "2", "--without", "ga"]) == 0
    assert "no effect" not in capsys.readouterr().err
