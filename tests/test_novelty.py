"""Novelty: distances, substrings and shares against brute force, and the verdicts on known models."""

import json
import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given
from hypothesis import strategies as st

import moreish
from moreish import InputError, plots
from moreish.analysis import novelty
from moreish.analysis.neighbours import Similarity, longest_shared, nearest
from moreish.analysis.novelty import memorisation_ratio
from moreish.cli import run
from moreish.corpus import WordList

ODD = "aé\u0301字𐍈 \U0001f600"  # marks, characters beyond 16 bits, a space
WORDS = st.lists(st.text(ODD, min_size=1, max_size=7), min_size=1, max_size=12)


def levenshtein(a: str, b: str) -> int:
    """Edit distance, row by row of its table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def longest_substring(word: str, listed) -> int:
    """Length of the longest substring of a word that occurs in one of a list."""
    substrings = (word[i:j] for i in range(len(word)) for j in range(i + 1, len(word) + 1))
    return max((len(s) for s in substrings if any(s in other for other in listed)), default=0)


def check(words: list[str], listed: WordList, block=(512, 1000), listed_per_pass=1000) -> None:
    """Compare both searches with brute force."""
    distances, places = nearest(words, listed, block=block)
    for word, distance, place in zip(words, distances.tolist(), places.tolist(), strict=True):
        assert distance == min(levenshtein(word, other) for other in listed)
        closest = [i for i, other in enumerate(listed) if levenshtein(word, other) == distance]
        assert place == min(closest, key=lambda i: (abs(len(listed[i]) - len(word)), len(listed[i]), i))
    lengths, sources = longest_shared(words, listed, listed_per_pass=listed_per_pass)
    assert lengths.tolist() == [longest_substring(word, listed) for word in words]
    for word, length, source in zip(words, lengths.tolist(), sources.tolist(), strict=True):
        having = [i for i, other in enumerate(listed) if length and longest_substring(word, [other]) == length]
        assert source == min(having, default=-1)


@given(WORDS, WORDS)
def test_distances_and_substrings_are_those_of_brute_force(words, listed):
    check(words, WordList.of_text("".join(f"{word}\n" for word in listed)))


def test_the_size_of_blocks_does_not_change_them():
    generator = random.Random(5)
    words, listed = (
        ["".join(generator.choices("abc", k=generator.randint(1, 12))) for _ in range(n)] for n in (30, 60)
    )
    check(words, WordList.of(listed), block=(4, 7), listed_per_pass=11)


def test_words_of_any_length_are_compared():
    long = "ab" * 400
    listed = WordList.of(["x" * 300, long[:-1], "b"])
    distances, places = nearest([long, "a", "y" * 700], listed)
    assert distances.tolist() == [1, 1, 700]
    assert places[:2].tolist() == [1, 2]
    assert [array.tolist() for array in longest_shared([long, "x" * 301, "q"], listed)] == [[799, 300, 0], [1, 0, -1]]
    assert nearest([], listed)[0].tolist() == longest_shared([], listed)[0].tolist() == []


def test_progress_is_reported():
    told = []
    nearest(["a", "bb", "cc", "ddd"], WordList.of(["a", "b"]), told.append)
    assert told == [1, 3, 4]


@pytest.mark.parametrize("split", ["lecture", "distinct"])
@pytest.mark.parametrize("model", ["bigram-counts", "ngram"])
def test_every_figure_is_that_of_a_count(words, split, model):
    trained = moreish.train(moreish.Corpus(words, split), model)
    parts = trained.corpus.parts
    found = moreish.novelty(trained, 300, seed=3)
    drawn = trained.model.sample(300, seed=3)
    held_out = [*parts["val"], *parts["test"]]
    train = set(parts["train"])
    for told, group in ((found.samples, drawn), (found.held_out, held_out)):
        assert told.words == len(group)
        assert told.copies == sum(word in train for word in group)
        assert told.distinct == len(set(group))
        assert told.among_first == len(set(group[: min(300, len(held_out))]))
        assert [row.word for row in told.neighbours] == group
        for row in told.neighbours[:40]:
            assert row.nearest in train
            assert row.distance == levenshtein(row.word, row.nearest) == min(levenshtein(row.word, w) for w in train)
            assert row.shared == longest_substring(row.word, train)
        least = np.array([min(row.distance, 3) for row in told.neighbours])
        assert list(told.distances.values()) == pytest.approx([(least == d).mean() for d in range(4)])
        assert told.mean_distance == pytest.approx(np.mean([row.distance for row in told.neighbours]))
        shares = [row.shared / len(row.word) for row in told.neighbours]
        counted = Counter(
            "under half" if s < 0.5 else "under 3/4" if s < 0.75 else "under all" if s < 1 else "all of it"
            for s in shares
        )
        assert told.pieces == pytest.approx({name: counted[name] / len(shares) for name in told.pieces})
        assert told.mean_piece == pytest.approx(np.mean(shares))
    assert found.hits == sum(word not in train and word in held_out for word in drawn)
    assert [row.seen for row in found.samples.neighbours] == [trained.corpus.mark(word) for word in drawn]


def test_a_share_has_wilsons_interval(words):
    told = moreish.novelty(moreish.train(words, "bigram-counts"), 200).samples
    for end in told.interval or ():
        # The ends are where the score test of a share just fails: Wilson 1927.
        assert abs(told.copied - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 200), rel=1e-5)


def test_a_difference_has_newcombes_interval():
    """Newcombe 1998, table II: 56 of 70 and 48 of 80."""
    one, other = (Similarity(n, k, n, n, n, []) for k, n in ((56, 70), (48, 80)))
    found = novelty.Novelty(one, other, 0, True, None, None)
    assert found.difference == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert "copies more often" in found.verdicts[0]


class Copying:
    """A model that draws nothing but the words that it has memorised."""

    def __init__(self, words):
        self.words = list(words)

    def sample(self, n, *, seed, **options):
        return random.Random(seed).choices(self.words, k=n)


def copying(corpus: moreish.Corpus, *parts: str) -> moreish.Run:
    """Return a run whose model draws the words of some parts."""
    trained = moreish.train(corpus, "bigram-counts")
    trained.model = Copying([word for part in parts for word in corpus.parts[part]])  # type: ignore[assignment]
    return trained


@pytest.fixture(scope="module")
def varied() -> list[str]:
    """Words, some of them repeated, as in a list of names."""
    generator = random.Random(8)
    once = list(dict.fromkeys("".join(generator.choices("abcdefghij", k=generator.randint(2, 7))) for _ in range(900)))
    return once + once[:200]


def test_a_model_that_copies_is_seen_to_copy_more_than_held_out_words_repeat(varied):
    for split in ("lecture", "distinct"):
        found = moreish.novelty(copying(moreish.Corpus(varied, split), "train"), 500)
        assert found.samples.copied == 1
        assert found.samples.distances["0"] == found.samples.mean_piece == 1
        assert found.memorisation_ratio == found.favour == math.inf
        assert (
            "ratio infinite: of the words that occur once in the list, the model drew train words and no held-out"
            in found.verdicts[1]
        )
        assert found.hits == 0
        assert found.repeats == (split == "lecture")
        assert ("copies more often" if split == "lecture" else "no baseline for copying") in found.verdicts[0]
        assert not found.examples()["one edit away"]


def test_a_model_that_draws_from_all_of_the_list_has_memorised_nothing(varied):
    for split in ("lecture", "distinct"):
        corpus = moreish.Corpus(varied, split)
        found = moreish.novelty(copying(corpus, "train", "val", "test"), 2000, seed=1)
        low, high = found.memorisation_interval or (math.nan, math.nan)
        assert (low, high) == found.favour_interval
        assert low < 1 < high
        assert "as often as held-out words: no sign of memorisation" in found.verdicts[1]
        assert found.hits > 100


def test_a_model_that_draws_only_held_out_words_has_a_ratio_of_zero(varied):
    corpus = moreish.Corpus(varied)
    found = moreish.novelty(copying(corpus, "val", "test"), 2000, seed=1)
    assert found.memorisation_ratio == 0
    assert "the model drew held-out words and no train words" in found.verdicts[1]
    assert "no significant difference" in found.verdicts[0], "the samples are held-out words"


def test_the_memorisation_ratio_is_a_ratio_of_means_and_its_interval_covers_it(varied):
    corpus = moreish.Corpus(varied)
    times = Counter(varied)
    once = {part: [word for word in words if times[word] == 1] for part, words in corpus.parts.items()}
    assert {part: corpus.stand_once(part).sum() for part in once} == {part: len(found) for part, found in once.items()}
    held_out = once["val"] + once["test"]
    generator, covered, rate = random.Random(4), 0, 3.0
    for _ in range(200):
        drawn = generator.choices(
            once["train"] + held_out, weights=[rate] * len(once["train"]) + [1.0] * len(held_out), k=600
        )
        counts = Counter(drawn)
        ratio, interval = memorisation_ratio(drawn, corpus)
        means = [sum(counts[word] for word in words) / len(words) for words in (once["train"], held_out)]
        assert ratio == pytest.approx(means[0] / means[1])
        low, high = interval or (math.nan, math.nan)
        assert low < means[0] / means[1] < high
        covered += low < rate < high
    assert 180 <= covered <= 199, "a 95% interval"


def test_an_overfitted_model_copies_more_than_a_random_one():
    varied = made_up_words(3000, alphabet="abcdefghijklmnop")
    corpus = moreish.Corpus(varied, "distinct")
    copies, random_ones = (
        moreish.novelty(moreish.train(corpus, "ngram", order=order, smoothing="additive", added=1e-9), 2000)
        for order in (10, 1)
    )
    assert copies.samples.copied > 0.95 > 0.5 > random_ones.samples.copied
    assert copies.samples.mean_distance < random_ones.samples.mean_distance
    assert copies.samples.mean_piece > random_ones.samples.mean_piece


def test_too_few_words_are_said_to_be_too_few():
    few = moreish.train(["a", "b", "c", "ab", "ba", "cc", "a"], "bigram-counts")
    found = moreish.novelty(few, 5)
    assert found.samples.interval is None
    assert found.difference is None
    assert found.memorisation_ratio is None
    assert "too few words to tell" in found.verdicts[0]
    assert "the model drew too few" in found.verdicts[1]
    assert all(len(row) == 3 for row in found.table()[1])


def test_for_a_long_list_only_the_first_words_are_searched(words, monkeypatch):
    trained = moreish.train(words, "bigram-counts")
    all_of_it = moreish.novelty(trained, 200)
    monkeypatch.setattr(novelty, "MOST_PAIRS", 30 * len(trained.corpus.parts["train"]))
    monkeypatch.setattr(novelty, "FEWEST_SEARCHED", 25)
    found = moreish.novelty(trained, 200)
    assert found.samples.neighbours == found.samples.kin == all_of_it.samples.neighbours[:30]
    assert found.samples.copies == all_of_it.samples.copies
    assert found.as_json()["samples"]["searched"] == 30
    assert ["rows below: only the first", "30", "30"] in found.table()[1]
    monkeypatch.setattr(novelty, "MOST_PAIRS", 1)
    assert len(moreish.novelty(trained, 200).samples.neighbours) == 25


def test_samples_may_be_as_long_as_the_words_of_the_list():
    long = moreish.train(["ab" * 60, "ba" * 60, "ab" * 50, "ba" * 70, "a" * 99, "b" * 99] * 4, "ngram", order=4)
    found = moreish.novelty(long, 50)
    assert max(len(row.word) for row in found.samples.neighbours) > 50


def test_examples_are_different_samples_of_their_kind(saved_run):
    found = moreish.novelty(saved_run, 2000)
    examples = found.examples(4)
    assert all(len({row.word for row in rows}) == len(rows) <= 4 for rows in examples.values())
    distinct = {row.word: row for row in found.samples.neighbours}.values()
    distances = [row.distance for row in examples["furthest from train"]]
    assert distances == sorted((row.distance for row in distinct), reverse=True)[:4]
    assert all(row.distance == 1 and row.seen == "new" for row in examples["one edit away"])
    assert all(row.seen in ("val", "test") for row in examples["in val or test"])


def test_the_same_seed_gives_the_same(saved_run):
    assert moreish.novelty(saved_run, 100) == moreish.novelty(saved_run, 100, seed=saved_run.options.seed)
    assert moreish.novelty(saved_run, 100, seed=1) != moreish.novelty(saved_run, 100, seed=2)
    assert moreish.novelty(saved_run, 30, temperature=0.0).samples.distinct == 1
    assert moreish.novelty(saved_run, 30, top_k=1).samples.distinct == 1


def test_the_command_prints_what_the_function_finds(saved_run, capsys):
    assert run(["novelty", str(saved_run.path), "-n", "400", "--seed", "7"]) == 0
    out = capsys.readouterr().out
    found = moreish.novelty(saved_run, 400, seed=7)
    assert all(verdict in out for verdict in found.verdicts)
    train = moreish.load(saved_run.path).corpus.parts["train"]
    for row in found.samples.neighbours:
        assert len(row.piece) == row.shared == longest_substring(row.word, train)
        assert row.piece in row.word
        assert row.piece in row.source
        assert row.source in train
    assert all(f"{row.piece} in {row.source}" in out for rows in found.examples().values() for row in rows)
    for row in found.table()[1]:
        assert any(all(cell in line for cell in row) for line in out.splitlines()), row
    assert run(["novelty", str(saved_run.path), "-n", "400", "--seed", "7", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"]["copies"] == found.samples.copies
    assert len(told["words"]) == 400
    assert set(told["words"][0]) == {"word", "seen", "nearest", "distance", "shared", "source"}
    assert told["verdicts"] == found.verdicts
    assert told["difference"] == pytest.approx(found.difference)
    assert told["memorisation_ratio"] == told["favour"] == pytest.approx(found.memorisation_ratio)
    assert told["memorisation_interval"] == told["favour_interval"] == pytest.approx(found.memorisation_interval)


@pytest.mark.parametrize(
    ("options", "said"),
    [(["-n", "0"], "at least 1"), (["--temperature", "-1"], "temperature"), (["--top-k", "-2"], "top-k")],
)
def test_wrong_requests_are_refused(saved_run, capsys, options, said):
    assert run(["novelty", str(saved_run.path), *options]) == 2
    assert said in capsys.readouterr().err
    with pytest.raises(InputError, match="at least 1"):
        moreish.novelty(saved_run, -1)


def test_the_picture_has_the_shares(saved_run):
    found = moreish.novelty(saved_run, 200)
    made: Any = plots.plot_novelty(found)
    *bars, below = made.axes
    told = ["less than half", "half to 3/4", "3/4 or more", "whole word"]
    for ax, of in zip(bars, ("distances", "pieces"), strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == pytest.approx([*getattr(found.held_out, of).values(), *getattr(found.samples, of).values()])
        names = told if of == "pieces" else ["0", "1", "2", "3 or more"]
        assert [label.get_text() for label in ax.get_xticklabels()] == names
    assert [row[0] for row in found.table()[1] if row[0].startswith("substring")] == [
        f"substring of train: {name}" for name in told
    ]
    (table,) = below.tables
    cells = {place: cell.get_text().get_text() for place, cell in table.get_celld().items()}
    pieces = found.longest_pieces(6)
    assert [cells[0, j] for j in range(3)] == ["new sample", "longest piece that is in a train word", "the train word"]
    assert [[cells[i, j] for j in range(3)] for i in range(1, len(pieces) + 1)] == [
        [row.word, row.piece, row.source] for row in pieces
    ]
    new = [row for row in found.samples.neighbours if row.seen != "train"]
    assert min(row.shared for row in pieces) >= sorted({row.word: row.shared for row in new}.values())[-len(pieces)]
