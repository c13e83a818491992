"""Pictures of words and of a model's predictions: pairs, next characters, the surprise of a word, samples."""

import math
import unicodedata
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator
from numpy.typing import ArrayLike

from ..analysis.pairs import pair_counts
from ..corpus import END, Corpus, Vocab, WordList
from ..corpus.stream import per_token
from ..errors import InputError, unknown
from ..models.model import Model
from .style import COLOURS, GUIDE, LIGHT_GREY, Unit, figure, headline, left_to_right, nats_in, plain

END_SHOWN, END_NAMED = "·", "end"  # the end token as a sign and as a name
ORDERS = ("frequency", "alphabet")
MAX_WRITTEN_ROWS = 32  # of a heat map with text in its cells
MAX_ROWS, MAX_BARS = 60, 36  # tokens in a heat map, and on an axis
ALTERNATIVES = 3  # at each character of a word


def plot_bigrams(corpus: Corpus, order: Literal["frequency", "alphabet"] = "frequency", part: str = "train") -> Figure:
    """Draw a heat map of the counts of each pair of characters in a part, the end token first.

    Only the most frequent characters are drawn if there are many. Raises InputError for an unknown order or part.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    if part not in corpus.parts:
        raise unknown("part", part, corpus.parts)
    n = min(len(corpus.vocab), MAX_ROWS)
    tokens = _by_frequency(corpus.parts[part], corpus.vocab)[: n - 1] + 1
    tokens = np.array([END, *(np.sort(tokens) if order == "alphabet" else tokens)])
    counts = pair_counts(corpus.stream(part), tokens, len(corpus.vocab))[:, :n]
    labels = [END_SHOWN, *(visible(corpus.vocab.characters[token - 1]) for token in tokens[1:])]
    wide = float(np.clip(0.32 * n, 4.2, 8.8))
    made, (ax,) = figure(size=(wide + 1.4, wide + 0.65))
    # The lightest blue differs from the white of pairs that never occur.
    colours = ListedColormap(colormaps["Blues"](np.linspace(0.12, 1, 256)))
    scale = LogNorm(1, max(2, counts.max()))
    image = ax.imshow(np.ma.masked_equal(counts, 0), cmap=colours, norm=scale)
    beside = made.colorbar(image, shrink=0.6, aspect=30, pad=0.01, label=f"times in the {part} words (white: never)")
    beside.ax.yaxis.set_major_formatter("{x:,.0f}")
    beside.ax.yaxis.set_minor_formatter(LogFormatter())  # labels ticks even within a decade
    cell = 72 * wide / n  # points
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(n), labels, fontsize=min(10, 0.75 * cell))
        axis.set_tick_params(length=0)
    ax.spines[:].set_visible(False)
    if n <= MAX_WRITTEN_ROWS:
        painted = colours(scale(np.maximum(counts, 1)))
        for i, j in np.ndindex(n, n):
            count = int(counts[i, j])
            ax.text(
                j,
                i,
                f"{labels[i]}{labels[j]}\n{short(count)}",
                fontsize=min(9, 0.35 * cell),
                color=ink(painted[i, j]) if count else "#888888",
                ha="center",
                va="center",
                in_layout=False,  # it is inside the axes, and measuring it takes a while
            )
    ax.set_xlabel(f"second character ({END_SHOWN} the end of a word)")
    ax.set_ylabel(f"first character ({END_SHOWN} the beginning of a word)")
    headline(made, corpus.name, f"pairs of characters in the {part} words{of_all(n - 1, len(corpus.vocab) - 1)}")
    return made


def plot_next(model: Model, prefix: str = "") -> Figure:
    """Draw the probabilities of the next character, or of the end, after a prefix: the most likely first.

    Raises InputError for a character that is not in the vocabulary.
    """
    p = next_probabilities(model, prefix)[-1]
    tokens = np.argsort(-p, kind="stable")[:MAX_BARS]
    n = len(tokens)
    made, (ax,) = figure(size=(float(np.clip(0.27 * n + 1, 5.5, 10)), 3.4))
    bars = ax.bar(range(n), p[tokens], color=[COLOURS[1] if token == END else COLOURS[0] for token in tokens])
    ax.bar_label(bars, [f"{100 * x:.0f}" if x >= 0.005 else "" for x in p[tokens]], fontsize=7, padding=1)
    ax.set_xticks(range(n), [named(model.vocab, token) for token in tokens], fontsize=min(10, 320 / n))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, n - 0.3)
    ax.yaxis.set_major_formatter(_percent)
    ax.set_xlabel("next character, most likely first")
    ax.set_ylabel("probability (%)")
    which = f"next character after {quoted(prefix, 12)}" if prefix else "first character of a word"
    headline(made, model.title, which + of_all(n, len(p), "most likely", "tokens"))
    return made


def plot_word(model: Model, word: str, unit: Unit = "nats") -> Figure:
    """Draw the surprise at each character of a word and at its end, above the most likely characters.

    Raises InputError for an empty word, a character that is not in the vocabulary, or an unknown unit.
    """
    surprise, even = np.array(model.score(word).per_char) / nats_in(unit), math.log(len(model.vocab)) / nats_in(unit)
    p = next_probabilities(model, word)
    targets = [*model.vocab.encode(word), END]
    likeliest = np.argsort(-p, axis=1, kind="stable")[:, :ALTERNATIVES].T
    n, rows = len(targets), len(likeliest)
    wide = float(np.clip(0.62 * n, 4.5, 24))
    made, (ax, table) = figure(2, 1, size=(wide + 1.3, 4.2), sharex=True, height_ratios=[3, 1.6])
    ax.bar(range(n), surprise, color=[COLOURS[1] if token == END else COLOURS[0] for token in targets], width=0.7)
    ax.axhline(even, **GUIDE, label=f"uniform over {p.shape[1]:,} tokens")
    font = min(9, 72 * wide / n / 5)
    for i, x in enumerate(surprise):
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
    ax.set_ylim(0, 1.1 * max(surprise.max(), even))
    ax.set_ylabel(f"surprise ({unit})")
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
            color=ink(image.cmap(image.norm(chances[i, j]))),
            ha="center",
            va="center",
        )
    table.set_yticks(range(rows), ["1st", "2nd", "3rd"][:rows])
    table.tick_params(length=0, labelbottom=False)
    table.spines[:].set_visible(False)
    table.set_ylabel("most likely")
    table.set_xlabel("characters of the word (bold: the one that follows)")
    total = f"{surprise.sum():.1f} {unit} in total, {surprise.mean():.2f} per token"
    headline(made, model.title, f"surprise of {quoted(word, 40)}, {total}")
    return made


def plot_samples(model: Model, corpus: Corpus, n: int = 2000, seed: int = 42) -> Figure:
    """Draw the distributions of lengths and characters of n samples and of the train words.

    Train words count by their weights, as in training. Raises InputError for a corpus with another vocabulary, and for
    values out of range.
    """
    if n < 1:
        raise InputError(f"the number of samples is {n}: it must be at least 1")
    model.check_vocab(corpus)
    words = {
        "train words": corpus.parts["train"],
        # Samples stay as drawn: Unicode normalisation would change their characters.
        "samples": WordList.of_text("".join(f"{word}\n" for word in model.sample(n, seed=seed))),
    }
    weights = {"train words": corpus.weights("train"), "samples": None}
    frequencies = {label: _frequencies(listed, corpus.vocab, weights[label]) for label, listed in words.items()}
    order = np.argsort(-frequencies["train words"], kind="stable")[:MAX_BARS]
    made, (lengths, letters) = figure(1, 2, size=(10, 3.6), width_ratios=[2, 3])
    longest = max(int(listed.lengths.max()) for listed in words.values())
    steps: list[dict[str, Any]] = [{"color": LIGHT_GREY, "fill": True}, {"color": COLOURS[1], "linewidth": 1.8}]
    marks: list[dict[str, Any]] = [
        {"color": LIGHT_GREY, "marker": "o", "markersize": 9},
        {"color": COLOURS[1], "marker": "D", "markersize": 3.5},
    ]
    for i, (label, listed) in enumerate(words.items()):
        counts = np.bincount(listed.lengths, weights[label], minlength=longest + 1)
        lengths.stairs(counts[1:] / counts.sum(), np.arange(1, longest + 2) - 0.5, label=label, **steps[i])
        shares = frequencies[label][order] / frequencies[label].sum()
        letters.plot(range(len(order)), shares, linestyle="", label=label, **marks[i])
    lengths.set_xlabel("length (characters)")
    lengths.set_ylabel("percentage of words")
    lengths.xaxis.set_major_locator(MaxNLocator(integer=True))
    letters.set_xticks(
        range(len(order)), [visible(corpus.vocab.characters[i]) for i in order], fontsize=min(10, 330 / len(order))
    )
    letters.tick_params(axis="x", length=0)
    letters.set_xlabel("character, in order of frequency in train")
    letters.set_ylabel("percentage of characters")
    letters.grid(axis="y", alpha=0.25)
    for ax in (lengths, letters):
        ax.yaxis.set_major_formatter(_percent)
        ax.set_ylim(bottom=0)
        ax.legend(fontsize=8, edgecolor="none", framealpha=1)
    what = f"{n:,} samples and {len(words['train words']):,} train words"
    headline(made, model.title, what + of_all(len(order), len(corpus.vocab) - 1))
    return made


def next_probabilities(model: Model, word: str) -> np.ndarray:
    """Probabilities of every token at the start of a word and after each character: float64 (characters + 1, V).

    Raises InputError for a character that is not in the vocabulary.
    """
    word = unicodedata.normalize("NFC", word)
    return np.array([list(model.next(word[:n]).values()) for n in range(len(word) + 1)])


def visible(character: str) -> str:
    """Return a character as text for a picture, with a sign for one that is invisible by itself."""
    kind = unicodedata.category(character)
    if character.isspace():
        return "␣"
    if kind.startswith("M"):
        return f"◌{character}"  # a mark needs a base character
    if kind.startswith("C"):
        return "□"
    return plain(character)


def named(vocab: Vocab, token: int) -> str:
    """Return a token as text for a picture."""
    return END_NAMED if token == END else visible(vocab.characters[token - 1])


def _percent(share: float, _: float) -> str:
    """Tick label in percent."""
    return f"{100 * share:g}"


def quoted(word: str, most: int) -> str:
    """Quote a word for a title, only the last `most` characters of a longer one."""
    return f"“{left_to_right(word if len(word) <= most else '…' + word[1 - most :])}”"


def of_all(n: int, of: int, which: str = "most frequent", what: str = "characters") -> str:
    """End of a title: n of how many are shown, if not all."""
    return "" if n == of else f": the {n} {which} of {of:,} {what}"


def ink(colour: ArrayLike) -> str:
    """Return black or white, whichever has the higher contrast with a colour (contrast ratio of WCAG 2.2)."""
    return "white" if np.dot(np.asarray(colour)[:3] ** 2.2, (0.2126, 0.7152, 0.0722)) < 0.179 else "black"


def short(count: int) -> str:
    """Format a count of up to a thousand million in at most four characters."""
    return f"{count}" if count < 10_000 else f"{count / 1e3:.0f}k" if count < 1e6 else f"{count / 1e6:.0f}M"


def _frequencies(words: WordList, vocab: Vocab, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts of the characters of the vocabulary, by the weights of the words: (V - 1,)."""
    if weights is not None:
        stream = vocab.stream(words)
        return np.bincount(stream[1:], per_token(stream, weights), minlength=len(vocab))[1:]
    counts = words.character_counts()
    return np.array([counts.get(character, 0) for character in vocab.characters])


def _by_frequency(words: WordList, vocab: Vocab) -> np.ndarray:
    """Indices of the characters in the vocabulary, by decreasing frequency and then by code point."""
    return np.argsort(-_frequencies(words, vocab), kind="stable")
