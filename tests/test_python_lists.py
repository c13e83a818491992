"""Lists from Python: mappings, sets, columns of data frames, arrays; and what is no list of words."""

import os
import subprocess
import sys
from collections import Counter
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.corpus import WordList
from moreish.errors import InputError

WORDS = made_up_words(60, seed=4)


class Column:
    """A column of a data frame: it yields its values."""

    def __init__(self, values: list[Any]):
        self.values = values

    def __iter__(self):
        return iter(self.values)


class Frame:
    """A data frame: it yields the names of its columns."""

    def __init__(self, **columns: list[Any]):
        self.columns = list(columns)

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize("made", [list, tuple, iter, np.array, Column, lambda words: (word for word in words)])
def test_anything_that_yields_words_is_a_list(made):
    assert WordList.of(made(WORDS)) == WORDS
    assert WordList.of(made(WORDS)).weights is None


@pytest.mark.parametrize("made", [Counter, dict, MappingProxyType])
def test_a_mapping_has_weights_and_leaves_out_those_of_0(made):
    words = WordList.of(made({"ann": 3, "bob": 0, "eve": np.float64(0.5), "joe": 7}))
    assert words == ["ann", "eve", "joe"]
    assert words.weights is not None
    assert words.weights.tolist() == [3, 0.5, 7]
    for bad in ("3", None, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"weight.* (of|has the weight)? ?.*'?(ann|None|3|nan|inf|-1)"):
            WordList.of(made({"ann": bad}))


def test_the_words_of_a_set_are_sorted_so_that_a_seed_means_something():
    code = (
        "import moreish; words = {" + ", ".join(map(repr, WORDS)) + "}\n"
        "print(moreish.train(words, 'bigram-counts').model.sample(3, seed=1))"
    )
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        found.add(done.stdout)
    assert len(found) == 1
    assert "[" in found.pop()
    assert WordList.of(frozenset(WORDS)) == sorted(set(WORDS))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ann", "bob", float("nan")], "word 3 is nan: every word must be text"),
        (["ann", 3], "word 2 is 3: "),
        ([b"ann"], "word 1 is b'ann': "),
        ({"ann", None}, "a word of the set is None: "),
        ({"ann": 1, 2: 1}, "word 2 is 2: "),
        (Column(["ann", None]), "word 2 is None: "),
        (np.array([["ann", "bob"], ["eve", "joe"]]), r"word 1 is array\("),
        (np.arange(3), "word 1 is np.int64"),
        (Frame(name=WORDS, n=[1]), r"a table with the columns 'name', 'n': give one of them, such as df\[\"name\"\]"),
        (b"ann", "is a single bytes object"),
        (7, "7 is not a list of words: give a list of words, or the file to read_words"),
        (["ann", ""], "word 2 is ''"),
    ],
)
def test_what_is_no_list_of_words_is_refused_in_one_line(words, says):
    with pytest.raises(InputError, match=says) as caught:
        moreish.train(words, "bigram-counts")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=says):
        moreish.train(words)


def test_a_path_and_an_open_file_are_no_lists_of_words(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("ann\nbob\n" * 5)
    with path.open() as file:
        for words in (path, file, None):
            with pytest.raises(InputError, match="is not a list of words: give a list of words, or the file"):
                moreish.train(words)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_data_frames_are_lists(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"name": WORDS, "n": list(range(len(WORDS)))})
    assert WordList.of(frame["name"]) == WORDS
    with pytest.raises(InputError, match='such as df."name".'):
        WordList.of(frame)
    with pytest.raises(InputError, match="word 2 is "):
        WordList.of(frames.Series(["ann", None]))
