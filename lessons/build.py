"""Make the notebooks from their sources: run every cell and store its output.

    python lessons/build.py [01_bigram ...] [--quick]

The source of a lesson is NN_name.py (jupytext's percent format); its notebook is NN_name.ipynb. --quick sets
MOREISH_QUICK, with which the cells take less time, and writes nothing; the tests use it. The word list is names.txt
if MOREISH_NAMES or the download cache has it, else the bundled names.
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


def names() -> list[str]:
    """Names of the lessons, in order."""
    return sorted(path.stem for path in HERE.glob("[0-9][0-9]_*.py"))


def source(name: str) -> nbformat.NotebookNode:
    """Return a lesson as a notebook that has not been run."""
    notebook = jupytext.read(HERE / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:2]}-{number:03}"  # not random, so that the same source gives the same notebook
    return notebook


def executed(name: str, quick: bool = False) -> nbformat.NotebookNode:
    """Run a lesson and return it with its outputs. Raises nbclient.exceptions.CellExecutionError if a cell fails."""
    notebook = source(name)
    environment = {**os.environ, "MOREISH_QUICK": "1" if quick else ""}
    resources = {"metadata": {"path": str(HERE)}}
    # without times and with joined streams, the same results give the same notebook
    client = NotebookClient(notebook, timeout=TIMEOUT, resources=resources, record_timing=False, coalesce_streams=True)
    return client.execute(env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="names of the lessons (default: all)")
    parser.add_argument("--quick", action="store_true", help="run in less time and write nothing")
    arguments = parser.parse_args()
    for name in arguments.lessons or names():
        began = time.perf_counter()
        notebook = executed(name, arguments.quick)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        if not arguments.quick:
            nbformat.write(notebook, HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
