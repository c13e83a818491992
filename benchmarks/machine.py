"""What a benchmark ran on."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROUNDS = 5


def best(work: Callable[[], object]) -> float:
    """The least of several times, in seconds; the first one, which loads kernels, is no part of it."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def versions() -> dict[str, str]:
    """The versions of Python and of what matters for speed."""
    found = {"python": platform.python_version()}
    for name in ("moreish", "numpy", "numba", "scipy", "torch", "rapidfuzz"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict:
    """The processor, its cores, the system, and which kernels SciPy's BLAS takes."""
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
