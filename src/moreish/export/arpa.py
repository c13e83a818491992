"""An n-gram model in the ARPA format, which KenLM, SRILM and other toolkits read: a character is a word there.

An entry of the file is an n-gram h c with log10 p(c | h), and with log10 b(h c) if it is a context. After a context h,
a reader takes the entry h c, or else b(h) p(c | h'), where h' is h without its first character. An automaton of counts
(see `ngram.tables`) has just these numbers: p of its entries, and as b the share that a node leaves to its parent.

Only the beginning of a word differs: here it is several end tokens, and there one <s>. So the nodes of 0 w, 00 w, ...
for the same characters w, each the parent of the next, are one context <s> w. Its b is the product of their shares. Its
entries are those of the longest and, multiplied by the shares of the longer ones, those of the others.

The end of a word is </s>. A character that separates words in such a file, or is not printable, is written as its code
point, such as U+0020 for a space. A character that the model does not know is <unk>; it has the probability that
`Model.score` gives it, multiplied as any other by b of the contexts before it.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from .._version import __version__
from ..models.score import UNKNOWN_NLL
from ..ngram import Automaton
from ..ngram.arpa import BEGIN, END, UNKNOWN, symbol
from ..training.run import Run
from .refusals import need_counts, need_no_labels

NEVER = -99  # log10 of a probability of 0, by the custom of the format


class BackOff:
    """A counted model as the contexts and entries of an ARPA file.

    nodes   for the text of each context in the file, its node; of several, the one with the most end tokens
    """

    def __init__(self, automaton: Automaton, symbols: list[str]):
        graph, of = automaton.graph, automaton.probabilities
        self.first, self.parent, self.char = graph.first.tolist(), graph.parent.tolist(), graph.char.tolist()
        self.p, self.share, self.symbols = of.p.tolist(), of.share.tolist(), symbols
        size = len(self.parent)
        length = [0] * size
        for node in range(1, size):
            length[node] = length[self.parent[node]] + 1
        self.begins, texts = [False] * size, [""] * size
        at = graph.start
        while at:  # end tokens alone
            self.begins[at], texts[at], at = True, BEGIN, self.parent[at]
        after = graph.after.tolist()
        for node in range(size):  # a context has been seen: its last character is an entry of the context before it
            for entry in range(self.first[node], self.first[node + 1]):
                reached = after[entry]
                if self.char[entry] and length[reached] == length[node] + 1:
                    texts[reached] = joined(texts[node], symbols[self.char[entry]])
                    self.begins[reached] = self.begins[node]
        self.nodes = {text: node for node, text in enumerate(texts)}

    def of_context(self, text: str) -> tuple[dict[int, float], float]:
        """Return p of each token with an entry in a context, and b of the context."""
        at, weight, found = self.nodes[text], 1.0, dict[int, float]()
        while True:
            for entry in range(self.first[at], self.first[at + 1]):
                found.setdefault(self.char[entry], weight * self.p[entry])
            weight, shorter = weight * self.share[at], self.parent[at]
            if not (self.begins[at] and self.begins[shorter]):
                break
            at = shorter
        if not at:  # of the empty context, every token has an entry
            for token in range(len(self.symbols)):
                found.setdefault(token, weight / len(self.symbols))
        return found, weight

    def lines(self) -> list[list[str]]:
        """Return the lines of each order: log10 p, the n-gram, and log10 b if it is a context."""
        left = {text: f"\t{math.log10(self.of_context(text)[1]):.7g}" for text in self.nodes if text}
        unknown = -UNKNOWN_NLL / math.log(10)
        found = [[f"{unknown:.7g}\t{UNKNOWN}", f"{NEVER}\t{BEGIN}{left.get(BEGIN, '')}"]]
        for text in self.nodes:
            order = text.count(" ") + 1 if text else 0
            found += [[] for _ in range(len(found), order + 1)]
            for token, p in self.of_context(text)[0].items():
                gram = joined(text, self.symbols[token])
                found[order].append(f"{min(math.log10(p), 0):.7g}\t{gram}{left.get(gram, '')}")
        return found


def joined(context: str, word: str) -> str:
    """Return an n-gram as text."""
    return f"{context} {word}" if context else word


def data(run: Run) -> Iterator[bytes]:
    """Yield an ARPA file, one order after another. Raises InputError for a model that is not counted."""
    model = run.model
    need_counts(run, "arpa")
    need_no_labels(run, "arpa")
    assert isinstance(model.engine, Automaton)
    lines = BackOff(model.engine, [END, *map(symbol, model.vocab.characters)]).lines()
    return pieces(lines, f"# moreish {__version__}: {model.summary}")


def pieces(lines: list[list[str]], comment: str) -> Iterator[bytes]:
    """Yield the parts of a file from the lines of each order. KenLM takes a comment that begins with #."""
    counts = [f"ngram {order}={len(of_order)}\n" for order, of_order in enumerate(lines, start=1)]
    yield "".join([f"{comment}\n\n\\data\\\n", *counts]).encode()
    for order, of_order in enumerate(lines, start=1):
        yield "\n".join(["", f"\\{order}-grams:", *of_order, ""]).encode()
    yield b"\n\\end\\\n"


def use(run: Run, path: Path) -> str:
    """Say how to use the file."""
    return f'kenlm.Model({str(path)!r}).score("e m m a")  # log10 of a word\'s probability: a character is a word there'
