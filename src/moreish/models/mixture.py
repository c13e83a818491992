"""Mixtures of models: their probabilities combined, with weights fitted on val.

    linear      p(c | h) = sum over i of w_i p_i(c | h)              the w_i are positive and sum to one
    log-linear  p(c | h) = product over i of p_i(c | h)**w_i / Z(h)  the w_i are any positive numbers

A linear mixture averages the probabilities. In a log-linear mixture, a character that is very
unlikely under one model stays unlikely. By context, the weights are a function of h: see `gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..engine.picking import draw_words
from ..engine.protocol import Draw, Reader
from ..engine.registry import make_engine
from ..engine.states import read
from ..layers.label import n_labels
from ..layers.layout import Layout
from ..options import option
from .config import ModelConfig, NetConfig, ReaderConfig
from .gate import Features, Gate, log_sum

MIXTURES = ("linear", "log-linear")
BY_CONTEXT = " by context"  # the end of the kind of a mixture whose weights depend on the context
KINDS = (*MIXTURES, *(kind + BY_CONTEXT for kind in MIXTURES))


@dataclass(frozen=True)
class Part:
    """A model of a mixture.

    params  flat weights, float32; empty for a model without layers
    """

    config: ModelConfig
    reader: Reader
    params: np.ndarray

    @classmethod
    def of(cls, config: ModelConfig, arrays: dict[str, np.ndarray], n_vocab: int) -> "Part":
        """Make a part from its arrays. Raises KeyError or ValueError if they do not fit the config."""
        if isinstance(config, ReaderConfig):
            return cls(config, config.reader(arrays, n_vocab), np.zeros(0))
        assert isinstance(config, NetConfig)
        layers = config.layers(n_vocab)
        layout = Layout(layers)
        params = np.zeros(layout.size, np.float32)
        layout.fill(params, arrays)
        return cls(config, make_engine("tape", layers, config.context or 1, n_vocab), params)


@dataclass(frozen=True)
class Mixture(ReaderConfig):
    """Options of a mixture; each of `parts` is {"model": name, "options": {...}}."""

    called: ClassVar[str] = "a mixture"
    summary: ClassVar[str] = "several runs as one, with weights fitted on val; made by moreish mix"

    kind: str = option("linear", "kind of mixture", choices=KINDS)
    parts: list | None = option(None, "the models: names and options")  # pyright: ignore[reportMissingTypeArgument]

    @property
    def configs(self) -> list[ModelConfig]:
        from . import ALL_MODELS, make_config  # a part may be a mixture

        return [make_config(part["model"], part["options"], ALL_MODELS) for part in self.parts or []]

    @property
    def by_context(self) -> bool:
        """True if the weights depend on the context."""
        return self.kind.endswith(BY_CONTEXT)

    @property
    def context(self) -> int | None:
        if self.by_context:  # the position in the word counts
            return None
        lengths = [config.context for config in self.configs]
        known = [length for length in lengths if length is not None]
        return max(known) if len(known) == len(lengths) else None

    def given(self, weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
        found = dict(weights)
        for i, config in enumerate(self.configs):
            own = of_part(weights, i)
            found = {name: array for name, array in found.items() if not name.startswith(f"part{i}.")}
            found |= {f"part{i}.{name}": array for name, array in config.given(own, label).items()}
        return found

    def rows(self, arrays: dict[str, np.ndarray]) -> list[tuple[str, object]]:
        names = [part["model"] for part in self.parts or []]
        rows: list[tuple[str, object]] = [("kind", self.kind)]
        rows += [(name, f"{w:.3f}") for name, w in zip(names, arrays["weights"], strict=True)]
        if self.by_context:
            rows.append(("gain by context", f"{arrays['gate_gain'][0]:.4f} nats on held-out val words"))
        return rows

    def reader(self, arrays: dict[str, np.ndarray], n_vocab: int) -> "MixtureReader":
        if arrays["n_vocab"].dtype != np.int64 or arrays["n_vocab"].tolist() != [n_vocab]:
            raise ValueError("it was mixed for another vocabulary")
        parts = [Part.of(config, of_part(arrays, i), n_vocab) for i, config in enumerate(self.configs)]
        gate = Gate.of(arrays) if self.by_context else None
        return MixtureReader(self.kind.removesuffix(BY_CONTEXT), parts, arrays["weights"], n_vocab, gate)

    def n_parameters(self, arrays: dict[str, np.ndarray]) -> int:
        n_vocab, found = int(arrays["n_vocab"][0]), arrays["gate" if self.by_context else "weights"].size
        for i, config in enumerate(self.configs):
            own = of_part(arrays, i)
            if isinstance(config, ReaderConfig):
                found += config.n_parameters(own)
            elif isinstance(config, NetConfig):
                found += Layout(config.layers(n_vocab, n_labels(own))).n_trained
        return found


def of_part(arrays: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Return the arrays of one part, under their own names."""
    start = f"part{number}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


class MixtureReader:
    """Reader of a mixture. With a gate, `weights` are their means over val.

    Raises ValueError unless there is a positive weight for each part, and the gate fits the parts.
    """

    def __init__(self, kind: str, parts: Sequence[Part], weights: np.ndarray, n_vocab: int, gate: Gate | None = None):
        if weights.shape != (len(parts),) or not (weights > 0).all() or not np.isfinite(weights).all():
            raise ValueError("its weights are not those of its parts")
        self.kind, self.parts, self.weights, self.n_vocab, self.gate = kind, parts, weights, n_vocab, gate
        self._begins = [part.reader.begin(part.params) for part in parts]
        self._features = None if gate is None else Features([part.reader for part in parts])
        self.n_features = 0 if self._features is None else self._features.n
        if gate is not None:
            gate.check(len(parts), self.n_features)

    def begin(self, params: np.ndarray) -> np.ndarray:
        """Return the states of all parts side by side at the beginning of a word, float64 (1, W).

        With a gate, the last column is the position in the word.
        """
        position = [] if self.gate is None else [np.zeros((1, 1))]
        return np.concatenate([*self._begins, *position], axis=1, dtype=np.float64)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the states of all parts after a token (N,) more: float64 (N, W) -> (N, W)."""
        own = zip(self.parts, self._of_parts(states), strict=True)
        found = [part.reader.after(part.params, states, tokens) for part, states in own]
        position = [] if self.gate is None else [states[:, -1:] + 1]
        return np.concatenate([*found, *position], axis=1, dtype=np.float64)

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """States (N, W) -> log-probabilities of every next token, float64 (N, V)."""
        logs = self.part_logs(states)
        if self.gate is None:
            own = np.log(self.weights)[:, None]
        else:
            own = self.gate.log_weights(self.kind, self.features(states, logs))
        if self.kind == "linear":
            return log_sum(own[:, :, None] + logs)
        mixed = np.tensordot(self.weights, logs, 1) if self.gate is None else np.einsum("kn,knv->nv", np.exp(own), logs)
        return mixed - log_sum(mixed.T)[:, None]

    def part_logs(self, states: np.ndarray) -> np.ndarray:
        """States (N, W) -> log-probabilities of every next token by each part, float64 (parts, N, V)."""
        logs = []
        for part, own in zip(self.parts, self._of_parts(states), strict=True):
            logits = part.reader.logits(part.params, own).astype(np.float64)
            logs.append(logits - log_sum(logits.T)[:, None])
        return np.array(logs)

    def features(self, states: np.ndarray, logs: np.ndarray) -> np.ndarray:
        """Return the features of states (N, W) for the gate, float64 (N, n_features); logs are their `part_logs`."""
        if self._features is None:
            return np.zeros((len(states), 0))
        return self._features(states[:, -1], self._of_parts(states), logs)

    def _of_parts(self, states: np.ndarray) -> list[np.ndarray]:
        """Return the states of each part, in its own type: whole numbers below 2**53 and float32 fit in float64."""
        ends = np.cumsum([begin.shape[1] for begin in self._begins])
        own = np.split(states, ends, axis=1)[:-1]
        return [states.astype(begin.dtype) for states, begin in zip(own, self._begins, strict=True)]

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """Return the nll in nats of every token of a flat stream (1 + N,) after its first 0, float64 (N,)."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        if self.kind == "linear" and self.gate is None:
            logs = [part.reader.nll(part.params, stream) for part in self.parts]
            return -log_sum(np.log(self.weights)[:, None] - np.array(logs))
        nll = np.zeros(len(stream) - 1)
        for first, states, of in read(self, params, stream):
            there = slice(first, first + len(of))
            nll[there] = -self.logits(params, states)[of, stream[1:][there]]
        return nll

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words, as `Tape.generate` does."""
        return draw_words(self, params, n, draw)
