"""A model: its config, a vocabulary, and the flat weights of its layers."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..corpus import Corpus, Vocab
from ..display.shown import Shown, Table, more
from ..engine.protocol import Reader
from ..engine.registry import make_engine, require_torch
from ..engine.states import state_after
from ..errors import InputError, check_finite
from ..layers import Layer
from ..layers.layout import Layout, outputs
from ..sampling import SamplingModel
from ..sampling.sources import label_weights
from . import ALL_MODELS, ModelConfig, NetConfig, ReaderConfig
from .drawing import DrawsWords
from .labels import Labels, sum_over_labels
from .score import UNKNOWN_NLL, Score

if TYPE_CHECKING:
    from torch import nn

    from ..sampling.lookahead import Guide

MOST_LAYERS = 20  # in a notebook


class Model(Shown, DrawsWords):
    """A model that scores and draws words.

    config  the model's options
    vocab   the characters that it knows
    params  the weights of its layers, flat, float32 (layout.size,); drawn from `seed` if None
    arrays  the arrays of a model without layers (counts, or the models of a mixture), by name
    labels  the labels that it tells apart; None for a model without labels
    longest characters of the longest word of the list that it was trained on; None until a `Run` sets it
    corpus  the corpus that it was trained on; None until a `Run` sets it
    """

    longest: int | None = None

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocab,
        params: np.ndarray | None = None,
        seed: int = 42,
        arrays: dict[str, np.ndarray] | None = None,
        labels: Labels | None = None,
    ):
        self.config, self.vocab, self.labels, self.arrays = config, vocab, labels, arrays or {}
        self.layers: list[Layer] = config.layers(len(vocab), len(labels or ())) if isinstance(config, NetConfig) else []
        self._given: dict[int, Model] = {}
        self.layout = Layout(self.layers)
        self.params = self.layout.initial(seed) if params is None else np.ascontiguousarray(params, np.float32)

    def __repr__(self) -> str:
        return f"Model({self.summary})"

    @property
    def summary(self) -> str:
        """Name and numbers of parameters, characters and labels, as text."""
        labels = "" if self.labels is None else f", {len(self.labels)} labels"
        return f"{self.name}, {self.n_parameters:,} parameters, {len(self.vocab) - 1:,} characters{labels}"

    def _table(self) -> Table:
        if isinstance(self.config, ReaderConfig):
            return Table(self.summary, self.config.rows(self.arrays))
        rows = []
        for path, layer, shape in outputs(self.layers, (self.columns,)):
            size = sum(parameter.size for parameter in layer.parameters() if parameter.trained)
            name = f"{path}.{type(layer).__name__.lower()}"
            rows.append((name, "×".join(map(str, shape)), f"{size:,}" if size else ""))
        shown = rows if len(rows) <= MOST_LAYERS else rows[:MOST_LAYERS]
        return Table(self.summary, shown, ["layer", ">output", ">parameters"], more(len(rows), len(shown)))

    def __getstate__(self) -> dict[str, Any]:
        """State without the corpus, and without the engines, which hold compiled code and are made again."""
        return {k: v for k, v in vars(self).items() if k not in ("engine", "_tape", "_guides", "corpus")} | {
            "_given": {}
        }

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
    def title(self) -> str:
        """Name of the model after that of its list, such as "names, mlp"."""
        return ", ".join(filter(None, (self.corpus and self.corpus.name, self.name)))

    @property
    def kind(self) -> str:
        """Name of the model in a sentence, such as "an mlp"."""
        return self.config.called

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

    @property
    def columns(self) -> int:
        """Number of columns of a context that its layers take: the block size or 1, and one more for a label."""
        assert isinstance(self.config, NetConfig)
        return (self.config.context or 1) + (self.labels is not None)

    @cached_property
    def engine(self) -> Reader:
        """The engine that reads and draws words: the tape, or the reader of a model that has no layers.

        Raises InputError for a model with labels: it has an engine only given a label (see `given`).
        """
        if self.labels is not None:
            raise InputError(f"this {self.name} has labels: give one of {', '.join(self.labels.names)}")
        if isinstance(self.config, ReaderConfig):
            return self.config.reader(self.arrays, len(self.vocab))
        return self._tape

    @cached_property
    def _tape(self) -> Reader:
        """The engine of the layers without labels; the models of all labels share it."""
        assert isinstance(self.config, NetConfig)
        return make_engine("tape", self.config.layers(len(self.vocab)), self.config.context or 1, len(self.vocab))

    def given(self, label: object) -> "Model":
        """Return the model without labels that this one is, given a label. Raises InputError for an unknown label."""
        return self.of_label(self._number(label))

    def _number(self, label: object) -> int:
        if self.labels is None:
            raise InputError(f"this {self.name} has no labels: train one with --labels")
        return self.labels.number(str(label))

    def of_label(self, number: int) -> "Model":
        """Return the model without labels that this one is, given the number of a label."""
        found = self._given.get(number) or self._made_for(number)
        found.longest, found.corpus = self.longest, self.corpus
        return found

    def _made_for(self, label: int) -> "Model":
        """Make the model of a label. One of arrays is kept; the weights of a net may change in training."""
        weights = self.config.given(self.weights, label)
        if isinstance(self.config, ReaderConfig):
            self._given[label] = Model(self.config, self.vocab, arrays=weights)
            return self._given[label]
        found = Model(self.config, self.vocab, np.zeros(self._plain_size, np.float32))
        for name, place in found.weights.items():
            place[...] = weights[name]
        vars(found)["_tape"] = self._tape  # all labels share one
        return found

    @cached_property
    def _plain_size(self) -> int:
        assert isinstance(self.config, NetConfig)
        return Layout(self.config.layers(len(self.vocab))).size

    def with_params(self, params: np.ndarray) -> "Model":
        """Return the model with other weights (P,) in its layers. Both share their engine."""
        made = object.__new__(Model)
        vars(made).update(vars(self), params=params, _given={})
        return made

    def check(self) -> None:
        """Raise KeyError or ValueError if the arrays of a model without layers do not fit together."""
        for model in [self] if self.labels is None else map(self.of_label, range(len(self.labels))):
            _ = model.engine

    def to_torch(self) -> "nn.Module":
        """Return a torch.nn.Module from contexts (B, T), int64, to logits (B, V): a copy of the model, in eval mode.

        The module of a model over whole words maps contexts (B, T - 1 + L) to logits (B, L, V). That of a recurrent
        model maps contexts (B, L) of any length, which begin with 0, to logits (B, L, V). It holds an nn.RNN, nn.GRU or
        nn.LSTM, unless the model has labels, learnt starts, or a reset before the product.

        Raises InputError if PyTorch is missing, and for a model without layers.
        """
        require_torch("Model.to_torch")
        self.need_layers()
        from .pytorch import module_of

        return module_of(self)

    def from_torch(self, module: "nn.Module") -> "Model":
        """Copy the weights of a module that `to_torch` returned, and return the model.

        A recurrent model takes any module with one nn.Embedding, one nn.RNN, nn.GRU or nn.LSTM and one nn.Linear, and
        makemore's RNN and GRU.

        Raises InputError if the module's parameters do not match the model's.
        """
        require_torch("Model.from_torch")
        self.need_layers()
        from .pytorch import take

        take(self, module)
        return self

    def need_layers(self) -> None:
        """Raise InputError if the model has no layers."""
        if not self.layers:
            raise InputError(f"{self.kind} has no layers", "train a net, as with --model mlp")

    def check_vocab(self, corpus: Corpus) -> None:
        """Raise InputError if the vocabulary of a corpus is not that of the model."""
        if corpus.vocab != self.vocab:
            raise InputError(
                f"the corpus has the characters {corpus.vocab.characters}, the model {self.vocab.characters}"
            )

    def nll(self, stream: np.ndarray, label: int | None = None) -> np.ndarray:
        """Return the nll in nats of each token after the first of a flat stream (see `Corpus.stream`), float64 (N,).

        label   the number of the label of all words; None for the sum over labels
        """
        if self.labels is None:
            return self.engine.nll(self.params, stream)
        if label is None:
            nlls = (self.nll(stream, number) for number in range(len(self.labels)))
            return sum_over_labels(nlls, self.labels.shares, stream)
        return self.of_label(label).nll(stream)

    def nll_of_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the nll in nats of each token of words in NFC, float64 (N,), and which tokens are unknown, bool (N,).

        A word may contain any characters. One that the model does not know costs `UNKNOWN_NLL` nats, as if all code
        points of Unicode were equally likely; the character after it is scored as the first of a word. An empty word
        has one token, its end. Raises InputError for a model whose weights are so large that a nll is not finite.
        """
        stream, unknown = self.vocab.stream_of_any(words)
        return self.nll_with_unknown(stream, unknown), unknown

    def nll_with_unknown(self, stream: np.ndarray, unknown: np.ndarray) -> np.ndarray:
        """Return the nll in nats of each token after the first of a flat stream; see `nll_of_words`.

        unknown     which tokens are unknown characters, bool (N,); in the stream, they are 0
        """
        nll = self.nll(stream)
        nll[unknown] = UNKNOWN_NLL
        check_finite(nll)
        return nll

    def score(self, word: str, *, label: str | None = None) -> Score:
        """Score one word; it may contain any characters (see `nll_of_words`).

        label   of a model with labels; None for the sum over labels

        Raises InputError for an empty word and for an unknown label.
        """
        if label is not None:
            return self.given(label).score(word)
        if not word:
            raise InputError("an empty word has no score")
        word = unicodedata.normalize("NFC", word)
        nll, unknown = self.nll_of_words([word])
        return Score(word, nll.tolist(), np.flatnonzero(unknown).tolist())

    def sampling_models(self, label: str | None = None) -> list[SamplingModel]:
        if self.labels is None and label is None:
            contexts = self.config.contexts(self.engine, self.params, len(self.vocab))
            guide = partial(self._guide, 0)
            return [SamplingModel(self.vocab, self.engine, self.params, contexts, guide, self.longest)]
        if label is not None:
            return [self._sampling_model(self._number(label), 1.0)]
        assert self.labels is not None
        return [self._sampling_model(number, share) for number, share in enumerate(self.labels.shares.tolist())]

    def _sampling_model(self, label: int, share: float) -> SamplingModel:
        (of_label,) = self.of_label(label).sampling_models()
        return replace(of_label, share=share, guide=partial(self._guide, label))

    def _guide(self, number: int) -> "Guide":
        return self._guides[number]

    @cached_property
    def _guides(self) -> "list[Guide]":
        from .guiding import guides_of

        return guides_of(self)

    def next(self, prefix: str = "", *, temperature: float = 1.0, label: str | None = None) -> dict[str, float]:
        """Return the probability of each character after a prefix; "" is the end of the word.

        temperature     values below 1 make likely characters more likely, values above 1 make all more equal
        label           of a model with labels; None for the sum over labels, to each of which the temperature applies

        Raises InputError for a character that the model does not know, for an unknown label, and for a temperature
        that is not positive.
        """
        if label is not None:
            return self.given(label).next(prefix, temperature=temperature)
        if not 0 < temperature < float("inf"):
            raise InputError(f"temperature is {temperature}: it must be a number above 0")
        tokens, models, p = self.vocab.encode(prefix), self.sampling_models(), np.zeros(len(self.vocab))
        for model, weight in zip(models, label_weights(models, tokens).tolist(), strict=True):
            state = state_after(model.reader, model.params, tokens)
            logits = model.reader.logits(model.params, state)[0].astype(np.float64)
            with np.errstate(over="ignore"):  # near a temperature of 0 a logit below the largest becomes -inf: p is 0
                of_label = np.exp((logits - logits.max()) / temperature)
            p += weight * of_label / of_label.sum()
        return dict(zip(["", *self.vocab.characters], p.tolist(), strict=True))
