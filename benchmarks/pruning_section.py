"""Section on pruned n-gram models, made from results/pruning.json."""

from typing import Any


def pruning_section(found: dict[str, Any]) -> str:
    """Tables of size, memory and loss by order and threshold, and of pruning by count and by entropy."""
    thresholds = [model["threshold"] for model in found["orders"][0]["models"]]
    heads = [f"pruned at {threshold:.0e}".replace("e-0", "e-") if threshold else "whole" for threshold in thresholds]
    lines = [
        f"| order | {' | '.join(f'{head}: file | memory | val' for head in heads)} |",
        "|---:|" + "---:|" * (3 * len(heads)),
    ]
    for row in found["orders"]:
        cells = [
            f"{model['file_bytes'] / 1e6:.2f} MB | {model['memory_bytes'] / 1e6:.0f} MB | {model['val']:.4f}"
            for model in row["models"]
        ]
        lines.append(f"| {row['order']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Val loss in nats per token on {found['data']}, with fitted smoothing. Memory is the peak of a process that"
        " loads the run and scores val; most of it is Python, NumPy and compiled code.",
        "",
        f"| `--at-least`, order {found['order']} | tables | val by count | by entropy, same size | order"
        f" {found['order'] - 1} by entropy, same size | by entropy, half the size | by count, then by entropy, half |",
        "|---:|" + "---:|" * 6,
    ]
    for row in found["counts"]:
        losses = ("by count", "by entropy", "lower order, by entropy", "by entropy, half", "both")
        cells = " | ".join(f"{row[name]:.4f}" for name in losses)
        lines.append(f"| {row['at_least']} | {row['bytes'] / 1e6:.2f} MB | {cells} |")
    versions, processor = found["versions"], found["machine"]["processor"]
    lines += [
        "",
        f"Measured by `benchmarks/pruning.py`, {processor}, Linux; python {versions['python']}, moreish"
        f" {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)
