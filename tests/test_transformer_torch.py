"""The transformer and the bow against PyTorch: its own layers, autograd, and training side by side."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from along_words import STREAM, read, read_by, relative, steps, train, words_of
from networks import SPREAD, V, weights
from torch import nn

import moreish
from moreish import InputError, Model, Vocab
from moreish.engine.batches import Batches
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw
from moreish.engine.states import state_after
from moreish.engine.tape import PrefixTape, Tape
from moreish.engine.torch.engine import Torch
from moreish.engine.torch.words import PrefixTorch, gradients_of_words
from moreish.engine.words import WordBatches
from moreish.layers import (
    GELU,
    CausalSelfAttention,
    Dropout,
    Embedding,
    FlattenConsecutive,
    Layer,
    LayerNorm,
    Linear,
    PositionalEmbedding,
    Residual,
    TanhGELU,
)
from moreish.layers.layout import Layout
from moreish.models import NetConfig
from moreish.models.bow import BagOfWords
from moreish.models.transformer import TransformerConfig

E, PLACES = 8, 12
SMALL: dict[str, Any] = {"n_embd": E, "n_head": 2, "dropout": 0.0}
CONFIGS: dict[str, NetConfig] = {
    "transformer": TransformerConfig(**SMALL, n_layer=2, n_positions=4),
    "bow": BagOfWords(n_embd=E, n_hidden=9, n_positions=4),
}
ENGINES: tuple[Any, Any] = (PrefixTape, PrefixTorch)
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def wet(name: str) -> list[Layer]:
    """The layers of a config with dropout; a bow has none of its own."""
    config = CONFIGS[name]
    if isinstance(config, TransformerConfig):
        return dataclasses.replace(config, dropout=0.3).layers(V)
    first, *others = config.layers(V)
    return [first, Dropout(0.3, 1), *others]


class Decoder(nn.Module):
    """A Transformer of PyTorch's own layers."""

    def __init__(self, n_layer: int, n_head: int):
        super().__init__()
        self.table, self.places = nn.Embedding(V, E), nn.Embedding(PLACES, E)
        kind, options = nn.TransformerEncoderLayer, {"batch_first": True, "norm_first": True}
        self.blocks: Any = nn.ModuleList(kind(E, n_head, 4 * E, 0.0, "gelu", **options) for _ in range(n_layer))
        self.norm, self.out = nn.LayerNorm(E), nn.Linear(E, V)

    def forward(self, contexts):
        x, T = self.table(contexts) + self.places.weight[: contexts.shape[1]], contexts.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=x.dtype)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.out(self.norm(x))

    def tensors(self):
        """Its parameters in the order of our layers."""
        found = [self.table.weight, self.places.weight]
        for block in self.blocks:
            found += [*block.norm1.parameters(), block.self_attn.in_proj_weight, block.self_attn.in_proj_bias]
            found += [*block.self_attn.out_proj.parameters(), *block.norm2.parameters()]
            found += [*block.linear1.parameters(), *block.linear2.parameters()]
        return [*found, *self.norm.parameters(), *self.out.parameters()]


class Attention(nn.Module):
    """Attention of PyTorch between an embedding and the logits, which are what it gives out."""

    def __init__(self, n_head: int):
        super().__init__()
        self.table, self.core = nn.Embedding(V, 2 * V), nn.MultiheadAttention(2 * V, n_head, batch_first=True)
        self.out = nn.Linear(2 * V, V)

    def forward(self, contexts):
        x, T = self.table(contexts), contexts.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=x.dtype)
        return self.out(self.core(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0])

    def tensors(self):
        core = self.core
        return [
            self.table.weight,
            core.in_proj_weight,
            core.in_proj_bias,
            *core.out_proj.parameters(),
            *self.out.parameters(),
        ]


def exact(layers: list[Layer]) -> list[Layer]:
    """Layers with GELU for its approximation."""
    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            layer = Residual(tuple(exact([*layer.layers])))
        found.append(GELU() if isinstance(layer, TanhGELU) else layer)
    return found


def attention(n_head: int) -> list[Layer]:
    W = 2 * V
    return [
        Embedding(V, W),
        Linear(W, 3 * W, SPREAD, SPREAD),
        CausalSelfAttention(W, n_head),
        Linear(W, W, SPREAD, SPREAD),
        Linear(W, V, SPREAD, SPREAD),
    ]


def decoder(n_layer: int, n_head: int) -> list[Layer]:
    return exact(TransformerConfig(n_layer=n_layer, n_head=n_head, n_embd=E, n_positions=PLACES, dropout=0).layers(V))


MODULES: dict[str, tuple[Any, list[Layer]]] = {
    "nn.TransformerEncoderLayer": (lambda: Decoder(1, 2), decoder(1, 2)),
    "three of them": (lambda: Decoder(3, 4), decoder(3, 4)),
    **{f"nn.MultiheadAttention, {n} heads": (lambda n=n: Attention(n), attention(n)) for n in (1, 2, 7)},
}


def flat(layers: list[Layer], tensors: list[Any]) -> np.ndarray:
    """Tensors of PyTorch as our parameters: matrices of its linear maps are transposed."""
    found = np.zeros(Layout(layers).size)
    for slot, tensor in zip(Layout(layers), tensors, strict=True):
        array = tensor.detach().numpy()
        slot.view(found)[:] = array.T if slot.parameter.name == "W" else array
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_pytorch_gives_the_same_logits_and_gradients(name, engine):
    """In float64. The engines compute equal prefixes once, the module reads each word for itself."""
    make, layers = MODULES[name]
    torch.manual_seed(4)
    module = make().double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    params, batches = flat(layers, module.tensors()), WordBatches.drawn(STREAM, 40, 1)
    packed, words = batches.packed(0), words_of(batches, 0)
    logits, targets = read_by(module, words)
    assert len(packed.contexts) < len(targets)
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    ours = engine(layers, 1, V, np.float64)
    found, grads = ours.loss_and_grads_of_words(params, packed)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    assert relative(np.concatenate([read(ours, params, word) for word in words]), logits.detach().numpy()) <= 1e-10
    views, known = (
        Layout(layers).views(a) for a in (grads, flat(layers, [tensor.grad for tensor in module.tensors()]))
    )
    for slot, gradient in views.items():
        assert relative(gradient, known[slot]) <= 1e-8, slot


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
@pytest.mark.parametrize("name", CONFIGS)
def test_two_engines_have_the_same_gradients_and_train_alike(name, shared):
    """In float64, with dropout, also of the weights of attention, on the same words."""
    layers, batches = wet(name), WordBatches.drawn(STREAM, 24, 3, shared=shared)
    layout, found = Layout(layers), []
    engines = [kind(layers, 1, V, np.float64) for kind in ENGINES]
    params, packed = 0.5 * weights(layers), batches.packed(7)
    (loss, grads), (their_loss, their_grads) = (e.loss_and_grads_of_words(params, packed) for e in engines)
    assert loss == pytest.approx(their_loss, rel=1e-10)
    known = gradients_of_words(layers, params, packed)
    for parameter, gradient in layout.views(grads).items():
        assert relative(gradient, layout.views(their_grads)[parameter]) <= 1e-10
        assert relative(gradient, known[parameter]) <= 1e-10
    dry = PrefixTorch(CONFIGS[name].layers(V), 1, V, np.float64)
    assert dry.loss_and_grads_of_words(params, packed)[0] != pytest.approx(loss, rel=1e-3)
    for engine in engines:
        reached, moments = params.copy(), zero_moments("adamw", layout.n_trained, np.float64, 0.95)
        losses = [
            train(engine, reached, moments, batches, steps(20, first=first, grad_clip=0.5, average=0.95))
            for first in (0, 20)
        ]
        words = engine.generate(reached, 30, Draw(seed=2, max_length=9, prefix=[3]))
        found.append((reached, moments, np.concatenate(losses), engine.nll(reached, STREAM), words))
    assert found[0][2][-10:].mean() < 0.95 * found[0][2][:5].mean()
    for ours, theirs in zip(found[0][:-1], found[1][:-1], strict=True):
        assert relative(ours, theirs) <= 1e-9
    np.testing.assert_array_equal(found[0][-1], found[1][-1])


@pytest.mark.parametrize("p", [0.0, 0.4])
def test_dropout_of_attention_alone_is_the_same_in_both_engines(p):
    """The other dropouts are off, so that the gradients differ by these masks alone."""
    W = 6
    layers: list[Layer] = [Embedding(V, 3 * W), CausalSelfAttention(W, 3, p, 9), Linear(W, V, SPREAD)]
    batches, params, losses = WordBatches.drawn(STREAM, 24, 3), weights(layers), set()
    for step in range(3):
        (loss, grads), (theirs, their_grads) = (
            kind(layers, 1, V, np.float64).loss_and_grads_of_words(params, batches.packed(step)) for kind in ENGINES
        )
        assert loss == pytest.approx(theirs, rel=1e-12)
        assert relative(grads, their_grads) <= 1e-10
        losses.add(loss)
    assert len(losses) == 3


@pytest.mark.parametrize("name", CONFIGS)
def test_both_engines_read_and_draw_alike(name):
    """By states, with labels given, and in whole words; in float64, in which no rounding decides a draw."""
    layers = CONFIGS[name].layers(V)
    params, (tape, other) = 0.5 * weights(layers), (kind(layers, 1, V, np.float64) for kind in ENGINES)
    assert relative(tape.nll(params, STREAM), other.nll(params, STREAM)) <= 1e-12
    states = np.concatenate([state_after(tape, params, prefix) for prefix in ([], [1, 2], [1], [1, 2], [6] * 9)])
    np.testing.assert_array_equal(states[3], state_after(other, params, [1, 2])[0])
    assert relative(tape.logits(params, states), other.logits(params, states)) <= 1e-12
    for draw in (Draw(seed=1), Draw(seed=1, prefix=[2, 2], temperature=0.7, top_p=0.9, max_length=15)):
        np.testing.assert_array_equal(tape.generate(params, 60, draw), other.generate(params, 60, draw))
    longer = state_after(other, params, [1] * 255)
    with pytest.raises(InputError, match="over 255 characters"):
        other.after(params, longer, np.array([1]))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parts_of_a_batch_are_the_batch(name):
    """Their losses and gradients add up to those of the whole batch, with the same masks; with labels too."""
    labels = np.random.default_rng(1).integers(0, 3, 60)
    for layers, of_words in ((wet(name), None), (CONFIGS[name].layers(V, 3), labels)):
        batches = WordBatches.drawn(STREAM, 25, 3, of_words)
        engine, params = PrefixTorch(layers, 1 + (of_words is not None), V, np.float64), 0.5 * weights(layers)
        parts = [engine.loss_and_grads_of_words(params, batches.packed(2, part=i, parts=3)) for i in range(3)]
        loss, grads = engine.loss_and_grads_of_words(params, batches.packed(2))
        assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-12)
        assert relative(sum(part[1] for part in parts), grads) <= 1e-12


def test_attention_along_contexts_trains_alike():
    """Contexts of one length, with a new mask at every step."""
    block = Residual((LayerNorm(6), Linear(6, 18), CausalSelfAttention(6, 2, 0.3, 2), Dropout(0.2, 3)))
    layers: list[Layer] = [Embedding(V, 6), PositionalEmbedding(2, 6), block, FlattenConsecutive(3), Linear(18, V)]
    batches, found = Batches.drawn(STREAM, 16, 3, 3, False), []
    for engine in (Tape(layers, 3, V, np.float64), Torch(layers, 3, V, np.float64)):
        params, moments = 0.5 * weights(layers), zero_moments("adamw", Layout(layers).n_trained, np.float64)
        losses = train(engine, params, moments, batches, steps(30))
        found.append((params, losses, engine.nll(params, STREAM)))
    for ours, theirs in zip(*found, strict=True):
        assert relative(ours, theirs) <= 1e-9


# Runs


RUN: dict[str, dict[str, Any]] = {
    "transformer": {"n_layer": 1, "n_head": 2, "n_embd": 8, "dropout": 0.2},
    "bow": {"n_embd": 8, "n_hidden": 8},
}
TRAINED: dict[str, Any] = {"batch_size": 32, "steps": 30, "log_every": 10, "device": "cpu"}


@pytest.mark.parametrize("model", RUN)
def test_a_run_trained_by_pytorch_is_a_run_like_any(model, words, tmp_path):
    ours = moreish.train(words, model, **RUN[model], **TRAINED)
    theirs = moreish.train(words, model, **RUN[model], **TRAINED, engine="torch", out=tmp_path / "run")
    assert theirs.loss == pytest.approx(ours.loss, rel=1e-3)
    loaded = moreish.load(tmp_path / "run")
    assert moreish.evaluate(loaded.model, loaded.corpus).loss == pytest.approx(theirs.loss, rel=1e-5)


@pytest.mark.parametrize("model", RUN)
def test_both_engines_in_lockstep(model, words):
    both = moreish.train(words, model, **RUN[model], **TRAINED, engine="both")
    assert both.model.params.tobytes() == moreish.train(words, model, **RUN[model], **TRAINED).model.params.tobytes()
    lines = [line for line in both.history if "torch_loss" in line]
    assert lines[-1]["step"] == TRAINED["steps"]
    for line in lines:
        assert line["tape_loss"] == pytest.approx(line["torch_loss"], rel=1e-3)
        assert 0 < line["gradient_difference"] < 1e-3
        assert 0 < line["weight_difference"] < 1e-3


def test_it_is_not_compiled_by_pytorch(words, tmp_path):
    with pytest.raises(InputError, match="--compile is for models with a block size"):
        moreish.train(words, "bow", **RUN["bow"], **TRAINED, engine="torch", compile=True, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_gives_its_weights_to_a_module_and_takes_them_back(name):
    model = Model(CONFIGS[name], Vocab("abcdef"), seed=3)
    model.params[:] = 0.5 * weights(model.layers, np.float32)
    module, words = model.to_torch(), words_of(WordBatches.drawn(STREAM, 20, 1), 0)
    assert not module.training
    logits = np.concatenate([read(model.engine, model.params, word) for word in words])
    assert relative(read_by(module, words)[0].detach().numpy(), logits) <= 1e-5
    again = Model(CONFIGS[name], Vocab("abcdef"), seed=1).from_torch(module)
    assert again.params.tobytes() == model.params.tobytes()
