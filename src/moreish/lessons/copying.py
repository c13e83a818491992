"""The notebooks of the lessons, with their results, as they are installed."""

import shutil
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..errors import InputError

NOTEBOOKS = "[0-9][0-9]_*.ipynb"


def copy_lessons(folder: str | Path) -> dict[Path, bool]:
    """Copy the notebooks into a folder and return their paths there, each with True if it was already there.

    The folder is created; existing notebooks are kept. Raises InputError if the folder cannot be written.
    """
    target, kept = Path(folder), {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        with as_file(_home()) as home:
            for path in sorted(home.glob(NOTEBOOKS)):
                place = target / path.name
                kept[place] = place.exists()
                if not kept[place]:  # never overwrite a learner's work
                    shutil.copyfile(path, place)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}): choose another folder") from None
    return kept


def _home() -> Traversable:
    """Folder of the notebooks: in the checkout if there is one, else in the installed package."""
    checkout = Path(__file__).parents[3] / "lessons"
    return checkout if checkout.is_dir() else files("moreish.lessons") / "notebooks"
