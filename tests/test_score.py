"""Scores: surprise, percentile, verdict; one by one, in batches, and by the command."""

import io
import itertools
import json
import math
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st

import moreish
from moreish import InputError, Scorer
from moreish.analysis.scoring import BAND, bands
from moreish.cli import run
from moreish.cli.score import LONGEST, read_lines
from moreish.models.model import UNKNOWN_NLL

ANY_WORDS = ["ba", "", "z", "bazad", "日本", "e\u0301", "\ud800", "\U0010ffff", "a\nb", "cd" * 500, "fafa"]


@pytest.fixture(scope="module")
def counted() -> moreish.Run:
    """An n-gram run of enough words for bands of several lengths."""
    return moreish.train(made_up_words(4000, seed=1), "ngram")


@pytest.fixture(scope="module", params=["ngram", "mlp"])
def named(request, names_file) -> moreish.Run:
    return moreish.train(moreish.read_words(names_file), request.param)


def test_a_score_is_the_closed_form_of_counted_pairs():
    words = ["ab", "a", "abb", "ba", "bab", "aab", "b"] * 10
    fitted = moreish.train(words, "bigram-counts")
    pairs = Counter(pair for word in fitted.corpus.parts["train"] for pair in zip(f".{word}", f"{word}.", strict=True))
    first = Counter(a for a, _ in pairs.elements())
    score = fitted.model.score("abba")
    expected = [-math.log((pairs[p] + 1) / (first[p[0]] + 3)) for p in zip(".abba", "abba.", strict=True)]
    assert score.per_char == pytest.approx(expected)
    assert score.nll == pytest.approx(sum(expected) / 5)
    assert score.bits == pytest.approx(sum(expected) / 5 / math.log(2))
    assert score.unknown == []


def test_without_an_alarm_there_is_no_verdict(saved_run):
    word, other = (moreish.Scorer(saved_run, alarm).score("bada") for alarm in (None, 0.1))
    assert (word.likely, other.likely) == (None, True)
    assert (word.percentile, word.per_char) == (other.percentile, other.per_char)


def test_an_unknown_character_costs_as_any_of_unicode_and_a_word_begins_after_it(saved_run, counted):
    assert math.log(sys.maxunicode + 1) == UNKNOWN_NLL
    for model in (saved_run.model, counted.model):
        whole = model.score("ba日deé")
        assert whole.unknown == [2, 5]
        assert whole.per_char[2] == whole.per_char[5] == UNKNOWN_NLL
        assert whole.per_char[:2] == model.score("ba").per_char[:2]
        assert whole.per_char[3:5] == model.score("de").per_char[:2]
        assert whole.per_char[6] == pytest.approx(-math.log(end_at_once(model)), rel=1e-5)
        assert model.score("e\u0301") == model.score("é")
    with pytest.raises(InputError, match="empty"):
        Scorer(counted).score("")


def end_at_once(model) -> float:
    """The probability that a word ends before it has begun."""
    return 1 - sum(math.exp(-model.score(c).per_char[0]) for c in model.vocab.characters)


def test_a_batch_is_its_words_one_by_one(saved_run, counted, monkeypatch):
    for fitted in (saved_run, counted):
        scorer = Scorer(fitted, alarm=0.1)
        words = [*ANY_WORDS, *fitted.corpus.parts["test"], *ANY_WORDS]
        together = list(scorer.scores(words))
        assert [score.word for score in together] == [unicodedata.normalize("NFC", word) for word in words]
        for word, score in zip(words, together, strict=True):
            if word:
                assert score == scorer.score(word)
                assert score.per_char == fitted.model.score(word).per_char
        for characters in (1, 50):
            monkeypatch.setattr("moreish.analysis.scoring.CHARACTERS", characters)
            batches = list(scorer.batches(iter(words)))
            assert [score for batch in batches for score in batch] == together
            assert len(batches) > 5
        columns = scorer.scores(words)
        assert len(columns) == len(words)
        assert columns.nll.tolist() == pytest.approx([score.nll for score in together])
        assert columns.bits.tolist() == pytest.approx([score.bits for score in together])
        assert list(scorer.scores([])) == list(scorer.batches([])) == []


def test_a_percentile_is_the_share_of_the_band_that_is_less_likely(counted):
    train, starts = list(counted.corpus.parts["train"]), bands(counted.corpus.parts["train"].lengths)
    assert len(starts) > 2
    scorer, nll = Scorer(counted, alarm=0.1), [counted.model.score(word).nll for word in train]

    def band(word: str) -> int:
        return max(i for i, start in enumerate(starts) if start <= len(word))

    for word in [*train[:20], "baba", "ffffff", "x", "ba" * 40]:
        mine = counted.model.score(word).nll
        others = [x for x, other in zip(nll, train, strict=True) if band(other) == band(word)]
        less_likely = sum(x > mine and not math.isclose(x, mine) for x in others)
        assert scorer.score(word).percentile == pytest.approx(100 * less_likely / len(others))


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=300), st.integers(1, 40))
def test_bands_have_enough_words_each(lengths, enough):
    starts = bands(np.array(lengths), enough).tolist()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    sizes = Counter(sum(start <= length for start in starts) for length in lengths)
    assert len(starts) == 1 or (len(sizes) == len(starts) and min(sizes.values()) >= enough)
    # No band could have ended earlier.
    for start, end in itertools.pairwise(starts):
        assert sum(start <= length < end - 1 for length in lengths) < enough


def test_of_few_words_all_lengths_are_one_band():
    assert bands(np.arange(1, BAND)).tolist() == [0]


def test_as_many_val_words_are_unlikely_as_the_alarm_allows(counted):
    """The k-th smallest is the threshold, and n - k are left: those with its own excess pass as it does."""
    val = list(counted.corpus.parts["val"])
    for alarm in (0.01, 0.05, 0.2, 0.5):
        k = math.ceil(round((1 - alarm) * (len(val) + 1), 6))
        likely = Scorer(counted, alarm).scores(val).likely.sum()
        assert k <= likely < k + max(Counter(val).values())


def test_the_rate_holds_over_splits():
    """Over many splits the mean share of test words that are called unlikely is the alarm, or less."""
    words, shares, alarm = moreish.bundled("dinosaurs"), [], 0.1
    for seed in range(40):
        corpus = moreish.Corpus(words, split_seed=seed)
        test = list(corpus.parts["test"])
        shares.append(1 - Scorer(moreish.train(corpus, "bigram-counts"), alarm).scores(test).likely.mean())
    error = np.std(shares) / math.sqrt(len(shares))
    assert alarm - 0.015 < np.mean(shares) < alarm + 3 * error


def test_the_rate_holds_on_names(named):
    n_val, test = len(named.corpus.parts["val"]), list(named.corpus.parts["test"])
    for alarm in (0.01, 0.02, 0.05, 0.1, 0.2):
        share = (~Scorer(named, alarm).scores(test).likely).mean()
        error = math.sqrt(alarm * (1 - alarm) * (1 / n_val + 1 / len(test)))
        assert abs(share - alarm) < 3 * error


def test_john_passes_and_xqzjk_does_not(named):
    for fitted in (named, moreish.train(moreish.bundled("names"), named.model.name)):
        scorer = Scorer(fitted)
        assert scorer.score("john").likely
        assert not scorer.score("xqzjk").likely


def test_an_alarm_that_val_cannot_calibrate_is_refused(saved_run):
    for alarm in (0, 1, -0.1, math.nan):
        with pytest.raises(InputError, match="a share between 0 and 1"):
            Scorer(saved_run, alarm)
    with pytest.raises(InputError, match=r"alarm is 0\.01: 40 val words are too few for less than 0\.0244"):
        Scorer(saved_run)  # 1/41
    assert Scorer(saved_run, 0.0244).score("ba").likely


def test_a_model_without_finite_losses_is_refused(saved_run):
    broken = moreish.Model(saved_run.model.config, saved_run.model.vocab)
    broken.params[:] = np.nan
    with pytest.raises(InputError, match="no numbers"):
        Scorer(moreish.Run(broken, saved_run.corpus, saved_run.options), 0.1).score("ba")


# The command


def command(monkeypatch, capsys, run_folder, *arguments: str, given: bytes = b"") -> str:
    """What `moreish score` prints for words on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert run(["score", str(run_folder), "--alarm", "0.1", *arguments]) == 0
    return capsys.readouterr().out


AWKWARD = b"\xef\xbb\xbfba\r\n\n \t \nc\\d\n\xff\xfebe\nb\tc\x1b\xc2\x85f\n\r\ncafe\xcc\x81\n fe \nend\rend"
READ = ["ba", "", "", "c\\d", "��be", "b\tc\x1b\x85f", "", "café", "fe", "end\rend"]
WRITTEN = ["ba", "", "", "c\\\\d", "��be", "b\\tc\\x1b\\x85f", "", "café", "fe", "end\\rend"]


def test_lines_of_input_are_lines_of_output(monkeypatch, capsys, saved_run):
    expected = list(Scorer(saved_run, 0.1).scores(READ))
    out = command(monkeypatch, capsys, saved_run.path, "-", given=AWKWARD)
    rows = [line.split("\t") for line in out.split("\n")[:-1]]
    assert [row[0] for row in rows] == WRITTEN
    for row, score in zip(rows, expected, strict=True):
        wanted = [f"{score.nll:.4f}", f"{score.bits:.4f}", f"{score.percentile:.2f}", str(score.likely).lower()]
        assert row[1:] == wanted
    for arguments in (("-", "--json"), ("--json", "-")):
        out = command(monkeypatch, capsys, saved_run.path, *arguments, given=AWKWARD)
        for line, score in zip(out.split("\n")[:-1], expected, strict=True):
            found: dict[str, Any] = json.loads(line)
            assert list(found) == ["word", "nll", "bits", "percentile", "likely", "chars", "unknown"]
            assert (found["word"], found["likely"], found["unknown"]) == (score.word, score.likely, score.unknown)
            assert found["nll"] == pytest.approx(score.nll, abs=1e-4)
            assert found["bits"] == pytest.approx(score.bits, abs=1e-4)
            assert found["percentile"] == pytest.approx(score.percentile, abs=1e-2)
            assert found["chars"] == pytest.approx(score.per_char, abs=1e-4)
    assert command(monkeypatch, capsys, saved_run.path, "-") == ""


class Pieces(io.BytesIO):
    """A stream that comes in small pieces."""

    def __init__(self, data: bytes, sizes: list[int]):
        super().__init__(data)
        self.sizes = sizes

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.sizes.pop() if self.sizes else 3)


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=40))
def test_words_do_not_depend_on_how_input_comes(sizes):
    words = [word for some in read_lines(Pieces(AWKWARD, sizes)) for word in some]
    assert [unicodedata.normalize("NFC", word) for word in words] == READ


def test_words_are_scored_as_they_come():
    """A program that asks word by word has each answer before it asks again."""
    assert list(read_lines(Pieces(b"ab\ncd\nef", [6, 3]))) == [["ab"], ["cd"], ["ef"]]


def test_a_very_long_line_is_scored_and_one_without_end_is_refused(monkeypatch, capsys, counted, tmp_path):
    counted.save(tmp_path / "run")
    long = b"ba" * 50_000
    out = command(monkeypatch, capsys, tmp_path / "run", "-", given=b"ba\n" + long + b"\nfe\n")
    assert [len(line.split("\t")[0]) for line in out.split("\n")] == [2, len(long), 2, 0]
    list(read_lines(io.BytesIO(b"a" * LONGEST + b"\n" + b"a" * LONGEST)))
    for endless in (b"\nab\n" + b"a" * (LONGEST + 1), b"a\nb\n" + b"a" * (LONGEST + 1) + b"\nb\n"):
        with pytest.raises(InputError, match="standard input:3: a line of more than 1,000,000 bytes"):
            list(read_lines(io.BytesIO(endless)))


def test_words_as_arguments(monkeypatch, capsys, saved_run):
    out = command(monkeypatch, capsys, saved_run.path, " ba ", "e\u0301", "\udcff", "--json")
    assert [json.loads(line)["word"] for line in out.splitlines()] == ["ba", "é", "�"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no words: give some, or -"),
        (("ba", " "), "an empty word has no score"),
        (("ba",), "too few for less than"),
        (("ba", "--alarm", "2"), "alarm is 2"),
    ],
)
def test_wrong_requests_are_refused(saved_run, capsys, arguments, says):
    assert run(["score", str(saved_run.path), *arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.out == ""


def test_a_terminal_shows_each_character(saved_run, monkeypatch, capsys):
    shown = {}
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for colour in (True, False):
        if not colour:
            monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        shown[colour] = command(monkeypatch, capsys, saved_run.path, "ba", "b日\x1b")
    score = Scorer(saved_run, 0.1).score("ba")
    assert "\x1b[32m" in shown[True]
    plain = shown[False]
    assert "\x1b[3" not in plain
    first, second = plain.split("\n")[:2]
    verdict = "likely" if score.likely else "unlikely"
    assert first.split() == [
        *("ba", f"{score.nll:.2f}", "nats", f"{score.bits:.2f}", "bits"),
        *("percentile", f"{score.percentile:.1f}", verdict),
    ]
    b, a, end = score.per_char
    assert second == f"  b {b:.1f}  a {a:.1f}  end {end:.1f}"
    assert "日 13.9?" in plain.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\\x1b" in plain


@pytest.mark.skipif(os.name == "nt", reason="no pipes that close early")
def test_a_reader_may_leave(saved_run, tmp_path):
    (tmp_path / "many.txt").write_text("ba\n" * 100_000)
    line = [sys.executable, "-m", "moreish", "score", str(saved_run.path), "-", "--alarm", "0.1"]
    with (tmp_path / "many.txt").open("rb") as words:
        done = subprocess.Popen(line, stdin=words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline().startswith(b"ba\t")
        done.stdout.close()
        errors = done.stderr.read()
        done.stderr.close()
    assert (done.wait(60), errors) == (0, b"")
