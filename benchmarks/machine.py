"""Machine and versions that a benchmark ran on, and the timing of calls."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROUNDS, ALTERNATIONS = 5, 7


def best(work: Callable[[], object]) -> float:
    """Shortest of several times, in seconds. A first call, which loads kernels, is not timed."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def alternate(loops: dict[str, Callable[[int], None]], seconds: float) -> dict[str, float]:
    """Time each loop(n), in rounds of some seconds in which the loops alternate.

    Returns the shortest seconds per step of each.
    """
    counts, found = {}, dict.fromkeys(loops, float("inf"))
    for name, loop in loops.items():
        loop(2)
        began = time.perf_counter()
        loop(4)
        counts[name] = max(4, int(seconds / ((time.perf_counter() - began) / 4)))
    for _ in range(ALTERNATIONS):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop(counts[name])
            found[name] = min(found[name], (time.perf_counter() - began) / counts[name])
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect speed."""
    found = {"python": platform.python_version()}
    for name in ("moreish", "numpy", "numba", "scipy", "torch", "rapidfuzz"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, number of cores, system, and the kernels of SciPy's BLAS."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    import llvmlite.binding as llvm

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        threadpool_info = list
    return {
        "processor": f"{model} ({llvm.get_host_cpu_name()})",
        "cores": os.cpu_count(),
        "system": platform.system(),
        "blas": next((pool["architecture"] for pool in threadpool_info() if "scipy" in pool["filepath"]), ""),
    }
