"""Trainings that are killed at random instants, or whose writing fails: nothing is lost, and nothing is half-written.

A child process trains into a folder, and dies by SIGKILL after a random time, or at a random call that writes,
before or after it; or the call fails, as on a full disk; or a file may not grow beyond a random size.
The folder then is no run, or a run that loads. It is resumed, and killed again, until it ends. The tape must reach the
same bytes as a training that nobody has stopped.
"""

import contextlib
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import faults
from harness import files_in, made_up, main

import moreish
from moreish import InputError, MoreishError, WorkError
from moreish.training import fit
from moreish.training.folder import CHECKPOINT, CONFIG, MODEL, PLAN, has_begun

WORDS = made_up(random.Random(0), 200)
SMALL: dict[str, Any] = {"batch_size": 16, "n_hidden": 8, "n_embd": 4, "steps": 600}
KINDS: dict[str, dict[str, Any]] = {
    "ngram": {"model": "ngram"},
    "mlp": {"model": "mlp", **SMALL},
    "average": {"model": "mlp", "average": 0.9, "batch_norm": True, "diagnostics": True, **SMALL},
    "members": {"model": "mlp", "members": 2, **SMALL},
    "gru": {"model": "gru", **SMALL},
    "transformer": {"model": "transformer", "n_layer": 1, "n_head": 2, "n_embd": 8, "batch_size": 16, "steps": 200},
    "inside": {"model": "gru", **SMALL},
    "distilled": {"model": "gru", **SMALL},
    "torch": {"model": "mlp", "engine": "torch", **SMALL, "steps": 60},
}
MOST_DEATHS = 6  # of one training
FAILED = 3  # exit status of a child


@cache
def ngram() -> moreish.Run:
    return moreish.train(WORDS, "ngram")


def train(kind: str, out: Path) -> None:
    """Train a kind of run into a folder, or resume the run that is there; what else a kill has left is taken over."""
    if has_begun(out):
        moreish.resume(out)
    elif kind == "distilled":
        moreish.distill(ngram(), out=out, drawn=200, **KINDS[kind])
    elif kind == "inside":
        moreish.train(ngram().corpus, with_ngram=ngram(), out=out, **KINDS[kind])
    else:
        moreish.train(WORDS, out=out, **KINDS[kind])


@cache
def never_stopped(kind: str) -> bytes:
    """The weights of a training that nobody stops."""
    out = Path(tempfile.mkdtemp(prefix="whole-")) / "run"
    train(kind, out)
    return (out / MODEL).read_bytes()


def child(kind: str, out: Path, how: str, at: int) -> None:
    """Train in this process, which dies or fails as told."""
    fit.CHECKPOINT_SECONDS = 0.0
    if how == "grows too much":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (at * 300, resource.RLIM_INFINITY))
    elif how != "killed":
        faults.inject(at, how)
    try:
        train(kind, out)
    except WorkError:
        os._exit(FAILED)
    except InputError as error:
        if "cannot be created" in str(error):  # its mkdir has failed
            os._exit(FAILED)
        traceback.print_exc()
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def died(kind: str, out: Path, how: str, r: random.Random) -> bool:
    """Train in a child; return False if it has reached the end."""
    pid = os.fork()
    if not pid:
        child(kind, out, how, r.randint(1, r.choice([10, 40, 150])))
    if how == "killed":
        time.sleep(r.expovariate(3))
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, faults.DIED, FAILED, -signal.SIGKILL), f"a child ended with {status}"
    if status == FAILED and how != "fails":  # else removing may be what has failed
        parts = [name for name in files_in(out) if name.endswith(".part")] if out.exists() else []
        assert not parts, f"left behind: {parts}"
    return status != 0


def one(r: random.Random, folder: Path) -> str:
    """Kill one training now and then, and resume it to its end."""
    kind = r.choice([name for name in KINDS if name != "torch"] if r.random() < 0.97 else ["torch"])
    out, how = folder / "run", r.choice(["killed", "killed", "dies before", "dies after", "fails", "grows too much"])
    for _ in range(r.randint(1, MOST_DEATHS)):
        if not died(kind, out, how, r):
            break
        check(out)
        if ended(out):
            break
    if not ended(out):
        train(kind, out)
    if kind != "torch":
        assert (out / MODEL).read_bytes() == never_stopped(kind), "the bytes differ"
    left = {name for name in files_in(out) if not name.endswith(".part")}
    assert not left & {CHECKPOINT, PLAN}, left
    assert len(moreish.load(out).model.sample(3)) == 3
    return f"{kind} {how}"


def ended(out: Path) -> bool:
    """Return True if a training has reached its end, and nothing of it is left to do."""
    return (out / MODEL).exists() and not (out / CHECKPOINT).exists() and not (out / PLAN).exists()


def check(out: Path) -> None:
    """Check that a folder is no run yet, or a run that loads and draws."""
    if (out / CONFIG).exists():
        moreish.load(out).model.sample(2)
    elif out.exists():
        with contextlib.suppress(MoreishError):
            moreish.load(out)


def prepare() -> None:
    """Compile all kernels, and reach the bytes to compare with."""
    moreish.set_threads(1)  # a process with one thread can be forked
    for kind in KINDS:
        if kind != "torch":
            never_stopped(kind)


if __name__ == "__main__":
    main("kill", one, tries=200, seconds=300, prepare=prepare)
