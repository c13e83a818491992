"""Compilation of functions to machine code: on first use, and once for each float type. The code is kept on disk."""

import hashlib
import importlib
import shutil
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...display.compiling import Compiling, show
from ...layers.jit import COMPILES, numba, registry, signature
from ...layers.maths import FASTMATH
from ..batches import draw_batch
from ..compiler import add_seconds_compiling
from ..optim import OPTIMIZERS
from ..threads import get_threads, interruptible
from . import generate, machine, words
from .barrier import SINGLE_THREAD
from .cache import PACKAGE, cache_folder, disk_cache, intact, log, seal
from .plan import Plan, kernels_in_order
from .signatures import signatures_for

_one_at_a_time = threading.RLock()
Function = Callable[..., Any]
FIRST_CLASS = ("kernel", "optimizer")  # roles whose addresses are called: see dispatch


class Job(NamedTuple):
    """A function to compile.

    role    a name in `signatures.Signatures`; "" if the function is in SIGNATURES of its own module
    dtype   the float type, for the functions with a role
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
        return signature(importlib.import_module(self.plain.__module__).SIGNATURES[self.function])

    @property
    def name(self) -> str:
        """The function with its module, such as "linear.backward"."""
        return f"{self.plain.__module__.rpartition('.')[2]}.{self.plain.__name__.removesuffix('_op')}"

    @property
    def words(self) -> list[str]:
        """The job as words, which another process understands: see `job_of`."""
        return [self.plain.__module__, self.plain.__name__, self.role, np.dtype(self.dtype).name]


def job_of(module: str, function: str, role: str, dtype: str) -> Job:
    """Return a job from its words."""
    return Job(getattr(importlib.import_module(module), function), role, np.dtype(dtype).type)


_functions: dict[Job, Function] = {}


def compiled(jobs: Sequence[Job], what: str) -> list[Function]:
    """Compile functions, or load them from the cache. Those that are missing there are compiled by several processes.

    what    names them all for whoever waits, such as "the training loop and its layers"
    """
    if not COMPILES:
        return [job.plain for job in jobs]
    with _one_at_a_time:
        new = [job for job in dict.fromkeys(jobs) if job not in _functions]
        missing = [job for job in new if not on_disk(job)]
        if missing:
            _compile_together(missing, what)
        for job in new:
            if job not in _functions:
                _functions[job] = compile_or_load(job)
        return [_functions[job] for job in jobs]


def _compile_together(jobs: Sequence[Job], what: str) -> None:
    """Compile functions in this process, and at the same time in others, which leave them on disk.

    Ctrl-C raises KeyboardInterrupt after the function that is being compiled here: the compiler ignores it, or breaks.
    """
    began, queue, lock = time.monotonic(), deque(jobs), threading.Lock()
    working: list[str] = []
    done = 0

    def work(next_job: Callable[[], Job], compile_one: Callable[[Job], bool]) -> None:
        """Compile one function after the other, until none is left or one has failed."""
        nonlocal done
        going = True
        while going:
            with lock:
                if not queue or interrupted.is_set():
                    return
                job = next_job()
                working.append(job.name)
                show(Compiling(what, tuple(working), done, len(jobs), began))
            going = compile_one(job)
            with lock:
                working.remove(job.name)
                done += going

    def here(job: Job) -> bool:
        _functions[job] = compile_or_load(job)
        return True

    show(Compiling(what, (), 0, len(jobs), began))
    from .processes import helpers

    # Another process takes half a second to start: it is worth it for several functions, and if they can be kept.
    others = helpers(min(get_threads() - 1, len(jobs) // 3)) if cache_folder() else []
    calls = [(queue.pop, lambda job, other=other: other.compile(job.words)) for other in others]
    threads = [threading.Thread(target=work, args=arguments) for arguments in calls]
    with interruptible() as interrupted:
        try:
            for thread in threads:
                thread.start()
            work(queue.popleft, here)
            while any(thread.is_alive() for thread in threads) and not interrupted.is_set():
                threads[-1].join(0.05)
            if interrupted.is_set():
                raise KeyboardInterrupt("stopped")
            for job in jobs:
                if job not in _functions:
                    here(job)  # from disk, unless another process has failed
            done = len(jobs)
        finally:
            for other in others:
                other.close()
            for thread in threads:
                thread.join()
            end = Compiling(what, (), done, len(jobs), began, ended=True)
            add_seconds_compiling(end.seconds)
            show(end)


@cache
def _folder(job: Job) -> Path | None:
    """The folder of a job's code.

    Each signature has its own: two processes that compile one function for different signatures at the same time would
    give both the same file name, as Numba's index is read before it is written. So have each processor, version of
    Numba and Python, and installation of the package, which cannot use the code of others.
    """
    home = cache_folder()
    processor = registry.cpu_target.target_context.codegen().magic_tuple()
    of = f"{job.signature} {processor} {numba.__version__} {sys.implementation.cache_tag} {PACKAGE}"
    return home / hashlib.sha256(of.encode()).hexdigest()[:12] if home else None


def _files(job: Job) -> list[Path]:
    """The files of a job's code: Numba's index and its data."""
    folder, plain = _folder(job), job.plain
    name = f"{Path(plain.__code__.co_filename).stem}.{plain.__name__}"
    return sorted(folder.glob(f"*/{name}-*.nb[ci]")) if folder else []


def on_disk(job: Job) -> bool:
    """True if a job's code is in the cache, and intact."""
    return intact(_files(job))


def compile_or_load(job: Job) -> Function:
    """Compile a function in this process, or load it from the cache. A broken cache is emptied and not used."""

    def compile_with(folder: Path | None) -> Function:
        cached = folder is not None
        with disk_cache(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
            if job.role in FIRST_CLASS:
                made = numba.cfunc(job.signature, cache=cached, fastmath=FASTMATH, error_model="numpy")(job.plain)
                loaded = made.cache_hits
            else:
                made = numba.njit(job.signature, cache=cached, nogil=True)(job.plain)
                loaded = made.stats.cache_hits
        if cached and not loaded and (files := _files(job)):
            seal(files)
        return made

    folder = _folder(job)
    try:
        return compile_with(folder)
    except Exception as error:
        if folder is None:
            raise
        log.warning("the cached kernels in %s cannot be used (%s): compiling again", folder, type(error).__name__)
        shutil.rmtree(folder, ignore_errors=True)
        return compile_with(None)


class Entry(NamedTuple):
    """A function of the machine, its role in `Signatures`, and what it is called while it is compiled."""

    function: Function
    role: str
    what: str


TRAIN = Entry(machine.train, "train", "the training loop")
EVALUATE = Entry(machine.evaluate, "evaluate", "evaluation")
GENERATE = Entry(generate.generate, "generate", "sampling")
# The same for whole words.
TRAIN_WORDS = Entry(machine.train, "train_words", "the training loop")
EVALUATE_WORDS = Entry(words.evaluate_words, "evaluate_words", "evaluation")
GENERATE_WORDS = Entry(words.generate_words, "generate", "sampling")


def compile_machine(entries: Sequence[Entry], plans: Iterable[Plan], optimizers: Iterable[str], dtype: type) -> None:
    """Compile functions of the machine, the kernels of plans and optimizers, all at the same time."""
    jobs = [job for plan in plans for job in kernel_jobs(plan.codes(), dtype)]
    jobs += [Job(OPTIMIZERS[name].step, "optimizer", dtype) for name in optimizers]
    # The longest comes last: other processes begin with it.
    jobs += [Job(entry.function, entry.role, dtype) for entry in reversed(entries)]
    compiled(jobs, entries[0].what)


@cache
def machine_function(entry: Entry, dtype: type) -> Function:
    """A function of the machine, compiled."""
    return compiled([Job(entry.function, entry.role, dtype)], entry.what)[0]


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
    if not COMPILES:
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
def whole_words(function: Function) -> Function:
    """A function that sorts or packs whole words, to be called from Python."""
    return compiled([Job(function, function.__name__)], "the packing of words")[0]


@cache
def batch_drawer() -> Function:
    """`draw_batch`, to be called from Python."""
    return compiled([Job(draw_batch, "draw_batch")], "the drawing of batches")[0]
