"""Short runs of the attacks in `tests/attack`, each in a process of its own. A person runs them for longer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "attack"
TRIES = {
    "runs": 60,
    "lists": 1000,
    "options": 60,
    "options --commands": 4,
    "printed": 25,
    "kill": 6,
    "writes": 15,
    "disks": 4,
    "server": 5,
    "lab": 5,
    "steady": 100,
}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals, limits and pipes")


def test_every_attack_is_here():
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"harness", "faults", "network"}
    assert scripts == {name.split()[0] for name in TRIES}


@pytest.mark.parametrize("name", TRIES)
def test_an_attack_fails(name, tmp_path):
    script, *more = name.split()
    line = [sys.executable, FOLDER / f"{script}.py", "--tries", str(TRIES[name]), "--out", tmp_path / "out.json", *more]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads((tmp_path / "out.json").read_text()).values()
    assert (summary["tries"], summary["failures"]) == (TRIES[name], 0)
