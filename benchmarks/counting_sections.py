"""Sections on n-gram counts, made from results/counting.json: one function for each."""

from typing import Any

STRONG = 4  # the order whose strengths are shown


def smoothing_section(found: dict[str, Any]) -> str:
    """Table of losses by smoothing, order and tokens in front of a word."""
    found = found["smoothing"]
    names = list(found["rows"][0]["one"])
    lines = [f"| order | {' | '.join(f'{name}: one, padded' for name in names)} |", "|---:|" + "---:|" * len(names)]
    for row in found["rows"]:
        cells = []
        for name in names:
            one, padded = (f"{row[kind][name]:.4f}" for kind in ("one", "padded"))
            better = row["one"][name] < row["padded"][name]
            cells.append(f"**{one}**, {padded}" if better else f"{one}, **{padded}**")
        lines.append(f"| {row['order']} | {' | '.join(cells)} |")
    row = next(row for row in found["rows"] if row["order"] == 6)
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


def cost_section(found: dict[str, Any]) -> str:
    """Tables of seconds and memory of counting and scoring, and of the seconds to the first words."""
    counting, scoring, words = (found[part] for part in ("counting", "scoring", "words"))
    lines = ["| words | order | cores | moreish | lmplz | ratio | memory: moreish | lmplz | ratio |", "|" + "---:|" * 9]
    measured = _by_program(counting["rows"], "words", "order", "cores")
    for (n, order, cores), programs in measured.items():
        cells = _compared(programs["moreish"], programs.get("lmplz"))
        lines.append(f"| {n:,} | {order} | {cores} | {' | '.join(cells)} |")
    lines += [
        "",
        "Counting and modified Kneser-Ney smoothing of the same words, as whole processes: from a file of words to a"
        f" file of the model. lmplz may use {counting['lmplz_memory']} and takes longer with less.",
        "",
        "| scoring | cores | seconds | memory |",
        "|---|---:|---:|---:|",
    ]
    lines += [_row(row["program"], row) for row in scoring["rows"]]
    lines += [
        "",
        f"{scoring['rows'][0]['words']:,} words, half of them drawn by the model and half of random letters, with an"
        " n-gram of order 6. query writes a sum for each word; `moreish score` writes a percentile and a verdict too.",
        "",
        f"| the first {words['rows'][0]['words']} new words | cores | seconds | memory |",
        "|---|---:|---:|---:|",
    ]
    lines += [_row(row["program"], row) for row in words["rows"]]
    versions, machine = counting["versions"], counting["machine"]
    lines += [
        "",
        f"Whole processes from a list of words ({words['data']}) to its first new words; moreish also splits the list,"
        " evaluates the model and saves it.",
        "",
        f"Measured by `benchmarks/counting.py`, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; python {versions['python']}, moreish {versions['moreish']}, numpy"
        f" {versions['numpy']}, numba {versions['numba']}. Programs that are compared run in turns.",
    ]
    return "\n".join(lines)


def readme_row(rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Text of the row on counting, and its seconds: the longest list with the most cores, beside lmplz."""
    (n, order, cores), programs = max(_by_program(rows, "words", "order", "cores").items())
    peer = f"; KenLM's lmplz {programs['lmplz']['seconds']:.1f} s" if "lmplz" in programs else ""
    return (
        f"counting {n:,} words, n-grams of order {order}, {cores} cores{peer}",
        f"{programs['moreish']['seconds']:.1f} s",
    )


def _by_program(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[int, ...], dict[str, dict[str, Any]]]:
    """Rows by some of their values, and then by program."""
    found: dict[tuple[int, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), {})[row["program"]] = row
    return found


def _compared(ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[str]:
    """Cells of seconds and memory of two programs, and their ratios."""
    if theirs is None:
        return [f"{ours['seconds']:.2f} s", "", "", f"{ours['memory_bytes'] / 1e6:,.0f} MB", "", ""]
    cells = [f"{row['seconds']:.2f} s" for row in (ours, theirs)]
    cells.append(f"{ours['seconds'] / theirs['seconds']:.2f}")
    cells += [f"{row['memory_bytes'] / 1e6:,.0f} MB" for row in (ours, theirs)]
    return [*cells, f"{ours['memory_bytes'] / theirs['memory_bytes']:.2f}"]


def _row(name: str, row: dict[str, Any]) -> str:
    return f"| {name} | {row['cores']} | {row['seconds']:.2f} s | {row['memory_bytes'] / 1e6:,.0f} MB |"
