"""Sections on speed and memory, made from results/*.json: one function for each."""

from typing import Any


def speed_section(found: dict[str, Any]) -> str:
    """Tables of training steps, and times of whole commands, from the results of benchmarks/speed.py."""
    machine, versions, seconds = found["machine"], found["versions"], found["process_seconds"]
    lines = [
        "| model (context / embedding / hidden) | batch | moreish | PyTorch eager | speed-up | relative to BLAS |",
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
        "Time of one SGD step in microseconds. The last column divides it by the time of the step's matrix products",
        "alone in OpenBLAS, called from compiled code: 1.06 means that the whole step takes 6% longer than they do.",
    ]
    if found["torch"]:
        ways = list(found["torch"][0]["us"])
        lines += [
            "",
            f"| {found['step'][0]['model']}, us a step | " + " | ".join(ways) + " |",
            "|---" + "|---:" * len(ways) + "|",
        ]
        for row in found["torch"]:
            lines.append(f"| batch {row['batch']} | " + " | ".join(f"{row['us'][way]:.0f}" for way in ways) + " |")
        lines += ["", "PyTorch in three ways: eager, with `torch.compile`, and with the gradients written by hand."]
    lines += [
        "",
        f"- `moreish train {found['data']}`, from start to exit: {seconds['train_warm']:.2f} s; the first run, which",
        f"  compiles: {seconds['train_cold']:.1f} s. `import torch` alone: {seconds['import_torch']:.2f} s.",
        f"- Sampling from an mlp {found['sampling']['mlp']}: {names:,.0f} names a second on one core.",
        "",
        f"Measured by `benchmarks/speed.py` on {found['data']}, {found['threads']} thread, {machine['processor']},"
        f" {machine['cores']} cores, {machine['system']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + (f"; OpenBLAS with {machine['blas']} kernels" if machine.get("blas") else "")
        + ". Loops and processes that are compared alternate within one run.",
    ]
    return "\n".join(lines)


def size_section(found: dict[str, Any]) -> str:
    """Table of list sizes, from the results of benchmarks/size.py."""
    lines = [
        f"| words | file | read | split | first steps ({', '.join(found['models'])}) | memory | memory / file |",
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
        "Memory is the peak of the whole process, including Python and the compiled kernels, for the model that needs"
        f" most of {', '.join(found['models'])}.",
        "",
        f"Measured by `benchmarks/size.py`, {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" python {versions['python']}, moreish {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def threads_section(found: dict[str, Any]) -> str:
    """Table of times with one thread and with several, from the results of benchmarks/threads.py."""
    several = found["threads"]
    lines = [f"| | 1 thread | {several} threads | speed-up |", "|---|---:|---:|---:|"]
    for row in found["rows"]:
        one, many = (f"{row[way] * 1e3:.4g} ms" for way in ("one", "several"))
        lines.append(f"| {row['what']} | {one} | {many} | {row['gain']:.2f} |")
    machine, versions = found["machine"], found["versions"]
    same = all(row["same"] for row in found["rows"])
    lines += [
        "",
        f"Steps are AdamW steps. The results {'are the same, bit for bit' if same else 'DIFFER'}. Measured by"
        f" `benchmarks/threads.py` on {found['data']}, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; moreish {versions['moreish']}, numba {versions['numba']}. Measurements that are"
        " compared alternate within one run.",
    ]
    return "\n".join(lines)


def fullbatch_section(found: dict[str, Any]) -> str:
    """Table of full batches and mini-batches, from the results of benchmarks/fullbatch.py."""
    lines = ["| mlp 3 / 10 / 200 | steps | seconds | train | val |", "|---|---:|---:|---:|---:|"]
    for row in found["rows"]:
        lines.append("| {way} | {steps:,} | {seconds:.2f} | {train:.4f} | {val:.4f} |".format(**row))
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        f"`--full-batch` computes the exact gradient over all {found['tokens']:,} train tokens of {found['data']} by"
        f" visiting each of the {found['contexts']:,} distinct contexts of three characters once. Losses are medians of"
        f" 3 seeds. Measured by `benchmarks/fullbatch.py`, 1 thread, {machine['processor']}; moreish"
        f" {versions['moreish']}.",
    ]
    return "\n".join(lines)


def gpu_section(found: dict[str, Any]) -> str:
    """Tables of training on a GPU, from the results of benchmarks/gpu.py."""
    rows, seconds, versions = found["rows"], found["rows"][0]["seconds"], found["versions"]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    shown = {
        "us a step, by batch size": lambda row: f"{row['us']:,.0f}",
        f"val after {', '.join(f'{of:g}' for of in seconds)} s, by batch size": lambda row: ", ".join(
            f"{val:.3f}" for val in row["val"]
        ),
    }
    lines = []
    for name, cell in shown.items():
        lines += [f"| {name} | {' | '.join(ways)} |", "|---:" * (1 + len(ways)) + "|"]
        for batch in dict.fromkeys(row["batch"] for row in rows):
            cells = [cell(row) for row in rows if row["batch"] == batch]
            lines.append(f"| {batch:,} | {' | '.join(cells)} |")
        lines.append("")
    lines.append(
        f"The default mlp with AdamW on {found['data']}. Each training makes as many steps as its time allows. Measured"
        f" by `benchmarks/gpu.py`, {found['gpu']}, {found['machine']['processor']}; torch {versions['torch']}, numba"
        f" {versions['numba']}."
    )
    return "\n".join(lines)


def diagnostics_section(found: dict[str, Any]) -> str:
    """Cost of --diagnostics, from the results of benchmarks/diagnostics.py."""
    costs = ", ".join(f"{row['training']} {row['cost']:+.1%}" for row in found["rows"])
    return (
        f"`--diagnostics` adds this to the time of a training: {costs} (`benchmarks/diagnostics.py`,"
        f" {found['machine']['processor']})."
    )


def serving_section(found: dict[str, Any]) -> str:
    """Requests a second, from the results of benchmarks/serving.py."""
    connections = list(dict.fromkeys(row["connections"] for row in found["rows"]))
    rates: dict[str, list[str]] = {}
    for row in found["rows"]:
        rates.setdefault(row["model"], []).append(f"{row['requests_per_second']:,.0f}")
    machine, versions = found["machine"], found["versions"]
    lines = [
        f"| requests a second, one word each | {' | '.join(f'{n} at a time' for n in connections)} |",
        "|---|" + "---:|" * len(connections),
        *(f"| {model} | {' | '.join(rate)} |" for model, rate in rates.items()),
        "",
        f"`GET /score` on one core. Measured by `benchmarks/serving.py`, {machine['processor']}; fastapi"
        f" {versions['fastapi']}, uvicorn {versions['uvicorn']}.",
    ]
    return "\n".join(lines)
