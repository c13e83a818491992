"""The commands with constraints: sample, fill and vary."""

import json

import pytest

from moreish.cli import run


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["fill", "RUN", "b_d_"], "at random"),
        (["vary", "RUN", "bada", "--edits", "2"], "at random"),
        (["sample", "RUN", "--pattern", "b*", "--only-new", "--distinct"], "new"),
        (["sample", "RUN", "--most-likely", "--suffix", "da", "--only-new"], "probability"),
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
    if "--avoid" in command:
        assert not {"da", "bada"} & set(words)
        assert "exactly, by dynamic programming" in err
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
