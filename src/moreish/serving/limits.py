"""Limits on what one server does for its clients."""

import dataclasses
import math
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Limits:
    """Limits of a server. Raises InputError for a limit that is not positive.

    For one request:
    seconds       time to receive its body, and again to compute the response. The whole exchange, from the connection
                  or the previous response to the last byte of this one, may take three times as long
    body          bytes of the body
    words         words to score
    characters    characters of all these words together
    text          characters of a prefix, a pattern or another text; also the largest length that may be requested
    samples       words to draw or to find
    tries         words to draw in all, where some of them may not meet the constraints
    room          characters of all the words of a response together, at their longest

    For all requests together:
    threads       threads that compute
    requests      requests that are being computed or are waiting. A request that has run out of time counts until its
                  computation ends: soon if its words are constrained, otherwise within the limits above
    connections   open connections. The oldest without a complete request makes room for a new one
    unread        bytes of responses that clients have not read yet. The connection that has waited longest makes room
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
    unread: int = 64_000_000

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            if not 0 < getattr(self, f.name) < math.inf:
                raise InputError(f"the limit of {f.name} is {getattr(self, f.name)}: it must be a positive number")
