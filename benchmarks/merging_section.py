"""Section on counting in parts: what is measured in results/merging.json, and what a billion words would take."""

import math
from typing import Any

from large_section import duration, size

MANY = 10**9  # words


def merging_section(found: dict[str, Any]) -> str:
    """Table of one part and of the merge of all, by the size of the list."""
    machine, versions = found["machine"], found["versions"]
    *_, before, last = found["sizes"]
    rows = [(f"{row['words']:,}", row) for row in found["sizes"]]
    rows.append((f"10^{round(math.log10(MANY))}^, extrapolated", _at(MANY, before, last)))
    lines = [
        "| words | in one piece | memory | a part | memory | sent | merging | memory | sequences | model |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows:
        whole, part, merge = row["whole"], row["part"], row["merge"]
        cells = [
            _time(whole["cpu_seconds"]),
            size(whole["memory_bytes"]),
            _time(part["cpu_seconds"]),
            size(part["memory_bytes"]),
            size(part["sent_bytes"]),
            _time(merge["cpu_seconds"]),
            size(merge["memory_bytes"]),
            f"{merge['windows']:,.3g}" if merge["windows"] >= 10**8 else f"{merge['windows'] / 1e6:,.1f} million",
            size(merge["model_bytes"]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Lists of made-up words in {found['parts']} equal parts, `--order {found['order']}`. Times are those of one"
        " core: to count the list in one piece, to count a part, and to merge all. What is sent is the run of a part."
        " The sequences are the different ones of the longest order in all train words. The last row is"
        " extrapolated: each figure, without the memory of an idle process, continues as the power of the number of"
        " words that goes through the two rows above."
        f" Measured by `benchmarks/merging.py`, {machine['processor']}, {machine['system']}; moreish"
        f" {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def _at(words: int, before: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Extrapolate the figures of two sizes to a number of words, each by a power law."""
    far = math.log(words / last["words"]) / math.log(last["words"] / before["words"])

    def extrapolated(what: str, name: str) -> float:
        base = last[what]["base_bytes"] if name == "memory_bytes" else 0
        a, b = (row[what][name] - base for row in (before, last))
        return base + b * (b / a) ** far

    return {what: {name: extrapolated(what, name) for name in last[what]} for what in ("whole", "part", "merge")}


def _time(seconds: float) -> str:
    """Format seconds, with a decimal place if they are few."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
