"""A teacher: what a distilled net learns from beside its list, and the file that holds it while the training lasts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..corpus.stream import END
from ..engine.guide import Guide
from ..engine.words import WordBatches
from .checkpoint import damaged

TEACHER = "teacher.safetensors"


@dataclass(frozen=True)
class Taught:
    """A note in a run that it was distilled.

    runs    names of the runs that taught it
    share   the part of each target that is the teacher's distribution
    drawn   the number of words that the teacher has drawn
    model, parameters, loss     of the teacher: its name, their number, and nats per token on val and test
    """

    runs: tuple[str, ...]
    share: float
    drawn: int
    model: str
    parameters: int
    loss: dict[str, float]

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Taught":
        """Return the note of a config. Raises KeyError, TypeError or ValueError if it is none."""
        fields: dict[str, Any] = {**stored, "runs": tuple(map(str, stored["runs"]))}
        taught = cls(**fields)
        if type(taught.share) is not float or not 0 <= taught.share <= 1:
            raise ValueError(f"the share of the teacher is {taught.share}")
        if type(taught.drawn) is not int or taught.drawn < 0 or type(taught.parameters) is not int:
            raise ValueError("a number of the teacher is not whole")
        if taught.loss.keys() != {"val", "test"} or not all(type(loss) is float for loss in taught.loss.values()):
            raise ValueError("the losses of the teacher are not those of val and test")
        return taught


@dataclass(frozen=True, eq=False)
class Teacher:
    """The words and distributions that a student learns from.

    stream      (1 + N,) int32: the words that it has drawn, as a stream of tokens
    guide       its distributions (V,) at prefixes
    """

    taught: Taught
    stream: np.ndarray = field(repr=False)
    guide: Guide = field(repr=False)

    def pool(self, stream: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the drawn words to a list; in one with weights (W,), each counts like a word of average weight."""
        if weights is not None:
            weights = np.append(weights, np.full(self.taught.drawn, weights.mean()))
        return np.concatenate([stream, self.stream[1:]]), weights

    def guided(self, batches: WordBatches) -> WordBatches:
        """Return batches whose targets are soft as the teacher says."""
        return WordBatches(batches.source, self.taught.share, self.guide)

    def to_bytes(self) -> bytes:
        return save_tensors({"stream": self.stream, "keys": self.guide.keys, "rows": self.guide.rows})

    @classmethod
    def from_bytes(cls, taught: Taught, data: bytes, n_vocab: int) -> "Teacher":
        """Read a teacher again. Raises SafetensorError, KeyError or ValueError if it does not fit the run."""
        tensors = load_tensors(data)
        stream, keys, rows = tensors["stream"], tensors["keys"], tensors["rows"]
        if stream.dtype != np.int32 or stream.ndim != 1 or not len(stream) or stream[0] != END or stream[-1] != END:
            raise ValueError("its words are not a stream of tokens")
        ends = stream == END
        if ends.sum() - 1 != taught.drawn or (ends[1:] & ends[:-1]).any():
            raise ValueError(f"its words are not {taught.drawn:,}")
        if stream.min() < 0 or stream.max() >= n_vocab:
            raise ValueError(f"a token is not from 0 to {n_vocab - 1}")
        if keys.dtype != np.int64 or keys.ndim != 1 or (keys[1:] <= keys[:-1]).any():
            raise ValueError("its keys are not sorted")
        if rows.dtype != np.float32 or rows.shape != (len(keys), n_vocab):
            raise ValueError(f"its distributions are {rows.dtype} {rows.shape}, not float32 {(len(keys), n_vocab)}")
        if not (rows >= 0).all() or not np.allclose(rows.sum(1), 1, atol=1e-3):
            raise ValueError("its distributions do not sum to one")
        return cls(taught, stream, Guide(keys, rows))


def load_teacher(folder: Path, taught: Taught, n_vocab: int) -> Teacher:
    """Read the teacher of an unfinished training. Raises InputError if the file is missing or damaged."""
    try:
        return Teacher.from_bytes(taught, (folder / TEACHER).read_bytes(), n_vocab)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise damaged(folder, TEACHER, error) from None
