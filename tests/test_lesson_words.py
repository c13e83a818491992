"""Tests of the list of the lessons: names.txt if it can be had, else the bundled names."""

import socket
from dataclasses import replace

import pytest
from conftest import made_up_words

import moreish
from moreish import InputError, WorkError
from moreish.corpus import DOWNLOADS, lists
from moreish.lessons import words
from moreish.lessons.words import N_NAMES, PUBLISHED, lesson_words


@pytest.fixture(autouse=True)
def no_list_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("MOREISH_NAMES", raising=False)
    monkeypatch.setattr(lists, "downloads_folder", lambda: tmp_path / "cache")


@pytest.fixture
def unanswered(monkeypatch):
    """Let the list be downloaded from a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/names.txt"
        monkeypatch.setitem(DOWNLOADS, PUBLISHED, replace(DOWNLOADS[PUBLISHED], url=url))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield


def test_a_downloaded_list_is_used(monkeypatch, tmp_path, capsys):
    kept = made_up_words(N_NAMES)
    (tmp_path / "kept.txt").write_text("\n".join(kept))
    monkeypatch.setattr(words, "download", lambda name, timeout: {PUBLISHED: tmp_path / "kept.txt"}[name])
    assert lesson_words() == kept
    assert capsys.readouterr().out.startswith("32,033 names: names.txt")


def test_without_a_connection_the_bundled_names_are_used(monkeypatch, unanswered, capsys):
    monkeypatch.setattr(words, "TIMEOUT", 0.05)
    assert lesson_words() == moreish.bundled("names")
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert f"{len(moreish.bundled('names')):,} names: the bundled list" in printed.out
    assert f"moreish download {PUBLISHED}" in printed.out
    assert printed.err == ""


def test_a_server_that_is_silent_for_too_long_cannot_be_reached(unanswered):
    with pytest.raises(WorkError, match="cannot be reached"):
        lists.download(PUBLISHED, timeout=0.05)


def test_another_list_can_be_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(words, "download", None)  # nothing is downloaded
    monkeypatch.setenv("MOREISH_NAMES", "names")
    assert lesson_words() == moreish.bundled("names")
    mine = tmp_path / "mine.txt"
    mine.write_text("ab\nba\nabba\n")
    monkeypatch.setenv("MOREISH_NAMES", str(mine))
    assert lesson_words() == ["ab", "ba", "abba"]
    assert "3 words" in capsys.readouterr().out.splitlines()[1]
    monkeypatch.setenv("MOREISH_NAMES", str(tmp_path / "missing.txt"))
    with pytest.raises(InputError, match=r"missing\.txt"):
        lesson_words()
