"""Every call that writes, one by one: it fails, or the process dies there, whatever is being saved.

In a child process, the n-th call of `os.replace`, `os.fsync`, `os.mkdir`, `os.unlink`, `open`, `write` and others fails
as on a full or broken disk, or the process dies before or after it. Each file must be as it was before, or as it is
after an undisturbed process; and a training that goes on in the same folder must reach the bytes of one that
nobody has stopped.
"""

import contextlib
import io
import os
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

import faults
import kill
from harness import Generator, files_in, is_one_line, main
from kill import KINDS, MODEL, check, ended, never_stopped, train

import moreish
from moreish import MoreishError
from moreish.cli import run as run_command
from moreish.lessons.copying import copy_lessons
from moreish.training import fit

REFUSED = 3  # exit status of a child: one clear line
MOST = 400  # calls of one action that are tried

Action = Callable[[Path], None]


@cache
def home() -> Path:
    """A folder with runs and a list."""
    folder = Path(tempfile.mkdtemp(prefix="writes-"))
    kill.ngram().save(folder / "ngram")
    train("mlp", folder / "mlp")
    (folder / "list.txt").write_text("\n".join(kill.WORDS))
    return folder


def command(*line: str) -> Action:
    """Return an action that runs a command line in a folder; a status that is not 0 must come with one line."""

    def act(folder: Path) -> None:
        os.chdir(folder)
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            status = run_command([word.replace("HOME", str(home())) for word in line])
        if status:
            lines = [one for one in told.getvalue().splitlines() if one.startswith("moreish: ")] or [told.getvalue()]
            raise MoreishError(lines[-1])

    return act


def keep_loss(folder: Path) -> None:
    """Write the losses of a run into its folder."""
    run = moreish.load(folder / "run")
    assert run.loss
    run.keep_loss()


def training(kind: str) -> Action:
    return lambda folder: train(kind, folder / "run")


def copied(folder: Path) -> None:
    copy_lessons(folder / "lessons")


ACTIONS: dict[str, Action] = {
    **{f"train {kind}": training(kind) for kind in KINDS if kind != "torch"},
    "mix": command("mix", "HOME/mlp", "HOME/ngram", "--out", "run"),
    "load": command("load", "HOME/ngram.arpa", "--out", "run", "--words", "HOME/list.txt"),
    "report": command("report", "HOME/mlp", "--out", "new"),
    "plot": command("plot", "HOME/mlp", "loss", "--format", "svg", "--out", "."),
    "html": command("export", "HOME/mlp", "--to", "html", "--out", "new", "--force"),
    "torch": command("export", "HOME/mlp", "--to", "torch", "--out", "new", "--force"),
    "arpa": command("export", "HOME/ngram", "--to", "arpa", "--out", "new", "--force"),
    "clean": command("words", "HOME/list.txt", "--clean", "cleaned.txt"),
    "loss": keep_loss,
    "lessons": copied,
    "track": command("train", "HOME/list.txt", "--model", "bigram", "--steps", "20", "--track", "csv", "--out", "run"),
}


def prepared(name: str, folder: Path) -> Path:
    """Put into a folder what an action needs, and an old version of what it writes."""
    if name == "loss":
        shutil.copytree(home() / "mlp", folder / "run")
    for file in ("new", "loss.svg"):
        (folder / file).write_text("old")
    return folder


def in_child(name: str, folder: Path, n: int, how: str, error: int) -> int:
    """Act in a child in which the n-th call fails or dies; return its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        fit.CHECKPOINT_SECONDS = 0.0
        faults.inject(n, how, error)
        ACTIONS[name](folder)
    except MoreishError as told:
        if is_one_line(str(told)):
            os._exit(REFUSED)
        traceback.print_exc()
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@cache
def whole(name: str) -> tuple[dict[str, bytes], int]:
    """Files that an action leaves if nothing fails, and the number of its calls."""
    folder = prepared(name, Path(tempfile.mkdtemp(prefix="whole-")))
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        fit.CHECKPOINT_SECONDS = 0.0
        made = faults.inject(0, "fails")
        try:
            ACTIONS[name](folder)
        except BaseException:
            traceback.print_exc()
        os.write(writes, str(made[0]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    calls = int(os.read(reads, 99))
    assert calls, f"{name} writes nothing"
    return files_in(folder), min(calls, MOST)


@cache
def plan() -> list[tuple[str, str, int]]:
    """All actions, with each of their calls, and each way to fail."""
    calls = [(name, how, n + 1) for name in ACTIONS for n in range(whole(name)[1]) for how in faults.HOWS]
    random.Random(0).shuffle(calls)
    return calls


def one(r: Generator, folder: Path) -> str:
    """Let one call of one action fail, and look at what is left."""
    name, how, n = plan()[r.number % len(plan())]
    before = files_in(prepared(name, folder))
    status = in_child(name, folder, n, how, r.choice(faults.ERRORS))
    assert status in (0, REFUSED, faults.DIED), f"{name} {how} at call {n} ended with {status}"
    after = {file: data for file, data in files_in(folder).items() if not file.endswith(".part")}
    if name.startswith("train "):
        look_at_training(name.removeprefix("train "), folder / "run", status)
    elif "run" not in {file.partition("/")[0] for file in {*before, *after}}:
        new, _ = whole(name)
        for file, data in after.items():
            assert data in (before.get(file), new.get(file)), f"{name} {how} at call {n}: {file} is neither old nor new"
    else:
        check(folder / "run")
        shutil.rmtree(folder / "run") if name != "loss" else None
        ACTIONS[name](folder)
        check(folder / "run")
    return f"{name} {'died' if status == faults.DIED else 'refused' if status else 'done'}"


def look_at_training(kind: str, out: Path, status: int) -> None:
    """Train again in the folder, or resume, and compare the bytes."""
    check(out)
    if not ended(out):
        train(kind, out)
    assert (out / MODEL).read_bytes() == never_stopped(kind), "the bytes differ"


def prepare() -> None:
    """Compile all kernels, and count the calls of all actions."""
    kill.prepare()
    where = Path.cwd()
    command("export", "HOME/ngram", "--to", "arpa", "--out", "HOME/ngram.arpa")(home())
    for name in ACTIONS:
        if not name.startswith("train "):
            ACTIONS[name](prepared(name, Path(tempfile.mkdtemp(prefix="compiled-"))))
    os.chdir(where)
    plan()


if __name__ == "__main__":
    main("writes", one, tries=2_000, seconds=300, prepare=prepare)
