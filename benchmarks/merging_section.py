"""Section on counting in parts: what is measured in results/merging.json, and what a billion words would take."""

import math
from typing import Any

from large_section import duration, size

MANY = 10**9  # words


def merging_section(found: dict[str, Any]) -> str:
    """Table of one part and of the merge of all, by the size of the list."""
    machine, versions = found["machine"], found["versions"]
    rows = [(f"{row['words']:,}", row) for row in found["sizes"]]
    rows.append((f"10^{round(math.log10(MANY))}^, at most about", _at(MANY, found["sizes"][-1])))
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
        " The sequences are the different ones of the longest order in all train words. The last row"
        " is not measured: it has the figures of the row above in proportion to the words. Longer lists repeat more"
        " sequences, so they need less."
        f" Measured by `benchmarks/merging.py`, {machine['processor']}, {machine['system']}; moreish"
        f" {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def _at(words: int, last: dict[str, Any]) -> dict[str, Any]:
    """Figures for a number of words in proportion to those of a size; the memory of an idle process stays."""

    def proportional(what: str, name: str) -> float:
        base = last[what]["base_bytes"] if name == "memory_bytes" else 0
        return base + (last[what][name] - base) * words / last["words"]

    return {what: {name: proportional(what, name) for name in last[what]} for what in ("whole", "part", "merge")}


def _time(seconds: float) -> str:
    """Format seconds, with a decimal place if they are few."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
