"""What is in the words, and what a model makes of it: pairs, next characters, one word's surprise, samples."""

import math
import unicodedata
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator
from numpy.typing import ArrayLike

from ..corpus import END, Corpus, Vocab, WordList
from ..errors import InputError, unknown
from ..models.mixture import log_sum
from ..models.model import Model
from .style import COLOURS, GUIDE, figure

END_SHOWN, END_NAMED = "·", "end"  # the end token in a cell, and where there is room for its name
ORDERS = ("frequency", "alphabet")
WRITTEN = 32  # rows of a heat map at most, for its cells to have room for their text
ROWS, BARS = 60, 36  # tokens at most in a heat map, and side by side
LIKELIEST = 3  # alternatives to each character of a word
LIGHT = "#BBBBBB"
TOKENS = 1 << 20  # whose pairs are counted at a time


def plot_bigrams(corpus: Corpus, order: Literal["frequency", "alphabet"] = "frequency", part: str = "train") -> Figure:
    """How often each character follows another in a part, as a heat map with the end token first.

    Of many characters the most frequent are shown. Raises InputError for an unknown order or part.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    if part not in corpus.parts:
        raise unknown("part", part, corpus.parts)
    n = min(len(corpus.vocab), ROWS)
    tokens = _by_frequency(corpus.parts[part], corpus.vocab)[: n - 1] + 1
    tokens = np.array([END, *(np.sort(tokens) if order == "alphabet" else tokens)])
    counts = _pairs(corpus.stream(part), tokens, len(corpus.vocab))
    labels = [END_SHOWN, *(visible(corpus.vocab.characters[token - 1]) for token in tokens[1:])]
    wide = float(np.clip(0.32 * n, 4.2, 8.8))
    made, (ax,) = figure(size=(wide + 1.4, wide + 0.9))
    # From a blue that is told from the white of what never comes.
    colours = ListedColormap(colormaps["Blues"](np.linspace(0.12, 1, 256)))
    scale = LogNorm(1, max(2, counts.max()))
    image = ax.imshow(np.ma.masked_equal(counts, 0), cmap=colours, norm=scale)
    beside = made.colorbar(image, shrink=0.6, aspect=30, pad=0.01, label=f"times in the {part} words (white: never)")
    beside.ax.yaxis.set_major_formatter("{x:,.0f}")
    beside.ax.yaxis.set_minor_formatter(LogFormatter())  # has something to say where there is hardly a decade
    cell = 72 * wide / n  # points
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(n), labels, fontsize=min(10, 0.75 * cell))
        axis.set_tick_params(length=0)
    ax.spines[:].set_visible(False)
    if n <= WRITTEN:
        for i, j in np.ndindex(n, n):
            count = int(counts[i, j])
            ax.text(
                j,
                i,
                f"{labels[i]}{labels[j]}\n{_short(count)}",
                fontsize=min(9, 0.35 * cell),
                color=_ink(colours(scale(count))) if count else "#888888",
                ha="center",
                va="center",
            )
    ax.set_xlabel(f"second character ({END_SHOWN} the end of a word)")
    ax.set_ylabel(f"first character ({END_SHOWN} the beginning of a word)")
    ax.set_title(f"Pairs of characters in the {part} words{_of_all(n - 1, len(corpus.vocab) - 1)}", fontsize=11)
    return made


def plot_next(model: Model, prefix: str = "") -> Figure:
    """The probability of every character, and of the end, after a prefix: the likeliest first.

    Raises InputError for a character that the model does not know.
    """
    p = next_probabilities(model, prefix)[-1]
    tokens = np.argsort(-p, kind="stable")[:BARS]
    n = len(tokens)
    made, (ax,) = figure(size=(float(np.clip(0.27 * n + 1, 5.5, 10)), 3.4))
    bars = ax.bar(range(n), p[tokens], color=[COLOURS[1] if token == END else COLOURS[0] for token in tokens])
    ax.bar_label(bars, [f"{100 * x:.0f}" if x >= 0.005 else "" for x in p[tokens]], fontsize=7, padding=1)
    ax.set_xticks(range(n), [named(model.vocab, token) for token in tokens], fontsize=min(10, 320 / n))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, n - 0.3)
    ax.yaxis.set_major_formatter(_percent)
    ax.set_xlabel("next character, the likeliest first")
    ax.set_ylabel("probability (%)")
    title = f"What the {model.name} model expects " + (f"after {_quoted(prefix, 12)}" if prefix else "at the beginning")
    made.suptitle(title + _of_all(n, len(p), "likeliest", "tokens"), fontsize=11)
    return made


def plot_word(model: Model, word: str) -> Figure:
    """The surprise in bits at each character of a word and at its end, over what the model held likeliest there.

    Raises InputError for an empty word or a character that the model does not know.
    """
    bits = np.array(model.score(word).per_char) / math.log(2)
    p = next_probabilities(model, word)
    targets = [*model.vocab.encode(word), END]
    likeliest = np.argsort(-p, axis=1, kind="stable")[:, :LIKELIEST].T
    n, rows = len(targets), len(likeliest)
    wide = float(np.clip(0.62 * n, 4.5, 24))
    made, (ax, table) = figure(2, 1, size=(wide + 1.3, 4.2), sharex=True, height_ratios=[3, 1.6])
    ax.bar(range(n), bits, color=[COLOURS[1] if token == END else COLOURS[0] for token in targets], width=0.7)
    ax.axhline(math.log2(p.shape[1]), **GUIDE, label=f"all {p.shape[1]:,} tokens equally likely")
    font = min(9, 72 * wide / n / 5)
    for i, x in enumerate(bits):
        ax.annotate(
            f"{x:.1f}",
            (i, x),
            (0, 1),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=font,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    ax.set_ylim(0, 1.1 * max(bits.max(), math.log2(p.shape[1])))
    ax.set_ylabel("surprise (bits)")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, fontsize=8, frameon=False)
    names = [named(model.vocab, token) for token in targets]
    ax.set_xticks(range(n), names, fontsize=min(12, 1.6 * font))
    ax.tick_params(axis="x", length=0, labelbottom=True)
    chances = np.take_along_axis(p.T, likeliest, 0)
    image = table.imshow(chances, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    for i, j in np.ndindex(rows, n):
        token = int(likeliest[i, j])
        table.text(
            j,
            i,
            f"{named(model.vocab, token)} {100 * chances[i, j]:.0f}%",
            fontsize=font,
            weight="bold" if token == targets[j] else "normal",
            color=_ink(image.cmap(image.norm(chances[i, j]))),
            ha="center",
            va="center",
        )
    table.set_yticks(range(rows), ["1st", "2nd", "3rd"][:rows])
    table.tick_params(length=0, labelbottom=False)
    table.spines[:].set_visible(False)
    table.set_ylabel("likeliest")
    table.set_xlabel("characters in turn (bold: what came)")
    made.suptitle(f"{_quoted(word, 40)}: {bits.sum():.1f} bits in all, {bits.mean():.2f} a token", fontsize=11)
    return made


def plot_samples(model: Model, corpus: Corpus, n: int = 2000, seed: int = 42) -> Figure:
    """Lengths and characters of n words that the model draws, beside those of the train words.

    Raises InputError for a corpus of another vocabulary, and for values out of range.
    """
    if n < 1:
        raise InputError(f"the number of samples is {n}: it must be at least 1")
    model.check_vocab(corpus)
    words = {
        "train words": corpus.parts["train"],
        # Exactly as they were drawn: to compose a letter and a mark that follow each other would make another word.
        "samples": WordList.of_text("".join(f"{word}\n" for word in model.sample(n, seed=seed))),
    }
    order = _by_frequency(words["train words"], corpus.vocab)[:BARS]
    made, (lengths, letters) = figure(1, 2, size=(10, 3.6), width_ratios=[2, 3])
    longest = max(int(listed.lengths.max()) for listed in words.values())
    steps = ({"color": LIGHT, "fill": True}, {"color": COLOURS[1], "linewidth": 1.8})
    marks = ({"color": LIGHT, "marker": "o", "markersize": 9}, {"color": COLOURS[1], "marker": "D", "markersize": 3.5})
    for i, (label, listed) in enumerate(words.items()):
        shares = np.bincount(listed.lengths, minlength=longest + 1) / len(listed)
        lengths.stairs(shares[1:], np.arange(1, longest + 2) - 0.5, label=label, **steps[i])
        shares = _frequencies(listed, corpus.vocab) / listed.n_characters
        letters.plot(range(len(order)), shares[order], linestyle="", label=label, **marks[i])
    lengths.set_xlabel("length (characters)")
    lengths.set_ylabel("share of the words (%)")
    lengths.xaxis.set_major_locator(MaxNLocator(integer=True))
    letters.set_xticks(
        range(len(order)), [visible(corpus.vocab.characters[i]) for i in order], fontsize=min(10, 330 / len(order))
    )
    letters.tick_params(axis="x", length=0)
    letters.set_xlabel("character, by its share in train")
    letters.set_ylabel("share of the characters (%)")
    letters.grid(axis="y", alpha=0.25)
    for ax in (lengths, letters):
        ax.yaxis.set_major_formatter(_percent)
        ax.set_ylim(bottom=0)
        ax.legend(fontsize=8, edgecolor="none", framealpha=1)
    title = f"{n:,} samples of the {model.name} model beside the {len(words['train words']):,} train words"
    made.suptitle(title + _of_all(len(order), len(corpus.vocab) - 1), fontsize=11)
    return made


def next_probabilities(model: Model, word: str) -> np.ndarray:
    """The probability of every token at the beginning of a word and after each of its characters.

    float64 (characters + 1, V). Raises InputError for a character that the model does not know.
    """
    T = model.config.context
    padded = np.array([END] * T + model.vocab.encode(word), np.int64)
    contexts = np.lib.stride_tricks.sliding_window_view(padded, T).copy()
    logits = model.engine.logits(model.params, contexts).astype(np.float64)
    return np.exp(logits - log_sum(logits.T)[:, None])


def visible(character: str) -> str:
    """A character as a picture can show it: what is not seen by itself, as a sign that is."""
    kind = unicodedata.category(character)
    if character.isspace():
        return "␣"
    if kind.startswith("M"):
        return f"◌{character}"  # marks stand on another character
    if kind.startswith("C"):
        return "□"
    if unicodedata.bidirectional(character) in ("R", "AL"):
        return f"\u200e{character}\u200e"  # the text around it stays as it is, from left to right
    return _plain(character)


def named(vocab: Vocab, token: int) -> str:
    """A token as a picture can show it, the end by its name."""
    return END_NAMED if token == END else visible(vocab.characters[token - 1])


def _percent(share: float, _: float) -> str:
    """A share as a tick of an axis in percent."""
    return f"{100 * share:g}"


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def _quoted(word: str, most: int) -> str:
    """A word for a title, of a long one the end."""
    return f"“{_plain(word if len(word) <= most else '…' + word[1 - most :])}”"


def _of_all(n: int, of: int, which: str = "most frequent", what: str = "characters") -> str:
    """What a title adds where not all are shown."""
    return "" if n == of else f": the {n} {which} of {of:,} {what}"


def _ink(colour: ArrayLike) -> str:
    """Black or white, whichever contrasts more with a colour (WCAG 2.2, contrast ratio)."""
    return "white" if np.dot(np.asarray(colour)[:3] ** 2.2, (0.2126, 0.7152, 0.0722)) < 0.179 else "black"


def _short(count: int) -> str:
    """A count in four signs at most, up to a thousand million."""
    return f"{count}" if count < 10_000 else f"{count / 1e3:.0f}k" if count < 1e6 else f"{count / 1e6:.0f}M"


def _frequencies(words: WordList, vocab: Vocab) -> np.ndarray:
    """How often each character occurs: (V - 1,)."""
    counts = words.character_counts()
    return np.array([counts.get(character, 0) for character in vocab.characters])


def _by_frequency(words: WordList, vocab: Vocab) -> np.ndarray:
    """The places of the characters in the vocabulary, the most frequent first; of equal ones in code point order."""
    return np.argsort(-_frequencies(words, vocab), kind="stable")


def _pairs(stream: np.ndarray, tokens: np.ndarray, n_vocab: int) -> np.ndarray:
    """How often one of n tokens follows another in a flat stream: (n, n), by their order in `tokens`."""
    n = len(tokens)
    place = np.full(n_vocab, n)  # what is not among them comes last, and falls out
    place[tokens] = np.arange(n)
    counts = np.zeros((n + 1) ** 2, np.int64)
    for first in range(0, len(stream) - 1, TOKENS):
        places = place[stream[first : first + TOKENS + 1]]
        counts += np.bincount(places[:-1] * (n + 1) + places[1:], minlength=counts.size)
    return counts.reshape(n + 1, n + 1)[:n, :n]
