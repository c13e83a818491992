"""Other processes that compile. Each leaves its code in the cache on disk, from which this process loads it.

Numba compiles one function at a time in a process, so only processes can share the work.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PYTHON = Path(sys.executable or "").name.lower().startswith("python")  # and not a program that contains Python
MAX_HELPERS = 3  # each takes 150 MB; more of them wait for the longest function
DONE = "done"


def helpers(n: int) -> list["Helper"]:
    """Start up to n processes that compile; fewer if Python cannot be started."""
    started: list[Helper] = []
    with suppress(OSError):
        for _ in range(min(n, MAX_HELPERS) if PYTHON else 0):
            started.append(Helper())
    return started


class Helper:
    """A process that compiles functions, one after the other.

    If it fails, nothing is lost: what it has not compiled is missing in the cache, and this process compiles it.
    """

    def __init__(self) -> None:
        work = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, "-c", work]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, text=True)

    def compile(self, words: list[str]) -> bool:
        """Compile a job, given as `compile.Job.words`. Returns False if the process has failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(*words, file=self.process.stdin, flush=True)
            return self.process.stdout.readline().strip() == DONE
        except (OSError, ValueError):  # it has ended, or was closed
            return False

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def serve() -> None:
    """Compile the jobs that standard input names, a line each, and answer each with a line."""
    sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]  # Numba would load it for its BLAS
    from .compile import compile_or_load, job_of

    for line in sys.stdin:
        compile_or_load(job_of(*line.split()))
        print(DONE, flush=True)
