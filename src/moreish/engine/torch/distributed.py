"""One training in several processes, which torchrun starts: each computes a shard of every batch, and rank 0 writes.

All processes make the same steps and reach the same weights. Without torchrun's environment variables there is one
process, and the functions here change nothing. PyTorch does all the communication.
"""

import itertools
import os
import re
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ...errors import InputError, MoreishError, WorkError

TIMEOUT = timedelta(minutes=5)  # the longest time that a process waits for the others
_trainings = itertools.count()  # numbers the trainings of this process


def _environment(name: str, default: int) -> int:
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else default


def rank() -> int:
    """The number of this process, from 0; 0 without torchrun."""
    return _environment("RANK", 0)


def world_size() -> int:
    """The number of processes; 1 without torchrun."""
    return _environment("WORLD_SIZE", 1)


@dataclass(frozen=True)
class BatchShard:
    """The rows of a batch that the process `rank` of `world_size` computes."""

    rank: int = 0
    world_size: int = 1

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The process's own rows of rows (B, ...), as a view: every world_size-th one."""
        return rows[self.rank :: self.world_size]


@contextmanager
def process_group(engine: str, device: str, task: str) -> Generator[None]:
    """Join the processes of torchrun for one training. `task` describes the training, and must be the same for all.

    Raises InputError for an engine or a device that cannot be shared, or if the processes have different tasks;
    WorkError if another process is lost.
    """
    if world_size() == 1:
        yield
        return
    if engine != "torch":
        raise InputError(
            f"torchrun started {world_size()} processes, but the engine {engine} trains in one: "
            "add --engine torch, or start it without torchrun"
        )
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    gpus, local_rank = torch.cuda.is_available(), _environment("LOCAL_RANK", 0)
    if gpus and device != "cpu":
        if local_rank >= torch.cuda.device_count():
            raise InputError(
                f"there are {torch.cuda.device_count()} GPUs on this machine, but more processes: "
                "give torchrun a smaller --nproc-per-node, or train with --device cpu"
            )
        torch.cuda.set_device(local_rank)
    backend = "cpu:gloo,cuda:nccl" if gpus and distributed.is_nccl_available() else "gloo"
    # A prefix for each training, so that it does not find the addresses that an earlier one stored.
    store, number, size = next(rendezvous("env://", timeout=TIMEOUT))
    store = distributed.PrefixStore(f"training {next(_trainings)}", store)  # pyright: ignore[reportPrivateImportUsage]
    distributed.init_process_group(backend, store=store, rank=number, world_size=size, timeout=TIMEOUT)
    try:
        code = zlib.crc32(task.encode())
        if all_reduce_min(code) != -all_reduce_min(-code):
            raise InputError(
                "the processes were given different words, options or states of the run: give all of them the same"
            )
        yield
    except MoreishError:
        raise
    except RuntimeError as error:  # PyTorch raises it, among others, when it has lost another process
        why = re.sub(r"^\[.*?\] |\. .*", "", str(error).split("\n")[0])
        message = f"training with {world_size()} processes stopped ({why}): continue with --resume"
        raise WorkError(message) from error
    finally:
        distributed.destroy_process_group()


def batch_shard() -> BatchShard:
    """This process's shard of a batch: the whole batch outside a process group."""
    if world_size() == 1:
        return BatchShard()
    from torch import distributed

    return BatchShard(rank(), world_size()) if distributed.is_initialized() else BatchShard()


def all_reduce_min(number: int) -> int:
    """The least of the numbers that the processes of the group pass."""
    if batch_shard().world_size == 1:
        return number
    import torch
    from torch import distributed

    numbers = torch.tensor([number])
    distributed.all_reduce(numbers, distributed.ReduceOp.MIN)
    return int(numbers)
