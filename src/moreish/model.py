"""A model: its config, a vocabulary, and the flat weights of its layers."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .corpus import END, Corpus, Vocab
from .engines import Reader, make_engine, need_torch
from .errors import InputError
from .layers import Layer
from .layers.layout import Layout
from .models import KINDS, ModelConfig, NetConfig, ReaderConfig
from .tape import Draw

if TYPE_CHECKING:
    from torch import nn

LONGEST_SAMPLE = 10_000  # characters


@dataclass(frozen=True)
class Score:
    """How likely a word is under a model.

    per_char    nats of each character in turn, then of the end of the word
    nll         their mean: nats a token
    """

    word: str
    per_char: list[float]

    @property
    def nll(self) -> float:
        return sum(self.per_char) / len(self.per_char)


class Model:
    """A model that scores and draws words.

    config  its options; vocab  its characters; params  its weights, flat (layout.size,) float32, if it has layers
    arrays  what a counted model has counted, or what a mixture is made of, by name
    """

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocab,
        params: np.ndarray | None = None,
        seed: int = 42,
        arrays: dict[str, np.ndarray] | None = None,
    ):
        self.config, self.vocab, self.arrays = config, vocab, arrays or {}
        self.layers: list[Layer] = config.layers(len(vocab)) if isinstance(config, NetConfig) else []
        self.layout = Layout(self.layers)
        self.params = self.layout.initial(seed) if params is None else np.ascontiguousarray(params, np.float32)

    @property
    def name(self) -> str:
        """The name of its kind."""
        return next(name for name, kind in KINDS.items() if kind is type(self.config))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Every parameter by name, as views in their shapes: to change one is to change the model."""
        return self.arrays or self.layout.views(self.params)

    @property
    def n_parameters(self) -> int:
        """How many numbers were learnt, by training or by counting."""
        if isinstance(self.config, ReaderConfig):
            return self.config.n_parameters(self.arrays)
        return self.layout.n_trained

    @cached_property
    def engine(self) -> Reader:
        """What reads and draws words: for layers the tape, unless another is put in its place."""
        if isinstance(self.config, ReaderConfig):
            return self.config.reader(self.arrays, len(self.vocab))
        return make_engine("tape", self.layers, self.config.context, len(self.vocab))

    def to_torch(self) -> "nn.Module":
        """A torch.nn.Module from contexts (B, T), int64, to logits (B, V), with a copy of the weights, in eval mode.

        Layers over whole words give (B, L, V), for contexts (B, T - 1 + L).

        Raises InputError if PyTorch is missing, and for a model that has no layers.
        """
        need_torch("Model.to_torch")
        self.need_layers("made a module of")
        import torch

        from .autograd import to_module

        return to_module(self.layers, torch.from_numpy(self.params.copy())).eval()

    def from_torch(self, module: "nn.Module") -> "Model":
        """Take over the weights of a module that `to_torch` made, perhaps trained since; returns the model.

        Raises InputError if its parameters are not those of this model.
        """
        theirs = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
        mine = {
            f"{i}.{slot.parameter.name}": slot.view(self.params)
            for i, slots in enumerate(self.layout.slots)
            for slot in slots
        }
        if {k: w.shape for k, w in theirs.items()} != {k: w.shape for k, w in mine.items()}:
            raise InputError(f"the module's parameters are not those of this model: {', '.join(theirs) or 'none'}")
        for name, weight in mine.items():
            weight[...] = theirs[name]
        return self

    def need_layers(self, what: str) -> None:
        """Raise InputError if this is no list of layers; what is what cannot be done then."""
        if not self.layers:
            raise InputError(f"a {self.name} is no net: it has no layers, so it cannot be {what}")

    def check_vocab(self, corpus: Corpus) -> None:
        """Raise InputError if a corpus does not have this model's vocabulary."""
        if corpus.vocab != self.vocab:
            raise InputError(
                f"the corpus has the characters {corpus.vocab.characters}, the model {self.vocab.characters}"
            )

    def nll(self, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of each token of a flat stream (see `Corpus.stream`) after its first 0, float64 (N,)."""
        return self.engine.nll(self.params, stream)

    def score(self, word: str) -> Score:
        """Score one word. Raises InputError for an empty word or a character that the model does not know."""
        if not word:
            raise InputError("an empty word has no score")
        tokens = np.array([0, *self.vocab.encode(word), 0], np.int32)
        return Score(word, self.nll(tokens).tolist())

    def next(self, prefix: str = "", *, temperature: float = 1.0) -> dict[str, float]:
        """The probability of each character after a prefix; "" stands for the end of the word.

        temperature     below 1 sharpens, above 1 flattens

        Raises InputError for a character that the model does not know, and a temperature that is not positive.
        """
        if not 0 < temperature < float("inf"):
            raise InputError(f"temperature is {temperature}: it must be a number above 0")
        tokens, T = self.vocab.encode(prefix), self.config.context
        context = np.array([([END] * T + tokens)[len(tokens) :]], np.int64)
        logits = self.engine.logits(self.params, context)[0].astype(np.float64)
        with np.errstate(over="ignore"):  # what is far below the largest, near a temperature of 0, weighs nothing
            weights = np.exp((logits - logits.max()) / temperature)
        return dict(zip(["", *self.vocab.characters], (weights / weights.sum()).tolist(), strict=True))

    def sample(
        self,
        n: int = 20,
        *,
        seed: int = 42,
        temperature: float = 1.0,
        top_k: int = 0,
        prefix: str = "",
        max_length: int | None = None,
    ) -> list[str]:
        """Draw n words.

        temperature     below 1 keeps to the likely, above 1 ventures; 0 always takes the likeliest character
        top_k           draw among the k likeliest characters only; 0 for all
        prefix          what every word begins with
        max_length      longest word, in characters; None for 50 more than the prefix has

        The same seed draws the same words. No word is empty. Raises InputError for values out of range and for a
        prefix with characters that the model does not know.
        """
        if not 0 <= n < 1 << 31:
            raise InputError(f"the number of samples is {n}: it must be from 0 to {(1 << 31) - 1:,}")
        if not 0 <= temperature < float("inf"):
            raise InputError(f"temperature is {temperature}: it must be a number from 0")
        if top_k < 0:
            raise InputError(f"top-k is {top_k}: it must be at least 1, or 0 for all characters")
        if not 0 <= seed < 1 << 63:
            raise InputError(f"seed is {seed}: it must be from 0 to 2**63 - 1")
        tokens = self.vocab.encode(prefix)
        longest = len(tokens) + 50 if max_length is None else max_length
        if not max(len(tokens), 1) <= longest <= LONGEST_SAMPLE:
            raise InputError(
                f"max-length is {longest}: it must be at least 1, and the prefix has {len(tokens)} characters"
            )
        if n == 0:
            return []
        draw = Draw(tokens, temperature, min(top_k, len(self.vocab)), seed, longest)
        return self.vocab.split(self.engine.generate(self.params, n, draw))
