"""Make the notebooks from their sources: run every cell and store its output.

    python lessons/build.py [01_bigram ...]

The source of a lesson is NN_name.py (jupytext's percent format); its notebook is NN_name.ipynb. The notebooks are
built with names.txt, which is downloaded or which MOREISH_NAMES names; the tests run them with the bundled names.
"""

import argparse
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TIMEOUT = 600  # seconds for a cell
WIDGET = "application/vnd.jupyter.widget-view+json"


def names() -> list[str]:
    """Names of the lessons, in order."""
    return sorted(path.stem for path in HERE.glob("[0-9][0-9]_*.py"))


def source(name: str) -> nbformat.NotebookNode:
    """Return a lesson as a notebook that has not been run."""
    notebook = jupytext.read(HERE / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:2]}-{number:03}"  # not random, so that the same source gives the same notebook
    return notebook


def executed(name: str) -> nbformat.NotebookNode:
    """Run a lesson and return it with its outputs. Raises nbclient.exceptions.CellExecutionError if a cell fails."""
    notebook = source(name)
    resources = {"metadata": {"path": str(HERE)}}
    # without times, the state of widgets and with joined streams, the same results give the same notebook
    options = {"record_timing": False, "coalesce_streams": True, "store_widget_state": False}
    done = NotebookClient(notebook, timeout=TIMEOUT, resources=resources, **options).execute()
    for cell in done.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # its name is random, and it lives only as long as the kernel
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="names of the lessons (default: all)")
    arguments = parser.parse_args()
    for name in arguments.lessons or names():
        began = time.perf_counter()
        nbformat.write(executed(name), HERE / f"{name}.ipynb")
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
