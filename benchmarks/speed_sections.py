"""What the README says of speed and memory, from results/*.json: one function for each section."""


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


def threads_section(found: dict) -> str:
    """The README's table of what threads gain, from what benchmarks/threads.py measured."""
    several = found["threads"]
    lines = [f"| | one thread | {several} threads | times as fast |", "|---|---:|---:|---:|"]
    for row in found["rows"]:
        one, many = (f"{row[way] * 1e3:.4g} ms" for way in ("one", "several"))
        lines.append(f"| {row['what']} | {one} | {many} | {row['gain']:.2f} |")
    machine, versions = found["machine"], found["versions"]
    same = all(row["same"] for row in found["rows"])
    lines += [
        "",
        f"Steps are AdamW's. Results {'were the same, bit for bit' if same else 'DIFFERED'}. Measured by"
        f" `benchmarks/threads.py` on {found['data']}, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; moreish {versions['moreish']}, numba {versions['numba']}. What is compared took turns"
        " within one run.",
    ]
    return "\n".join(lines)


def fullbatch_section(found: dict) -> str:
    """The README's table of full batches beside mini-batches, from what benchmarks/fullbatch.py measured."""
    lines = ["| mlp 3 / 10 / 200 | steps | seconds | train | val |", "|---|---:|---:|---:|---:|"]
    for row in found["rows"]:
        lines.append("| {way} | {steps:,} | {seconds:.2f} | {train:.4f} | {val:.4f} |".format(**row))
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        f"`--full-batch` takes the exact gradient over all {found['tokens']:,} train tokens of {found['data']} for the"
        f" price of the {found['contexts']:,} different contexts of three characters; evaluation walks each once too."
        f" Medians of 3 seeds, `benchmarks/fullbatch.py`, 1 thread, {machine['processor']}; moreish"
        f" {versions['moreish']}.",
    ]
    return "\n".join(lines)


def gpu_section(found: dict) -> str:
    """The README's tables of training on a GPU, from what benchmarks/gpu.py measured."""
    rows, seconds, versions = found["rows"], found["rows"][0]["seconds"], found["versions"]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    shown = {
        "us a step, at a batch of": lambda row: f"{row['us']:,.0f}",
        f"val after {', '.join(f'{of:g}' for of in seconds)} s, at a batch of": lambda row: ", ".join(
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
        f"The default mlp, AdamW, on {found['data']}; each training has the length that its speed allows. Measured by"
        f" `benchmarks/gpu.py`, {found['gpu']}, {found['machine']['processor']}; torch {versions['torch']}, numba"
        f" {versions['numba']}."
    )
    return "\n".join(lines)


def diagnostics_section(found: dict) -> str:
    """What the README says of the cost of diagnostics, from what benchmarks/diagnostics.py measured."""
    costs = ", ".join(f"{row['training']} {row['cost']:+.1%}" for row in found["rows"])
    return f"What `--diagnostics` adds to the time of a training: {costs} ({found['machine']['processor']})."


def serving_section(found: dict) -> str:
    """What the README says of the speed of a server, from what benchmarks/serving.py measured."""
    rates: dict[str, list[str]] = {}
    for row in found["rows"]:
        rates.setdefault(row["model"], []).append(f"{row['requests_per_second']:,.0f}")
    listed = ", ".join(f"{model} {' and '.join(rate)}" for model, rate in rates.items())
    machine, versions = found["machine"], found["versions"]
    return (
        f"Requests a second for the score of one word, on one core, over one connection and over eight: {listed}"
        f" (`benchmarks/serving.py`, {machine['processor']}; fastapi {versions['fastapi']}, uvicorn"
        f" {versions['uvicorn']})."
    )
