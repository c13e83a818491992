"""Lists kept on disk: the same words, splits, tokens, marks and models as for lists in memory."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run
from moreish.corpus import PARTS, MappedWords, mapped
from moreish.errors import InputError, WorkError

WORDS = [*made_up_words(700), *made_up_words(300, seed=1, alphabet="aeбдé日🌙"), "ann", "ann"]


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """Treat every list as large and process it in small pieces; return the folder of prepared lists."""
    monkeypatch.setattr(mapped, "MAX_IN_MEMORY", 100)
    monkeypatch.setattr(mapped, "WORDS_PER_LOOKUP", 90)
    monkeypatch.setattr(mapped, "TOKENS_PER_COPY", 70)
    monkeypatch.setattr("moreish.corpus.reading.BLOCK_SIZE", 50)
    monkeypatch.setattr("moreish.corpus.reading.SAMPLE_SIZE", 60)
    monkeypatch.setattr("moreish.corpus.packed.BLOCK_SIZE", 50)
    monkeypatch.setattr(mapped, "prepared_folder", lambda: tmp_path / "prepared")
    return tmp_path / "prepared"


def written(folder: Path, words: list[str], name: str = "list.txt") -> Path:
    path = folder / name
    path.write_text("\r\n".join(f" {word}\t" for word in words), encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("split", ["lecture", "distinct", "hash"])
def test_a_list_on_disk_is_the_same_list(split, on_disk, tmp_path):
    listed = moreish.read_words(written(tmp_path, WORDS))
    assert isinstance(listed, MappedWords)
    assert listed == WORDS
    held, kept = moreish.Corpus(WORDS, split, 7), moreish.Corpus(listed, split, 7)
    assert (kept.vocab, kept.data_hash) == (held.vocab, held.data_hash)
    assert listed.character_counts() == held.words.character_counts()
    assert b"".join(listed.pieces()) == b"".join(held.words.pieces())
    for part in PARTS:
        np.testing.assert_array_equal(kept.stream(part), held.stream(part))
        np.testing.assert_array_equal(kept.stand_in_train(part), held.stand_in_train(part))
        assert kept.parts[part] == held.parts[part]
    others = ["", "new", "anna", "an", "a\nb", "ÿ", WORDS[0][::-1], WORDS[0] * 2]
    assert [kept.mark(word) for word in [*WORDS, *others]] == [held.mark(word) for word in [*WORDS, *others]]


@pytest.mark.parametrize("model", ["mlp", "wavenet-conv", "bigram", "ngram"])
def test_a_list_on_disk_trains_the_same_model(model, on_disk, tmp_path):
    options: dict[str, Any] = {} if model == "ngram" else {"steps": 30}
    held = moreish.train(WORDS, model, **options)
    kept = moreish.train(moreish.read_words(written(tmp_path, WORDS)), model, out=tmp_path / "run", **options)
    for name, weight in held.model.weights.items():
        np.testing.assert_array_equal(kept.model.weights[name], weight)
    assert [line.get("val") for line in kept.history] == [line.get("val") for line in held.history]
    assert kept.loss == held.loss
    before = set(on_disk.rglob("*"))
    loaded = moreish.load(tmp_path / "run")
    assert isinstance(loaded.corpus.words, MappedWords)
    assert loaded.loss == held.loss
    assert set(on_disk.rglob("*")) == before, "nothing is prepared a second time"
    shutil.rmtree(on_disk)
    assert moreish.load(tmp_path / "run").loss == held.loss, "or all of it, where it is gone"


def test_the_command_says_where_the_list_is_put(on_disk, tmp_path, capsys):
    path, out = written(tmp_path, WORDS), str(tmp_path / "run")
    assert run(["train", str(path), "--steps", "5", "--out", out]) == 0
    assert f"list.txt is over 0 MB: its words are stored on disk, in {on_disk}" in capsys.readouterr().err
    assert run(["eval", out, "--json"]) == 0
    assert run(["sample", out, "-n", "3"]) == 0


def test_words_from_python_come_back_as_they_are(on_disk, tmp_path):
    """Only the file of the run is large: leading and trailing spaces are part of the words."""
    words = [f" {word}" for word in WORDS]
    moreish.train(words, "bigram-counts", out=tmp_path / "run")
    loaded = moreish.load(tmp_path / "run")
    assert isinstance(loaded.corpus.words, MappedWords)
    assert loaded.corpus.words == words


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"ann\n" * 100 + b"b\xffb\n", "list.txt:101: byte 0xff at offset 401 is not UTF-8"),
        (b"ann\n" * 100 + b"b\0b\n", "list.txt:101: this is a binary file"),
        (b" \n" * 100, "no words"),
    ],
)
def test_errors_have_their_place_and_leave_nothing(data, says, on_disk, tmp_path):
    (tmp_path / "list.txt").write_bytes(data)
    with pytest.raises(InputError, match=says):
        moreish.read_words(tmp_path / "list.txt")
    assert list(on_disk.iterdir()) == []


def test_what_the_disk_has_no_room_for_is_not_begun(on_disk, tmp_path, monkeypatch):
    corpus = moreish.Corpus(moreish.read_words(written(tmp_path, WORDS)))
    before = set(on_disk.rglob("*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=100, used=100, free=0))
    with pytest.raises(WorkError, match="places-lecture-42.i4: it takes 0.0 GB, and 0.0 GB are free"):
        corpus.stream("train")
    assert set(on_disk.rglob("*")) == before


def test_too_many_words_for_a_shuffle_are_refused(on_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "MAX_WORDS", 1000)
    with pytest.raises(InputError, match="1,002 words, but a list can have at most 1,000"):
        moreish.read_words(written(tmp_path, WORDS))


LIMITED = """
import resource, sys
import moreish
from moreish.corpus import mapped
path, out, room, on_disk = sys.argv[1:]
moreish.set_threads(1)  # each more takes some megabytes of its own
moreish.train(moreish.bundled(), "mlp", n_hidden=4, steps=1)  # all compilation happens here
mapped.MAX_IN_MEMORY = 1 << (20 if on_disk == "yes" else 40)
used = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + int(room), used + int(room)))
try:
    run = moreish.train(moreish.read_words(path), "mlp", n_hidden=4, steps=1, out=out)
    print(len(run.corpus.stream("train")), run.corpus.mark("new"))
except MemoryError:
    print("no memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_a_list_larger_than_memory_trains():
    """A file of 50 MB, in a process that has room for 40 MB."""
    generator, room, n = np.random.default_rng(1), 40_000_000, 5
    block = generator.integers(ord("a"), ord("z") + 1, 10_000_000, dtype=np.uint8)
    block[999::1000] = ord("\n")
    with tempfile.TemporaryDirectory() as folder:
        path, env = Path(folder) / "list.txt", {**os.environ, "XDG_CACHE_HOME": folder}
        with path.open("wb") as file:
            file.writelines([block.tobytes()] * n)
        assert path.stat().st_size > room
        for on_disk, says in (("no", "no memory\n"), ("yes", f"{8 * n * block.size // 10 + 1} new\n")):
            command = [sys.executable, "-c", LIMITED, str(path), str(Path(folder) / "run"), str(room), on_disk]
            assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout == says
