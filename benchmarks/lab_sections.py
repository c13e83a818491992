"""Sections on the lab, made from results/lab.json: one function for each."""

from typing import Any

# What each pair of trainings shows, and what to look at.
SUBJECTS = {
    "rate": (
        "A rate that is too high",
        "The loss rises before it falls, and ends higher. Watch the update-to-weight ratios.",
    ),
    "start": (
        "A naive start, and dead units",
        "The first loss of a good start is log V: all characters equally likely. A naive net is sure of itself, wrong, "
        "and saturated. At a far too high rate units die: they are saturated on every example, and learn nothing more.",
    ),
    "overfitting": (
        "Overfitting on 200 words",
        "Paste 200 words of a list. Train falls on while val rises; the run keeps the weights at its lowest point.",
    ),
    "tree": (
        "A tree against a flat net",
        "The same context, joined at once or in pairs. Compare the panels of the architecture, and the losses.",
    ),
    "counts": (
        "Counts against nets",
        "The n-gram is counted before the net has made a step, and an mlp of this size does not reach it; a gru does.",
    ),
}


def shown_value(value: object) -> str:
    """A value as the address of the page has it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def lecture_section(found: dict[str, Any]) -> str:
    """The things to try in a lecture with their outcome, from the results of benchmarks/lab.py."""
    lines: list[str] = []
    for number, (name, (title, text)) in enumerate(SUBJECTS.items(), start=1):
        lines += [f"### {number}. {title}", "", text, "", "| settings | first loss | largest batch loss | val | seen |"]
        lines.append("|---|---:|---:|---:|---|")
        for row in found["lecture"][name]:
            settings = dict(row["settings"])
            n = settings.pop("words", None)
            address = "#" + "&".join(f"{key.replace('_', '-')}={shown_value(value)}" for key, value in settings.items())
            shown = f"`{address}`" if settings else "the defaults"
            shown += f", {n} words" if n else ""
            if "first" in row:
                rose = row["last_val"] > row["best_val"] + 0.02
                val = f"{row['best_val']:.2f}" + (f", at the end {row['last_val']:.2f}" if rose else "")
                seen = "; ".join(row["verdicts"]) or "–"
                lines.append(f"| {shown} | {row['first']:.2f} | {row['largest']:.2f} | {val} | {seen} |")
            else:
                lines.append(f"| {shown} | – | – | {row['loss']['val']:.2f} | – |")
        lines.append("")
    lines.append("Losses in nats per token, on the bundled names, by `benchmarks/lab.py`.")
    return "\n".join(lines)


def cost_section(found: dict[str, Any]) -> str:
    """Time that the lab takes from a training, from the results of benchmarks/lab.py."""
    lines = ["| model | alone | in the lab, no page | with the page open |", "|---|---:|---:|---:|"]
    for row in found["cost"]:
        s = row["seconds"]
        more = [f"{s[way]:.2f} s ({s[way] / s['alone'] - 1:+.0%})" for way in ("lab", "page")]
        lines.append(f"| {row['model']}, {row['steps']:,} steps | {s['alone']:.2f} s | {' | '.join(more)} |")
    machine, restart = found["machine"], found["restart_ms"]
    lines += [
        "",
        f"The first point of a new curve is on the page {restart['median']:.0f} ms after a slider is let go (median of",
        f"fifteen; the slowest: {restart['largest']:.0f} ms). Measured by `benchmarks/lab.py` on",
        f"{found['list']:,} names,",
        f"{machine['processor']}, {machine['cores']} cores, with Chromium {found['versions']['browser']}",
        "on the same machine.",
    ]
    return "\n".join(lines)
