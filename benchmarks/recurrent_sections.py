"""Sections on models of whole words, made from results/sequence.json: one function for each."""

import shlex
from typing import Any


def epochs_section(found: dict[str, Any]) -> str:
    """Table of the seconds of an epoch, and the rates of drawing and evaluation."""
    lines = [
        "| model (layers × hidden) | threads | moreish | prefixes not shared | PyTorch | speed-up | products in BLAS "
        "| relative to BLAS |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["epochs"]:
        s = row["seconds"]
        lines.append(
            f"| {name_of(row)} | {row['threads']} | {s['moreish']:.2f} s | {s['not shared']:.2f} s "
            f"| {s['torch']:.2f} s | {s['torch'] / s['moreish']:.1f} | {s['products']:.2f} s "
            f"| {s['moreish'] / s['products']:.2f} |"
        )
    rates, machine, versions = found["rates"], found["machine"], found["versions"]
    lines += [
        "",
        f"Time of a pass over the train words of {found['data']}: AdamW, batches of {found['batch']} words, embeddings"
        " of 64, no dropout. PyTorch runs `nn.GRU`, `nn.LSTM` and `nn.RNN` on batches that are packed by length"
        " beforehand. The products are those of all tokens, without shared prefixes, alone in BLAS: 1.06 in the last"
        " column means that the whole epoch takes 6% longer than they do.",
        "",
        "| default model, 2 threads | parameters | words drawn a second | losses on all words |",
        "|---|---:|---:|---:|",
        *(
            f"| {row['model']} | {row['parameters']:,} | {row['words_per_second']:,.0f} "
            f"| {row['evaluation_seconds']:.2f} s |"
            for row in rates
        ),
        "",
        f"Measured by `benchmarks/sequence.py`, {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" {listed(versions, 'python', 'moreish', 'numpy', 'numba', 'torch')}. Loops that are compared alternate within"
        " one run.",
    ]
    return "\n".join(lines)


def losses_section(found: dict[str, Any]) -> str:
    """Table of the losses of whole commands, and the effect of shared prefixes on losses."""
    lines = ["| command | parameters | from start to exit | train | val | test |", "|---|---:|---:|---:|---:|---:|"]
    for row in found["losses"]:
        losses = " | ".join(f"{row['loss'][part]:.3f}" for part in ("train", "val", "test"))
        command = command_of(row, found["data"])
        lines.append(f"| `{command}` | {row['parameters']:,} | {row['seconds']:,.0f} s | {losses} |")
    options = found["sharing_options"]
    given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
    lines += [
        "",
        "With dropout, equal prefixes of words in a batch share their mask. This is how val and the time of a training"
        f" change if each word has rows of its own (`--model gru {given}`):",
        "",
        "| equal prefixes | val, by seed | mean | seconds |",
        "|---|---:|---:|---:|",
    ]
    for row in found["sharing"]:
        mean = sum(row["val"]) / len(row["val"])
        vals = ", ".join(f"{val:.4f}" for val in row["val"])
        lines.append(
            f"| {'shared' if row['shared'] else 'not shared'} | {vals} | {mean:.4f} | {row['seconds']:.1f} s |"
        )
    machine = found["machine"]
    lines += [
        "",
        f"Nats per token on {found['data']}, seed 42 in the first table. Measured by `benchmarks/sequence.py`,"
        f" {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" {listed(found['versions'], 'moreish', 'numpy', 'numba')}.",
    ]
    return "\n".join(lines)


def name_of(row: dict[str, Any]) -> str:
    """Name of a measured net, such as "gru 1 × 256": its layers and their hidden units."""
    return f"{row['model']} {row['n_layer']} × {row['n_hidden']}"


def threads_of(row: dict[str, Any]) -> str:
    """Number of threads, in words."""
    return f"{row['threads']} thread{'' if row['threads'] == 1 else 's'}"


def command_of(row: dict[str, Any], data: str) -> str:
    """Command of a training whose losses were measured."""
    return shlex.join(["moreish", "train", data, *row["options"]])


def listed(versions: dict[str, str], *names: str) -> str:
    """Versions of some packages, as text."""
    return ", ".join(f"{name} {versions[name]}" for name in names)
