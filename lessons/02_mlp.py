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
# # 2. A net that looks at several characters
#
# A table of pairs sees one previous character. To use three, a table needs a row for every possible group of three
# characters, and most of its rows would stay empty. Bengio, Ducharme, Vincent and Jauvin (2003, "A neural probabilistic
# language model") found the way out: describe every token by a few learnt numbers, and let a small net compute the
# probabilities of the next token from these descriptions. What the net learns about one context then applies to all
# similar contexts. This lesson builds that net, trains it, and looks for its best settings.

# %%
import math
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import moreish
from moreish.lessons.live import curves
from moreish.lessons.mlp import (
    check_beats,
    check_cross_entropy,
    check_tables,
    check_weight_decay,
    check_zero_start,
)
from moreish.lessons.words import lesson_words
from moreish.models.mlp import MLP
from moreish.plots.style import figure

# %matplotlib inline
torch.set_num_threads(1)  # a net this small gains nothing from more
words = list(lesson_words())
corpus = moreish.Corpus(words)
itos = "." + corpus.vocab.characters  # token -> character; token 0 is the end of a word, and the padding before it
stoi = {c: i for i, c in enumerate(itos)}
V = len(itos)
len(words), V

# %% [markdown]
# ## Three parts of the list
#
# A net with thousands of weights can memorise words. So the words are shuffled and split into three parts:
#
# - The weights are fitted to the **train** part (80%).
# - The **val** part (validation, 10%) is never trained on. It decides between settings, such as the length of the
#   context.
# - The **test** part (10%) is used once, at the end. Settings chosen on val do a little too well on val, just as
#   weights fitted to train do too well on train.
#
# We split whole words, not windows: otherwise half of a word could be in train and its other half in val.

# %%
shuffled = words.copy()
random.Random(42).shuffle(shuffled)
n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
parts = {"train": shuffled[:n1], "val": shuffled[n1:n2], "test": shuffled[n2:]}
assert all(list(corpus.parts[part]) == parts[part] for part in parts)  # the library's split is the same
{part: len(parts[part]) for part in parts}

# %% [markdown]
# ## Context windows
#
# The **context** of a character is the `block_size` characters before it. At the beginning of a word the context is
# padded with token 0. Each word gives one example per letter, and one more for its end.


# %%
def build_dataset(words, block_size):
    """Words to contexts X (N, block_size) and the tokens that come next, Y (N,)."""
    X, Y = [], []
    for word in words:
        context = [0] * block_size
        for character in word + ".":
            X.append(context)
            Y.append(stoi[character])
            context = context[1:] + [stoi[character]]  # slide the window by one
    return torch.tensor(X), torch.tensor(Y)


block_size = 3
Xtr, Ytr = build_dataset(parts["train"], block_size)  # (N, 3), (N,)
Xva, Yva = build_dataset(parts["val"], block_size)
Xte, Yte = build_dataset(parts["test"], block_size)
for x, y in zip(Xtr[:8], Ytr[:8], strict=True):
    print("".join(itos[i] for i in x), "->", itos[y])
print(Xtr.shape, Ytr.shape, Xva.shape, Xte.shape)

# %%
assert all(np.array_equal(a, b) for a, b in zip((Xtr, Ytr), corpus.windows("train", block_size), strict=True))

# %% [markdown]
# This is why a table is not enough. There are $V^T$ contexts of $T$ characters. The longer the context, the smaller the
# fraction of them that occurs in train, and the more often val contains a context that train does not. A table knows
# nothing about such a context.

# %%
print("T   possible contexts   seen in train   tokens of val whose context is not in train")
for T in range(1, 7):
    digits = V ** np.arange(T)  # (T,) a context as one number, with a digit for each token
    seen = np.unique(corpus.windows("train", T)[0] @ digits)  # (N, T) @ (T,) -> (N,), without duplicates
    unseen = 1 - np.isin(corpus.windows("val", T)[0] @ digits, seen).mean()
    print(f"{T}   {V**T:17,}   {len(seen):13,}   {unseen:8.1%}")

# %% [markdown]
# ## Embeddings
#
# An **embedding** is the list of numbers that describes a token. All embeddings together form a table `C` with one row
# per token: `(V, n_embd)`. The rows start at random and are learnt like all other weights. Tokens that behave alike can
# end up with rows close to each other.
#
# Looking up a row is the same as multiplying by a [one-hot](01_bigram.ipynb#the-same-as-a-net) vector: in the sum
# $\sum_v \text{onehot}_v C_v$ only the row of the token remains. Indexing avoids the multiplications by zero.

# %%
g = torch.Generator().manual_seed(2147483647)
C = torch.randn((V, 2), generator=g)
looked_up = C[5]  # (2,)
multiplied = F.one_hot(torch.tensor(5), V).float() @ C  # (V,) @ (V, 2) -> (2,)
looked_up, multiplied

# %% [markdown]
# The index may be a tensor of any shape: each token in it is replaced by its row. The gradients agree too. A row that
# was looked up several times gets the sum of the gradients from all those places, and a row that was not looked up gets
# zero.

# %%
X = Xtr[:32]  # (32, 3)
upstream = torch.randn((32, 3, 2), generator=g)  # any upstream gradient
C_index, C_product = C.clone().requires_grad_(), C.clone().requires_grad_()
by_index = C_index[X]  # (32, 3) -> (32, 3, 2)
by_product = F.one_hot(X, V).float() @ C_product  # (32, 3, V) @ (V, 2) -> (32, 3, 2)
by_index.backward(upstream)
by_product.backward(upstream)
assert torch.equal(by_index, by_product)
assert torch.allclose(C_index.grad, C_product.grad, atol=1e-5)
times = torch.bincount(X.flatten(), minlength=V)
print("times looked up:     ", {itos[v]: times[v].item() for v in range(7)})
print("its row has gradient:", {itos[v]: bool(C_index.grad[v].any()) for v in range(7)})

# %% [markdown]
# The net takes the embeddings of a context side by side, as one row of `block_size * n_embd` numbers. `torch.cat` would
# copy them into that form. But they are already in that order in memory, so `view` only needs to declare another shape.

# %%
emb = C[X]  # (32, 3, 2)
joined = torch.cat([emb[:, 0], emb[:, 1], emb[:, 2]], dim=1)  # (32, 6), a copy
viewed = emb.view(32, -1)  # (32, 6), no copy: -1 is filled in, 3 * 2
assert torch.equal(viewed, joined)
emb.stride(), viewed.stride(), viewed.data_ptr() == emb.data_ptr(), joined.data_ptr() == emb.data_ptr()

# %% [markdown]
# ## The net
#
# The net takes the row $x$ of embeddings. It has a **hidden layer** of `n_hidden` numbers, called **units**, and a
# layer of logits, one for each token:
#
# $$h = \tanh(x W_1 + b_1), \qquad \text{logits} = h W_2 + b_2, \qquad
# p_v = \frac{e^{\text{logits}_v}}{\sum_u e^{\text{logits}_u}}.$$
#
# $b_1$ and $b_2$ are **biases**: they are added whatever $x$ is. Without the $\tanh$ the two layers would reduce to a
# single one. A net of this kind is a **multilayer perceptron**, or MLP. Each weight matrix starts at random, divided by
# the square root of the number of terms in its sums, so that the sums neither grow nor shrink with the width. Lesson 3
# explains the two constants, 5/3 and 0.1.


# %%
def init(block_size, n_embd, n_hidden, seed=42):
    g = torch.Generator().manual_seed(seed)
    fan_in = block_size * n_embd
    C = torch.randn((V, n_embd), generator=g)
    W1 = torch.randn((fan_in, n_hidden), generator=g) * (5 / 3) / fan_in**0.5
    b1 = torch.zeros(n_hidden)
    W2 = torch.randn((n_hidden, V), generator=g) * 0.1 / n_hidden**0.5
    b2 = torch.zeros(V)
    return [p.requires_grad_() for p in (C, W1, b1, W2, b2)]


def net(params, X):
    """Contexts (B, T) to logits (B, V)."""
    C, W1, b1, W2, b2 = params
    emb = C[X]  # (B, T, E)
    h = torch.tanh(emb.view(len(X), -1) @ W1 + b1)  # (B, T * E) @ (T * E, H) -> (B, H)
    return h @ W2 + b2  # (B, H) @ (H, V) -> (B, V)


params = init(block_size, n_embd=10, n_hidden=200)
print([tuple(p.shape) for p in params], sum(p.numel() for p in params), "parameters")

# %% [markdown]
# ## Cross-entropy
#
# As for pairs, the loss is the mean negative log-likelihood of the true next tokens, the cross-entropy. Step by step:

# %%
X, Y = Xtr[:32], Ytr[:32]
logits = net(params, X)  # (32, V)
counts = logits.exp()  # (32, V), positive
probs = counts / counts.sum(1, keepdim=True)  # (32, V), rows sum to 1
loss = -probs[torch.arange(32), Y].log().mean()
loss.item(), F.cross_entropy(logits, Y).item(), math.log(V)

# %% [markdown]
# `F.cross_entropy` gives the same number, and is better for three reasons. It creates no intermediate tensors. Its
# backward pass is one short formula: the gradient of the logits is `(probs - one_hot(Y)) / 32`. And it is **numerically
# stable**: it is correct for logits of any size. The steps above are not. In float32, $e^x$ is infinite above
# $x \approx 88.7$, and infinity divided by infinity is not a number:

# %%
extreme = torch.tensor([[-5.0, 0.0, 100.0]])
print(extreme.exp(), extreme.exp() / extreme.exp().sum())

# %% [markdown]
# Adding a constant to all logits of a row changes no probability, since $e^{x + c} = e^c e^x$ and $e^c$ cancels. So we
# can subtract the maximum of the row first. Then the largest exponential is $e^0 = 1$, and nothing overflows. Some
# exponentials may become zero, and the logarithm of zero is the other danger. We avoid it by taking the logarithm on
# paper:
#
# $$-\log p_y = \log \sum_v e^{x_v - m} - (x_y - m), \qquad m = \max_v x_v.$$

# %%
shifted = extreme - extreme.max(1, keepdim=True).values  # (1, 3)
by_probability = -(shifted.exp() / shifted.exp().sum(1, keepdim=True)).log()
by_formula = shifted.exp().sum(1, keepdim=True).log() - shifted
print("shifted, then the log of the probability:", by_probability.tolist())
print("the formula:                             ", by_formula.tolist())
print(
    "F.cross_entropy, for each target:        ", [F.cross_entropy(extreme, torch.tensor([v])).item() for v in range(3)]
)

# %% [markdown]
# The formula agrees with PyTorch. Going through the probability, the first number is infinite, since $e^{-105}$ is 0 in
# float32. The second is inexact, since a number as small as $e^{-100}$ keeps only a few digits.
#
# At the start this net gives every token about the same probability, so its first loss is near $\log 27 = 3.296$. A
# first loss far above $\log V$ means that the net starts out confident and wrong. Unscaled weights from $N(0, 1)$ do
# that:

# %%
g = torch.Generator().manual_seed(42)
raw = [torch.randn(p.shape, generator=g) for p in params]
first = {"scaled": F.cross_entropy(net(params, Xtr), Ytr).item(), "N(0, 1)": F.cross_entropy(net(raw, Xtr), Ytr).item()}
assert abs(first["scaled"] - math.log(V)) < 0.05
assert first["N(0, 1)"] > 10
first

# %% [markdown]
# ## Can it learn anything at all? One batch
#
# Before training for long, check that the net can fit a few examples. Here are 200 steps of gradient descent on 32
# windows.

# %%
params = init(block_size, n_embd=10, n_hidden=200)
for _ in range(200):
    loss = F.cross_entropy(net(params, X), Y)
    for p in params:
        p.grad = None  # clear the gradients: otherwise they add up
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= 0.3 * p.grad
print(f"loss {loss.item():.4f}")

# %% [markdown]
# The net has almost memorised them, yet the loss does not go to zero. Names begin with different letters, and the
# context of every first letter is the same `...`. No function of the context can do better than predict each letter
# with its relative frequency after that context. We can compute this minimum:

# %%
groups = {}
for x, y in zip(X.tolist(), Y.tolist(), strict=True):
    groups.setdefault(tuple(x), []).append(y)
least = -sum(math.log(ys.count(y) / len(ys)) for ys in groups.values() for y in ys) / len(Y)
print(f"least possible loss {least:.4f}")
assert least <= loss.item() < least + 0.1

# %% [markdown]
# ## Minibatches
#
# The exact gradient needs all windows of train for a single step. A **minibatch** is a few windows drawn at random. Its
# gradient is an estimate of the exact one: noisy, right on average, and far cheaper. How noisy? The cosine of the angle
# between the two gradients is 1 if they point the same way, and 0 if they are unrelated.


# %%
def gradient(params, X, Y):
    """The gradient of all parameters, as one vector."""
    return torch.cat([d.flatten() for d in torch.autograd.grad(F.cross_entropy(net(params, X), Y), params)])


def agreement(params, batch_size, exact, g, times=20):
    """The mean cosine of minibatch gradients with the exact one, and the seconds for each."""
    began = time.perf_counter()
    cosines = []
    for _ in range(times):
        ix = torch.randint(len(Xtr), (batch_size,), generator=g)
        cosines.append(F.cosine_similarity(gradient(params, Xtr[ix], Ytr[ix]), exact, dim=0))
    return sum(cosines).item() / times, (time.perf_counter() - began) / times


params = init(block_size, n_embd=10, n_hidden=200)
began = time.perf_counter()
exact = gradient(params, Xtr, Ytr)
print(f"all {len(Xtr):,} windows       {1e3 * (time.perf_counter() - began):7.1f} ms")
g = torch.Generator().manual_seed(1)
early = {}
for batch_size in (1, 32, 1024):
    early[batch_size], seconds = agreement(params, batch_size, exact, g)
    print(f"batch of {batch_size:5}   cosine {early[batch_size]:.2f} {1e3 * seconds:7.1f} ms")
assert early[32] > 0.3

# %% [markdown]
# In 11,897 dimensions, unrelated directions have a cosine of about 0.01. A batch of 32 has more than thirty times that:
# it captures much of the right direction for a tiny fraction of the work. Many steps in roughly the right direction are
# better than a few exact ones. This is **stochastic gradient descent**, SGD.
#
# ## The learning rate
#
# The **learning rate** sets the size of a step. If it is too small, nothing happens; if it is too large, the loss jumps
# about or explodes. To find its order of magnitude, let it grow exponentially during one short run, and see where the
# loss falls (Smith 2017, "Cyclical learning rates for training neural networks").

# %%
params = init(block_size, n_embd=10, n_hidden=200)
g = torch.Generator().manual_seed(3)
steps = 2000
rates = 10 ** torch.linspace(-3, 1, steps)  # from 0.001 to 10, evenly on the log scale
swept = []
for rate in rates:
    ix = torch.randint(len(Xtr), (32,), generator=g)  # (32,)
    loss = F.cross_entropy(net(params, Xtr[ix]), Ytr[ix])
    for p, d in zip(params, torch.autograd.grad(loss, params), strict=True):
        p.data -= rate * d
    swept.append(loss.item())

# %%
window = steps // 40
smooth = np.convolve(swept, np.ones(window) / window, mode="valid")  # (steps - window + 1,)
middle = rates[window // 2 :][: len(smooth)]
lowest = middle[smooth.argmin()].item()
made, (ax,) = figure(size=(7.5, 3.5))
ax.semilogx(rates, np.minimum(swept, 6), color="#56B4E9", linewidth=0.6, label="batch loss, cut off at 6")
ax.semilogx(middle, np.minimum(smooth, 6), color="#0072B2", label=f"mean of {window} steps, lowest at {lowest:.2f}")
ax.axvline(0.1, color="#D55E00", linestyle="--", label="0.1")
ax.set_xlabel("learning rate")
ax.set_ylabel("loss (nats)")
ax.legend(frameon=False, fontsize=8)
made

# %% [markdown]
# At the smallest rates the loss falls slowly. From about 0.03 to 0.3 it is low. Above that it becomes ragged and rises,
# and near 2 it explodes: a step then overshoots so far that the next ones cannot recover. We choose 0.1, in the middle
# of the low part and well to the left of the rise.

# %%
assert 0.05 < lowest < 5
assert smooth[-1] > smooth.min() + 0.5

# %% [markdown]
# **Learning rate decay** means lowering the rate during training. Large steps make fast progress but keep the weights
# jittering around a good point; small steps let them settle. We use the simplest rule: a tenth of the rate in the
# second half.


# %%
@torch.no_grad()
def loss_on(params, X, Y):
    return F.cross_entropy(net(params, X), Y).item()


def train(params, X, Y, steps, lr=0.1, batch_size=32, weight_decay=0.0, decay_at=0.5, every=None, look=None):
    """Train by SGD on minibatches, with a tenth of the rate after a fraction `decay_at` of the steps.

    Returns the batch losses. Calls `look` after every `every` steps with the number of steps so far.
    """
    g = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(params, lr=lr, weight_decay=weight_decay)  # p -= lr * (p.grad + weight_decay * p)
    losses = []
    for step in range(steps):
        if step == int(decay_at * steps):
            optimizer.param_groups[0]["lr"] = lr / 10
        ix = torch.randint(len(X), (batch_size,), generator=g)  # (B,)
        loss = F.cross_entropy(net(params, X[ix]), Y[ix])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if every and (step + 1) % every == 0:
            look(step + 1)
    return losses


params = init(block_size, n_embd=10, n_hidden=200)
steps, points = 20_000, 20
vals = []
began = time.perf_counter()
losses = train(
    params, Xtr, Ytr, steps, every=steps // points, look=lambda n: vals.append((n, loss_on(params, Xva, Yva)))
)
seconds = time.perf_counter() - began
trained = {"train": loss_on(params, Xtr, Ytr), "val": loss_on(params, Xva, Yva)}
print(f"{steps:,} steps, {seconds:.1f} s: train {trained['train']:.4f}, val {trained['val']:.4f}")

# %%
window = steps // 40
made, (ax,) = figure(size=(7.5, 3.5))
ax.plot(losses, color="#56B4E9", linewidth=0.3, alpha=0.6, label="batch of 32")
ax.plot(
    np.arange(window, steps + 1),
    np.convolve(losses, np.ones(window) / window, "valid"),
    color="#0072B2",
    label=f"mean of {window} batches",
)
ax.plot(*zip(*vals, strict=True), "o-", color="#D55E00", markersize=4, label="val")
ax.axvline(steps // 2, color="#666666", linestyle="--", label="the rate falls to a tenth")
ax.set_ylim(1.6, 3.4)
ax.set_xlabel("step")
ax.set_ylabel("loss (nats)")
ax.legend(frameon=False, fontsize=8)
made

# %% [markdown]
# The loss of a single batch says little, since batches differ by tenths of a nat. The loss on all of val shows the
# progress: it drops when the rate falls, and hardly changes after that. We can measure why. At the end of training the
# exact gradient is small but the noise of a batch is not, so most of a step is noise. Steps a tenth the size average
# that noise out.

# %%
exact = gradient(params, Xtr, Ytr)
g = torch.Generator().manual_seed(1)
late = {batch_size: agreement(params, batch_size, exact, g)[0] for batch_size in (1, 32, 1024)}
print(f"standard deviation of the batch losses: {np.std(losses[-steps // 4 :]):.2f} nats")
print("cosine with the exact gradient, after training:", {n: round(c, 2) for n, c in late.items()})
assert late[32] < early[32]

# %% [markdown]
# What does each rate do to the curve? We train the same net from the same start with eight rates, for 2,000 steps each.
# In Jupyter and in the documentation, a slider chooses the rate.

# %%
losses_at = {}
for lr in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3):
    losses_at[lr] = train(init(block_size, n_embd=10, n_hidden=200), Xtr, Ytr, steps=2000, lr=lr)
ends = {lr: np.mean(batch[-200:]) for lr, batch in losses_at.items()}
assert ends[0.001] > ends[0.01] > ends[0.1]
assert ends[3] > 4
curves(losses_at, slider="learning rate", at=0.1, top=4.0)

# %% [markdown]
# Up to 0.01 the steps are too small: the loss is still high when the rate falls to a tenth, and it hardly moves after
# that. From 0.1 to 1 the loss drops when the rate falls, and the curves end close together. 0.3 even ends a little below
# our 0.1, although its first half is worse. At 1 the first batches cost more than 4 nats. At 3 the whole curve is above
# the picture.

# %% [markdown]
# ## How good is that?
#
# Counting pairs has a val loss of 2.453 on names.txt. The published results for this net (3 characters, embeddings of
# 10 numbers, 200 hidden units) are val losses of 2.10 to 2.17 after 200,000 steps; the lower ones started from well
# scaled weights. We have trained for a tenth of those steps. In PyTorch all of them would take ten times as long, and
# for a net this small most of that time goes into calling operations rather than arithmetic. The compiled engine of
# this project makes the same kind of step without these calls (lesson 4 shows how). It can make all of them here:

# %%
many = 200_000
began = time.perf_counter()
compiled = moreish.train(
    corpus,
    model="mlp",
    block_size=3,
    n_embd=10,
    n_hidden=200,
    steps=many,
    batch_size=32,
    optimizer="sgd",
    lr=0.1,
    keep="last",
)
compiled_seconds = time.perf_counter() - began
pairs = moreish.train(corpus, model="bigram-counts").loss["val"]
print("                      steps   seconds    train      val")
print(f"pairs, counted                               {pairs:9.4f}")
print(f"PyTorch         {steps:11,} {seconds:9.1f} {trained['train']:8.4f} {trained['val']:8.4f}")
print(f"compiled engine {many:11,} {compiled_seconds:9.1f} {compiled.loss['train']:8.4f} {compiled.loss['val']:8.4f}")
assert trained["val"] < pairs - 0.1
fell = {part: trained[part] - compiled.loss[part] for part in ("train", "val")}
told = (f"{'lower' if by > 0 else 'higher'} by {abs(by):.4f} on {part}" for part, by in fell.items())
print(f"the longer run is {' and '.join(told)}")
assert fell["train"] > max(fell["val"], 0)

# %% [markdown]
# The short run is already far below the pairs. More steps lower train further, but not val by as much: the gap between
# the two grows. On names.txt the long run reaches a val loss of 2.10, the better end of the published range. On the
# bundled list, which has only a quarter as many words, val is *higher* after the long run than after the short one.
#
# ## Underfitting and overfitting
#
# **Underfitting** means that a net is too small, or trained too briefly, to learn what is in the data. Train and val
# are then both bad, and about equal. **Overfitting** means that it learns what holds only for the train words. Train is
# then far below val, and eventually val rises. To see both clearly, take a net with 5 hidden units on all windows, and
# one with 200 on the first 2,500 windows of train. Both are trained at a constant rate.

# %%
steps = 6000
few = slice(0, 2500)


def watched(n_hidden, X, Y, points=15, **options):
    """Train a net; return its losses along the way as rows of step, train, val."""
    params, rows = init(block_size, n_embd=10, n_hidden=n_hidden), []
    train(
        params,
        X,
        Y,
        steps,
        batch_size=64,
        decay_at=1.0,
        every=steps // points,
        look=lambda n: rows.append((n, loss_on(params, X, Y), loss_on(params, Xva, Yva))),
        **options,
    )
    return np.array(rows)  # (points, 3)


tiny = watched(5, Xtr, Ytr)
large = watched(200, Xtr[few], Ytr[few])

# %%
made, axes = figure(1, 2, size=(9, 3.5), sharey=True)
for ax, rows, title in zip(axes, (tiny, large), ("5 units, all windows", "200 units, 2,500 windows"), strict=True):
    ax.plot(rows[:, 0], rows[:, 1], "s-", color="#0072B2", markersize=4, label="train")
    ax.plot(rows[:, 0], rows[:, 2], "o-", color="#D55E00", markersize=4, label="val")
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("step")
    ax.legend(frameon=False, fontsize=8)
axes[0].set_ylabel("loss (nats)")
made

# %%
for name, rows in (("tiny", tiny), ("large", large)):
    print(f"{name:6} train {rows[-1, 1]:.3f}   val {rows[-1, 2]:.3f}   lowest val {rows[:, 2].min():.3f}")
assert abs(tiny[-1, 2] - tiny[-1, 1]) < 0.05
assert large[-1, 2] - large[-1, 1] > 0.2
assert large[-1, 2] > math.log(V)

# %% [markdown]
# On the left the two curves nearly coincide: more data would not help, only a larger net. On the right val soon turns
# and climbs while train keeps falling. It ends above $\log 27 = 3.296$: the net is so confident in what it has
# memorised that on new words it does worse than giving every token the same probability.
#
# More data would help. So would **early stopping**: keeping the weights with the lowest val loss, as the library's
# `keep="best"` does. Another way is to restrict the net.
#
# ## Weight decay
#
# **Weight decay** is such a restriction. It is the [regularisation](01_bigram.ipynb#the-same-as-a-net) of lesson 1: a
# penalty for large weights, $\frac{\lambda}{2} \sum w^2$, is added to the loss. Its gradient is $\lambda w$, so every
# step also shrinks each weight by a constant factor. Weights that help with only a few windows fade. `torch.optim.SGD`
# has weight decay as an option, and one step shows that the two are the same:

# %%
ours, theirs = (init(block_size, n_embd=10, n_hidden=50) for _ in range(2))
decay, lr = 0.01, 0.1
loss = F.cross_entropy(net(ours, X), Y) + decay / 2 * sum((p**2).sum() for p in ours)
for p, d in zip(ours, torch.autograd.grad(loss, ours), strict=True):
    p.data -= lr * d
optimizer = torch.optim.SGD(theirs, lr=lr, weight_decay=decay)
F.cross_entropy(net(theirs, X), Y).backward()
optimizer.step()
assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))

# %% [markdown]
# Here is the large net on its 2,500 windows again, with increasing weight decay:

# %%
print("weight decay   train     val")
by_decay = {}
for decay in (0.0, 0.001, 0.003, 0.01, 0.03):
    rows = watched(200, Xtr[few], Ytr[few], points=1, weight_decay=decay) if decay else large
    by_decay[decay] = rows[-1, 2]
    print(f"{decay:12g} {rows[-1, 1]:7.3f} {rows[-1, 2]:7.3f}")
best = min(by_decay, key=by_decay.get)
print(f"lowest val {by_decay[best]:.3f}, with {best:g}; without decay val was never below {large[:, 2].min():.3f}")
assert by_decay[best] < large[:, 2].min() - 0.05

# %% [markdown]
# Train gets worse with every row, as it must: we no longer minimise the loss alone. Val first gets better, and then
# worse again when the net is so restricted that it underfits. With the best decay it ends lower than the net without
# decay was at any evaluation. Which decay is best depends on the data.
#
# ## Tuning
#
# Sizes and rates are **hyperparameters**: gradient descent does not learn them, so we try several and let val decide.
# **Tuning** is that search. It takes many training runs, so we use the compiled engine. How much do longer contexts and
# larger embeddings help?

# %%
steps = 20_000
options = {"n_hidden": 200, "steps": steps, "batch_size": 32, "optimizer": "sgd", "lr": 0.1, "keep": "last"}
grid = {}
print("val loss    n_embd 2       10       24")
for T in (3, 5, 8):
    for n_embd in (2, 10, 24):
        grid[T, n_embd] = moreish.train(corpus, model="mlp", block_size=T, n_embd=n_embd, progress=False, **options)
    print(f"context {T} " + " ".join(f"{grid[T, n_embd].loss['val']:8.4f}" for n_embd in (2, 10, 24)))
best = min(grid, key=lambda sizes: grid[sizes].loss["val"])
print(f"best by val: context {best[0]}, n_embd {best[1]}, {grid[best].model.n_parameters:,} parameters")

# %% [markdown]
# Two numbers are too few to describe a letter well, and five characters of context are better than three. Eight are
# hardly better than five, for training of this length. Now that the choice is made, we look at the test loss of the
# winner only. If it were well above val, the choice would have overfitted val; with nine candidates, it has not.
# `moreish.tune` searches in the same way, over rates and batch sizes too.

# %%
print(f"train {grid[best].loss['train']:.4f}   val {grid[best].loss['val']:.4f}   test {grid[best].loss['test']:.4f}")
assert grid[best].loss["test"] < grid[best].loss["val"] + 0.02

# %% [markdown]
# ## The embedding map
#
# With two numbers per letter, we can plot the embeddings directly. This net is trained for longer than the one in the
# table.

# %%
flat = moreish.train(corpus, model="mlp", block_size=3, n_embd=2, **{**options, "steps": 60_000})
moreish.plots.plot_embedding(flat.model)

# %%
C = torch.from_numpy(flat.model.weights["0.embedding.C"])  # (V, 2)
vowels = [stoi[c] for c in "aeiou"]
others = [v for v in range(1, V) if v not in vowels]
far = torch.cdist(C, C)  # (V, V) distances
between = far[vowels][:, others].mean().item()
within = far[vowels][:, vowels].sum().item() / (5 * 4)  # without the distances of each to itself, which are zero
assert within < between
print(f"mean distance of two vowels {within:.2f}, of a vowel and a consonant {between:.2f}")

# %% [markdown]
# The net was never told what a vowel is. It has grouped them anyway, y among them, since names continue after an `a`
# much as they do after an `e`, and not as after a `t`. The end token, which also pads the context at the beginning of a
# name, is far from all letters.
#
# ## Sampling
#
# We draw a word character by character: give the net the last three, draw from its probabilities, and slide the window
# by one, until the end token is drawn.


# %%
@torch.no_grad()
def sample(params, g):
    context, out = [0] * block_size, []
    while True:
        probs = F.softmax(net(params, torch.tensor([context])), dim=1)  # (1, V)
        token = torch.multinomial(probs, 1, generator=g).item()
        if token == 0:
            return "".join(out)
        out.append(itos[token])
        context = context[1:] + [token]


g = torch.Generator().manual_seed(2147483647 + 10)
drawn = [sample(params, g) for _ in range(200)]
print(" ".join(drawn[:20]))
known = set(parts["train"])
print(f"{sum(word in known for word in drawn) / len(drawn):.0%} of the 200 words are in train")

# %% [markdown]
# Most words are new: on names.txt about one in six is in train, and on the bundled list one in twenty-five. Many can be
# pronounced. The net sees only three characters and does not know how long a word already is, so some words end too
# early and some too late.
#
# ## The library's own
#
# `moreish.Model` is the same net as a list of layers, and its weights have names. We load our weights into a PyTorch
# module that it creates, copy them back into the model, and get the same logits. Its compiled engine, whose gradients
# are derived by hand, gives the same losses and the same gradients as autograd.

# %%
model = moreish.Model(MLP(block_size=3, n_embd=10, n_hidden=200), corpus.vocab)
module = model.to_torch()
names = [name for name, _ in module.named_parameters()]
module.load_state_dict(dict(zip(names, params, strict=True)))
model.from_torch(module)
print(module)
print(names)

# %%
with torch.no_grad():
    logits = net(params, Xva)  # (N, V)
    assert torch.allclose(module(Xva), logits, atol=1e-5)
nll = F.cross_entropy(logits, Yva, reduction="none")  # (N,)
assert np.allclose(model.nll(corpus.stream("val")), nll, atol=1e-4)  # the compiled engine, token by token
assert abs(moreish.evaluate(model, corpus, ["val"]).loss["val"] - trained["val"]) < 1e-4

by_hand = model.engine.loss_and_grads(model.params, Xtr[:256].numpy(), Ytr[:256].numpy())[1]
by_autograd = gradient(params, Xtr[:256], Ytr[:256]).numpy()  # both in the order C, W1, b1, W2, b2
print("largest difference of two gradients:", np.abs(by_hand - by_autograd).max())
assert np.allclose(by_hand, by_autograd, rtol=1e-3, atol=1e-6)

# %% [markdown]
# ## Exercises
#
# A cell with `...  # yours` is for your answer. The check below it prints whether the answer is right, or what is wrong
# with it. Solutions are folded away below the exercises, unless your copy is one without solutions.
#
# **1. Zero.** All parameters of the net start at zero, `C` too. What is the first loss? And how many of the 11,897
# parameters can ever change, however long you train by gradient descent? Work out both before you try it. Then train
# the net, and explain its final loss.

# %%
first_loss, n_moving = ..., ...  # yours
check_zero_start(first_loss, n_moving, V)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. Equal logits give each token 1 / V, so the loss is log V. h = tanh(0) = 0, so dW2 = h^T dlogits is zero.
# W2 = 0, so dh = dlogits W2^T is zero, and so are the gradients of everything before it. Only b2, V numbers, has a
# nonzero gradient, and after each step h and W2 are still zero. b2 can learn only how often each token occurs, so the
# loss ends at that of counting single tokens.
zeros = [torch.zeros_like(p).requires_grad_() for p in params]
first_loss = loss_on(zeros, Xtr, Ytr)
train(zeros, Xtr, Ytr, steps=1000, lr=0.5)
n_moving = sum((p != 0).sum().item() for p in zeros)
assert check_zero_start(first_loss, n_moving, V)
assert [bool(p.any()) for p in zeros] == [False] * 4 + [True]
share = torch.bincount(Ytr, minlength=V) / len(Ytr)  # (V,)
entropy = -(share * share.log()).sum().item()
last_loss = loss_on(zeros, Xtr, Ytr)
print(f"after 1,000 steps {last_loss:.3f}; from the frequencies of the tokens {entropy:.3f}")
assert abs(last_loss - entropy) < 0.02

# %% [markdown]
# **2. The first layer by lookups.** `emb.view(B, -1) @ W1 + b1` multiplies the same few rows of `C` by the same parts
# of `W1` again and again. There are only `V` tokens for each of the `T` positions, so all products can be computed
# once, before looking at the windows. A window then takes `T` lookups and a sum. Write this. (The compiled engine does
# it too.)


# %%
def preactivations(X, C, W1, b1):
    """X (B, T), C (V, E), W1 (T * E, H), b1 (H,) -> (B, H)."""
    return ...  # yours


check_tables(preactivations)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. W1 consists of T blocks of E rows, one for each position: x W1 = sum over t of emb[:, t] W1_t.
def preactivations(X, C, W1, b1):
    T = X.shape[1]
    tables = C @ W1.view(T, C.shape[1], -1)  # (V, E) @ (T, E, H) -> (T, V, H)
    return tables[torch.arange(T), X].sum(1) + b1  # (B, T, H) -> (B, H)


assert check_tables(preactivations)

# %% [markdown]
# **3. A stable cross-entropy.** Write the mean negative log-likelihood with `exp`, `log`, `sum` and `max` so that it is
# finite for large logits, and for targets whose probability is too small for float32.


# %%
def nll(logits, Y):
    """logits (N, V), Y (N,) -> the mean nll, one number."""
    return ...  # yours


check_cross_entropy(nll)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution
def nll(logits, Y):
    shifted = logits - logits.max(1, keepdim=True).values  # (N, V)
    return (shifted.exp().sum(1).log() - shifted[torch.arange(len(Y)), Y]).mean()


assert check_cross_entropy(nll)

# %% [markdown]
# **4. A weight decay that helps.** The bundled list has 1,435 dinosaurs, few enough for this net to overfit. Find a
# `weight_decay` that lowers val by at least 0.05.

# %%
dinosaurs = moreish.Corpus(moreish.bundled("dinosaurs"))
settings = {**options, "steps": 20_000, "block_size": 3, "n_embd": 10}
without, with_decay = ..., ...  # yours: moreish.train(dinosaurs, model="mlp", **settings, weight_decay=...)
check_weight_decay(without, with_decay, by=0.05)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. Values a factor of about three apart are close enough to find the right order of magnitude.
runs = {
    decay: moreish.train(dinosaurs, model="mlp", **settings, weight_decay=decay, progress=False)
    for decay in (0.0, 0.0003, 0.001, 0.003)
}
for decay, run in runs.items():
    print(f"{decay:6g}   train {run.loss['train']:.3f}   val {run.loss['val']:.3f}")
assert check_weight_decay(runs[0.0], min(runs.values(), key=lambda run: run.loss["val"]), by=0.05)

# %% [markdown]
# **5. Beat it.** Beat the val loss of the net of 200,000 steps by 0.05 nats, in a tenth of the steps. Use whatever you
# like: other sizes, rates, batches or optimizers. A net of your own counts too: give a function from contexts `(N, T)`
# to logits `(N, V)`, and its `block_size`.

# %%
mine = ...  # yours: moreish.train(corpus, model="mlp", ...)
check_beats(mine, compiled.loss["val"] - 0.05, corpus)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. A longer context, larger embeddings and batches, and more units. The optimizer is AdamW, which divides the
# step of each weight by the recent size of its gradients; the learning rate falls to zero.
mine = moreish.train(
    corpus,
    model="mlp",
    block_size=6,
    n_embd=24,
    n_hidden=256,
    optimizer="adamw",
    lr=0.012,
    batch_size=256,
    steps=2100,
)
assert check_beats(mine, compiled.loss["val"] - 0.05, corpus)
