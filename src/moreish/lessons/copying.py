"""The notebooks of the lessons, with their results, as they are installed."""

import json
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import alone_in, write_atomically

SOLUTION = {"hide-input", "solution"}  # the tags of cells with code and with text that are part of a solution
NOTEBOOKS = "[0-9][0-9]_*.ipynb"


def copy_lessons(folder: str | Path, solutions: bool = True) -> dict[Path, bool]:
    """Copy the notebooks into a folder and return their paths there, each with True if it was already there.

    The folder is created; existing notebooks are kept. The copies may be without solutions. Raises InputError if the
    folder cannot be created, and WorkError if a notebook cannot be written.
    """
    target, kept = Path(folder), {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        with as_file(home()) as source, alone_in(target, wait=True):  # another process may copy into it too
            for path in sorted(source.glob(NOTEBOOKS)):
                place = target / path.name
                kept[place] = place.exists()
                if not kept[place]:  # never overwrite a learner's work
                    data = path.read_bytes()
                    write_atomically(place, data if solutions else without_solutions(data))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}): choose another folder") from None
    return kept


def without_solutions(notebook: bytes) -> bytes:
    """Return the notebook of a lesson without the cells of solutions."""
    read = json.loads(notebook)
    read["cells"] = [cell for cell in read["cells"] if not is_solution(cell)]
    return (json.dumps(read, ensure_ascii=False, indent=1) + "\n").encode()


def is_solution(cell: dict[str, Any]) -> bool:
    """True for a cell of a lesson that is part of a solution."""
    return not SOLUTION.isdisjoint(cell["metadata"].get("tags", ()))


def home() -> Traversable:
    """Folder of the notebooks: in the checkout if there is one, else in the installed package."""
    checkout = Path(__file__).parents[3] / "lessons"
    return checkout if checkout.is_dir() else files("moreish.lessons") / "notebooks"
