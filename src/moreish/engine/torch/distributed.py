"""One training in several processes, which torchrun starts: each has its share of every batch, and the first writes.

All of them make the same steps, and come to the same weights. Without torchrun's environment variables there is one
process, and nothing here does anything. What is communicated, PyTorch communicates.
"""

import itertools
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ...errors import InputError, MoreishError, WorkError

TIMEOUT = timedelta(minutes=5)  # that a process waits for the others
_trainings = itertools.count()  # of this process


def _number(name: str, otherwise: int) -> int:
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else otherwise


def rank() -> int:
    """The number of this process among those that torchrun started, from 0 on."""
    return _number("RANK", 0)


def count() -> int:
    """How many processes torchrun started."""
    return _number("WORLD_SIZE", 1)


@dataclass(frozen=True)
class Share:
    """The share of a batch that a process has: of `count` processes the one of number `rank`."""

    rank: int = 0
    count: int = 1

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The rows (B, ...) that are its own, as a view: every so many of them."""
        return rows[self.rank :: self.count]


@contextmanager
def together(engine: str, device: str, task: str) -> Iterator[None]:
    """Join the processes of torchrun for one training; task tells all about it, and must be the same for all.

    Raises InputError for an engine or a device that cannot be shared, or if the processes differ in the task;
    WorkError when one of the others is lost.
    """
    if count() == 1:
        yield
        return
    if engine != "torch":
        raise InputError(
            f"torchrun started {count()} processes, and the engine {engine} trains in one: "
            "add --engine torch, or start it without torchrun"
        )
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    gpus, local = torch.cuda.is_available(), _number("LOCAL_RANK", 0)
    if gpus and device != "cpu":
        if local >= torch.cuda.device_count():
            raise InputError(
                f"there are {torch.cuda.device_count()} GPUs on this machine, and more processes: "
                "give torchrun a smaller --nproc-per-node, or train with --device cpu"
            )
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if gpus and distributed.is_nccl_available() else "gloo"
    # Under names of its own: where an earlier training's processes listened is not to be found by this one's.
    store, number, size = next(rendezvous("env://", timeout=TIMEOUT))
    store = distributed.PrefixStore(f"training {next(_trainings)}", store)  # pyright: ignore[reportPrivateImportUsage]
    distributed.init_process_group(backend, store=store, rank=number, world_size=size, timeout=TIMEOUT)
    try:
        code = zlib.crc32(task.encode())
        if least(code) != -least(-code):
            raise InputError(
                "the processes were given different words, options or states of the run: give all of them the same"
            )
        yield
    except MoreishError:
        raise
    except RuntimeError as error:  # with which PyTorch also says that it has lost another process
        why = re.sub(r"^\[.*?\] |\. .*", "", str(error).split("\n")[0])
        raise WorkError(f"this training of {count()} processes broke off ({why}): go on with --resume") from error
    finally:
        distributed.destroy_process_group()


def share() -> Share:
    """This process's share of a batch: all of it, but for processes that are training together."""
    if count() == 1:
        return Share()
    from torch import distributed

    return Share(rank(), count()) if distributed.is_initialized() else Share()


def least(number: int) -> int:
    """The least of the numbers that the processes which train together come with."""
    if share().count == 1:
        return number
    import torch
    from torch import distributed

    numbers = torch.tensor([number])
    distributed.all_reduce(numbers, distributed.ReduceOp.MIN)
    return int(numbers)
