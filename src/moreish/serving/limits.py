"""How much one server does for its clients."""

import dataclasses
import math
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Limits:
    """The most that a server takes on. Raises InputError for what is not positive.

    Of one request:
    seconds       to send its body; then for the work on it; three times that for the whole exchange, from the
                  connection or the last answer to the last byte of this one
    body          bytes of its body
    words         words to score
    characters    of all those words together
    text          characters of a prefix, a pattern or another text, and of the lengths that are asked for
    samples       words to draw, or to find
    tries         words that are drawn for these where not every one fits
    room          characters that all the words of an answer could come to

    Of all together:
    threads       that compute
    requests      that are computed or wait to be. One that has run out of time counts until its computing ends: where
                  words are steered that is soon, and elsewhere the limits above see to it
    connections   open at a time
    """

    seconds: float = 10.0
    body: int = 1_000_000
    words: int = 1_000
    characters: int = 100_000
    text: int = 1_000
    samples: int = 10_000
    tries: int = 200_000
    room: int = 1_000_000
    threads: int = 4
    requests: int = 64
    connections: int = 256

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            if not 0 < getattr(self, f.name) < math.inf:
                raise InputError(f"the limit of {f.name} is {getattr(self, f.name)}: it must be a positive number")
