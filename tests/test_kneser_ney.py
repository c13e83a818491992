"""Modified Kneser-Ney smoothing against a plain implementation from Chen and Goodman 1998, section 5."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

import moreish
from moreish import Corpus

START, END = "<", ">"


class Plain:
    """Interpolated modified Kneser-Ney, from sets and counts of n-grams.

    A word has one START, which is never predicted. Order 1 is interpolated with the uniform distribution. If the
    formulas of the discounts have no value, D is Y, and Y is a half if it has none: the paper does not say.
    """

    def __init__(self, words, order: int, n_vocab: int):
        self.order, self.n_vocab = order, n_vocab
        raw = Counter()
        for word in words:
            text = START + word + END
            for end in range(2, len(text) + 1):
                for n in range(1, order + 1):
                    if end - n >= 0:
                        raw[text[end - n : end]] += 1
        before = defaultdict(set)  # N1+(. h c)
        for gram in raw:
            before[gram[1:]].add(gram[0])
        self.c = {g: n if len(g) == order or g[0] == START else len(before[g]) for g, n in raw.items()}
        self.after = defaultdict(dict)
        for gram, n in self.c.items():
            self.after[gram[:-1]][gram[-1]] = n
        self.D = [self.discounts([n for g, n in self.c.items() if len(g) == k]) for k in range(1, order + 1)]

    @staticmethod
    def discounts(counts):
        n1, n2, n3, n4 = (counts.count(r) for r in (1, 2, 3, 4))
        Y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
        d1 = 1 - 2 * Y * n2 / n1 if n1 and n2 else Y
        d2 = 2 - 3 * Y * n3 / n2 if n2 and n3 else Y
        d3 = 3 - 4 * Y * n4 / n3 if n3 and n4 else Y
        return [0.0, *(min(max(d, 0.01), r) for r, d in ((1, d1), (2, d2), (3, d3)))]

    def p(self, c: str, h: str) -> float:
        """p(c | h), where h has the last order - 1 characters at most."""
        shorter = self.p(c, h[1:]) if h else 1 / self.n_vocab
        follow = self.after.get(h)
        if not follow:
            return shorter
        D, total = self.D[len(h)], sum(follow.values())
        n = follow.get(c, 0)
        gamma = sum(D[min(m, 3)] for m in follow.values()) / total
        return max(n - D[min(n, 3)], 0) / total + gamma * shorter

    def nll(self, word: str) -> list[float]:
        text = START + word + END
        return [-math.log(self.p(text[i], text[max(0, i - self.order + 1) : i])) for i in range(1, len(text))]


def large_alphabet() -> list[str]:
    """Words over 300 characters of very different frequency, so that every order has counts of 1, 2, 3 and 4."""
    draw = random.Random(1)
    characters = [chr(0x4E00 + i) for i in range(300)]
    weights = [1 / (i + 1) ** 1.3 for i in range(300)]
    pairs = ["".join(draw.choices(characters, weights, k=2)) for _ in range(800)]
    return ["".join(draw.choices(pairs, [1 / (i + 1) for i in range(800)], k=draw.randint(1, 4))) for _ in range(3000)]


@pytest.mark.parametrize("order", range(2, 9))
@pytest.mark.parametrize("words", [moreish.bundled("names"), large_alphabet()], ids=["names", "large alphabet"])
def test_every_token_costs_what_the_paper_says(words, order):
    corpus = Corpus(words)
    plain = Plain(corpus.parts["train"], order, len(corpus.vocab))
    model = moreish.train(corpus, "ngram", order=order, smoothing="kneser-ney").model
    for word in [*corpus.parts["val"][:300], *corpus.parts["train"][:100], corpus.vocab.characters[:12]]:
        assert model.score(word).per_char == pytest.approx(plain.nll(word), rel=1e-6)


def test_the_discounts_of_a_large_alphabet_are_those_of_the_formulas():
    """Without the values for formulas that have none."""
    corpus = Corpus(large_alphabet())
    plain = Plain(corpus.parts["train"], 4, len(corpus.vocab))
    for k in range(1, 5):
        counts = np.array([n for gram, n in plain.c.items() if len(gram) == k])
        n1, n2, n3, n4 = (int((counts == r).sum()) for r in (1, 2, 3, 4))
        assert min(n1, n2, n3, n4) > 0
        Y = n1 / (n1 + 2 * n2)
        assert plain.D[k - 1][1:] == pytest.approx([1 - 2 * Y * n2 / n1, 2 - 3 * Y * n3 / n2, 3 - 4 * Y * n4 / n3])
