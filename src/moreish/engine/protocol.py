"""The protocol of an engine: the methods that training, evaluation and sampling call, and their arguments.

An engine runs one list of layers, which map contexts (B, T) to logits (B, V): T is the block size, V the number of
tokens. Layers that go along words, such as recurrent ones, map prefixes of any length to logits.

An engine keeps no weights. Every method takes them as one flat vector, whose layout is `layers.layout.Layout`: first
the n_trained numbers that gradient descent trains, then the others, such as running statistics. So the same weights
can go from one engine to another.

To add an engine, write a class with the methods of `Engine` and give it a name in ENGINES and `registry.make_engine`.
Training and evaluation work with any engine. `tape.Tape` computes with compiled kernels,
`torch.engine.Torch` with PyTorch, and `lockstep.Lockstep` with both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

ENGINES = ("tape", "torch", "both")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Steps:
    """A run of consecutive training steps.

    optimizer       a name in optim.OPTIMIZERS
    weight_decay    the strength of the optimizer's pull of weights towards zero: see `optim`
    first           the number of the first step, from 0: the batch of a step depends on the seed and this number
    rates           (n,) float64: the learning rate of each of the n steps
    decay           the parameters that are pulled, a name in optim.DECAYS
    grad_clip       the largest norm of a gradient; a longer one is scaled to it; 0: any norm
    average         the decay a step of the moving average of the weights, the last row of the moments; 0: no average

    Equal Steps have equal settings: `first` and `rates` are not compared.
    """

    optimizer: str
    weight_decay: float
    first: int = field(compare=False)
    rates: np.ndarray = field(compare=False)
    decay: str = "matrices"
    grad_clip: float = 0.0
    average: float = 0.0


@dataclass(frozen=True)
class Draw:
    """The settings with which words are drawn.

    prefix          tokens that every word begins with
    temperature     logits are divided by it; 0 takes the most likely token
    top_k           draw from the k most likely tokens only; 0: from all
    top_p           draw from the fewest tokens that have this total probability; 1: from all
    seed            the seed of the random numbers
    max_length      the largest number of characters of a word, at which it ends
    first           the number of the first word: a word depends on the seed and its number alone
    """

    prefix: Sequence[int] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 42
    max_length: int = 50
    first: int = 0


class Reader(Protocol):
    """Reads words, computes their losses and draws words.

    A word is read token by token. A state is what the model knows of the tokens so far, as one row of W numbers: the
    last T tokens for an engine with a block size of T; what its layers carry along the word, and the logits, for a
    recurrent one; all tokens so far for a Transformer; the number of a node for a counted model; the states of its
    parts side by side for a mixture. W and
    the type of the numbers are those of `begin`. The rows of a call are independent of each other, so that states can
    be kept, repeated and gathered in any order.

    Counted models and mixtures of models are readers too; for these, `params` may have any form of their own.
    No method changes `params`.
    """

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The state at the beginning of a word, (1, W)."""
        ...

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The state after one more token of each word: states (N, W), tokens (N,) -> (N, W).

        A state after token 0, the end of the word, has no meaning.
        """
        ...

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The logits of the next token, (N, V), at each state (N, W)."""
        ...

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The negative log-likelihood in nats of every token of a stream.

        stream (1 + N,) int32 is words one after another, each ended by token 0, after a first 0. Returns float64 (N,),
        for the tokens after the first. A token is predicted from the state after the tokens before it in its word.
        Raises ValueError for a token outside 0 ... V - 1.
        """
        ...

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words. Returns their tokens one after another, int32, each word ended by 0.

        The first token of a word is never 0, so no word is empty. A word has max_length characters at most. Character k
        of word j is decided by the random number `rng.draw_number(seed, first + j, k)`: neither n nor the number of
        threads changes a word.
        """
        ...


class Engine(Reader, Protocol):
    """Runs a list of layers over a flat vector of weights, and trains it."""

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Any, steps: Steps) -> np.ndarray:
        """Make training steps. Updates params (P,) and moments (n_moments, n_trained) in place: see optim.zero_moments.

        Step s takes batch s of `batches`: a `Batches`, or a `WordBatches` for layers that go along words. Its loss is
        the mean nll over the targets, each weighted by its count. Then the optimizer updates the weights: see `optim`.
        Both arrays together are the whole state of training, so that two calls of n steps equal one call of 2 n.

        Returns the loss of each step in nats, before its update, float64 (n,). If a loss is not finite, training stops:
        that loss is the last one returned, and its step and those after it are not made.
        """
        ...

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Numbers that the engine adds to the log at each of its points, by name; an empty dictionary for none."""
        ...
