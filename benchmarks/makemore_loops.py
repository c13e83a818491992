"""The loops that benchmarks/peers.py times: training steps of a model in makemore.py, in PyTorch and in moreish."""

from collections.abc import Callable
from typing import Any

import loops
import recurrent_loops
from makemore_training import ADAMW, BATCH, training

from moreish import Corpus
from moreish.models import NETS, NetConfig, make_config

PREPARED = 20  # batches that PyTorch finds packed
LAYERS, HEADS, N_EMBD = 4, 4, 64
# Options that give our models the sizes of those of makemore.py.
EQUAL: dict[str, dict[str, Any]] = {
    "bigram": {},
    "mlp": {"n_embd": N_EMBD, "n_hidden": N_EMBD},
    "bow": {"n_embd": N_EMBD, "n_hidden": N_EMBD},
    "rnn": {"n_embd": N_EMBD, "n_hidden": N_EMBD, "learn_start": True, "dropout": 0.0},
    "gru": {"n_embd": N_EMBD, "n_hidden": N_EMBD, "learn_start": True, "dropout": 0.0, "reset": "before"},
    "transformer": {"n_layer": LAYERS, "n_head": HEADS, "n_embd": N_EMBD, "dropout": 0.0},
}


def makemore_loop(makemore: Any, name: str, words: Any, threads: int) -> Callable[[int], None]:
    """Training steps of makemore.py, which draws and pads the words of a batch at each of them."""
    import torch

    _, step = training(makemore, name, words)

    def loop(n: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(n):
            step()

    return loop


def tape_loop(corpus: Corpus, name: str, longest: int) -> Callable[[int], None] | None:
    """Training steps of moreish for the same model, or None if it has no such model.

    A model of whole words takes as many words as makemore.py, a model with a block size as many characters.
    """
    if name not in NETS:
        return None
    options = EQUAL[name] | ({"block_size": longest + 1} if name == "mlp" else {})
    config: Any = make_config(name, options)
    assert isinstance(config, NetConfig)
    if config.context is None:
        return recurrent_loops.tape_loop(corpus, config, BATCH, shared=True)
    mean = (len(corpus.stream("train")) - 1) / len(corpus.parts["train"])
    return loops.tape_loop(corpus, config, round(BATCH * mean), "adamw")  # pyright: ignore[reportArgumentType]


def packed_loop(corpus: Corpus, longest: int, threads: int) -> Callable[[int], None]:
    """Training steps of the Transformer in eager PyTorch, on words that are packed beforehand.

    All but the attention works on rows of real tokens. For the attention, words are padded to the longest of the batch:
    one call for all words takes less time than one for each length, or one with a block-diagonal mask.
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    V, C, generator = len(corpus.vocab), N_EMBD, torch.Generator().manual_seed(1)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.other_norm = nn.LayerNorm(C), nn.LayerNorm(C)
            self.qkv, self.project = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU("tanh"), nn.Linear(4 * C, C))

        def forward(self, x, places, shape):
            B, T = shape
            padded = x.new_zeros(B * T, 3 * C).index_copy(0, places, self.qkv(self.norm(x)))
            q, k, v = padded.view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).reshape(B * T, C)[places])
            return x + self.mlp(self.other_norm(x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(V, C), nn.Embedding(longest + 1, C)
            self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = nn.LayerNorm(C), nn.Linear(C, V, bias=False)

        def forward(self, tokens, positions, places, shape):
            x = self.tokens(tokens) + self.positions(positions)
            for block in self.blocks:
                x = block(x, places, shape)
            return self.head(self.norm(x))

    encoded = [corpus.vocab.encode(word) for word in corpus.parts["train"]]
    batches = []
    for _ in range(PREPARED):
        some = [encoded[i] for i in torch.randint(0, len(encoded), (BATCH,), generator=generator).tolist()]
        T = max(map(len, some)) + 1
        positions = torch.cat([torch.arange(len(word) + 1) for word in some])
        places = torch.cat([torch.arange(len(word) + 1) + i * T for i, word in enumerate(some)])
        tokens = torch.tensor([token for word in some for token in (0, *word)])
        targets = torch.tensor([token for word in some for token in (*word, 0)])
        batches.append(((tokens, positions, places, (BATCH, T)), targets))
    net = Transformer()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True, **ADAMW)

    def loop(n: int) -> None:
        torch.set_num_threads(threads)
        for i in range(n):
            inputs, targets = batches[i % PREPARED]
            loss = F.cross_entropy(net(*inputs), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return loop
