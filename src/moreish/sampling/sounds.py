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
from .dfa import DFA, trimmed

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
    states = np.arange(2 * high + 1)[:, None]
    delta = np.where(vowels, states | 1, states + states % 2)
    delta = np.where(letters & (delta <= 2 * high), delta, -1)
    return trimmed(delta.astype(np.int32), states[:, 0] >= 2 * low - 1)
