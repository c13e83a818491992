"""Whole `moreish train` commands, timed from start to exit."""

import re
import subprocess
import sys
import tempfile
import time
from typing import Any

from moreish.corpus import PARTS


def trained(names: str, options: list[str]) -> dict[str, Any]:
    """Train as a process of its own. Returns its options, seconds, number of parameters and losses.

    With --within, it also returns what was chosen.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "moreish", "train", names, *options, "--out", f"{folder}/run"]
        began = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    loss = {part: float(re.findall(rf"^{part} +([\d.]+)", done.stdout, re.M)[-1]) for part in PARTS}
    parameters = int(re.findall(r"([\d,]+) parameters", done.stdout)[-1].replace(",", ""))
    found = re.search(r"^moreish: (.*); the same again: ", done.stderr, re.M)
    chosen = {"chosen": found[1]} if found else {}
    return {**chosen, "options": options, "seconds": seconds, "parameters": parameters, "loss": loss}
