"""The map of the character embeddings, which moves with the training and does not turn by itself."""

from typing import Any

from ...analysis.embedding import embeddings_of, kind_of, principal, turned
from ...analysis.pairs import frequent
from ..snapshot import Snapshot
from .numbers import table

MOST_TOKENS = 400  # on the map


def embedding(snapshot: Snapshot) -> dict[str, Any]:
    """Return the embedding of each of the most frequent characters as a point: its two numbers, or its place in the
    plane of the first two principal components.

    Components have no sign, and may change places. Therefore the plane is rotated or reflected so that its points are
    as near as possible to those of the last map of the training; distances between points stay.

    characters, kinds   of the points; "" is the end token
    at                  two numbers of each point
    dimensions          of an embedding
    share               of the variance that is in the plane; 1 for two numbers

    Raises InputError for a model without embeddings.
    """
    model, kept = snapshot.run.model, snapshot.bench.kept
    C = embeddings_of(model)
    with snapshot.bench.lock:
        tokens, last = kept.get("embedding") or (frequent(snapshot.run.corpus, MOST_TOKENS), None)
        if C.shape[1] == 2:
            at, share = C[tokens], 1.0
        else:
            at, shares = principal(C[tokens])
            at, share = at if last is None else turned(at, last), float(shares.sum())
        kept["embedding"] = tokens, at
    characters = ["" if token == 0 else model.vocab.characters[token - 1] for token in tokens]
    return {
        "characters": characters,
        "kinds": [kind_of(character) for character in characters],
        "at": table(at),
        "dimensions": C.shape[1],
        "share": share,
    }
