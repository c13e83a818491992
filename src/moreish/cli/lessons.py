"""Copy the lessons into a folder, and open them in Jupyter.

The lessons are notebooks with their results; the first one counts letters. Notebooks that are already in the folder are
not overwritten. When the notebooks run, they download the names of the lecture; without a connection they use the
bundled names. The environment variable MOREISH_NAMES names another list.

Some pictures have a slider, or a field for a word. For that Jupyter needs anywidget, which the extra lessons installs;
without it they are plain pictures.

Examples:
  moreish lessons
  moreish lessons my-lessons --copy
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import missing
from ..lessons.copying import copy_lessons
from .values import Flag


def lessons(folder: Path = Path("lessons"), /, *, copy: Flag = False) -> None:
    """Run `moreish lessons`.

    Parameters
    ----------
    folder
        Folder for the notebooks; files that it already contains are not overwritten.
    copy
        Only copy the notebooks; do not open Jupyter.
    """
    if not copy and find_spec("jupyterlab") is None:
        raise missing("opening the lessons needs JupyterLab (--copy only copies them)", "lessons")
    for path, kept in copy_lessons(folder).items():
        print(f"{path} (kept: it was already there)" if kept else path)
    if not copy:
        raise SystemExit(subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], check=False).returncode)
