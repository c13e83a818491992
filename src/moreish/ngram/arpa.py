"""ARPA files of n-gram models whose words are characters: their symbols, and reading them.

A line of the file has log10 p(c | h), the n-gram h c, and, if h c is a context, log10 b(h c). A character without a
line after h has the probability b(h) p(c | h'), where h' is h without its first character. <s> is the beginning of a
word, </s> its end, and <unk> all unknown characters.

These are the numbers of an `Automaton`: p of its entries, and as share the b of its nodes. <s> is one end token in
front of a word, where counting has several.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..corpus.packed import unpacked
from ..corpus.stream import END as END_TOKEN
from ..corpus.wordlist import shown
from ..errors import InputError

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
CODE = re.compile(r"U\+([0-9A-F]{4,6})")
COUNT, SECTION = re.compile(r"ngram (\d{1,3}) *= *(\d{1,18})"), re.compile(r"\\(\d{1,3})-grams:")
FURTHEST = 300  # from 0, of log10 of a probability or a back-off

Gram = tuple[int, ...]  # tokens, where 0 in front is <s>, and 0 at the end </s>


def symbol(character: str) -> str:
    """Return the word that a character is in a file: its code point if it separates words or is not printable."""
    return character if character.isprintable() and not character.isspace() else f"U+{ord(character):04X}"


def character_of(word: str) -> str | None:
    """Return the character that a word in a file is; None if it is more than one."""
    if code := CODE.fullmatch(word):
        number = int(code[1], 16)
        return None if number > 0x10FFFF or 0xD800 <= number < 0xE000 or chr(number) == "\n" else chr(number)
    return word if len(word) == 1 else None


class Arpa:
    """An ARPA file.

    order       the length of its longest n-grams
    characters  all that it knows, in code point order: tokens 1, 2, ...
    entries     for each context, log10 p of each token that has a line after it
    left        log10 b of each context that has one

    Raises InputError if it cannot be read or is not such a file.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                lines = b"".join(unpacked(file, str(path))).decode("utf-8-sig").split("\n")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 at byte {error.start:,}: an ARPA file in text is needed") from None
        self.order, self.characters = 0, ""
        self.entries: dict[Gram, dict[int, float]] = {(): {}}
        self.left: dict[Gram, float] = {}
        self.tokens = {BEGIN: END_TOKEN, END: END_TOKEN}
        sections = list(self._sections(lines))
        if [order for order, _, _ in sections] != [*range(1, len(sections) + 1)] or not sections:
            raise InputError(
                f"{path}: not an ARPA file, which has \\data\\ and after it \\1-grams:, \\2-grams: and so on"
            )
        for self.order, first, last in sections:
            parsed = [self._parsed(number, lines[number]) for number in range(first, last) if lines[number].strip()]
            if self.order == 1:
                found = {character_of(words[0]) for words, *_ in parsed} - {None}
                self.characters = "".join(sorted(c for c in found if c))
                self.tokens |= {symbol(c): token for token, c in enumerate(self.characters, start=1)}
                self.tokens |= {c: token for token, c in enumerate(self.characters, start=1)}
            for words, p, b, number in parsed:
                self._add(words, p, b, number)
        if END_TOKEN not in self.entries[()]:
            raise InputError(f"{path}: has no {END}, the end of a word, among its 1-grams")

    def _wrong(self, number: int, reason: str) -> InputError:
        return InputError(f"{self.path}:{number + 1}: {reason}")

    def _sections(self, lines: list[str]) -> Iterator[tuple[int, int, int]]:
        """Yield the order of each section, and its lines: first and one after the last."""
        counts, order, first = dict[int, int](), 0, 0
        for number, text in enumerate(map(str.strip, lines)):
            if match := COUNT.fullmatch(text):
                counts[int(match[1])] = int(match[2])
            elif (match := SECTION.fullmatch(text)) or text == "\\end\\":
                if order:
                    n = sum(1 for line in lines[first:number] if line.strip())
                    if n != counts.get(order, n):
                        raise self._wrong(number, f"{n:,} {order}-grams come before this, and not {counts[order]:,}")
                    yield order, first, number
                order, first = (int(match[1]) if match else 0), number + 1
                if not match:
                    return
        if order:
            raise self._wrong(len(lines) - 1, "the file ends without \\end\\: it is not complete")

    def _parsed(self, number: int, line: str) -> tuple[list[str], float, float, int]:
        p, *words = re.split(r"[ \t]+", line.strip(" \t\r"))
        b = "0"
        if len(words) == self.order + 1:
            b = words.pop()
        try:
            numbers = float(p), float(b)
        except ValueError:
            numbers = (np.nan, np.nan)
        if len(words) != self.order or not all(abs(x) <= FURTHEST for x in numbers) or numbers[0] > 0:
            wanted = f"log10 of a probability, {self.order} words, and perhaps log10 of a back-off"
            raise self._wrong(number, f"{shown(line.strip())} is not a line of {self.order}-grams: {wanted}")
        return words, *numbers, number

    def _add(self, words: list[str], p: float, b: float, number: int) -> None:
        if any(word.lower() == UNKNOWN for word in words):
            return
        if BEGIN in words[1:] or END in words[:-1]:
            raise self._wrong(number, f"{BEGIN} can only begin an n-gram, and {END} only end it")
        for word in words:
            if word not in self.tokens:
                reason = f"{shown(word)} is not {'among the 1-grams' if character_of(word) else 'a character'}"
                raise self._wrong(number, f"{reason}: a model whose words are characters is needed")
        gram = tuple(self.tokens[word] for word in words)
        if words[-1] != BEGIN:
            if gram[:-1] and gram[:-1] not in self.left:
                raise self._wrong(number, f"there is no line for {' '.join(words[:-1])!r}, its context")
            self.entries.setdefault(gram[:-1], {})[gram[-1]] = p
        if words[-1] != END:
            self.left[gram] = b

    def log_p(self, context: Gram, token: int) -> float:
        """Return log10 of the probability of a token after a context."""
        found = self.entries.get(context, {}).get(token)
        return found if found is not None else self.left.get(context, 0.0) + self.log_p(context[1:], token)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of an `Automaton`."""
        for context, b in self.left.items():
            if b and context not in self.entries and len(context) < self.order:  # a node must have an entry
                self.entries[context] = {END_TOKEN: self.log_p(context, END_TOKEN)}
        contexts = sorted(self.entries, key=lambda context: (len(context), context))
        node = {context: number for number, context in enumerate(contexts)}

        def longest(context: Gram) -> int:
            while context not in node:
                context = context[1:]
            return node[context]

        start, first = node.get((END_TOKEN,), 0), [0]
        char, after, p = list[int](), list[int](), list[float]()
        for context in contexts:
            for token, log_p in sorted(self.entries[context].items()):
                char.append(token)
                p.append(10**log_p)
                after.append(start if token == END_TOKEN else longest((*context, token)))
            first.append(len(char))
        return {
            "first": np.array(first, np.int64),
            "parent": np.array([longest(context[1:]) for context in contexts], np.int32),
            "char": np.array(char, np.int32),
            "after": np.array(after, np.int32),
            "start": np.array([start], np.int64),
            "p": np.array(p),
            "share": 10 ** np.array([self.left.get(context, 0.0) for context in contexts]),
        }
