"""A map of a net's character embeddings: a plane that shows most of their distances, and the kinds of characters."""

import unicodedata

import numpy as np

from ..errors import InputError
from ..layers import Embedding, LabelledEmbedding
from ..models.model import Model

CHARACTER_KINDS = ("vowel", "consonant", "other character", "end")
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")  # in which vowels and consonants are distinguished
VOWELS = frozenset("aeiouyæœøıəɛɔ" + "αεηιουω" + "аеёиѝоуыэюяіїєѣѵ")
SIGNS = frozenset("ъьʹʺ")  # letters that are neither


def embeddings_of(model: Model) -> np.ndarray:
    """Return the embedding of every token, float64 (V, E). Raises InputError for a model without embeddings."""
    model.need_layers()
    if not isinstance(model.layers[0], Embedding | LabelledEmbedding):
        raise InputError(f"{model.kind} has no embeddings", "train a net that has, as with --model mlp")
    return model.layout.slots[0][0].view(model.params).astype(np.float64)


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


def turned(at: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rotate or reflect points (V, 2) about the origin so that they come as near to others (V, 2) as they can.

    The sum of squared distances is smallest for the rotation U V^T, where U S V^T is the singular value decomposition
    of at^T like (Schoenemann 1966). Distances between points stay.
    """
    U, _, Vt = np.linalg.svd(at.T @ like)
    return at @ (U @ Vt)


def kind_of(character: str) -> str:
    """Return vowel or consonant for a Latin, Greek or Cyrillic letter, accents aside; else other character, and end for
    the empty text of the end token.
    """
    if not character:
        return "end"
    script = unicodedata.name(character, "").split(" ")[0]
    small = character.lower()[0]
    if script not in SCRIPTS or not character.isalpha() or small in SIGNS:
        return "other character"
    # A Cyrillic letter with a diacritic is another letter: й is not a vowel.
    base = small if script == "CYRILLIC" else unicodedata.normalize("NFD", small)[0]
    return "vowel" if base in VOWELS else "consonant"
