"""Compilation of functions to machine code: on first use, and once for each float type. The code is kept on disk."""

import hashlib
import importlib
import logging
import shutil
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from ...layers.maths import FASTMATH
from ..batches import Source, draw_batch
from ..optim import OPTIMIZERS
from ..threads import get_threads
from . import generate, machine
from .barrier import SINGLE_THREAD
from .cache import cache_folder, config, disk_cache, log
from .plan import Plan, kernels_in_order
from .processes import helpers

_one_at_a_time = threading.RLock()
Function = Callable[..., Any]
LONG = 2.0  # seconds
FIRST_CLASS = ("kernel", "optimizer")  # roles whose addresses are called: see dispatch


class Signatures:
    """The types of the machine's functions by their roles, for one float type."""

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


@cache
def signatures_for(dtype: type) -> Signatures:
    """The types of the machine's functions for a float type."""
    return Signatures(dtype)


class Job(NamedTuple):
    """A function to compile.

    role    a name in `Signatures`; "" if the function is in SIGNATURES of its own module
    dtype   the float type, for the functions of `Signatures`
    """

    function: Function
    role: str
    dtype: type = np.float64

    @property
    def plain(self) -> Function:
        """The function in plain Python."""
        return getattr(self.function, "py_func", self.function)

    @property
    def signature(self) -> Any:
        """The types of the arguments and of the result."""
        if self.role:
            return getattr(signatures_for(self.dtype), self.role)
        return importlib.import_module(self.plain.__module__).SIGNATURES[self.function]

    @property
    def words(self) -> list[str]:
        """The job as words, which another process understands: see `job_of`."""
        return [self.plain.__module__, self.plain.__name__, self.role, np.dtype(self.dtype).name]


def job_of(module: str, function: str, role: str, dtype: str) -> Job:
    """Return a job from its words."""
    return Job(getattr(importlib.import_module(module), function), role, np.dtype(dtype).type)


class Compiling(NamedTuple):
    """State of a compilation.

    what        is compiled, such as "the training loop and its layers"
    functions   names of those being compiled now
    done        functions compiled so far, of `total`
    seconds     since it began
    """

    what: str
    functions: tuple[str, ...]
    done: int
    total: int
    seconds: float


def _report(at: Compiling) -> None:
    """Log a compilation: at level INFO once when it begins, and when it ends, if that took long; otherwise at DEBUG.

    Each record has the state as `compiling`.
    """
    begins, ends = at.done == 0 and not at.functions, at.done == at.total
    matters = (begins and at.what not in _announced) or (ends and at.seconds >= LONG)
    _announced.add(at.what)
    text = f"compiled {at.what} in {at.seconds:.1f} s" if ends else f"compiling {at.what}, only once on this machine"
    log.log(logging.INFO if matters else logging.DEBUG, text, extra={"compiling": at})


_spent = 0.0
_announced: set[str] = set()


def seconds_compiling() -> float:
    """Return the seconds for which this process has compiled so far."""
    return _spent


_functions: dict[Job, Function] = {}


def compiled(jobs: Sequence[Job], what: str) -> list[Function]:
    """Compile functions, or load them from the cache. Those that are missing there are compiled by several processes.

    what    names them all for whoever waits, such as "the training loop and its layers"
    """
    if config.DISABLE_JIT:
        return [job.plain for job in jobs]
    with _one_at_a_time:
        new = [job for job in dict.fromkeys(jobs) if job not in _functions]
        missing = [job for job in new if not _on_disk(job)]
        if missing:
            _compile_together(missing, what)
        for job in new:
            if job not in _functions:
                _functions[job] = compile_or_load(job)
        return [_functions[job] for job in jobs]


def _compile_together(jobs: Sequence[Job], what: str) -> None:
    """Compile functions in this process, and at the same time in others, which leave them on disk."""
    global _spent
    began, queue, lock = time.perf_counter(), deque(jobs), threading.Lock()
    working: list[str] = []
    done = 0

    def show() -> None:
        _report(Compiling(what, tuple(working), done, len(jobs), time.perf_counter() - began))

    def work(next_job: Callable[[], Job], compile_one: Callable[[Job], bool]) -> None:
        """Compile one function after the other, until none is left or one has failed."""
        nonlocal done
        going = True
        while going and queue:
            with lock:
                if not queue:
                    return
                job = next_job()
                name = f"{job.plain.__module__.rpartition('.')[2]}.{job.plain.__name__.removesuffix('_op')}"
                working.append(name)
                show()
            going = compile_one(job)
            with lock:
                working.remove(name)
                done += 1

    def here(job: Job) -> bool:
        _functions[job] = compile_or_load(job)
        return True

    show()
    # A helper takes half a second to start: it is worth it for several functions, and if they can be kept.
    others = helpers(min(get_threads() - 1, len(jobs) // 3)) if cache_folder() else []
    try:
        calls = [(queue.pop, lambda job, other=other: other.compile(job.words)) for other in others]
        threads = [threading.Thread(target=work, args=arguments) for arguments in calls]
        for thread in threads:
            thread.start()
        work(queue.popleft, here)
        for thread in threads:
            thread.join()
    finally:
        for other in others:
            other.close()
    done, seconds = len(jobs), time.perf_counter() - began
    _spent += seconds
    show()


@cache
def _folder(job: Job) -> Path | None:
    """The folder of a job's code.

    Each signature has its own: two processes that compile one function for different signatures at the same time would
    give both the same file name, as Numba's index is read before it is written.
    """
    home = cache_folder()
    return home / hashlib.sha256(str(job.signature).encode()).hexdigest()[:12] if home else None


def _on_disk(job: Job) -> bool:
    """True if a job's code is in the cache."""
    folder, plain = _folder(job), job.plain
    return folder is not None and any(folder.glob(f"*/{Path(plain.__code__.co_filename).stem}.{plain.__name__}-*.nbc"))


def compile_or_load(job: Job) -> Function:
    """Compile a function in this process, or load it from the cache. A broken cache is emptied and not used."""

    def compile_with(folder: Path | None) -> Function:
        cached = folder is not None
        with disk_cache(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
            if job.role in FIRST_CLASS:
                return numba.cfunc(job.signature, cache=cached, fastmath=FASTMATH, error_model="numpy")(job.plain)
            return numba.njit(job.signature, cache=cached, nogil=True)(job.plain)

    folder = _folder(job)
    try:
        return compile_with(folder)
    except Exception as error:
        if folder is None:
            raise
        log.warning("the cached kernels in %s cannot be used (%s): compiling again", folder, type(error).__name__)
        shutil.rmtree(folder, ignore_errors=True)
        return compile_with(None)


def compiler(signatures: Mapping[Function, Any], what: str) -> Callable[[Function], Function]:
    """Return a function that compiles one of these functions on its first use, or loads it from the cache.

    `signatures` must be SIGNATURES of the module of the functions.
    """
    return cache(lambda function: compiled([Job(function, "")], what)[0])


TRAIN, EVALUATE, GENERATE = machine.train, machine.evaluate, generate.generate
MACHINE = {  # each with its role, and what it is called while it is compiled
    TRAIN: ("train", "the training loop"),
    EVALUATE: ("evaluate", "the evaluation"),
    GENERATE: ("generate", "the drawing of words"),
}


def compile_machine(
    functions: Sequence[Function], plans: Iterable[Plan], optimizers: Iterable[str], dtype: type
) -> None:
    """Compile functions of MACHINE, the kernels of plans and optimizers, all at the same time."""
    jobs = [job for plan in plans for job in kernel_jobs(plan.codes(), dtype)]
    jobs += [Job(OPTIMIZERS[name].step, "optimizer", dtype) for name in optimizers]
    # The longest comes last: other processes begin with it.
    jobs += [Job(function, MACHINE[function][0], dtype) for function in reversed(functions)]
    compiled(jobs, MACHINE[functions[0]][1])


@cache
def machine_function(function: Function, dtype: type) -> Function:
    """A function of MACHINE, compiled."""
    role, what = MACHINE[function]
    return compiled([Job(function, role, dtype)], what)[0]


@cache
def optimizer(name: str, dtype: type) -> Function:
    """The compiled step of an optimizer."""
    return compiled([Job(OPTIMIZERS[name].step, "optimizer", dtype)], "the optimizer")[0]


def kernel_jobs(codes: Iterable[int], dtype: type) -> list[Job]:
    """The kernels of a plan, to be compiled."""
    kernels = kernels_in_order()
    return [Job(kernels[code], "kernel", dtype) for code in codes]


def kernel_table(codes: Sequence[int], dtype: type) -> tuple[Function, Any]:
    """The kernels of a plan as a program takes them: any one of them, and the table of their addresses.

    Only the given codes are compiled; the table holds 0 for the others.
    """
    kernels: list[Any] = compiled(kernel_jobs(codes, dtype), "the layers")
    if config.DISABLE_JIT:
        return kernels[0], dict(zip(codes, kernels, strict=True))
    table = np.zeros(len(kernels_in_order()), np.int64)
    for code, kernel in zip(codes, kernels, strict=True):
        table[code] = kernel.address
    return kernels[0], table


@cache
def walks(dtype: type) -> tuple[Function, Function]:
    """The forward and the backward pass, each a function of (program, params, grads), on one thread."""

    def on_one_thread(walk: Function) -> Function:
        compiled_walk = compiled([Job(walk, "walk", dtype)], "the forward and the backward pass")[0]
        return lambda *arguments: compiled_walk(*arguments, SINGLE_THREAD)

    return on_one_thread(machine.forward), on_one_thread(machine.backward)


@cache
def batch_drawer() -> Function:
    """`draw_batch`, to be called from Python."""
    return compiled([Job(draw_batch, "draw_batch")], "the drawing of batches")[0]
