"""One training in several processes, which torchrun starts, against the same in one."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError
from moreish.engine.torch.distributed import BatchShard

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc; tried on Linux alone"),
    pytest.mark.usefixtures("one_torch_thread"),
]


class Torchrun:
    """`torchrun ... -m moreish train ... --engine torch --device cpu`, with what it writes."""

    def __init__(self, arguments: list[Any], *launch: str):
        command = [sys.executable, "-m", "torch.distributed.run", *(launch or ("--nproc-per-node", "2"))]
        command += ["-m", "moreish", "train", *map(str, arguments)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.err = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.err += line

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until its stderr contains a text."""
        end = time.monotonic() + seconds
        while text not in self.err:
            assert time.monotonic() < end, self.err
            assert self.process.poll() is None, self.err
            time.sleep(0.005)

    def ended(self, seconds: float = 60) -> str:
        """Wait until it has ended, and return its stdout."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(seconds)
        self.reader.join(seconds)
        return out

    def close(self) -> None:
        """End it at any point."""
        self.process.terminate()
        self.ended()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def workers(self) -> list[int]:
        """The ids of the processes that it has started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def torchrun():
    """A function that starts a Torchrun, which ends with the test at the latest."""
    started: list[Torchrun] = []

    def start(*arguments: Any) -> Torchrun:
        started.append(Torchrun(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


def command_line(options: dict[str, Any]) -> list[Any]:
    """Options of `moreish.train` as arguments of `moreish train`."""
    words: list[Any] = []
    for name, value in options.items():
        name = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{name}"] if isinstance(value, bool) else [f"--{name}", value]
    return words


MLP: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "log_every": 5, "engine": "torch", "device": "cpu"}
WORDS_WHOLE: dict[str, Any] = {**MLP, "model": "wavenet-conv", "batch_norm": False}


@pytest.fixture
def words_file(words, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


def assert_same_course(run, other, tolerance=1e-5):
    """Two runs had the same losses at the same steps, and ended at the same weights, to float accuracy."""
    assert [line["step"] for line in run.history] == [line["step"] for line in other.history]
    for line, theirs in zip(run.history, other.history, strict=True):
        np.testing.assert_allclose(line["losses"], theirs["losses"], atol=2e-4)  # they are kept to four places
        assert line["train"] == pytest.approx(theirs["train"], rel=tolerance)
    vals, their_vals = ([line["val"] for line in each.history if line["val"] is not None] for each in (run, other))
    assert vals == pytest.approx(their_vals, rel=tolerance)
    np.testing.assert_allclose(run.model.params, other.model.params, atol=10 * tolerance)


def test_every_row_of_a_batch_is_in_one_shard():
    rows = np.arange(11)
    for world_size in range(1, 5):
        shards = [BatchShard(rank, world_size).of(rows) for rank in range(world_size)]
        assert sorted(np.concatenate(shards)) == rows.tolist()
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_two_processes_follow_the_loss_curve_of_one(torchrun, words, words_file, tmp_path):
    """The batch is odd, so shards differ in size. Everything is printed once, and one process writes."""
    options: dict[str, Any] = {**MLP, "batch_size": 33, "steps": 60}
    several = torchrun([words_file, *command_line(options), "--out", tmp_path / "two"])
    one = moreish.train(words, **options)
    printed = several.ended()
    assert several.process.returncode == 0, several.err
    assert_same_course(moreish.load(tmp_path / "two"), one)
    assert printed.count("parameters") == printed.count("saved in") == 1
    assert several.err.count("step 60/60") == 1
    assert "BatchNorm" not in several.err


def test_a_run_of_two_processes_is_resumed_by_one(torchrun, words, words_file, tmp_path):
    """Ctrl-C stops both at the same step, and saves."""
    options: dict[str, Any] = {
        **MLP,
        "batch_size": 32,
        "steps": 3000,
        "optimizer": "sgd",
        "keep": "last",
        "log_every": 150,
    }
    several = torchrun([words_file, *command_line(options), "--out", tmp_path / "run"])
    whole = moreish.train(words, **options)
    several.wait_for("step   150/3,000")
    several.process.send_signal(signal.SIGINT)
    assert several.ended() == ""
    assert several.process.returncode != 0
    assert (
        f"moreish (rank 0): stopped and saved; continue with: moreish train --resume {tmp_path / 'run'}" in several.err
    )
    assert "moreish (rank 1): stopped\n" in several.err
    assert 150 <= moreish.load(tmp_path / "run").history[-1]["step"] < 3000
    assert_same_course(moreish.resume(tmp_path / "run"), whole, 1e-4)


def test_a_run_of_one_process_is_resumed_by_two(torchrun, words, tmp_path):
    """Over whole words, whose examples have different numbers of targets."""
    options: dict[str, Any] = {**WORDS_WHOLE, "batch_size": 17, "steps": 60}
    whole = moreish.train(words, **options)

    def stop(at: moreish.Progress) -> None:
        if at.step >= 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, **options, out=tmp_path / "run", on_progress=stop)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    several = torchrun(["--resume", tmp_path / "run"])
    several.ended()
    assert several.process.returncode == 0, several.err
    assert_same_course(moreish.load(tmp_path / "run"), whole)


def test_a_process_that_dies_ends_the_job_with_a_message(torchrun, words_file, tmp_path):
    """On two hosts, each with its own torchrun. A message says that each has BatchNorm statistics of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options: dict[str, Any] = {**MLP, "batch_norm": True, "batch_size": 32, "steps": 1_000_000, "log_every": 100}
    arguments = [words_file, *command_line(options), "--out", tmp_path / "run"]
    rendezvous = ("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "localhost", "--master-port", str(port))
    hosts = [torchrun(arguments, *rendezvous, "--node-rank", str(rank)) for rank in range(2)]
    hosts[0].wait_for("step       100/1,000,000")
    (victim,) = hosts[1].workers()
    os.kill(victim, signal.SIGKILL)
    for host in hosts:
        assert host.ended() == ""
        assert host.process.returncode != 0
    assert re.search(
        r"moreish \(rank 0\): training with 2 processes stopped \(.*\): continue with --resume\n", hosts[0].err
    )
    assert (
        hosts[0].err.count("moreish: BatchNorm normalises with the statistics of each process's share of the batch\n")
        == 1
    )
    assert "BatchNorm" not in hosts[1].err
    assert "step" not in hosts[1].err
    assert len(moreish.load(tmp_path / "run").model.sample(3)) == 3


@pytest.fixture
def started_by_torchrun(monkeypatch):
    """This process as torchrun would start it: the second of two, without the other one."""
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("started_by_torchrun")
@pytest.mark.parametrize("engine", ["tape", "both"])
def test_other_engines_train_in_one_process(words, tmp_path, engine):
    with pytest.raises(InputError, match=f"started 2 processes, but the engine {engine} trains in one: add --engine"):
        moreish.train(words, n_hidden=4, steps=2, engine=engine, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("started_by_torchrun")
def test_the_first_process_writes_a_counted_model(words, tmp_path):
    assert moreish.train(words, "ngram", out=tmp_path / "run").path is None
    assert not (tmp_path / "run").exists()


APART = """
import os, sys
sys.path.insert(0, sys.argv[1])
import conftest, moreish
from moreish.engine.torch.distributed import rank

for seed, size in ((rank(), 8), (0, 3)):
    try:
        moreish.train(conftest.made_up_words(100, seed), n_hidden=4, batch_norm=True, batch_size=size, steps=2,
                      engine="torch", device="cpu", out=sys.argv[2])
    except moreish.InputError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_processes_that_cannot_train_together_say_why(tmp_path):
    """First each has its own words; then the batch is too small for BatchNorm."""
    (tmp_path / "apart.py").write_text(APART)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", tmp_path / "apart.py"]
    command += [Path(__file__).parent, tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    different = "the processes were given different words, options or states of the run: give all of them the same"
    small = "a batch of 3 is too small for 2 processes: each needs 2 of its examples at least (--batch-size)"
    assert sorted(done.stdout.splitlines()) == 2 * [small] + 2 * [different]
    assert not (tmp_path / "run").exists()
