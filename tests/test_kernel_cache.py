"""The folder of compiled kernels: where it is, and whose files are trusted."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from rich.console import Console

import moreish
from moreish.cli.progress import CompilingView
from moreish.display import compiling
from moreish.display.compiling import Compiling
from moreish.engine.tape import cache

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions, and a private temporary folder")


@pytest.fixture
def places(monkeypatch, tmp_path) -> Path:
    """A folder with a temporary folder in it, and with no other place for kernels that can be written."""
    file = tmp_path / "file"
    file.touch()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(cache, "BESIDE", file / "beside")
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda name: str(file / name))
    (tmp_path / "tmp").mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def found() -> Path | None:
    """The folder that a new process would find."""
    return cache.cache_folder.__wrapped__()


def test_the_folder_that_the_variable_names_comes_first(places, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "named"))
    monkeypatch.setattr(cache, "BESIDE", places / "beside")
    (places / "named" / "moreish" / "kernels-of-old-sources").mkdir(parents=True)
    (places / "named" / "kernels-of-others").mkdir()
    folder = found()
    assert folder is not None
    assert folder.parent == places / "named" / "moreish"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert (places / "named" / "kernels-of-others").exists()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "file" / "named"))
    assert found() == places / "beside" / folder.name, "and the others are for when it cannot be written"


@posix
def test_a_private_temporary_folder_is_the_last_resort(places, caplog):
    caplog.set_level("INFO")
    folder = found()
    assert folder is not None
    assert folder.parent == (places / "tmp").resolve() / f"moreish-{os.getuid()}"
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert "set NUMBA_CACHE_DIR" in caplog.text
    (folder / "kernel").touch()
    caplog.clear()
    assert found() == folder
    assert not caplog.text, "it is said once"


@posix
@pytest.mark.parametrize("fault", ["link", "file", "writable", "replaceable"])
def test_a_folder_that_others_can_change_is_not_trusted(fault, places, caplog):
    theirs = places / "tmp" / f"moreish-{os.getuid()}"
    match fault:
        case "link":
            (places / "planted").mkdir()
            theirs.symlink_to(places / "planted")
        case "file":
            theirs.touch()
        case "writable":
            theirs.mkdir()
            theirs.chmod(0o770)
        case _:
            theirs.mkdir(mode=0o700)
            (places / "tmp").chmod(0o777)
    assert found() is None
    assert "NUMBA_CACHE_DIR" in caplog.text
    assert not (places / "planted").exists() or not any((places / "planted").iterdir())
    if fault == "replaceable":
        (places / "tmp").chmod(0o1777)  # where only its owner can rename it, as in /tmp
        assert found() is not None


@posix
@pytest.mark.parametrize("place", ["named", "beside", "cache"])
def test_kernels_are_kept_in_folders_that_nobody_else_can_write_to(place, places, monkeypatch, caplog):
    if place == "named":
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / place))
    elif place == "beside":
        monkeypatch.setattr(cache, "BESIDE", places / place)
    else:
        monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda name: str(places / place / name))
    before = os.umask(0o002)  # as where each user has a group
    try:
        folder = found()
        assert folder is not None
        assert place in folder.parts
        assert folder.stat().st_mode & 0o777 == 0o700
        assert found() == folder
        for mode in (0o770, 0o707):
            caplog.clear()
            folder.chmod(mode)
            other = found()
            assert other is not None
            assert other.parent == (places / "tmp").resolve() / f"moreish-{os.getuid()}"
            assert ("others can write to it" in caplog.text) == (place == "named")
        folder.chmod(0o700)
        folder.parent.chmod(0o777)  # where others can rename it
        assert found() == other
        folder.parent.chmod(0o1777)
        assert found() == folder
    finally:
        os.umask(before)


@posix
def test_kernels_in_a_folder_behind_a_link_are_not_trusted(places, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "named"))
    folder = found()
    assert folder is not None
    folder.rename(places / "planted")
    folder.symlink_to(places / "planted")
    assert found() != folder


@posix
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_not_trusted(places):
    theirs = places / "tmp" / f"moreish-{os.getuid()}"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12345, -1)
    assert found() is None


@posix
def test_a_package_and_a_home_that_cannot_be_written_compile_only_once(tmp_path):
    package = tmp_path / "lib" / "moreish"
    shutil.copytree(Path(moreish.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "engine" / "tape" / "__pycache__").touch()  # not a folder, so that nothing can be written there
    (tmp_path / "home").touch()
    (tmp_path / "tmp").mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(tmp_path / "lib"),
    }
    (tmp_path / "list.txt").write_text("ada\nbab\ncad\ndab\nbaba\ncada\nabba\n", encoding="utf-8")

    def train(out: str, **more: str) -> str:
        options = ["--model", "bigram", "--steps", "5", "--samples", "2", "--out", str(tmp_path / out)]
        command = [sys.executable, "-m", "moreish", "--threads", "2", "train", str(tmp_path / "list.txt"), *options]
        pipe, env = subprocess.PIPE, {**environment, **more}
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=env, timeout=240)
        assert done.returncode == 0, done.stdout
        return done.stdout

    first = train("first")
    assert "an n-gram model" in first.partition("\nnext:\n")[2]
    assert "compiling" not in first.partition("\nnext:\n")[2], "notices are not among the advice"
    notices = re.findall("moreish: compiling (.*), only once on this machine\n", first)
    assert notices[0] == "the training loop"
    assert len(notices) == len(set(notices)), "there is one notice of each thing, however many functions it has"
    assert f"kept in {(tmp_path / 'tmp').resolve() / f'moreish-{os.getuid()}'}" in first
    assert "compiling" not in train("second")
    assert list((tmp_path / "tmp").rglob("*.nbc"))
    shutil.rmtree(tmp_path / "tmp" / f"moreish-{os.getuid()}")
    assert "kept in" not in train("third", NUMBA_CACHE_DIR=str(tmp_path / "named"))
    assert list((tmp_path / "named").rglob("*.nbc"))
    assert not any((tmp_path / "tmp").rglob("*.nbc"))


DAMAGES = {
    "a byte": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 64]) + data[len(data) // 2 + 1 :],
    "the end": lambda data: data[:-1],
    "all": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("of", ["*.nbc", "*.nbi", "*.sha256"])
def test_damaged_code_is_noticed_and_removed(of, damage, tmp_path):
    files = [tmp_path / "sgd-1.py311.1.nbc", tmp_path / "sgd-1.py311.nbi"]
    for path in files:
        path.write_bytes(os.urandom(1000))
    cache.seal(files)
    assert cache.intact(files)
    (path,) = tmp_path.glob(of)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert not cache.intact(files)
    assert list(tmp_path.iterdir()) == []
    for path in files:
        path.write_bytes(b"compiled again")
    cache.seal(files)
    assert cache.intact(files)


@posix
def test_code_without_its_seal_is_not_used(tmp_path, caplog):
    files = [tmp_path / "sgd-1.py311.1.nbc", tmp_path / "sgd-1.py311.nbi"]
    files[0].mkdir()
    files[1].write_bytes(b"index")
    cache.seal(files)  # cannot read the folder
    assert not cache.intact(files)
    assert list(tmp_path.iterdir()) == []
    assert not cache.intact([])
    files[0].write_bytes(b"code")
    files[0].with_name("sgd-1.sha256").symlink_to(tmp_path.parent)
    assert not cache.intact(files)
    assert list(tmp_path.iterdir()) == []
    for at in range(3):
        paths = [*files, tmp_path / "sgd-1.sha256"]
        for path in files:
            path.write_bytes(b"code")
        cache.seal(files)
        paths[at].unlink()
        os.mkfifo(paths[at])
        assert not cache.intact(files), "and it does not wait for somebody to write"
        assert list(tmp_path.iterdir()) == []
    assert not caplog.text, "a process that was killed while it compiled is no damage"


def test_machine_code_with_a_changed_byte_is_compiled_again(tmp_path):
    code = """
import numpy as np
from moreish.engine.optim import sgd
from moreish.engine.tape.compile import Job, compiled, on_disk

job = Job(sgd, "optimizer", np.float64)
print(on_disk(job))
params, moments, hyper = np.array([1.0, 2.0]), np.zeros((0, 2)), np.array([0, 0, 0, 0, 1.0])
compiled([job], "the optimizer")[0](params, np.array([0.5, 4.0]), moments, 0.1, 1, hyper, 0, 2)
assert np.allclose(params, [0.95, 1.6], rtol=1e-12)
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert run() == "False\n"
    assert run() == "True\n"
    (path,) = tmp_path.rglob("*.nbc")
    path.write_bytes(DAMAGES["a byte"](path.read_bytes()))
    assert run().endswith("has changed since it was written: compiling it again\n")
    assert run() == "True\n"


def test_another_process_leaves_compiled_code_on_disk(tmp_path):
    code = """
import numpy as np
from moreish.engine.optim import sgd
from moreish.engine.tape.compile import Job, on_disk, compiled
from moreish.engine.tape.processes import Helper

job, helper = Job(sgd, "optimizer", np.float32), Helper()
assert not on_disk(job)
assert helper.compile(job.words)
assert on_disk(job)
assert not helper.compile(["moreish.engine.optim", "nothing", "optimizer", "float32"]), "and then it has ended"
assert not helper.compile(job.words)
helper.close()
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_another_process_fails_to_compile_is_compiled_here(tmp_path):
    code = """
import numpy as np
from moreish.engine.optim import adamw, sgd
from moreish.engine.tape import compile, processes
from moreish.engine.threads import set_threads

set_threads(2)
asked = []
processes.Helper.compile = lambda helper, words: bool(asked.append(words))
jobs = [compile.Job(step, "optimizer", dtype) for step in (adamw, sgd) for dtype in (np.float32, np.float64)]
params, moments, hyper = np.array([1.0, 2.0]), np.zeros((0, 2)), np.array([0, 0, 0, 0, 1.0])
compile.compiled(jobs, "the optimizers")[3](params, np.array([0.5, 4.0]), moments, 0.1, 1, hyper, 0, 2)
assert np.allclose(params, [0.95, 1.6], rtol=1e-12)
assert all(map(compile.on_disk, jobs))
assert len(asked) == 1, "one process was asked, and after its failure no more"
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("width", [60, 200])
def test_the_terminal_shows_what_is_compiled_and_keeps_one_line(width, monkeypatch):
    written, began = io.StringIO(), time.monotonic() - 4.25
    console = Console(file=written, force_terminal=True, width=width, legacy_windows=False)
    monkeypatch.setattr("moreish.cli.progress.stderr", lambda: console)
    view = CompilingView()
    for functions, done in (((), 0), (("linear.forward",), 0), (("machine.train", "loss.forward"), 1)):
        view(Compiling("the training loop", functions, done, 2, began))
        assert view.live is not None
        view.live.refresh()
    view(Compiling("the training loop", (), 2, 2, began, ended=True))
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue()).replace("\r", "\n").splitlines()
    assert any(re.match(r"\S 4 s, compiling the training loop, only once on this", line) for line in lines)
    whole = "compiling the training loop, only once on this machine (2 of 2): machine.train, loss.forward"
    assert any(line.endswith(whole) for line in lines) == (width == 200)
    assert re.fullmatch(r"compiled the training loop in 4\.\d s, only once on this machine", lines[-1])


def test_what_was_interrupted_leaves_no_line(monkeypatch):
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80, legacy_windows=False)
    monkeypatch.setattr("moreish.cli.progress.stderr", lambda: console)
    view, began = CompilingView(), time.monotonic() - 4.25
    view(Compiling("the training loop", ("linear.forward",), 0, 2, began))
    view(Compiling("the training loop", (), 1, 2, began, ended=True))
    assert "compiled" not in written.getvalue()
    assert written.getvalue().rfind("\x1b[?25h") > written.getvalue().rfind("\x1b[?25l"), "the cursor is shown again"


@posix
def test_ctrl_c_while_compiling_stops_in_one_line(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "moreish", "--threads", "2", "train", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=120)
    assert first == "moreish: compiling the training loop, only once on this machine\n"
    assert rest == "moreish: stopped\n"
    assert process.returncode == 130
    assert not (tmp_path / "run").exists()


def test_a_watcher_sees_every_function_and_messages_stay_away(tmp_path, caplog, monkeypatch):
    seen: list[Compiling] = []
    monkeypatch.setattr(compiling, "watchers", [seen.append])
    compiling.show(Compiling("something new", (), 0, 1, time.monotonic()))
    assert [at.what for at in seen] == ["something new"]
    assert not caplog.records
    monkeypatch.setattr(compiling, "watchers", [])
    caplog.set_level("DEBUG")
    for _ in range(2):
        compiling.show(Compiling("something new", (), 0, 1, time.monotonic()))
        compiling.show(Compiling("something new", ("linear.forward",), 0, 1, time.monotonic()))
        compiling.show(Compiling("something new", (), 1, 1, time.monotonic(), ended=True))
    assert caplog.messages == ["compiling something new, only once on this machine"]


def test_the_time_of_counting_is_without_that_of_compiling(monkeypatch):
    spent = iter([0.0, 100.0, 1100.0])
    monkeypatch.setattr("moreish.training.fit.seconds_compiling", lambda: next(spent))
    assert moreish.train(["ada", "bab", "cad", "dab", "baba", "cada"], "ngram").history[0]["seconds"] < -990
