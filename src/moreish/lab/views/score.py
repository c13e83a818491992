"""Score of a word: the surprise at each character, with the present weights."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...analysis.scoring import Scorer
from ..snapshot import Snapshot
from .typed import Word, need_finite, typed_or_drawn

QUICK = 0.05  # seconds that scoring the val words may take while the training plays


@dataclass(frozen=True)
class Reference:
    """The scorer of a snapshot, by its version, and the seconds that the val words took."""

    version: int
    scorer: Scorer
    seconds: float


def score(snapshot: Snapshot, *, word: Word = "", percentile: bool = True) -> dict[str, Any]:
    """Score a word, or one that the model draws if it is empty.

    Returns {"word", "drawn", "chars": [{"char", "nats", "unknown"}, ...], "total", "mean", "percentile", "mark"}: nats
    of each character and of the end, "", their sum and mean. mark is "new" or the part of the list that has the word.

    percentile is the percentage of the val words of similar length that are at most as likely. It needs the scores of
    these, once for each snapshot: if False, it is None where that takes long.
    """
    run, shown = snapshot.run, typed_or_drawn(snapshot, word)
    found = run.model.score(shown)
    nats = need_finite(np.array(found.per_char)).tolist()
    scorer = _scorer(snapshot, wait=percentile)
    return {
        "word": shown,
        "drawn": not word,
        "chars": [
            {"char": char, "nats": value, "unknown": i in found.unknown}
            for i, (char, value) in enumerate(zip([*shown, ""], nats, strict=True))
        ],
        "total": sum(nats),
        "mean": found.nll,
        "percentile": None if scorer is None else scorer.score(shown).percentile,
        "mark": run.corpus.mark(shown),
    }


def _scorer(snapshot: Snapshot, *, wait: bool) -> Scorer | None:
    """The scorer of a snapshot, which has scored the val words; None if that takes long, unless it may wait."""
    bench, model = snapshot.bench, snapshot.run.model
    with bench.lock:
        last: Reference | None = bench.kept.get("score")
        if last is not None and last.version == snapshot.version:
            return last.scorer
        if last is not None and last.seconds > QUICK and not wait:
            return None
        scorer = Scorer(snapshot.run, None) if last is None else last.scorer.with_weights(model)
        began = time.perf_counter()
        scorer.score(model.vocab.characters[0])
        bench.kept["score"] = Reference(snapshot.version, scorer, time.perf_counter() - began)
        return scorer
