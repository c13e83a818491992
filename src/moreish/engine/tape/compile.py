"""Compilation of the machine and its kernels, on first use and once for each float type, with a cache on disk."""

import hashlib
import logging
import os
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
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
from ..batches import Source, draw_batch
from ..optim import OPTIMIZERS
from . import generate, machine
from .barrier import SINGLE_THREAD
from .plan import kernels_in_order

config: Any = numba.core.config
log = logging.getLogger("moreish")
_one_at_a_time = threading.RLock()
PACKAGE = Path(__file__).parents[2]
BESIDE = Path(__file__).parent / "__pycache__"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
Function = Callable[..., Any]


class Signatures:
    """The types of all compiled functions, for one float type."""

    def __init__(self, dtype: type):
        real, count, number = numba.from_dtype(np.dtype(dtype)), types.int64, types.float64
        reals, reals2, ints, ops = real[::1], real[:, ::1], count[::1], count[:, :, ::1]
        numbers, tokens, tokens2 = number[::1], types.int32[::1], types.int32[:, ::1]
        self.kernel = types.void(ints, reals, reals, reals, ints)
        self.optimizer = types.void(reals, reals, reals2, number, count, numbers, count, count)
        program = types.NamedTuple(
            (types.FunctionType(self.kernel), ints, ops, reals, ints, types.UniTuple(count, 3)), machine.Program
        )
        source = types.NamedTuple((tokens, ints, tokens, numbers, count), Source)
        update = types.NamedTuple((types.FunctionType(self.optimizer), reals2, numbers), machine.Update)
        settings = types.NamedTuple((tokens, number, count, number, count, count, count), generate.Settings)
        self.train = count(program, reals, reals, source, update, count, numbers, numbers, ints)
        self.evaluate = types.void(program, reals, tokens, count, count, numbers)
        self.draw_batch = types.void(source, count, *3 * (count[:, ::1],))
        self.generate = types.void(program, reals, reals2, settings, tokens2, ints)
        self.walk = types.void(program, reals, reals, ints)


class Machine(NamedTuple):
    """The compiled functions of machine.py and generate.py, for one float type."""

    train: Function
    evaluate: Function
    generate: Function


def _source_hash() -> str:
    """A name for the exact sources that are compiled, so that stale machine code is never loaded.

    All compiled code is in files that mention Numba or `kernel`, our decorator, in any folder of the package.
    """
    sources = (path.read_bytes() for path in sorted(PACKAGE.rglob("*.py")))
    return hashlib.sha256(b"".join(s for s in sources if b"numba" in s or b"kernel" in s)).hexdigest()[:12]


@cache
def cache_folder() -> Path | None:
    """The folder of compiled code for these sources; None if no folder can be written.

    It is in the folder that NUMBA_CACHE_DIR names, else beside this file, else in the user's cache folder, and as the
    last resort in a private folder of the temporary folder. Folders for other sources are removed.
    """
    name = f"kernels-{_source_hash()}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    parents = [Path(chosen) / "moreish"] if chosen else []
    parents += [BESIDE, Path(platformdirs.user_cache_dir("moreish"))]
    for parent in parents:
        if folder := _writable(parent, name):
            return folder
    if (parent := private_folder()) and (folder := _writable(parent, name)):
        if not any(folder.iterdir()):
            log.info("compiled kernels are kept in %s: to choose another folder, set NUMBA_CACHE_DIR", folder)
        return folder
    log.warning(
        "no writable folder for compiled kernels, so every process compiles them again: name a folder of your own with "
        "NUMBA_CACHE_DIR"
    )
    return None


def _writable(parent: Path, name: str) -> Path | None:
    """Make a folder in another one and remove those for other sources; None if it cannot be written."""
    folder = parent / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "probe"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have just removed its own
    except OSError:
        return None
    for old in parent.glob("kernels-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def private_folder() -> Path | None:
    """Make a folder of this user in the temporary folder, or find it; None if others may have put something there.

    What is in it is run, so nobody else may be able to write to it or to replace it: it must be a real folder of this
    user, in a folder of this user or of root in which others cannot rename it. On Windows each user has a temporary
    folder that others cannot write to.
    """
    try:
        home = Path(tempfile.gettempdir()).resolve()
        if sys.platform == "win32":
            return home / "moreish"
        user = os.getuid()
        folder = home / f"moreish-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        outside, inside = home.stat(), folder.lstat()
    except OSError:
        return None
    keeps = outside.st_uid in (0, user) and (outside.st_mode & stat.S_ISVTX or not outside.st_mode & OTHERS_WRITE)
    own = stat.S_ISDIR(inside.st_mode) and inside.st_uid == user and not inside.st_mode & OTHERS_WRITE
    return folder if keeps and own else None


@contextmanager
def _disk_cache(folder: Path | None) -> Generator[None]:
    """Make Numba cache compiled code in `folder`."""
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder or "")
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _compile(function: Function, signature: Any, first_class: bool) -> Function:
    """Compile for one signature, or load the compiled code from the cache. A broken cache is emptied and not used."""
    if config.DISABLE_JIT:
        return function
    function = getattr(function, "py_func", function)

    def compile_with(folder: Path | None) -> Function:
        cached = folder is not None
        if cached and not any(folder.glob(f"*/{Path(function.__code__.co_filename).stem}.{function.__name__}-*.nbc")):
            _announce()
        with _disk_cache(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
            if first_class:
                return numba.cfunc(signature, cache=cached, fastmath=FASTMATH, error_model="numpy")(function)
            return numba.njit(signature, cache=cached, nogil=True)(function)

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
            log.warning("the cached kernels in %s cannot be used (%s): compiling again", folder, type(error).__name__)
            shutil.rmtree(folder, ignore_errors=True)
            return compile_with(None)


def compiler(signatures: Mapping[Function, Any]) -> Callable[[Function], Function]:
    """Return a function that compiles one of these functions on its first use, or loads it from the cache."""
    return cache(lambda function: _compile(function, signatures[function], first_class=False))


@cache
def _announce() -> None:
    log.info("compiling the kernels, only once on this machine: ten to twenty seconds")


@cache
def _kernel(function: Function, dtype: type) -> Function:
    return _compile(function, Signatures(dtype).kernel, first_class=True)


@cache
def optimizer(name: str, dtype: type) -> Function:
    """The compiled step of an optimizer."""
    return _compile(OPTIMIZERS[name].step, Signatures(dtype).optimizer, first_class=True)


def kernel_table(codes: Iterable[int], dtype: type) -> tuple[Function, Any]:
    """The kernels of a plan as a program takes them: any one of them, and the table of their addresses.

    Only the given codes are compiled; the table holds 0 for the others.
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
def walks(dtype: type) -> tuple[Function, Function]:
    """The forward and the backward pass, each a function of (program, params, grads), on one thread."""

    def on_one_thread(walk: Function) -> Function:
        compiled_walk = _compile(walk, Signatures(dtype).walk, first_class=False)
        return lambda *arguments: compiled_walk(*arguments, SINGLE_THREAD)

    return on_one_thread(machine.forward), on_one_thread(machine.backward)


@cache
def batch_drawer() -> Function:
    """`draw_batch`, to be called from Python."""
    return _compile(draw_batch, Signatures(np.float32).draw_batch, first_class=False)


@cache
def compiled(dtype: type) -> Machine:
    """The machine for float32 or float64."""
    s = Signatures(dtype)
    return Machine(
        train=_compile(machine.train, s.train, first_class=False),
        evaluate=_compile(machine.evaluate, s.evaluate, first_class=False),
        generate=_compile(generate.generate, s.generate, first_class=False),
    )
