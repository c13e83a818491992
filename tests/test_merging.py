"""Merged runs of parts of a list: the run of the whole list, to the last bit."""

import pickle
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from safetensors.numpy import load_file, save_file

import moreish
from moreish import Corpus, InputError, Run
from moreish.cli import run
from moreish.corpus import PARTS
from moreish.ngram import PADDED, SMOOTHINGS, count_tables, smoothed

ALPHABETS = ("abcdefg", "aeкдж", "aemnopqrsту")


def counted(words, **options: Any) -> Run:
    given: dict[str, Any] = {"split": "hash", "order": 3, **options}
    return moreish.train(words, "ngram", **given)


def divided(words: list[str], n: int, generator: random.Random) -> list[list[str]]:
    """Divide words into n parts at random, of different sizes; the words of a part stay in order."""
    shares = [generator.uniform(0.5, 1) for _ in range(n)]
    numbers = generator.choices(range(n), shares, k=len(words))
    return [[word for word, number in zip(words, numbers, strict=True) if number == part] for part in range(n)]


def merged_at_random(runs: list[Run], generator: random.Random) -> Run:
    """Merge runs in a random tree, with their order shuffled at every node."""
    runs = list(runs)
    while len(runs) > 1:
        generator.shuffle(runs)
        n = generator.randint(2, len(runs))
        runs = [moreish.merge(runs[:n]), *runs[n:]]
    return runs[0]


def assert_same_model(one: Run, other: Run):
    assert one.model.config == other.model.config
    assert one.model.vocab == other.model.vocab
    assert one.model.arrays.keys() == other.model.arrays.keys()
    for name, array in one.model.arrays.items():
        assert array.dtype == other.model.arrays[name].dtype, name
        assert array.tobytes() == other.model.arrays[name].tobytes(), name
    for part in PARTS:
        np.testing.assert_array_equal(one.corpus.stream(part), other.corpus.stream(part))


@pytest.mark.parametrize("seed", range(12))
def test_parts_merged_in_any_tree_are_the_whole(seed):
    generator = random.Random(seed)
    alphabet = generator.choice(ALPHABETS)
    words = made_up_words(600, seed, alphabet)  # short: many words are in several parts
    options = {"order": generator.choice((1, 2, 3, 5, 8)), "smoothing": SMOOTHINGS[seed % 4]}
    parts = divided(words, generator.randint(2, 5), generator)
    assert any(set(one) & set(other) for one in parts for other in parts if one is not other)
    merged = merged_at_random([counted(part, **options) for part in parts], generator)
    assert_same_model(merged, counted(words, **options))
    assert Counter(merged.corpus.words) == Counter(words)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [4, 40])
def test_parts_with_other_characters_are_the_whole(smoothing, order):
    """With order 40 a window is too long to be one number."""
    parts = [made_up_words(150, seed, alphabet) for seed, alphabet in enumerate(("bcda", "éíxyz", "дж", "🌙🌚ae"))]
    generator, options = random.Random(5), {"order": order, "smoothing": smoothing}
    whole = counted([word for part in parts for word in part], **options)
    runs = [counted(part, **options) for part in parts]
    assert all(len(part.model.vocab) < len(whole.model.vocab) for part in runs)
    for _ in range(3):
        assert_same_model(merged_at_random(runs, generator), whole)


def test_runs_merged_in_order_are_the_run_of_the_whole_list():
    words = made_up_words(500)
    whole, runs = counted(words), [counted(words[a:b]) for a, b in ((0, 120), (120, 390), (390, 500))]
    for merged in (moreish.merge(runs), moreish.merge([runs[0], moreish.merge(runs[1:])])):
        assert_same_model(merged, whole)
        assert merged.corpus.identity == whole.corpus.identity
        assert merged.loss == whole.loss
        assert merged.model.sample(20, seed=3) == whole.model.sample(20, seed=3)


def test_kept_counts_change_no_probability():
    """The tables made from kept counts are those that are counted directly."""
    for smoothing in SMOOTHINGS:
        found = counted(made_up_words(400), smoothing=smoothing, order=5)
        corpus = found.corpus
        tables = count_tables(corpus.stream("train"), 5, len(corpus.vocab), padded=smoothing in PADDED)
        for name, array in smoothed(tables, smoothing, 1.0, corpus.stream("val")).items():
            assert array.tobytes() == found.model.arrays[name].tobytes(), name


def test_kept_counts_are_those_of_all_windows():
    found, order = counted(made_up_words(300, alphabet="abcé"), order=4), 4
    expected = Counter()
    for word in found.corpus.parts["train"]:
        tokens = [0] * (order - 1) + [*found.model.vocab.encode(word), 0]
        expected.update(tuple(tokens[i : i + order]) for i in range(len(word) + 1))
    windows, counts = found.model.arrays["windows"], found.model.arrays["counts"]
    in_order = sorted(expected, key=lambda window: (*window[-2::-1], window[-1]))  # by the nearest token first
    assert [tuple(window) for window in windows.tolist()] == in_order
    assert counts.tolist() == [expected[window] for window in in_order]


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_added(seed):
    generator, options = random.Random(seed), {"smoothing": SMOOTHINGS[seed], "order": 4}
    words = made_up_words(800, seed)
    parts = divided(words, 3, generator)
    runs = [counted(Counter(part), **options) for part in parts]
    whole = counted(Counter(words), **options)
    merged = merged_at_random(runs, generator)
    assert_same_model(merged, whole)
    for found in (merged, whole):
        assert found.corpus.words.weights is not None
        assert dict(zip(found.corpus.words, found.corpus.words.weights, strict=True)) == Counter(words)
    repeated = merged_at_random([counted(part, **options) for part in parts], generator)
    np.testing.assert_array_equal(repeated.model.arrays["counts"], merged.model.arrays["counts"])


def test_a_run_may_be_merged_alone_pickled_saved_or_made_by_a_generator(tmp_path):
    words = made_up_words(400)
    parts = [words[:150], words[150:]]
    expected = moreish.merge([counted(part) for part in parts])
    assert_same_model(moreish.merge([expected]), expected)
    sent = (pickle.loads(pickle.dumps(counted(part))) for part in parts)
    assert_same_model(moreish.merge(sent), expected)
    folders = [tmp_path / str(len(part)) for part in parts]
    for part, folder in zip(parts, folders, strict=True):
        counted(part).save(folder)
    expected.save(tmp_path / "merged")
    assert_same_model(moreish.merge(folders), moreish.load(tmp_path / "merged"))


def test_a_merged_run_may_have_another_smoothing():
    words = made_up_words(500)
    runs = [counted(words[:200], smoothing="witten-bell"), counted(words[200:], smoothing="kneser-ney")]
    for options in ({"smoothing": "fitted"}, {"smoothing": "additive", "added": 0.1}):
        given: dict[str, Any] = options
        assert_same_model(moreish.merge(runs, **given), counted(words, **given))


def test_a_mixture_of_runs_with_counts_leaves_them_out():
    words = made_up_words(400)
    runs = [counted(words), moreish.train(words, "bigram-counts", split="hash")]
    mixture = moreish.mix(runs)
    assert not any("windows" in name or "counts" in name for name in mixture.model.arrays)
    inside = moreish.train(words, "gru", n_hidden=4, steps=3, with_ngram=runs[0], split="hash")
    assert not any("windows" in name for name in inside.model.arrays)


def test_the_hash_split_puts_a_word_in_the_same_part_of_every_list():
    words = [*made_up_words(20_000, alphabet="abcdefghijk"), "\0", "a\0", "é", "日本"]
    whole = Corpus(words, "hash")
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        distinct = len(set(whole.parts[part])) / len(set(words))
        assert distinct == pytest.approx(share, abs=0.02)
    of_word = {word: part for part in PARTS for word in whole.parts[part]}
    assert sum(len(set(whole.parts[part])) for part in PARTS) == len(of_word)  # each word is in one part
    shuffled = random.Random(3).sample(words, len(words))
    for part in PARTS:
        assert Corpus(shuffled, "hash").parts[part] == whole.parts[part]
        assert all(of_word[word] == part for word in Corpus(shuffled[:900], "hash").parts[part])
    other = Corpus(words, "hash", split_seed=7)
    assert set(other.parts["val"]) != set(whole.parts["val"])


def test_the_hash_split_keeps_lines_of_a_word_together():
    words = made_up_words(900)
    labels = random.Random(1).choices("xy", k=len(words))
    listed = moreish.WordList.of(words).with_labels(labels)
    corpus, plain = Corpus(listed, "hash"), Corpus(words, "hash")
    assert corpus.split == "hash"
    for part in PARTS:
        assert corpus.parts[part] == plain.parts[part]


def test_a_list_too_short_for_the_hash_split_is_refused():
    with pytest.raises(InputError, match="the hash split leaves test empty, as the list has only 6 words"):
        Corpus(["ann", "bob", "eve", "joe", "kim", "lee"], "hash", split_seed=1)


WORDS = made_up_words(300)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda: moreish.train(WORDS, "mlp", steps=1, split="hash"), "run 2 is an mlp: only counts merge"),
        (lambda: counted(WORDS, split="lecture"), "--split lecture may put a word into train in one part and into val"),
        (lambda: counted(WORDS, at_least=2), "--at-least 2 leaves out what is rare in one part"),
        (lambda: counted(WORDS, order=4), "run 2 has --order 4, and run 1 has --order 3"),
        (
            lambda: counted(WORDS, smoothing="additive"),
            "run 2 has --smoothing additive, and run 1 has --smoothing fitted",
        ),
        (lambda: counted(WORDS, added=2), "run 2 has --added 2, and run 1 has --added 1"),
        (lambda: counted(WORDS, split_seed=7), "run 2 has --split-seed 7, and run 1 has --split-seed 42"),
        (lambda: counted(Counter(WORDS)), "run 2 has weights, and run 1 has none"),
        (lambda: counted(Counter(WORDS), weight_power=0.5), "with --weight-power 0.5, a word that is in several parts"),
        (lambda: counted(dict.fromkeys(WORDS, 0.5)), "weights that are not whole numbers"),
        (lambda: counted(WORDS, labels=["x", "y"] * 150), "labels, whose counts are not kept"),
    ],
)
def test_runs_whose_counts_have_no_exact_sum_are_refused(other, says):
    with pytest.raises(InputError, match=says):
        moreish.merge([counted(WORDS), other()])


def test_nothing_and_too_much_are_refused():
    with pytest.raises(InputError, match="there is nothing to merge"):
        moreish.merge([])
    with pytest.raises(InputError, match="more than 1e-05 GB: give more, with --memory"):
        moreish.merge([counted(WORDS)], memory=1e-5)
    with pytest.raises(InputError, match="--smoothing"):
        moreish.merge([counted(WORDS)], smoothing="none")
    with pytest.raises(InputError, match="run 2 is 3: give a run, or its folder"):
        moreish.merge([counted(WORDS), 3])  # type: ignore[list-item]


def test_a_folder_that_is_given_twice_is_refused(tmp_path):
    run = counted(WORDS).save(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for other in (run, tmp_path / "run", str(tmp_path / "other" / ".." / "run"), tmp_path / "link"):
        (tmp_path / "other").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="given twice: its words would count twice"):
            moreish.merge([tmp_path / "run", other])
    assert_same_model(moreish.merge([counted(WORDS), counted(WORDS)]), moreish.merge([counted(2 * WORDS)]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: arrays["windows"].__setitem__((0, 0), 200),
        lambda arrays: arrays["counts"].__setitem__(0, 0),
        lambda arrays: arrays.update(counts=arrays["counts"][1:]),
        lambda arrays: arrays.update(counts=arrays["counts"].astype(np.float64)),
        lambda arrays: arrays.update(windows=arrays["windows"][:, 1:].copy()),
        lambda arrays: arrays.update(windows=arrays["windows"][::-1].copy()),
        lambda arrays: arrays.update(windows=arrays["windows"][:0], counts=arrays["counts"][:0]),
    ],
)
def test_damaged_counts_are_refused(damage, tmp_path, capsys):
    path: Path = tmp_path / "part"
    counted(WORDS).save(path)
    arrays = {name: array.copy() for name, array in load_file(path / "model.safetensors").items()}
    damage(arrays)
    save_file(arrays, path / "model.safetensors")
    assert run(["merge", str(path), "--out", str(tmp_path / "merged")]) == 2
    assert f"{path} is damaged (its counts do not fit together)" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_the_command_merges_the_runs_of_files(tmp_path, capsys):
    words = made_up_words(500)
    for name, some in (("a", words[:200]), ("b", words[200:]), ("whole", words)):
        (tmp_path / f"{name}.txt").write_text("\n".join(some))
        command = ["train", str(tmp_path / f"{name}.txt"), "--model", "ngram", "--split", "hash"]
        assert run([*command, "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    a, b, out = (str(tmp_path / name) for name in ("a", "b", "merged"))
    assert run(["merge", a, b, "--out", out]) == 0
    shown = capsys.readouterr().out
    assert f"saved in {out}" in shown
    for name in ("model.safetensors", "words.txt"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert moreish.load(out).loss == moreish.load(tmp_path / "whole").loss
    assert run(["merge", a, a, "--out", out + "2"]) == 2
    assert "is given twice, and its words would count twice" in capsys.readouterr().err
    assert run(["merge", a, b, "--out", out]) == 2
    assert "already holds a run" in capsys.readouterr().err


CLUSTER = """
import runpy, sys
from dask.distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        program, sys.argv[1] = sys.argv[1], cluster.scheduler_address
        runpy.run_path(program, run_name="__main__")
"""


def test_the_program_of_the_documentation_counts_on_two_workers(tmp_path):
    """The program as it is printed, with files of a list in place of those of several hosts."""
    pytest.importorskip("distributed")
    words, paths = made_up_words(700), [tmp_path / f"part-{letter}" for letter in "abc"]
    for path, some in zip(paths, (words[:150], words[150:400], words[400:]), strict=True):
        path.write_text("\n".join(some) + "\n")
    (tmp_path / "cluster.py").write_text(CLUSTER)
    program = Path(__file__).parents[1] / "docs/examples/count_with_dask.py"
    command = [sys.executable, tmp_path / "cluster.py", program, tmp_path / "whole", *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = moreish.load(tmp_path / "whole")
    assert found.corpus.words == words
    assert_same_model(found, counted(words, order=6, memory=32))
    assert str(found.loss) in done.stdout


def test_weights_whose_sums_are_not_exact_are_not_merged():
    words = made_up_words(400)
    half, n = 2.0**53 / sum(map(len, [f"{word}." for word in words])) // 1.5, len(words)
    one, other = (counted(words, weights=np.full(n, w)) for w in (half, half + 1))
    with pytest.raises(InputError, match="these runs cannot be merged exactly: .* more than 9,007,199,254,740,992"):
        moreish.merge([one, other])
    large = counted(words, weights=np.full(n, half * 2))
    with pytest.raises(InputError, match="cannot be merged exactly: .* more than 9,007,199,254,740,992"):
        moreish.merge([large, one])
    assert moreish.merge([one, counted(words, weights=np.full(n, 7.0))]).model.arrays["counts"].sum() > 2**51
