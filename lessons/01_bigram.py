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
# # 1. Pairs of letters
#
# Given a list of names, make more of them. The smallest model that can do it looks at one character and says what comes
# next. This lesson builds it twice: by counting, and as a neural net that is trained. They turn out to be the same model.

# %%
import os

import torch
import torch.nn.functional as F

import moreish
from moreish.lessons.bigram import (
    check_index_for_one_hot,
    check_trigram_losses,
    check_trigrams,
    check_tuned_smoothing,
)
from moreish.lessons.words import lesson_words

# %matplotlib inline
QUICK = bool(os.environ.get("MOREISH_QUICK"))
words = list(lesson_words())
len(words), words[:6]

# %% [markdown]
# ## Words as tensors
#
# A **tensor** is a block of numbers with a shape. A **token** is a character as a number. Token 0 stands for the end of a
# word, and also for what is before its first letter; the letters follow in the order of the alphabet.

# %%
itos = ["."] + sorted(set("".join(words)))  # token -> character
stoi = {c: i for i, c in enumerate(itos)}  # character -> token
V = len(itos)
tokens = torch.tensor([stoi[c] for c in ".emma."])
V, tokens, tokens.shape

# %% [markdown]
# Numbers in memory stand in one row, whatever the shape. The **stride** of an axis says how many places to go for the next
# element along it. A transposed tensor is the same memory, read with other strides: nothing is copied.

# %%
grid = torch.arange(6).view(2, 3)  # (2, 3)
print(grid.stride(), grid.T.stride(), grid.T.data_ptr() == grid.data_ptr())

# %% [markdown]
# **Broadcasting** lets shapes that differ work together. They are lined up from the right; an axis of length 1, or one that
# is missing, is repeated. It saves loops, and it sets traps. Here is one that costs people hours: to turn rows of counts
# into probabilities, each row is divided by its sum.

# %%
counts = torch.tensor([[1.0, 3.0], [2.0, 6.0]])  # (2, 2)
sums = counts.sum(1)  # (2,)       the axis is gone
kept = counts.sum(1, keepdim=True)  # (2, 1)     the axis has length 1
print((counts / sums).sum(1))  # (2, 2) / (2,): lined up from the right, a column is divided by each sum
print((counts / kept).sum(1))  # (2, 2) / (2, 1): each row by its own

# %% [markdown]
# Without `keepdim` the sums lie down along the wrong axis, and no error is raised. **Keeping dimensions** is what makes the
# division mean what it says. A check that rows sum to one finds the mistake at once.
#
# ## Counting
#
# The **Markov property** is an assumption: what comes next depends on the last character alone, not on those before it. A
# model that makes it needs one table: how often each character comes after each. Here are all pairs of the list.

# %%
xs = torch.tensor([stoi[c] for w in words for c in "." + w])  # (N,)  the character before
ys = torch.tensor([stoi[c] for w in words for c in w + "."])  # (N,)  the one that comes
N = torch.zeros(V, V, dtype=torch.int64)  # (V, V)  rows: before; columns: next
N.index_put_((xs, ys), torch.tensor(1), accumulate=True)
len(xs), N.sum().item(), N[0, stoi["a"]].item()

# %% [markdown]
# As a picture, with the pair and its count in each cell. The first row is how names begin, the first column how they end:
# many end in *n* or *a*, and *q* is seldom followed by anything but *u*.

# %%
everything = moreish.Corpus(words)
figure = moreish.plots.plot_bigrams(everything, order="alphabet")
figure.set_size_inches(11, 9)
figure

# %% [markdown]
# (The library draws the train part of a split, 80% of the words. The lesson's own table is of all of them.)
#
# ## Sampling
#
# Divided by its sum, a row is a **distribution**: the probability of each next character. To make a name, start from
# token 0, draw from its row, go to the row of what was drawn, and stop when token 0 comes again.

# %%
P = N.float() / N.sum(1, keepdim=True)  # (V, V)
assert torch.allclose(P.sum(1), torch.ones(V))


def draw(P, generator):
    word, token = "", 0
    while True:
        token = torch.multinomial(P[token], 1, generator=generator).item()
        if token == 0:
            return word
        word += itos[token]


generator = torch.Generator().manual_seed(1)
print("counted:", [draw(P, generator) for _ in range(6)])
uniform = torch.full((V, V), 1 / V)
print("chance: ", [draw(uniform, generator)[:12] for _ in range(6)])

# %% [markdown]
# The names are bad. Still, they are far from chance: most can be said aloud, since each letter stands beside letters
# that it stands beside in names.
#
# ## How good is it?
#
# The **likelihood** of the list is the product of the probabilities that the model gives to all its characters, and to
# the end of each word. The product of many numbers below one is too small for a computer, so one adds their logarithms:
# the **log-likelihood**. With the sign turned and divided by how many they are, it is the **loss**: the mean negative
# log-likelihood, in **nats** (the unit of natural logarithms) a character. Chance gives log V.

# %%
log_likelihood = P[xs, ys].log().sum()
loss = -log_likelihood / len(xs)
print(f"product of the first 300 probabilities: {P[xs, ys][:300].prod().item()}")
print(f"log-likelihood {log_likelihood:.0f}, loss {loss:.4f}; chance {torch.tensor(float(V)).log():.4f}")

# %% [markdown]
# The exponential of the loss is the **perplexity**: among how many equally likely characters the model could as well be
# choosing.

# %%
print(f"perplexity {loss.exp():.2f} of {V}")

# %% [markdown]
# ## Smoothing
#
# A pair that never occurs has probability zero, and a word that has it is impossible: its loss is infinite. **Smoothing**
# adds something to every count, as if each pair had been seen that often more.

# %%
unseen = [(a, b) for a in itos[1:] for b in itos[1:] if N[stoi[a], stoi[b]] == 0]
word = "an" + "".join(unseen[0]) + "a"


def nll(P, word):
    row = torch.tensor([stoi[c] for c in "." + word + "."])
    return -P[row[:-1], row[1:]].log().mean().item()


smoothed = (N + 1.0) / (N + 1.0).sum(1, keepdim=True)  # (V, V)
print(f"{len(unseen)} pairs of letters never occur; {word}: {nll(P, word)} nats, smoothed {nll(smoothed, word):.2f}")
print(f"loss of the list, smoothed: {-smoothed[xs, ys].log().mean():.4f}")

# %% [markdown]
# Adding 1 to every count moves the loss of so long a list by almost nothing. Adding a great deal makes all characters
# equally likely: smoothing is a way to trust the counts less.

# %%
for added in (0.01, 1, 100, 10_000, 1_000_000):
    Q = (N + added) / (N + added).sum(1, keepdim=True)
    print(f"add {added:>9}: loss {-Q[xs, ys].log().mean():.4f}")

# %% [markdown]
# ## The same as a net
#
# Now the table is not counted but found by **gradient descent**: start anywhere, and take small steps downhill. Which
# way is down the **gradient** says: for each number of the table, the derivative of the loss by it. The numbers that
# are found in this way are called **weights**, or **parameters**.
#
# A character goes in as a **one-hot** row: V numbers, all 0 but for a 1 at the token's place. Multiplied by a matrix
# $W$ of $V \times V$ it picks out a row of $W$. These numbers are the **logits**. `exp` makes them positive, like counts,
# and dividing by their sum makes them a distribution: that is the **softmax**,
# $p_j = e^{w_{ij}} / \sum_k e^{w_{ik}}$. A **neural net** is a function of its weights and its input that is made of such
# simple steps, each with a derivative. This is the smallest one.

# %%
generator = torch.Generator().manual_seed(42)
W = torch.randn(V, V, generator=generator)  # (V, V)
x = F.one_hot(xs[:5], V).float()  # (5, V)
logits = x @ W  # (5, V)
p = logits.exp() / logits.exp().sum(1, keepdim=True)  # (5, V)
print(torch.equal(logits, W[xs[:5]]), torch.allclose(p, F.softmax(logits, 1)), p.sum(1))

# %% [markdown]
# So one-hot times a matrix is a lookup: the first exercise asks for it. The loss is the mean of $-\log p$ of what
# really came, the **cross-entropy**. `F.cross_entropy` does softmax, logarithm and mean in one; [lesson
# 2](02_mlp.ipynb#cross-entropy) says why that is better than one after the other.
#
# Most pairs repeat, so a step need not look at 228,146 rows: the table of counts says how often each pair counts. That
# is the whole gradient of the whole list, for the price of a $V \times V$ table. `backward()` computes it and leaves it
# in `W.grad`. It can, since PyTorch notes each operation as it is done: this is **autograd**, and [lesson
# 4](04_backprop_by_hand.ipynb#one-number-at-a-time-scalar-autograd) shows how it works. A step takes 50 times the
# gradient off the weights.

# %%
weight = N / N.sum()  # (V, V)  each pair's share of the list


def net_loss(W, decay=0.0):
    return -(weight * F.log_softmax(W, 1)).sum() + decay * (W**2).mean()


W.requires_grad_()
assert torch.allclose(net_loss(W), F.cross_entropy(W[xs], ys), atol=1e-4)
steps = 300 if QUICK else 3000
for step in range(steps):
    W.grad = None
    now = net_loss(W)
    now.backward()
    with torch.no_grad():
        W -= 50 * W.grad
    if step % (steps // 5) == 0:
        print(f"step {step:>5}: loss {now.item():.4f}")
print(f"after {steps} steps: {net_loss(W).item():.4f}; counted: {loss.item():.4f}")
assert abs(net_loss(W).item() - loss.item()) < (0.03 if QUICK else 0.002)

# %% [markdown]
# Gradient descent has found the counts. It had to: of all tables, the shares of the counts are the one with the least loss
# (the derivative of the loss by a logit is $p_{ij}$ less the share that was counted, times how often row $i$ occurs; it is
# zero where they agree).

# %%
with torch.no_grad():
    gap = (F.softmax(W, 1) - P).abs()
print(
    f"largest difference of a probability: {gap.max():.3f}, weighted by use: {(gap * weight.sum(1, keepdim=True)).sum():.5f}"
)

# %% [markdown]
# **Regularisation** adds a price for large weights to the loss. All weights at zero give every character the same
# probability, so the price pulls towards even odds, as adding to every count does. This regularisation is a smoothing.

# %%
for decay in (0.0, 0.01, 0.1, 1.0):
    Wd = torch.zeros(V, V, requires_grad=True)
    for _ in range(300 if QUICK else 1000):
        net = net_loss(Wd, decay)
        (grad,) = torch.autograd.grad(net, Wd)
        with torch.no_grad():
            Wd -= 20 * grad
    entropy = -(F.softmax(Wd, 1) * F.log_softmax(Wd, 1)).sum(1).mean()
    print(f"decay {decay:>5}: loss {net_loss(Wd):.4f}, rows are as uncertain as {entropy.exp():.1f} even choices")

# %% [markdown]
# ## Against the library
#
# `moreish` has both: `bigram-counts`, which adds 1 to every count, and `bigram`. It shares the words out into three
# parts, as [lesson 2](02_mlp.ipynb#three-parts-of-the-list) explains: the models learn from *train*, 80% of the words,
# and *val* and *test* show how they do on the others. Here the lesson's way on the same words gives the library's
# numbers.

# %%
train, val = everything.parts["train"], everything.parts["val"]
counted = moreish.train(everything, "bigram-counts")
net = moreish.train(everything, "bigram")
counted.loss, net.loss


# %%
def pairs(words):
    before = torch.tensor([stoi[c] for w in words for c in "." + w])
    after = torch.tensor([stoi[c] for w in words for c in w + "."])
    return before, after


N_train = torch.zeros(V, V).index_put_(pairs(train), torch.tensor(1.0), accumulate=True)


def val_loss(added):
    Q = (N_train + added) / (N_train + added).sum(1, keepdim=True)
    return -Q[pairs(val)].log().mean().item()


print(f"lesson {val_loss(1.0):.6f}, library {counted.loss['val']:.6f}")
assert abs(val_loss(1.0) - counted.loss["val"]) < 1e-5
assert abs(net.loss["val"] - counted.loss["val"]) < 0.01
print(counted.model.sample(8, seed=1))

# %% [markdown]
# ## Exercises
#
# **1. Indexing.** Write `lookup(W, tokens)`, which gives the rows that one-hot times $W$ gives, without any one-hot.

# %%
lookup = ...  # yours: a function of W and tokens
check_index_for_one_hot(lookup, W.detach())


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved(W, tokens):
    return W[tokens]  # an index picks rows; one-hot @ W multiplies V - 1 of V rows by zero to do the same


assert check_index_for_one_hot(solved, W.detach())

# %% [markdown]
# **2. Trigrams.** Count how often each character comes after each *pair*: `T[a, b, c]`. A word begins after two ends.

# %%
T = ...  # yours: (V, V, V)
check_trigrams(T, words)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def windows(words):
    """Two tokens before, and the one that comes, of every window of three: (N,) each."""

    def tokens(pattern):  # of all words, each written as the pattern says
        return torch.tensor([stoi[c] for w in words for c in pattern(w)])

    # Each word w has len(w) + 1 windows: what comes is w and an end; before it stands the same, one and two places later.
    return tokens(lambda w: (".." + w)[:-1]), tokens(lambda w: "." + w), tokens(lambda w: w + ".")


T = torch.zeros(V, V, V, dtype=torch.int64)
T.index_put_(windows(words), torch.tensor(1), accumulate=True)
assert check_trigrams(T, words)

# %% [markdown]
# **3. The split.** Count trigrams in the *train* words alone, and add 1 to each count. What is the loss of the train
# words, and what that of the val words? Set them beside those of pairs, `counted.loss`. What do you see?

# %%
trigram_train, trigram_val = ..., ...  # yours: nats
check_trigram_losses(trigram_train, trigram_val, everything)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. A second letter to look at is worth more than 0.2 nats. And val is now higher than train by 0.02: a table of
# pairs is full of counts, and of the 19,683 in this one most are zero or small, so that they fit the train words too well.
T_train = torch.zeros(V, V, V).index_put_(windows(train), torch.tensor(1.0), accumulate=True)


def trigram_loss(added, words):
    Q = (T_train + added) / (T_train + added).sum(2, keepdim=True)
    return -Q[windows(words)].log().mean().item()


for part in ("train", "val"):
    print(f"{part:<5}  pairs {counted.loss[part]:.4f}, trigrams {trigram_loss(1.0, everything.parts[part]):.4f}")
assert check_trigram_losses(trigram_loss(1.0, train), trigram_loss(1.0, val), everything)

# %% [markdown]
# **4. Smoothing, tuned.** Which amount, added to the trigram counts of the train words, gives the least loss on the
# *val* words? Try several with `trigram_loss` from the solution above. (Why not on the train words? Try it.) And when
# the choice is made: what is the loss on the *test* words?

# %%
added = ...  # yours: a number
check_tuned_smoothing(added, lambda added: trigram_loss(added, val))

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. On the train words the less is added the better: nothing in them was never seen.
print("    added    train      val")
for amount in (0.001, 0.01, 0.1, 1.0, 10.0):
    print(f"{amount:9} {trigram_loss(amount, train):8.4f} {trigram_loss(amount, val):8.4f}")
tried = [10 ** (k / 20) for k in range(-60, 21)]
best = min(tried, key=lambda added: trigram_loss(added, val))
print(f"best {best:.2f}: val {trigram_loss(best, val):.4f}, test {trigram_loss(best, everything.parts['test']):.4f}")
assert check_tuned_smoothing(best, lambda added: trigram_loss(added, val))
