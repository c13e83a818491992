"""A reader of ARPA files, and KenLM in the same form."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest


class Reader:
    """A reader of ARPA files: log10 p of an n-gram, or log10 b of its context and p of the shorter one."""

    def __init__(self, text: str):
        self.p: dict[tuple[str, ...], float] = {}
        self.b: dict[tuple[str, ...], float] = {}
        self.counts, found = dict[int, int](), defaultdict[int, int](int)
        assert text.endswith("\\end\\\n")
        for line in text.split("\n"):
            if line.startswith("ngram "):
                order, count = line.removeprefix("ngram ").split("=")
                self.counts[int(order)] = int(count)
            elif line.count("\t"):
                p, gram, *b = line.split("\t")
                words = tuple(gram.split(" "))
                assert words not in self.p
                self.p[words] = float(p)
                self.b |= {words: float(b[0])} if b else {}
                found[len(words)] += 1
        assert found == self.counts

    def log_p(self, context: tuple[str, ...], word: str) -> float:
        if (*context, word) in self.p:
            return self.p[*context, word]
        return self.b.get(context, 0.0) + self.log_p(context[1:], word)

    def score(self, words: list[str]) -> float:
        """log10 of the probability of words from <s> to </s>."""
        given, longest = ("<s>", *words, "</s>"), max(self.counts) - 1
        return sum(self.log_p(given[max(0, i - longest) : i], given[i]) for i in range(1, len(given)))


def kenlm_model(text: str, folder: Path) -> Any:
    """KenLM with a file of this text, which takes a list of words."""
    kenlm = pytest.importorskip("kenlm")
    path = folder / "model.arpa"
    path.write_text(text, encoding="utf-8", newline="\n")
    model = kenlm.Model(str(path))

    class KenLM:
        def score(self, words: list[str]) -> float:
            return model.score(" ".join(words))

    return KenLM()
