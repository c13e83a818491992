"""Commands on a terminal of some width."""

import os
import re
import struct
import sys

CODE = "import sys, json; from moreish.cli import run; sys.exit(max(run(c) for c in json.loads(sys.argv[1])))"


def lines_on_terminal(commands: str, width: int) -> list[str]:
    """Return the lines, without control sequences, that commands (a JSON list of lists) print on a terminal."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown_on_terminal(commands, width)).splitlines()


def shown_on_terminal(commands: str, width: int, statuses: tuple[int, ...] = (0,)) -> str:
    """Return what commands (a JSON list of lists) write on a terminal. The highest exit status is one of `statuses`."""
    import fcntl
    import pty
    import termios

    child, terminal = pty.fork()
    if not child:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        # readline may have put COLUMNS into the environment without Python's knowledge.
        environment = {**os.environ, "TERM": "xterm"}
        environment.pop("COLUMNS", None)
        os.execve(sys.executable, [sys.executable, "-c", CODE, commands], environment)
    shown = bytearray()
    try:
        while piece := os.read(terminal, 1 << 16):
            shown += piece
    except OSError:  # the end, on Linux
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in statuses, shown.decode()
    return shown.decode()
