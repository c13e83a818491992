"""Puts the figures of benchmarks/results/*.json into the README, between its markers."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def speed_section(found: dict) -> str:
    """The README's table of speed, from what benchmarks/speed.py measured."""
    machine, versions, seconds = found["machine"], found["versions"], found["process_seconds"]
    lines = [
        "| context / embedding / hidden | batch | moreish | PyTorch eager | times as fast | of its products |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in found["step"]:
        us = row["us"]
        lines.append(
            f"| {row['model']} | {row['batch']} | {us['moreish']:.1f} us "
            f"| {us['torch']:.0f} us | {row['times_torch']:.1f} | {row['of_products']:.2f} |"
        )
    names = found["sampling"]["names_per_second"]
    lines += [
        "",
        "Microseconds of one SGD step. The last column is the whole step as a share of the time that its plain",
        "matrix products alone take in OpenBLAS, called from compiled code: 1.06 is 6% more than these.",
    ]
    if found["torch"]:
        ways = list(found["torch"][0]["us"])
        lines += ["", "| mlp 4 / 10 / 200, us a step | " + " | ".join(ways) + " |", "|---" + "|---:" * len(ways) + "|"]
        for row in found["torch"]:
            lines.append(f"| batch {row['batch']} | " + " | ".join(f"{row['us'][way]:.0f}" for way in ways) + " |")
        lines += ["", "PyTorch eager, through `torch.compile`, and with the gradients written by hand."]
    lines += [
        "",
        f"- `moreish train {found['data']}`, from prompt to prompt: {seconds['train_warm']:.2f} s, and",
        f"  {seconds['train_cold']:.1f} s the first time, when it compiles. `import torch` alone:"
        f" {seconds['import_torch']:.2f} s.",
        f"- Sampling from an mlp {found['sampling']['mlp']}: {names:,.0f} names a second, on one core.",
        "",
        f"Measured by `benchmarks/speed.py` on {found['data']}, {found['threads']} thread, {machine['processor']},"
        f" {machine['cores']} cores, {machine['system']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + (f"; OpenBLAS with {machine['blas']} kernels" if machine.get("blas") else "")
        + ". Loops and processes that are compared took turns within one run.",
    ]
    return "\n".join(lines)


def ladder_section(found: dict) -> str:
    """The README's ladder of models, from what benchmarks/quality.py measured."""
    lines = [
        "| model (context / embedding / hidden) | parameters | train | val | published val | test | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for rung in found["rungs"]:
        median, published = rung["median"], rung["published"][1]
        lines.append(
            f"| {rung['name']} | {rung['parameters']:,} | {median['train']:.3f} | **{median['val']:.3f}** "
            f"| {'' if published is None else f'{published:.3f}'} | {median['test']:.3f} | {rung['seconds']:.1f} |"
        )
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        f"Nats per token on {found['data']}, lecture split, the median of {len(found['seeds'])} seeds; the time is that"
        " of one training and its evaluation. Published rungs are trained as published, 200,000 steps of 32 by SGD, and"
        " keep the last weights. Settings were chosen by val, never by test.",
        "",
        f"Measured by `benchmarks/quality.py`, 1 thread, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; moreish {versions['moreish']}, numpy {versions['numpy']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)


def size_section(found: dict) -> str:
    """The README's table of list sizes, from what benchmarks/size.py measured."""
    lines = [
        f"| words | file | read | split | first steps of {', '.join(found['models'])} | memory | times the file |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["sizes"]:
        s = row["seconds"]
        steps = ", ".join(f"{s[f'first_steps_{model}']:.1f}" for model in found["models"])
        lines.append(
            f"| {row['words']:,} | {row['file_bytes'] / 1e6:.1f} MB | {s['read']:.2f} s | {s['split']:.2f} s "
            f"| {steps} s | {row['memory_bytes'] / 1e6:.0f} MB | {row['times_file']:.1f} |"
        )
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        "Memory is the most that the whole process held, Python and the compiled kernels included, for the model that"
        " needs most of " + ", ".join(found["models"]) + ".",
        "",
        f"Measured by `benchmarks/size.py`, {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" python {versions['python']}, moreish {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


SECTIONS = {"speed": speed_section, "quality": ladder_section, "size": size_section}


def filled(readme: str) -> str:
    """The README with every section between its markers made anew."""
    for name, section in SECTIONS.items():
        found = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
        start, end = f"<!-- {name}: made by benchmarks/readme.py -->\n", f"\n<!-- end of {name} -->"
        before, rest = readme.split(start)
        readme = before + start + section(found) + end + rest.split(end)[1]
    return readme


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
