"""Word lists for the tests, and the runs, models and server that several tests share."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

import moreish
from moreish.engine.threads import run_parallel
from moreish.ngram import small

# Test processes share the cores: PyTorch computes on one thread in each of them, and in the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("untimed", deadline=None)  # the time of an example depends on the machine
settings.load_profile("untimed")
# Lists of the tests are small, and what counts large ones is tested with them: `test_ngram_small` has NumPy's way.
small.MAX_TOKENS = 0


def made_up_words(n: int, seed: int = 0, alphabet: str = "abcdefg") -> list[str]:
    """Return n random words of consonant-vowel syllables: a made-up language with structure to learn."""
    generator = random.Random(seed)
    vowels = [c for c in alphabet if c in "ae"] or list(alphabet)
    others = [c for c in alphabet if c not in vowels] or list(alphabet)
    return [
        "".join(generator.choice(others) + generator.choice(vowels) for _ in range(generator.randint(1, 3)))
        for _ in range(n)
    ]


def levenshtein(a: str, b: str) -> int:
    """Edit distance of two words, by the table of Wagner and Fischer."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def other_words_in(words: list[str], *parts: str) -> list[str]:
    """Return a list of different words with those of some parts reversed. The split and the alphabet stay."""
    split = moreish.Corpus(words).parts
    changed = {word for part in parts for word in split[part]}
    return [word[::-1] if word in changed else word for word in words]


def overlapping_ticks(made: Any) -> list[tuple[str, str]]:
    """Return the pairs of neighbouring tick labels of a figure whose boxes overlap."""
    made.draw_without_rendering()
    found = []
    for axis in (axis for ax in made.axes if ax.axison for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
        labels = [t.label1 for t in ticks if t.label1.get_visible() and t.label1.get_text()]
        for one, other in pairwise(labels):
            if one.get_window_extent().overlaps(other.get_window_extent()):
                found.append((one.get_text(), other.get_text()))
    return found


@pytest.fixture
def file(tmp_path, monkeypatch) -> Callable[..., str]:
    """A function that writes a file into the current folder of a test and returns its name."""
    monkeypatch.chdir(tmp_path)

    def written(data: str | bytes, name: str = "list.txt") -> str:
        Path(name).write_bytes(data.encode() if isinstance(data, str) else data)
        return name

    return written


@pytest.fixture(scope="session")
def words() -> list[str]:
    return made_up_words(400)


@pytest.fixture(scope="session")
def corpus(words) -> moreish.Corpus:
    return moreish.Corpus(words)


@pytest.fixture(scope="session")
def saved_run(words, tmp_path_factory) -> moreish.Run:
    """A small trained mlp, saved in a folder. Tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    return moreish.train(words, "mlp", n_hidden=16, n_embd=4, steps=200, batch_size=32, out=folder)


@pytest.fixture(scope="session")
def address(saved_run) -> Iterator[str]:
    """The address of a server of that run."""
    from served import FALSE_POSITIVE_RATE, started

    options = ("--port", 0, "--false-positive-rate", FALSE_POSITIVE_RATE)
    with started("-m", "moreish", "serve", saved_run.path, *options) as (process, address):
        yield address
        if os.name == "posix":
            process.send_signal(signal.SIGINT)  # Ctrl-C is the way to stop it, and not a failure
            assert process.wait(timeout=10) == 0


@pytest.fixture
def client(address):
    """A client of that server, which must be healthy after each test."""
    import httpx

    with httpx.Client(base_url=address, timeout=30) as client:
        yield client
        assert client.get("/health").json() == {"status": "ok"}


@pytest.fixture(scope="session")
def models() -> dict[str, moreish.Model]:
    """Models over three letters: counted ones, nets with a short, a long and an unlimited context, and a mixture."""
    from small_models import MODELS

    words = made_up_words(200, seed=3, alphabet="abd")
    words += [word[::-1] for word in words[:60]]
    runs = {
        "bigram-counts": moreish.train(words, "bigram-counts"),
        "ngram": moreish.train(words, "ngram", order=4),
        "order 1": moreish.train(words, "ngram", order=1),
        "mlp 2": moreish.train(words, "mlp", block_size=2, n_hidden=8, n_embd=3, steps=150),
        "mlp 12": moreish.train(words, "mlp", block_size=12, n_hidden=8, n_embd=3, steps=150),
        "gru": moreish.train(words, "gru", n_hidden=8, n_embd=3, batch_size=32, steps=100),
        "transformer": moreish.train(words, "transformer", n_layer=1, n_head=2, n_embd=8, batch_size=32, steps=100),
        "bow": moreish.train(words, "bow", n_embd=8, n_hidden=8, batch_size=32, steps=100),
    }
    runs["mixture"] = moreish.mix([runs["ngram"], runs["mlp 2"]])
    assert tuple(runs) == MODELS  # tests are parametrised with MODELS, so that a missing name would never be tested
    return {name: run.model for name, run in runs.items()}


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Run PyTorch on one thread: sums have one order, and small ones do not wait for a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def names_file() -> Path:
    """The reference list, on which some tests measure losses."""
    path = os.environ.get("MOREISH_NAMES")
    if not path:
        pytest.skip("MOREISH_NAMES does not name the reference list")
    return Path(path)


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    """Reset the number of threads after a test that sets it."""
    yield
    moreish.set_threads(None)


@pytest.fixture
def made_by(monkeypatch) -> Callable[[ModuleType], list[int]]:
    """A function that records, from now on, the number of calls in each `run_parallel` of a module."""

    def noted(module: ModuleType) -> list[int]:
        made: list[int] = []

        def note(calls):
            made.append(len(calls))
            return run_parallel(calls)

        monkeypatch.setattr(module, "run_parallel", note)
        return made

    return noted


def taken_away(folder, how):
    """Move, delete or replace a folder."""
    if how == "deleted":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("elsewhere"))
    if how == "file":
        folder.write_text("mine")
    elif how == "folder":
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
