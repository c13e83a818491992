"""The lessons as they are shipped: notebooks with their results in them."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from ..errors import InputError

PATTERN = "[0-9][0-9]_*.ipynb"


def copy_lessons(folder: str | Path) -> list[Path]:
    """Copy the notebooks into a folder, which is made; returns their new paths. A notebook that is there already stays.

    Raises InputError if the folder cannot be written.
    """
    target, copied = Path(folder), []
    try:
        target.mkdir(parents=True, exist_ok=True)
        with as_file(_home()) as home:
            for path in sorted(home.glob(PATTERN)):
                copied.append(target / path.name)
                if not copied[-1].exists():  # a learner's own work is in it
                    shutil.copyfile(path, copied[-1])
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}): choose another folder") from None
    return copied


def _home():
    """Where the notebooks are: in the installed package, or in the checkout that it is used from."""
    checkout = Path(__file__).parents[3] / "lessons"
    return checkout if checkout.is_dir() else files("moreish.lessons") / "notebooks"
