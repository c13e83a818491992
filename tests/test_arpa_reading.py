"""`moreish load FILE.arpa`: a run gives words the probabilities that its ARPA file gives them."""

import gzip
import math
import random
from collections import Counter
from pathlib import Path

import pytest
from arpa_reader import Reader, kenlm_model
from conftest import made_up_words

import moreish
from moreish.cli import run as run_command
from moreish.corpus import WordList
from moreish.export.arpa import data
from moreish.ngram import SMOOTHINGS
from moreish.ngram.arpa import Arpa
from moreish.plots import plot_architecture
from moreish.training.arpa import from_arpa

WORDS = made_up_words(300, seed=3)
NEW = ["gagagaga", "bcdfg", "aaaaaaaa", "g", "dagefe"]
SMALL = """\
\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-99\t<s>\t-0.25
-0.5\t</s>
-2\t<unk>
-0.4 a -0.3
-0.6\tb\t-0.1

\\2-grams:
-0.2\t<s> a
-0.7\ta b
-0.3\tb </s>
-1\ta <unk>

\\end\\
"""


def log10_p(model: moreish.Model, word: str) -> float:
    return -sum(model.score(word).per_char) / math.log(10)


def loaded(text: str, folder: Path, words: list[str]) -> moreish.Run:
    path = folder / "read.arpa"
    path.write_bytes(text.encode())
    return from_arpa(path, WordList.of(words))


def exported(run: moreish.Run) -> str:
    return b"".join(data(run)).decode()


def pruned(text: str, seed: int) -> str:
    """A file without some n-grams that are the context of no other, and with other numbers, as other programs write."""
    generator, reader = random.Random(seed), Reader(text)
    for gram in sorted(reader.p, key=len, reverse=True):
        needed = any(other[:-1] == gram for other in reader.p)
        if len(gram) > 1 and not needed and generator.random() < 0.6:
            del reader.p[gram]
    longest, lines = max(map(len, reader.p)), ["\\data\\"]
    by_order = {n: [gram for gram in reader.p if len(gram) == n] for n in range(1, longest + 1)}
    lines += [f"ngram {n}={len(grams)}" for n, grams in by_order.items()]
    for n, grams in by_order.items():
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            p = -99 if gram == ("<s>",) else generator.uniform(-3, -0.01)
            b = f"\t{generator.uniform(-1, 0):.6f}" if n < longest and gram[-1] != "</s>" else ""
            lines.append(f"{p:.6f}\t{' '.join(gram)}{b}")
    return "\n".join([*lines, "", "\\end\\", ""])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", range(1, 7))
def test_a_model_that_was_written_and_read_scores_as_before(tmp_path, order, smoothing):
    before = moreish.train(WORDS, "ngram", order=order, smoothing=smoothing)
    after = loaded(exported(before), tmp_path, WORDS)
    for word in [*WORDS[:100], *NEW]:
        assert log10_p(after.model, word) == pytest.approx(log10_p(before.model, word), rel=1e-5)
    assert after.loss == pytest.approx(before.loss, rel=1e-5)
    assert after.model.sample(50, seed=1) == before.model.sample(50, seed=1)
    assert sorted(exported(after).split("\n")[1:]) == sorted(exported(before).split("\n")[1:])


@pytest.mark.parametrize("seed", range(4))
def test_files_that_lack_ngrams_give_the_same_scores_to_all_readers(tmp_path, seed):
    text = pruned(exported(moreish.train(WORDS, "ngram", order=2 + seed, at_least=2)), seed)
    model, reader, kenlm = loaded(text, tmp_path, WORDS).model, Reader(text), kenlm_model(text, tmp_path)
    assert len(reader.p) > 20
    for word in [*WORDS[:100], *NEW]:
        wanted = reader.score([*word])
        assert log10_p(model, word) == pytest.approx(wanted, rel=1e-5)
        assert kenlm.score([*word]) == pytest.approx(wanted, rel=1e-4)


def test_the_numbers_of_a_small_file_are_those_of_the_run(tmp_path):
    model = loaded(SMALL, tmp_path, ["ab", "b", "a"] * 5).model
    assert log10_p(model, "ab") == pytest.approx(-0.2 - 0.7 - 0.3)
    assert log10_p(model, "b") == pytest.approx(-0.25 - 0.6 - 0.3)
    assert log10_p(model, "aa") == pytest.approx(-0.2 + (-0.3 - 0.4) + (-0.3 - 0.5))
    assert model.vocab.characters == "ab"


def test_words_are_drawn_as_often_as_they_are_likely(tmp_path):
    model = loaded(exported(moreish.train(WORDS, "ngram", order=3)), tmp_path, WORDS).model
    n = 20_000
    drawn, p_empty = Counter(model.sample(n, seed=1)), model.next("")[""]
    for word, count in drawn.most_common(10):
        p = 10 ** log10_p(model, word) / (1 - p_empty)
        assert abs(count - n * p) < 5 * (n * p) ** 0.5


def test_odd_characters_come_back(tmp_path):
    words = ["a b", "b\u00a0a", "e\u0301b", "日 本", "a\u200db", "▁a"] * 3
    before = moreish.train(words, "ngram", order=3)
    after = loaded(exported(before), tmp_path, words)
    assert after.model.vocab == before.model.vocab
    assert log10_p(after.model, "日 a") == pytest.approx(log10_p(before.model, "日 a"), rel=1e-5)


def test_a_run_of_a_packed_file_is_saved_and_loaded_with_characters_that_its_words_lack(tmp_path, capsys):
    before = moreish.train(WORDS, "ngram", order=3)
    (tmp_path / "model.arpa.gz").write_bytes(gzip.compress(exported(before).encode()))
    (tmp_path / "words.txt").write_text("\n".join(word for word in WORDS if "c" not in word))
    command = ["load", tmp_path / "model.arpa.gz", "--words", tmp_path / "words.txt", "--out", tmp_path / "run"]
    assert run_command(list(map(str, command))) == 0
    out = capsys.readouterr().out
    assert "val" in out
    assert f"saved in {tmp_path / 'run'}" in out
    after = moreish.load(tmp_path / "run")
    assert after.model.vocab == before.model.vocab
    assert log10_p(after.model, "caca") == pytest.approx(log10_p(before.model, "caca"), rel=1e-5)
    assert after.model.name == "arpa"


def test_the_words_may_be_a_bundled_list(tmp_path):
    words = moreish.bundled("minerals")
    (tmp_path / "model.arpa").write_text(exported(moreish.train(words, "ngram", order=2)), encoding="utf-8")
    command = ["load", tmp_path / "model.arpa", "--words", "minerals", "--out", tmp_path / "run"]
    assert run_command(list(map(str, command))) == 0
    assert moreish.load(tmp_path / "run").corpus.words == words


def refusal(text: str, folder: Path, words: list[str]) -> str:
    with pytest.raises(moreish.InputError) as caught:
        loaded(text, folder, words)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(folder / "read.arpa"))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("-0.7\ta b", "0.7\ta b", ":14: '0.7\\ta b' is not a line of 2-grams"),
        ("-0.7\ta b", "-0.7\ta", ":14: '-0.7\\ta' is not a line of 2-grams"),
        ("-0.7\ta b", "-0.7\ta b\t-x", ":14: "),
        ("-0.7\ta b", "-0.7\ta c", ":14: 'c' is not among the 1-grams"),
        ("-0.6\tb\t", "-0.6\tbb\t", ":10: 'bb' is not a character"),
        ("-0.6\tb\t", "-0.6\tU+000A\t", ":10: 'U+000A' is not a character"),
        ("-0.6\tb\t-0.1", "-0.6\tb\t400", ":10: "),
        ("-0.7\ta b", "-0.7\t</s> b", ":14: <s> can only begin"),
        ("-0.7\ta b\n", "", ":17: 3 2-grams come before this, and not 4"),
        ("-0.5\t</s>", "-0.5\tc", ": has no </s>"),
        ("\\end\\\n", "", ":18: the file ends without \\end\\"),
        ("\\2-grams", "\\3-grams", ": not an ARPA file"),
        ("-99\t<s>\t-0.25", "-nan\t<s>\t-0.25", ":6: "),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path, old, new, reason):
    assert old in SMALL
    assert refusal(SMALL.replace(old, new), tmp_path, ["ab", "b"] * 5).startswith(reason)


def test_other_files_are_refused(tmp_path):
    assert refusal("ab\nb\n", tmp_path, ["ab"] * 6).startswith(": not an ARPA file")
    assert "does not have ('c')" in refusal(SMALL, tmp_path, ["ab", "bac"] * 5)
    (tmp_path / "binary").write_bytes(b"mmap lm \xff\xfe")
    with pytest.raises(moreish.InputError, match="not UTF-8 at byte 8"):
        Arpa(tmp_path / "binary")
    with pytest.raises(moreish.InputError, match=r"nowhere: cannot be read \(No such file"):
        Arpa(tmp_path / "nowhere")


def test_a_context_without_a_line_is_refused(tmp_path):
    text = exported(moreish.train(WORDS, "ngram", order=3))
    gram = next(gram for gram in Reader(text).b if len(gram) == 2)
    line = next(line for line in text.split("\n") if f"\t{' '.join(gram)}\t" in line)
    n = Reader(text).counts[2]
    cut = text.replace(line + "\n", "").replace(f"ngram 2={n}", f"ngram 2={n - 1}")
    assert f"there is no line for '{' '.join(gram)}', its context" in refusal(cut, tmp_path, WORDS)


def test_the_run_of_a_file_shows_its_contexts_order_by_order(tmp_path, capsys):
    before = moreish.train(WORDS, "ngram", order=3)
    loaded(exported(before), tmp_path, WORDS).save(tmp_path / "run")
    assert run_command(["show", str(tmp_path / "run")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:4]]
    counts = Reader(exported(before)).counts
    # Of each order, the entries without <s> and <unk>, which have none.
    assert [int(row[2]) for row in rows] == [counts[1] - 2, counts[2], counts[3]]
    assert [int(row[0]) for row in rows] == [1, 2, 3]


def test_the_architecture_of_a_file_is_that_of_an_ngram(tmp_path):
    model = loaded(exported(moreish.train(WORDS, "ngram", order=3)), tmp_path, WORDS).model
    texts = [text.get_text() for ax in plot_architecture(model).axes for text in ax.texts]
    assert any("counts of up to 3 in a row" in text for text in texts)
