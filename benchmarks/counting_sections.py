"""Sections on n-gram counts, made from results/counting.json: one function for each."""

from typing import Any

STRONG = 4  # the order whose strengths are shown


def smoothing_section(found: dict[str, Any]) -> str:
    """Table of losses by smoothing, order and tokens in front of a word."""
    names = list(found["smoothing"][0]["one"])
    lines = [f"| order | {' | '.join(f'{name}: one, padded' for name in names)} |", "|---:|" + "---:|" * len(names)]
    for row in found["smoothing"]:
        cells = []
        for name in names:
            one, padded = (f"{row[kind][name]:.4f}" for kind in ("one", "padded"))
            better = row["one"][name] < row["padded"][name]
            cells.append(f"**{one}**, {padded}" if better else f"{one}, **{padded}**")
        lines.append(f"| {row['order']} | {' | '.join(cells)} |")
    row = next(row for row in found["smoothing"] if row["order"] == 6)
    inside, beginning = (row[f"strengths, {part}"][0][STRONG - 1] for part in ("inside", "beginning"))
    versions = found["versions"]
    lines += [
        "",
        f"Val loss in nats per token on {found['data']}, the lower in bold; additive smoothing adds {found['added']}.",
        "",
        f"Fitted smoothing with one token in front has a val loss of {row['one']['fitted']:.4f} at order 6, and of"
        f" {row['own strengths']:.4f} if the contexts at the beginning of a word have strengths of their own. At order"
        f" {STRONG} the strength a is then {beginning:.2f} at the beginning and {inside:.2f} inside a word.",
        "",
        f"Measured by `benchmarks/counting.py`; moreish {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)
