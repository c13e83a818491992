"""Output of words that fit constraints: the most likely ones, and some drawn at random."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..sampling import UNPROVEN, Candidates, Samples, method_line
from ..training.loading import load
from ..training.run import Run
from .arguments import tell_ineffective
from .lines import escaped
from .progress import DrawingView
from .terminal import (
    announce_work,
    on_terminal,
    print_data,
    print_json,
    print_samples,
    print_words,
    say,
    say_if_diverged,
)


def print_both(
    path: Path, n: int, n_samples: int, seed: int | None, constraints: dict[str, Any], as_json: bool
) -> None:
    """Print the n most likely words that fit the constraints, and some drawn at random; path is the run's folder."""
    announce_work()
    run = load(path)
    say_if_diverged(run)
    tell_ineffective(constraints, run.model.vocab)
    candidates = run.model.most_likely(n, **constraints)
    if not as_json:
        print_candidates(run, candidates)
    seed = run.options.seed if seed is None else seed
    with DrawingView(n_samples) as view:
        samples = run.model.sample(n_samples, seed=seed, on_progress=view, **constraints)
    if as_json:
        print_json({**candidates_json(run, candidates, "likeliest"), **samples_json(run, samples)})
    elif samples:
        print("\ndrawn at random from the model:")
        marks = [run.corpus.mark(word) for word in samples]
        if on_terminal():
            print_samples(samples, marks)
        else:
            print_words(["word", "mark"], list(zip(samples, marks, strict=True)))
        say(method_line(samples))


def print_candidates(run: Run, candidates: Candidates) -> None:
    """Print words with their probabilities, the most likely first."""
    rows = []
    for candidate in candidates:
        share = [] if candidate.share is None else [f"{candidate.share:.2%}"]
        mark = run.corpus.mark(candidate.word)
        shown = mark if mark == "new" or not on_terminal() else f"in {mark}"
        rows.append([candidate.word, f"{candidate.probability:#.3g}", *share, shown])
    if rows:
        shares = [">share of matches"] * any(candidate.share is not None for candidate in candidates)
        print_words(["word", ">probability", *shares, "" if on_terminal() else "mark"], rows)
    say_if_unproven(candidates)


def say_if_unproven(candidates: Candidates) -> None:
    """Print a message if a more likely word may have been missed."""
    if not candidates.proven:
        say(UNPROVEN)


def candidates_json(run: Run, candidates: Candidates, name: str) -> dict[str, Any]:
    """Return words with their probabilities for JSON, the most likely first."""
    rows = [
        {"word": c.word, "seen": run.corpus.mark(c.word), "probability": c.probability, "share": c.share}
        for c in candidates
    ]
    return {name: rows, "proven": candidates.proven}


def samples_json(run: Run, samples: Samples) -> dict[str, Any]:
    """Return words drawn at random for JSON."""
    rows = [{"word": word, "seen": run.corpus.mark(word)} for word in samples]
    about = {"method": samples.method, "share": samples.share, "effective": samples.effective}
    return {"samples": rows, **about, "head": samples.head, "tried": samples.tried}


def write_lines(lines: Iterable[str]) -> None:
    """Write lines at once, so that a program that reads them need not wait for the next ones."""
    print_data("".join(f"{line}\n" for line in lines))


def word_lines(run: Run, words: Iterable[str], marks: bool) -> list[str]:
    """Return a line for each word: the word, or the word, a tab and new, train, val or test."""
    words = list(words)
    if not marks:
        return words
    return [f"{name}\t{run.corpus.mark(word)}" for name, word in zip(escaped(words), words, strict=True)]


def json_lines(run: Run, words: Iterable[str]) -> list[str]:
    """Return a line with a JSON object for each word drawn at random."""
    return [json.dumps({"word": word, "seen": run.corpus.mark(word)}) for word in words]
