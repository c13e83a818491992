"""Words drawn with the present weights."""

from typing import Annotated, Any

from pydantic import Field

from ..snapshot import Snapshot

Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


def words(snapshot: Snapshot, *, n: Annotated[int, Field(ge=1, le=100)] = 10, seed: Seed = 42) -> dict[str, Any]:
    """Draw n words: {"words": [{"word", "mark"}, ...]}; a mark is "new" or the part of the list that has the word."""
    run = snapshot.run
    drawn = run.model.sample(n, seed=seed, max_length=100)
    return {"words": [{"word": word, "mark": run.corpus.mark(word)} for word in drawn]}
