"""Titles of pictures stay inside, whatever the names of lists and words are; missing characters warn nobody."""

import threading
import warnings
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import plots
from moreish.analysis.findings import Findings
from moreish.corpus import WordList
from moreish.plots import style
from moreish.plots.architecture import plot_architecture
from moreish.plots.pictures import LENGTHY, PICTURES, PictureOptions, draw
from moreish.plots.style import MAX_TITLE, headline, left_to_right, plain, save, shortened_inside


def named(words: list[str], name: str, model: str = "bigram-counts") -> moreish.Run:
    """A run on words whose list has a name."""
    listed = WordList.of(words)
    listed.name = name
    return moreish.train(listed, model)


def inside(made: Any) -> bool:
    """True if the title of a figure is inside it, and apart from the legends and the axes."""
    made.draw_without_rendering()
    title = made._suptitle.get_window_extent()
    others = [*made.legends, *(legend for ax in made.axes if (legend := ax.get_legend()))]
    apart = not any(title.padded(-1).overlaps(other.get_window_extent()) for other in others)
    below = all(ax.get_window_extent().y1 < title.y0 for ax in made.axes)
    return bool(made.bbox.x0 - 1 < title.x0 < title.x1 < made.bbox.x1 + 1 and apart and below)


@pytest.mark.parametrize("name", ["english_words_filtered_2024_final_v2", "x" * 90, "a list of words " * 9])
@pytest.mark.parametrize("picture", ["bigrams", "next", "word", "samples", "novelty"])
def test_a_long_name_of_a_list_fits_above_every_picture(words, name, picture):
    made = PICTURES[picture].draw(Findings(named(words, name)), PictureOptions(word="badega"))
    assert inside(made)
    short = PICTURES[picture].draw(Findings(named(words, "x")), PictureOptions(word="badega"))
    assert made.get_size_inches().tolist() == short.get_size_inches().tolist()
    short.draw_without_rendering()
    for ax, other in zip(made.axes, short.axes, strict=True):
        assert ax.get_window_extent().width == pytest.approx(other.get_window_extent().width, rel=0.1)


@pytest.mark.parametrize("model", ["bigram-counts", "bigram"])
def test_a_long_name_of_a_list_leaves_an_architecture_as_it_is(words, model):
    places = []
    for name in ("x" * 90, "x"):
        made: Any = plot_architecture(named(words, name, model).model)
        made.draw_without_rendering()
        (ax,) = made.axes
        assert ax.texts[0].get_window_extent().x1 < made.bbox.x1
        places.append([text.get_window_extent().bounds for text in ax.texts[1:]])
    assert np.ravel(places[0]) == pytest.approx(np.ravel(places[1]))


def test_a_long_text_keeps_its_beginning_and_its_end():
    text = "".join(chr(ord("a") + i % 26) for i in range(100))
    for most in (7, 8, MAX_TITLE):
        short = shortened_inside(text, most)
        start, _, end = short.partition("…")
        assert len(short) == most
        assert text.startswith(start)
        assert text.endswith(end)
        assert abs(len(start) - len(end)) <= 1
    assert shortened_inside(text, 100) == text


def test_words_from_right_to_left_keep_the_order_of_a_title():
    run = named(["שלום", "עולם", "שלומה", "מעלה"] * 5, "מילים")
    mark = "\u200e"
    for made in (plots.plot_word(run.model, "שלום"), plots.plot_next(run.model, "של")):
        title = made.get_suptitle()
        assert title.startswith(f"{mark}מילים, bigram-counts: ")
        assert f"“{mark}של" in title
        word, _, _ = title.partition("“")[2].partition("”")
        assert word.endswith(mark)
    assert plain("a$") == r"a\$"
    assert [left_to_right(text) for text in ("ab", "aש", "مb")] == ["ab", f"{mark}aש{mark}", f"{mark}مb{mark}"]
    made = style.figure(size=(5, 2))[0]
    headline(made, "", "words")
    assert made.get_suptitle() == "Words"


def test_a_second_thread_does_not_bring_back_warnings_of_missing_characters(words, monkeypatch, tmp_path):
    entered, drawing, left = threading.Event(), threading.Event(), threading.Event()

    def compute(_: Findings) -> None:
        with warnings.catch_warnings():
            entered.set()
            assert drawing.wait(30)
        left.set()

    def warn(*_: object) -> None:
        drawing.set()
        assert left.wait(30)
        warnings.warn("Glyph 26085 (\\N{CJK UNIFIED IDEOGRAPH-65E5}) missing from font(s) DejaVu Sans.", stacklevel=1)

    monkeypatch.setitem(LENGTHY, "novelty", compute)
    monkeypatch.setattr(style, "_draw", warn)
    found = Findings(named(words, "x"))
    for name, made in draw(found, PictureOptions(), ["next", "novelty"]):
        assert entered.wait(30)
        if name == "next":
            assert not isinstance(made, moreish.InputError)
            with warnings.catch_warnings(record=True) as seen:
                save(made, tmp_path / "a.png")
            assert not seen
