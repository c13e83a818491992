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
-99\t<s>\t-0.21244
-0.5\t</s>
-1.46248\t<unk>
-0.4 a -0.00851
-0.6\tb\t-0.13697

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
    for context in sorted({(), *reader.b}, key=lambda context: (len(context), context)):
        after = [gram for gram in reader.p if gram[:-1] == context and gram != ("<s>",)]
        shares = [generator.uniform(0.01, 1) for _ in after]
        total = generator.uniform(0.3, 0.95) if context else 1
        shorter = sum(10 ** reader.log_p(context[1:], gram[-1]) for gram in after) if context else 0
        for gram, share in zip(after, shares, strict=True):
            reader.p[gram] = math.log10(total * share / sum(shares))
        if context:  # without n-grams after it, a back-off is 1 up to rounding
            reader.b[context] = math.log10((1 - total) / (1 - shorter)) if after else generator.uniform(-0.001, 0)
    longest, lines = max(map(len, reader.p)), ["\\data\\"]
    by_order = {n: [gram for gram in reader.p if len(gram) == n] for n in range(1, longest + 1)}
    lines += [f"ngram {n}={len(grams)}" for n, grams in by_order.items()]
    for n, grams in by_order.items():
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            b = f"\t{reader.b[gram]:.6f}" if n < longest and gram in reader.b else ""
            lines.append(f"{reader.p[gram]:.6f}\t{' '.join(gram)}{b}")
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
    model, reader = loaded(text, tmp_path, WORDS).model, Reader(text)
    assert len(reader.p) > 20
    for word in [*WORDS[:100], *NEW]:
        assert log10_p(model, word) == pytest.approx(reader.score([*word]), rel=1e-5)
    kenlm = kenlm_model(text, tmp_path)
    for word in [*WORDS[:100], *NEW]:
        assert kenlm.score([*word]) == pytest.approx(reader.score([*word]), rel=1e-4)


def test_the_numbers_of_a_small_file_are_those_of_the_run(tmp_path):
    model = loaded(SMALL, tmp_path, ["ab", "b", "a"] * 5).model
    assert log10_p(model, "ab") == pytest.approx(-0.2 - 0.7 - 0.3)
    assert log10_p(model, "b") == pytest.approx(-0.21244 - 0.6 - 0.3)
    assert log10_p(model, "aa") == pytest.approx(-0.2 + (-0.00851 - 0.4) + (-0.00851 - 0.5))
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
        ("-0.6\tb\t-0.13697", "-0.6\tb\t400", ":10: "),
        ("-0.7\ta b", "-0.7\t</s> b", ":14: <s> can only begin"),
        ("-0.7\ta b\n", "", ":17: 3 2-grams come before this, and not 4"),
        ("-0.5\t</s>", "-0.5\tc", ": has no </s>"),
        ("-0.7\ta b", "-0.7\ta b\n-0.7\tb b\n-0.7\tb a", ":17: more 2-grams than the 4 that it declares"),
        ("\\end\\\n", "", ":18: the file ends without \\end\\"),
        ("\\2-grams", "\\3-grams", ": not an ARPA file"),
        ("-99\t<s>\t-0.21244", "-nan\t<s>\t-0.25", ":6: "),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path, old, new, reason):
    assert old in SMALL
    assert refusal(SMALL.replace(old, new), tmp_path, ["ab", "b"] * 5).startswith(reason)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<s>\t-0.21244", "<s>\t1.8", "after '<s>' sum to 36.43 and not to 1"),
        ("b\t-0.13697", "b\t300", "after 'b' sum to 6.493e+299 and not to 1"),
        ("-0.5\t</s>", "-299.9\t</s>", "after '<s>' are below 1e-300"),
    ],
)
def test_numbers_that_are_no_probabilities_are_refused_and_leave_no_run(tmp_path, capsys, old, new, reason):
    assert SMALL.count(old) == 1
    (tmp_path / "m.arpa").write_text(SMALL.replace(old, new))
    (tmp_path / "words.txt").write_text("ab\nb\n" * 5)
    command = ["load", "m.arpa", "--words", "words.txt", "--out", "run"]
    command = [part if "-" in part[:2] or part == "load" else str(tmp_path / part) for part in command]
    assert run_command(command) != 0
    assert f"m.arpa: the probabilities {reason}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_contexts_that_kenlm_does_not_normalise_are_read(tmp_path):
    """Its back-off is 1 after a context that has a line with </s> alone, where the probabilities sum to up to 2."""
    text = SMALL.replace("<s>\t-0.21244", "<s>\t0.1")
    before, after = (loaded(of, tmp_path, ["ab", "b"] * 5).model for of in (SMALL, text))
    backed_off = [word for word in ("a", "b") if f"<s> {word}" not in SMALL]
    assert backed_off
    for word in backed_off:
        assert log10_p(after, word) == pytest.approx(log10_p(before, word) + 0.1 + 0.21244, abs=1e-5)


def test_what_programs_write_of_impossible_tokens_and_full_contexts_is_read(tmp_path):
    # The context a has p of all tokens but b, which is so rare that the back-off is 10^11; b has all, and its back-off
    # says nothing; <s> has a probability of its own, and c has none.
    grams = {"<s>": "-1 {} -99", "</s>": "-0.345 {}", "a": "-0.345 {} 11", "b": "-12 {} 290", "c": "-99 {}"}
    pairs = {"a a": "-0.4", "a </s>": "-0.301", "a c": "-0.99", "b a": "-0.301", "b b": "-0.6", "b c": "-99"}
    pairs |= {"b </s>": "-0.6", "<s> a": "-0.301", "<s> b": "-0.301"}
    text = "\\data\\\n\n\\1-grams:\n" + "\n".join(line.format(gram) for gram, line in grams.items())
    text += "\n\n\\2-grams:\n" + "\n".join(f"{p} {gram}" for gram, p in pairs.items()) + "\n\n\\end\\\n"
    run = loaded(text.replace("-0.99 a c", "-99 a c"), tmp_path, ["ab", "b"] * 5)
    assert log10_p(run.model, "ab") == pytest.approx(-0.301 + (11 - 12) - 0.6)
    assert log10_p(run.model, "bc") == pytest.approx(-0.301 - 99 - 0.345)
    assert log10_p(run.model, "c") == pytest.approx(-99 - 99 - 0.345)
    assert run.model.weights["share"].max() == pytest.approx(1e11)
    assert moreish.prune(run, entropy=1e-9).loss["val"] == pytest.approx(run.loss["val"], rel=0.1)


@pytest.mark.parametrize(("line", "number"), [("\n", 100_001), ("a comment\n", 100_001), ("\0" * 10_001, 2)])
def test_endless_files_are_refused_before_they_are_read_to_the_end(tmp_path, line, number):
    """A packed file whose end is missing: who reads so far says that it cannot be unpacked."""
    text = "\\data\\\n" + line * 300_000
    (tmp_path / "m.arpa.gz").write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(moreish.InputError, match=f"m.arpa.gz:{number}: .*not an ARPA file"):
        Arpa(tmp_path / "m.arpa.gz")


def test_a_model_of_words_is_refused_at_its_first_word(tmp_path):
    text = "\\data\\\n\n\\1-grams:\n-1\tthe\n" + "-1\tand\n" * 100_000
    (tmp_path / "m.arpa.gz").write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(moreish.InputError, match=":4: 'the' is not a character"):
        Arpa(tmp_path / "m.arpa.gz")


def test_contexts_of_more_than_64_characters_are_refused(tmp_path):
    grams = "\n".join(f"\\{n}-grams:\n-1 {' '.join('a' * n)} 0" for n in range(2, 70))
    text = f"\\data\\\n\\1-grams:\n-0.3 </s>\n-0.3 a 0\n{grams}\n\\end\\\n"
    assert "at most 64 characters" in refusal(text, tmp_path, ["a", "aa"] * 5)


def test_all_spellings_of_a_character_are_read(tmp_path):
    text = SMALL.replace(" a", " U+0061").replace("\ta", "\tU+0061")
    assert log10_p(loaded(text, tmp_path, ["ab", "b"] * 5).model, "ab") == pytest.approx(-0.2 - 0.7 - 0.3)


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
