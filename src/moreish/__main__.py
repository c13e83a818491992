"""The command `moreish`, also `python -m moreish`."""

import contextlib
import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # Importing makes many objects and no garbage: looking for some again and again costs a tenth of a short command.
    gc.set_threshold(200_000, 50, 50)
    from .cli import run

    status = run(sys.argv[1:])
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    # All files are closed. Leaving at once spares taking the compiler apart, a quarter of the time of `moreish train`.
    os._exit(status)


if __name__ == "__main__":
    main()
