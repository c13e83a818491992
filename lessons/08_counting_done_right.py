# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Counting done right
#
# Lesson 1 counted pairs, and nets soon left that table far behind. But the table was small, and its smoothing was poor.
# Here we count longer pieces and smooth them well. The result beats every net of the lecture, and takes a second. Then
# we mix it with a net, and ask of both how much they merely copy.

# %%
import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import NamedTuple

import torch

import moreish
from moreish.analysis.novelty import memorisation_ratio
from moreish.lessons.counting import (
    check_back_off,
    check_counted,
    check_exact_ratio,
    check_log_linear,
    check_share_of_new,
)
from moreish.lessons.words import lesson_words
from moreish.plots.style import COLOURS, GUIDE, figure

# %matplotlib inline
torch.set_num_threads(1)  # rows this short gain nothing from more
words = list(lesson_words())
corpus = moreish.Corpus(words)  # the lecture split: 80% train, 10% val, 10% test
train, val, test = (corpus.parts[part] for part in ("train", "val", "test"))
itos = [".", *corpus.vocab.characters]
V = len(itos)
len(train), len(val), len(test)

# %% [markdown]
# ## Longer pieces
#
# An **n-gram** is a piece of n characters in a row. Its last character is the one to predict; those before it are the
# context. The **order** of a model is the length of its longest n-grams. Lesson 1 had order 2, and exercise 2 there had
# order 3. We go up to 6.
#
# As in the other lessons, dots pad the context before a word. We keep the counts in dictionaries, since most n-grams
# never occur: `counts[k][h][c]` tells how often `c` follows the `k` characters `h`.

# %%
order = 6
PADDING = "." * (order - 1)


def tokens(words, start):
    """Each token of the words, after the text before it: `start`, then the word so far."""
    for word in words:
        text = start + word + "."
        for i in range(len(start), len(text)):
            yield text[:i], text[i]


def count(words, start):
    counts = [defaultdict(Counter) for _ in range(order)]
    for past, c in tokens(words, start):
        for k in range(min(order, len(past) + 1)):
            counts[k][past[len(past) - k :]][c] += 1
    return counts


padded = count(train, PADDING)
print("after 'an':", padded[2]["an"].most_common(6))
print("after 'rian':", padded[4]["rian"].most_common(6))

# %% [markdown]
# To predict a token we need to know what its contexts have shown. For a context $h$ of each length, five numbers are
# enough for everything below:
#
# - $n$: how often this token followed $h$.
# - $N$: how often $h$ occurred.
# - $t$: how many different characters followed it.
# - $t_1$ and $t_2$: how many of these followed it only once, and twice.
#
# We look them up once, for all $M$ tokens of val, and store them as tensors of shape (order, M). Row $k$ is about the
# context of $k$ characters. A context that was never seen has zeros.


# %%
class Evidence(NamedTuple):
    """Counts along a stream of M tokens, (order, M) each."""

    n: torch.Tensor
    N: torch.Tensor
    t: torch.Tensor
    t1: torch.Tensor
    t2: torch.Tensor


def evidence(counts, pairs):
    """Look up tokens, given as pairs of the text before and the token itself."""
    known = [
        {h: (row.total(), len(row), *(sum(n == r for n in row.values()) for r in (1, 2))) for h, row in rows.items()}
        for rows in counts
    ]
    found = []
    for past, c in pairs:
        contexts = [past[len(past) - k :] if k <= len(past) else None for k in range(len(counts))]
        found.append(
            [
                (rows[h][c], *known[k][h]) if h in rows else (0,) * 5
                for k, (rows, h) in enumerate(zip(counts, contexts, strict=True))
            ]
        )
    return Evidence(*torch.tensor(found, dtype=torch.float64).permute(2, 1, 0))


of_padded = evidence(padded, tokens(val, PADDING))
print("order  different n-grams   contexts of val seen   n-grams of val seen")
for k in range(order):
    entries = sum(map(len, padded[k].values()))
    contexts, pieces = (of_padded.N[k] > 0).double().mean(), (of_padded.n[k] > 0).double().mean()
    print(f"{k + 1:5}{entries:19,}{contexts:23.1%}{pieces:22.1%}")
    assert pieces <= contexts

# %% [markdown]
# A longer context says more, and has been seen less often. That is the whole difficulty of counting. At order 6 more
# than a fifth of the n-grams in val are new. Whatever we do with them decides the loss.
#
# ## Why add-one is weak
#
# Lesson 1 added 1 to each count. The probability of $c$ after $h$ is then $(n + 1) / (N + V)$. We try it at every order,
# and with smaller numbers than 1 as well.


# %%
def loss(p):
    return -p.log().mean().item()


def additive(k, added):
    return (of_padded.n[k] + added) / (of_padded.N[k] + added * V)


amounts = [10 ** (j / 10) for j in range(-30, 11)]
add_one = [loss(additive(k, 1.0)) for k in range(order)]
tuned = [min(loss(additive(k, added)) for added in amounts) for k in range(order)]
print("order      add one   add the best amount")
for k in range(order):
    print(f"{k + 1:5} {add_one[k]:12.4f} {tuned[k]:12.4f}")
assert add_one[5] > add_one[3]
assert tuned[5] > tuned[3]

# %% [markdown]
# Up to order 4 a longer context helps; then it hurts. For long contexts the best amount is far below 1. It helps a lot,
# but not enough: order 6 is still worse than order 4. Adding has two faults, and one context shows both.

# %%
h = "rian"
row = padded[len(h)][h]
n = torch.tensor([row[c] for c in itos], dtype=torch.float64)  # (V,)
p = (n + 1) / (n + 1).sum()
print(f"{h} was seen {n.sum():.0f} times, and was followed by {len(row)} of {V} characters")
print(
    f"add-one gives the other {V - len(row)} a probability of {p[n == 0].sum():.2f} together, and {p[n == 0][0]:.4f} each"
)
assert torch.allclose(p[n == 0], p[n == 0][0])

# %% [markdown]
# **It gives away too much.** The context was followed by a few characters, time after time. Add-one takes some of their
# probability away. The less often a context was seen, the more it takes.
#
# **It gives to all alike.** Every unseen character gets the same, a *t* as much as a *q*. But the shorter context *ian*
# says more about them, and *an* more still.
#
# How much *should* a count be trusted? We can measure that. Take all n-grams that were counted $r$ times in train. How
# often do they occur in val? Val is smaller, so we scale its counts up to the size of train. Church and Gale (1991) made
# this experiment on news; we make it on n-grams of five characters.

# %%
k = 4  # characters of context
in_val = count(val, PADDING)[k]
scale = sum(len(w) + 1 for w in train) / sum(len(w) + 1 for w in val)
once = range(1, 9)
held_out, by_adding = [], []
for r in once:
    some = [(h, c) for h, row in padded[k].items() for c, n in row.items() if n == r]
    held_out.append(scale * sum(in_val[h][c] for h, c in some if h in in_val) / len(some))
    by_adding.append(sum((r + 1) * padded[k][h].total() / (padded[k][h].total() + V) for h, c in some) / len(some))
made, (ax,) = figure(size=(6, 4))
ax.plot(once, once, **GUIDE)
ax.annotate("equal", (7.6, 7.6), xytext=(-34, 2), textcoords="offset points", fontsize=8)
ax.plot(once, held_out, "o", color=COLOURS[0], label="measured in val")
ax.plot(once, by_adding, "s", color=COLOURS[1], label="expected by add-one")
ax.set_xlabel("count in train")
ax.set_ylabel("count in as many other words")
ax.legend(frameon=False, fontsize=8)
print("measured:  ", " ".join(f"{x:5.2f}" for x in held_out))
print("by add-one:", " ".join(f"{x:5.2f}" for x in by_adding))
assert all(a < r for a, r in zip(held_out, once, strict=True))
assert all(b < a for a, b in zip(held_out[1:], by_adding[1:], strict=True))
made

# %% [markdown]
# On names.txt a count of 1 is worth 0.6 in other words. A count of 3 is worth 2.4, and a count of 5 is worth 3.9. So
# every count should lose between 0.4 and 1.1, a large one hardly more than a small one. Add-one instead takes about half
# of each. What is taken from a count is called its **discount**.
#
# ## Back-off and interpolation
#
# The probability that is taken away goes to a shorter context, not to all characters alike. There are two ways.
#
# - **Back-off** asks the shorter context only about characters that the longer one has never seen before.
# - **Interpolation** always asks both, and adds the two answers. This is simpler. Exercise 1 asks which is better.
#
# Write $p_k$ for the probability by the context $h$ of $k$ characters, and $h'$ for $h$ without its first character:
#
# $$p_k(c \mid h) = \text{kept}(c, h) + \text{share}(h)\; p_{k-1}(c \mid h').$$
#
# The kept part comes from the counts, and the share is what is left for the shorter context. Below the empty context,
# each character has the probability $1/V$. If a context was never seen, nothing is kept and the share is 1. The two
# have to fit: the kept parts of all characters and the share add up to 1. Then the $p_k$ also add up to 1.
#
# From here on, *one* dot marks the beginning of a word, and the context of its first letters is simply shorter. (We shall
# see [why](#one-start-not-five).)


# %%
counts = count(train, ".")
seen = evidence(counts, tokens(val, "."))


def interpolate(kept, share):
    """kept (order, M), share (order, M) -> probabilities (M,)."""
    p = torch.full_like(kept[0], 1 / V)
    for k in range(len(kept)):
        p = kept[k] + share[k] * p
    return p


# %% [markdown]
# Every smoothing below is a choice of these two. The simplest takes the same discount $D$ from each count. A context
# with $t$ different characters then has $t D$ left:
#
# $$\text{kept} = \frac{\max(n - D, 0)}{N}, \qquad \text{share} = \frac{t D}{N}.$$


# %%
def if_seen(seen, kept, share):
    """Kept and share (order, M); a context that was never seen keeps nothing."""
    return torch.where(seen.N > 0, kept, 0.0), torch.where(seen.N > 0, share, 1.0)


def absolute(seen, D):
    return if_seen(seen, (seen.n - D).clamp(min=0) / seen.N, seen.t * D / seen.N)


def sums_to_one(counts, smoothing, start="."):
    """Check that the probabilities of all characters add up to 1, after texts that were seen and that were not."""
    for past in ("", "a", "rian", "xqj", "christ"):
        every = evidence(counts, [(start + past, c) for c in itos])
        assert abs(interpolate(*smoothing(every)).sum().item() - 1) < 1e-12, past


sums_to_one(counts, lambda seen: absolute(seen, 0.75))
for D in (0.25, 0.5, 0.75, 1.0):
    print(f"discount {D:.2f}: {loss(interpolate(*absolute(seen, D))):.4f}")
assert loss(interpolate(*absolute(seen, 0.75))) < tuned[5] - 0.1

# %% [markdown]
# That is far better than adding at the same order, with a single number for all orders.
#
# ## Witten-Bell
#
# How large should the share be? **Witten-Bell smoothing** (1991) answers with a question: how likely is a character that
# is new after this context? Such an event has happened $t$ times, once for each different character. So add $t$ to the
# $N$ events that were counted, and let the share be the new ones:
#
# $$\text{kept} = \frac{n}{N + t}, \qquad \text{share} = \frac{t}{N + t}.$$
#
# If a context is nearly always followed by the same character, its share is small. If it is followed by many different
# ones, its share is large.


# %%
def witten_bell(seen):
    return if_seen(seen, seen.n / (seen.N + seen.t), seen.t / (seen.N + seen.t))


sums_to_one(counts, witten_bell)
by_witten_bell = []
for k in range(order):
    kept, share = witten_bell(seen)
    by_witten_bell.append(loss(interpolate(kept[: k + 1], share[: k + 1])))  # only contexts of up to k characters
    print(f"order {k + 1}: {by_witten_bell[-1]:.4f}")
assert by_witten_bell[4] < min(tuned) - 0.02

# %% [markdown]
# It has no number to choose, and at order 5 it is better than any amount that we could add. At order 6 it gets worse
# again. Names are short, and a context of five characters was often seen just once. Then $N = t = 1$, and Witten-Bell
# trusts the single count with a half.
#
# ## Kneser-Ney
#
# Kneser and Ney (1995) asked what the shorter context is for. It matters only where the longer one has not seen the
# character, so it should be good there. A count does not measure this. Look at the pairs of letters in the train words:

# %%
pairs, before = Counter(), defaultdict(set)
for h, row in counts[2].items():
    if "." not in h:
        for c, n in row.items():
            pairs[h[1] + c] += n
            before[h[1] + c].add(h[0])
spread = {pair: len(before[pair]) for pair in pairs}
similar = [pair for pair in pairs if 100 <= pairs[pair] <= 400 and "." not in pair]  # about equally frequent
similar.sort(key=lambda pair: (spread[pair], pair))
for pair in [*similar[:4], *similar[-4:]]:
    print(f"{pair}: {pairs[pair]:5} times, after {spread[pair]:2} different letters")

# %% [markdown]
# All of these are about equally frequent. But the first four come after few different letters. Contexts that include such
# a letter have seen the pair, and need no help. After any *other* letter, a pair of the last four is the better guess.
#
# So Kneser-Ney counts differently below the highest order. The **continuation count** of an n-gram is the number of
# different characters that occur before it. It replaces $n$ there, and the sum of these numbers replaces $N$.
#
# An n-gram that begins a word has nothing before it but the start, so it keeps its real count.


# %%
def continuations(counts):
    """Counts for Kneser-Ney: the highest order as it is, and below it how many characters come before an n-gram."""
    found = [defaultdict(Counter) for _ in counts[:-1]] + [counts[-1]]
    for k, rows in enumerate(found[:-1]):
        for h, row in counts[k + 1].items():
            for c in row:
                rows[h[1:]][c] += 1
        for h, row in counts[k].items():
            if h.startswith("."):
                rows[h] = row
    return found


# %% [markdown]
# The second change is the discount. Chen and Goodman (1999) take three, $D_1$ from counts of 1, $D_2$ from counts of 2
# and $D_3$ from all others. That is **modified Kneser-Ney smoothing**. No fitting is needed: with $n_r$ for the number of
# n-grams that were counted $r$ times,
#
# $$Y = \frac{n_1}{n_1 + 2 n_2}, \qquad D_r = r - (r + 1)\, Y\, \frac{n_{r+1}}{n_r} \quad (r = 1, 2, 3).$$
#
# The formula comes from leaving out one occurrence at a time (exercise 2 is the simplest case). It has no value where
# one of these numbers is 0, as for single letters. We then use $Y$, or else one half. It also has to leave at least a
# little to the shorter context.


# %%
def discounts(rows):
    """D (4,): what to take from counts of 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = (sum(n == r for row in rows.values() for n in row.values()) for r in (1, 2, 3, 4))
    Y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    D = [r - (r + 1) * Y * b / a if a and b else Y for r, a, b in ((1, n1, n2), (2, n2, n3), (3, n3, n4))]
    return torch.tensor([0.0, *(min(max(d, 0.01), r) for r, d in enumerate(D, start=1))], dtype=torch.float64)


def modified(seen, D):
    """Smooth with discounts D (order, 4)."""
    taken = torch.stack([D[k][seen.n[k].clamp(max=3).long()] for k in range(len(D))])  # (order, M)
    by_count = torch.stack([seen.t1, seen.t2, seen.t - seen.t1 - seen.t2])  # (3, order, M)
    left = (D.T[1:, :, None] * by_count).sum(0)  # (order, M)
    return if_seen(seen, (seen.n - taken) / seen.N, left / seen.N)


def kneser_ney(counts):
    """The counts of modified Kneser-Ney smoothing, and its discounts (order, 4)."""
    counts = continuations(counts)
    return counts, torch.stack([discounts(rows) for rows in counts])


def smoothed(counts, D, words, start):
    """Probabilities (M,) of all tokens of the words."""
    return interpolate(*modified(evidence(counts, tokens(words, start)), D))


by_kneser_ney = [loss(smoothed(*kneser_ney(counts[: k + 1]), val, ".")) for k in range(order)]
continued, D = kneser_ney(counts)
sums_to_one(continued, lambda seen: modified(seen, D))
ordinary = loss(smoothed(counts, torch.stack([discounts(rows) for rows in counts]), val, "."))
print("discounts at order 6:", " ".join(f"{d:.2f}" for d in D[5, 1:]))
print(f"three discounts, ordinary counts: {ordinary:.4f}")
print(f"three discounts, continuation counts: {by_kneser_ney[-1]:.4f}")
assert by_kneser_ney[-1] < ordinary - 0.01
assert ordinary < loss(interpolate(*absolute(seen, 0.75)))

# %% [markdown]
# On names.txt a single discount had 2.070. The three discounts and the continuation counts each bring about 0.05, and the
# longest context no longer hurts.
#
# ### One start, not five
#
# Why have we counted with one dot before a word, and no longer with five? With five dots, the contexts `...jo`, `..jo`
# and `.jo` all mean "the word begins with jo", and all have the same counts. Each takes the same discount from them and
# passes it to the next, which keeps most of it. If their share is $s$, other characters are left with $s^3$ in the end.
#
# We look at the third token of the val words. How likely is a character that was never seen after these two letters at
# the beginning of a word? The two models say this, and val tells how often it happens:

# %%
with_five, with_one = (*kneser_ney(padded), PADDING), (continued, D, ".")
beginnings = Counter(w[:2] for w in val if len(w) >= 2)


def chance_of_new(counts, D, start):
    """Mean probability, over the val words, of all characters that never followed the first two letters."""
    chance = 0.0
    for two, times in beginnings.items():
        every = evidence(counts, [(start + two, c) for c in itos])
        p = interpolate(*modified(every, D))  # (V,)
        chance += times * p[every.n[len("." + two)] == 0].sum().item()
    return chance / beginnings.total()


happened = sum((w + ".")[2] not in counts[3].get("." + w[:2], ()) for w in val if len(w) >= 2) / beginnings.total()
five, one = chance_of_new(*with_five), chance_of_new(*with_one)
print(f"five dots {five:.2%}, one dot {one:.2%}; in val {happened:.2%}")
assert five < one
assert abs(one - happened) < abs(five - happened)

# %% [markdown]
# With five dots the model is too sure of what it has seen. The difference is in the tokens whose context reaches the
# beginning of the word:

# %%
p_five, p_one = (smoothed(counts, D, val, start) for counts, D, start in (with_five, with_one))
place = torch.tensor([len(past) - 1 for past, _ in tokens(val, ".")])  # letters before the token
gain = (p_one / p_five).log()  # (M,)
for letters in range(8):
    print(f"after {letters} letters: {gain[place == letters].sum() / len(gain):+.4f} of the loss")
print(f"five dots {loss(p_five):.4f}, one dot {loss(p_one):.4f}")
assert gain[place < order - 1].sum() > 0.9 * gain.sum() > 0

# %% [markdown]
# Language models of whole sentences do the same: one start token before a sentence, and only n-grams that begin with it
# at most once. On names.txt the program KenLM has a loss of 1.9746 at order 6, as we have.
#
# Witten-Bell has the same trouble, since its shares multiply too:

# %%
five = loss(interpolate(*witten_bell(of_padded)))
print(f"Witten-Bell: five dots {five:.4f}, one dot {by_witten_bell[-1]:.4f}")
assert five > by_witten_bell[-1]

# %% [markdown]
# ## Strengths fitted on val
#
# So far, formulas have said how much a count is worth. Val can say it too. We take one form that contains the smoothings
# above, with three numbers for each order:
#
# $$m = a\,t + b, \qquad \text{kept} = \frac{\max(n - d, 0)}{N + m}, \qquad \text{share} = \frac{m + d\,t}{N + m}.$$
#
# With $a = 1$ and $b = d = 0$ it is Witten-Bell. With $a = b = 0$ it is the discount. We fit $a$, $b$ and $d$ to the
# loss of val by gradient descent, as if they were the weights of a net. They have to be positive, and $d$ below 1, so
# we train $\log a$, $\log b$ and the number whose sigmoid is $d$. `LBFGS` is an optimizer for few parameters and all
# data at once.
#
# Here we return to five dots. A strength that is fitted knows that it is applied several times.


# %%
def interpolated(seen, a, b, d):
    """Smooth with strengths a, b and d (order,)."""
    a, b, d = a[:, None], b[:, None], d[:, None]
    m = a * seen.t + b  # (order, M)
    return if_seen(seen, (seen.n - d).clamp(min=0) / (seen.N + m), (m + d * seen.t) / (seen.N + m))


def fit(seen):
    """Return the strengths a, b and d (order,) with the lowest loss of the tokens."""
    x = torch.zeros(3, len(seen.n), dtype=torch.float64, requires_grad=True)

    def strengths():
        return x[0].exp(), x[1].exp(), x[2].sigmoid()

    def closure():
        optimizer.zero_grad()
        now = -interpolate(*interpolated(seen, *strengths())).log().mean()
        now.backward()
        return now

    optimizer = torch.optim.LBFGS([x], max_iter=200, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    return tuple(s.detach() for s in strengths())


strengths = fit(of_padded)
sums_to_one(padded, lambda seen: interpolated(seen, *strengths), PADDING)
p_fitted = interpolate(*interpolated(of_padded, *strengths))
of_test = interpolate(*interpolated(evidence(padded, tokens(test, PADDING)), *strengths))
print(f"{3 * order} numbers fitted to {len(p_fitted):,} tokens: val {loss(p_fitted):.4f}, test {loss(of_test):.4f}")
for name, strength in zip("abd", strengths, strict=True):
    print(name, " ".join(f"{x:8.2f}" for x in strength[2:]), " (contexts of 2, 3, 4 and 5 characters)")
one_dot = loss(interpolate(*interpolated(seen, *fit(seen))))
print(f"with one dot: val {one_dot:.4f}")
assert loss(p_fitted) < min(by_witten_bell) - 0.02
assert loss(p_fitted) < one_dot + 0.002

# %% [markdown]
# The strengths were chosen on val, so its loss might be too low. The loss of test shows that it is not: so few numbers
# cannot memorise so many tokens.
#
# On names.txt, $a$ is several times the 1 of Witten-Bell. Inside a word, a count is worth much less than that formula
# says. At the beginning of a word it is worth more, since the context then holds all that there is to know. The five dots
# give it that: the strong smoothing, applied several times, becomes weak. On names.txt they help here, as the last line
# shows; on the bundled list they make no difference.
#
# Here are all smoothings at every order. Those of order $k$ use contexts of up to $k - 1$ characters.

# %%
by_fit = []
for k in range(order):
    start = "." * max(k, 1)  # no more dots than the longest context
    of_order = evidence(count(train, start)[: k + 1], tokens(val, start))
    by_fit.append(loss(interpolate(*interpolated(of_order, *fit(of_order)))))
made, (ax,) = figure(size=(7, 4))
named = {"add one": add_one, "add the best amount": tuned, "Witten-Bell": by_witten_bell}
named |= {"Kneser-Ney": by_kneser_ney, "fitted": by_fit}
for (name, losses), marker, colour in zip(named.items(), "osD^v", COLOURS, strict=False):
    line = "--" if name == "fitted" else "-"
    ax.plot(range(2, order + 1), losses[1:], line, marker=marker, color=colour, label=name)
ax.set_xlabel("order")
ax.set_ylabel("val loss, nats per token")
ax.set_xticks(range(2, order + 1))
ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
print("order  " + "".join(f"{name:>22}" for name in named))
for k in range(order):
    print(f"{k + 1:5}  " + "".join(f"{losses[k]:22.4f}" for losses in named.values()))
assert add_one[5] > tuned[5] > by_witten_bell[5] > max(by_kneser_ney[5], by_fit[5])
made

# %% [markdown]
# At order 2 all agree: pairs have been seen so often that smoothing does not matter. With every further character they
# spread out, except for the last two, which lie close to each other. On names.txt Kneser-Ney and the fitted strengths
# end within 0.002 nats. One of them never looked at val, and the other needed no theory. Adding to counts ends more than
# 0.3 above them.
#
# ## Against the nets
#
# The lecture's nets have published val losses on the same split of names.txt:
#
# | model | parameters | val |
# |---|---:|---:|
# | net of lesson 2, 3 characters, with the start of lesson 3 | 11,897 | 2.103 |
# | the same with BatchNorm | 12,097 | 2.105 |
# | 8 characters, flat | 22,097 | 2.027 |
# | tree of lesson 5 | 22,397 | 2.022 |
# | larger tree | 76,579 | 1.993 |
# | counts, fitted | 18, and the counts | 1.976 |
# | counts, Kneser-Ney | 18, and the counts | 1.975 |
#
# Each net was trained for 200,000 steps. So counting beats them all, and has to be in the table of results. It does not
# beat every net. The GRU of [lesson 6](06_recurrent.ipynb#the-ladder) has 1.932 and the Transformer of
# [lesson 7](07_attention.ipynb#what-it-gains-on-words-this-short) 1.961; larger recurrent nets have less than 1.9.
#
# Here are the counts again, and two nets of the library that train for seconds:

# %%
runs = {
    "counts, fitted": moreish.train(corpus, "ngram"),
    "net": moreish.train(corpus, "mlp"),
    "tree": moreish.train(corpus, "wavenet", epochs=3.0),
}
for name, run in runs.items():
    print(f"{name:<16} val {run.loss['val']:.4f}")
stream = corpus.stream("val")
of_parts = {name: torch.from_numpy(run.model.nll(stream)).double().neg().exp() for name, run in runs.items()}  # (M,)
assert torch.allclose(of_parts["counts, fitted"].log().mean(), p_fitted.log().mean(), atol=1e-3)

# %% [markdown]
# ## Both together
#
# Counts and nets make different errors. Counts know exactly which pieces occur; a net knows which pieces are alike. A
# **mixture** averages their probabilities, with weights that add up to 1:
#
# $$p(c \mid h) = \sum_i w_i\, p_i(c \mid h), \qquad \sum_i w_i = 1.$$
#
# Its loss is never above the weighted mean of the losses: the logarithm of a mean is at least the mean of the
# logarithms. Where the two models differ, it is below.

# %%
p = torch.stack([of_parts["counts, fitted"], of_parts["net"]])  # (2, M)
weights = torch.linspace(0, 1, 41, dtype=torch.float64)
course = [loss(w * p[1] + (1 - w) * p[0]) for w in weights]
made, (ax,) = figure(size=(6, 3.5))
ax.plot(weights, course, color=COLOURS[0])
ax.plot([0, 1], [course[0], course[-1]], **GUIDE)
best = min(range(len(course)), key=course.__getitem__)
ax.plot(weights[best], course[best], "o", color=COLOURS[1])
ax.set_xlabel("weight of the net")
ax.set_ylabel("val loss, nats per token")
print(f"counts {course[0]:.4f}, net {course[-1]:.4f}, best mixture {course[best]:.4f} at {weights[best]:.2f}")
better = (p[1] > p[0]).double().mean()
print(f"the net gives {better:.0%} of the tokens a higher probability than the counts do")
assert course[best] < min(course[0], course[-1]) - 0.01
made

# %% [markdown]
# The curve lies below the dashed line, as it must, and its lowest point is below both ends.
#
# With more than two models we cannot draw a curve. **Expectation maximisation**, EM for short, finds the weights of any
# number of models. Each round has two steps:
#
# - *E*: how likely is it that model $i$ was the one that produced token $m$? That is $w_i\, p_{im}$, divided by the sum
#   of these over the models.
# - *M*: the new weight of model $i$ is the mean of that over all tokens.
#
# The loss falls in every round (Dempster, Laird and Rubin 1977).


# %%
def em(p, rounds=300):
    """p (models, M) -> weights (models,)."""
    w = torch.full((len(p), 1), 1 / len(p), dtype=torch.float64)
    losses = []
    for _ in range(rounds):
        losses.append(loss((w * p).sum(0)))
        shares = w * p / (w * p).sum(0)  # E: (models, M)
        w = shares.mean(1, keepdim=True)  # M: (models, 1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(losses))
    return w[:, 0]


w = em(p)
print(f"weight of the net {w[1]:.3f}, loss {loss((w[:, None] * p).sum(0)):.4f}")
assert abs(w[1] - weights[best]) < 0.03
p = torch.stack(list(of_parts.values()))  # (3, M)
w3 = em(p)
print("all three:", " ".join(f"{name} {x:.3f}" for name, x in zip(runs, w3, strict=True)), end=", ")
print(f"loss {loss((w3[:, None] * p).sum(0)):.4f}")
assert loss((w3[:, None] * p).sum(0)) < course[best]

# %% [markdown]
# ## What copying means
#
# A model that had stored the train words could draw nothing but them. Its words would look perfect, and none would be
# new. How close do our models come to that? The first idea is to count copies. A **copy** is a sample that is a train word.

# %%
known = set(train)
samples = {name: runs[name].model.sample(10_000, seed=1) for name in ("counts, fitted", "net")}
others = [*val, *test]
copied = {
    name: sum(word in known for word in some) / len(some) for name, some in {**samples, "val and test": others}.items()
}
for name, share in copied.items():
    print(f"{name:<16} {share:6.1%} are train words")
assert copied["counts, fitted"] > copied["net"] > 0

# %% [markdown]
# But what would be the right share? It is not zero. On names.txt an eighth of the val and test words are train words
# too, since the list has many names twice. A perfect model would copy as often. The bundled list has no repeats. There,
# no word of val or test is in train, and the share says nothing.
#
# Besides, a model that has learnt to spell must produce many names that exist, and most of the names that exist are in
# train.
#
# We need a comparison that is fair on every list. Take the words that occur exactly *once* in the whole list. Shuffling
# alone decided whether such a word came into train or was held out, in val or test. A model that has only learnt to spell
# cannot know. It will draw both kinds equally often, word for word. A model that has memorised will prefer those in train.
# The **memorisation ratio** tells how much:
#
# $$\text{ratio} = \frac{\text{draws of a train word, on average}}{\text{draws of a held-out word, on average}}.$$
#
# Few words are drawn at all, so we need an interval. Say that the draws of $n$ words have mean $\mu$ and variance
# $\sigma^2$. Then the mean itself has a variance of $\sigma^2 / n$. The logarithm has the slope $1 / \mu$ there, so the
# logarithm of the mean has a variance of about $\sigma^2 / (n \mu^2)$. The logarithm of the ratio is a difference of two
# such logarithms, and their variances add. $\pm 1.96$ standard deviations are the 95% interval.

# %%
times = Counter(words)
once_train = [w for w in train if times[w] == 1]
once_held_out = [w for w in others if times[w] == 1]


def memorised(samples):
    """The memorisation ratio and its 95% interval."""
    drawn = Counter(samples)
    kinds = [torch.tensor([drawn[w] for w in some], dtype=torch.float64) for some in (once_train, once_held_out)]
    ratio = (kinds[0].mean() / kinds[1].mean()).item()
    error = sum(x.var(correction=0) / (len(x) * x.mean() ** 2) for x in kinds).sqrt().item()
    return ratio, ratio * math.exp(-1.96 * error), ratio * math.exp(1.96 * error)


print(f"words that occur once: {len(once_train):,} in train, {len(once_held_out):,} held out")
for name, some in samples.items():
    ratio, low, high = memorised(some)
    print(f"{name:<16} ratio {ratio:.2f} ({low:.2f} to {high:.2f})")
    assert high > 1

# %% [markdown]
# On names.txt the counts draw a train word more than twice as often as an equally good word that they have not seen. The
# net is much closer to 1. Does a lower loss come from copying, then? We count with longer and longer contexts:

# %%
orders = range(2, 8)
rows = []
for n in orders:
    run = moreish.train(corpus, "ngram", order=n)
    some = run.model.sample(10_000, seed=1)
    rows.append((run.loss["val"], sum(word in known for word in some) / len(some), *memorised(some)))
val_losses, shares, ratios, lows, highs = zip(*rows, strict=True)
made, (left, middle, right) = figure(1, 3, size=(11, 3.4))
left.plot(orders, val_losses, "o-", color=COLOURS[0])
left.set_ylabel("val loss, nats per token")
middle.plot(orders, [100 * share for share in shares], "o-", color=COLOURS[0])
middle.axhline(100 * copied["val and test"], **GUIDE)
middle.annotate(
    "val and test words",
    (orders[-1], 100 * copied["val and test"]),
    xytext=(0, 3),
    ha="right",
    fontsize=8,
    textcoords="offset points",
)
middle.set_ylabel("samples that are train words, %")
middle.set_ylim(0)
errors = [[r - x for r, x in zip(ratios, lows, strict=True)], [x - r for r, x in zip(ratios, highs, strict=True)]]
right.errorbar(orders, ratios, yerr=errors, fmt="o-", color=COLOURS[0], capsize=3)
right.axhline(1, **GUIDE)
right.set_ylabel("memorisation ratio")
for ax in (left, middle, right):
    ax.set_xlabel("order")
for n, (nats, share, ratio, low, high) in zip(orders, rows, strict=True):
    print(f"order {n}: val {nats:.4f}, copies {share:5.1%}, ratio {ratio:.2f} ({low:.2f} to {high:.2f})")
assert shares[-1] > shares[0]
assert ratios[-1] > ratios[0]
made

# %% [markdown]
# Up to order 4 the loss falls a lot and the ratio hardly rises: these counts have learnt to spell. From then on the loss
# falls less and the ratio nearly doubles. A context of five characters is often a whole name up to its last letter, and
# completing it is copying. Both things are true at once: order 6 predicts new names best, and copies more than any
# lower order.
#
# Whether copying matters depends on the purpose. To score words it does not. To invent names, draw more words and leave
# out those that are known (`--only-new`), or choose an order of 4, or a net.
#
# ## The same as the library
#
# The library does all this with arrays instead of dictionaries. Its numbers are the ones of this lesson.

# %%
for smoothing, ours in {
    "additive": additive(order - 1, 1.0),
    "witten-bell": interpolate(*witten_bell(seen)),
    "kneser-ney": p_one,
}.items():
    theirs = moreish.train(corpus, "ngram", smoothing=smoothing).model.nll(stream)
    assert torch.allclose(torch.from_numpy(theirs).double(), -ours.log(), rtol=1e-4), smoothing
    print(f"{smoothing:<12} ours {loss(ours):.4f}, the library's {theirs.mean():.4f}")
model = runs["counts, fitted"].model
theirs = interpolate(*interpolated(of_padded, *torch.from_numpy(model.weights["strengths"]).double()))
assert torch.allclose(of_parts["counts, fitted"], theirs, rtol=1e-4)
print(f"fitted       ours {loss(p_fitted):.4f}, the library's {runs['counts, fitted'].loss['val']:.4f}")
mixed = moreish.mix([runs["counts, fitted"], runs["net"]])
print(f"weight of the net: ours {w[1]:.4f}, the library's {mixed.model.weights['weights'][1]:.4f}")
assert abs(w[1] - mixed.model.weights["weights"][1]) < 1e-3
for some in samples.values():
    ratio, interval = memorisation_ratio(some, corpus)
    assert torch.allclose(torch.tensor(memorised(some)), torch.tensor([ratio, *interval]), rtol=1e-4)
print(f"test: counts {runs['counts, fitted'].loss['test']:.4f}, both {mixed.loss['test']:.4f}")

# %% [markdown]
# ## Exercises
#
# ### 1. Back-off
#
# Write `back_off(n, D, below)`, which gives the probabilities of all characters by back-off. `n` (V,) holds the counts
# of a context, `D` is the discount, and `below` (V,) has the probabilities by the shorter context. A character that
# was seen keeps $(n - D)/N$. The others share the rest in proportion to `below`. Is it better than interpolation?

# %%
back_off = ...  # yours: a function of n (V,), D and below (V,)
check_back_off(back_off)

# %% [markdown] tags=["solution"]
# A solution:


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def back_off_solved(n, D, below):
    kept = (n - D).clamp(min=0) / n.sum()  # (V,)
    unseen = torch.where(n == 0, below, 0.0)  # (V,)
    return kept + unseen * (1 - kept.sum()) / unseen.sum()


assert check_back_off(back_off_solved)


def by_row(rule, D):
    """Val loss at order 6, with the whole row (V,) of every context computed once."""
    rows = {}

    def probabilities(h):
        if h not in rows:
            below = probabilities(h[1:]) if h else torch.full((V,), 1 / V, dtype=torch.float64)
            row = counts[len(h)].get(h)
            n = None if row is None else torch.tensor([row[c] for c in itos], dtype=torch.float64)
            if n is None:
                rows[h] = below
            else:  # no discount where no character would get it
                rows[h] = n / n.sum() if (n > 0).all() else rule(n, D, below)
        return rows[h]

    stoi = {c: i for i, c in enumerate(itos)}
    return loss(torch.stack([probabilities(past[-(order - 1) :])[stoi[c]] for past, c in tokens(val, ".")]))


def interpolate_row(n, D, below):
    return (n - D).clamp(min=0) / n.sum() + (n > 0).sum() * D / n.sum() * below


print(f"discount 0.75: back-off {by_row(back_off_solved, 0.75):.4f}, interpolation {by_row(interpolate_row, 0.75):.4f}")

# %% [markdown]
# ### 2. How many will be new?
#
# Without val we can still tell how many n-grams of other words will be new. Take one token out of the train words, and
# look it up in the counts of all the others. Write `share_of_new(rows)`: the share of the tokens whose n-gram would then
# be new. `rows` is one of the tables, such as `padded[4]`. Compare it with val.

# %%
share_of_new = ...  # yours: a function of a dictionary from contexts to Counters
check_share_of_new(share_of_new)

# %% [markdown] tags=["solution"]
# A solution:


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def share_of_new_solved(rows):
    every = [n for row in rows.values() for n in row.values()]
    return sum(n == 1 for n in every) / sum(every)  # Good 1953, who had it from Turing


assert check_share_of_new(share_of_new_solved)
for k in range(order):
    print(
        f"order {k + 1}: expected {share_of_new_solved(padded[k]):.2%}, in val {(of_padded.n[k] == 0).double().mean():.2%}"
    )

# %% [markdown]
# ### 3. Multiply instead of add
#
# A mixture may also multiply: $p \propto \prod_i p_i^{w_i}$. A character that one model holds to be impossible then
# stays impossible. Write `log_linear(logs, w)`, with `logs` (models, N, V) the logarithms of the probabilities and `w`
# (models,) the weights. It returns the logarithms (N, V) of probabilities that add up to 1.

# %%
log_linear = ...  # yours: a function of logs (models, N, V) and w (models,)
check_log_linear(log_linear)

# %% [markdown] tags=["solution"]
# A solution:


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def log_linear_solved(logs, w):
    return (w[:, None, None] * logs).sum(0).log_softmax(-1)  # subtracts the logarithm of the sum


assert check_log_linear(log_linear_solved)
multiplied = moreish.mix([runs["counts, fitted"], runs["net"]], "log-linear")
print(f"val: added {mixed.loss['val']:.4f}, multiplied {multiplied.loss['val']:.4f}")

# %% [markdown]
# ### 4. The ratio without drawing
#
# Drawing 10,000 words leaves a wide interval. But a model tells the probability of every word, so the average number of
# draws is known. Write `exact_ratio(model, train_words, held_out_words)`: the mean probability of the train words,
# divided by that of the held-out words. `model.score(word).per_char` lists the losses of the tokens of a word, in nats.

# %%
exact_ratio = ...  # yours: a function of a model and two lists of words
check_exact_ratio(exact_ratio)

# %% [markdown] tags=["solution"]
# A solution:


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def exact_ratio_solved(model, train_words, held_out_words):
    def mean(words):  # the probability of a word is the product of those of its tokens
        return sum(math.exp(-sum(model.score(w).per_char)) for w in words) / len(words)

    return mean(train_words) / mean(held_out_words)


assert check_exact_ratio(exact_ratio_solved)
for name in samples:
    exact, drawn = exact_ratio_solved(runs[name].model, once_train, once_held_out), memorised(samples[name])
    print(f"{name:<16} exactly {exact:.3f}, by drawing {drawn[0]:.2f} ({drawn[1]:.2f} to {drawn[2]:.2f})")

# %% [markdown]
# ### 5. Better counting
#
# Use counts alone, and reach a val loss below that of the library's default n-gram by at least 0.003 nats. Any number of
# runs of `ngram`, and mixtures of them, are allowed.

# %%
run = ...  # yours: a run of moreish.train or moreish.mix
check_counted(run, runs["counts, fitted"].loss["val"] - 0.003, corpus)

# %% [markdown] tags=["solution"]
# A solution:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The two smoothings that are best by themselves are good in different places, so a mixture gains.
run = moreish.mix([runs["counts, fitted"], moreish.train(corpus, "ngram", smoothing="kneser-ney")])
assert check_counted(run, runs["counts, fitted"].loss["val"] - 0.003, corpus)
print(f"val {run.loss['val']:.4f}")
