"""Entry point of the command `moreish`, and of `python -m moreish`."""

import contextlib
import gc
import io
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.getfilesystemencoding() == "ascii" and not "".join(sys.argv).isascii():  # the locale is C
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed, as by >&-
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    _stop_as_by_ctrl_c()
    caught = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else Ctrl-C is ignored
    if caught:
        signal.signal(signal.SIGINT, _end_at_once)  # an import could turn a KeyboardInterrupt into another error
    # Imports create many objects that stay alive. Default thresholds scan them again and again: a tenth of the time.
    gc.set_threshold(200_000, 50, 50)
    # If SciPy is installed, Numba would load its BLAS, which is not used here: another tenth.
    sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]
    from .cli import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Files and pipes get UTF-8, whatever the locale. A terminal may lack a character.
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if caught:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader of a pipe has gone
            stream.flush()
    # All files are closed. Exiting at once skips the teardown of the compiler, a quarter of the time of a training run.
    os._exit(status)


def _end_at_once(*_: object) -> None:
    """End as the command line does on Ctrl-C; while it is imported, there is nothing to save."""
    with contextlib.suppress(OSError):
        os.write(2, b"moreish: stopped\n")
    os._exit(130)


def _stop_as_by_ctrl_c() -> None:
    """Make SIGTERM and SIGHUP do what Ctrl-C does, unless they are ignored, as by nohup."""
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a terminal that closes may send it twice
        if number != signal.SIGTERM:  # nothing can be written on a terminal that has gone
            for terminal in terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), terminal)
        signal.raise_signal(signal.SIGINT)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if (number := getattr(signal, name, None)) and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)


if __name__ == "__main__":
    main()
