"""The machine and its kernels, compiled on first use, once for each float type, and kept on disk after that."""

# pyright: reportMissingParameterType=false

import hashlib
import logging
import shutil
import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numba.core.config
import numpy as np
import platformdirs
from numba import types

from ...layers.maths import FASTMATH
from ..optim import OPTIMIZERS
from . import generate, machine
from .barrier import ALONE
from .plan import kernels_in_order

config: Any = numba.core.config
log = logging.getLogger("moreish")
_one_at_a_time = threading.RLock()
PACKAGE = Path(__file__).parents[2]


class Signatures:
    """The types of all compiled functions, for one float type."""

    def __init__(self, dtype: type):
        real, count, number = numba.from_dtype(np.dtype(dtype)), types.int64, types.float64
        reals, reals2, ints, ints2 = real[::1], real[:, ::1], count[::1], count[:, ::1]
        numbers, tokens = number[::1], types.int32[::1]
        ops = count[:, :, ::1]
        self.kernel = types.void(ints, reals, reals, reals, ints)
        self.optimizer = types.void(reals, reals, reals2, number, count, numbers, count, count)
        table = (types.FunctionType(self.kernel), ints)
        step = types.FunctionType(self.optimizer)
        shape = types.UniTuple(count, 3)
        self.train = count(
            *(*table, ops, reals, reals, reals, ints, shape),
            *(tokens, ints, count, step, reals2, numbers, count, numbers, numbers, ints),
        )
        self.evaluate = types.void(*table, ops, reals, reals, ints, shape, tokens, count, count, numbers)
        self.generate = types.void(
            *(*table, ops, reals, reals, ints, ints2, real[:, ::1], types.int32[::1], number, count, number),
            *(count, count, count, types.int32[:, ::1], ints),
        )
        self.walk = types.void(*table, ops, reals, reals, reals, ints, ints)


class Machine(NamedTuple):
    """The compiled loop for one float type; see machine.py and generate.py for what each function takes."""

    train: Callable
    evaluate: Callable
    generate: Callable


def _source_hash() -> str:
    """A name for the exact sources that are compiled, so that no stale machine code is ever loaded.

    Compiled code stands in files that mention Numba or our own decorator, wherever these are.
    """
    sources = (path.read_bytes() for path in sorted(PACKAGE.rglob("*.py")))
    return hashlib.sha256(b"".join(s for s in sources if b"numba" in s or b"kernel" in s)).hexdigest()[:12]


@cache
def cache_folder() -> Path | None:
    """The folder that keeps compiled code for these sources, made if need be; None where none can be written.

    Beside the package if that may be written, else in the user's cache folder. Folders of older sources are removed.
    """
    name = f"kernels-{_source_hash()}"
    for parent in (Path(__file__).parent / "__pycache__", Path(platformdirs.user_cache_dir("moreish"))):
        folder = parent / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / "probe"
            probe.touch()
            probe.unlink(missing_ok=True)  # another process may have just removed its own
        except OSError:
            continue
        for old in parent.glob("kernels-*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
        return folder
    log.warning("no folder to keep compiled kernels in can be written: they are compiled at every start")
    return None


@contextmanager
def _disk_cache(folder: Path | None):
    """Let Numba keep what is compiled inside in `folder`."""
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder or "")
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _compile(function: Callable, signature, first_class: bool) -> Callable:
    """Compile for one signature, or load what was compiled before. A broken cache is emptied, and passed over."""
    if config.DISABLE_JIT:
        return function
    function = getattr(function, "py_func", function)

    def compile_with(folder: Path | None):
        kept = folder is not None
        if kept and not any(folder.glob(f"*/{Path(function.__code__.co_filename).stem}.{function.__name__}-*.nbc")):
            _announce()
        with _disk_cache(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
            if first_class:
                return numba.cfunc(signature, cache=kept, fastmath=FASTMATH, error_model="numpy")(function)
            return numba.njit(signature, cache=kept, nogil=True)(function)

    with _one_at_a_time:
        # Each signature has its own folder: two processes that compile one function for different signatures at the
        # same time would give both the same file name, as Numba's index is read before it is written.
        home = cache_folder()
        folder = home / hashlib.sha256(str(signature).encode()).hexdigest()[:12] if home else None
        try:
            return compile_with(folder)
        except Exception as error:
            if folder is None:
                raise
            log.warning("the kernels kept in %s cannot be used (%s): compiling them anew", folder, type(error).__name__)
            shutil.rmtree(folder, ignore_errors=True)
            return compile_with(None)


def compiled_function(function: Callable, signature: Any) -> Callable:
    """A function compiled for one signature, or loaded as it was compiled before."""
    return _compile(function, signature, first_class=False)


@cache
def _announce() -> None:
    log.info("compiling the kernels, once on this machine: ten to twenty seconds")


@cache
def _kernel(function: Callable, dtype: type) -> Callable:
    return _compile(function, Signatures(dtype).kernel, first_class=True)


@cache
def optimizer(name: str, dtype: type) -> Callable:
    """The compiled step of an optimizer."""
    return _compile(OPTIMIZERS[name].step, Signatures(dtype).optimizer, first_class=True)


def kernel_table(codes: Iterable[int], dtype: type) -> tuple[Callable, Any]:
    """The kernels that a plan names, as the machine takes them: any one of them, and the table of their addresses.

    Only those named are compiled; the places of others hold 0.
    """
    kernels = kernels_in_order()
    wanted: dict[int, Any] = {code: _kernel(kernels[code], dtype) for code in codes}
    like = next(iter(wanted.values()))
    if config.DISABLE_JIT:
        return like, wanted
    table = np.zeros(len(kernels), np.int64)
    for code, compiled_kernel in wanted.items():
        table[code] = compiled_kernel.address
    return like, table


@cache
def walks(dtype: type) -> tuple[Callable, ...]:
    """The forward and the backward walk alone, by one thread, for those who look between the steps."""

    def by_one(walk: Callable) -> Callable:
        compiled_walk = compiled_function(walk, Signatures(dtype).walk)
        return lambda *arguments: compiled_walk(*arguments, ALONE)

    return by_one(machine.forward), by_one(machine.backward)


@cache
def compiled(dtype: type) -> Machine:
    """The machine for float32 or float64."""
    s = Signatures(dtype)
    return Machine(
        train=_compile(machine.train, s.train, first_class=False),
        evaluate=_compile(machine.evaluate, s.evaluate, first_class=False),
        generate=_compile(generate.generate, s.generate, first_class=False),
    )
