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
# Given a list of names, make more names like them. The smallest model that can do this looks at one character and
# predicts the next. This lesson builds it twice: by counting, and as a neural net that is trained. Both turn out to be
# the same model.

# %%
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
torch.set_num_threads(1)  # a table this small gains nothing from more
words = list(lesson_words())
len(words), words[:6]

# %% [markdown]
# ## Words as tensors
#
# A **tensor** is a block of numbers with a shape. A **token** is a character as a number. Token 0 marks the end of a
# word and also the position before its first letter; the letters follow in alphabetical order.

# %%
itos = ["."] + sorted(set("".join(words)))  # token -> character
stoi = {c: i for i, c in enumerate(itos)}  # character -> token
V = len(itos)
tokens = torch.tensor([stoi[c] for c in ".emma."])
V, tokens, tokens.shape

# %% [markdown]
# In memory, the numbers of a tensor form one long row, whatever its shape. The **stride** of an axis is the distance in
# memory from one element to the next along that axis. A transposed tensor uses the same memory with other strides:
# nothing is copied.

# %%
grid = torch.arange(6).view(2, 3)  # (2, 3)
print(grid.stride(), grid.T.stride(), grid.T.data_ptr() == grid.data_ptr())

# %% [markdown]
# **Broadcasting** combines tensors of different shapes. The shapes are aligned from the right; an axis that is missing
# or has length 1 is repeated. Broadcasting saves loops, but it has traps. Here is one that has cost many people hours. To
# turn rows of counts into probabilities, we divide each row by its sum.

# %%
counts = torch.tensor([[1.0, 3.0], [2.0, 6.0]])  # (2, 2)
sums = counts.sum(1)  # (2,)       the axis is gone
kept = counts.sum(1, keepdim=True)  # (2, 1)     the axis has length 1
print((counts / sums).sum(1))  # (2, 2) / (2,): aligned from the right, each sum divides a column
print((counts / kept).sum(1))  # (2, 2) / (2, 1): each sum divides its own row

# %% [markdown]
# Without `keepdim` the sums are aligned with the wrong axis, and no error is raised. **Keeping dimensions** makes the
# division do what was intended. Checking that the rows sum to one finds the mistake at once.
#
# ## Counting
#
# The **Markov property** is an assumption: the next character depends only on the last one, not on those before it. A
# model that makes this assumption needs a single table: how often each character follows each other one. Here are all
# the pairs in the list.

# %%
xs = torch.tensor([stoi[c] for w in words for c in "." + w])  # (N,)  the previous character
ys = torch.tensor([stoi[c] for w in words for c in w + "."])  # (N,)  the next one
N = torch.zeros(V, V, dtype=torch.int64)  # (V, V)  rows: previous; columns: next
N.index_put_((xs, ys), torch.tensor(1), accumulate=True)
len(xs), N.sum().item(), N[0, stoi["a"]].item()

# %% [markdown]
# Here is the table as a picture, with the pair and its count in each cell. The first row shows how names begin and the
# first column how they end: many end in *n* or *a*. The letter that most often follows *q* is *u*.

# %%
everything = moreish.Corpus(words)
figure = moreish.plots.plot_bigrams(everything, order="alphabet")
figure.set_size_inches(11, 9)
figure

# %% [markdown]
# (The library plots the train part of a split, 80% of the words. The table above covers all of them.)
#
# ## Sampling
#
# Divided by its sum, a row is a **distribution**: the probability of each next character. To make a name, start at
# token 0, draw from its row, go to the row of the character drawn, and stop when token 0 is drawn again.

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
print("uniform:", [draw(uniform, generator)[:12] for _ in range(6)])

# %% [markdown]
# The names are bad, but better than chance: each pair of letters in them also occurs in real names. Longer pieces often
# do not.
#
# ## How good is it?
#
# The **likelihood** of the list is the product of the probabilities that the model gives to all its characters and ends
# of words. A product of so many numbers below one underflows, so we add their logarithms instead: the
# **log-likelihood**. Dividing it by the number of characters and changing the sign gives the **loss**: the mean
# negative log-likelihood, in **nats** (the unit of natural logarithms) per character. Uniform guessing has a loss of
# log V.

# %%
log_likelihood = P[xs, ys].log().sum()
loss = -log_likelihood / len(xs)
print(f"product of the first 300 probabilities: {P[xs, ys][:300].prod().item()}")
print(f"log-likelihood {log_likelihood:.0f}, loss {loss:.4f}; uniform {torch.tensor(float(V)).log():.4f}")

# %% [markdown]
# The exponential of the loss is the **perplexity**: the model is as uncertain as if it chose among this many equally
# likely characters.

# %%
print(f"perplexity {loss.exp():.2f} of {V}")

# %% [markdown]
# ## Smoothing
#
# A pair that never occurs has probability zero, so a word that contains it is impossible: its loss is infinite.
# **Smoothing** adds a constant to every count, as if each pair had occurred that many more times.

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
# For a list this long, adding 1 to every count hardly changes the loss. Adding a very large number makes all characters
# equally likely: the more we add, the less we trust the counts.

# %%
for added in (0.01, 1, 100, 10_000, 1_000_000):
    Q = (N + added) / (N + added).sum(1, keepdim=True)
    print(f"add {added:>9}: loss {-Q[xs, ys].log().mean():.4f}")

# %% [markdown]
# ## The same as a net
#
# Now we find the table by **gradient descent** instead of counting: start anywhere and take small steps downhill. The
# **gradient** gives the direction: it holds the derivative of the loss with respect to each number in the table. The
# numbers found in this way are called **weights** or **parameters**.
#
# The input is a **one-hot** row for a character: V numbers, all 0 except for a 1 at the token's position. Multiplying
# it by a $V \times V$ matrix $W$ selects a row of $W$. The numbers in this row are the **logits**. `exp` makes them
# positive, like counts, and dividing them by their sum makes them a distribution. The two steps together are the
# **softmax**, $p_j = e^{w_{ij}} / \sum_k e^{w_{ik}}$. A **neural net** is a function of weights and an input, made of
# such simple differentiable steps. This is the smallest one.

# %%
generator = torch.Generator().manual_seed(42)
W = torch.randn(V, V, generator=generator)  # (V, V)
x = F.one_hot(xs[:5], V).float()  # (5, V)
logits = x @ W  # (5, V)
p = logits.exp() / logits.exp().sum(1, keepdim=True)  # (5, V)
print(torch.equal(logits, W[xs[:5]]), torch.allclose(p, F.softmax(logits, 1)), p.sum(1))

# %% [markdown]
# So multiplying a one-hot row by a matrix is a lookup; the first exercise asks for it. The loss is the mean of
# $-\log p$ of the true next character, the **cross-entropy**. `F.cross_entropy` computes softmax, logarithm and mean in
# one call; [lesson 2](02_mlp.ipynb#cross-entropy) explains why that is better than three separate steps.
#
# Most pairs occur many times, so a step does not have to process a row for every character of the list: it is enough to
# weight each pair by its count. That gives the exact gradient over the whole list for the cost of a $V \times V$ table.
# `backward()` computes it and stores it in `W.grad`. PyTorch can do that because it records every operation as it runs:
# this is **autograd**, and [lesson 4](04_backprop_by_hand.ipynb#one-number-at-a-time-scalar-autograd) shows how it
# works. Each step subtracts 50 times the gradient from the weights.

# %%
weight = N / N.sum()  # (V, V)  relative frequency of each pair


def net_loss(W, decay=0.0):
    return -(weight * F.log_softmax(W, 1)).sum() + decay * (W**2).mean()


W.requires_grad_()
assert torch.allclose(net_loss(W), F.cross_entropy(W[xs], ys), atol=1e-4)
steps = 3000
for step in range(steps):
    W.grad = None
    now = net_loss(W)
    now.backward()
    with torch.no_grad():
        W -= 50 * W.grad
    if step % (steps // 5) == 0:
        print(f"step {step:>5}: loss {now.item():.4f}")
print(f"after {steps} steps: {net_loss(W).item():.4f}; counted: {loss.item():.4f}")
assert abs(net_loss(W).item() - loss.item()) < 0.002

# %% [markdown]
# Gradient descent has found the counts. It had to: the relative frequencies are the table with the lowest loss. (The
# derivative of the loss with respect to a logit is $p_{ij}$ minus the relative frequency, times the frequency of row
# $i$. It is zero where the two agree.)

# %%
with torch.no_grad():
    gap = (F.softmax(W, 1) - P).abs()
print(
    f"largest difference of a probability: {gap.max():.3f}; mean, weighted by frequency: {(gap * weight.sum(1, keepdim=True)).sum():.5f}"
)

# %% [markdown]
# **Regularisation** adds a penalty for large weights to the loss. If all weights are zero, every character has the same
# probability, so the penalty pulls the probabilities towards uniform, just as adding to every count does. Here,
# regularisation is smoothing.

# %%
for decay in (0.0, 0.01, 0.1, 1.0):
    Wd = torch.zeros(V, V, requires_grad=True)
    for _ in range(1000):
        net = net_loss(Wd, decay)
        (grad,) = torch.autograd.grad(net, Wd)
        with torch.no_grad():
            Wd -= 20 * grad
    entropy = -(F.softmax(Wd, 1) * F.log_softmax(Wd, 1)).sum(1).mean()
    print(f"decay {decay:>5}: loss {net_loss(Wd):.4f}, perplexity of the rows {entropy.exp():.1f}")

# %% [markdown]
# ## Compared with the library
#
# `moreish` has both models: `bigram-counts`, which adds 1 to every count, and `bigram`. It splits the words into three
# parts, as [lesson 2](02_mlp.ipynb#three-parts-of-the-list) explains. The models learn from *train*, 80% of the words;
# *val* and *test* show how well they do on the others. On the same words, the method of this lesson gives the same
# numbers as the library.

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
# **1. Indexing.** Write `lookup(W, tokens)`, which returns the product of one-hot rows and $W$, but without making
# one-hot rows.

# %%
lookup = ...  # yours: a function of W and tokens
check_index_for_one_hot(lookup, W.detach())


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def solved(W, tokens):
    return W[tokens]  # an index selects rows; one-hot @ W multiplies the other V - 1 rows by zero


assert check_index_for_one_hot(solved, W.detach())

# %% [markdown]
# **2. Trigrams.** Count how often each character follows each *pair* of characters: `T[a, b, c]`. The first character
# of a word follows two end tokens.

# %%
T = ...  # yours: (V, V, V)
check_trigrams(T, words)


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def windows(words):
    """The two previous tokens and the next one of every window of three: (N,) each."""

    def tokens(pattern):  # of all words, each transformed by the pattern
        return torch.tensor([stoi[c] for w in words for c in pattern(w)])

    # Each word w has len(w) + 1 windows. The next tokens are w and an end; the previous ones lag by one and two.
    return tokens(lambda w: (".." + w)[:-1]), tokens(lambda w: "." + w), tokens(lambda w: w + ".")


T = torch.zeros(V, V, V, dtype=torch.int64)
T.index_put_(windows(words), torch.tensor(1), accumulate=True)
assert check_trigrams(T, words)

# %% [markdown]
# **3. The split.** Count trigrams in the *train* words only, and add 1 to each count. What is the loss on train, and
# what is it on val? Compare them with the losses of pairs, `counted.loss`. What do you notice?

# %%
trigram_train, trigram_val = ..., ...  # yours: nats
check_trigram_losses(trigram_train, trigram_val, everything)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. A second letter of context lowers both losses, but train by more than val: most of the V * V * V counts in
# this table are zero or small, so they fit the train words too closely.
T_train = torch.zeros(V, V, V).index_put_(windows(train), torch.tensor(1.0), accumulate=True)


def trigram_loss(added, words):
    Q = (T_train + added) / (T_train + added).sum(2, keepdim=True)
    return -Q[windows(words)].log().mean().item()


gain = {}
for part in ("train", "val"):
    by_trigrams = trigram_loss(1.0, everything.parts[part])
    gain[part] = counted.loss[part] - by_trigrams
    print(f"{part:<5}  pairs {counted.loss[part]:.4f}, trigrams {by_trigrams:.4f}: lower by {gain[part]:.4f}")
assert 0 < gain["val"] < gain["train"]
assert check_trigram_losses(trigram_loss(1.0, train), trigram_loss(1.0, val), everything)

# %% [markdown]
# **4. Smoothing, tuned.** Which number, added to the trigram counts of the train words, gives the lowest loss on the
# *val* words? Try several with a function `trigram_loss(added, words)`, yours or that of the solution above. (Why not
# on the train words? Try it.) Once you have chosen: what is the loss on the *test* words?

# %%
added = ...  # yours: a number
check_tuned_smoothing(added, lambda added: trigram_loss(added, val))

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# Solution. On the train words, the less is added the better: every trigram in them has been counted.
print("    added    train      val")
for amount in (0.001, 0.01, 0.1, 1.0, 10.0):
    print(f"{amount:9} {trigram_loss(amount, train):8.4f} {trigram_loss(amount, val):8.4f}")
tried = [10 ** (k / 20) for k in range(-60, 21)]
best = min(tried, key=lambda added: trigram_loss(added, val))
print(f"best {best:.2f}: val {trigram_loss(best, val):.4f}, test {trigram_loss(best, everything.parts['test']):.4f}")
assert check_tuned_smoothing(best, lambda added: trigram_loss(added, val))
