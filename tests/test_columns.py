"""Columns of tables: their names, weights and labels, what is wrong in them; tables that are too large for memory."""

import json
import re
from typing import Any

import numpy as np
import pytest
from list_files import KINDS, WORDS, N, labels_of, lines, refused
from test_reading_fuzz import PACKERS

import moreish
from moreish.cli import run
from moreish.corpus import MappedWords, mapped, words_of
from moreish.errors import InputError


def test_columns_have_names_numbers_and_keys(file):
    name = file("name,kind,n\n" + lines("{0},{1},{2}"), "a.csv")
    for column, kind, n in (("name", "kind", "n"), (1, 2, 3), ("1", "kind", 3)):
        words = moreish.read_words(name, column=column, weights=n, labels=kind)
        assert words == WORDS
        assert labels_of(words) == KINDS
        np.testing.assert_array_equal(words.weights, N)
    assert "no column 'nmae' for --column; did you mean name? (known: columns 1 (name), 2 (kind), 3 (n))" in refused(
        name, column="nmae"
    )
    assert "no column '4' for --weights" in refused(name, column=1, weights=4)
    for twice in ("weights", "labels"):
        assert f"--{twice} names the column of the words" in refused(name, column=1, **{twice: "name"})
    message = refused(name, column=1, labels="n", weights=3)
    assert message == "a.csv: --weights and --labels name the same column, 3 (n): choose another"
    counted = moreish.read_words(file(json.dumps(dict(zip(WORDS, N, strict=True))), "d.json"), weights="value")
    np.testing.assert_array_equal(counted.weights, N)
    assert moreish.read_words(file(json.dumps({"a": WORDS, "b": N}), "d.json"), column="a") == WORDS


@pytest.mark.parametrize("options", [{}, {"column": "value"}])
def test_the_keys_of_lists_may_be_labels(options, file):
    kinds = {kind: [word for word, k in zip(WORDS, KINDS, strict=True) if k == kind] for kind in ("dog", "cat")}
    name = file(json.dumps({"about": "pets", **kinds}), "pets.json")
    words = moreish.read_words(name, labels="key", **options)
    assert words == [*kinds["dog"], *kinds["cat"]]
    assert labels_of(words) == ["dog"] * KINDS.count("dog") + ["cat"] * KINDS.count("cat")
    message = refused(name)
    assert "a JSON object with 2 lists ('dog', 'cat'): read one with: moreish train pets.json --column cat" in message
    assert message.endswith("(or take all, with their keys as labels, with --labels key)")


def test_a_header_is_told_from_a_row(file):
    """By numbers below it, by a usual name, or because it is not one of the few values below it."""
    assert moreish.read_words(file("Wort,x\n" + lines("{0},{2}")), column=1) == WORDS
    assert moreish.read_words(file("Surname,x\n" + lines("{0},{0}y")), column=1) == WORDS
    assert moreish.read_words(file("Wort,Tier\n" + lines("{0},{1}")), column=1) == WORDS
    assert moreish.read_words(file(lines("{0},{1}")), column=1) == WORDS
    assert moreish.read_words(file("Wort,Zahl\n" + lines("{0},x{2}")), column="Wort") == WORDS


def test_weights_and_labels_that_are_wrong_have_their_place(file, capsys):
    good = lines("{0},{1},{2}")
    options: dict[str, Any] = {"column": 1, "weights": 3, "labels": 2}
    for bad in ("", "x", "-1", "nan", "inf", "1e999", "1,5"):
        message = refused(file(good.replace("dog,7", f'dog,"{bad}"')), **options)
        assert message.startswith(f"list.txt:2: the weight of 'Béla' is {bad!r}: it must be a number")
    assert refused(file(good.replace("dog,7", ",7")), **options).startswith("list.txt:2: 'Béla' has no label")
    counted = moreish.read_words(file(good.replace("dog,7", 'dog,"1,234.5"')), **options)
    np.testing.assert_array_equal(counted.weights, [N[0], 1234.5, *N[2:]])
    assert refused(file('["Anna", null, 3]', "a.json")).startswith("a.json: item 3: the word is 3")
    name = file(good.replace("dog,7", "dog,0").replace("Clara", " "))
    assert run(["words", name, "--column", "1", "--weights", "3", "--labels", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "1 row without a word left out, 1 line with weight 0 left out" in err
    found = json.loads(out)
    assert (found["words"], found["weights"]) == (10, sum(N) - 7 - 667)
    assert found["labels"] == {"cat": 6, "dog": 4}
    assert run(["words", name, "--column", "1", "--weights", "3", "--labels", "2"]) == 0
    assert re.search(rf"sum of weights +{sum(N) - 7 - 667:,} *\nlabels +cat 6, dog 4", capsys.readouterr().out)


def test_a_table_of_which_no_word_is_left_is_refused_with_the_reason(file):
    name = file(lines("{0},0", WORDS))
    assert refused(name, weights=2).startswith("list.txt: all weights are 0")
    name = file("name,kind,n\n" + lines(",{0},{1}", KINDS, N), "a.csv")
    assert refused(name, column="name").startswith("a.csv: the column of the words is empty")
    assert refused(file('["", null]', "a.json")).startswith("a.json: the column of the words is empty")


def test_fields_may_hold_separators_and_line_breaks(file):
    name = file('word;note\n"Anna;\nMaria";"a ""b""\nc"\n Ben ;d\n\n"Carl, Emil";e\n', "a.csv")
    words = moreish.read_words(name, column="word", labels="note")
    assert words == ["Anna; Maria", "Ben", "Carl, Emil"]
    assert labels_of(words) == ['a "b" c', "d", "e"]


def test_hunspell_words_lose_flags_and_fields_and_keep_escaped_slashes(file):
    text = "5\nanna/MS\nand\\/or/S\nben po:noun\nclara/A st:c is:d\nNew York/S\tnoun\n"
    assert moreish.read_words(file(text, "xx.dic")) == ["anna", "and/or", "ben", "clara", "New York"]


def test_bundled_lists_and_resumed_runs_take_no_list_options(file, capsys):
    for source in (None, "places"):
        with pytest.raises(InputError, match=f"bundled list {source or 'names'} takes no --column, --format"):
            words_of(source, column=1, format="csv")
    assert run(["train", "--resume", "runs/x", "--column", "2"]) == 2
    assert "without a file or other options" in capsys.readouterr().err
    assert run(["train", file("a\n"), "--format", "xls"]) == 2
    assert "unknown --format xls" in capsys.readouterr().err


# Large files


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """Treat every list as large and process it in small pieces."""
    monkeypatch.setattr(mapped, "MAX_IN_MEMORY", 100)
    monkeypatch.setattr("moreish.corpus.reading.SAMPLE_SIZE", 60)
    monkeypatch.setattr("moreish.corpus.packed.BLOCK_SIZE", 50)
    monkeypatch.setattr("moreish.corpus.columns.WORDS_PER_PIECE", 3)
    monkeypatch.setattr("moreish.corpus.tables.SAMPLE_ROWS", 4)
    monkeypatch.setattr(mapped, "prepared_folder", lambda: tmp_path / "prepared")


@pytest.mark.parametrize("packed", [bytes, *PACKERS])
@pytest.mark.parametrize("pattern", ["{0},{1},{2}", '["{0}", "{1}", {2}]'])
def test_a_large_table_goes_to_the_disk_with_its_columns(pattern, packed, on_disk, file):
    name = file(packed(lines(pattern, WORDS * 20, KINDS * 20, N * 20).encode()))
    words = moreish.read_words(name, column=1, weights=3, labels=2)
    assert isinstance(words, MappedWords)
    assert words == WORDS * 20
    assert words.weights is not None
    assert words.weights.tolist() == N * 20
    assert labels_of(words) == KINDS * 20


def test_a_large_packed_text_goes_to_the_disk_in_any_encoding(on_disk, file):
    words = moreish.read_words(file(PACKERS[1](lines("{0}", WORDS * 30).encode("utf-16"))), encoding="utf-16")
    assert isinstance(words, MappedWords)
    assert words == WORDS * 30


def test_a_large_json_file_is_refused_with_the_way_out(on_disk, file):
    message = refused(file(json.dumps(WORDS * 30, indent=1), "my list.json"))
    assert message.startswith("my list.json: JSON of more than 0 MB: make JSON lines of it first")
    listed = "\n".join(map(json.dumps, WORDS * 30))
    assert moreish.read_words(file(listed, "list.jsonl")) == WORDS * 30
