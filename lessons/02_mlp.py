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
# A table of pairs knows one character of the past. To know three, a table would need a row for every three characters
# that can occur together, and most of its rows would never be filled. Bengio, Ducharme, Vincent and Jauvin (2003, "A
# neural probabilistic language model") gave the way out: describe every token by a few numbers that are learnt, and let
# a small net compute the next token's probabilities from the descriptions. What it learns about one context then serves
# all contexts that are like it. This lesson builds that net, trains it, and looks for its best settings.

# %%
import math
import os
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import moreish
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
QUICK = bool(os.environ.get("MOREISH_QUICK"))
torch.set_num_threads(1)  # a net this small gains nothing from more
words = list(lesson_words())
corpus = moreish.Corpus(words)
itos = "." + corpus.vocab.characters  # token -> character; token 0 is the end of a word, and all before its beginning
stoi = {c: i for i, c in enumerate(itos)}
V = len(itos)
len(words), V

# %% [markdown]
# ## Three parts of the list
#
# A net with thousands of weights can learn words by heart. So the words are shuffled and shared out:
#
# - the **train** part (80%) is what the weights are fitted to;
# - the **val** part (validation, 10%) is never trained on, and decides between settings, such as how long the context
#   is;
# - the **test** part (10%) is looked at once, in the end. Settings that were chosen by val do a little too well on val,
#   just as weights that were fitted to train do too well on train.
#
# Whole words are shared out, not windows: otherwise half of a word could be in train and its other half in val.

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
# The **context** of a character is the `block_size` characters before it. Before the first letter there are none, so
# the context is filled up with token 0. One word becomes as many examples as it has letters, and one more for its end.


# %%
def build_dataset(words, block_size):
    """Words to contexts X (N, block_size) and the tokens that come next, Y (N,)."""
    X, Y = [], []
    for word in words:
        context = [0] * block_size
        for character in word + ".":
            X.append(context)
            Y.append(stoi[character])
            context = context[1:] + [stoi[character]]  # slide the window on by one
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
# This is why a table will not do. There are $V^T$ contexts of $T$ characters. The more characters, the fewer of them
# occur in train at all, and the more often val shows one that train never had. A table has nothing to say there.

# %%
print("T   possible contexts   seen in train   tokens of val whose context is not in train")
for T in range(1, 7):
    digits = V ** np.arange(T)  # (T,) a context as one number, each token a digit of it
    seen = np.unique(corpus.windows("train", T)[0] @ digits)  # (N, T) @ (T,) -> (N,), each kept once
    unseen = 1 - np.isin(corpus.windows("val", T)[0] @ digits, seen).mean()
    print(f"{T}   {V**T:17,}   {len(seen):13,}   {unseen:8.1%}")

# %% [markdown]
# ## Embeddings
#
# An **embedding** is the list of numbers that describes a token. All of them together are a table `C` with a row for
# each token: `(V, n_embd)`. The rows start at random, and are learnt like all other weights. Tokens that behave alike
# can come to have rows that are near each other.
#
# To look a row up is to multiply by a [one-hot](01_bigram.ipynb#the-same-as-a-net) vector: of the sum
# $\sum_v \text{onehot}_v C_v$ only the row of the token is left. Indexing does without the multiplications by zero.

# %%
g = torch.Generator().manual_seed(2147483647)
C = torch.randn((V, 2), generator=g)
looked_up = C[5]  # (2,)
multiplied = F.one_hot(torch.tensor(5), V).float() @ C  # (V,) @ (V, 2) -> (2,)
looked_up, multiplied

# %% [markdown]
# The index may be a tensor of any shape: each token in it is replaced by its row. The gradient agrees too. A row that
# was looked up several times gets the sum of what comes back from all those places, and a row that was not gets zero.

# %%
X = Xtr[:32]  # (32, 3)
upstream = torch.randn((32, 3, 2), generator=g)  # some gradient that comes back to the embeddings
C_index, C_product = C.clone().requires_grad_(), C.clone().requires_grad_()
by_index = C_index[X]  # (32, 3) -> (32, 3, 2)
by_product = F.one_hot(X, V).float() @ C_product  # (32, 3, V) @ (V, 2) -> (32, 3, 2)
by_index.backward(upstream)
by_product.backward(upstream)
assert torch.equal(by_index, by_product)
assert torch.allclose(C_index.grad, C_product.grad, atol=1e-5)
times = torch.bincount(X.flatten(), minlength=V)
print("looked up how often: ", {itos[v]: times[v].item() for v in range(7)})
print("its row has gradient:", {itos[v]: bool(C_index.grad[v].any()) for v in range(7)})

# %% [markdown]
# The net takes the embeddings of a context side by side, as one row of `block_size * n_embd` numbers. `torch.cat` would
# copy them into that form. They already stand in memory in just that order, so `view` only has to state another shape.

# %%
emb = C[X]  # (32, 3, 2)
run_parallel = torch.cat([emb[:, 0], emb[:, 1], emb[:, 2]], dim=1)  # (32, 6), a copy
viewed = emb.view(32, -1)  # (32, 6), no copy: -1 stands for what is left, 3 * 2
assert torch.equal(viewed, run_parallel)
emb.stride(), viewed.stride(), viewed.data_ptr() == emb.data_ptr(), run_parallel.data_ptr() == emb.data_ptr()

# %% [markdown]
# ## The net
#
# With the row $x$ of embeddings, a **hidden layer** of `n_hidden` numbers, which are called **units**, and a layer of
# logits, one for each token:
#
# $$h = \tanh(x W_1 + b_1), \qquad \text{logits} = h W_2 + b_2, \qquad
# p_v = \frac{e^{\text{logits}_v}}{\sum_u e^{\text{logits}_u}}.$$
#
# $b_1$ and $b_2$ are **biases**: what is added whatever $x$ is. Without the $\tanh$ the two layers would multiply out to a
# single one. A net of this kind is a **multilayer perceptron**, or MLP. Each weight matrix starts at random, divided by
# the square root of how many terms its sums have, so that sums neither grow nor shrink with the width; the two
# constants, 5/3 and 0.1, are a subject of lesson 3.


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
# The loss is the mean negative log-likelihood of the true next tokens, the cross-entropy, as for the pairs. Step by
# step:

# %%
X, Y = Xtr[:32], Ytr[:32]
logits = net(params, X)  # (32, V)
counts = logits.exp()  # (32, V), above zero
probs = counts / counts.sum(1, keepdim=True)  # (32, V), rows sum to 1
loss = -probs[torch.arange(32), Y].log().mean()
loss.item(), F.cross_entropy(logits, Y).item(), math.log(V)

# %% [markdown]
# `F.cross_entropy` gives the same number, and is preferred for three reasons. It makes no tensors for the steps in
# between. Its backward pass is one short formula: the gradient by the logits is `(probs - one_hot(Y)) / 32`. And it is
# **numerically stable**: it is right for logits of any size. The steps above are not. In float32, $e^x$ is infinite
# above $x \approx 88.7$, and infinity divided by infinity is not a number:

# %%
extreme = torch.tensor([[-5.0, 0.0, 100.0]])
print(extreme.exp(), extreme.exp() / extreme.exp().sum())

# %% [markdown]
# A constant added to all logits of a row changes no probability, since $e^{x + c} = e^c e^x$, and $e^c$ cancels. So the
# row's maximum can be subtracted first. Then the largest exponential is $e^0 = 1$, and nothing overflows. Some may
# become zero, and the logarithm of zero is the other danger. It goes away when the logarithm is taken by hand:
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
# The formula and PyTorch give the same. By way of the probability the first is infinite, since $e^{-105}$ is 0 in
# float32; and the second is off, since of a number as small as $e^{-100}$ only a few digits are left.
#
# At the start this net says about the same of every token, so its first loss is near $\log 27 = 3.296$. A first loss
# far above $\log V$ means that the net starts out sure of itself and wrong. Weights drawn from $N(0, 1)$ as they come
# do that:

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
# Before a long training, a net should show that it can fit a few examples. Here are 32 windows, and 200 steps of
# gradient descent on them.

# %%
params = init(block_size, n_embd=10, n_hidden=200)
for _ in range(200):
    loss = F.cross_entropy(net(params, X), Y)
    for p in params:
        p.grad = None  # gradients add up, unless they are cleared
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= 0.3 * p.grad
print(f"loss {loss.item():.4f}")

# %% [markdown]
# It nearly knows them by heart, and yet the loss does not go to zero. Names begin with different letters, and the
# context of every first letter is the same `...`. No function of the context can do better than to give each letter the
# share that it has after that context. This least loss can be computed:

# %%
groups = {}
for x, y in zip(X.tolist(), Y.tolist(), strict=True):
    groups.setdefault(tuple(x), []).append(y)
least = -sum(math.log(ys.count(y) / len(ys)) for ys in groups.values() for y in ys) / len(Y)
print(f"least possible loss {least:.4f}")
assert least <= loss.item() < least + 0.1

# %% [markdown]
# ## Mini-batches
#
# The exact gradient needs all windows of train, for one step. A **mini-batch** is a few windows drawn at random. Its
# gradient is an estimate of the exact one: wrong in detail, right on average, and many times cheaper. How wrong? The
# cosine of the angle between the two gradients is 1 if they point the same way, and 0 if they have nothing to do with
# each other.


# %%
def gradient(params, X, Y):
    """The gradient by all parameters, as one vector."""
    return torch.cat([d.flatten() for d in torch.autograd.grad(F.cross_entropy(net(params, X), Y), params)])


def agreement(params, batch_size, exact, g, times=20):
    """The mean cosine of mini-batches' gradients with the exact one, and the seconds that one takes."""
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

# %% [markdown]
# Directions with nothing in common have a cosine of about 0.01 here, in 11,897 dimensions. That of a batch of 32 is
# 0.41: it knows much of the right direction, for a very small part of the work. It is better to take very many steps
# that are about right than a few exact ones. This is **stochastic gradient descent**, SGD.
#
# ## The learning rate
#
# The **learning rate** says how far a step goes. Too small, and nothing happens; too large, and the loss jumps about or
# explodes. To find its order of magnitude, let it grow exponentially from step to step during one short training, and
# look at where the loss falls (Smith 2017, "Cyclical learning rates for training neural networks").

# %%
params = init(block_size, n_embd=10, n_hidden=200)
g = torch.Generator().manual_seed(3)
steps = 400 if QUICK else 2000
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
# and above 1.5 it explodes: by then a step overshoots so far that the next ones cannot repair it. The middle of the low
# stretch, a good way to the left of where the loss rises, is 0.1.

# %%
assert 0.05 < lowest < 5
assert smooth[-1] > smooth.min() + 0.5

# %% [markdown]
# **Learning rate decay** means lowering the rate later on. Large steps get far, but they also keep shaking the weights
# about a good place; small ones let them settle. The rule here is the simplest: a tenth of the rate for the second
# half.


# %%
@torch.no_grad()
def loss_on(params, X, Y):
    return F.cross_entropy(net(params, X), Y).item()


def train(params, X, Y, steps, lr=0.1, batch_size=32, weight_decay=0.0, decay_at=0.5, every=None, look=None):
    """SGD on mini-batches, a tenth of the rate after a share of the steps; the batch losses.

    `look` is called with the number of steps made, each time after `every` of them.
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
steps, points = (1000, 5) if QUICK else (20_000, 20)
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
# A single batch's loss says little, since batches differ by tenths of a nat. The losses on all of val show the course:
# they drop where the rate falls, and hardly change after that. The reason can be measured. At the end of the training
# the exact gradient is small, and what a batch adds to it by chance is not, so most of a step is noise. Steps of a
# tenth of the size average that noise out.

# %%
exact = gradient(params, Xtr, Ytr)
g = torch.Generator().manual_seed(1)
late = {batch_size: agreement(params, batch_size, exact, g)[0] for batch_size in (1, 32, 1024)}
print(f"standard deviation of the batch losses: {np.std(losses[-steps // 4 :]):.2f} nats")
print("cosine with the exact gradient, after training:", {n: round(c, 2) for n, c in late.items()})
assert late[32] < early[32]

# %% [markdown]
# ## How good is that?
#
# Counted pairs have a val loss of 2.453 on names.txt. The published figures for this net, 3 characters, 10 numbers an
# embedding and 200 hidden units, are val 2.10 to 2.17, after 200,000 steps; those at the lower end began with well
# scaled weights. The steps above were a tenth of that. PyTorch would take ten times as long for all of them, and for a
# net this small most of the time goes into calling one operation after another, and not into arithmetic. The compiled
# engine of this project makes the same kind of step without these calls (lesson 4 shows how). It can make all of them
# here:

# %%
many = 2000 if QUICK else 200_000
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
assert trained["val"] < pairs + 0.1 * QUICK
assert compiled.loss["val"] < trained["val"] + 0.1 * QUICK

# %% [markdown]
# The short training is already far below the pairs, and the long one comes to 2.10, the better end of what was
# published. More steps lowered train by more than val: the gap between the two has grown.
#
# ## Underfitting and overfitting
#
# **Underfitting** is when a net is too small, or was trained too little, to learn what is in the data. Train and val
# are then both bad, and about equal. **Overfitting** is when it learns what holds for the train words only. Train is
# then far below val, and in the end val rises. To see both plainly, take a net with 5 hidden units, on all windows; and
# one with 200, on the first 2,500 windows of train. Both are trained at a constant rate.

# %%
steps = 1000 if QUICK else 6000
few = slice(0, 2500)


def watched(n_hidden, X, Y, points=5 if QUICK else 15, **options):
    """A training, and its losses at some points of it: rows of step, train, val."""
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

# %% [markdown]
# On the left the curves lie on each other: there is nothing to gain from more data, only from a larger net. On the
# right val turns round early and climbs, while train goes on falling. In the end it is 3.43, above $\log 27 = 3.296$:
# the net is so sure of what it learnt by heart that on new words it does worse than one that gives every token the same
# share.
#
# More data would help. So would **early stopping**: to keep the weights of the lowest val, as the library's
# `keep="best"` does. And so would something that holds the net back.
#
# ## Weight decay
#
# **Weight decay** is such a thing, the [regularisation](01_bigram.ipynb#the-same-as-a-net) of lesson 1: a cost for
# large weights, $\frac{\lambda}{2} \sum w^2$, is added to the loss. The gradient of that is $\lambda w$, so every step
# also shrinks each weight by a share. The net has to earn its weights: those that serve only a few windows fade.
# `torch.optim.SGD` has it as an option, and one step shows that both are the same:

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
# The large net on its 2,500 windows again, with more and more of it:

# %%
print("weight decay   train     val")
by_decay = {}
for decay in (0.0, 0.003) if QUICK else (0.0, 0.001, 0.003, 0.01, 0.03):
    rows = watched(200, Xtr[few], Ytr[few], points=1, weight_decay=decay)
    by_decay[decay] = rows[-1, 2]
    print(f"{decay:12g} {rows[-1, 1]:7.3f} {rows[-1, 2]:7.3f}")
assert QUICK or min(by_decay.values()) < by_decay[0.0] - 0.05

# %% [markdown]
# Train gets worse with every row, as it must: the loss is no longer all that is minimised. Val gets better at first,
# and worse again when the net is held back so much that it underfits. The best of these, 0.003, gives 2.47 at the end,
# less than the net without decay had at any point looked at. How much is best depends on how much data there is.
#
# ## Tuning
#
# Sizes and rates are **hyperparameters**: gradient descent does not learn them, so they are tried, and val decides.
# **Tuning** is that search. It takes many trainings, so the compiled engine does it. What do longer contexts and larger
# embeddings give?

# %%
steps = 500 if QUICK else 20_000
options = {"n_hidden": 200, "steps": steps, "batch_size": 32, "optimizer": "sgd", "lr": 0.1, "keep": "last"}
grid = {}
print("val loss    n_embd 2       10       24")
for T in (3, 5, 8):
    for n_embd in (2, 10, 24):
        grid[T, n_embd] = moreish.train(corpus, model="mlp", block_size=T, n_embd=n_embd, **options)
    print(f"context {T} " + " ".join(f"{grid[T, n_embd].loss['val']:8.4f}" for n_embd in (2, 10, 24)))
best = min(grid, key=lambda sizes: grid[sizes].loss["val"])
print(f"best by val: context {best[0]}, n_embd {best[1]}, {grid[best].model.n_parameters:,} parameters")

# %% [markdown]
# Two numbers are too few to describe a letter well, and five characters of context tell more than three. Eight tell
# little more than five, at this length of training. Only the winner's loss on test is looked at, now that the choice is
# made. It is about that on val: with nine candidates, the choice did not fit val by much. `moreish.tune` searches in
# the same spirit, over rates and batch sizes too.

# %%
print(f"train {grid[best].loss['train']:.4f}   val {grid[best].loss['val']:.4f}   test {grid[best].loss['test']:.4f}")

# %% [markdown]
# ## The embedding map
#
# With two numbers a letter, what the net has learnt about letters can be drawn as it is. This net is trained for longer
# than the one in the table.

# %%
flat = moreish.train(corpus, model="mlp", block_size=3, n_embd=2, **{**options, "steps": 2000 if QUICK else 60_000})
moreish.plots.plot_embedding(flat.model)

# %%
C = torch.from_numpy(flat.model.weights["0.embedding.C"])  # (V, 2)
vowels = [stoi[c] for c in "aeiou"]
others = [v for v in range(1, V) if v not in vowels]
far = torch.cdist(C, C)  # (V, V) distances
between = far[vowels][:, others].mean().item()
within = far[vowels][:, vowels].sum().item() / (5 * 4)  # without the zeros of each with itself
assert QUICK or within < between
print(f"mean distance of two vowels {within:.2f}, of a vowel and a consonant {between:.2f}")

# %% [markdown]
# Nobody told the net what a vowel is. It has put them together all the same, y among them, since names go on after an
# `a` in much the same way as after an `e`, and not as after a `t`. The end token, which stands for the empty places
# before a name too, is away from all letters.
#
# ## Sampling
#
# A word is drawn character by character: give the net the last three, draw from its probabilities, slide the window on,
# until the end token comes.


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
print(f"{sum(word in set(parts['train']) for word in drawn) / len(drawn):.0%} of 200 stand in train")

# %% [markdown]
# About one word in six stands in train; the others are new. Most can be pronounced. The net does not know how long a
# word is already, since it sees three characters, so some end too early and some late.
#
# ## The library's own
#
# `moreish.Model` is the same net as a list of layers, and its weights have names. Our weights, put into a module that
# it makes and taken back from there, give the same logits. Its compiled engine, whose gradients are derived by hand,
# gives the same losses and the same gradients as autograd gave us.

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
# A cell with `...  # yours` is where your answer goes; the check below it says whether it is right, or what is off.
# Each is followed by a solution, folded away.
#
# **1. Zero.** All parameters of the net start at zero, `C` too. What is the first loss? And how many of the 11,897
# numbers can ever change, however long it is trained by gradient descent? Work both out before you try it. Then train
# it, and explain the loss that it ends at.

# %%
first_loss, n_moving = ..., ...  # yours
check_zero_start(first_loss, n_moving, V)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. Equal logits give each token 1 / V, so the loss is log V. With h = tanh(0) = 0, dW2 = h^T dlogits is zero,
# and with W2 = 0, dh = dlogits W2^T is zero, and so are the gradients of all before it. Only b2 has one, V numbers, and
# after each step h and W2 are still zero. What b2 can learn is how often each token occurs: the loss of counting single
# tokens.
zeros = [torch.zeros_like(p).requires_grad_() for p in params]
first_loss = loss_on(zeros, Xtr, Ytr)
train(zeros, Xtr, Ytr, steps=1000, lr=0.5)
n_moving = sum((p != 0).sum().item() for p in zeros)
assert check_zero_start(first_loss, n_moving, V)
assert [bool(p.any()) for p in zeros] == [False] * 4 + [True]
share = torch.bincount(Ytr, minlength=V) / len(Ytr)  # (V,)
entropy = -(share * share.log()).sum().item()
last_loss = loss_on(zeros, Xtr, Ytr)
print(f"after 1,000 steps {last_loss:.3f}; by the shares of the tokens {entropy:.3f}")
assert abs(last_loss - entropy) < 0.02

# %% [markdown]
# **2. The first layer by lookups.** `emb.view(B, -1) @ W1 + b1` multiplies the same few rows of `C` by the same parts
# of `W1` again and again. There are only `V` tokens in each of the `T` places, so all products can be made once, before
# the windows are looked at; then a window is `T` lookups and a sum. Write it. (The compiled engine does this.)


# %%
def preactivations(X, C, W1, b1):
    """X (B, T), C (V, E), W1 (T * E, H), b1 (H,) -> (B, H)."""
    return ...  # yours


check_tables(preactivations)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. W1 falls into T parts of E rows, one for each place of the window: x W1 = sum over t of emb[:, t] W1_t.
def preactivations(X, C, W1, b1):
    T = X.shape[1]
    tables = C @ W1.view(T, C.shape[1], -1)  # (V, E) @ (T, E, H) -> (T, V, H)
    return tables[torch.arange(T), X].sum(1) + b1  # (B, T, H) -> (B, H)


assert check_tables(preactivations)

# %% [markdown]
# **3. A stable cross-entropy.** Write the mean negative log-likelihood from `exp`, `log`, `sum` and `max`, so that it
# survives large logits, and targets whose probability is too small for float32.


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
# **4. A weight decay that helps.** There are 1,435 dinosaurs in the bundled list, few enough for this net to overfit.
# Find a `weight_decay` that lowers val by at least 0.05.

# %%
dinosaurs = moreish.Corpus(moreish.bundled("dinosaurs"))
settings = {**options, "steps": 20_000, "block_size": 3, "n_embd": 10}
without, with_decay = ..., ...  # yours: moreish.train(dinosaurs, model="mlp", **settings, weight_decay=...)
check_weight_decay(without, with_decay, by=0.05)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. Steps of a factor of about three are fine enough to find the right order of magnitude.
runs = {
    decay: moreish.train(dinosaurs, model="mlp", **settings, weight_decay=decay)
    for decay in ((0.0, 0.001) if QUICK else (0.0, 0.0003, 0.001, 0.003))
}
for decay, run in runs.items():
    print(f"{decay:6g}   train {run.loss['train']:.3f}   val {run.loss['val']:.3f}")
assert check_weight_decay(runs[0.0], min(runs.values(), key=lambda run: run.loss["val"]), by=0.05)

# %% [markdown]
# **5. Beat it.** The net of 200,000 steps is to be beaten by 0.05 nats of val, in a tenth of the steps. Use what you
# like: other sizes, rates, batches, optimizers. A net of your own does too: give a function from contexts `(N, T)` to
# logits `(N, V)`, and its `block_size`.

# %%
mine = ...  # yours: moreish.train(corpus, model="mlp", ...)
check_beats(mine, compiled.loss["val"] - 0.05, corpus)
# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. A longer context, larger embeddings and batches, more units; and AdamW, an optimizer that scales the step of
# each weight by how large its gradients have been, with a rate that falls to zero.
mine = moreish.train(
    corpus,
    model="mlp",
    block_size=6,
    n_embd=24,
    n_hidden=256,
    optimizer="adamw",
    lr=0.012,
    batch_size=256,
    steps=700 if QUICK else 2100,
)
assert check_beats(mine, compiled.loss["val"] - 0.05, corpus)
