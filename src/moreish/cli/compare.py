"""Compare trained models on the same words, and test which differences are significant.

Scores every run on val and test of one split, with 95% intervals. Compares each pair of runs by the paired bootstrap
over words. Adds the n-gram model as a baseline. Refuses runs on other words or another split; with --rescore it scores
them on the split of the first run instead.

Examples:
  moreish compare runs/names-mlp runs/names-ngram runs/names-wavenet
  moreish compare runs/names-mlp runs/names-bigram --markdown --plot ladder.png
"""

from pathlib import Path
from typing import Literal

from ..analysis.comparison import SCORED_PARTS, shown
from ..analysis.comparison import compare as compare_runs
from ..training.loading import load
from .terminal import announce_work, print_data, print_json, print_table, say, say_if_diverged
from .values import Flag, WholeNumber


def compare(
    *runs: Path,
    rescore: Flag = False,
    samples: WholeNumber = 5,
    plot: Path | None = None,
    unit: Literal["nats", "bits"] = "nats",
    json: Flag = False,
    csv: Flag = False,
    markdown: Flag = False,
) -> None:
    """Run `moreish compare`.

    Parameters
    ----------
    runs
        Folders of runs.
    rescore
        Also accept runs on other words or another split, and score them on the split of the first run.
    samples
        Number of words to draw from each model.
    plot
        Write a plot of val loss against training time and against parameters to this file (.png, .svg, .pdf).
    unit
        Unit of losses in the plot.
    json
        Print JSON: {"runs": [{"name", "model", "parameters", "seconds", "loss", "interval", "seen", "samples"}, ...],
        "pairs": [{"one", "other", "part", "difference", "interval", "verdict"}, ...], "baseline": name}.
    csv
        Print the runs as comma-separated values.
    markdown
        Print the runs as a table in Markdown.
    """
    if plot is not None:
        from ..plots.style import check_format

        check_format(plot)
    announce_work()
    loaded = [load(run) for run in runs]
    for run in loaded:
        say_if_diverged(run)
    found = compare_runs(loaded, rescore=rescore, samples=samples)
    if rescore:
        for row in found.rows:
            shares = ", ".join(f"{row.seen[part]:.1%} of the {part} words" for part in SCORED_PARTS)
            say(f"{row.name} was trained on {shares}")
    if json:
        print_json(found.as_json())
    elif csv:
        print_data(found.csv())
    elif markdown:
        print_data(f"{found.markdown()}\n")
    else:
        heading, cells = found.table()
        print_table([*heading[:2], *(f">{name}" for name in heading[2:])], cells)
        print()
        rows = [
            (p.one, p.other, p.part, f"{p.difference:+.4f}", shown(p.interval, "+"), p.verdict) for p in found.pairs
        ]
        print_table(["run", "compared with", "on", ">difference", ">95% interval", ""], rows)
        if samples:
            print()
            print_table(
                ["run", "samples"], [(row.name, ", ".join(_with_mark(s) for s in row.samples)) for row in found.rows]
            )
    if plot is not None:
        from ..plots import plot_comparison
        from ..plots.style import save

        save(plot_comparison(found, unit=unit, title=loaded[0].corpus.name), plot)
        say(f"plot saved in {plot}")


def _with_mark(sample: dict[str, str]) -> str:
    """A sample, with its label, and the part of the list that contains it."""
    notes = [sample["label"]] if "label" in sample else []
    notes += [f"in {sample['seen']}"] if sample["seen"] != "new" else []
    return f"{sample['word']} ({', '.join(notes)})" if notes else sample["word"]
