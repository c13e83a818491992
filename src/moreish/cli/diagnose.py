"""Diagnose the training of a run: statistics of its layers, problems and remedies.

Prints the statistics of each layer at step 0 and now (mean, std, saturated outputs, dead units, gradient), the ratios
of gradient and update to each weight matrix, and verdicts. The steps are those that --diagnostics recorded in the
training; without it, the first steps are trained again, which takes a few seconds.

Examples:
  moreish diagnose runs/names-mlp
  moreish diagnose runs/names-mlp --json
"""

from pathlib import Path
from typing import Any

from ..analysis.diagnosis import diagnose as diagnose_run
from ..analysis.diagnosis import layer_row
from ..training.loading import load
from .terminal import announce_work, print_json, print_table, print_text
from .values import Flag


def diagnose(run: Path, /, *, json: Flag = False) -> None:
    """Run `moreish diagnose`.

    Parameters
    ----------
    run
        Folder of a run.
    json
        Print JSON: {"start": {"layers": [...], "tensors": [...]}, "end": ..., "steps": [...], "replayed": ...,
        "verdicts": [{"trouble", "seen", "remedy"}, ...]}.
    """
    announce_work()
    found = diagnose_run(load(run))
    if json:
        print_json(found.as_json())
        return
    for when, state in (("at step 0", found.start), ("now", found.end)):
        print_table([when, ">mean", ">std", ">saturated", ">dead", ">gradient std"], map(layer_row, state["layers"]))
        print()
    heading = ["weights, median over the steps", ">std", ">grad : data", ">update : data"]
    print_table(heading, map(tensor_row, found.tensors()))
    print()
    for verdict in found.verdicts:
        print_text(f"{verdict.trouble}: {verdict}")
    if not found.verdicts:
        print("No problems found.")


def tensor_row(row: dict[str, Any]) -> list[str]:
    """Cells of a tensor's statistics."""
    ratios = (row[what] / row["data"] if row["data"] else 0 for what in ("gradient", "update"))
    return [row["name"], f"{row['data']:.4f}", *(f"{ratio:.1e}" if ratio else "" for ratio in ratios)]
