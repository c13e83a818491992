"""Sections on lists of different sizes and kinds, made from results/*.json: one function for each."""

from typing import Any


def short_lists_section(found: dict[str, Any]) -> str:
    """Tables of short lists, from the results of benchmarks/short_lists.py."""
    models, lists = ("mlp", "ngram", "mixture"), found["lists"]
    rows = {name: {row["words"]: row for row in of_list} for name, of_list in lists.items()}
    sizes = [row["words"] for row in lists[found["data"]]]
    lines = [f"| words | {' | '.join(lists)} |", "|---:|" + "---:|" * len(lists)]
    for size in sizes:
        cells = [losses(of_list[size]) if size in of_list else "" for of_list in rows.values()]
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
    about = [
        f"| words of {found['data']} | mixture minus mlp | mixture minus n-gram | val: mlp / n-gram / mixture "
        "| longer than all words of the list |",
        "|---:|" + "---:|" * 4,
    ]
    for size in sizes:
        row = rows[found["data"]][size]
        cells = [f"{size:,}"]
        for model in models[:2]:
            difference = row["mixture"]["held_out"] - row[model]["held_out"]
            cells.append(f"{difference:+.3f} ± {row[f'error_{model}']:.3f}")
        cells.append(" / ".join(f"{row[model]['val']:.3f}" for model in models))
        cells.append(" / ".join(f"{row[model]['longer']:.1%}" for model in models))
        about.append(f"| {' | '.join(cells)} |")
    machine, versions = found["machine"], found["versions"]
    draws = [row["draws"] for of_list in lists.values() for row in of_list]
    return "\n".join(
        [
            *lines,
            "",
            f"Held-out loss of mlp / n-gram counts / mixture of both, in nats per token: means over {max(draws)} to"
            f" {min(draws)} random draws of each size, fewer of large ones, without repeats. Held-out words are up to"
            f" {found['held_out']:,} others of the same list that have only characters of the draw.",
            "",
            *about,
            "",
            "± is the standard error of the difference over the lists. The last column is the share of"
            f" {found['samples']} samples of each model that have more characters than every word of the list.",
            "",
            f"Measured by `benchmarks/short_lists.py`, {found['threads']} thread, {machine['processor']},"
            f" {machine['cores']} cores, {machine['system']}; moreish {versions['moreish']},"
            f" numpy {versions['numpy']}, numba {versions['numba']}.",
        ]
    )


def losses(row: dict[str, Any]) -> str:
    """The held-out losses of the three models in one cell, the lowest in bold."""
    values = [row[model]["held_out"] for model in ("mlp", "ngram", "mixture")]
    return " / ".join(f"**{loss:.3f}**" if loss == min(values) else f"{loss:.3f}" for loss in values)


def longer_section(found: dict[str, Any]) -> str:
    """Table of longer trainings, from the results of benchmarks/longer.py."""
    trainings = list(found["trainings"])
    rows: dict[str, dict[str, Any]] = {}
    for row in found["rows"]:
        rows.setdefault(f"{row['list']}, {row['words']:,} words", {})[row["training"]] = row["loss"]
    lines = ["| list | val minus train | val | twice the epochs | with decay 0.1 too |", "|---|" + "---:|" * 4]
    for name, loss in rows.items():
        first, *others = (loss[training] for training in trainings)
        cells = [f"{first['val'] - first['train']:.2f}", f"{first['val']:.3f}"]
        cells += [f"{other['val']:.3f} ({other['val'] - first['val']:+.3f})" for other in others]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        f"Nats per token of the default mlp, means of {len(found['seeds'])} seeds. Measured by `benchmarks/longer.py`,"
        f" {found['threads']} thread, {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" moreish {versions['moreish']}, numpy {versions['numpy']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)
