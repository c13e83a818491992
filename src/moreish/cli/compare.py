"""moreish compare"""

from pathlib import Path

from ..comparison import compare as compare_runs
from ..comparison import shown
from ..run import load
from .terminal import announce_work, print_json, print_table, say
from .values import Flag


def compare(*runs: Path, rescore: Flag = False, json: Flag = False, csv: Flag = False, markdown: Flag = False) -> None:
    """`moreish compare`: its text stands in VERBS.

    Parameters
    ----------
    runs
        Folders of two runs or more.
    rescore
        Score runs on other words or another split too, on that of the first run.
    json
        Print JSON: {"runs": [{"name", "model", "parameters", "loss", "interval", "seen"}, ...], "pairs": [{"one",
        "other", "part", "difference", "interval", "verdict"}, ...]}.
    csv
        Print the runs as comma-separated values.
    markdown
        Print the runs as a table in Markdown.
    """
    announce_work()
    found = compare_runs([load(run) for run in runs], rescore=rescore)
    if rescore:
        for row in found.rows:
            shares = ", ".join(f"{share:.1%} of the {part} words" for part, share in row.seen.items())
            say(f"{row.name} has learnt from {shares}")
    if json:
        print_json(found.as_json())
    elif csv:
        print(found.csv(), end="")
    elif markdown:
        print(found.markdown())
    else:
        heading, cells = found.table()
        print_table([*heading[:2], *(f">{name}" for name in heading[2:])], cells)
        print()
        rows = [
            (p.one, p.other, p.part, f"{p.difference:+.4f}", shown(p.interval, "+"), p.verdict) for p in found.pairs
        ]
        print_table(["run", "against", "on", ">difference", ">95% interval", ""], rows)
