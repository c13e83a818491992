"""Sections on the best words, made from results/best.json: one function for each."""

import statistics
from typing import Any

from model_sections import against

PUBLISHED = 1.940  # test, of an LSTM of two layers: the lowest published loss on this split


def ladder_section(found: dict[str, Any]) -> str:
    """Table of nets, mixtures, ensembles and a distilled net on both splits."""
    lecture, distinct = found["ladder"]["lecture"], found["ladder"]["distinct"]
    rows, baseline = {row["name"]: row for row in lecture["comparison"]["runs"]}, lecture["comparison"]["baseline"]
    of_distinct = {rung["name"]: rung["median"] for rung in distinct["rungs"]}
    lines = [
        "| what | made by | parameters | train | val | test | against n-gram counts | copies of train words "
        "| distinct val | distinct test |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for rung in lecture["rungs"]:
        name, median = rung["name"], rung["median"]
        low, high = rows[name]["interval"]["test"]
        lines.append(
            f"| {name} | `{rung['made']}` | {rung['parameters']:,} | {median['train']:.3f} | **{median['val']:.3f}** "
            f"| {median['test']:.3f} ± {(high - low) / 2:.3f} "
            f"| {against(lecture['comparison']['pairs'], name, baseline)} | {lecture['copies'][name]:.1%} "
            f"| {of_distinct[name]['val']:.3f} | {of_distinct[name]['test']:.3f} |"
        )
    lines += [
        "",
        f"Nats per token on {found['data']}: the median of three seeds for single nets and their mixtures with counts,"
        " one ensemble otherwise. ± is half the width of the 95% interval over words. Copies are the share of 10,000"
        " drawn words that are in train; of held-out words it is 12.5%, on the distinct split 0. The lowest published"
        f" test loss on this split is {PUBLISHED:.3f}. All options were chosen on val.",
        "",
        measured(found),
    ]
    return "\n".join(lines)


def regularisation_section(found: dict[str, Any]) -> str:
    """Table of val losses with one change each."""
    rows, options = found["regularisation"]["rows"], found["regularisation"]["options"]
    base = rows[0]["val"]
    lines = ["| change | val, by seed | mean | difference |", "|---|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: statistics.mean(row["val"])):
        differences = [ours - theirs for ours, theirs in zip(row["val"], base, strict=True)]
        error = T_95 * statistics.stdev(differences) / len(differences) ** 0.5 if row is not rows[0] else 0
        difference = f"{statistics.mean(differences):+.3f} ± {error:.3f}" if row is not rows[0] else ""
        vals = ", ".join(f"{val:.3f}" for val in row["val"])
        lines.append(f"| {row['name']} | {vals} | {statistics.mean(row['val']):.4f} | {difference} |")
    shown = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in options.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Val in nats per token on {found['data']} of `--model lstm {shown}` and of the same with one change; ± is"
            " the 95% interval of the difference over three seeds.",
            "",
            measured(found),
        ]
    )


T_95 = 4.303  # of Student's distribution with 2 degrees of freedom


def within_section(found: dict[str, Any]) -> str:
    """Table of what --within reaches."""
    lines = ["| list | `--within` | seconds | chosen | val | test |", "|---|---:|---:|---|---:|---:|"]
    for row in [*found["within"], *found["lists"]]:
        loss = row["loss"]
        lines.append(
            f"| {row['file']} | {row['within']} | {row['seconds']:.1f} | {row['chosen']} | **{loss['val']:.3f}** "
            f"| {loss['test']:.3f} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "Seconds are those of the whole process, from start to exit, which also imports the libraries, draws words"
            " and gives advice.",
            "",
            measured(found),
        ]
    )


def measured(found: dict[str, Any]) -> str:
    """Sentence on how the figures were measured."""
    machine, versions = found["machine"], found["versions"]
    return (
        f"Measured by `benchmarks/best.py`, {machine['processor']}, {machine['cores']} cores, {machine['system']};"
        f" moreish {versions['moreish']}, numpy {versions['numpy']}, numba {versions['numba']}."
    )
