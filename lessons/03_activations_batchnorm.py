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
# # 3. Signals in a net: initialisation, gradients, BatchNorm
#
# A net can have the right layers and still learn badly because of its initial weights. This lesson measures what flows
# through a net before and during training: the outputs of its layers forwards, the gradients backwards. It gives rules
# for the initial weights, shows what happens when they are broken, and then builds **BatchNorm**, a layer that makes
# them matter less.

# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import moreish
from moreish.lessons.activations import (
    TROUBLES,
    check_bound,
    check_folded,
    check_gain,
    check_moving,
    check_patients,
    patients,
)
from moreish.lessons.live import saturation
from moreish.lessons.words import lesson_words

# %matplotlib inline
torch.set_num_threads(1)  # nets this small are no faster with more
words = list(lesson_words())
corpus = moreish.Corpus(words)  # the split and the contexts of lesson 2
block_size, n_embd, n_hidden, V = 3, 10, 200, len(corpus.vocab)
Xtr, Ytr = map(torch.from_numpy, corpus.windows("train", block_size))  # (N, 3), (N,)
Xval, Yval = map(torch.from_numpy, corpus.windows("val", block_size))
Xtr.shape, V

# %% [markdown]
# ## The first loss
#
# Before training, a net knows nothing, so it should give all $V$ characters the same probability. The loss is the mean
# of $-\log p$ of the true next character; with $p = 1/V$ it is $\log V$. Here is the net of lesson 2 with all its
# weights drawn from the normal distribution $N(0, 1)$.


# %%
def mlp(scale_W1=1.0, scale_b1=1.0, scale_W2=1.0, scale_b2=1.0):
    g = torch.Generator().manual_seed(42)
    C = torch.randn(V, n_embd, generator=g)
    W1 = torch.randn(block_size * n_embd, n_hidden, generator=g) * scale_W1
    b1 = torch.randn(n_hidden, generator=g) * scale_b1
    W2 = torch.randn(n_hidden, V, generator=g) * scale_W2
    b2 = torch.randn(V, generator=g) * scale_b2
    return [p.requires_grad_() for p in (C, W1, b1, W2, b2)]


def forward(params, X):
    C, W1, b1, W2, b2 = params
    x = C[X].flatten(1)  # (B, 30)
    h = torch.tanh(x @ W1 + b1)  # (B, 200)
    return h, h @ W2 + b2  # (B, 200), logits (B, V)


X, Y = Xtr[:2000], Ytr[:2000]  # for measurements
naive = mlp()
h, logits = forward(naive, X)
first_loss = F.cross_entropy(logits, Y).item()
print(f"log V {math.log(V):.2f}   first loss {first_loss:.2f}   std of logits {logits.std():.1f}")

# %% [markdown]
# The loss is eight times that of uniform guessing: the net is confident and wrong. A logit is a sum of 200 products,
# each of an $h$ between -1 and 1 and a number from $N(0, 1)$. Its standard deviation is therefore close to
# $\sqrt{200} = 14$, and a softmax over such numbers gives nearly all the probability to one character. How large may
# the logits be? Here are random logits of growing scale, with targets that are unrelated to them:

# %%
g = torch.Generator().manual_seed(1)
noise, targets = torch.randn(20_000, V, generator=g), torch.randint(V, (20_000,), generator=g)
for scale in (0, 0.1, 0.3, 1, 3, 10):
    print(f"logits of std {scale:<4}  loss {F.cross_entropy(scale * noise, targets):6.2f}")

# %% [markdown]
# Up to a scale of about 0.3 the loss stays near $\log V$. So we make the weights of the last layer small, and its bias
# zero. (Why not make all weights zero? The first exercise asks that.)

# %%
steps = 1_000


def train_mlp(params, steps, lr=0.1):
    g, losses = torch.Generator().manual_seed(1), []
    for _ in range(steps):
        ix = torch.randint(len(Xtr), (32,), generator=g)
        loss = F.cross_entropy(forward(params, Xtr[ix])[1], Ytr[ix])
        for p in params:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= lr * p.grad
        losses.append(loss.item())
    return torch.tensor(losses)


small = mlp(scale_W2=0.01, scale_b2=0)
small_loss = F.cross_entropy(forward(small, X)[1], Y).item()
assert abs(small_loss - math.log(V)) < 0.05 < first_loss - math.log(V)
curves = {"N(0, 1) everywhere": train_mlp(naive, steps), "small last layer": train_mlp(small, steps)}
assert curves["N(0, 1) everywhere"][-100:].mean() > math.log(V) > curves["small last layer"][-100:].mean()
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, losses), style in zip(curves.items(), ("-", "--"), strict=True):
    ax.plot(losses, style, linewidth=0.8, label=f"{name}: last 100 steps {losses[-100:].mean():.2f}")
ax.axhline(math.log(V), color="grey", linestyle=":", label=f"log V = {math.log(V):.2f}")
ax.set(xlabel="step", ylabel="batch loss (nats)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The upper curve is a **hockey stick**: a steep fall, then a long flat part. The fall teaches the net nothing about
# names; it only unlearns its first guesses. After 1,000 steps the net is still worse than uniform guessing. The lower
# curve starts at $\log V$, spends every step on the names, and ends far below.

# %% [markdown]
# ## Saturated and dead units
#
# The second fault is in the hidden layer, and the first loss does not show it. The derivative of $h = \tanh(z)$ is
# $1 - h^2$: where $h$ is near 1 or -1, almost no gradient passes. Such an output is called **saturated**; our limit is
# $|h| > 0.97$, where less than 6% of the gradient passes. A unit that is saturated on *every* example is a **dead
# unit**: its incoming weights hardly change, so it stays dead.
#
# Each picture shows 100 examples from top to bottom and the 200 units from left to right. White is saturated.

# %%
starts = {
    "N(0, 1)": mlp(scale_W2=0.01, scale_b2=0),
    "N(0, 1), biases N(0, 20²)": mlp(scale_b1=20, scale_W2=0.01, scale_b2=0),
    "N(0, (5/3)² / 30), no bias": mlp(5 / 3 / math.sqrt(30), 0, 0.01, 0),
}
fig, axes = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained")
shares = {}
for ax, (name, params) in zip(axes, starts.items(), strict=True):
    white = forward(params, X)[0].abs() > 0.97  # (2000, 200)
    shares[name] = white.float().mean().item()
    ax.imshow(white[:100], cmap="gray", aspect="auto", interpolation="nearest")
    ax.set_title(f"{name}\n{shares[name]:.0%} saturated, {white.all(0).sum()} dead", fontsize=9)
    ax.set(xlabel="unit", ylabel="example")
assert shares["N(0, 1)"] > 2 * shares["N(0, (5/3)² / 30), no bias"]
plt.show()

# %% [markdown]
# On the left, with $N(0, 1)$, more than two thirds of all outputs are saturated, but no column is completely white:
# every unit still learns from some examples. In the middle, large biases push many units so far that no example brings
# them back. The completely white columns are dead units, nearly half of all. On the right the weights are small, and
# about a quarter of the outputs are saturated. The next section derives this size, $\frac{5}{3}/\sqrt{30}$. First, the
# cost of a dead unit: compare the gradient of its weights with that of the others.

# %%
params = starts["N(0, 1), biases N(0, 20²)"]
h, logits = forward(params, X)
dead = (h.abs() > 0.97).all(0)  # (200,)
dW1 = torch.autograd.grad(F.cross_entropy(logits, Y), params[1])[0]  # (30, 200)
print(f"mean |dW1| into dead units {dW1[:, dead].abs().mean():.1e}, into the others {dW1[:, ~dead].abs().mean():.1e}")
assert dW1[:, dead].abs().mean() < dW1[:, ~dead].abs().mean() / 1000

# %% [markdown]
# It is thousands of times smaller.
#
# A **ReLU**, $\max(z, 0)$, has a flat half: where $z < 0$ its derivative is exactly zero. A ReLU unit that is off on
# every example gets no gradient at all. It may start like that, or steps that are too large may put it there. Below,
# the library's compiled engine trains a ReLU net with a learning rate that is far too high, and draws the same kind of
# picture before the first step and after the last. For a ReLU, white is off.

# %%
knocked_out = moreish.train(corpus, "mlp", activation="relu", lr=0.1, steps=300, n_hidden=n_hidden, keep="last")
moreish.plots.plot_saturation(knocked_out)

# %% [markdown]
# At the start about half of the outputs are off, as they should be, and no unit is dead. At the end nearly all columns
# are white: these units no longer get a gradient, and only a dozen or so still work.

# %% [markdown]
# ## How large should weights be?
#
# A **Linear** layer multiplies by a matrix, and may add a bias. Before the bias, an output is
# $z = \sum_{i=1}^{n} x_i w_i$, where $n$ is the layer's **fan-in**, the number of its inputs. If the $w_i$ are
# independent with mean 0 and standard deviation $s$, the variances add up:
# $\operatorname{var} z = n \, s^2 \, \overline{x^2}$, where the bar is a mean. So $s = 1/\sqrt{n}$ preserves the scale.

# %%
g = torch.Generator().manual_seed(2)
x = torch.randn(1000, 400, generator=g)  # (examples, fan-in)
W = torch.randn(400, 300, generator=g)
for name, s in {"1": 1, "1 / sqrt(fan_in)": 400**-0.5}.items():
    print(f"weights of std {name:<17} x {x.std():.2f} -> x @ W {(x @ (s * W)).std():.2f}")
assert abs((x @ W / 20).std() - 1) < 0.02

# %% [markdown]
# An **activation** between Linear layers, a function applied to each number such as tanh, shrinks the signal. The
# **gain** compensates for that: $s = \text{gain}/\sqrt{n}$. This is **Kaiming initialisation** (He et al. 2015). For
# ReLU the gain follows in one line: ReLU removes the negative half, so the mean of squares is halved, and
# $\text{gain}^2 = 2$. For tanh there is no such number, since it shrinks large inputs more than small ones. Here are
# measurements over 30 layers of 300 units:


# %%
def scales(activation, gain, depth=30, width=300, draw=torch.randn):
    """The root mean square of the output of each layer."""
    g = torch.Generator().manual_seed(3)
    x, found = torch.randn(500, width, generator=g), []
    for _ in range(depth):
        x = activation(x @ (draw(width, width, generator=g) * gain / math.sqrt(width)))
        found.append(x.square().mean().sqrt().item())
    return found


cases = {"tanh": (torch.tanh, {"0.5": 0.5, "1": 1, "5/3": 5 / 3, "3": 3})}
cases["relu"] = (torch.relu, {"1": 1, "sqrt 2": math.sqrt(2), "5/3": 5 / 3})
fig, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for ax, (name, (activation, gains)) in zip(axes, cases.items(), strict=True):
    for (label, gain), style in zip(gains.items(), ("-", "--", "-.", ":"), strict=False):
        found = scales(activation, gain)
        ax.semilogy(range(1, 31), found, style, label=f"gain {label}: {found[-1]:.2g} at the end")
    ax.set(title=name, xlabel="layer", ylabel="root mean square")
    ax.legend(frameon=False, fontsize=8)
axes[0].set_ylim(1e-3, 2)  # the line of gain 0.5 leaves the plot
plt.show()

# %% [markdown]
# **ReLU**: with gain 1 each layer loses a factor of $\sqrt 2$, which is $2^{15}$ over 30 layers; with 5/3 the signal
# grows more than 100 times; with $\sqrt 2$ it keeps its scale. **Tanh**: gain 0.5 halves the signal at every layer.
# Gain 1 loses it slowly, since tanh shrinks it a little at each layer and nothing compensates. Above 1 the signal
# settles where the shrinking and the gain balance: at 0.65 for gain 5/3, and at 0.84 for 3, close to the limit of 1. So
# 5/3 is a convention rather than a law: large enough to keep the signal, and small enough that few units saturate.
#
# The next picture shows the hidden layer of our net again, with the biases at zero and with weights of many gains. In
# Jupyter and in the documentation it has a slider. Elsewhere it shows the smallest gain, one in the middle and the
# largest. How large may the gain be before most outputs are saturated?

# %%
gains = (0.1, 0.25, 0.5, 0.75, 1, 1.25, 5 / 3, 2, 2.5, 3, 4, 6, 10)
with torch.no_grad():
    hidden = {gain: forward(mlp(gain / math.sqrt(30), 0, 0.01, 0), X)[0] for gain in gains}  # (2000, 200) for each
white = [(h.abs() > 0.97).float().mean().item() for h in hidden.values()]
assert white == sorted(white)
assert white[0] < 0.01
assert not any((h.abs() > 0.97).all(0).any() for h in hidden.values())
saturation(hidden, slider="gain", at=5 / 3)

# %% [markdown]
# Below a gain of 0.5 hardly any output is saturated, but the tanh is then almost a straight line. More gain means more
# white. No unit dies, even at 10: without biases, each unit has examples near zero. The vertical stripes are units with
# larger weights. The horizontal stripes are contexts with larger embeddings.

# %%
assert abs(scales(torch.relu, math.sqrt(2))[-1] / scales(torch.relu, math.sqrt(2))[0] - 1) < 0.35
assert 0.6 < scales(torch.tanh, 5 / 3)[-1] < 0.7
assert (nn.init.calculate_gain("tanh"), nn.init.calculate_gain("relu")) == (5 / 3, math.sqrt(2))

# %% [markdown]
# **Normal or uniform?** The argument used only the standard deviation, so the shape of the distribution should not
# matter. A uniform distribution between $-a$ and $a$ has the standard deviation $a/\sqrt 3$, so it needs
# $a = \sqrt 3 \, s$.


# %%
def uniform(*shape, generator):
    """Uniform numbers from -sqrt 3 to sqrt 3, with a std of 1."""
    return math.sqrt(3) * (2 * torch.rand(*shape, generator=generator) - 1)


W = uniform(1000, 300, generator=torch.Generator().manual_seed(4))
print(f"std of the uniform numbers {W.std():.3f}")
for name, activation, gain in (("tanh", torch.tanh, 5 / 3), ("relu", torch.relu, math.sqrt(2))):
    normal, even = scales(activation, gain)[9], scales(activation, gain, draw=uniform)[9]
    print(f"{name}, after 10 layers: normal {normal:.3f}, uniform {even:.3f}")
    assert abs(normal / even - 1) < 0.15

torch.manual_seed(5)
std = nn.Linear(400, 300).weight.std().item()
print(f"nn.Linear(400, 300): weights of std {std:.4f}, which is a gain of {std * math.sqrt(400):.3f}")

# %% [markdown]
# They agree. PyTorch calls the two `nn.init.kaiming_normal_` and `nn.init.kaiming_uniform_`. Note the default of
# `nn.Linear`: it draws uniformly between $\pm 1/\sqrt n$, a gain of $1/\sqrt 3 = 0.577$. In a deep tanh or ReLU net
# without BatchNorm that is too small, as the plots above show.

# %% [markdown]
# ## Through a deep net, forwards and backwards
#
# Now six hidden layers of 100 units, as a list of PyTorch modules. Every weight matrix is Kaiming-normal with the same
# gain; only the last layer is small. We use `norm` later.


# %%
def deep(gain, norm=None, activation=nn.Tanh, n_layer=6, width=100):
    g = torch.Generator().manual_seed(42)
    layers = [nn.Embedding(V, n_embd), nn.Flatten()]  # (B, 3) -> (B, 3, 10) -> (B, 30)
    nn.init.normal_(layers[0].weight, generator=g)
    fan_in = block_size * n_embd
    for _ in range(n_layer):
        linear = nn.Linear(fan_in, width, bias=norm is None)  # its weight is (fan_out, fan_in)
        nn.init.normal_(linear.weight, std=gain / math.sqrt(fan_in), generator=g)
        layers += [linear, norm(width), activation()] if norm else [linear, activation()]
        fan_in = width
    last = nn.Linear(fan_in, V)
    nn.init.normal_(last.weight, std=0.1 / math.sqrt(fan_in), generator=g)
    for layer in layers + [last]:
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, last)


def look(net, X, Y):
    """Return the outputs of the activations, each with its gradient in .grad, and the loss."""
    x, outputs = X, []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Tanh | nn.ReLU):
            x.retain_grad()  # by default, autograd keeps the gradients of parameters only
            outputs.append(x)
    loss = F.cross_entropy(x, Y)
    net.zero_grad()
    loss.backward()
    return outputs, loss.item()


def table(gains, norm=None):
    found = {}
    for name, gain in gains.items():
        outputs, loss = look(deep(gain, norm), X, Y)
        std = [h.detach().std().item() for h in outputs]
        grad = [h.grad.std().item() for h in outputs]
        full = [(h.abs() > 0.97).float().mean().item() for h in outputs]
        found[name] = (std, grad, full)
        print(f"gain {name}, first loss {loss:.3f}")
        print("   std of output  ", "  ".join(f"{s:7.3f}" for s in std))
        print("   saturated      ", "  ".join(f"{s:7.0%}" for s in full))
        print("   std of gradient", "  ".join(f"{s:7.1e}" for s in grad))
    return found


gains = {"0.5": 0.5, "1": 1.0, "5/3": 5 / 3, "3": 3.0}
plain = table(gains)

# %% [markdown]
# Read the outputs from left to right and the gradients from right to left, as they flow. All four first losses are
# $\log V$, so the loss alone reveals none of this.
#
# - **Gain 0.5: vanishing.** Outputs halve at each layer, from 0.45 to 0.014. The gradient halves on its way back, so
#   the first layer gets a thirtieth of the gradient of the last. This is a **vanishing gradient**.
# - **Gain 1**: outputs fall from 0.66 to 0.30, gradients by half. Six layers can cope with that; sixty could not.
# - **Gain 5/3**: outputs stay near 0.7, gradients are similar everywhere, and few units saturate after the first layer.
# - **Gain 3: exploding.** 40% to 50% of the outputs are saturated, and yet the gradient *grows* on its way back, 4
#   times over six layers: the part that passes the unsaturated units is multiplied by larger weights. This is an
#   **exploding gradient**.
#
# Here are the distributions, one curve for each layer:

# %%
fig, axes = plt.subplots(2, 4, figsize=(12, 4.6), layout="constrained")
for column, (name, gain) in zip(axes.T, gains.items(), strict=True):
    for number, h in enumerate(look(deep(gain), X, Y)[0], 1):
        colour = plt.colormaps["viridis"]((number - 1) / 6)
        for ax, values in zip(column, (h.detach(), h.grad), strict=True):
            counts, edges = torch.histogram(values.flatten(), 60, density=True)
            ax.plot((edges[1:] + edges[:-1]) / 2, counts, color=colour, linewidth=1, label=f"layer {number}")
    column[0].set(title=f"gain {name}", xlabel="output", xlim=(-1.05, 1.05), ylim=(0, 4))
    column[1].set(xlabel="gradient", xlim=(-3e-5, 3e-5), yscale="log")
axes[0, 0].set_ylabel("density")
axes[1, 0].set_ylabel("density (log)")
axes[0, 0].legend(frameon=False, fontsize=7)
plt.show()

# %%
first_to_last = {name: grad[0] / grad[-1] for name, (_, grad, _) in plain.items()}
assert first_to_last["0.5"] < 0.1
assert 0.5 < first_to_last["5/3"] < 2 < first_to_last["3"]
assert plain["0.5"][0][-1] < 0.03
assert plain["3"][2][-1] > 0.3

# %% [markdown]
# ## Is the learning rate right? The update-to-weight ratio
#
# A gradient is neither large nor small by itself: it matters how much a step changes a weight. The **update-to-weight
# ratio** of a matrix is the standard deviation of its update (learning rate times gradient, for SGD) divided by that of
# its values. A healthy value is about $10^{-3}$: a step changes the weights by a thousandth. That is a guide, not a
# law. Far below it, training crawls; far above it, each step overwrites what earlier ones have learnt.


# %%
def train_net(net, steps, lr=0.1, batch_size=32):
    """Return the batch losses, and log10 of the update-to-weight ratios at every tenth step (steps / 10, L)."""
    g, losses, ratios = torch.Generator().manual_seed(1), [], []
    matrices = [layer.weight for layer in net if isinstance(layer, nn.Linear)]
    net.train()
    for step in range(steps):
        ix = torch.randint(len(Xtr), (batch_size,), generator=g)
        loss = F.cross_entropy(net(Xtr[ix]), Ytr[ix])
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= lr * p.grad
            if step % 10 == 0:
                ratios.append([(lr * W.grad.std() / W.std()).log10().item() for W in matrices])
        losses.append(loss.item())
    return torch.tensor(losses), torch.tensor(ratios)


deep_steps, last = 1_000, 200
fig, axes = plt.subplots(1, 3, figsize=(12, 3), sharey=True, layout="constrained")
ended = {}
for ax, lr in zip(axes, (1.0, 0.1, 0.001), strict=True):
    losses, ratios = train_net(deep(5 / 3), deep_steps, lr)
    ended[lr] = losses[-last:].mean().item()
    for number, of_layer in enumerate(ratios.T, 1):
        ax.plot(range(0, deep_steps, 10), of_layer, linewidth=0.8, label=f"matrix {number}")
    ax.axhline(-3, color="black", linestyle="--", linewidth=1)
    ax.set_title(f"lr {lr:g}: final loss {ended[lr]:.2f}, median ratio 10^{ratios.median():.1f}", fontsize=9)
    ax.set_xlabel("step")
axes[0].set_ylabel("log10 (update / weight)")
axes[0].legend(frameon=False, fontsize=7, ncol=2)
plt.show()

# %%
assert ended[0.1] < ended[0.001]
assert abs(ended[0.001] - math.log(V)) < 0.2
assert ended[0.1] < ended[1.0]
assert ended[1.0] > math.log(V) + 1

# %% [markdown]
# - **0.1** does best. All hidden matrices stay together, a little above the line. The last one is higher only because
#   its weights started small, so the same step is a larger fraction of them.
# - **0.001**: a hundredth of that. The loss has hardly left $\log V$, and nothing is wrong except the rate.
# - **1**: each step changes the weights by about 3%, in a direction that only 32 examples have determined. The loss
#   ends far above where it started.
#
# After a few hundred steps, then, this ratio tells more about a learning rate than the loss does.

# %% [markdown]
# ## BatchNorm
#
# So far, careful bookkeeping has kept the inputs of the layers at a reasonable scale. Ioffe and Szegedy (2015) reverse
# this: if a layer should see unit variance, *make* it so. **BatchNorm** takes each feature over the $B$ examples of the
# batch, subtracts its mean and divides by its standard deviation. These operations are simple and differentiable, so
# gradients flow through them. Then it scales and shifts the result by learnt numbers $\gamma$ and $\beta$, which start
# at 1 and 0 and let the net choose another scale if that is better:
#
# $$\mu = \frac1B \sum_n x_n \qquad \sigma^2 = \frac1B \sum_n (x_n - \mu)^2 \qquad
# \hat x_n = \frac{x_n - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_n = \gamma \hat x_n + \beta$$
#
# The small $\varepsilon$ prevents a division by zero. We also want to score a single word, without a batch. So during
# training the layer keeps a **running mean** and a **running variance**, which move a tenth of the way towards those of
# the batch at every step. Outside training it uses these instead. `net.train()` and `net.eval()` switch between the two
# modes, which every module stores in its flag `training`. PyTorch calls a tensor that is saved but not trained a
# **buffer**.


# %%
class BatchNorm1d(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(n_features))
        self.beta = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))

    def forward(self, x):  # (B, C) -> (B, C)
        if self.training:
            mean = x.mean(0)  # (C,)
            var = x.var(0, correction=0)  # (C,), with 1 / B
            with torch.no_grad():
                B = len(x)
                unbiased = var * B / (B - 1)  # with 1 / (B - 1), an estimate of the variance over all examples
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (unbiased - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        xhat = (x - mean) / torch.sqrt(var + self.eps)
        return self.gamma * xhat + self.beta


x = 5 + 3 * torch.randn(32, 4, generator=torch.Generator().manual_seed(6))  # (B, C)
y = BatchNorm1d(4)(x)
for name, z in {"before": x, "after": y.detach()}.items():
    mean, std = z.mean(0), z.std(0, correction=0)  # (C,)
    print(f"{name:<7} mean", *(f"{m:5.2f}" for m in mean), "  std", *(f"{s:5.2f}" for s in std))
assert torch.allclose(y.mean(0), torch.zeros(4), atol=1e-5)

# %% [markdown]
# ### Benefits
#
# BatchNorm goes between a Linear and its activation. The Linear then needs no bias, since subtracting the mean would
# remove it again. Here are the same six layers with the same four gains:

# %%
normed = table(gains, BatchNorm1d)

# %% [markdown]
# All four gains give the same table, since BatchNorm divides out any factor of the weights. Outputs have a standard
# deviation of 0.64 everywhere, 3% are saturated, and gradients are similar. So does a bad start no longer matter? Here
# are the losses after 1,000 steps, for gains from far too small to far too large:

# %%
results, nets = {}, {}
for gain in (0.1, 0.5, 5 / 3, 10):
    for norm in (None, BatchNorm1d):
        nets[gain, norm] = deep(gain, norm)
        losses, ratios = train_net(nets[gain, norm], deep_steps)
        results[gain, norm] = losses[-last:].mean().item(), ratios[len(ratios) // 2 :].median().item()
for gain in (0.1, 0.5, 5 / 3, 10):
    (without, its), (with_norm, theirs) = results[gain, None], results[gain, BatchNorm1d]
    print(
        f"gain {gain:5.2f}   plain: loss {without:.3f}, update / weight 10^{its:.1f}"
        f"   BatchNorm: loss {with_norm:.3f}, update / weight 10^{theirs:.1f}"
    )

# %%
plain_losses, normed_losses = ([results[g, norm][0] for g in (0.1, 0.5, 5 / 3, 10)] for norm in (None, BatchNorm1d))
plain_cost, normed_cost = (max(losses) - losses[2] for losses in (plain_losses, normed_losses))
print(f"compared with gain 5/3, a bad gain costs up to {plain_cost:.2f} nats, and with BatchNorm {normed_cost:.2f}")
assert max(normed_losses) < max(plain_losses)
assert normed_cost < 0.6 * plain_cost

# %% [markdown]
# With BatchNorm a bad start costs much less. At the right gain, 5/3, BatchNorm does not help here: six layers can be
# initialised well by hand. It helps when the initialisation is wrong, or when the net is so deep that it is hard to get
# right.
#
# The start still has an effect, and the ratios show where it went. If the weights are ten times larger, a normalised
# layer has the same output, so its gradient is a tenth; relative to the larger weights that is a hundredth. The scale
# of the weights no longer sets the scale of the outputs: it sets the pace of learning. At gain 10 the ratio of
# $10^{-3.9}$ calls for a larger rate. How well does a rate ten times larger do?

# %%
for gain in (5 / 3, 10):
    losses, ratios = train_net(deep(gain, BatchNorm1d), deep_steps, lr=1.0)
    fast = losses[-last:].mean().item()
    print(
        f"lr 1, gain {gain:5.2f}, BatchNorm: loss {fast:.3f}, update / weight 10^{ratios[len(ratios) // 2 :].median():.1f}"
    )
    assert fast < ended[1.0]
print(f"lr 1, gain  1.67, plain:     loss {ended[1.0]:.3f}")

# %% [markdown]
# The plain net diverges at this rate, and the normalised one does not: whatever a step does to the weights, the next
# layers see unit variance again. BatchNorm did not make a good net better here, but it widened the range of initial
# weights and rates that work.

# %% [markdown]
# ### Costs
#
# **Examples are coupled.** In training, the output for one example depends on the other examples in the batch. Here is
# the same context in three different batches:

# %%
net, one = nets[5 / 3, BatchNorm1d], Xtr[:1]
net.train()
with torch.no_grad():
    noisy = [net(torch.cat([one, Xtr[k : k + 31]]))[0].softmax(0).max().item() for k in (1000, 2000, 3000)]
    net.eval()
    alone = [net(torch.cat([one, Xtr[k : k + 31]]))[0].softmax(0).max().item() for k in (1000, 2000, 3000)]
print("largest probability after the first context, in training mode:", [f"{p:.3f}" for p in noisy])
print("and in evaluation mode:                                       ", [f"{p:.3f}" for p in alone])
assert max(noisy) - min(noisy) > 1e-4 > max(alone) - min(alone)

# %% [markdown]
# This noise is a mild regularisation, since later layers cannot rely on exact values. It also means that the result
# depends on the batch size, and that a batch of one cannot be normalised at all: its variance is zero.
#
# **There is a second mode.** If you forget `net.eval()`, the score of a word depends on its neighbours, and every
# evaluation changes the running statistics. Here are val losses of one and the same net:


# %%
@torch.no_grad()
def val_loss(net, batch_size):
    batches = zip(Xval.split(batch_size), Yval.split(batch_size), strict=True)
    return sum(F.cross_entropy(net(X), Y).item() * len(X) for X, Y in batches if len(X) > 1) / len(Xval)


n_val = 8_000
Xval, Yval = Xval[:n_val], Yval[:n_val]
by_mode = {"eval": val_loss(net.eval(), 1000)}
kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}
for batch_size in (4, 32, 1000):
    by_mode[f"train, batches of {batch_size}"] = val_loss(net.train(), batch_size)
    net.load_state_dict(kept)  # restore the running statistics
for mode, loss in by_mode.items():
    print(f"{mode:<24} {loss:.3f}")
print(f"batches of 4 cost {by_mode['train, batches of 4'] - by_mode['train, batches of 32']:.3f} nats")
assert by_mode["train, batches of 4"] > by_mode["eval"]
net = net.eval()

# %% [markdown]
# Batches of 32 or more give nearly the same loss as the running statistics. With batches of 4 the same net seems worse
# (by a tenth of a nat on names.txt), since a mean over 4 examples is a rough estimate. The running statistics also lag
# behind the weights, because they average over the last ten steps or so; `moreish.calibrate` replaces them by
# statistics over all train words.

# %% [markdown]
# ### Folding it away
#
# In evaluation mode BatchNorm multiplies by and adds fixed numbers, and so does the Linear before it. Together they are
# a single Linear. With $z = Wx$ (PyTorch stores $W$ as fan-out × fan-in) and $s = \gamma / \sqrt{v + \varepsilon}$,
# where $m$ and $v$ are the running mean and variance:
#
# $$y = s \, (Wx - m) + \beta = \underbrace{(\operatorname{diag}(s) \, W)}_{W'} x + \underbrace{\beta - s \, m}_{b'}$$
#
# Replacing the two layers by this Linear is called **folding**: a trained net loses its BatchNorm layers but keeps its
# outputs.


# %%
@torch.no_grad()
def folded(net):
    """Return a net without BatchNorm1d that has the same outputs in evaluation mode."""
    layers = []
    for layer in net:
        if isinstance(layer, BatchNorm1d):
            before = layers.pop()
            s = layer.gamma / torch.sqrt(layer.running_var + layer.eps)  # (C,)
            bias = torch.zeros_like(s) if before.bias is None else before.bias
            linear = nn.Linear(before.in_features, before.out_features)
            linear.weight.copy_(s[:, None] * before.weight)  # (C, K): s scales the rows
            linear.bias.copy_(s * (bias - layer.running_mean) + layer.beta)
            layers.append(linear)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


short = folded(net)
with torch.no_grad():
    off = (short(Xval) - net(Xval)).abs().max().item()
print(f"{len(net)} layers, folded {len(short)}; logits differ by at most {off:.1e}")
assert off < 1e-4

# %% [markdown]
# ## The same by the library
#
# `moreish.diagnose` takes these measurements for any run: outputs, gradients and saturation at the start and at the
# end, and update-to-weight ratios along the way. It also says in words what is wrong. Here are three runs of six tanh
# layers on the compiled engine: with the library's own initialisation, with weights from $N(0, 1)$, and with the latter
# plus BatchNorm.

# %%
common = {"block_size": block_size, "n_embd": n_embd, "n_layer": 6, "n_hidden": 100}
common |= {"batch_size": 32, "optimizer": "sgd", "lr": 0.1, "steps": 3_000, "keep": "last", "diagnostics": True}
runs = {
    "kaiming": moreish.train(corpus, "mlp", **common),
    "naive": moreish.train(corpus, "mlp", init="naive", **common),
    "naive with BatchNorm": moreish.train(corpus, "mlp", init="naive", batch_norm=True, **common),
}
troubles = {}
for name, run in runs.items():
    diagnosis = moreish.diagnose(run)
    troubles[name] = [verdict.trouble for verdict in diagnosis.verdicts]
    print(f"{name}: first batch {run.history[0]['train']:.2f}, val {run.loss['val']:.3f}")
    for verdict in diagnosis.verdicts or ["no problems found"]:
        print("   ", verdict)

# %%
assert troubles["kaiming"] == []
assert {"first loss", "saturation"} <= set(troubles["naive"])
assert "saturation" not in troubles["naive with BatchNorm"]
val = {name: run.loss["val"] for name, run in runs.items()}
assert val["naive with BatchNorm"] - val["kaiming"] < (val["naive"] - val["kaiming"]) / 2

# %% [markdown]
# The net with the library's own initialisation has no problems. From $N(0, 1)$ everything in this lesson goes wrong at
# once: the first loss is too high, every layer is saturated, and the gradient explodes. After 3,000 steps val is still
# far higher. (If val was best before the end, that follows from the other problems: such an unsteady net gets better or
# worse from one entry of the log to the next.) With BatchNorm the same weights make up for most of the difference, and
# two problems remain. The first loss is still high, since no BatchNorm follows the last layer. And the steps are small
# relative to such large weights.
#
# Here are the ratios of the first two runs over the steps; the learning rate falls to a tenth halfway.

# %%
moreish.plots.plot_ratios(runs["kaiming"])

# %%
moreish.plots.plot_ratios(runs["naive"])

# %% [markdown]
# With a good start the hidden layers stay together, a little above $10^{-3}$ and then a little below, as all updates
# fall to a tenth with the learning rate. With a bad start the first step changes the embedding by more than its own
# size, since the gradient grew on its way back. Then the updates jump by powers of ten from one point to the next, and
# those of the first layers are often far below $10^{-5}$: little gradient gets through saturated units.

# %% [markdown]
# ## The same as PyTorch and the library
#
# We compare the layer above with PyTorch's own `nn.BatchNorm1d` in double precision: outputs in both modes, running
# statistics, and gradients.

# %%
g = torch.Generator().manual_seed(7)
ours, theirs = BatchNorm1d(8).double(), nn.BatchNorm1d(8).double()
for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
    with torch.no_grad():
        p += torch.randn(8, generator=g)
        q.copy_(p)
for _ in range(3):
    x = 2 + 3 * torch.randn(32, 8, generator=g, dtype=torch.float64)
    x1, x2, dy = x.clone().requires_grad_(), x.clone().requires_grad_(), torch.randn(32, 8, generator=g).double()
    y1, y2 = ours(x1), theirs(x2)
    y1.backward(dy)
    y2.backward(dy)
pairs = {"output": (y1, y2), "dx": (x1.grad, x2.grad), "dgamma": (ours.gamma.grad, theirs.weight.grad)}
pairs |= {"dbeta": (ours.beta.grad, theirs.bias.grad), "eval": (ours.eval()(x), theirs.eval()(x))}
pairs |= {name: (getattr(ours, name), getattr(theirs, name)) for name in ("running_mean", "running_var")}
for name, (a, b) in pairs.items():
    print(f"{name:<13} differs by at most {(a - b).abs().max():.1e}")
    assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)

# %% [markdown]
# Next we compare it with the library's model, whose BatchNorm is compiled and has a hand-derived gradient. We load its
# weights into our modules, and both must give the same logits. Then we fold both, ours with the function above and the
# library's with `moreish.fold`.

# %%
model = runs["naive with BatchNorm"].model
ours, state = deep(1, BatchNorm1d), {}  # the same list of layers
for name, array in model.weights.items():  # such as 2.linear.W
    number, kind, parameter = name.split(".")
    value = torch.from_numpy(array.copy())
    if kind == "linear":
        value = value.T if parameter == "W" else value  # the library has W as (fan-in, fan-out)
    own_name = {"C": "weight", "W": "weight", "b": "bias"}.get(parameter, parameter)
    state[f"{number}.{own_name}"] = value
ours.load_state_dict(state)
ours.eval()
with torch.no_grad():
    logits = model.to_torch()(Xval)
    assert torch.allclose(ours(Xval), logits, atol=1e-4)
    theirs_folded = moreish.fold(model)
    assert torch.allclose(folded(ours)(Xval), theirs_folded.to_torch()(Xval), atol=1e-3)
for layer, name in ((2, "2.linear.W"), (4, "4.linear.W")):  # without BatchNorm, the second Linear is layer 4
    W, by_us = torch.from_numpy(theirs_folded.weights[name]), folded(ours)[layer].weight.T
    assert torch.allclose(by_us, W, rtol=1e-4, atol=1e-5)
    print(f"{name}, folded: up to {W.abs().max():.2f} in size, differs by at most {(by_us - W).abs().max():.1e}")

# %% [markdown]
# `moreish gradcheck` checks the gradients of the compiled layer, and lesson 4 derives them. The library's
# initialisation is the same too: its `kaiming` uses the same gains.

# %%
started = moreish.Model(runs["kaiming"].model.config, corpus.vocab, seed=1)
for name, W in started.weights.items():
    if name.endswith(".W"):
        print(f"{name}: std times sqrt(fan-in) {W.std() * math.sqrt(len(W)):.3f}")
        gain = 0.1 if name == "14.linear.W" else 5 / 3  # small in the last layer
        assert abs(W.std() * math.sqrt(len(W)) / gain - 1) < 0.05

# %% [markdown]
# ## Exercises
#
# Each exercise has a cell to fill in, and a check that says whether it is right. Solutions are folded away below the
# exercises, unless your copy is one without solutions.
#
# **1. Zero initialisation.** Lesson 2's first exercise started everything at zero, including the embeddings. Take the
# first net of this lesson, $h = \tanh(C[X] W_1 + b_1)$ and $\text{logits} = h W_2 + b_2$. If `W1`, `b1`, `W2` and `b2`
# all start at zero and only `C` is random, which tensors have a nonzero gradient at the first step? And which do if
# only `W2` and `b2` start at zero? Think first, in the order of the backward pass. Each answer is a set of names, such
# as `{"C", "W1"}`.

# %%
all_zero = ...  # yours
last_zero = ...  # yours
check_moving(all_zero, zeros=("W1", "b1", "W2", "b2"))
check_moving(last_zero, zeros=("W2", "b2"))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Go backwards. $db_2$ is the column sums of $dlogits$, which are not zero, since characters are not all equally
# frequent. $dW_2 = h^T dlogits$ is zero, since $h = \tanh(0) = 0$. $dh = dlogits \, W_2^T = 0$, so $b_1$, $W_1$ and $C$
# get no gradient. Only `b2` changes, and after the step all this is still true: the net remains a table of character
# frequencies.
#
# If only the last layer is zero, $h$ is not zero, so `W2` changes too. $dh$ is zero at the first step but not at the
# second, when `W2` is no longer zero: such a net trains. The fault of the first net is not that its weights are zero
# but that its units are identical. Any other constant has the same effect, since identical units get identical
# gradients and stay identical.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
assert check_moving({"b2"}, zeros=("W1", "b1", "W2", "b2"))
assert check_moving({"W2", "b2"}, zeros=("W2", "b2"))

params = mlp(0, 0, 0, 0)
train_mlp(params, 3_000)
frequencies = torch.bincount(Ytr, minlength=V) / len(Ytr)
entropy = -(frequencies * frequencies.log()).sum()  # the loss of a table of frequencies
print(f"all zero: loss {F.cross_entropy(forward(params, X)[1], Y):.3f}, from frequencies alone {entropy:.3f}")
assert all((p == 0).all() for p in params[1:4])
assert abs(F.cross_entropy(forward(params, Xtr)[1], Ytr) - entropy) < 0.1

params = mlp(0, 0, 0, 0)
with torch.no_grad():
    params[1] += 0.1  # all incoming weights of the hidden units are the same
    params[3] += 0.1
train_mlp(params, 100)
h = forward(params, X)[0]
print(f"all identical: the 200 units differ by at most {(h - h[:, :1]).abs().max():.1e} after 100 steps")
assert (h - h[:, :1]).abs().max() < 1e-4

# %% [markdown]
# **2. A gain, measured.** Find the gain of ReLU by an experiment, and then that of a **leaky ReLU**, which is $z$ for
# positive $z$ and $0.3 z$ for negative $z$. The gain is the factor by which the weights must grow to preserve the root
# mean square. Measure it on a million numbers from $N(0, 1)$, to within 1%.


# %%
def leaky(z):
    return F.leaky_relu(z, 0.3)


relu_gain = ...  # yours
leaky_gain = ...  # yours
check_gain(relu_gain, torch.relu, "the gain of relu")
check_gain(leaky_gain, leaky, "the gain of leaky relu")

# %% jupyter={"source_hidden": true} tags=["hide-input"]
z = torch.randn(1_000_000, generator=torch.Generator().manual_seed(8))
measured = {activation: 1 / activation(z).square().mean().sqrt().item() for activation in (torch.relu, leaky)}
print(f"relu: measured {measured[torch.relu]:.4f}, sqrt 2 is {2**0.5:.4f}")
print(f"leaky relu: measured {measured[leaky]:.4f}, sqrt(2 / (1 + 0.3²)) is {(2 / 1.09) ** 0.5:.4f}")
assert check_gain(measured[torch.relu], torch.relu, "the gain of relu")
assert check_gain(measured[leaky], leaky, "the gain of leaky relu")

# %% [markdown]
# **3. Uniform.** A tanh layer with a fan-in of 30 should start uniformly between $-a$ and $a$, following Kaiming with a
# gain of 5/3. What is $a$?

# %%
a = ...  # yours
check_bound(a, fan_in=30, gain=5 / 3)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
a = 5 / 3 * math.sqrt(3 / 30)  # the std of U(-a, a) is a / sqrt 3
weights = nn.init.kaiming_uniform_(torch.empty(1000, 30), nonlinearity="tanh")
print(f"a = {a:.4f}; the largest of 30,000 weights by nn.init is {weights.max():.4f}")
assert check_bound(a, fan_in=30, gain=5 / 3)

# %% [markdown]
# **4. Fold the other way.** In some nets BatchNorm comes *before* a Linear: `nn.Sequential(norm, linear)`. In
# evaluation mode these two are also a single Linear. Write its `W` (C, K) and `b` (K,), for `x @ W + b`, in terms of
# the parameters of both.

# %%
g = torch.Generator().manual_seed(9)
norm, linear = BatchNorm1d(12), nn.Linear(12, 7)
with torch.no_grad():
    for p in (norm.gamma, norm.beta, norm.running_mean):
        p.copy_(torch.randn(12, generator=g))
    norm.running_var.copy_(0.1 + torch.rand(12, generator=g))
pair = nn.Sequential(norm, linear).eval()
x = torch.randn(50, 12, generator=g)  # (B, C)

W = ...  # yours
b = ...  # yours
check_folded((W, b), pair, x)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
s = norm.gamma / torch.sqrt(norm.running_var + norm.eps)  # (C,)
W = s[:, None] * linear.weight.T  # scaling the features of x scales the rows of W (C, K)
b = (norm.beta - s * norm.running_mean) @ linear.weight.T + linear.bias  # the shift passes through the Linear
assert check_folded((W, b), pair, x)

# %% [markdown]
# **5. Diagnosis.** Five nets with four hidden layers of 64 units each were trained for a few hundred steps. For each,
# the cell below prints the measurements of this lesson. They are the first loss; for every hidden layer, at the start
# and at the end, the standard deviation of its output, the fraction of saturated outputs, the fraction of dead units,
# and the standard deviation of the gradient; and log10 of the update-to-weight ratio of the embedding and the five
# matrices, the median over all steps. One net has ReLU instead of tanh units, for which saturated means off. Which net
# is healthy, and what is wrong with the others?

# %%
measured = patients(corpus, steps=200)
for name, numbers in measured.items():
    print(f"{name}: first loss {numbers['first_loss']:.2f}, update / weight", [round(u, 1) for u in numbers["update"]])
    for when in ("start", "end"):
        for what in ("std", "saturated", "dead", "gradient"):
            print(f"    {when:<6}{what:<10}", "  ".join(f"{layer[what]:8.2g}" for layer in numbers[when]))
print("choose from:", TROUBLES)

# %%
answer = {"ada": ..., "bea": ..., "cas": ..., "dov": ..., "eli": ...}  # yours
check_patients(answer)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
said = {
    "ada": "weights too small",  # outputs and gradients shrink about six times per layer
    "bea": "rate too low",  # starts like cas and ends where it started; ratios of 10^-5
    "cas": "healthy",  # nothing shrinks, grows or saturates, and ratios are near 10^-3
    "dov": "dead units",  # healthy at the start; then whole layers are off on every example
    "eli": "weights too large",  # first loss far above log V, and four in five outputs saturated from the start
}
assert check_patients(said)
