"""Section on the sizes of exported pages, made from the results of benchmarks/exports.py."""

from typing import Any


def sizes_section(found: dict[str, Any]) -> str:
    """Table of sizes, times to the first words, and the cost of 8 bits."""
    lines = [
        "| model | page | first words | with `--quantise 8` | val, 32 and 8 bits |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in found["models"]:
        name = " ".join([row["model"], *(f"--{k.replace('_', '-')} {v}" for k, v in row["options"].items())])
        whole, small = row["pages"]["32"], row["pages"].get("8")
        val = f"{row['val']['32']:.4f} and {row['val']['8']:.4f}" if "val" in row else ""
        sizes = [f"{page['bytes'] / 1000:,.0f} KB" if page else "" for page in (whole, small)]
        lines.append(f"| {name} | {sizes[0]} | {whole['first_words_ms']['median']:.0f} ms | {sizes[1]} | {val} |")
    machine = found["machine"]
    lines += [
        "",
        "Time from opening the page from the disk to its first twenty words, median of nine. Measured by",
        f"`benchmarks/exports.py` on {found['list']:,} names,",
        f"{machine['processor']}, {machine['cores']} cores, with Chromium {found['versions']['browser']}.",
    ]
    return "\n".join(lines)
