"""Words that fit, as commands print them: the likeliest of them, and some by chance."""

from typing import Any

from ..run import Run
from ..steering import Candidates, Samples
from .progress import DrawingView
from .terminal import print_json, print_samples, print_table, say


def print_both(run: Run, n: int, n_samples: int, seed: int | None, asked: dict[str, Any], json: bool) -> None:
    """Print the n likeliest words that fit what is asked, and some drawn by chance."""
    likeliest = run.model.most_likely(n, **asked)
    with DrawingView(n_samples) as view:
        drawn = run.model.sample(n_samples, seed=run.options.seed if seed is None else seed, on_progress=view, **asked)
    if json:
        print_json({**candidates_json(run, likeliest, "likeliest"), **samples_json(run, drawn)})
        return
    print_candidates(run, likeliest)
    print("\nby chance, as often as the model makes them:")
    print_samples(drawn, [run.corpus.mark(word) for word in drawn])
    say(how(drawn))


def print_candidates(run: Run, found: Candidates) -> None:
    """Print words from the likeliest on."""
    rows = []
    for at in found:
        share = [] if at.share is None else [f"{at.share:.2%}"]
        mark = run.corpus.mark(at.word)
        rows.append([at.word, f"{at.probability:.3g}", *share, mark if mark == "new" else f"in {mark}"])
    print_table(["word", ">probability", *[">of those that fit"] * any(at.share is not None for at in found), ""], rows)
    if not found.proven:
        say("(by a beam search, which cannot rule out that a likelier one was missed)")


def candidates_json(run: Run, found: Candidates, name: str) -> dict[str, Any]:
    """Words from the likeliest on, for a program to read."""
    rows = [
        {"word": at.word, "seen": run.corpus.mark(at.word), "probability": at.probability, "share": at.share}
        for at in found
    ]
    return {name: rows, "proven": found.proven}


def samples_json(run: Run, drawn: Samples) -> dict[str, Any]:
    """Words drawn by chance, for a program to read."""
    rows = [{"word": word, "seen": run.corpus.mark(word)} for word in drawn]
    return {"samples": rows, "method": drawn.method, "share": drawn.share, "tried": drawn.tried}


def how(drawn: Samples) -> str:
    """A line that says how words came about, and how many of the model's words fit."""
    if drawn.method == "rejection":
        return f"(by rejection: of {drawn.tried:,} words drawn, {drawn.share:.2%} fit)"
    return f"(exactly, by {drawn.method}: {drawn.share:.3g} of the model's words fit)"
