"""Recurrent nets against PyTorch: its own layers, autograd, and training side by side."""

import dataclasses
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from along_words import read, read_by, relative, words_of
from makemore_modules import MakemoreGRU, MakemoreRNN
from torch import nn

import moreish
from moreish import InputError
from moreish.corpus import Vocab
from moreish.engine.batches import Batches
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw, Steps
from moreish.engine.tape import Tape, WordTape
from moreish.engine.torch.engine import Torch
from moreish.engine.torch.words import WordTorch, gradients_of_words
from moreish.engine.words import WordBatches
from moreish.layers import Dropout, Embedding, FlattenConsecutive, Linear
from moreish.layers.gru import GRU as GRULayer
from moreish.layers.init import Normal
from moreish.layers.layout import Layout
from moreish.models.model import Model
from moreish.models.pytorch import recurrent_weights
from moreish.models.recurrent import GRUConfig as GRU
from moreish.models.recurrent import LSTMConfig as LSTM
from moreish.models.recurrent import RNNConfig as RNN

LETTERS = "abcdefg"
V, E, H = len(LETTERS) + 1, 5, 9
VOCAB = Vocab(LETTERS)
pytestmark = pytest.mark.usefixtures("one_torch_thread")

CONFIGS: dict[str, Any] = {
    "rnn": RNN(n_embd=E, n_hidden=H, dropout=0.0),
    "gru": GRU(n_embd=E, n_hidden=H, dropout=0.0, n_layer=2),
    "gru, reset before": GRU(n_embd=E, n_hidden=H, dropout=0.0, n_layer=2, reset="before", learn_start=True),
    "lstm": LSTM(n_embd=E, n_hidden=H, dropout=0.0, n_layer=2, learn_start=True),
}
DROPOUT: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.2}


@pytest.fixture
def stream(corpus):
    return corpus.stream("train")


def random_weights(layers, seed=3):
    """Weights of about unit scale, so that gates differ, and biases are not zero."""
    layout = Layout(layers)
    return layout.initial(seed, np.float64) + 0.3 * np.random.default_rng(seed).standard_normal(layout.size)


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


MODULES: dict[str, Any] = {
    **{
        f"nn.{kind.__name__}, {n} layers": (
            lambda kind=kind, n=n: Tagger(kind, n),
            config(n_embd=E, n_hidden=H, dropout=0.0, n_layer=n),
        )
        for kind, config in ((nn.RNN, RNN), (nn.GRU, GRU), (nn.LSTM, LSTM))
        for n in (1, 2, 3)
    },
    "makemore's RNN": (lambda: MakemoreRNN(V, E, H), RNN(n_embd=E, n_hidden=H, dropout=0.0, learn_start=True)),
    "makemore's GRU": (
        lambda: MakemoreGRU(V, E, H),
        GRU(n_embd=E, n_hidden=H, dropout=0.0, learn_start=True, reset="before"),
    ),
}


@pytest.fixture(params=MODULES)
def pair(request):
    """A module with random weights, and the config of the model that is the same."""
    make, config = MODULES[request.param]
    torch.manual_seed(4)
    return make().double(), config


@pytest.mark.parametrize("kind", [WordTape, WordTorch])
def test_a_module_of_pytorch_gives_the_same_logits_and_gradients(pair, stream, kind):
    """In float64. The engines compute equal prefixes once, the module reads each word for itself."""
    module, config = pair
    engine, params = kind(config.layers(V), 1, V, np.float64), recurrent_weights(module, config, V)
    batches = WordBatches.drawn(stream, 40, 1)
    packed, words = batches.packed(0), words_of(batches, 0)
    logits, targets = read_by(module, words)
    assert len(packed.contexts) < len(targets)
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    found, grads = engine.loss_and_grads_of_words(params, packed)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    of_words = np.concatenate([read(engine, params, word) for word in words])
    assert relative(of_words, logits.detach().numpy()) <= 1e-10
    for name, parameter in module.named_parameters():  # gradients are converted as weights are
        assert parameter.grad is not None
        if "bias_hh" in name:  # its sum with bias_ih is one bias: of two equal gradients one is left
            parameter.grad[: len(parameter) - H * isinstance(config, GRU)] = 0
        parameter.data = parameter.grad
    layout = Layout(config.layers(V))
    expected = layout.views(recurrent_weights(module, config, V))
    for name, gradient in layout.views(grads).items():
        assert relative(gradient, expected[name]) <= 1e-10, name


def test_a_model_takes_the_weights_of_a_module_and_gives_them_back(pair, stream):
    module, config = pair
    module, model, words = module.float(), Model(config, VOCAB), words_of(WordBatches.drawn(stream, 40, 1), 0)
    assert model.from_torch(module) is model
    logits, targets = read_by(module, words)
    state = torch.get_rng_state()
    back = model.to_torch()
    assert torch.equal(torch.get_rng_state(), state)
    assert not back.training
    assert all(parameter.requires_grad for parameter in back.parameters())
    assert relative(read_by(back, words)[0].detach().numpy(), logits.detach().numpy()) <= 1e-5
    texts = ["".join(LETTERS[token - 1] for token in word) for word in words]
    nll = F.cross_entropy(logits, targets, reduction="none").detach().numpy()
    assert relative(model.nll_of_words(texts)[0], nll) <= 1e-5
    again = Model(config, VOCAB, seed=1).from_torch(back)
    assert again.params.tobytes() == model.params.tobytes()
    kinds = {type(part) for part in back.modules()}
    assert kinds & {nn.RNN, nn.GRU, nn.LSTM} == ({type(module.core)} if isinstance(module, Tagger) else set())


def test_a_module_without_biases_is_one_whose_biases_are_zero(stream):
    torch.manual_seed(5)
    module, config = Tagger(nn.GRU, 2, bias=False), GRU(n_embd=E, n_hidden=H, dropout=0.0, n_layer=2)
    words = words_of(WordBatches.drawn(stream, 20, 1), 0)
    back = Model(config, VOCAB).from_torch(module).to_torch()
    expected = read_by(module, words)[0].detach().numpy()
    assert relative(read_by(back, words)[0].detach().numpy(), expected) <= 1e-5


def test_the_module_of_a_model_goes_on_from_a_state_and_drops_in_training():
    model = Model(LSTM(n_embd=E, n_hidden=H, n_layer=2, dropout=0.5), VOCAB, seed=1)
    module: Any = model.to_torch()
    contexts = torch.tensor([[0, 3, 1, 5], [0, 2, 2, 4]])
    state = module.recurrent(module.embedding(contexts[:, :2]))[1]
    torch.testing.assert_close(module(contexts[:, 2:], state), module(contexts)[:, 2:])
    module.train()
    assert not torch.equal(module(contexts), module(contexts))


def test_a_model_with_labels_has_a_module_for_each(words):
    """Together they are one module, with the label last in a row of contexts."""
    labels = ["ab"[word < "d"] for word in words]
    model = moreish.train(words, "gru", labels=labels, n_hidden=8, n_embd=4, steps=3, batch_size=16).model
    contexts = torch.tensor([[0, 3, 1, 5], [0, 2, 2, 4]])
    for number, label in enumerate("ab"):
        of_label = model.given(label).to_torch()
        assert isinstance(of_label.recurrent, nn.GRU)
        labelled = torch.cat([contexts, torch.full((2, 1), number)], 1)
        torch.testing.assert_close(model.to_torch()(labelled), of_label(contexts))


WRONG = {
    "the module is a gru, and the model is an lstm": (lambda: Tagger(nn.GRU, 1), LSTM()),
    "it has tokens 8, n_embd 5, n_hidden 9, and the model tokens 9, n_embd 64, n_hidden 7": (
        lambda: Tagger(nn.GRU, 1),
        GRU(n_hidden=7),
    ),
    "it has n_layer 2, and the model n_layer 1": (lambda: Tagger(nn.RNN, 2), RNN(n_embd=E, n_hidden=H, dropout=0.0)),
    "it has reset after, and the model reset before": (
        lambda: Tagger(nn.GRU, 1),
        GRU(n_embd=E, n_hidden=H, dropout=0.0, reset="before"),
    ),
    "it has learn_start True, and the model learn_start False": (
        lambda: MakemoreRNN(V, E, H),
        RNN(n_embd=E, n_hidden=H, dropout=0.0),
    ),
    "and one nn.Linear: it has 0, 0 and 1": (lambda: nn.Linear(2, 3), RNN()),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_module_that_does_not_fit_is_refused_in_one_line(says):
    make, config = WRONG[says]
    model = Model(config, Vocab("abcdefgh") if "tokens" in says else VOCAB)
    before = model.params.copy()
    with pytest.raises(InputError) as caught:
        model.from_torch(make())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(model.params, before)


@pytest.mark.parametrize(
    "core",
    [nn.GRU(E, H, bidirectional=True), nn.LSTM(E, H, proj_size=3), nn.RNN(E, H, nonlinearity="relu")],
    ids=["two directions", "projection", "relu"],
)
def test_a_layer_that_has_no_counterpart_is_refused(core):
    module = nn.ModuleList([nn.Embedding(V, E), core, nn.Linear(H, V)])
    kind = {nn.GRU: GRU, nn.LSTM: LSTM, nn.RNN: RNN}[type(core)]
    with pytest.raises(InputError, match="it must be nn.RNN with tanh, nn.GRU or nn.LSTM, in one direction"):
        Model(kind(n_embd=E, n_hidden=H, dropout=0.0), VOCAB).from_torch(module)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
@pytest.mark.parametrize("name", CONFIGS)
def test_two_engines_have_the_same_gradients_and_train_alike(name, shared, stream):
    """In float64, with dropout and a mask on the state, on the same words."""
    config = dataclasses.replace(CONFIGS[name], **DROPOUT)
    layers, batches = config.layers(V), WordBatches.drawn(stream, 24, 3, shared=shared)
    layout, found = Layout(layers), []
    engines: list[Any] = [kind(layers, 1, V, np.float64) for kind in (WordTape, WordTorch)]
    params, packed = random_weights(layers), batches.packed(7)
    (loss, grads), (their_loss, their_grads) = (e.loss_and_grads_of_words(params, packed) for e in engines)
    assert loss == pytest.approx(their_loss, rel=1e-12)
    known = gradients_of_words(layers, params, packed)
    for parameter, gradient in layout.views(grads).items():
        assert relative(gradient, layout.views(their_grads)[parameter]) <= 1e-8
        assert relative(gradient, known[parameter]) <= 1e-8
    dry = dataclasses.replace(config, dropout=0.0, recurrent_dropout=0.0).layers(V)
    assert WordTorch(dry, 1, V, np.float64).loss_and_grads_of_words(params, packed)[0] != pytest.approx(loss, rel=1e-3)
    settings: dict[str, Any] = {"grad_clip": 0.5, "average": 0.95}
    for engine in engines:
        weights, moments = params.copy(), zero_moments("adamw", layout.n_trained, np.float64, settings["average"])
        losses = [
            engine.train(weights, moments, batches, Steps("adamw", 0.1, first, np.full(50, 0.01), **settings))
            for first in (0, 50)
        ]
        words = engine.generate(weights, 30, Draw(seed=2, max_length=9, prefix=[3]))
        found.append((weights, moments, np.concatenate(losses), engine.nll(weights, stream), words))
    assert found[0][2][-20:].mean() < 0.95 * found[0][2][:5].mean()
    for ours, theirs in zip(found[0][:-1], found[1][:-1], strict=True):
        assert relative(ours, theirs) <= 1e-9
    np.testing.assert_array_equal(found[0][-1], found[1][-1])


def test_the_mask_of_the_state_is_one_for_a_batch_and_another_one_for_the_next(stream):
    """A unit whose row of U has no gradient is dropped for all words."""
    config = RNN(n_embd=E, n_hidden=40, dropout=0.0, recurrent_dropout=0.5)
    layers, batches = config.layers(V), WordBatches.drawn(stream, 24, 3)
    engine, params, dropped = WordTorch(layers, 1, V, np.float64), random_weights(layers), []
    for step in range(2):
        grads = engine.loss_and_grads_of_words(params, batches.packed(step))[1]
        dropped.append(~Layout(layers).views(grads)["2.rnn.U"].any(1))
        assert 8 <= dropped[-1].sum() <= 32
    assert (dropped[0] != dropped[1]).any()


def test_a_prediction_needs_no_more_than_the_words(stream):
    """Many words are evaluated in parts; an unfinished one has no end."""
    config = CONFIGS["gru"]
    engine, params = WordTorch(config.layers(V), 1, V, np.float64), random_weights(config.layers(V))
    many = np.concatenate([stream, *[stream[1:]] * 60])
    nll = engine.nll(params, many)
    np.testing.assert_allclose(nll.reshape(61, -1), np.tile(engine.nll(params, stream), (61, 1)), rtol=1e-12)
    np.testing.assert_allclose(engine.nll(params, stream[:-1]), nll[: len(stream) - 2], rtol=1e-12)
    with pytest.raises(ValueError, match="tokens must be from 0"):
        engine.nll(params, np.array([0, V, 0], np.int32))


def test_layers_that_go_along_contexts_train_alike(stream):
    """Contexts of one length, with a new mask at every step."""
    layers = [
        Embedding(V, 6),
        Dropout(0.3, 1),
        Linear(6, 6),
        GRULayer(2, Normal(0.4), dropout=0.3),
        FlattenConsecutive(3),
        Linear(6, V),
    ]
    batches, found = Batches.drawn(stream, 16, 3, 3, False), []
    for engine in (Tape(layers, 3, V, np.float64), Torch(layers, 3, V, np.float64)):
        weights, moments = random_weights(layers), zero_moments("adamw", Layout(layers).n_trained, np.float64)
        losses = engine.train(weights, moments, batches, Steps("adamw", 0.1, 0, np.full(60, 0.01)))
        found.append((weights, losses, engine.nll(weights, stream)))
    for ours, theirs in zip(*found, strict=True):
        assert relative(ours, theirs) <= 1e-9


RUN: dict[str, Any] = {"n_hidden": 12, "n_embd": 4, "batch_size": 32, "steps": 40, "log_every": 10, "device": "cpu"}


def test_a_run_trained_by_pytorch_is_a_run_like_any(words, tmp_path):
    options: dict[str, Any] = {**RUN, **DROPOUT}
    ours = moreish.train(words, "lstm", **options)
    theirs = moreish.train(words, "lstm", **options, engine="torch", out=tmp_path / "run")
    assert theirs.loss == pytest.approx(ours.loss, rel=1e-3)
    loaded = moreish.load(tmp_path / "run")
    assert moreish.evaluate(loaded.model, loaded.corpus).loss == pytest.approx(theirs.loss, rel=1e-5)


def test_both_engines_in_lockstep(words):
    both = moreish.train(words, "gru", **RUN, **DROPOUT, engine="both")
    assert both.model.params.tobytes() == moreish.train(words, "gru", **RUN, **DROPOUT).model.params.tobytes()
    lines = [line for line in both.history if "torch_loss" in line]
    assert lines[-1]["step"] == RUN["steps"]
    for line in lines:
        assert line["tape_loss"] == pytest.approx(line["torch_loss"], rel=1e-3)
        assert 0 < line["gradient_difference"] < 1e-3
        assert 0 < line["weight_difference"] < 1e-3


def test_it_is_not_compiled_by_pytorch(words, tmp_path):
    with pytest.raises(InputError, match="--compile is for models with a block size"):
        moreish.train(words, "gru", **RUN, engine="torch", compile=True, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
def test_the_parts_of_a_batch_are_the_batch(shared, stream):
    """Their losses and gradients add up to those of the whole batch, with the same masks."""
    config = dataclasses.replace(CONFIGS["lstm"], **DROPOUT)
    layers, batches = config.layers(V), WordBatches.drawn(stream, 25, 3, shared=shared)
    engine, params = WordTorch(layers, 1, V, np.float64), random_weights(layers)
    parts = [engine.loss_and_grads_of_words(params, batches.packed(2, part=i, parts=3)) for i in range(3)]
    loss, grads = engine.loss_and_grads_of_words(params, batches.packed(2))
    assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-12)
    assert relative(sum(part[1] for part in parts), grads) <= 1e-12


@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux alone")
@pytest.mark.parametrize("full_batch", [False, True], ids=["drawn", "all words"])
def test_two_processes_reach_the_weights_of_one(words, tmp_path, full_batch):
    """The batch is odd, so that one process has more words; dropout is on, and prefixes are shared."""
    options: dict[str, Any] = {**RUN, **DROPOUT, "engine": "torch", "n_layer": 2, "optimizer": "sgd", "lr": 0.5}
    options["batch_size"] = None if full_batch else 33
    (tmp_path / "words.txt").write_text("\n".join(words))
    given = {f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if value is not None}
    arguments = [word for pair in given.items() for word in pair] + ["--full-batch"] * full_batch
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "moreish", "train"]
    command += [str(tmp_path / "words.txt"), "--model", "gru", *arguments, "--out", str(tmp_path / "two")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    one = moreish.train(words, "gru", **options, full_batch=full_batch or None)
    two = moreish.load(tmp_path / "two")
    np.testing.assert_allclose(two.model.params, one.model.params, atol=1e-5)
    for line, theirs in zip(two.history, one.history, strict=True):
        assert line["step"] == theirs["step"]
        assert line["train"] == pytest.approx(theirs["train"], rel=1e-5)
