"""A model: its config, a vocabulary, and the flat weights of its layers."""

import math
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..corpus import END, Corpus, Vocab
from ..engine.protocol import Reader
from ..engine.registry import make_engine, require_torch
from ..errors import InputError
from ..layers import Layer
from ..layers.layout import Layout
from ..sampling import Candidates, Constraints, Samples, SamplingModel, SamplingOptions, most_likely, sample
from . import ALL_MODELS, ModelConfig, NetConfig, ReaderConfig

if TYPE_CHECKING:
    from torch import nn

UNKNOWN_NLL = math.log(0x110000)  # nats of an unknown character: uniform over the code points of Unicode


@dataclass(frozen=True)
class Score:
    """Score of a word under a model.

    per_char    nll in nats of each character in order, then of the end of the word
    unknown     positions of the characters that the model does not know
    nll         mean of per_char, in nats per token
    bits        the same in bits per token
    percentile  from a `Scorer`: percentage of the train words of similar length that are less likely
    likely      from a `Scorer`: True if the word could belong to the list
    """

    word: str
    per_char: list[float]
    unknown: list[int] = field(default_factory=list)
    percentile: float | None = None
    likely: bool | None = None

    @property
    def nll(self) -> float:
        return sum(self.per_char) / len(self.per_char)

    @property
    def bits(self) -> float:
        return self.nll / math.log(2)


class Model:
    """A model that scores and draws words.

    config  the model's options
    vocab   the characters that it knows
    params  the weights of its layers, flat, float32 (layout.size,); drawn from `seed` if None
    arrays  the arrays of a model without layers (counts, or the models of a mixture), by name
    longest characters of the longest word of the list that it was trained on; None until a `Run` sets it
    """

    longest: int | None = None

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

    def __repr__(self) -> str:
        return f"Model({self.name}, {self.n_parameters:,} parameters, {len(self.vocab) - 1:,} characters)"

    def __getstate__(self) -> dict[str, Any]:
        """State without the engine, which holds compiled code and is made again."""
        return {name: value for name, value in vars(self).items() if name != "engine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state; an array that arrives in read-only memory is copied, because compiled code takes none."""
        vars(self).update(state)
        self.params = np.require(self.params, requirements=("C", "A", "W"))
        self.arrays = {name: np.require(array, requirements=("C", "A", "W")) for name, array in self.arrays.items()}

    @property
    def name(self) -> str:
        """Name of the model, such as "mlp"."""
        return next(name for name, kind in ALL_MODELS.items() if kind is type(self.config))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """All parameters by name, as views in their shapes; changing a view changes the model."""
        return self.arrays or self.layout.views(self.params)

    @property
    def n_parameters(self) -> int:
        """Number of parameters learnt, by training or by counting."""
        if isinstance(self.config, ReaderConfig):
            return self.config.n_parameters(self.arrays)
        return self.layout.n_trained

    @cached_property
    def engine(self) -> Reader:
        """The engine that reads and draws words: the tape, or the reader of a model that has no layers."""
        if isinstance(self.config, ReaderConfig):
            return self.config.reader(self.arrays, len(self.vocab))
        return make_engine("tape", self.layers, self.config.context, len(self.vocab))

    def to_torch(self) -> "nn.Module":
        """Return a torch.nn.Module from contexts (B, T), int64, to logits (B, V): a copy of the model, in eval mode.

        The module of a model over whole words maps contexts (B, T - 1 + L) to logits (B, L, V).

        Raises InputError if PyTorch is missing, and for a model without layers.
        """
        require_torch("Model.to_torch")
        self.need_layers("converted to a module")
        import torch

        from ..engine.torch.engine import to_module

        return to_module(self.layers, torch.from_numpy(self.params.copy())).eval()

    def from_torch(self, module: "nn.Module") -> "Model":
        """Copy the weights of a module that `to_torch` returned, and return the model.

        Raises InputError if the module's parameters do not match the model's.
        """
        theirs = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
        own = {
            f"{i}.{slot.parameter.name}": slot.view(self.params)
            for i, slots in enumerate(self.layout.slots)
            for slot in slots
        }
        if {k: w.shape for k, w in theirs.items()} != {k: w.shape for k, w in own.items()}:
            raise InputError(f"the module's parameters are not those of this model: {', '.join(theirs) or 'none'}")
        for name, weight in own.items():
            weight[...] = theirs[name]
        return self

    def need_layers(self, action: str) -> None:
        """Raise InputError if the model has no layers, so that it cannot be `action` ("traced", for example)."""
        if not self.layers:
            raise InputError(f"the {self.name} model is not a net: it has no layers, so it cannot be {action}")

    def check_vocab(self, corpus: Corpus) -> None:
        """Raise InputError if the vocabulary of a corpus is not that of the model."""
        if corpus.vocab != self.vocab:
            raise InputError(
                f"the corpus has the characters {corpus.vocab.characters}, the model {self.vocab.characters}"
            )

    def nll(self, stream: np.ndarray) -> np.ndarray:
        """Return the nll in nats of each token after the first of a flat stream (see `Corpus.stream`), float64 (N,)."""
        return self.engine.nll(self.params, stream)

    def nll_of_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the nll in nats of each token of words in NFC, float64 (N,), and which tokens are unknown, bool (N,).

        A word may contain any characters. One that the model does not know costs `UNKNOWN_NLL` nats, as if all code
        points of Unicode were equally likely; the character after it is scored as the first of a word. An empty word
        has one token, its end.
        """
        stream, unknown = self.vocab.stream_of_any(words)
        nll = self.nll(stream)
        nll[unknown] = UNKNOWN_NLL
        return nll, unknown

    def score(self, word: str) -> Score:
        """Score one word; it may contain any characters (see `nll_of_words`). Raises InputError for an empty word."""
        if not word:
            raise InputError("an empty word has no score")
        word = unicodedata.normalize("NFC", word)
        nll, unknown = self.nll_of_words([word])
        return Score(word, nll.tolist(), np.flatnonzero(unknown).tolist())

    @property
    def sampling_model(self) -> SamplingModel:
        """The model with the interface that sampling uses."""
        contexts = self.config.contexts(self.engine, self.params, len(self.vocab))
        return SamplingModel(self.vocab, self.engine, self.params, contexts, self.longest)

    def next(self, prefix: str = "", *, temperature: float = 1.0) -> dict[str, float]:
        """Return the probability of each character after a prefix; "" is the end of the word.

        temperature     values below 1 make likely characters more likely, values above 1 make all more equal

        Raises InputError for a character that the model does not know, and for a temperature that is not positive.
        """
        if not 0 < temperature < float("inf"):
            raise InputError(f"temperature is {temperature}: it must be a number above 0")
        tokens, T = self.vocab.encode(prefix), self.config.context
        context = np.array([([END] * T + tokens)[len(tokens) :]], np.int64)
        logits = self.engine.logits(self.params, context)[0].astype(np.float64)
        with np.errstate(over="ignore"):  # near a temperature of 0 a logit below the largest becomes -inf: weight 0
            weights = np.exp((logits - logits.max()) / temperature)
        return dict(zip(["", *self.vocab.characters], (weights / weights.sum()).tolist(), strict=True))

    def sample(
        self,
        n: int = 20,
        *,
        seed: int = 42,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        prefix: str = "",
        suffix: str = "",
        contains: str = "",
        pattern: str = "",
        min_length: int = 1,
        max_length: int | None = None,
        forbid: str = "",
        require: str = "",
        near: str = "",
        edits: int | None = None,
        gap: str = "",
        avoid: Collection[str] = (),
        distinct: bool = False,
        tries: int | None = None,
        on_progress: Callable[[int, int], None] = lambda found, tried: None,
    ) -> Samples:
        """Draw n words that satisfy the constraints, each exactly as often as the model generates it among these words.

        temperature     values below 1 make likely characters more likely, values above 1 make all more equal; 0 always
                        takes the most likely character
        top_k           draw from the k most likely characters only; 0 for all
        top_p           draw from the fewest characters with this total probability; 1 for all
        prefix, suffix, contains        text that every word begins with, ends with or contains
        pattern         pattern that every word matches: ? is any character, * any number of them, [aeiou] or [a-f] one
                        of these, [^xyz] any other; a backslash takes the next character literally
        gap             word with gaps, such as jo__than: _ is any character, and a pattern's signs are allowed
        min_length, max_length          in characters. Without max_length a word is drawn again if it is over 2 L + 10
                        characters longer than the shortest that fits, where L is the length of the list's longest word,
                        or over 1,000
        forbid, require characters that no word contains, and that every word contains
        near, edits     word that every word is a number of edits away from (1 by default)
        avoid           words to leave out; corpus.words for new words only
        distinct        draw each word only once
        tries           words to draw at most if not all of them fit; None for 2 million, or 1,000 for each of the n
                        words if that is more
        on_progress     called with the number of words found and of words drawn

        The same seed gives the same words. No word is empty. The list has attributes for the way of drawing and the
        share of the model's words that fit (see `Samples`). Raises InputError for values out of range, for characters
        that the model does not know, and for constraints that no word satisfies.
        """
        if not 0 <= n < 1 << 31:
            raise InputError(f"the number of samples is {n}: it must be from 0 to {(1 << 31) - 1:,}")
        if not 0 <= seed < 1 << 63:
            raise InputError(f"seed is {seed}: it must be from 0 to 2**63 - 1")
        if tries is not None and tries < n:
            raise InputError(f"tries is {tries}: it must be at least the number of samples, {n}")
        constraints = Constraints(
            prefix, suffix, contains, pattern, min_length, max_length, forbid, require, near, edits, gap
        )
        options = SamplingOptions(temperature, min(top_k, len(self.vocab)), top_p)
        return sample(
            *(self.sampling_model, n, seed, options, constraints),
            avoid=avoid,
            distinct=distinct,
            tries=tries,
            on_progress=on_progress,
        )

    def most_likely(self, n: int = 20, *, avoid: Collection[str] = (), **constraints: Any) -> Candidates:
        """Find the n most likely words that satisfy the constraints, by beam search.

        The constraints and `avoid` are as in `sample`. The list's attribute `proven` is True if the search cannot have
        missed a more likely word. Raises InputError as `sample` does.
        """
        return most_likely(self.sampling_model, n, Constraints(**constraints).words(self.vocab), avoid)

    def fill(self, gap: str, n: int = 20, **constraints: Any) -> Candidates:
        """Find the n most likely ways to fill the gaps of a word such as jo__than: `most_likely` with a gap.

        Raises InputError as `sample` does.
        """
        if not gap:
            raise InputError("an empty word has no gap")
        return self.most_likely(n, gap=gap, **constraints)

    def vary(self, word: str, n: int = 20, *, edits: int = 1, **constraints: Any) -> Candidates:
        """Find the n most likely words at a number of edits from a word: `most_likely` near it.

        Raises InputError as `sample` does.
        """
        if not word:
            raise InputError("an empty word has no variations")
        return self.most_likely(n, near=word, edits=edits, **constraints)
