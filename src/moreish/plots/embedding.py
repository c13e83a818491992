"""Picture of a net's character embeddings as a map."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..errors import InputError
from ..layers import Embedding, LabelledEmbedding
from ..models.model import Model
from .style import COLOURS, MARKERS, figure
from .text import END_NAMED, named

CHARACTER_KINDS = ("vowel", "consonant", "other character", END_NAMED)
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")  # in which vowels and consonants are distinguished
VOWELS = frozenset("aeiouyæœøıəɛɔ" + "αεηιουω" + "аеёиѝоуыэюяіїєѣѵ")
SIGNS = frozenset("ъьʹʺ")  # letters that are neither
SIDE = 6.0  # of the map, in inches
MARK, CHARACTER, LINE = 6.0, 6.5, 12.0  # points: side of a mark; width and height of a character
DIRECTIONS = np.array([(0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])


def plot_embedding(model: Model) -> Figure:
    """Draw the embedding of every token: its two numbers or, if it has more, its first two principal components.

    Labels that would overlap are left out, and the title says so. Raises InputError for a model without embeddings.
    """
    if not model.layers or not isinstance(model.layers[0], Embedding | LabelledEmbedding):
        raise InputError(f"the {model.name} model has no embeddings: choose a net, such as an mlp")
    C = model.layout.slots[0][0].view(model.params).astype(np.float64)
    if C.shape[1] == 2:
        at, labels = C, ["first number of the embedding", "second number of the embedding"]
    else:
        at, shares = principal(C)
        which = zip(("first", "second"), shares, strict=True)
        labels = [f"{name} principal component ({100 * share:.0f}% of the variance)" for name, share in which]
    kinds = np.array([kind_of(model.vocab.characters[token - 1]) if token else END_NAMED for token in range(len(at))])
    made, (ax,) = figure(size=(SIDE + 0.8, SIDE + 1.2))
    for kind, colour, marker in zip(
        CHARACTER_KINDS, (COLOURS[1], COLOURS[0], COLOURS[4], COLOURS[2]), MARKERS, strict=False
    ):
        x, y = at[kinds == kind].T
        if x.size:
            ax.scatter(x, y, c=colour, marker=marker, s=26, label=kind, linewidths=0)
    # A square with equal scales keeps distances.
    middle, half = (at.min(0) + at.max(0)) / 2, 0.54 * float(np.ptp(at, axis=0).max()) or 1.0
    ax.set_xlim(middle[0] - half, middle[0] + half)
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_aspect("equal")
    names = [named(model.vocab, token) for token in range(len(at))]
    offsets = label_offsets(at * 72 * SIDE / (2 * half), names)
    for token, offset in offsets.items():
        ax.annotate(
            names[token],
            (at[token, 0], at[token, 1]),
            tuple(offset),
            textcoords="offset points",
            ha="center",
            va="center_baseline",
            fontsize=9,
        )
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(CHARACTER_KINDS), fontsize=9, frameon=False)
    made.suptitle(
        f"Embeddings of the {model.name} model, {C.shape[1]} numbers per character"
        + (f"; {len(offsets)} of {len(at)} are labelled" if len(offsets) < len(at) else ""),
        fontsize=11,
    )
    return made


def principal(C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First two principal components (V, 2) of rows (V, E), and their shares of the variance (2,).

    A missing second component is zero. The sign of each makes its largest absolute value positive.
    """
    U, S, _ = np.linalg.svd(C - C.mean(0), full_matrices=False)
    at = np.zeros((len(C), 2))
    at[:, : S.size] = (U * S)[:, :2]
    at *= np.where(at[np.abs(at).argmax(0), [0, 1]] < 0, -1, 1)
    variance = (at**2).sum(0)
    return at, variance / max(float((S**2).sum()), np.finfo(float).tiny)


def kind_of(character: str) -> str:
    """Return vowel or consonant for a Latin, Greek or Cyrillic letter, accents aside; else other character."""
    script = unicodedata.name(character, "").split(" ")[0]
    small = character.lower()[0]
    if script not in SCRIPTS or not character.isalpha() or small in SIGNS:
        return "other character"
    # A Cyrillic letter with a diacritic is another letter: й is not a vowel.
    base = small if script == "CYRILLIC" else unicodedata.normalize("NFD", small)[0]
    return "vowel" if base in VOWELS else "consonant"


def label_offsets(at: np.ndarray, labels: Sequence[str]) -> dict[int, np.ndarray]:
    """Place the labels of marks at (V, 2), in points; return the offset of each label that finds a place.

    A label takes the first of eight places around its mark where it overlaps neither a mark nor an earlier label.
    """
    taken, sizes, offsets = at, np.full(at.shape, MARK), {}
    for i, label in enumerate(labels):
        size = np.array([CHARACTER * len(label), LINE])
        near = (np.abs(taken - at[i]) < sizes + size + MARK).all(1)
        for offset in DIRECTIONS * (size + MARK) / 2:
            if not (np.abs(taken[near] - at[i] - offset) < (sizes[near] + size) / 2 - 0.01).all(1).any():
                taken, sizes = np.vstack([taken, at[i] + offset]), np.vstack([sizes, size])
                offsets[i] = offset
                break
    return offsets
