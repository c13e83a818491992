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
# # 7. Attention
#
# A recurrent net carries all that it has read in one state. With attention, a net looks back at all characters so far,
# and computes at each position how much each of them counts. We start from an average, derive the gradient of attention
# by hand, and build a Transformer of it. At the end we measure what it gains on words as short as names.

# %%
# %matplotlib inline
import inspect
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import nn

import moreish
from moreish.analysis.gradcheck import check_model, first_wrong
from moreish.engine.tape import WordTape
from moreish.engine.words import pack_words, sorted_words
from moreish.layers import attention
from moreish.lessons import live
from moreish.lessons.attention import (
    check_cost,
    check_keys,
    check_layernorm,
    check_order,
    check_softmax,
    check_transformer,
)
from moreish.lessons.words import lesson_words
from moreish.models import make_config
from moreish.plots.style import COLOURS, GUIDE, figure

torch.set_num_threads(1)  # tensors this small are no faster with more
words = list(lesson_words())
corpus = moreish.Corpus(words)  # the lecture split: 80% train, 10% val, 10% test
itos = [".", *corpus.vocab.characters]  # token 0 begins and ends a word
V = len(corpus.vocab)
g = torch.Generator().manual_seed(42)
torch.manual_seed(42)  # of the initial weights of PyTorch's layers
len(words), V

# %% [markdown]
# There are no windows in this lesson. An example is a whole word, and each of its positions predicts the next one. The
# input begins with token 0, and the targets end with it. Words of a batch have different lengths, so we pad the shorter
# ones. A target of -1 means that there is nothing to predict.


# %%
def padded(words):
    """Words -> inputs (N, T) and targets (N, T), where T is the length of the longest word plus 1."""
    T = max(map(len, words)) + 1
    X, Y = torch.zeros((len(words), T), dtype=torch.long), torch.full((len(words), T), -1)
    for n, word in enumerate(words):
        tokens = torch.tensor(corpus.vocab.encode(word))
        X[n, 1 : len(word) + 1] = tokens
        Y[n, : len(word)] = tokens
        Y[n, len(word)] = 0
    return X, Y


for row in zip(*padded(words[:2]), strict=True):
    print(*(" ".join("_" if i < 0 else itos[i] for i in part.tolist()) for part in row), sep="  ->  ")

# %% [markdown]
# ## Averages of the past
#
# How can a position use all characters before it, however many there are? The simplest way is to average their vectors.
# Here each of the five positions of `.emma` has a vector of three numbers, at random. The new vector of a position is
# the mean of its own vector and of those before it.

# %%
word = "emma"
shown = list("." + word)
T, C = len(shown), 3
x = torch.randn((T, C), generator=g)
means = torch.stack([x[: t + 1].mean(0) for t in range(T)])  # (T, C)
means

# %% [markdown]
# The loop is a matrix product. Row $t$ of the matrix has the weights of the positions that row $t$ of the result is
# made of: $1/(t+1)$ up to position $t$, and 0 beyond. The matrix is lower triangular: it is 0 above its diagonal.

# %%
A = torch.ones((T, T)).tril()
A = A / A.sum(1, keepdim=True)  # (T, T), every row sums to 1
assert torch.allclose(A @ x, means)
A

# %% [markdown]
# There is another way to the same matrix, and it is the important one. Give every pair of positions a score, here
# always 0. Set the scores of later positions to minus infinity: this is the **causal mask**. Then apply softmax along
# each row. As $e^{-\infty} = 0$, later positions get the weight 0, and equal scores get equal weights.

# %%
past = torch.ones((T, T), dtype=torch.bool).tril()  # True where a position may look
scores = torch.zeros((T, T))
assert torch.allclose(scores.masked_fill(~past, -torch.inf).softmax(1), A)


def draw_matrix(ax, matrix, title, limit=None, digits=2):
    """Draw numbers in the colours of their sizes: blues from 0 to 1, or red and blue up to a limit. NaN stays empty."""
    ax.imshow(matrix, cmap="Blues" if limit is None else "RdBu", vmin=-(limit or 0), vmax=limit or 1, aspect="auto")
    for (i, j), number in np.ndenumerate(np.asarray(matrix)):
        if not np.isnan(number):
            colour = "w" if abs(number) > 0.6 * (limit or 1) else "k"
            number = round(float(number), digits) + 0.0  # not -0.0
            ax.text(j, i, f"{number:.{digits}f}", ha="center", va="center", fontsize=8, color=colour)
    ax.set_title(title, fontsize=10)


other = 2 * torch.randn((T, T), generator=g)
softmax = other.masked_fill(~past, -torch.inf).softmax(1)
made, axes = figure(1, 3, size=(10, 3.4))
draw_matrix(axes[0], A.masked_fill(~past, torch.nan), "equal scores: a mean")
draw_matrix(axes[1], other.masked_fill(~past, torch.nan), "other scores, with the mask", limit=5)
draw_matrix(axes[2], softmax.masked_fill(~past, torch.nan), "softmax of them: a weighted mean")
for ax in axes:
    ax.set_xticks(range(T), shown)
    ax.set_yticks(range(T), shown)
axes[0].set_xlabel("position looked at")
axes[0].set_ylabel("position that looks")
made

# %% [markdown]
# On the left all weights of a row are equal. In the middle each pair has a score of its own. On the right softmax has
# turned these scores into weights: the mean is now a weighted one, and high scores (blue) became large weights.
#
# So if a net could choose its scores, it could choose where to look. With equal scores it cannot: the library has this
# average as the model `bow`, a bag of words. It comes last in the table at the end of this lesson.
#
# ## Queries, keys and values
#
# **Attention** lets the net compute the scores. Each position makes three vectors out of its own vector, with three
# matrices that are learnt:
#
# - the **query** says what this position is looking for,
# - the **key** says what can be found at this position,
# - the **value** is what it passes on to those that look at it.
#
# The score of a pair is the dot product of a query and a key. It is large if the two vectors point in the same
# direction. The weights are the softmax of the scores, and the result is the weighted mean of the values:
#
# $$s_{nm} = \frac{q_n \cdot k_m}{\sqrt C}, \qquad a_{nm} = \frac{e^{s_{nm}}}{\sum_{l \le n} e^{s_{nl}}}, \qquad
# y_n = \sum_{m \le n} a_{nm} v_m .$$
#
# The position that looks is $n$, and $m$ is the one that it looks at. Queries, keys and values come from the same
# word, so this is **self-attention** (Vaswani et al. 2017). Because of the mask it is called causal, like the
# [convolution](05_wavenet.ipynb#the-tree-is-a-convolution) of lesson 5.

# %%
C = 4
x = torch.randn((T, C), generator=g)
Wq, Wk, Wv = (torch.randn((C, C), generator=g) / C**0.5 for _ in range(3))


def attend(x):
    """x (T, C) -> y (T, C): causal self-attention."""
    q, k, v = x @ Wq, x @ Wk, x @ Wv  # (T, C) each
    scores = q @ k.T / C**0.5  # (T, T): row n has the scores of query n
    weights = scores.masked_fill(~past, -torch.inf).softmax(1)
    return weights @ v


changed = x.clone()
changed[3] += 1  # the second m
for t, moved in enumerate((attend(changed) - attend(x)).abs().amax(1)):
    print(f"position {t}, {shown[t]}: the result moves by {moved:.3f}")

# %% [markdown]
# The change of one position reaches this position and the one after it, and none before. That is what the mask is for:
# a position predicts the next character, so it must not see it.

# %%
assert torch.equal(attend(changed)[:3], attend(x)[:3])
assert not torch.allclose(attend(changed)[3:], attend(x)[3:])

# %% [markdown]
# ### Why the root?
#
# A dot product is a sum of $C$ products. If the numbers of $q$ and $k$ have variance 1, each product has variance 1,
# and the sum has variance $C$. Without the division by $\sqrt C$, scores would grow with the size of the vectors. We
# measure what that does to a softmax over eight positions.

# %%
sizes = [4, 16, 64, 256]
largest = {"without the root": [], "with the root": []}
for size in sizes:
    q, k = torch.randn((2_000, 1, size), generator=g), torch.randn((2_000, 8, size), generator=g)
    scores = (q * k).sum(2)  # (2000, 8)
    print(f"C = {size:>3}: standard deviation of a score {scores.std():5.2f}, root of C {size**0.5:5.2f}")
    assert abs(scores.std() / size**0.5 - 1) < 0.05
    for way, divisor in (("without the root", 1), ("with the root", size**0.5)):
        largest[way].append((scores / divisor).softmax(1).amax(1).mean().item())
made, (ax,) = figure(size=(6, 3.2))
for (way, line), colour, marker in zip(largest.items(), COLOURS, "os", strict=False):
    ax.plot(sizes, line, marker + "-", color=colour, label=way)
ax.axhline(1 / 8, **GUIDE)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, map(str, sizes))
ax.set_ylim(0, 1)
ax.set_xlabel("numbers in a query, C")
ax.set_ylabel("largest of 8 weights, mean")
ax.legend(frameon=False)
made

# %% [markdown]
# Without the root, one position soon gets nearly all the weight, before anything is learnt. The dashed line is 1/8, the
# weight for equal scores. A softmax with one weight near 1 is saturated: changing its scores a little changes almost
# nothing, so hardly any gradient passes. With the root, the size of the vectors does not matter.

# %%
assert largest["without the root"][-1] > 0.85
assert max(largest["with the root"]) - min(largest["with the root"]) < 0.05

# %% [markdown]
# ## The backward pass by hand
#
# Now we derive the gradient of attention, as in lesson 4: one step at a time, with a check after each. All numbers are
# float64. The loss is some function of $y$, and we take its gradient `dy` as given, with random numbers.

# %%
T, C = 6, 4
past = torch.ones((T, T), dtype=torch.bool).tril()
x, dy = (torch.randn((T, C), generator=g, dtype=torch.float64) for _ in range(2))
Wq, Wk, Wv = (torch.randn((C, C), generator=g, dtype=torch.float64) for _ in range(3))


def forward(t):
    """A loss with the gradient dy; `t` is given every tensor by name."""
    given = t("x", x)  # (T, C)
    q, k, v = t("q", given @ t("Wq", Wq)), t("k", given @ t("Wk", Wk)), t("v", given @ t("Wv", Wv))  # (T, C)
    s = t("s", q @ k.T / C**0.5)  # (T, T)
    a = t("a", s.masked_fill(~past, -torch.inf).softmax(1))  # (T, T)
    y = t("y", a @ v)  # (T, C)
    return (y * dy).sum()


kept = {}
forward(lambda name, tensor: kept.setdefault(name, tensor))
q, k, v, a, y = (kept[name] for name in "qkvay")

# %% [markdown]
# **The weighted mean.** $y = a\,v$ is a matrix product, so the rule for
# [Linear](04_backprop_by_hand.ipynb#linear) holds: $da = dy\, v^\top$ and $dv = a^\top dy$. In words: a weight should
# grow if the value that it brings points in the direction of $dy$. And a value collects $dy$ from all positions that
# look at it.

# %%
da = dy @ v.T  # (T, T)
dv = a.T @ dy  # (T, C)
print(moreish.check_gradients(forward, {"da": da, "dv": dv}))

# %% [markdown]
# **The softmax.** A score is in the numerator of its own weight, and in the sum below all weights of its row. So it
# changes every weight of the row. Lesson 4 combined softmax with the logarithm of the loss; here it stands alone.
#
# **Exercise 1.** For one row, $a_m = e^{s_m} / \sum_l e^{s_l}$. Derive $\partial a_m / \partial s_l$, once for $l = m$
# and once for $l \ne m$. Then sum over all $m$ with the upstream gradient $da_m$, and write the result for all rows.


# %%
def my_ds(a, da):
    """a (N, T), da (N, T) -> ds (N, T)."""
    return ...  # yours


check_softmax(my_ds)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_ds(a, da):
    return a * (da - (a * da).sum(1, keepdim=True))


assert check_softmax(solved_ds)

# %% [markdown]
# The quotient rule gives $\partial a_m / \partial s_m = a_m - a_m^2$. For another $l$ it gives
# $\partial a_m / \partial s_l = -a_m a_l$. Both are $a_m ([l = m] - a_l)$, where $[l = m]$ is 1 if $l = m$ and 0
# otherwise. The chain rule sums over all weights that the score changes:
#
# $$ds_l = \sum_m da_m\, a_m \big([l = m] - a_l\big) = a_l \Big( da_l - \sum_m a_m\, da_m \Big).$$
#
# The sum is the mean of $da$, weighted by $a$. A score grows if its position helps more than this mean, and shrinks if
# it helps less. The forces balance: each row of `ds` sums to zero, since adding a number to all scores changes nothing.
# The factor $a_l$ in front also takes care of the mask. Later positions have the weight 0, so they get no gradient.

# %%
ds = a * (da - (a * da).sum(1, keepdim=True))  # (T, T)
print(moreish.check_gradients(forward, {"ds": ds}))
print(f"largest row sum: {ds.sum(1).abs().max():.1e}")
assert (ds[~past] == 0).all()

made, axes = figure(1, 3, size=(10, 3.4))
for ax, name, matrix in zip(axes, ("a", "da", "ds"), (a, da, ds), strict=True):
    limit = None if name == "a" else matrix[past].abs().max().item()
    draw_matrix(ax, matrix.masked_fill(~past, torch.nan), name, limit, digits=1)
    ax.set_xlabel("position looked at")
axes[0].set_ylabel("position that looks")
made

# %% [markdown]
# The first position can only look at itself. Its weight is 1 whatever the score, so its `ds` is 0. The second position
# has nearly all its weight on itself already: it is saturated, and hardly any gradient is left. In the other rows of
# `ds` blue and red cancel. Where a weight is nearly 0, `ds` is nearly 0 too, even if `da` is large. What a position
# hardly looks at teaches it hardly anything.
#
# **The scores.** $s = q\, k^\top / \sqrt C$ is a matrix product again. $q_n$ is in all scores of row $n$, so
# $dq = ds\, k / \sqrt C$.
#
# **Exercise 2.** Which scores contain $k_m$, and with what factor? Write `dk`.


# %%
def my_dk(q, ds):
    """q (T, C), ds (T, T) -> dk (T, C)."""
    return ...  # yours


check_keys(my_dk)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dk(q, ds):
    # s[n, m] = q[n] . k[m] / sqrt(C): k[m] is in column m
    return ds.T @ q / q.shape[1] ** 0.5


assert check_keys(solved_dk)

# %% [markdown]
# $k_m$ is in column $m$: one score for each position that looks at $m$. So $dk_m = \sum_n ds_{nm}\, q_n / \sqrt C$.
# Last, $x$ reaches the loss on three paths, and paths add.

# %%
dq = ds @ k / C**0.5  # (T, C)
dk = ds.T @ q / C**0.5  # (T, C)
# q = x Wq, k = x Wk, v = x Wv
dWq, dWk, dWv = x.T @ dq, x.T @ dk, x.T @ dv  # (C, C)
dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T  # (T, C)
print(moreish.check_gradients(forward, {"dq": dq, "dk": dk, "dWq": dWq, "dWk": dWk, "dWv": dWv, "dx": dx}))

# %% [markdown]
# ### Without keeping the weights
#
# The weighted mean of $da$ can be had without $da$. Substitute $da_m = dy \cdot v_m$, and take $dy$ out of the sum:
#
# $$\sum_m a_m\, da_m = \sum_m a_m\, (dy \cdot v_m) = dy \cdot \sum_m a_m v_m = dy \cdot y .$$
#
# So this sum is one dot product for each position. The backward pass does not even need the weights. If the forward
# pass keeps $\log \sum_l e^{s_l}$ of each row, they can be computed again: $a_m = e^{s_m} / \sum_l e^{s_l}$. The
# library does so, and so does FlashAttention (Dao et al. 2022). Then memory does not grow with the square of the
# length.

# %%
log_sum = kept["s"].masked_fill(~past, -torch.inf).logsumexp(1, keepdim=True)  # (T, 1): all that is kept
again = (kept["s"] - log_sum).exp().masked_fill(~past, 0)  # (T, T)
fused = again * (dy @ v.T - (dy * y).sum(1, keepdim=True))
print(moreish.check_gradients(forward, {"ds": fused}))
assert torch.allclose(again, a)

# %% [markdown]
# Here is the backward pass that the library compiles. The loops go over a row `n`, over the rows `m` before it, and
# over heads, which come next. `weight_factor` is for dropout. Look for `da`, `mean` (our $dy \cdot y$), `ds`, and the
# three lines that add to `dv`, `dq` and `dk`.

# %%
print(inspect.getsource(getattr(attention.backward, "py_func", attention.backward)))

# %% [markdown]
# ## Heads
#
# A softmax gives one set of weights. But a position may want to know several things: the last vowel, and how the word
# began. So the vectors are divided into **heads**, parts of equal size. Each head has scores and weights of its own,
# and returns its part of the result. The parts are put side by side again, and a Linear mixes them.
#
# Nothing gets larger: four heads of 16 numbers have as many parameters as one head of 64. In the class below one Linear
# makes all queries, keys and values at once.


# %%
class Attention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.mix = nn.Linear(n_embd, n_embd)

    def heads(self, x):  # (B, T, C) -> queries, keys and values, (B, n_head, T, C / n_head) each
        return (part.unflatten(2, (self.n_head, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))

    def look(self, q, k, v):  # q (B, n_head, T, D), k and v (B, n_head, L, D) -> (B, T, C)
        scores = q @ k.mT / q.shape[3] ** 0.5  # (B, n_head, T, L)
        past = torch.ones(scores.shape[2:], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        self.weights = scores.masked_fill(~past, -torch.inf).softmax(3)  # kept, to be looked at
        y = self.weights @ v  # (B, n_head, T, D)
        return self.mix(y.transpose(1, 2).flatten(2))

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        return self.look(*self.heads(x))


layer, x = Attention(64, 4), torch.randn((2, 7, 64), generator=g)
q, k, v = layer.heads(x)
print(
    f"x {tuple(x.shape)}, queries {tuple(q.shape)}, weights {tuple(layer(x).shape)} from {tuple(layer.weights.shape)}"
)
print(
    f"{sum(p.numel() for p in layer.parameters()):,} parameters with 4 heads, "
    f"{sum(p.numel() for p in Attention(64, 1).parameters()):,} with 1"
)

# %% [markdown]
# The division is only a view: head 2, counted from 0, gets the numbers 32 to 47 of each query, key and value. Attention
# over these alone gives that part of the result. PyTorch's own function agrees as well.

# %%
with torch.no_grad():
    part = slice(32, 48)
    qs, ks, vs = (whole[..., part] for whole in layer.qkv(x).chunk(3, 2))  # (2, 7, 16)
    alone = F.scaled_dot_product_attention(qs, ks, vs, is_causal=True)
    layer.look(q, k, v)
    assert torch.allclose((layer.weights @ v)[:, 2], alone, atol=1e-6)

# %% [markdown]
# ## Positions
#
# Attention is a mean over a set. It does not know in which order the characters came: a score depends on two vectors,
# not on where they are. We shuffle the characters before the last one and look at the result of the last position.

# %%
table = torch.randn((V, 64), generator=g)  # an embedding
places = torch.randn((32, 64), generator=g)  # a vector for each place
one, other = (torch.tensor([[0, *corpus.vocab.encode(word)]]) for word in ("marina", "aminra"))
with torch.no_grad():
    for what, P in (("characters alone", 0 * places), ("characters and places", places)):
        apart = layer(table[one] + P[: one.shape[1]])[0, -1] - layer(table[other] + P[: other.shape[1]])[0, -1]
        print(f"{what:<22} the last results differ by {apart.abs().max():.7f}")

# %% [markdown]
# After `marina` and `aminra` the result is the same, but for rounding. The remedy is simple: add to each character a
# vector for its place in the word, which is learnt like everything else. This is a **positional embedding**. The same
# letter then has another query and another key at each place, and a head can ask for "the character before me".
#
# **Exercise 3.** The mask alone tells a deeper net something about the order. Find two words that one block without
# positions cannot tell apart, but two blocks can. Before you try, say why: what does a position in the second block
# look at?

# %%
pair = ...  # yours: two words, such as ("anna", "otto")
check_order(pair)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The last position has the same query, and looks at the same set. So the last character must be the same, and the
# others the same in another order. In the second block it looks at results of the first, and these depend on the order:
# the first n of "nina" has seen only itself, and the n of "inna" has seen an i.
assert check_order(("nina", "inna"))

# %% [markdown]
# ## Residuals, and why they train
#
# We want to put several layers of attention on top of each other. Lesson 3 showed what depth does to gradients: each
# layer multiplies them by its own factor, and a product of many factors vanishes or explodes. BatchNorm was one remedy.
# A **residual** is another (He et al. 2016). It adds the output of some layers, a branch, to their input:
#
# $$y = x + f(x), \qquad dx = dy + dy\, f'(x) .$$
#
# The gradient has two paths. On one it goes back through the layers of the branch; for short we write $dy\, f'(x)$. The
# other has no factor at all: whatever the branch does, `dy` arrives at `x`. Many residuals in a row are one long sum,
# $x + f_1 + f_2 + \dots$, and a gradient passes through it from end to beginning. Here are the gradients in 24 branches
# of a Linear and a tanh.

# %%
depth, C = 24, 64
branches = [nn.Sequential(nn.Linear(C, C), nn.Tanh()) for _ in range(depth)]  # with PyTorch's initial weights
start, upstream = torch.randn((32, C), generator=g), torch.randn((32, C), generator=g)


def gradient_sizes(step):
    """Sizes of the gradients of the inputs of all branches and of the end, relative to the end."""
    x = start.clone().requires_grad_()
    inputs = [x]
    for f in branches:
        inputs.append(step(inputs[-1], f))
    gradients = torch.autograd.grad((inputs[-1] * upstream).sum(), inputs)
    return [(gradient.norm() / upstream.norm()).item() for gradient in gradients]


ways = {
    "y = f(x)": lambda x, f: f(x),
    "y = x + f(x)": lambda x, f: x + f(x),
    "y = x + f(x) / root of the depth": lambda x, f: x + f(x) / depth**0.5,
}
sizes = {way: gradient_sizes(step) for way, step in ways.items()}
made, (ax,) = figure(size=(7, 3.5))
for (way, line), colour, style in zip(sizes.items(), COLOURS, ("-", "--", "-."), strict=False):
    ax.plot(range(depth + 1), line, style, color=colour, label=way)
ax.set_yscale("log")
ax.set_xlabel("depth: 0 is the input, 24 the end")
ax.set_ylabel("size of the gradient / that at the end")
ax.legend(frameon=False)
for way, line in sizes.items():
    print(f"{way:<34} at the input {line[0]:.1e}")
assert sizes["y = f(x)"][0] < 1e-5
assert all(0.3 < line[0] < 30 for way, line in sizes.items() if "+" in way)
made

# %% [markdown]
# Read the picture from right to left, as the gradient goes. Without residuals it shrinks by about the same factor at
# every branch, which is a straight line on this scale. Less than a hundred thousandth of it arrives. With residuals it
# grows a little at each branch, since two paths add up. The third line divides each branch by the root of the depth,
# and the gradient keeps its size. For this reason the library makes the last Linear of every branch smaller at the
# start (Radford et al. 2019).
#
# ## LayerNorm against BatchNorm
#
# A sum of many branches may grow, so each branch first normalises its input. **LayerNorm** (Ba, Kiros and Hinton 2016)
# is BatchNorm with rows and columns exchanged. It brings the numbers of each *row* to mean 0 and variance 1, over its
# own $C$ numbers. BatchNorm does that for each *column*, over the rows of the batch. Here are both, for rows of
# different strength and columns of different level.

# %%
EPSILON = 1e-5
rows = torch.randn((12, 16), generator=g) * torch.linspace(0.3, 2, 12)[:, None] + torch.randn(16, generator=g)


def normalised(x, over):
    """x (N, C), with mean 0 and variance 1 over a dimension."""
    return (x - x.mean(over, keepdim=True)) / (x.var(over, correction=0, keepdim=True) + EPSILON).sqrt()


made, axes = figure(1, 3, size=(10, 3.4))
pictures = {"x": rows, "BatchNorm": normalised(rows, 0), "LayerNorm": normalised(rows, 1)}
for ax, (title, matrix) in zip(axes, pictures.items(), strict=True):
    ax.imshow(matrix, cmap="RdBu", vmin=-3, vmax=3, aspect="auto")
    ax.set_title(title)
    ax.set_xlabel("column")
axes[0].set_ylabel("row")
for title, matrix in pictures.items():
    print(
        f"{title:<10} std of rows {matrix[0].std(correction=0):.2f} to {matrix[-1].std(correction=0):.2f},"
        f" largest mean of a column {matrix.mean(0).abs().max():.2f}"
    )
made

# %% [markdown]
# The rows of x get stronger from top to bottom, and each column has a level of its own: the vertical stripes. BatchNorm
# removes the stripes, but the last rows stay stronger than the first. LayerNorm makes all rows equally strong, and the
# stripes stay. $\gamma$ and $\beta$, one of each for every column, then scale and shift, as in BatchNorm.
#
# Which is better here? The rows of LayerNorm do not see each other, and that settles it:
#
# - A word's prediction does not depend on the other words of the batch, so there are no two modes and no buffers.
# - Padding does no harm. In BatchNorm, padded positions would count.
# - While drawing there is one row, and its variance over the batch would be 0.
# - Later positions of a word do not leak into earlier ones. In BatchNorm they would, through the mean.

# %%
moved = rows.clone()
moved[3, 0] += 3  # one number changes: which rows of the result do?
for over, name in ((0, "BatchNorm"), (1, "LayerNorm")):
    touched = ((normalised(moved, over) - normalised(rows, over)).abs().amax(1) > 1e-4).sum().item()
    print(f"{name} changes {touched} of {len(rows)} rows")
    assert touched == (len(rows) if over == 0 else 1)

# %% [markdown]
# **Exercise 4.** Derive `dx` for LayerNorm. The [derivation for
# BatchNorm](04_backprop_by_hand.ipynb#batchnorm-in-one-formula) holds with rows and columns exchanged, up to one place:
# $\gamma$ was the same for all numbers of a mean there.


# %%
def my_dlayernorm(xhat, s, gamma, dy):
    """xhat (N, C), s (N, 1), gamma (C,), dy (N, C) -> dx (N, C), for y = gamma xhat + beta, xhat = (x - mean) s."""
    return ...  # yours


check_layernorm(my_dlayernorm)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dlayernorm(xhat, s, gamma, dy):
    dxhat = gamma * dy
    return s * (dxhat - dxhat.mean(1, keepdim=True) - xhat * (dxhat * xhat).mean(1, keepdim=True))


assert check_layernorm(solved_dlayernorm)

# %% [markdown]
# With $d\hat x = \gamma\, dy$, which stays inside the means over the row,
#
# $$dx = s \Big( d\hat x - \overline{d\hat x} - \hat x\; \overline{d\hat x\, \hat x} \Big) .$$
#
# A bar is a mean over the $C$ numbers of the row. As in BatchNorm, two directions of the gradient are removed: adding a
# constant to the row, and scaling it, change nothing.


# %%
class LayerNorm(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(n_embd)), nn.Parameter(torch.zeros(n_embd))

    def forward(self, x):  # (..., C), same shape
        diff = x - x.mean(-1, keepdim=True)
        return self.gamma * diff * (diff.square().mean(-1, keepdim=True) + EPSILON).rsqrt() + self.beta


norm, x = LayerNorm(64), torch.randn((2, 7, 64), generator=g)
assert torch.allclose(norm(x), F.layer_norm(x, (64,)), atol=1e-5)

# %% [markdown]
# ## GELU
#
# Attention mixes positions, but it computes only weighted means of values. A hidden layer at each position does the
# rest, and its activation is **GELU** (Hendrycks and Gimpel 2016). It multiplies $x$ by the probability $P(x)$ that a
# standard normal number is below $x$. Far above 0 that is $x$, far below it is 0, like ReLU; in between it is smooth.
# The product rule gives its slope:
#
# $$y = x\,P(x), \qquad dx = dy\, \big(P(x) + x\,P'(x)\big) .$$
#
# $P'$ is the normal density. Instead of $P$, an approximation by tanh is common: $P \approx (1 + \tanh u)/2$ with
# $u = \sqrt{2/\pi}\,(x + 0.044715\,x^3)$. It is the one that we use.


# %%
def gelu(x):
    return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


x = torch.linspace(-4, 4, 401, dtype=torch.float64)
P, density = torch.special.ndtr(x), (-(x**2) / 2).exp() / math.sqrt(2 * math.pi)
print(moreish.check_gradients(lambda t: F.gelu(t("x", x)).sum(), {"dx": P + x * density}))
print(f"the approximation is off by at most {(gelu(x) - x * P).abs().max():.1e}")
assert torch.allclose(gelu(x), F.gelu(x, approximate="tanh"))

made, (values, slopes) = figure(1, 2, size=(10, 3.2))
curves = {
    "GELU": (x * P, P + x * density),
    "ReLU": (x.relu(), (x > 0).double()),
    "tanh": (x.tanh(), 1 - x.tanh() ** 2),
}
for (name, both), colour, style in zip(curves.items(), COLOURS, ("-", "--", ":"), strict=False):
    for ax, line in zip((values, slopes), both, strict=True):
        ax.plot(x, line, style, color=colour, label=name)
values.set_title("activation", fontsize=10)
slopes.set_title("its slope", fontsize=10)
for ax in (values, slopes):
    ax.set_xlabel("x")
values.legend(frameon=False)
made

# %% [markdown]
# GELU follows ReLU at both ends. Near 0 its slope changes smoothly, while that of ReLU jumps. Below 0 it dips a little:
# its smallest value is -0.17, at x = -0.75. To the left of that its slope is negative, but not zero at once, so a unit
# is less likely to die. Unlike tanh, it does not saturate for large $x$.
#
# ## One block, then four
#
# A **block** is two residuals: attention, which mixes positions, and a hidden layer, which works at each position. Both
# begin with a LayerNorm. A **Transformer** is an embedding of characters and places, a number of blocks, a last
# LayerNorm, and a Linear to the logits. The switch `residual` is for an experiment.


# %%
class Block(nn.Module):
    def __init__(self, n_embd, n_head, residual=True):
        super().__init__()
        self.norm1, self.attention = LayerNorm(n_embd), Attention(n_embd, n_head)
        self.norm2, self.wide, self.narrow = (
            LayerNorm(n_embd),
            nn.Linear(n_embd, 4 * n_embd),
            nn.Linear(4 * n_embd, n_embd),
        )
        self.residual = residual

    def hidden(self, x):
        return self.narrow(gelu(self.wide(x)))

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        if not self.residual:
            return self.hidden(self.norm2(self.attention(self.norm1(x))))
        x = x + self.attention(self.norm1(x))
        return x + self.hidden(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, n_layer=4, n_embd=64, n_head=4, n_positions=32, **options):
        super().__init__()
        self.embedding = nn.Embedding(V, n_embd)
        self.positions = nn.Parameter(torch.zeros((n_positions, n_embd)))
        self.blocks = nn.ModuleList(Block(n_embd, n_head, **options) for _ in range(n_layer))
        self.norm, self.logits = LayerNorm(n_embd), nn.Linear(n_embd, V)

    def forward(self, tokens):  # (B, T) -> (B, T, V)
        places = torch.arange(tokens.shape[1]).clamp(max=len(self.positions) - 1)  # further ones have the last vector
        x = self.embedding(tokens) + self.positions[places]
        for block in self.blocks:
            x = block(x)
        return self.logits(self.norm(x))


# %% [markdown]
# We train for one pass over the words. The optimizer is AdamW, which divides each step by the usual size of the
# gradient of that weight. The loss ignores padding, and is the mean over all other targets. A batch of 64 words has a
# few hundred of them, and one forward pass predicts them all.


# %%
def loss_of(net, X, Y):
    return F.cross_entropy(net(X).flatten(0, 1), Y.flatten(), ignore_index=-1)


def train(net, lr=0.004, batch_size=64):
    order = torch.randperm(len(corpus.parts["train"]), generator=torch.Generator().manual_seed(1)).tolist()
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    optimizer = torch.optim.AdamW(net.parameters(), lr, weight_decay=0.1)
    losses = []
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 20) * (1 - step / len(batches))
        loss = loss_of(net, *padded([corpus.parts["train"][i] for i in batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


Xval, Yval = padded(corpus.parts["val"])
torch.manual_seed(42)
nets = {
    "one block": Transformer(n_layer=1),
    "four blocks": Transformer(),
    "four blocks without residuals": Transformer(residual=False),
}
curves, vals = {}, {}
for name, net in nets.items():
    curves[name] = train(net)
    with torch.no_grad():
        vals[name] = loss_of(net, Xval, Yval).item()
    print(f"{name:<30} {sum(p.numel() for p in net.parameters()):>7,} parameters  val {vals[name]:.3f}")
assert vals["four blocks"] < vals["one block"] < vals["four blocks without residuals"]

# %%
made, (ax,) = figure(size=(7, 3.5))
window = max(1, len(curves["one block"]) // 20)
for (name, line), colour, style in zip(curves.items(), COLOURS, ("--", "-", ":"), strict=False):
    ax.plot(np.convolve(line, np.ones(window) / window, mode="valid"), style, color=colour, label=name)
ax.axhline(math.log(V), **GUIDE)
ax.set_xlabel("step")
ax.set_ylabel(f"batch loss, mean of {window} steps")
ax.set_ylim(top=3.9)
ax.legend(frameon=False)
made

# %% [markdown]
# The dashed line is $\log 27$, the loss of equal probabilities. On names.txt one block reaches 2.196 on val, and four
# blocks 2.151. In the second block a position looks at results that have looked back themselves, so it can combine what
# others have found.
#
# The dotted net has the same four blocks and the same number of weights; only the sums are missing. It stays at 2.58.
# That is worse than counting pairs of letters (2.45). This is what residuals are for: not more weights, but gradients
# that arrive.
#
# ## The library's Transformer
#
# For the rest of the lesson we want a net that is trained to the end. The library's `transformer` has the same blocks
# and sizes. We train it, copy its weights into our class, and get the same logits.

# %%
run = moreish.train(corpus, "transformer")
print(f"{run.model.n_parameters:,} parameters, {run.seconds:.0f} s, val {run.loss['val']:.3f}")
print(*run.model.sample(10, seed=1))


# %%
def load(net, weights):
    """Copy weights of the library into our net. Ours are in the same order; a Linear of PyTorch is transposed."""
    names = dict(net.named_parameters())
    order = ["embedding.weight", "positions"]
    for i in range(len(net.blocks)):
        parts = ("norm1.gamma", "norm1.beta", "attention.qkv.weight", "attention.qkv.bias", "attention.mix.weight")
        parts += ("attention.mix.bias", "norm2.gamma", "norm2.beta", "wide.weight", "wide.bias")
        order += [f"blocks.{i}.{part}" for part in (*parts, "narrow.weight", "narrow.bias")]
    order += ["norm.gamma", "norm.beta", "logits.weight", "logits.bias"]
    assert sorted(order) == sorted(names)
    with torch.no_grad():
        for name, (theirs, array) in zip(order, weights.items(), strict=True):
            tensor = torch.from_numpy(array.copy())
            names[name].copy_(tensor.T if theirs.endswith("linear.W") else tensor)
    return order


net = Transformer()
order = load(net, run.model.weights)
with torch.no_grad():
    logits = net(Xval)
    assert torch.allclose(logits, run.model.to_torch()(Xval), atol=1e-4)
    nll = loss_of(net, Xval, Yval).item()
print(f"val: ours {nll:.4f}, the library's {run.loss['val']:.4f}")
assert abs(nll - run.loss["val"]) < 1e-4

# %% [markdown]
# The library never pads. The positions of all words of a batch are rows of one long matrix. Words that begin with the
# same characters share the rows of that beginning. For each row, attention follows the chain of rows before it. The
# gradients are those of our padded net, here in float64 on 50 words.

# %%
few = corpus.parts["val"][:50]
stream = np.array([0, *(token for word in few for token in (*corpus.vocab.encode(word), 0))], np.int32)
packed = pack_words(sorted_words(stream), 0, len(few))
tape = WordTape(run.model.layers, 1, V, np.float64)
tape_loss, tape_gradient = tape.loss_and_grads_of_words(run.model.params.astype(np.float64), packed)

double = Transformer().double()
load(double, run.model.weights)
loss = loss_of(double, *padded(few))
loss.backward()
ours = dict(double.named_parameters())
mine = [ours[name].grad.T if name.endswith("weight") and "embedding" not in name else ours[name].grad for name in order]
mine = torch.cat([gradient.flatten() for gradient in mine]).numpy()
apart = np.abs(mine - tape_gradient).max() / np.abs(mine).max()
print(f"loss {loss.item():.12f} and {tape_loss:.12f}; {len(packed.contexts)} rows instead of {padded(few)[0].numel()}")
print(f"relative difference of the gradients {apart:.1e}")
assert abs(loss.item() - tape_loss) < 1e-10
assert apart < 1e-8

# %% [markdown]
# ## Attention maps
#
# The weights can be drawn. Each map below is a head; its rows are the positions that look, its columns those looked at.
# In Jupyter and in the documentation, you can type another word.

# %%
live.attention(run, "annabella" if set("anbel") <= set(itos) else corpus.parts["val"][0])

# %% [markdown]
# Only the past has colours; white is what the mask forbids. The first position sees nothing but itself, so its cell is
# always dark. In some maps a stripe runs along the diagonal: the head looks at the last character or the one before. In
# others a column is dark: several positions look at the same character. At the beginning of the word many heads look at
# the first column, perhaps because they have found nothing yet.
#
# It is tempting to read a story into such a map, but one word proves little. So we average over 1,000 words of val: how
# much weight goes to which distance? And we measure whether a head matters. We set its part of the result to zero, and
# see by how much the loss rises.

# %%
sample = corpus.parts["val"][:1_000]
Xs, Ys = padded(sample)
N, Ts = Xs.shape
with torch.no_grad():
    net(Xs)
weights = torch.stack([block.attention.weights for block in net.blocks])  # (layers, N, heads, T, T)
back = torch.arange(Ts)[:, None] - torch.arange(Ts)  # how far position m is behind n
usable = ((Ys >= 0) & (torch.arange(Ts) >= 4)).float()  # positions with at least four characters
profiles = {"the start": (torch.arange(Ts) == 0).expand(Ts, Ts)}
profiles |= {"4 or more back": (back >= 4) & ~profiles["the start"]}
profiles |= {f"{d} back" if d else "itself": back == d for d in (3, 2, 1, 0)}
profile = torch.stack(
    [torch.einsum("lnhij,ij,ni->lh", weights, seen.float(), usable) / usable.sum() for seen in profiles.values()], 2
).flatten(0, 1)  # (heads of all layers, kinds)
assert torch.allclose(profile.sum(1), torch.ones(len(profile)), atol=1e-3)

harm = []
with torch.no_grad():
    whole = loss_of(net, Xs, Ys).item()
    for block in net.blocks:
        mix, size = block.attention.mix.weight, block.attention.mix.weight.shape[1] // block.attention.n_head
        for head in range(block.attention.n_head):
            saved = mix.clone()
            mix[:, head * size : (head + 1) * size] = 0  # nothing of this head passes
            harm.append(loss_of(net, Xs, Ys).item() - whole)
            mix.copy_(saved)

names = [
    f"{layer + 1}.{head + 1}" for layer in range(len(net.blocks)) for head in range(net.blocks[0].attention.n_head)
]
made, (left, right) = figure(1, 2, size=(10, 4.6), width_ratios=[1.4, 1], sharey=True)
draw_matrix(left, profile, "mean weight")
left.set_xticks(range(len(profiles)), profiles, rotation=30, ha="right")
left.set_yticks(range(len(names)), names)
left.set_ylabel("layer.head")
right.barh(range(len(names)), harm, color=COLOURS[0])
right.set_xlabel("nats")
right.set_title("loss without this head, minus loss", fontsize=10)
made

# %% [markdown]
# Each row is a head: on the left is where it looks, on the right what the net loses without it. On names.txt nearly
# every head has most of its weight on the last three characters, and most of all on the one before the last. Characters
# from four back have 0.03 to 0.20. The heads of the first layer matter most, at 0.03 to 0.05 nats each. Later ones
# matter less, and none is indispensable.
#
# A clear map is not an important one. Head 4 of layer 2 has a dark column above, and costs 0.01 nats. Head 2 of layer 1
# looks blurred, and costs 0.05. A map shows where weights are, but not what the values carry or what later layers make
# of them.
#
# ## Keys and values kept while drawing
#
# To draw a word, we predict a character, append it, and predict the next. The obvious way reads the whole beginning
# again each time. But the past does not change: because of the mask, no vector of an earlier position depends on the
# new character. A later position needs of it only its keys and values. So we keep these (the **key-value cache**), and
# compute one new position for each character.


# %%
def step(net, tokens, cache):
    """Tokens (B,) -> logits (B, V). cache has for each block the keys and values so far, and gets the new ones."""
    t = cache[0][0].shape[2] if cache[0] else 0  # positions so far
    x = (net.embedding(tokens) + net.positions[min(t, len(net.positions) - 1)])[:, None]  # (B, 1, C)
    for block, kept in zip(net.blocks, cache, strict=True):
        q, *new = block.attention.heads(block.norm1(x))  # (B, n_head, 1, D) each
        kept[:] = [torch.cat(pair, 2) for pair in zip(kept, new, strict=True)] if kept else new
        x = x + block.attention.look(q, *kept)
        x = x + block.hidden(block.norm2(x))
    return net.logits(net.norm(x))[:, 0]


@torch.no_grad()
def draw(net, n, keep, seed=1):
    """Draw n words; return their tokens (n, T), and the number of positions that were computed."""
    random, tokens = torch.Generator().manual_seed(seed), torch.zeros((n, 1), dtype=torch.long)
    cache, computed = [[] for _ in net.blocks], 0
    while tokens.shape[1] < len(net.positions) and (tokens.shape[1] == 1 or (tokens[:, 1:] != 0).all(1).any()):
        logits = step(net, tokens[:, -1], cache) if keep else net(tokens)[:, -1]
        computed += n * (1 if keep else tokens.shape[1])
        tokens = torch.cat([tokens, torch.multinomial(logits.softmax(1), 1, generator=random)], 1)
    return tokens, computed


drawn = {}
for keep in (False, True):
    began = time.perf_counter()
    drawn[keep], computed = draw(net, 500, keep)
    print(f"{'with' if keep else 'without'} the cache: {computed:,} positions, {time.perf_counter() - began:.2f} s")
assert torch.equal(drawn[False], drawn[True])
print(*("".join(itos[i] for i in row[1:]).split(".")[0] for row in drawn[True][:10].tolist()))

# %% [markdown]
# The words are the same. For $T$ positions, $T (T + 1) / 2$ are computed without the cache, and $T$ with it. The price
# is memory: keys and values of every position and layer, $2 C$ numbers each. A recurrent net keeps one state, however
# long the word.
#
# ## How its cost grows
#
# In a block the Linear layers have $12\,C^2$ weights: $3\,C^2$ for queries, keys and values, $C^2$ to mix, and twice
# $4\,C^2$ in the hidden layer. Each weight is one multiplication at each position, so they cost $12\,C^2\,T$: twice as
# long a word costs twice as much. Attention itself compares pairs of positions, and their number grows with the square.
#
# **Exercise 5.** Write `multiplications(T, C)`: those of the scores and of the weighted sums, for a word of $T$
# positions, all heads together. A position looks at itself and those before it. The division and the softmax do not
# count.

# %%
multiplications = ...  # yours: a function of T and C
check_cost(multiplications)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def multiplications_solved(T, C):
    # T (T + 1) / 2 pairs; for each, C multiplications for the score and C for its share of the value. A head has fewer
    # numbers, and there are more heads: their number does not matter.
    return T * (T + 1) * C


assert check_cost(multiplications_solved)

# %% [markdown]
# With $T (T + 1)\, C$, attention overtakes the Linear layers where $T + 1 = 12\,C$: for 64 numbers, at 767 positions.
# We also measure the time on one thread. (It was measured on the machine that ran the lesson; yours will differ.)

# %%
C, lengths = 64, [2**i for i in range(3, 12)]
block = Block(C, 4)
mask = {T: torch.ones((T, T), dtype=torch.bool).tril() for T in lengths}


def seconds(function, times=5):
    best = math.inf
    for _ in range(times):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def linears(x):
    return block.attention.qkv(x), block.attention.mix(x), block.hidden(x)


took = {"Linear layers": [], "attention": []}
with torch.no_grad():
    for T in lengths:
        x = torch.randn((1, T, C), generator=g)
        q, k, v = block.attention.heads(x)
        took["Linear layers"].append(seconds(lambda x=x: linears(x)))
        took["attention"].append(
            seconds(lambda q=q, k=k, v=v, T=T: (q @ k.mT).masked_fill(~mask[T], -torch.inf).softmax(3) @ v)
        )
made, (counts, times) = figure(1, 2, size=(10, 3.6))
counts.plot(lengths, [12 * C * C * T for T in lengths], "-", color=COLOURS[0], label="Linear layers")
counts.plot(lengths, [multiplications_solved(T, C) for T in lengths], "--", color=COLOURS[1], label="attention")
counts.axvline(12 * C - 1, **GUIDE)
counts.set_ylabel("multiplications of a block")
for (what, line), style, colour in zip(took.items(), ("o-", "s--"), COLOURS, strict=False):
    times.plot(lengths, [1e3 * t for t in line], style, color=colour, label=what)
times.set_ylabel("milliseconds")
for ax in (counts, times):
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlabel("positions T")
    ax.legend(frameon=False)
name, longest = sum(map(len, words)) / len(words) + 1, max(map(len, words)) + 1
print(
    f"a name has {name:.1f} positions on average, and at most {longest}; attention is "
    f"{multiplications_solved(longest, C) / (12 * C * C * longest):.1%} of the multiplications there"
)
made

# %% [markdown]
# Both scales are logarithmic, so a power is a straight line, and its exponent is the slope. For Linear layers doubling
# $T$ doubles the cost; for attention it quadruples it. On the left the lines cross at 767 positions (dashed). On the
# right they cross earlier, because the mask and the softmax take time without multiplying. But a name has at most 16
# positions, where attention is 2% of the multiplications. Its square is a problem of long texts, not of names.
#
# ## What it gains on words this short
#
# Now the comparison with what came before, each with the library's default options. All are scored on the same words.

# %%
runs = {name: moreish.train(corpus, name) for name in ("bow", "ngram", "wavenet", "gru")} | {"transformer": run}
ladder = moreish.compare(list(runs.values()), names=list(runs))
val = {name: run.loss["val"] for name, run in runs.items()}
print(*(f"{name} {run.seconds:.1f} s" for name, run in runs.items()), sep=", ")
assert val["transformer"] < val["bow"]
Markdown(ladder.markdown())

# %%
for pair in ladder.pairs:
    if pair.part == "val" and "transformer" in (pair.one, pair.other):
        print(f"{pair.one} minus {pair.other}: {pair.difference:+.3f}, {pair.verdict}")

# %% [markdown]
# On names.txt attention is far better than the plain average: 1.96 against 2.16. It is also better than the tree, and a
# little better than counts. But the GRU has 1.93, and trains in less time. More training changes both losses, but not
# their order: with dropout, in about 45 seconds each, the Transformer reaches 1.921 and a larger GRU 1.908.
#
# Why does the most successful architecture for text not win here? One reason is in the next picture: how much does it
# help to see more characters?

# %%
orders = range(1, 10)
by_order = [moreish.train(corpus, "ngram", order=order).loss["val"] for order in orders]
made, (ax,) = figure(size=(7, 3.8))
ax.plot([order - 1 for order in orders], by_order, "o-", color=COLOURS[0], label="n-gram that sees so many characters")
for name, colour, style in (("gru", COLOURS[1], "--"), ("transformer", COLOURS[2], ":")):
    ax.axhline(val[name], color=colour, linestyle=style, label=f"{name}, sees all of them")
ax.set_xlabel("characters seen before the one to predict")
ax.set_ylabel("val loss, nats")
ax.legend(frameon=False)
made

# %% [markdown]
# The counts gain little from the fifth character, and nothing beyond it. Long contexts are too rare to be counted, so
# this alone does not prove that there is nothing more to learn. But nets that see the whole word are less than 0.05
# nats better.
#
# Attention has two strengths. Any two positions are one step apart, however far back one is. And in training all
# positions of a layer are computed at once, while a recurrent net has to go from one to the next. In a text of
# thousands of words both decide. A name has seven positions: a state carries that far, and seven steps are soon done.
# For names, a GRU or counts are the better choice.
#
# ## The same as the library
#
# We have compared losses, logits and gradients of the whole net already. Last, the library checks its hand-derived
# formulas of a small Transformer against autograd and against central differences. Here are those of the layers of this
# lesson, step by step.

# %%
checks = check_model(make_config("transformer", {"n_layer": 1, "n_embd": 8, "n_head": 2}))
worst = {}
for check in checks:
    if check.dtype == "float64" and "fused" not in check.name:
        worst.setdefault(check.name, {})[check.against] = check.max_rel
print(f"{'largest relative difference from':<42}autograd  differences")
for name, of in worst.items():
    if name.startswith(("1.", "2.0", "2.2", "3.2")):
        print(f"{name:<42}{of['autograd']:>8.0e}{of['differences']:>13.0e}")
assert first_wrong(checks) is None
print(f"{len(checks)} checks of all layers in float64 and float32, none wrong")

# %% [markdown]
# ## A loss to beat
#
# **Exercise 6.** The default Transformer has memorised more than it should: compare its losses on train and val. Find
# settings of `moreish.train` that lower val by 0.01 nats. `moreish train --help` lists the options. Choose by val.

# %%
yours = ...  # yours: moreish.train(corpus, "transformer", ...)
check_transformer(yours, run.loss["val"] - 0.01, corpus)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Dropout sets random numbers to zero while the net trains, so that none can rely on another one. It needs more passes.
better = moreish.train(corpus, "transformer", dropout=0.1, epochs=16.0, lr=0.003, average=0.998)
assert check_transformer(better, run.loss["val"] - 0.01, corpus)
print(f"{better.seconds:.0f} s, val {run.loss['val']:.3f} -> {better.loss['val']:.3f}")
