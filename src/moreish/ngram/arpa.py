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
LARGE_B = 9  # log10 of a back-off that would multiply what is lost when sums are subtracted
MOST_P = 10  # sum of p after a context: up to 2 in files of KenLM, whose back-off is 1 where only </s> has a line
LONGEST_LINE, LONGEST_NGRAM = 10_000, 64  # bytes, characters
MOST_OTHERS = 100_000  # lines that are blank or stand before the n-grams
NO_ARPA = "not an ARPA file, which has \\data\\ and after it \\1-grams:, \\2-grams: and so on"

Line = tuple[list[str], float, float, int]  # words, log10 p, log10 b, and the number of the line
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

    The file is read line by line, so that memory is in proportion to its n-grams.

    Raises InputError if it cannot be read, is not such a file, or if the probabilities after a context are not
    positive, or sum to more than MOST_P.
    """

    def __init__(self, path: Path):
        self.path = path
        self.order, self.characters = 0, ""
        self.entries: dict[Gram, dict[int, float]] = {(): {}}
        self.left: dict[Gram, float] = {}
        self.tokens = {BEGIN: END_TOKEN, END: END_TOKEN}
        self._singles: dict[str, Line] | None = {}  # lines of 1-grams, until their characters have numbers
        try:
            self._read()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if END_TOKEN not in self.entries[()]:
            raise InputError(f"{path}: has no {END}, the end of a word, among its 1-grams")
        self._complete()

    def _wrong(self, number: int, reason: str) -> InputError:
        return InputError(f"{self.path}:{number + 1}: {reason}")

    def _bytes_of_lines(self) -> Iterator[bytes]:
        """Yield the lines, up to one that is too long, which may be cut."""
        left = b""
        with self.path.open("rb") as file:
            for block in unpacked(file, str(self.path)):
                *lines, left = (left + block).split(b"\n")
                yield from lines
                if len(left) > LONGEST_LINE:
                    break
        yield left

    def _lines(self) -> Iterator[str]:
        """Yield the lines, without their line breaks."""
        place = 0
        for number, line in enumerate(self._bytes_of_lines()):
            if len(line) > LONGEST_LINE:
                raise self._wrong(number, f"a line of more than {LONGEST_LINE:,} bytes: this is {NO_ARPA}")
            try:
                text = line.decode("utf-8" if number else "utf-8-sig")
            except UnicodeDecodeError as error:
                reason = f"not UTF-8 at byte {place + error.start:,}: an ARPA file in text is needed"
                raise InputError(f"{self.path}: {reason}") from None
            yield text
            place += len(line) + 1

    def _read(self) -> None:
        """Read the lines up to \\\\end\\\\."""
        counts, n, others, number = dict[int, int](), 0, 0, 0
        for number, line in enumerate(self._lines()):
            text = line.strip()
            if (match := SECTION.fullmatch(text)) or text == "\\end\\":
                if n != counts.get(self.order, n):
                    wanted = counts[self.order]
                    raise self._wrong(number, f"{n:,} {self.order}-grams come before this, and not {wanted:,}")
                if self.order == 1:
                    self._number_characters()
                if self.order and not match:
                    return
                if not match or int(match[1]) != self.order + 1:
                    raise InputError(f"{self.path}: {NO_ARPA}")
                self.order, n = self.order + 1, 0
                if self.order > LONGEST_NGRAM:
                    raise self._wrong(number, f"the n-grams of a model may have at most {LONGEST_NGRAM} characters")
            elif text and self.order:
                n += 1
                if n > counts.get(self.order, n):
                    wanted = counts[self.order]
                    raise self._wrong(number, f"more {self.order}-grams than the {wanted:,} that it declares")
                self._add(*self._parsed(number, line))
            elif match := COUNT.fullmatch(text):
                counts[int(match[1])] = int(match[2])
            else:
                others += 1
                if others > MOST_OTHERS:
                    raise self._wrong(number, f"more than {MOST_OTHERS:,} lines without an n-gram: this is {NO_ARPA}")
        if self.order:
            raise self._wrong(number, "the file ends without \\end\\: it is not complete")
        raise InputError(f"{self.path}: {NO_ARPA}")

    def _parsed(self, number: int, line: str) -> Line:
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
        *before, last = words
        if any(word.lower() == UNKNOWN for word in words):
            return
        if BEGIN in words[1:] or END in before:
            raise self._wrong(number, f"{BEGIN} can only begin an n-gram, and {END} only end it")
        for word in words:
            if word not in self.tokens and (self.order > 1 or not character_of(word)):
                reason = f"{shown(word)} is not {'among the 1-grams' if character_of(word) else 'a character'}"
                raise self._wrong(number, f"{reason}: a model whose words are characters is needed")
        if self._singles is not None:
            self._singles.setdefault(last, (words, p, b, number))
            return
        gram = tuple(self.tokens[word] for word in words)
        if last != BEGIN:
            if gram[:-1] and gram[:-1] not in self.left:
                raise self._wrong(number, f"there is no line for {' '.join(before)!r}, its context")
            self.entries.setdefault(gram[:-1], {}).setdefault(gram[-1], p)
        if last != END:
            self.left.setdefault(gram, b)

    def _number_characters(self) -> None:
        """Number the characters of the 1-grams, and add these."""
        singles, self._singles = self._singles or {}, None
        characters = {word: c for word in singles if (c := character_of(word))}
        self.characters = "".join(sorted({*characters.values()}))
        token = {c: number for number, c in enumerate(self.characters, start=1)}
        self.tokens |= {symbol(c): token[c] for c in token} | token | {word: token[c] for word, c in characters.items()}
        for line in singles.values():
            self._add(*line)

    def _complete(self) -> None:
        """Give an entry to each context that has a back-off, as a node needs one, and check the sums of all contexts.

        After a context h with the characters E(h) that have lines after it, the sum is that of p(c | h) for E(h), and
        b(h) times that of p(c | h') for all others.
        """
        n_tokens = 1 + len(self.characters)
        sums, least = dict[Gram, float](), dict[Gram, float]()  # of p after each context, and no more than log10 of any
        backed = (context for context, b in self.left.items() if b and len(context) < self.order)
        for context in sorted({*self.entries, *backed}, key=len):
            b, shorter = self.left.get(context, 0.0), context[1:]
            while shorter not in sums and shorter:
                shorter = shorter[1:]
            if context not in self.entries:
                self.entries[context] = {END_TOKEN: b + self.log_p(shorter, END_TOKEN)}
            of = self.entries[context]
            sums[context], least[context] = sum(10**p for p in of.values()), min(of.values())
            if len(of) == n_tokens:
                self.left[context] = min(b, 0.0)  # is never used
            else:
                sums[context] += 10**b * self._sum_of_others(shorter, sums[shorter], of, b)
                least[context] = min(least[context], b + least[shorter])
            if least[context] < -FURTHEST:
                raise self._improbable(context, f"are below 1e-{FURTHEST}", "smooth the model")
            if not sums[context] <= MOST_P:
                raise self._improbable(context, f"sum to {sums[context]:.4g} and not to 1", "make the file again")

    def _sum_of_others(self, context: Gram, total: float, seen: dict[int, float], b: float) -> float:
        """Return the sum of p after a context, whose total is given, of all tokens but those in `seen`."""
        if b < LARGE_B:
            return max(0.0, total - sum(10 ** self.log_p(context, token) for token in seen))
        others = (token for token in range(1 + len(self.characters)) if token not in seen)
        return sum(10 ** self.log_p(context, token) for token in others)

    def _improbable(self, context: Gram, reason: str, way_out: str) -> InputError:
        words = [symbol(self.characters[token - 1]) if token else BEGIN for token in context]
        after = f"after {' '.join(words)!r}" if words else "of 1-grams"
        return InputError(f"{self.path}: the probabilities {after} {reason}", way_out)

    def log_p(self, context: Gram, token: int) -> float:
        """Return log10 of the probability of a token after a context."""
        found = self.entries.get(context, {}).get(token)
        return found if found is not None else self.left.get(context, 0.0) + self.log_p(context[1:], token)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of an `Automaton`."""
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
