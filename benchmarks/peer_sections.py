"""Sections on makemore.py, made from results/peers.json: one function for each."""

from typing import Any

from recurrent_sections import command_of, listed

ORDER = ("ngram", "bigram", "mlp", "bow", "rnn", "gru", "transformer")
# Models of our own that have another name in its tables.
NAMES = {"ngram": "n-gram counts", "bow": "bag of words", "transformer": "Transformer"}


def makemore_table(found: dict[str, Any], recurrent: dict[str, Any]) -> str:
    """Table of the val losses that models reach in a given time, for the README."""
    seconds = found["seconds"]
    times = [f"{limit:g} s" for limit in seconds]
    lines = [
        f"| val after | makemore.py: {' | '.join(times)} | moreish: {' | '.join(times)} |",
        f"|---|{'---:|' * 2 * len(times)}",
    ]
    for name in ORDER:
        theirs = [row for of in found["losses"]["makemore"] if of["model"] == name for row in of["reached"]]
        ours = [row for row in found["losses"]["moreish"] if row["model"] == name]
        if theirs or ours:
            cells = [*reached_by_makemore(theirs, seconds), *reached_by_moreish(ours, seconds)]
            lines.append(f"| {NAMES.get(name, name)} | {' | '.join(cells)} |")
    best = min(recurrent["losses"], key=lambda row: row["loss"]["val"])
    lines += [
        "",
        f"Nats per token on {found['data']}, within that time from the start of a process, on {found['threads']}"
        " threads. makemore.py trains with its default options and `--num-workers 0`, and never stops to evaluate;"
        " moreish trains, evaluates and samples in the seconds given. A dash: no step yet, or no training that ended."
        f" [Options](docs/speed.md#against-makemorepy). {steps_sentence(found)} `benchmarks/peers.py`,"
        f" {found['machine']['processor']}, torch {found['versions']['torch']}. With more time, a {best['options'][1]}"
        f" reaches **{best['loss']['val']:.3f}** in {best['seconds']:,.0f} s:"
        " [recurrent nets and Transformers](docs/quality.md#recurrent-nets-and-transformers).",
    ]
    return "\n".join(lines)


def reached_by_makemore(rows: list[dict[str, Any]], seconds: list[float]) -> list[str]:
    """Cells with the lowest loss that a model of makemore.py had by each time."""
    cells = []
    for limit in seconds:
        vals = [row["val"] for row in rows if row["limit"] <= limit and row["steps"]]
        cells.append(f"{min(vals):.3f}" if vals else "–" if rows else "")
    return cells


def reached_by_moreish(rows: list[dict[str, Any]], seconds: list[float]) -> list[str]:
    """Cells with the lowest loss of the trainings that ended by each time, and when that one ended."""
    cells = []
    for limit in seconds:
        ended = [row for row in rows if row["seconds"] <= limit]
        best = min(ended, key=lambda row: row["loss"]["val"], default=None)
        cells.append(f"**{best['loss']['val']:.3f}** ({best['seconds']:.1f} s)" if best else "–")
    return cells


def steps_sentence(found: dict[str, Any]) -> str:
    """The time of a step of the Transformer, as a sentence."""
    s = next(row["seconds"] for row in found["steps"] if row["model"] == "transformer")
    ours = f", and {1e3 * s['moreish']:.1f} ms in moreish" if "moreish" in s else ""
    return (
        f"A training step of the Transformer takes {1e3 * s['makemore']:.1f} ms in makemore.py,"
        f" {1e3 * s['packed']:.1f} ms in PyTorch on packed words{ours}."
    )


def makemore_section(found: dict[str, Any]) -> str:
    """Tables of training steps, and of the trainings whose losses the README shows."""
    lines = [
        "| a training step | makemore.py | PyTorch, packed | moreish | speed-up over makemore.py | over PyTorch |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in found["steps"]:
        s = row["seconds"]
        times = [f"{1e3 * s[way]:.2f} ms" if way in s else "" for way in ("makemore", "packed", "moreish")]
        gains = [
            f"{s[way] / s['moreish']:.1f}" if way in s and "moreish" in s else "" for way in ("makemore", "packed")
        ]
        lines.append(f"| {NAMES.get(row['model'], row['model'])} | {' | '.join([*times, *gains])} |")
    limits = [f"{limit:g} s" for limit in found["seconds"]]
    lines += [
        "",
        "Models of the default sizes of makemore.py, AdamW, batches of 32 words, which makemore.py pads to the longest"
        " word of the list. PyTorch works on batches that are packed beforehand, with its fused attention and its fused"
        " AdamW. In moreish, the `bigram` and the `mlp` take batches of as many tokens as 32 words have on average, and"
        " the other models take whole words.",
        "",
        f"| model of makemore.py | parameters | {' | '.join(f'steps in {t} | val' for t in limits)} |",
        f"|---|---:|{'---:|---:|' * len(limits)}",
    ]
    for row in found["losses"]["makemore"]:
        cells = " | ".join(f"{r['steps']:,} | {r['val']:.3f}" for r in row["reached"])
        lines.append(f"| {NAMES.get(row['model'], row['model'])} | {row['parameters']:,} | {cells} |")
    lines += ["", "| command | parameters | from start to exit | val | test |", "|---|---:|---:|---:|---:|"]
    for row in found["losses"]["moreish"]:
        lines.append(
            f"| `{command_of(row, found['data'])}` | {row['parameters']:,} | {row['seconds']:.1f} s "
            f"| {row['loss']['val']:.3f} | {row['loss']['test']:.3f} |"
        )
    machine = found["machine"]
    lines += [
        "",
        f"Nats per token on {found['data']}, on the lecture's split. makemore.py trains with its default options and"
        " `--num-workers 0`; TensorBoard is not loaded, and losses are measured after the training. moreish loads its"
        f" compiled code from disk. Measured by `benchmarks/peers.py`, {found['threads']} threads,"
        f" {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" {listed(found['versions'], 'python', 'moreish', 'numpy', 'numba', 'torch')}; SHA-256 of makemore.py"
        f" {found['makemore_sha256'][:12]}. Loops that are compared alternate within one run.",
    ]
    return "\n".join(lines)
