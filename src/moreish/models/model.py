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
from ..sampling import Candidates, Constraints, Samples, SamplingOptions, Writer, most_likely, sample
from . import ALL_MODELS, ModelConfig, NetConfig, ReaderConfig

if TYPE_CHECKING:
    from torch import nn

UNKNOWN = math.log(0x110000)  # nats of a character that a model does not know: one of all code points of Unicode


@dataclass(frozen=True)
class Score:
    """How likely a word is under a model.

    per_char    nats of each character in turn, then of the end of the word
    unknown     the places of the characters that the model does not know
    nll         the mean of per_char: nats a token; bits: the same in bits
    percentile  from a `Scorer`: the share in percent of the train words of about its length that are less likely
    likely      from a `Scorer`: whether it passes for a word of the list
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

    config  its options
    vocab   its characters
    params  its weights, flat (layout.size,) float32, if it has layers
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
        return next(name for name, kind in ALL_MODELS.items() if kind is type(self.config))

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
        require_torch("Model.to_torch")
        self.need_layers("made a module of")
        import torch

        from ..engine.torch.engine import to_module

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

    def nll_of_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The nll in nats of each token of words of any characters, in NFC, float64 (N,), and which are unknown, bool.

        A character that the model does not know costs `UNKNOWN` nats, as if any code point of Unicode stood there with
        equal chance; what follows it is scored as at the beginning of a word. Of an empty word the end is scored.
        """
        stream, unknown = self.vocab.stream_of_any(words)
        nll = self.nll(stream)
        nll[unknown] = UNKNOWN
        return nll, unknown

    def score(self, word: str) -> Score:
        """Score one word, of any characters (see `nll_of_words`). Raises InputError for an empty one."""
        if not word:
            raise InputError("an empty word has no score")
        word = unicodedata.normalize("NFC", word)
        nll, unknown = self.nll_of_words([word])
        return Score(word, nll.tolist(), np.flatnonzero(unknown).tolist())

    @property
    def writer(self) -> Writer:
        """This model as what steers words takes it."""
        contexts = self.config.contexts(self.engine, self.params, len(self.vocab))
        return Writer(self.vocab, self.engine, self.params, contexts)

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
        """Draw n words, exactly as often as the model makes each of them among its words that fit.

        temperature     below 1 keeps to the likely, above 1 ventures; 0 always takes the likeliest character
        top_k           draw among the k likeliest characters only; 0 for all
        top_p           draw among the fewest characters that have this share of the probability; 1 for all
        prefix, suffix, contains        what every word begins with, ends with, has in it
        pattern         what words look like: ? is any character, * any run of them, [aeiou] or [a-f] one of these,
                        [^xyz] one of the others; a backslash takes the next character as it is
        gap             a word with gaps, jo__than: _ is any character, and all of a pattern may stand in it
        min_length, max_length          in characters; without a longest one, no word has over 1,000 more than the
                        shortest that fits, and where nothing is asked a word that does not end is cut there
        forbid, require characters that no word has, and that every word has
        near, edits     a word that every word is a number of edits away from, 1 unless edits is given
        avoid           words that are not wanted: corpus.words for new ones only
        distinct        each word once
        tries           words that are drawn at most where not every one fits; None for two million, or a thousand for
                        each word
        on_progress     is told how many words are found, and how many were drawn

        The same seed draws the same words. No word is empty. The list also says how they were drawn and what share of
        the model's words fits. Raises InputError for values out of range, for characters that the model does not know,
        and for constraints that cannot be met.
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
        chances = SamplingOptions(temperature, min(top_k, len(self.vocab)), top_p)
        return sample(
            *(self.writer, n, seed, chances, constraints),
            avoid=avoid,
            distinct=distinct,
            tries=tries,
            on_progress=on_progress,
        )

    def most_likely(self, n: int = 20, *, avoid: Collection[str] = (), **constraints: Any) -> Candidates:
        """The n likeliest words, by beam search, or of those that fit constraints, which are as in `sample`.

        The list also says whether they are proven to be the likeliest. Raises InputError as `sample` does.
        """
        return most_likely(self.writer, n, Constraints(**constraints).words(self.vocab), avoid)

    def fill(self, gap: str, n: int = 20, **constraints: Any) -> Candidates:
        """The n likeliest ways to fill the gaps of a word, jo__than: `most_likely` with a gap.

        Raises InputError as `sample` does.
        """
        if not gap:
            raise InputError("an empty word has no gap")
        return self.most_likely(n, gap=gap, **constraints)

    def vary(self, word: str, n: int = 20, *, edits: int = 1, **constraints: Any) -> Candidates:
        """The n likeliest words at a number of edits from a word: `most_likely` near it.

        Raises InputError as `sample` does.
        """
        if not word:
            raise InputError("an empty word has no variations")
        return self.most_likely(n, near=word, edits=edits, **constraints)
