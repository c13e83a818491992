"""Words that fit constraints: some drawn at random, and the most likely ones."""

from typing import Any

from ...sampling import UNPROVEN, method_line
from ...serving.limits import Limits
from ...serving.requests import likeliest_request, sample_request
from ...serving.schemas import draw, likeliest_response
from ..snapshot import Snapshot

LIMITS = Limits(samples=200, words=100, text=100, tries=200_000, room=20_000)
DRAWS, SEARCHES = sample_request(LIMITS), likeliest_request(LIMITS)


def steer(snapshot: Snapshot, **values: Any) -> dict[str, Any]:
    """Draw words; values are those of `moreish sample`, and "gap".

    Returns {"words": [{"word", "mark"}, ...], "seed", "line"}: line says how the words were drawn, as the command does.

    Raises InputError for what does not fit, and if it takes too long.
    """
    run = snapshot.bench.with_guides(snapshot.run)
    found, seed = draw(run, LIMITS, **DRAWS(**values).model_dump())
    mark = run.corpus.mark
    line = method_line(found) if len(found) and (found.method != "plain" or found.tried > len(found)) else ""
    return {"words": [{"word": word, "mark": mark(word)} for word in found], "seed": seed, "line": line}


def likeliest(snapshot: Snapshot, *, only_new: bool = False, **values: Any) -> dict[str, Any]:
    """Find the most likely words that fit constraints, such as a word with gaps; only_new leaves out those of the list.

    Returns {"words": [{"word", "mark", "probability", "share"}, ...], "line"}: share is the probability among the words
    that fit, None if these are too many to sum.

    Raises InputError for what does not fit, and if it takes too long.
    """
    run = snapshot.bench.with_guides(snapshot.run)
    unwanted = run.corpus.words if only_new else ()
    found = likeliest_response(run, LIMITS, **SEARCHES(**values).model_dump(), avoid=unwanted)
    words = [{"word": at.word, "mark": at.seen, "probability": at.probability, "share": at.share} for at in found.words]
    return {"words": words, "line": "" if found.proven else UNPROVEN}
