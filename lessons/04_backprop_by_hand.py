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
# # 4. Backpropagation by hand
#
# In the earlier lessons we wrote `loss.backward()` and PyTorch filled in the gradients. Here we replace that line by
# formulas. We derive every gradient of a network with an embedding, a linear layer, BatchNorm, tanh and cross-entropy
# on paper, write it with tensors, and check it. At the end the network trains without autograd, and we see that the
# library compiles the same formulas.
#
# Why do this when PyTorch can? Because a wrong gradient raises no error. A saturated unit, a BatchNorm in the wrong
# mode, a gradient that is averaged twice: they show only in the gradients, and to read gradients you have to know what
# they should be.

# %%
# %matplotlib inline
import inspect
import math
import time
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

import moreish
from moreish.analysis.gradcheck import check_model, first_wrong
from moreish.engine.batches import Batches
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.layers import linear, norm
from moreish.layers.norm import EPSILON
from moreish.lessons.backprop import (
    check_batchnorm,
    check_cross_entropy,
    check_embedding,
    check_gamma_beta,
    check_linear,
    check_tanh,
)
from moreish.lessons.words import lesson_words
from moreish.models import MLP
from moreish.plots.style import COLOURS, GUIDE, figure

torch.set_num_threads(1)  # the timings below are for one core
words = list(lesson_words())
corpus = moreish.Corpus(words)
itos = [".", *corpus.vocab.characters]  # token 0 ends a word and pads contexts
V = len(corpus.vocab)
len(words), V

# %% [markdown]
# ## The network, one operation a line
#
# The network is that of lesson 3: the embeddings of the last three characters side by side, a linear layer without
# bias, BatchNorm, tanh, and a linear layer to the logits. Its weights come from the library, with a little noise added.
# The noise matters. At the start of training, $\beta$ and the biases are zero and the last layer is nearly zero, and
# multiplying a gradient by zero hides any mistake in its formula.
#
# All numbers are float64 here, so that a wrong formula cannot hide behind rounding errors.

# %%
T, E, H, B = 3, 10, 200, 32  # block_size, n_embd, n_hidden, batch size
config = MLP(block_size=T, n_embd=E, n_hidden=H, batch_norm=True)
model = moreish.Model(config, corpus.vocab, seed=42)
layout = model.layout  # the place of each parameter in one flat vector
NAMES = ["C", "W1", "gamma", "beta", "W2", "b2"]  # in the order of the layers
SLOTS = [slot for slot in layout if slot.parameter.trained]


def views(flat):
    """Trained parameters of a flat vector by name, as tensors that share its memory."""
    return {name: torch.from_numpy(slot.view(flat)) for name, slot in zip(NAMES, SLOTS, strict=True)}


generator = torch.Generator().manual_seed(42)
start = model.params.astype(np.float64)
start[: layout.n_trained] += 0.1 * torch.randn(layout.n_trained, generator=generator, dtype=torch.float64).numpy()
C, W1, gamma, beta, W2, b2 = views(start).values()
for name, tensor in views(start).items():
    print(f"{name:<6}{tuple(tensor.shape)!s:>10}")

Xtr, Ytr = (torch.from_numpy(a) for a in corpus.windows("train", T))  # (N, T), (N,)
chosen = torch.randint(len(Ytr), (B,), generator=generator)
Xb, Yb = Xtr[chosen], Ytr[chosen]  # (B, T), (B,)

# %% [markdown]
# The **forward pass** computes the loss from the inputs. We write it in steps so small that each is one operation with
# a derivative known from school. Every step passes its result through `t(name, tensor)`. The caller decides what `t`
# does. Below it only stores the tensor, so that we can use it later as `v.h`, `v.probs` and so on. Later the checker
# passes its own `t` to find out how the loss depends on each tensor.


# %%
def forward(t, less=0):
    """The loss of the batch. The variance divides by B - less: see Bessel's correction below."""
    emb = t("emb", t("C", C)[Xb])  # (B, T, E)
    embcat = t("embcat", emb.view(B, T * E))  # (B, T E)
    hpre = t("hpre", embcat @ t("W1", W1))  # (B, H)
    # BatchNorm
    mean = t("mean", hpre.sum(0) / B)  # (H,)
    diff = t("diff", hpre - mean)  # (B, H)
    diff2 = t("diff2", diff**2)  # (B, H)
    var = t("var", diff2.sum(0) / (B - less))  # (H,)
    s = t("s", (var + EPSILON) ** -0.5)  # (H,)
    xhat = t("xhat", diff * s)  # (B, H)
    hnorm = t("hnorm", t("gamma", gamma) * xhat + t("beta", beta))  # (B, H)
    # tanh, and the second linear layer
    h = t("h", torch.tanh(hnorm))  # (B, H)
    logits = t("logits", h @ t("W2", W2) + t("b2", b2))  # (B, V)
    # softmax and cross-entropy
    maxes = t("maxes", logits.amax(1, keepdim=True))  # (B, 1)
    shifted = t("shifted", logits - maxes)  # (B, V)
    counts = t("counts", shifted.exp())  # (B, V)
    sums = t("sums", counts.sum(1, keepdim=True))  # (B, 1)
    probs = t("probs", counts / sums)  # (B, V)
    logprobs = t("logprobs", probs.log())  # (B, V)
    return -logprobs[torch.arange(B), Yb].mean()


v = SimpleNamespace()


def remember(name, tensor):
    setattr(v, name, tensor)
    return tensor


loss = forward(remember)
loss.item()

# %% [markdown]
# ## The chain rule
#
# The gradient of the loss $L$ with respect to a tensor tells, for each entry, how fast $L$ changes when that entry
# changes. It has the shape of the tensor. We write `dh` for the gradient of $L$ with respect to `h`; the $L$ is always
# the same, so we leave it out.
#
# The operations above form a **computation graph**: each tensor is made from earlier ones. The **chain rule** says how
# a gradient passes back through one operation. If $y = f(x)$ and $dy$ is known, then
#
# $$dx = f'(x)\, dy.$$
#
# $dy$, the gradient of the output, is the **upstream gradient**; $f'(x)$ is the **local derivative**. The **backward
# pass** goes through the graph from the loss to the inputs and applies the chain rule at each operation. That is
# **backpropagation**.
#
# A tensor has many entries, and one entry may affect the loss through many others. Three rules cover this:
#
# 1. **Paths add.** A tensor that is used twice affects $L$ in two ways, so its gradient is the sum of two.
# 2. **Copied forward, summed backward.** Broadcasting copies one entry to many places, so rule 1 applies many times:
#    the gradient is summed along the broadcast dimension.
# 3. **Summed forward, copied backward.** Each term of a sum changes the sum one to one, so its gradient is that of the
#    sum, broadcast.
#
# ## The loss, step by step
#
# **The mean.** $L = -\frac1B \sum_n \text{logprobs}[n, y_n]$. It contains only one entry of each row, with slope
# $-1/B$. The gradient of all others is 0.

# %%
rows = torch.arange(B)
dlogprobs = torch.zeros_like(v.logprobs)  # (B, V)
dlogprobs[rows, Yb] = -1 / B

# %% [markdown]
# **The logarithm**, entry by entry: $\frac{d}{dp}\log p = 1/p$. A target with a small probability gets a large
# gradient.

# %%
dprobs = dlogprobs / v.probs  # (B, V)

# %% [markdown]
# **The division** $\text{probs}[n, u] = \text{counts}[n, u] / \text{sums}[n]$ has two inputs. With respect to the
# first, the slope is $1/\text{sums}[n]$. With respect to the second, it is $-\text{counts}[n, u] / \text{sums}[n]^2$.
# Since `sums` (B, 1) was broadcast along the row, we sum over the row by rule 2.

# %%
dsums = (dprobs * -v.counts / v.sums**2).sum(1, keepdim=True)  # (B, 1)
dcounts = dprobs / v.sums  # (B, V); one of two paths
print(moreish.check_gradients(forward, {"dlogprobs": dlogprobs, "dprobs": dprobs, "dsums": dsums, "dcounts": dcounts}))

# %% [markdown]
# `moreish.check_gradients` computes each of these gradients by autograd from the same forward function and compares. It
# lists them in the order of the backward pass with the largest difference, first absolute and then (in brackets)
# relative to the largest entry; in float64 that must be below 1e-6. `dcounts` is still wrong, and the checker found the
# reason: `counts` also goes into `sums`.
#
# **The sum** gives the second path. By rule 3 each count of a row receives the `dsums` of that row; by rule 1 we add
# it.

# %%
dcounts = dcounts + dsums  # (B, V) + (B, 1)
print(moreish.check_gradients(forward, {"dcounts": dcounts}))

# %% [markdown]
# **The exponential** is its own derivative, and we already have its value: `counts`.
#
# **The shift** $\text{shifted} = \text{logits} - \text{maxes}$ passes `dshifted` to the logits, and its negative,
# summed over the row, to `maxes`.

# %%
dshifted = dcounts * v.counts  # (B, V)
dmaxes = -dshifted.sum(1, keepdim=True)  # (B, 1)
print(moreish.check_gradients(forward, {"dshifted": dshifted}))
print(f"largest dmaxes: {dmaxes.abs().max():.1e}")

# %% [markdown]
# `dmaxes` is zero apart from rounding. It has to be: we subtract the maximum only so that `exp` cannot overflow, and
# probabilities do not change when the same number is subtracted from all logits of a row. For completeness we pass it
# back to the position of the maximum.

# %%
dlogits_steps = dshifted.clone()  # (B, V)
dlogits_steps[rows, v.logits.argmax(1)] += dmaxes[:, 0]
print(moreish.check_gradients(forward, {"dlogits": dlogits_steps}))
assert dmaxes.abs().max() < 1e-15

# %% [markdown]
# ## The loss in one formula
#
# **Exercise 1.** We took six steps from the loss to `dlogits`. Combine them on paper, for one row: start from
# $L_n = -\log p_y$ with $p_u = e^{x_u} / \sum_w e^{x_w}$, and find $\partial L_n / \partial x_u$, once for $u = y$ and
# once for $u \ne y$. Then write the gradient of the mean over $N$ rows without a loop over the rows.


# %%
def my_dlogits(logits, targets):
    """logits (N, V), targets (N,) -> dlogits (N, V)."""
    return ...  # yours


check_cross_entropy(my_dlogits)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dlogits(logits, targets):
    dlogits = logits.softmax(1)  # p
    dlogits[torch.arange(len(targets)), targets] -= 1  # p - onehot
    return dlogits / len(targets)  # each row has weight 1/N in the mean


assert check_cross_entropy(solved_dlogits)

# %% [markdown]
# As a difference, the loss of one row is easy to differentiate:
#
# $$L_n = \log \sum_w e^{x_w} - x_y, \qquad
# \frac{\partial L_n}{\partial x_u} = \frac{e^{x_u}}{\sum_w e^{x_w}} - [u = y] = p_u - [u = y].$$
#
# $[u = y]$ is 1 for the target and 0 elsewhere: the one-hot vector of the target. The mean over the batch divides by
# $B$. So `dlogits = (probs - onehot) / B`.
#
# Operations that are computed together as one are **fused**. The fused form needs neither `logprobs` nor `counts`, and
# it never divides by a probability, which may be tiny.

# %%
dlogits = (v.probs - F.one_hot(Yb, V)) / B  # (B, V)
print(moreish.check_gradients(forward, {"dlogits": dlogits}))
assert torch.allclose(dlogits, dlogits_steps, rtol=1e-9, atol=1e-15)

# %% [markdown]
# Think of the formula as forces on the logits. Each wrong character is pushed down by its probability; the target is
# pulled up by the distance of its probability from 1. The forces balance: every row sums to zero. A row whose target
# already has probability 1 stays where it is.

# %%
made, (one, all_rows) = figure(1, 2, size=(11, 4), width_ratios=[1.4, 1])
force = -B * dlogits[0]  # gradient descent moves against the gradient
one.bar(range(V), force, color=[COLOURS[1] if u == Yb[0] else COLOURS[0] for u in range(V)])
one.axhline(0, **GUIDE)
one.set_xticks(range(V), itos, fontsize=8)
one.set_ylabel("onehot - p")
one.set_title(f"example 0, with target {itos[Yb[0]]}", fontsize=10)
shown = all_rows.imshow(-B * dlogits, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
all_rows.set_xticks(range(V), itos, fontsize=6)
all_rows.set_ylabel("example of the batch")
all_rows.set_title("all examples", fontsize=10)
made.colorbar(shown, ax=all_rows)
print(f"largest row sum: {dlogits.sum(1).abs().max():.1e}")
made

# %% [markdown]
# The pull on the target is strong, and the push is spread thinly over the others. On the right each row has one blue
# cell, its target, and pale red ones.
#
# ## Linear
#
# **Exercise 2.** $y = x W + b$ with $x$ (N, K), $W$ (K, M), $b$ (M,), that is $y_{nm} = \sum_k x_{nk} W_{km} + b_m$.
# Which entries of $y$ contain $W_{km}$, and with what factor? Write down the sum for $dW_{km}$ and turn it into a
# matrix product. The shape tells you whether you have the right one.


# %%
def my_dW(x, W, dy):
    """x (N, K), W (K, M), dy (N, M) -> dW (K, M)."""
    return ...  # yours


check_linear(my_dW)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dW(x, W, dy):
    # dW[k, m] = sum over n of x[n, k] dy[n, m]
    return x.T @ dy


assert check_linear(solved_dW)

# %% [markdown]
# Each input affects the loss through every $y$ in which it is a term:
#
# $$dW_{km} = \sum_n x_{nk}\, dy_{nm}, \qquad
# dx_{nk} = \sum_m dy_{nm} W_{km}, \qquad
# db_m = \sum_n dy_{nm}.$$
#
# As products: $dW = x^\top dy$, $dx = dy\, W^\top$, and $db$ is the sum over the batch, since $b$ was broadcast along
# it. There is no need to remember where the transpose goes: $x$ is (N, K), $dy$ is (N, M), and only one product of them
# has the shape (K, M).

# %%
dh = dlogits @ W2.T  # (B, V) (V, H) -> (B, H)
dW2 = v.h.T @ dlogits  # (H, B) (B, V) -> (H, V)
db2 = dlogits.sum(0)  # (B, V) -> (V,)
print(moreish.check_gradients(forward, {"db2": dlogits, "dW2": dW2 * B, "dh": -dh}), end="\n\n")
print(moreish.check_gradients(forward, {"db2": db2, "dW2": dW2, "dh": dh}))

# %% [markdown]
# The first report shows three wrong gradients: this is how the checker describes a missing sum, a factor and a sign.
# The second report shows the right ones.
#
# ## Tanh
#
# **Exercise 3.** $\tanh x = \dfrac{e^x - e^{-x}}{e^x + e^{-x}}$. Derive its slope with the quotient rule, and express
# it by the output $y = \tanh x$ alone. Then write `dx` in terms of `y` and `dy`.


# %%
def my_dtanh(y, dy):
    """y = tanh(x) (N, M), dy (N, M) -> dx (N, M)."""
    return ...  # yours


check_tanh(my_dtanh)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dtanh(y, dy):
    return (1 - y**2) * dy


assert check_tanh(solved_dtanh)

# %% [markdown]
# Call the numerator $a$ and the denominator $c$. Each is the derivative of the other, $a' = c$ and $c' = a$, so
#
# $$\Big(\frac ac\Big)' = \frac{a' c - a c'}{c^2} = \frac{c^2 - a^2}{c^2} = 1 - \tanh^2 x = 1 - y^2.$$
#
# The slope is a function of the output, so the backward pass does not need `hnorm`. Where $y$ is near $\pm 1$ the slope
# is near 0 and no gradient passes: that is the saturation of lesson 3, seen in the backward pass.

# %%
dhnorm = dh * (1 - v.h**2)  # (B, H)
print(moreish.check_gradients(forward, {"dhnorm": dhnorm}))

# %% [markdown]
# ## BatchNorm, step by step
#
# **Exercise 4.** $y = \gamma\, \hat x + \beta$, where $\gamma$ and $\beta$ (M,) are broadcast over the batch. Write
# their gradients.


# %%
def my_dgamma_dbeta(xhat, dy):
    """xhat (N, M), dy (N, M) -> dgamma (M,), dbeta (M,)."""
    return ..., ...  # yours


check_gamma_beta(my_dgamma_dbeta)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dgamma_dbeta(xhat, dy):
    return (dy * xhat).sum(0), dy.sum(0)


assert check_gamma_beta(solved_dgamma_dbeta)

# %% [markdown]
# Both are broadcast along the batch, so both gradients are sums over it (rule 2). From there we go back one line per
# step; a comment above each quotes the forward line:

# %%
# hnorm = gamma * xhat + beta
dgamma = (dhnorm * v.xhat).sum(0)  # (H,)
dbeta = dhnorm.sum(0)  # (H,)
dxhat = dhnorm * gamma  # (B, H)
# xhat = diff * s: s (H,) is broadcast along the batch
ds = (dxhat * v.diff).sum(0)  # (H,)
# s = (var + EPSILON) ** -0.5
dvar = ds * -0.5 * (v.var + EPSILON) ** -1.5  # (H,)
# var = diff2.sum(0) / B
ddiff2 = dvar / B * torch.ones_like(v.diff2)  # (B, H)
# diff affects the loss on two paths: xhat = diff * s, and diff2 = diff**2
ddiff = dxhat * v.s + ddiff2 * 2 * v.diff  # (B, H)
# mean is broadcast along the batch: diff = hpre - mean
dmean = -ddiff.sum(0)  # (H,)
# hpre affects the loss on two paths: diff = hpre - mean, and mean = hpre.sum(0) / B
dhpre_steps = ddiff + dmean / B  # (B, H)
bn = {"dgamma": dgamma, "dbeta": dbeta, "dxhat": dxhat, "ds": ds, "dvar": dvar, "ddiff2": ddiff2, "ddiff": ddiff}
print(moreish.check_gradients(forward, {**bn, "dmean": dmean, "dhpre": dhpre_steps}))

# %% [markdown]
# ## BatchNorm in one formula
#
# **Exercise 5.** Combine these steps. With $s = 1/\sqrt{\text{var} + \epsilon}$ and the variance that divides by $N$,
# $dx$ (N, M) can be written in terms of $\hat x$, $s$, $\gamma$ and $dy$ alone, in one line.


# %%
def my_dbatchnorm(xhat, s, gamma, dy):
    """xhat (N, M), s (M,), gamma (M,), dy (N, M) -> dx (N, M)."""
    return ...  # yours


check_batchnorm(my_dbatchnorm)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dbatchnorm(xhat, s, gamma, dy):
    return gamma * s * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0))


assert check_batchnorm(solved_dbatchnorm)

# %% [markdown]
# Take one feature, and write $x_n$ for its value in example $n$, $\mu$ for the mean and $\sigma^2$ for the variance.
# $x_n$ affects the loss on three paths: directly, through $\mu$, and through $\sigma^2$:
#
# $$dx_n = s\, d\hat x_n + \frac1N\, d\mu + \frac{2 (x_n - \mu)}{N}\, d\sigma^2 .$$
#
# $\mu$ occurs in every $\hat x_m$ with the slope $-s$. It also occurs in the variance, but contributes nothing there,
# because $\sum_m (x_m - \mu) = 0$. So
#
# $$d\mu = -s \sum_m d\hat x_m .$$
#
# For the variance, $\partial s / \partial \sigma^2 = -\tfrac12 s^3$, and with $x_m - \mu = \hat x_m / s$
#
# $$d\sigma^2 = -\tfrac12 s^3 \sum_m d\hat x_m (x_m - \mu) = -\tfrac12 s^2 \sum_m d\hat x_m \hat x_m ,
# \qquad
# \frac{2 (x_n - \mu)}{N}\, d\sigma^2 = -\frac sN\, \hat x_n \sum_m d\hat x_m \hat x_m .$$
#
# Substitute $d\hat x = \gamma\, dy$, and note that the two sums are $d\beta = \sum_m dy_m$ and
# $d\gamma = \sum_m dy_m \hat x_m$:
#
# $$dx_n = \frac{\gamma s}{N} \big( N\, dy_n - d\beta - \hat x_n\, d\gamma \big).$$

# %%
dhpre = gamma * v.s / B * (B * dhnorm - dbeta - v.xhat * dgamma)  # (B, H)
print(moreish.check_gradients(forward, {"dhpre": dhpre}))
assert torch.allclose(dhpre, dhpre_steps, rtol=1e-9, atol=1e-15)

# %% [markdown]
# The formula shows what BatchNorm does to a gradient. It removes from $dy$ its mean over the batch, and the component
# along $\hat x$. It has to: adding a constant to a feature changes nothing after a BatchNorm, and neither does scaling
# it (apart from $\epsilon$), so $L$ has no slope in these two directions. The first also explains why the linear layer
# before it has no bias: its gradient would be the column sum of `dhpre`, which is zero.

# %%
print(f"typical |dhpre|:            {dhpre.abs().mean():.1e}")
print(f"largest |sum of dhpre|:      {dhpre.sum(0).abs().max():.1e}")
print(f"largest |sum of dhpre xhat|: {(dhpre * v.xhat).sum(0).abs().max():.1e}")
assert dhpre.sum(0).abs().max() < 1e-12

# %% [markdown]
# ## Which variance? Bessel's correction
#
# The variance of a batch is taken around the mean of the batch itself, which lies closer to these numbers than the true
# mean does. So it is too small, on average by the factor $(N-1)/N$. Dividing by $N - 1$ instead of $N$ corrects this:
# it is **Bessel's correction**. We measure it. The values of `hpre` over many contexts serve as the true distribution,
# and we draw batches of several sizes from them.

# %%
many = torch.randint(len(Ytr), (20_000,), generator=generator)
population = C[Xtr[many]].view(len(many), -1) @ W1[:, :20]  # (N, 20): twenty units are enough
truth = population.var(0, correction=0)  # (20,)
sizes = [2, 3, 4, 6, 8, 16, 32, 64]
share = {}
for n in sizes:
    draws = population[torch.randint(len(many), (4_000, n), generator=generator)]  # (4000, n, 20)
    share[n] = (draws.var(1, correction=0) / truth).mean().item()
made, (ax,) = figure(size=(6.5, 3.5))
ax.plot(sizes, [share[n] for n in sizes], "o", color=COLOURS[0], label="measured, divided by N")
ax.plot(sizes, [share[n] * n / (n - 1) for n in sizes], "s", color=COLOURS[1], label="the same, divided by N - 1")
ax.plot(sizes, [(n - 1) / n for n in sizes], color=COLOURS[0], linewidth=1, label="(N - 1) / N")
ax.axhline(1, **GUIDE)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.set_xlabel("batch size N")
ax.set_ylabel("variance / true variance")
ax.legend(frameon=False, fontsize=8)
print({n: round(x, 3) for n, x in share.items()})
assert all(abs(share[n] - (n - 1) / n) < 0.02 for n in sizes)
made

# %% [markdown]
# Which one should BatchNorm use? There are two different purposes:
#
# - **To normalise the batch**, $\hat x$ must have variance 1 in this very batch. That requires $1/N$. With $1/(N-1)$
#   every $\hat x$ would be smaller by $\sqrt{(N-1)/N}$, which $\gamma$ can compensate for.
# - **To estimate the variance of all data**, for the running statistics used outside training, $1/(N-1)$ is right.
#
# PyTorch and the library do just that: $1/N$ in the forward pass, $1/(N-1)$ in the running variance. In the gradient
# the choice shows in one place. With $1/(N-1)$ the variance has the slope $2 (x_n - \mu)/(N-1)$, so the last term gets
# the factor $N/(N-1)$:
#
# $$dx_n = \frac{\gamma s}{N} \Big( N\, dy_n - d\beta - \frac{N}{N-1}\, \hat x_n\, d\gamma \Big).$$
#
# We run the forward pass with that variance, repeat the steps down to `dhnorm`, and check both formulas.

# %%
kept, v = v, SimpleNamespace()
corrected = forward(remember, less=1)
dhnorm_1 = (v.probs - F.one_hot(Yb, V)) / B @ W2.T * (1 - v.h**2)  # (B, H)
dgamma_1, dbeta_1 = (dhnorm_1 * v.xhat).sum(0), dhnorm_1.sum(0)  # (H,), (H,)
plain = gamma * v.s / B * (B * dhnorm_1 - dbeta_1 - v.xhat * dgamma_1)
bessel = gamma * v.s / B * (B * dhnorm_1 - dbeta_1 - B / (B - 1) * v.xhat * dgamma_1)


def with_bessel(t):
    return forward(t, less=1)


print("the formula for 1/N:    ", moreish.check_gradients(with_bessel, {"dhpre": plain}).verdicts[0].ok)
print("the one with N / (N - 1):", moreish.check_gradients(with_bessel, {"dhpre": bessel}).verdicts[0].ok)
print(f"difference: {(plain - bessel).abs().max() / bessel.abs().max():.1%} of the largest entry")
print(f"variance of xhat: {kept.xhat.var(0, correction=0).mean():.4f} with 1/N, ", end="")
print(f"{v.xhat.var(0, correction=0).mean():.4f} with 1/(N - 1); (N - 1) / N = {(B - 1) / B:.4f}")
print(f"loss: {loss:.4f} with 1/N, {corrected:.4f} with 1/(N - 1)")
v = kept

# %% [markdown]
# ## Linear again, and a reshape
#
# The first linear layer has no bias; its other gradients follow the same formulas as before. `emb.view(B, T * E)` only
# changes the shape, so its backward pass changes the shape back.

# %%
dembcat = dhpre @ W1.T  # (B, T E)
dW1 = v.embcat.T @ dhpre  # (T E, H)
demb = dembcat.view(B, T, E)  # (B, T, E)
print(moreish.check_gradients(forward, {"dW1": dW1, "dembcat": dembcat, "demb": demb}))

# %% [markdown]
# ## Embedding
#
# **Exercise 6.** $y_{nt} = C_{\text{token}[n, t]}$: row $v$ of the table is copied to every place where token $v$
# occurs. Write its gradient. Rows that were not looked up get zero.


# %%
def my_dC(tokens, C, dy):
    """tokens (N, T) int64, C (V, E), dy (N, T, E) -> dC (V, E)."""
    return ...  # yours


check_embedding(my_dC)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved_dC(tokens, C, dy):
    dC = torch.zeros_like(C)
    for n in range(tokens.shape[0]):
        for t in range(tokens.shape[1]):
            dC[tokens[n, t]] += dy[n, t]
    return dC


assert check_embedding(solved_dC)

# %% [markdown]
# Copied forward, summed backward: $dC_v = \sum_{n, t:\ \text{token}[n, t] = v} dy_{nt}$. `index_add_` does this: it
# adds each row of its last argument to the indexed row of the table, however often that index occurs. `dC[Xb] += demb`
# looks the same but is not: it reads all rows first, adds, and writes them back, so that only one of several updates to
# a row survives.

# %%
dC_lost = torch.zeros_like(C)
dC_lost[Xb] += demb
dC = torch.zeros_like(C)  # (V, E)
dC.index_add_(0, Xb.view(-1), demb.view(-1, E))
print("dC[Xb] += demb:", moreish.check_gradients(forward, {"dC": dC_lost}).verdicts[0].words)
print("index_add_:    ", moreish.check_gradients(forward, {"dC": dC}))
used = torch.bincount(Xb.view(-1), minlength=V)
print(f"{int((used == 0).sum())} of {V} rows were not looked up, the most used one {int(used.max())} times")

# %% [markdown]
# Lesson 2 showed that a lookup equals a one-hot matrix times the table. The rule for Linear then gives the same
# gradient: $dC = \text{onehot}^\top dy$.

# %%
onehot = F.one_hot(Xb.view(-1), V).double()  # (B T, V)
assert torch.allclose(onehot.T @ demb.view(-1, E), dC)
assert (dC[used == 0] == 0).all()

# %% [markdown]
# ## The whole backward pass
#
# | operation | forward | backward |
# |---|---|---|
# | cross-entropy | $L = -\frac1B \sum_n \log p_{n, y_n}$ | $d\text{logits} = (p - \text{onehot}) / B$ |
# | Linear | $y = x W + b$ | $dW = x^\top dy$, $\ dx = dy\, W^\top$, $\ db = \sum_n dy_n$ |
# | Tanh | $y = \tanh x$ | $dx = (1 - y^2)\, dy$ |
# | BatchNorm's $\gamma$, $\beta$ | $y = \gamma \hat x + \beta$ | $d\gamma = \sum dy\, \hat x$, $\ d\beta = \sum dy$ |
# | BatchNorm's input | $\hat x = (x - \mu)\, s$ | $dx = \frac{\gamma s}{N} (N\, dy - d\beta - \hat x\, d\gamma)$ |
# | Embedding | $y_n = C_{\text{token}[n]}$ | $dC_v = \sum_{n:\ \text{token}[n] = v} dy_n$ |
#
# With the fused forms, the backward pass is shorter than the forward pass in small steps. We train with this function.


# %%
def by_hand(p, Xb, Yb):
    """Parameters by name, contexts (B, T), targets (B,) -> the loss and the gradient of each parameter."""
    B = len(Yb)
    embcat = p["C"][Xb].view(B, -1)  # (B, T E)
    hpre = embcat @ p["W1"]  # (B, H)
    diff = hpre - hpre.mean(0)
    s = (diff.square().mean(0) + EPSILON).rsqrt()  # (H,)
    xhat = diff * s
    h = (p["gamma"] * xhat + p["beta"]).tanh()
    logprobs = (h @ p["W2"] + p["b2"]).log_softmax(1)  # (B, V)
    rows = torch.arange(B)
    loss = -logprobs[rows, Yb].mean()

    dlogits = logprobs.exp()
    dlogits[rows, Yb] -= 1
    dlogits /= B
    dh = dlogits @ p["W2"].T
    dhnorm = dh * (1 - h * h)
    d = {"W2": h.T @ dlogits, "b2": dlogits.sum(0), "gamma": (dhnorm * xhat).sum(0), "beta": dhnorm.sum(0)}
    dhpre = p["gamma"] * s / B * (B * dhnorm - d["beta"] - xhat * d["gamma"])
    d["W1"] = embcat.T @ dhpre
    d["C"] = torch.zeros_like(p["C"]).index_add_(0, Xb.view(-1), (dhpre @ p["W1"].T).view(-1, p["C"].shape[1]))
    return loss, d


# %% [markdown]
# Here is the same network in ordinary PyTorch, for `loss.backward()`:


# %%
def by_autograd(p, Xb, Yb):
    """The loss, with its computation graph."""
    hpre = p["C"][Xb].view(len(Yb), -1) @ p["W1"]
    hnorm = F.batch_norm(hpre, None, None, p["gamma"], p["beta"], training=True, eps=EPSILON)
    return F.cross_entropy(hnorm.tanh() @ p["W2"] + p["b2"], Yb)


def with_grad(p):
    """Copies of parameters, for autograd."""
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in p.items()}


p = views(start)
ours, d = by_hand(p, Xb, Yb)
q = with_grad(p)
theirs = by_autograd(q, Xb, Yb)
theirs.backward()
print(f"loss   {ours:.12f} and {theirs:.12f}")
for name in NAMES:
    difference = (d[name] - q[name].grad).abs().max()
    print(f"d{name:<6}{tuple(d[name].shape)!s:>10}  largest {q[name].grad.abs().max():.1e}  off by {difference:.1e}")
    assert torch.allclose(d[name], q[name].grad, rtol=1e-8, atol=1e-12)

# %% [markdown]
# ## One number at a time: scalar autograd
#
# Autograd (automatic differentiation) does what we did, automatically: during the forward pass it records each
# operation with its local derivatives, and `backward` goes through the records in reverse. The smallest version takes
# one class, whose values are single numbers. Each value stores the values it was made from and the local derivatives.
# The list of all values in the order of their creation is the **tape**. Read in reverse, it reaches each value after
# everything that was made from it.


# %%
class Value:
    """A number with its inputs: pairs of an input and the local derivative with respect to it."""

    def __init__(self, data, tape, inputs=()):
        self.data, self.tape, self.inputs, self.grad = data, tape, inputs, 0.0
        tape.append(self)

    def __add__(self, other):
        return Value(self.data + other.data, self.tape, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, self.tape, ((self, other.data), (other, self.data)))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, self.tape, ((self, 1 - y * y),))

    def exp(self):
        y = math.exp(self.data)
        return Value(y, self.tape, ((self, y),))

    def log(self):
        return Value(math.log(self.data), self.tape, ((self, 1 / self.data),))

    def backward(self):
        self.grad = 1.0
        for value in reversed(self.tape):
            for x, slope in value.inputs:
                x.grad += slope * value.grad  # the chain rule, and += since paths add


tape = []
a, b = Value(0.5, tape), Value(-2.0, tape)
y = (a * b + a).tanh()  # a has two paths
y.backward()
print(f"y = {y.data:.4f}, dy/da = {a.grad:.4f}, dy/db = {b.grad:.4f}")
slope = 1 - math.tanh(-0.5) ** 2
assert abs(a.grad - slope * (-2 + 1)) < 1e-12
assert abs(b.grad - slope * 0.5) < 1e-12

# %% [markdown]
# This is a complete autograd. Now we compute the gradients of the network without BatchNorm for a few examples, first
# with tensors and our formulas, then with single numbers.

# %%
few = 8
x0, y0 = v.embcat[:few], Yb[:few]  # (few, T E), (few,)


def as_tensors():
    h = (x0 @ W1).tanh()
    dlogits = (h @ W2 + b2).softmax(1) - F.one_hot(y0, V)
    dlogits /= few
    return x0.T @ (dlogits @ W2.T * (1 - h * h)), h.T @ dlogits, dlogits.sum(0)


def as_numbers():
    tape = []
    w1, w2, bias = ([[Value(x, tape) for x in row] for row in m.tolist()] for m in (W1, W2, b2[None]))
    total = Value(0.0, tape)
    for x, target in zip(x0.tolist(), y0.tolist(), strict=True):
        inputs = [Value(number, tape) for number in x]
        hidden = [dot(inputs, [row[j] for row in w1]).tanh() for j in range(H)]
        logits = [dot(hidden, [row[u] for row in w2]) + bias[0][u] for u in range(V)]
        sums = logits[0].exp()
        for logit in logits[1:]:
            sums = sums + logit.exp()
        total = total + sums.log() + logits[target] * Value(-1.0, tape)
    (total * Value(1 / few, tape)).backward()
    return *(torch.tensor([[x.grad for x in row] for row in m]).double() for m in (w1, w2)), len(tape)


def dot(xs, ws):
    total = xs[0] * ws[0]
    for x, w in zip(xs[1:], ws[1:], strict=True):
        total = total + x * w
    return total


def seconds(function, times=1):
    """Time of the fastest of some calls, and the result of the last one."""
    best = math.inf
    for _ in range(times):
        began = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - began)
    return best, result


slow, (scalar_dW1, scalar_dW2, n_values) = seconds(as_numbers)
fast, (tensor_dW1, tensor_dW2, _) = seconds(as_tensors, 100)
assert torch.allclose(scalar_dW1, tensor_dW1, atol=1e-6)
assert torch.allclose(scalar_dW2, tensor_dW2, atol=1e-6)
print(f"{few} examples: {n_values:,} values, {slow:.2f} s; as tensors {1e6 * fast:.0f} us; ratio {slow / fast:,.0f}")

# %% [markdown]
# The gradients are the same, but single numbers take tens of thousands of times as long. The difference is the number
# of records: one for each multiplication here, one for each matrix product there. A formula for a whole tensor, derived
# once, replaces all of them, and the loop over its entries runs in machine code. (Timings in this lesson were measured
# on one core of the machine that ran it; yours will differ.)
#
# ## Training without autograd
#
# Two copies of the weights start equal and see the same batches. One is trained by our formulas, the other by
# `loss.backward()`. The batches come from the library, which computes them from a seed and the number of the step.

# %%
batches = Batches.drawn(corpus.stream("train"), B, seed=42, context=T, whole_words=False)
contexts, targets, counts = (np.zeros((B, n), np.int64) for n in (T, 1, 1))


def batch(step):
    """The batch of a step: (B, T), (B,)."""
    batches.fill(step, contexts, targets, counts)
    return torch.from_numpy(contexts), torch.from_numpy(targets[:, 0])


steps, lr = 5_000, 0.1
fresh = model.layout.initial(42, np.float64)  # without the noise
flat = fresh.copy()
mine, yours = views(flat), with_grad(views(fresh))
losses = np.zeros((2, steps))
for step in range(steps):
    Xs, Ys = batch(step)
    ours, d = by_hand(mine, Xs, Ys)
    for name in NAMES:
        mine[name] -= lr * d[name]
    theirs = by_autograd(yours, Xs, Ys)
    for tensor in yours.values():
        tensor.grad = None
    theirs.backward()
    with torch.no_grad():
        for tensor in yours.values():
            tensor -= lr * tensor.grad
    losses[:, step] = ours.item(), theirs.item()
difference = np.abs(losses[0] - losses[1])
print(f"first losses {losses[0, :3].round(6)} and {losses[1, :3].round(6)}")
print(f"largest difference of losses in {steps:,} steps: {difference.max():.1e}; zero in {(difference == 0).sum():,}")
assert difference.max() < 1e-9

# %%
made, (course, apart) = figure(1, 2, size=(11, 3.5))
window = steps // 40
smooth = [np.convolve(line, np.ones(window) / window, mode="valid") for line in losses]
course.plot(smooth[0], color=COLOURS[0], linewidth=3, alpha=0.5, label="by hand")
course.plot(smooth[1], "--", color=COLOURS[1], linewidth=1, label="autograd")
course.set_xlabel("step")
course.set_ylabel(f"batch loss, mean of {window} steps")
course.legend(frameon=False)
apart.plot(np.maximum(difference, 1e-17), ".", markersize=2, color=COLOURS[0])
apart.set_yscale("log")
apart.set_xlabel("step")
apart.set_ylabel("|difference of the losses|")
made

# %% [markdown]
# The two curves coincide. The right plot shows the remaining differences. Steps at which both losses agree to the last
# bit are drawn at 1e-17. At the others they differ by one or a few units in the last place, which is 4.4e-16 for
# float64 numbers from 2 to 4 and half of that from 1 to 2: sums in a different order round differently. The differences
# do not grow with the steps.
#
# Our weights are views of one flat vector in the library's layout, so the library can use them as a model directly.
# `calibrate` computes the statistics that BatchNorm uses outside training, the mean and variance over all train words.

# %%
model.params[:] = flat
moreish.calibrate(model, corpus)
trained_by_hand = moreish.evaluate(model, corpus).loss
print({part: round(x, 3) for part, x in trained_by_hand.items()})
print(*model.sample(10, seed=1))
assert trained_by_hand["val"] < losses[0, 0]

# %% [markdown]
# ## The same formulas, compiled
#
# The library trains without autograd too. Here is the backward pass of its Linear, straight from the source file:

# %%
print(inspect.getsource(getattr(linear.backward, "py_func", linear.backward)))

# %% [markdown]
# It is what we derived, line by line: `dW = x.T dy`, `dx = dy W.T`, and `db` is the sum over the batch. That of
# BatchNorm is the fused formula, as loops over rows and columns. It is split into two functions: when several threads
# share a batch, `dgamma` and `dbeta` must be summed over all rows before any row can compute its `dx`.

# %%
for kernel in (norm.backward_statistics, norm.backward):
    print(inspect.getsource(getattr(kernel, "py_func", kernel)))

# %% [markdown]
# A **kernel** is such a function on plain arrays, compiled to machine code. Loops are slow in Python and fast once
# compiled. Here is the time for BatchNorm's `dx` in both ways, and with our line of tensors.

# %%
weights, xhat, s, dy = (a.contiguous().numpy() for a in (gamma, v.xhat, v.s, dhnorm))
dx, scale, dg, dbe = np.zeros((B, H)), np.zeros(H), np.zeros(H), np.zeros(H)
norm.backward_statistics(xhat, dy, dg, dbe)
arrays = (weights, xhat, s, dy, B, dg, dbe, scale, dx)
interpreted = getattr(norm.backward, "py_func", norm.backward)
in_python, _ = seconds(lambda: interpreted(*arrays))
assert np.allclose(dx, dhpre)
norm.backward(*arrays)  # the first call compiles
assert np.allclose(dx, dhpre)
in_machine_code, _ = seconds(lambda: norm.backward(*arrays), 200)
dbeta, dgamma = dhnorm.sum(0), (dhnorm * v.xhat).sum(0)


def in_tensors():
    return gamma * v.s / B * (B * dhnorm - dbeta - v.xhat * dgamma)


tensors, _ = seconds(in_tensors, 200)
for what, took in (("plain Python", in_python), ("PyTorch", tensors), ("compiled", in_machine_code)):
    print(f"{what:<13}{1e6 * took:>9,.1f} us")

# %% [markdown]
# The library checks its own formulas as strictly as ours, each in float64 and float32, against autograd and against
# **central differences**: move one entry up and down by a small $h$, and compare $\big(L(x + h) - L(x - h)\big) / 2h$
# with the gradient. That needs no derivation, so it would find even a mistake that our formulas share with autograd.
# The command `moreish gradcheck mlp` prints such a table too; here it is in Python:

# %%
checks = check_model(MLP(block_size=T, n_embd=4, n_hidden=8, batch_norm=True))
worst = {}
for check in checks:
    if check.dtype == "float64" and "fused" not in check.name:
        worst.setdefault(check.name, {})[check.against] = check.max_rel
print(f"{'largest relative difference from':<36}autograd  differences")
for name, of in worst.items():
    print(f"{name:<36}{of['autograd']:>8.0e}{of['differences']:>13.0e}")
assert first_wrong(checks) is None
print(f"{len(checks)} checks in float64 and float32, none wrong")

# %% [markdown]
# The names are those of the small steps above: `loss.probs`, `3.batchnorm1d.xhat`, `2.linear.W`.
#
# ## How much faster
#
# Here we time the same training step in three ways: with autograd, with our formulas in PyTorch, and with the compiled
# kernels, in float32 and batches of 32. PyTorch spends most of its time on overhead here: some microseconds for each of
# dozens of small operations, whose arithmetic takes less. The compiled loop runs all layers, the backward pass and the
# update for as many steps as requested, without returning to Python.

# %%
rounds, n_steps = 20, 150
engine = Tape(model.layers, T, V, np.float32)
no_moments = np.zeros((0, layout.n_trained), np.float32)
flats = [layout.initial(42, np.float32) for _ in range(3)]
p32, q32 = views(flats[0]), with_grad(views(flats[1]))


def steps_by_hand():
    for step in range(n_steps):
        _, d = by_hand(p32, *batch(step))
        for name in NAMES:
            p32[name] -= lr * d[name]


def steps_by_autograd():
    for step in range(n_steps):
        loss = by_autograd(q32, *batch(step))
        for tensor in q32.values():
            tensor.grad = None
        loss.backward()
        with torch.no_grad():
            for tensor in q32.values():
                tensor -= lr * tensor.grad


def steps_compiled():
    engine.train(flats[2], no_moments, batches, Steps("sgd", 0.0, first=0, rates=np.full(n_steps, lr)))


steps_compiled()  # loads or compiles the kernels
ways = {"autograd": steps_by_autograd, "by hand in PyTorch": steps_by_hand, "compiled": steps_compiled}
took = dict.fromkeys(ways, math.inf)
for _ in range(rounds):  # alternate, so that a busy moment affects all three
    for way, function in ways.items():
        took[way] = min(took[way], seconds(function)[0] / n_steps)
for way, t in took.items():
    print(f"{way:<20}{1e6 * t:>8.1f} us a step   {took['autograd'] / t:>5.1f} times as fast as autograd")

# %% [markdown]
# The formulas in PyTorch save part of autograd's time; compiled, they save most of it. At that speed, 200,000 steps with
# batches of 32 fit into this lesson. The published result of this network on names.txt, trained in PyTorch with
# gradients derived by hand, is 2.071 on train and 2.110 on val.

# %%
run = moreish.train(
    corpus,
    "mlp",
    block_size=T,
    n_embd=E,
    n_hidden=H,
    batch_norm=True,
    optimizer="sgd",
    lr=0.1,
    schedule="step",  # a tenth of the rate in the second half
    keep="last",
    steps=200_000,
    batch_size=B,
)
print(f"{run.history[-1]['seconds']:.1f} s, train {run.loss['train']:.4f}, val {run.loss['val']:.4f}")
print(*run.model.sample(10, seed=1))

# %% [markdown]
# On names.txt the result is 2.071 and 2.112: the same, apart from other random numbers. On the bundled list, which has a
# quarter as many words, 200,000 steps are too many: train is far below val.
#
# ## The same, to the last digits
#
# Last, we check for equality. The library's tape computes the loss and gradients of the same weights on the same batch,
# in float64. Then it makes the same steps as our loop above, from the same start and on the same batches.

# %%
double = Tape(model.layers, T, V, np.float64)
tape_loss, tape_grads = double.loss_and_grads(start, Xb.numpy(), Yb.numpy())
ours, d = by_hand(views(start), Xb, Yb)
print(f"loss   {ours:.12f} and {tape_loss:.12f}")
for name, theirs in views(tape_grads).items():
    relative = (d[name] - theirs).abs().max() / theirs.abs().max()
    print(f"d{name:<6}relative difference {relative:.1e}")
    assert relative < 1e-9
assert abs(ours.item() - tape_loss) < 1e-12

params = fresh.copy()
tape_losses = double.train(
    params, np.zeros((0, layout.n_trained)), batches, Steps("sgd", 0.0, first=0, rates=np.full(steps, lr))
)
apart, of_losses = np.abs(params - flat)[: layout.n_trained].max(), np.abs(tape_losses - losses[0]).max()
print(f"after {steps:,} steps: losses differ by {of_losses:.1e}, weights by {apart:.1e} at most")
assert of_losses < 1e-9
assert apart < 1e-9
