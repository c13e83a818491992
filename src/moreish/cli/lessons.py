"""Copy the lessons into a folder, and open them in Jupyter.

They are notebooks, from counting letters on, with their results in them. One that is in the folder already stays as it
is.

Examples:
  moreish lessons
  moreish lessons my-lessons --copy
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import InputError
from ..lessons.copying import copy_lessons
from .values import Flag


def lessons(folder: Path = Path("lessons"), /, *, copy: Flag = False) -> None:
    """Run `moreish lessons`.

    Parameters
    ----------
    folder
        Where to copy them; what is there already stays as it is.
    copy
        Copy them, and do not open Jupyter.
    """
    if not copy and find_spec("jupyterlab") is None:
        raise InputError("opening the lessons needs JupyterLab: pip install 'moreish[lessons]', or give --copy")
    for path in copy_lessons(folder):
        print(path)
    if not copy:
        raise SystemExit(subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], check=False).returncode)
