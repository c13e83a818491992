"""The command `moreish`, also `python -m moreish`."""

import contextlib
import gc
import io
import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # Imports create many objects that live on; the default thresholds scan them again and again, a tenth of the time.
    gc.set_threshold(200_000, 50, 50)
    # Numba would load SciPy's BLAS, if SciPy is there, which nothing here uses: another tenth.
    sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]
    from .cli import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to fail
    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):  # its reader has gone, or it never was there
            stream.flush()
    # All files are closed. Leaving at once spares taking the compiler apart, a quarter of the time of `moreish train`.
    os._exit(status)


if __name__ == "__main__":
    main()
