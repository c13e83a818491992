"""Words that fit, as commands print them: the likeliest of them, and some by chance."""

from pathlib import Path
from typing import Any

from ..sampling import Candidates, Samples
from ..training.run import Run, load
from .progress import DrawingView
from .terminal import announce_work, print_json, print_samples, print_table, say


def print_both(path: Path, n: int, n_samples: int, seed: int | None, asked: dict[str, Any], json: bool) -> None:
    """Print the n likeliest words that fit what is asked of the run in a folder, and some drawn by chance."""
    announce_work()
    run = load(path)
    likeliest = run.model.most_likely(n, **asked)
    if not json:
        print_candidates(run, likeliest)
    with DrawingView(n_samples) as view:
        drawn = run.model.sample(n_samples, seed=run.options.seed if seed is None else seed, on_progress=view, **asked)
    if json:
        print_json({**candidates_json(run, likeliest, "likeliest"), **samples_json(run, drawn)})
    elif drawn:
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
    if rows:
        shares = [">of those that fit"] * any(at.share is not None for at in found)
        print_table(["word", ">probability", *shares, ""], rows)
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
    about = {"method": drawn.method, "share": drawn.share, "head": drawn.head, "tried": drawn.tried}
    return {"samples": rows, **about}


def how(drawn: Samples) -> str:
    """A line that says how words came about, and how many of the model's words fit."""
    begin = f" that begin with {drawn.head}" if drawn.head else ""
    if drawn.method == "rejection":
        return f"(by rejection: of {drawn.tried:,} words drawn{begin}, a share of {drawn.share:.2g} fits)"
    if drawn.method == "plain":
        return f"(of {drawn.tried:,} words drawn{begin})"
    return f"(exactly, by {drawn.method}: of the model's words{begin}, a share of {drawn.share:.2g} fits)"
