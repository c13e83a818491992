"""Issues of a list, and cleaning it."""

import json

import pytest
from conftest import made_up_words
from hypothesis import given
from hypothesis import strategies as st

from moreish.cli import run
from moreish.corpus import CHECKS, WordList, clean
from moreish.corpus.cleaning import issues
from moreish.corpus.describe import describe

PLAIN = list(dict.fromkeys(made_up_words(600)))
# For each check a word with the issue, and the word after cleaning.
EXAMPLES = {
    "invisible": ("ab\u200bace", "abace"),
    "spaces": ("ba\u00a0  ce", "ba ce"),
    "case": ("Gadefa", "gadefa"),
    "digits": ("ba2", None),
    "scripts": ("bаce", None),  # the second letter is Cyrillic
    "long": ("ba" * 30, None),
    "rare": ("baþe", None),
    "repeats": (PLAIN[0], None),
}


def test_every_check_has_an_example_here():
    assert set(EXAMPLES) == set(CHECKS)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_issue_is_found_and_cleaned(kind):
    word, left = EXAMPLES[kind]
    # More words with the same characters, so that these are not rare.
    common = {"scripts": ["бвгд", "бвга", "авгб", "вгаб", "габв"], "spaces": ["ba de", "de ba", "fa be", "be fa"]}
    words = WordList.of([*PLAIN, *common.get(kind, []), word])
    found = {issue.kind: issue for issue in issues(words)}
    assert found[kind].count == (5 if kind == "spaces" else 1)
    cleaned, changes = clean(words)
    by_kind = {change.kind: change for change in changes}
    assert by_kind[kind].done
    assert by_kind[kind].first in (word, left)
    assert list(cleaned)[: len(PLAIN)] == PLAIN
    assert (cleaned[-1] == left) if left else (word not in list(cleaned)[1:])
    _, changes = clean(words, keep=[kind])
    assert kind not in {change.kind for change in changes}


def test_a_plain_list_has_no_issues():
    assert issues(WordList.of(PLAIN)) == []
    cleaned, changes = clean(WordList.of(PLAIN))
    assert (cleaned, changes) == (PLAIN, [])


def test_words_with_a_common_issue_are_not_dropped():
    words = WordList.of([word + "7" for word in PLAIN[:80]] + PLAIN[:80])
    cleaned, changes = clean(words)
    assert cleaned == words
    assert [(change.kind, change.done) for change in changes] == [("digits", False)]
    assert "too many to drop, kept" in changes[0].message


def test_scripts_that_belong_together_are_not_mixed():
    words = ["日本ひらがな", "カタカナと漢字", "ロミオ"] * 4 + ["नमस्ते", "क्‍ष"] * 4 + ["Ωμέγα", "Mª José", "µm"] * 4
    words += ["\U0001f3f4\U000e0067\U000e0062\U000e007f"] * 4  # a flag, spelt in invisible tags
    assert not {"scripts", "invisible"} & {issue.kind for issue in issues(WordList.of(words))}


@given(st.lists(st.text("abAB1 \u200b\tдé", min_size=1).filter(str.strip), min_size=1))
def test_a_cleaned_list_stays_as_it_is(words):
    """Cleaning leaves none of the issues that it changes, and a second cleaning finds no new ones."""
    cleaned, _ = clean(WordList.of(words))
    assert len(set(cleaned)) == len(cleaned)
    assert not any("\u200b" in word or word != word.lower() for word in cleaned)
    if cleaned:
        again, changes = clean(cleaned)
        dropped = {"digits", "scripts", "long", "rare"}  # these may now be few enough to be dropped
        assert {change.kind for change in changes if change.done} <= dropped
        assert set(again) <= set(cleaned)


def test_lower_case_leaves_no_loose_dot():
    cleaned, _ = clean(WordList.of([*PLAIN, *["İzmir", "Isparta", "ÉMILE"] * 4]))
    assert list(cleaned)[-3:] == ["izmir", "isparta", "émile"]


def test_a_list_too_short_to_train_on_is_described_and_cleaned(tmp_path, capsys):
    (tmp_path / "list.txt").write_text("ab\nab\nAb\n")
    command = ["words", str(tmp_path / "list.txt"), "--keep", "rare", "--clean"]
    assert run([*command, str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").read_text() == "ab\n"
    assert "wrote" in capsys.readouterr().out
    assert run([*command, str(tmp_path / "nowhere" / "out.txt")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_description_counts_words_and_characters():
    words = ["Anna", "b2", "x y", "é", "anna", "anna", "w" * 50, "ab\u200bc"]
    found = describe(WordList.of(words))
    assert (found["words"], found["distinct"], found["repeats"]) == (8, 7, 1)
    assert found["length"] == {"min": 1, "max": 50, "mean": sum(map(len, words)) / 8}
    assert sum(found["tokens"].values()) == sum(map(len, words)) + 8
    assert "capital letters: 1 word (the first: 'Anna')" in {issue["message"] for issue in found["issues"]}
    assert found["odd"] == found["issues"]
    plain = describe(WordList.of(made_up_words(200)))
    assert [issue["kind"] for issue in plain["issues"]] == ["repeats"]
    assert 0 < plain["in_train"]["val"] <= 1


def test_the_command_cleans_and_says_what_it_did(tmp_path, capsys):
    (tmp_path / "list.txt").write_text("\n".join([*PLAIN, "Gadefa", "ba2", PLAIN[3]]), encoding="utf-8")
    command = ["words", str(tmp_path / "list.txt")]
    assert run(command) == 0
    assert "--clean OUT" in capsys.readouterr().out
    assert run([*command, "--clean", str(tmp_path / "out.txt"), "--keep", "case,rare"]) == 0
    out = capsys.readouterr().out
    assert "changed: dropped for their digits: 1 word (the first: 'ba2')" in out
    assert "changed: dropped as repeats: 1 word" in out
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").split() == [*PLAIN, "Gadefa"]
    assert run([*command, "--clean", str(tmp_path / "out.txt")]) == 2, "nothing is overwritten"
    assert "already exists" in capsys.readouterr().err
    assert run([*command, "--json", "--clean", str(tmp_path / "other.txt")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cleaned"]["words"] == len(PLAIN) + 1
    assert {change["kind"] for change in found["cleaned"]["changes"]} == {"case", "digits", "repeats"}
    assert run([*command, "--keep", "case"]) == 2
    assert run([*command, "--clean", str(tmp_path / "x.txt"), "--keep", "cases"]) == 2
    assert "did you mean case" in capsys.readouterr().err
