"""Recurrent nets against PyTorch: its own layers, autograd, and training side by side."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import moreish
from moreish import InputError
from moreish.corpus import Vocab
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw, Steps
from moreish.engine.tape import WordTape
from moreish.engine.torch.words import WordTorch, gradients_of_words
from moreish.engine.words import WordBatches
from moreish.layers.layout import Layout
from moreish.models import GRU, LSTM, RNN
from moreish.models.model import Model
from moreish.models.pytorch import recurrent_weights

LETTERS = "abcdefg"
V, E, H = len(LETTERS) + 1, 5, 9
VOCAB = Vocab(LETTERS)
pytestmark = pytest.mark.usefixtures("one_torch_thread")

CONFIGS: dict[str, Any] = {
    "rnn": RNN(n_embd=E, n_hidden=H),
    "gru": GRU(n_embd=E, n_hidden=H, n_layer=2),
    "gru, reset before": GRU(n_embd=E, n_hidden=H, n_layer=2, reset="before", learn_start=True),
    "lstm": LSTM(n_embd=E, n_hidden=H, n_layer=2, learn_start=True),
}
DROPOUT: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.2}


@pytest.fixture
def stream(corpus):
    return corpus.stream("train")


def random_weights(layers, seed=3):
    """Weights of about unit scale, so that gates differ, and biases are not zero."""
    layout = Layout(layers)
    return layout.initial(seed, np.float64) + 0.3 * np.random.default_rng(seed).standard_normal(layout.size)


def relative(ours, theirs):
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


class Tagger(nn.Module):
    """A net as people write it, with a recurrent layer of PyTorch somewhere in it."""

    def __init__(self, kind, n_layer, bias=True):
        super().__init__()
        self.parts = nn.ModuleDict({"out": nn.Linear(H, V, bias=bias), "table": nn.Embedding(V, E)})
        self.core = kind(E, H, n_layer, bias=bias)  # time comes first
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(self, contexts):
        return self.parts["out"](self.core(self.parts["table"](contexts).transpose(0, 1))[0].transpose(0, 1))


class MakemoreRNN(nn.Module):
    """The names and shapes of makemore's RNN."""

    gates = ("h",)

    def __init__(self):
        super().__init__()
        self.start, self.wte, self.lm_head = nn.Parameter(torch.randn(1, H)), nn.Embedding(V, E), nn.Linear(H, V)
        self.cell = nn.ModuleDict({f"xh_to_{gate}": nn.Linear(E + H, H) for gate in self.gates})

    def gate(self, name, x, h):
        return self.cell[f"xh_to_{name}"](torch.cat([x, h], 1))

    def step(self, x, h):
        return self.gate("h", x, h).tanh()

    def forward(self, contexts):
        h, found = self.start.expand(len(contexts), -1), []
        for x in self.wte(contexts).unbind(1):
            h = self.step(x, h)
            found.append(self.lm_head(h))
        return torch.stack(found, 1)


class MakemoreGRU(MakemoreRNN):
    """The same for its GRU."""

    gates = ("z", "r", "hbar")

    def step(self, x, h):
        r, z = self.gate("r", x, h).sigmoid(), self.gate("z", x, h).sigmoid()
        return (1 - z) * h + z * self.gate("hbar", x, r * h).tanh()


MODULES: dict[str, Any] = {
    **{
        f"nn.{kind.__name__}, {n} layers": (lambda kind=kind, n=n: Tagger(kind, n), config(n_embd=E, n_hidden=H, n_layer=n))
        for kind, config in ((nn.RNN, RNN), (nn.GRU, GRU), (nn.LSTM, LSTM))
        for n in (1, 2, 3)
    },
    "nn.GRU without biases": (lambda: Tagger(nn.GRU, 2, bias=False), GRU(n_embd=E, n_hidden=H, n_layer=2)),
    "makemore's RNN": (MakemoreRNN, RNN(n_embd=E, n_hidden=H, learn_start=True)),
    "makemore's GRU": (MakemoreGRU, GRU(n_embd=E, n_hidden=H, learn_start=True, reset="before")),
}


@pytest.fixture(params=MODULES)
def pair(request):
    """A module with random weights, and the config of the model that is the same."""
    make, config = MODULES[request.param]
    torch.manual_seed(4)
    return make().double(), config


def padded(words):
    """Words of tokens as contexts (B, T) that begin with 0, targets (B, T), and which of these there are."""
    T = 1 + max(map(len, words))
    contexts, targets, there = np.zeros((len(words), T), np.int64), np.zeros((len(words), T), np.int64), []
    for i, word in enumerate(words):
        contexts[i, 1 : len(word) + 1], targets[i, : len(word)] = word, word
        there.append(np.arange(T) <= len(word))
    return torch.from_numpy(contexts), torch.from_numpy(targets), torch.from_numpy(np.array(there))


def words_of(packed_words):
    stream, begins = packed_words.stream, packed_words.begins
    return [stream[b : b + n] for b, n in zip(begins, packed_words.lengths(), strict=True)]


def test_a_module_of_pytorch_has_the_same_logits_and_gradients(pair, stream):
    """In float64, on the same words: the tape shares the rows of equal prefixes, the module reads each word for itself."""
    module, config = pair
    batches, params = WordBatches.drawn(stream, 40, 1), recurrent_weights(module, config, V)
    contexts, targets, there = padded(words_of(batches.words(0)))
    logits = module(contexts)
    loss = F.cross_entropy(logits[there], targets[there])
    loss.backward()
    tape = WordTape(config.layers(V), 1, V, np.float64)
    packed = batches.packed(0)
    assert len(packed.contexts) < there.sum(), "some prefixes are shared"
    found, grads = tape.loss_and_grads_of_words(params, packed)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    for parameter in module.parameters():  # the gradients take the same way as the weights
        parameter.data = parameter.grad
    expected = recurrent_weights(module, config, V)
    ours, theirs = Layout(tape.layers).views(grads), Layout(tape.layers).views(expected)
    for name, gradient in ours.items():
        if is_sum(name, config):
            continue
        assert relative(gradient, theirs[name]) <= 1e-8, name
    state, of_word = tape.begin(params), contexts[0][1:][there[0][1:]]
    for token, row in zip([None, *of_word.tolist()], logits[0].detach().numpy(), strict=False):
        state = state if token is None else tape.after(params, state, np.array([token]))
        assert relative(tape.logits(params, state)[0], row) <= 1e-10
