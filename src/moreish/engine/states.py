"""Reading words by the states of a `Reader`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from ..corpus import END, whole_words
from ..errors import InputError, check_finite
from .protocol import Reader
from .words import Packed, pack_words, sorted_words

TOKENS_AT_A_TIME = 1 << 14
LONGEST_PREFIX = 255
ROWS_AT_A_TIME = 1 << 12  # of the prefixes whose logits are computed together, which bounds the memory


class WindowStates:
    """States of an engine that sees the last `block_size` tokens of a word: these, with 0 in places before it."""

    block_size: int

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The state at the beginning of a word: zeros, int64 (1, block_size)."""
        return np.zeros((1, self.block_size), np.int64)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Append a token (N,) to each state: int64 (N, block_size) -> (N, block_size)."""
        return np.concatenate([states[:, 1:], tokens[:, None]], axis=1, dtype=np.int64)


class PrefixStates(ABC):
    """States of an engine whose layers look back at all of a word: the tokens so far, then zeros.

    The logits of a state are computed from its whole prefix, and equal beginnings once.
    """

    n_vocab: int

    @abstractmethod
    def logits_of_rows(self, params: np.ndarray, packed: Packed) -> np.ndarray:
        """Compute the logits of the rows of some words (rows, n_vocab)."""

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The state at the beginning of a word: zeros, int32 (1, LONGEST_PREFIX)."""
        return np.zeros((1, LONGEST_PREFIX), np.int32)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Append a token (N,) to each prefix.

        Raises InputError for a prefix of LONGEST_PREFIX tokens, and ValueError for an unknown token.
        """
        if tokens.min(initial=0) < 0 or tokens.max(initial=0) >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        lengths = np.count_nonzero(states, 1)
        if lengths.max(initial=0) == LONGEST_PREFIX:
            raise InputError(
                f"a word of over {LONGEST_PREFIX} characters is too long for a model that reads it all at every step: "
                f"limit the length (--max-length {LONGEST_PREFIX})"
            )
        longer = states.copy()
        longer[np.arange(len(states)), lengths] = tokens
        return longer

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Prefixes (N, LONGEST_PREFIX) -> logits (N, n_vocab)."""
        found = [np.zeros((0, self.n_vocab), params.dtype)]
        longest = np.count_nonzero(states, 1).max(initial=0)
        size = ROWS_AT_A_TIME // (1 + longest)
        for first in range(0, len(states), size):
            some = states[first : first + size]
            ends = np.cumsum(np.count_nonzero(some, 1) + 1)
            stream = np.zeros(1 + ends[-1], np.int32)
            stream[1:][~np.isin(np.arange(ends[-1]), ends - 1)] = some[some != END]
            pairs = np.zeros(ends[-1], np.int64)
            packed = pack_words(sorted_words(stream), 0, len(some), pairs=pairs)
            found.append(self.logits_of_rows(params, packed)[packed.levels.rows[pairs[ends - 1]]])
            check_finite(found[-1])
        return np.concatenate(found)


def state_after(reader: Reader, params: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Return the state after the first tokens of a word, (1, W)."""
    state = reader.begin(params)
    for token in np.array(tokens, np.int64).reshape(-1, 1):
        state = reader.after(params, state, token)
    return state


def next_states(
    reader: Reader, params: np.ndarray, states: np.ndarray, of: np.ndarray, tokens: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Append a token to each of N prefixes, and read equal prefixes once.

    states (D, W) are those of the different prefixes, of (N,) has the number of each prefix's state, and tokens (N,)
    what follows it. Returns the states and their numbers for the longer prefixes.
    """
    V = int(tokens.max(initial=0)) + 1
    pairs, of = np.unique(of * V + tokens, return_inverse=True)
    return reader.after(params, states[pairs // V], pairs % V), of


def read(reader: Reader, params: np.ndarray, stream: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Read the words of a stream (1 + N,), many at the same time and equal prefixes of these once.

    Yields, for runs of M tokens, the number of the first token (0 for the one after the first 0), the states of the
    different prefixes before these tokens (D, W), and the number of each token's state (M,).
    """
    first = 0
    for words in whole_words(stream, TOKENS_AT_A_TIME):
        numbers, found, n_found = np.zeros(len(words) - 1, np.int64), [reader.begin(params)], 0
        at = np.flatnonzero(words[:-1] == END)  # where the next token of each word is
        of = np.zeros(len(at), np.int64)
        while at.size:
            numbers[at] = n_found + of
            n_found += len(found[-1])
            tokens = words[at + 1]
            on = tokens != END
            at = at[on] + 1
            states, of = next_states(reader, params, found[-1], of[on], tokens[on])
            found.append(states)
        yield first, np.concatenate(found), numbers
        first += len(numbers)
