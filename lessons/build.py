"""Makes the notebooks from their sources: runs every cell and keeps what it prints and draws.

    python lessons/build.py [01_bigram ...] [--quick]

A lesson is written as NN_name.py (jupytext's percent format); NN_name.ipynb is made from it. --quick runs the same
cells in reduced time (they look for MOREISH_QUICK) and writes nothing: it is what the tests do. The list is names.txt
where MOREISH_NAMES or the download cache has it, else the bundled names.
"""

import argparse
import os
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TIMEOUT = 600  # seconds for a cell
STEADY: dict[str, bool] = {"record_timing": False, "coalesce_streams": True}  # the same results are the same notebook


def names() -> list[str]:
    """The lessons, in their order."""
    return sorted(path.stem for path in HERE.glob("[0-9][0-9]_*.py"))


def source(name: str) -> nbformat.NotebookNode:
    """A lesson as a notebook that has not been run."""
    notebook = jupytext.read(HERE / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:2]}-{number:03}"  # not by chance: the same source is the same notebook
    return notebook


def executed(name: str, quick: bool = False) -> nbformat.NotebookNode:
    """A lesson with its outputs. Raises nbclient.exceptions.CellExecutionError if a cell fails."""
    notebook = source(name)
    environment = {**os.environ, "MOREISH_QUICK": "1" if quick else ""}
    client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(HERE)}}, **STEADY)
    return client.execute(env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="all, unless some are named")
    parser.add_argument("--quick", action="store_true", help="run in reduced time and write nothing")
    arguments = parser.parse_args()
    for name in arguments.lessons or names():
        began = time.perf_counter()
        notebook = executed(name, arguments.quick)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        if not arguments.quick:
            nbformat.write(notebook, HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
