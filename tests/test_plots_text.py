"""Pictures of words and predictions show the numbers that are counted and scored."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from matplotlib.font_manager import findfont

import moreish
from moreish import Corpus, InputError
from moreish.cli import run
from moreish.export.arpa import data
from moreish.models import ALL_MODELS, MODELS, NetConfig, make_config
from moreish.plots import fonts
from moreish.plots.style import save
from moreish.plots.text import (
    END_NAMED,
    END_SHOWN,
    MAX_BARS,
    MAX_ROWS,
    next_probabilities,
    plot_bigrams,
    plot_next,
    plot_samples,
    plot_word,
    visible,
)
from moreish.training.arpa import from_arpa

GREEK = ["αθηνά", "σπάρτη", "κόρινθος", "πάτρα", "λάρισα", "βόλος", "ηράκλειο", "Órgiva", "Mâcon", "Łódź", "Åre"]
STRANGE = [
    "a$b$",
    "el niño",
    "x\u0301y",
    "क\u094dष",
    "می\u200cخ",
    "·l",
]  # marks, joiners, signs of mathematics


def han(n: int = 400) -> list[str]:
    """Words over n characters, the first ones the most frequent."""
    return [chr(0x4E00 + i) + chr(0x4E00 + j) for i in range(n) for j in (i // 2, i // 3)]


def shown_counts(made) -> tuple[list[str], np.ndarray]:
    """The labels of a heat map's rows and its numbers."""
    ax = made.axes[0]
    rows, columns = ([t.get_text() for t in labels] for labels in (ax.get_yticklabels(), ax.get_xticklabels()))
    assert rows == columns
    return rows, np.ma.filled(ax.images[0].get_array(), 0)


def pairs(words) -> Counter:
    return Counter(pair for word in words for pair in zip(END_SHOWN + word, word + END_SHOWN, strict=True))


def axes_of(made) -> list[Any]:
    return made.axes


def heights(ax) -> list[float]:
    return [bar.get_height() for bar in ax.patches]


@pytest.fixture(scope="module", params=list(ALL_MODELS))
def model(request, corpus, tmp_path_factory) -> moreish.Model:
    """A model of every kind; nets are untrained."""
    if request.param == "arpa":
        path = tmp_path_factory.mktemp("arpa") / "model.arpa"
        path.write_bytes(b"".join(data(moreish.train(corpus, "ngram", order=3))))
        return from_arpa(path, corpus.words).model
    if request.param == "mixture":
        return moreish.mix([moreish.train(corpus, "ngram", order=3), moreish.train(corpus, "bigram-counts")]).model
    if issubclass(MODELS[request.param], NetConfig):
        return moreish.Model(make_config(request.param, {}), corpus.vocab)
    return moreish.train(corpus, request.param).model


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("order", ["frequency", "alphabet"])
def test_the_heat_map_holds_the_counts_of_pairs(corpus, order, part):
    made = plot_bigrams(corpus, order, part)
    labels, counts = shown_counts(made)
    expected = pairs(corpus.parts[part])
    assert counts.tolist() == [[expected[a, b] for b in labels] for a in labels]
    letters = Counter("".join(corpus.parts[part]))
    assert labels == [
        END_SHOWN,
        *sorted(corpus.vocab.characters, key=(lambda c: (-letters[c], c)) if order == "frequency" else None),
    ]
    texts = {t.get_text() for t in made.axes[0].texts}
    assert texts == {f"{a}{b}\n{expected[a, b]}" for a in labels for b in labels}
    assert part in made.get_suptitle()
    assert made.axes[1].get_ylabel().startswith(f"times in the {part} words")


def test_of_many_characters_the_most_frequent_are_shown():
    corpus = Corpus(han())
    made = plot_bigrams(corpus)
    labels, counts = shown_counts(made)
    expected, letters = pairs(corpus.parts["train"]), Counter("".join(corpus.parts["train"]))
    assert counts.tolist() == [[expected[a, b] for b in labels] for a in labels]
    assert labels[1:] == sorted(letters, key=lambda c: (-letters[c], c))[: MAX_ROWS - 1]
    assert f"the {MAX_ROWS - 1} most frequent of 400 characters" in made.get_suptitle()
    assert not made.axes[0].texts


def test_what_is_asked_for_must_be_there(corpus, saved_run):
    with pytest.raises(InputError, match="did you mean frequency"):
        plot_bigrams(corpus, "frequent")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="unknown part tests; did you mean test"):
        plot_bigrams(corpus, part="tests")
    for call in (plot_next, plot_word):
        with pytest.raises(InputError, match="'z' is not in the word list"):
            call(saved_run.model, "az")
    with pytest.raises(InputError, match="unknown unit nat; did you mean nats"):
        plot_word(saved_run.model, "a", "nat")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="an empty word"):
        plot_word(saved_run.model, "")
    with pytest.raises(InputError, match="at least 1"):
        plot_samples(saved_run.model, corpus, n=0)
    with pytest.raises(InputError, match="the corpus has the characters"):
        plot_samples(saved_run.model, Corpus(GREEK))


def test_probabilities_are_those_of_the_score(model):
    word = "badegafecaba"
    p = next_probabilities(model, word)
    assert p.sum(1) == pytest.approx(np.ones(len(word) + 1))
    tokens = [*model.vocab.encode(word), 0]
    assert p[np.arange(len(tokens)), tokens] == pytest.approx(np.exp(np.negative(model.score(word).per_char)), rel=1e-4)


@pytest.mark.parametrize("prefix", ["", "ba", "badegafecab"])
def test_the_bars_are_every_token_the_likeliest_first(model, prefix):
    made = plot_next(model, prefix)
    (ax,) = made.axes
    bars = dict(zip((t.get_text() for t in ax.get_xticklabels()), heights(ax), strict=True))
    assert set(bars) == {END_NAMED, *"abcdefg"}
    assert list(bars.values()) == sorted(bars.values(), reverse=True)
    assert sum(bars.values()) == pytest.approx(1)
    for c in "abcdefg":
        assert bars[c] == pytest.approx(math.exp(-model.score(prefix + c).per_char[len(prefix)]), rel=1e-4)
    if prefix:
        assert bars[END_NAMED] == pytest.approx(math.exp(-model.score(prefix).per_char[-1]), rel=1e-4)
        assert f"“{prefix}”" in made.get_suptitle()


def test_the_bars_of_a_word_are_its_surprise(model):
    word = "badega"
    made = plot_word(model, word)
    ax, table = axes_of(made)
    nats = np.array(model.score(word).per_char)
    assert heights(ax) == pytest.approx(nats)
    assert [t.get_text() for t in ax.get_xticklabels()] == [*word, END_NAMED]
    assert f"{nats.sum():.1f} nats" in made.get_suptitle()
    in_bits = plot_word(model, word, "bits")
    assert heights(in_bits.axes[0]) == pytest.approx(nats / math.log(2))
    assert f"{nats.sum() / math.log(2):.1f} bits" in in_bits.get_suptitle()
    assert in_bits.axes[0].lines[0].get_ydata() == pytest.approx([3, 3]), "of 8 equally likely tokens each has 3 bits"
    assert ax.get_ylim()[1] > max(nats)
    # Below each character: the three likeliest ones, the actual one in bold.
    p = next_probabilities(model, word)
    chances = np.asarray(table.images[0].get_array())
    assert chances.tolist() == np.sort(p)[:, :-4:-1].T.tolist()
    names = [END_NAMED, *model.vocab.characters]
    for text in table.texts:
        at, row = text.get_position()
        name, share = text.get_text().split(" ")
        assert p[at, names.index(name)] == chances[row, at]
        assert share == f"{100 * chances[row, at]:.0f}%"
        assert (text.get_weight() == "bold") == (name == [*word, END_NAMED][at])


def test_samples_are_counted_beside_the_train_words(saved_run, corpus):
    made = plot_samples(saved_run.model, corpus, n=300, seed=3)
    lengths, letters = axes_of(made)
    order = [t.get_text() for t in letters.get_xticklabels()]
    train = Counter("".join(corpus.parts["train"]))
    assert order == sorted(train, key=lambda c: (-train[c], c))
    steps = {patch.get_label(): patch.get_data() for patch in lengths.patches}
    dots = {line.get_label(): line.get_ydata() for line in letters.lines}
    drawn = {"train words": corpus.parts["train"], "samples": saved_run.model.sample(300, seed=3)}
    assert set(steps) == set(dots) == set(drawn)
    for label, words in drawn.items():
        shares, edges = steps[label].values, steps[label].edges
        counted = Counter(map(len, words))
        assert shares.sum() == pytest.approx(1)
        assert {int(x + 0.5): share for x, share in zip(edges[:-1], shares, strict=True) if share} == {
            length: pytest.approx(n / len(words)) for length, n in counted.items()
        }
        counted = Counter("".join(words))
        assert sum(dots[label]) == pytest.approx(1)
        assert dots[label] == pytest.approx([counted[c] / counted.total() for c in order])
    for ax in (lengths, letters):
        assert {t.get_text() for t in ax.get_legend().get_texts()} == set(drawn)


@pytest.mark.filterwarnings("ignore:Matplotlib currently does not support")  # before Matplotlib 3.11, of some scripts
@pytest.mark.parametrize("words", [GREEK, STRANGE, ["a", "aa"], han(60)], ids=["Greek", "strange", "one", "Han"])
def test_every_script_is_drawn(words, tmp_path):
    run = moreish.train(words * 5, "bigram-counts")
    pictures = [plot_bigrams(run.corpus), plot_next(run.model), plot_next(run.model, words[0])]
    pictures += [plot_word(run.model, words[0] * 20), plot_samples(run.model, run.corpus, n=50)]
    for made in pictures:
        assert all(ax.get_ylabel() for ax in made.axes)
        assert any(ax.get_xlabel() for ax in made.axes)
        save(made, tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_size > 5000
    n = len(run.model.vocab)
    assert (f"the {MAX_BARS} most likely of {n} tokens" in pictures[1].get_suptitle()) == (n > MAX_BARS)


def test_what_cannot_be_seen_has_a_sign():
    assert [visible(c) for c in "aé \u0301\u200d$ש"] == ["a", "é", "␣", "◌\u0301", "□", r"\$", "\u200eש\u200e"]


def test_characters_without_a_font_are_drawn_in_one_that_is_installed(monkeypatch, tmp_path):
    ours, other = (findfont(name) for name in ("DejaVu Sans", "STIXGeneral"))
    candidates = [chr(code) for code in range(0x100, 0x1F000) if chr(code).isprintable()]
    of_other = sorted(set(fonts.without(candidates, ours)) - set(fonts.without(candidates, other)))[:1]
    assert of_other, "STIX has characters of its own"
    monkeypatch.setattr(fonts, "FALLBACKS", ("No Such Font", "STIXGeneral"))
    assert fonts.fallbacks(["a", "\n", *of_other, "\ue000", "中"]) == (["STIXGeneral"], ["中"])
    assert fonts.fallbacks("añ") == ([], [])
    made = plot_bigrams(Corpus([f"a{of_other[0]}b", "ab", "ba"] * 4))
    save(made, tmp_path / "a.png")
    families = {tuple(text.get_fontfamily()) for text in made.axes[0].texts}
    assert families == {("sans-serif", "STIXGeneral")}
    made = plot_next(moreish.train([f"a{of_other[0]}b", "ab", "ba"] * 4, "bigram-counts").model)
    save(made, tmp_path / "a.png")
    assert {tuple(label.get_fontfamily()) for label in made.axes[0].get_xticklabels()} == families


def test_the_command_tells_which_characters_have_no_font(tmp_path, capsys):
    moreish.train(["中国", "日本"] * 9, "bigram-counts", out=tmp_path / "run")
    assert run(["plot", str(tmp_path / "run"), "next"]) == 0
    _, missing = fonts.fallbacks("中国日本")
    said = [line for line in capsys.readouterr().err.splitlines() if "drawn as boxes" in line]
    assert len(said) == bool(missing)
