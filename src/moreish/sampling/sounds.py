"""Vowels and consonants of many scripts, and sets of words by their sound.

The script of a character tells its class. A letter has the class of its base letter (é that of e). Digits, hyphens,
apostrophes, Chinese characters and other signs are in neither class. Scripts that do not write every vowel have those
that are written: in Arabic and Hebrew the letters that can stand for long vowels, and in Indian scripts the vowel signs
and the independent vowels.
"""

import re
import unicodedata
from functools import cache

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from .dfa import DFA, explore, trimmed

MAX_SYLLABLES = 100
# Scripts by their names in Unicode, and those of their vowels that Unicode does not name so that they can be told.
SCRIPTS = {
    "LATIN": "yøœıəɛɔǝɨʉɪʊɑ",
    "GREEK": "αεηιουω",
    "CYRILLIC": "ыюяєіѣәөүұѵ",
    "GEORGIAN": "აეიოუ",
    "ARMENIAN": "աեէըիոօւև",
    "HEBREW": "\u05d0\u05d5\u05d9",  # alef, vav, yod
    "ARABIC": "\u0627\u0648\u064a\u0649\u06cc",  # alef, waw, yeh, alef maksura, Farsi yeh
    **dict.fromkeys(["HIRAGANA", "KATAKANA", "THAI", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA"], ""),
    **dict.fromkeys(["TAMIL", "TELUGU", "KANNADA", "MALAYALAM"], ""),
}
SOUNDEX = ("bfpv", "cgjkqsxz", "dt", "l", "mn", "r")  # of consonants (Russell 1918, US patent 1,261,167)
MAX_DISTANCE = 3
LIKE_FACTOR = 10.0
MAX_FACTOR = 10_000
MAX_LIKED = 30  # characters of a word; each takes about 400 states
CONSONANTS = frozenset("йўヴゔ")  # their base letters are vowels
VOWEL_NAME = re.compile(
    r"LETTER (SHORT |SMALL |CANDRA )?[AEIOU]{1,2}$|LETTER VOCALIC|VOWEL SIGN|CHARACTER (SARA|MAI HAN-AKAT)|"
    r"POINT (HATAF|HIRIQ|TSERE|SEGOL|PATAH|QAMATS|HOLAM|QUBUTS)|ARABIC (FATHA|DAMMA|KASRA)"
)


@cache
def sound(char: str) -> str:
    """Return the class of a character in NFC: v for a vowel, c for a consonant, an empty text for any other."""
    if char.lower() in CONSONANTS:
        return "c"
    letter = base(char)
    name = unicodedata.name(letter, "")
    script = name.partition(" ")[0]
    if script not in SCRIPTS:
        return ""
    if letter in SCRIPTS[script] or VOWEL_NAME.search(name):
        return "v"
    return "c" if unicodedata.category(letter) in ("Ll", "Lo") and " SIGN" not in name else ""


def base(char: str) -> str:
    """Return a character in lower case and without accents."""
    return unicodedata.normalize("NFD", char.lower())[0]


def sounding(vocab: Vocab, kind: str) -> np.ndarray:
    """Return the vowels of a list if kind is v, its consonants if kind is c: bool (V,)."""
    return np.array([False, *(sound(char) == kind for char in vocab.characters)])


def syllable_bounds(text: str) -> tuple[int, int]:
    """Return the smallest and the largest number in a text such as 2 or 2-3. Raises InputError for any other text."""
    low, dash, high = text.partition("-")
    if not re.fullmatch("[0-9]{1,4}(-[0-9]{1,4})?", text):
        raise InputError(f"--syllables is {text!r}: it must be a number or a range, such as 2 or 2-3")
    bounds = int(low), int(high if dash else low)
    if not bounds[0] <= bounds[1] <= MAX_SYLLABLES:
        raise InputError(f"--syllables is {text}: it must be from 0 to {MAX_SYLLABLES}, the smaller number first")
    return bounds


def of_syllables(low: int, high: int, vowels: np.ndarray, letters: np.ndarray) -> DFA:
    """Return the words of letters, bool (V,), with low to high runs of vowels, bool (V,).

    State 2 n + 1 is inside run number n + 1, and state 2 n before it.
    """
    states = np.arange(2 * high + 1)
    delta = np.stack([np.full_like(states, -1), states + states % 2, states | 1], axis=1)
    classes = np.where(vowels, 2, 1) * letters
    return trimmed(np.where(delta <= 2 * high, delta, -1), np.where(states >= 2 * low - 1, 1.0, 0.0), classes)


def alike(a: str, b: str) -> bool:
    """Test if two characters differ by accents alone, are two vowels, or two consonants of one group of Soundex."""
    a, b = base(a), base(b)
    return a == b or sound(a) == sound(b) == "v" or any(a in group and b in group for group in SOUNDEX)


def sounding_like(word: str, factor: float, vocab: Vocab) -> DFA:
    """Return the words that sound like a word, with the weight factor**-d for a distance d.

    The distance is that of edits. To insert, delete or replace a character costs 1; to replace it by one that sounds
    alike, to double it, or to delete one of a pair, 1/2. Similar consonants are those of one group of Soundex. The word
    itself is left out, and words at a distance over half its length (1 is always allowed) or over MAX_DISTANCE.

    A state is a row of the table that computes the distance, as in `at_edits`, in halves. Its code has the place of the
    first number that is not too large, and 3 bits for each of the numbers from there.
    """
    farthest = min(max(len(word), 2), 2 * MAX_DISTANCE)  # in halves
    far, width = farthest + 1, 2 * farthest + 1
    L, characters = len(word), vocab.characters
    replace = np.array([[0, *(0 if a == b else 1 if alike(a, b) else 2 for b in characters)] for a in word])
    costs, classes = np.unique(np.vstack([np.arange(len(vocab)) > 0, replace]), axis=1, return_inverse=True)
    costs = costs[1:, 1:]  # (L, K - 1), without the class of the end
    delete = [1 if i and word[i] == word[i - 1] else 2 for i in range(L)]

    def code(rows: np.ndarray) -> np.ndarray:
        first = np.argmax(rows < far, axis=-1)[..., None]
        padded = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, width)], constant_values=far)
        numbers = np.take_along_axis(padded, first + np.arange(width), axis=-1)
        codes = first[..., 0] << 3 * width | (numbers << 3 * np.arange(width)).sum(-1)
        return np.where((rows < far).any(-1), codes, -1)

    def decode(codes: np.ndarray) -> np.ndarray:
        rows = np.full((len(codes), L + 1 + width), far)
        places = (codes >> 3 * width)[:, None] + np.arange(width)
        np.put_along_axis(rows, places, codes[:, None] >> 3 * np.arange(width) & 7, axis=1)
        return rows[:, : L + 1]

    def follow(codes: np.ndarray) -> np.ndarray:
        row = decode(codes)[:, :, None]
        new = [np.broadcast_to(row[:, 0] + 2, (len(codes), costs.shape[1]))]
        for i in range(L):
            insert = np.where(costs[i] == 0, 1, 2)
            new.append(np.minimum(np.minimum(row[:, i] + costs[i], row[:, i + 1] + insert), new[i] + delete[i]))
        after = code(np.minimum(np.stack(new, axis=-1), far))
        return np.concatenate([np.full((len(codes), 1), -1), after], axis=1)

    start = np.minimum(np.cumsum([0, *delete]), far)
    codes, delta = explore(follow, int(code(start)))
    halves = decode(codes)[:, L]
    weights = np.where((halves > 0) & (halves < far), factor ** (-halves / 2), 0.0)
    return trimmed(delta, weights, classes.ravel())
