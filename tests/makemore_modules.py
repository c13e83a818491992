"""The six models of makemore.py, by the names, shapes and formulas of their parameters.

Each maps tokens (B, T), which begin with 0, to logits (B, T, V). Its arguments are the numbers of tokens V, of an
embedding E, of hidden units H, and the longest word with its start, T.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class MakemoreRNN(nn.Module):
    gates = ("h",)

    def __init__(self, V, E, H, T=None):
        super().__init__()
        self.start, self.wte, self.lm_head = nn.Parameter(torch.randn(1, H)), nn.Embedding(V, E), nn.Linear(H, V)
        self.cell = nn.ModuleDict({f"xh_to_{gate}": nn.Linear(E + H, H) for gate in self.gates})

    def gate(self, name, x, h):
        return self.cell[f"xh_to_{name}"](torch.cat([x, h], 1))

    def step(self, x, h):
        return self.gate("h", x, h).tanh()

    def forward(self, tokens):
        h, found = self.start.expand(len(tokens), -1), []
        for x in self.wte(tokens).unbind(1):
            h = self.step(x, h)
            found.append(self.lm_head(h))
        return torch.stack(found, 1)


class MakemoreGRU(MakemoreRNN):
    gates = ("z", "r", "hbar")

    def step(self, x, h):
        r, z = self.gate("r", x, h).sigmoid(), self.gate("z", x, h).sigmoid()
        return (1 - z) * h + z * self.gate("hbar", x, r * h).tanh()


class MakemoreBigram(nn.Module):
    def __init__(self, V, E, H, T):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(V, V))

    def forward(self, tokens):
        return F.embedding(tokens, self.logits)


class MakemoreMLP(nn.Module):
    """Before the start is the token V. A context begins with the newest token."""

    def __init__(self, V, E, H, T):
        super().__init__()
        self.blank, self.T, self.wte = V, T, nn.Embedding(V + 1, E)
        self.mlp = nn.Sequential(nn.Linear(T * E, H), nn.Tanh(), nn.Linear(H, V))

    def forward(self, tokens):
        contexts = F.pad(tokens, (self.T - 1, 0), value=self.blank).unfold(1, self.T, 1)
        return self.mlp(self.wte(contexts.flip(-1)).flatten(-2))


class MakemoreBoW(nn.Module):
    def __init__(self, V, E, H, T):
        super().__init__()
        self.wte, self.wpe, self.lm_head = nn.Embedding(V, E), nn.Embedding(T, E), nn.Linear(E, V)
        mean = nn.Module()
        mean.register_buffer("bias", torch.ones(1, T, T).tril())
        mlp = nn.ModuleDict({"c_fc": nn.Linear(E, H), "c_proj": nn.Linear(H, E)})
        self.context_block = nn.ModuleDict({"cbow": mean, "mlp": mlp})

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        x = x + x.cumsum(1) / torch.arange(1, tokens.shape[1] + 1)[:, None]
        mlp: Any = self.context_block["mlp"]
        return self.lm_head(x + mlp["c_proj"](mlp["c_fc"](x).tanh()))


class MakemoreTransformer(nn.Module):
    def __init__(self, V, E, H, T, n_head=4, n_layer=2):
        super().__init__()
        self.n_head = n_head
        table, places, norm = nn.Embedding(V, E), nn.Embedding(T, E), nn.LayerNorm(E)
        blocks = nn.ModuleList([self.block(E, T) for _ in range(n_layer)])
        self.transformer = nn.ModuleDict({"wte": table, "wpe": places, "h": blocks, "ln_f": norm})
        self.lm_head = nn.Linear(E, V, bias=False)

    def block(self, E, T):
        attention = nn.ModuleDict({"c_attn": nn.Linear(E, 3 * E), "c_proj": nn.Linear(E, E)})
        attention.register_buffer("bias", torch.ones(1, 1, T, T).tril())
        mlp = nn.ModuleDict({"c_fc": nn.Linear(E, 4 * E), "c_proj": nn.Linear(4 * E, E)})
        return nn.ModuleDict({"ln_1": nn.LayerNorm(E), "attn": attention, "ln_2": nn.LayerNorm(E), "mlp": mlp})

    def forward(self, tokens):
        parts: Any = self.transformer
        x = parts["wte"](tokens) + parts["wpe"].weight[: tokens.shape[1]]
        for block in parts["h"]:
            heads = block["attn"]["c_attn"](block["ln_1"](x)).unflatten(-1, (3, self.n_head, -1)).transpose(1, 3)
            mixed = F.scaled_dot_product_attention(*heads.unbind(2), is_causal=True)
            x = x + block["attn"]["c_proj"](mixed.transpose(1, 2).flatten(-2))
            hidden = F.gelu(block["mlp"]["c_fc"](block["ln_2"](x)), approximate="tanh")
            x = x + block["mlp"]["c_proj"](hidden)
        return self.lm_head(parts["ln_f"](x))
