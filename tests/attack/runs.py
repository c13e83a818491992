"""Mutations of run folders: each is loaded and used, or refused in one line, in bounded time and memory.

Files are cut, filled with noise, exchanged, removed and linked. JSON values and the headers of safetensors files are
changed one by one: lengths, offsets, types, shapes; so are the numbers in the arrays. Nothing may be read from or
written outside the folder, and no file in it may change.
"""

import contextlib
import json
import random
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from harness import files_in, made_up, main
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import moreish

QUICK: dict[str, Any] = {"steps": 12, "batch_size": 16}
SMALL: dict[str, Any] = {**QUICK, "n_hidden": 8, "n_embd": 4}
ODD = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    2**70,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 1000,
    "\0",
    "../..",
    [],
    {},
)
USES = 3  # of the methods of a run that has loaded


@cache
def originals() -> list[Path]:
    """Folders of small runs of every kind, finished and stopped."""
    home = Path(tempfile.mkdtemp(prefix="originals-"))
    words = made_up(random.Random(0))
    labels = [word[0] for word in words]
    mlp = moreish.train(words, "mlp", **SMALL, out=home / "mlp")
    ngram = moreish.train(words, "ngram", out=home / "ngram")
    moreish.train(words, "mlp", labels=labels, weights=range(1, len(words) + 1), **SMALL, out=home / "labels")
    moreish.train(words, "ngram", labels=labels, out=home / "ngram-labels")
    moreish.train(words, "mlp", batch_norm=True, **SMALL, out=home / "norm")
    moreish.train(words, "gru", **SMALL, out=home / "gru")
    moreish.train(words, "transformer", n_layer=1, n_head=2, n_embd=8, **QUICK, out=home / "transformer")
    moreish.mix([mlp, ngram]).save(home / "mixture")
    moreish.mix([mlp, ngram], by_context=True).save(home / "by-context")
    moreish.train(words[::-1], from_run=mlp, **QUICK, out=home / "from")

    def stop(at: moreish.Progress) -> None:
        if at.step >= 4:
            raise KeyboardInterrupt

    kinds: dict[str, dict[str, Any]] = {"stopped": {}, "members": {"members": 2}}
    for name, more in kinds.items():
        with contextlib.suppress(KeyboardInterrupt):
            moreish.train(words, "mlp", **SMALL, average=0.9, out=home / name, on_progress=stop, **more)
    return sorted(home.iterdir())


def noise(data: bytes, r: random.Random) -> bytes:
    """Cut bytes, or replace, insert or repeat some."""
    at = r.randrange(len(data) + 1)
    match r.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + r.randbytes(r.randint(1, 8)) + data[at + 8 :]
        case 2:
            return data[:at] + r.randbytes(r.randint(1, 64)) + data[at:]
        case 3:
            return data[:at] + data
        case _:
            return r.randbytes(len(data))


def changed_value(value: Any, r: random.Random) -> Any:
    """Return JSON with one value, somewhere inside, changed or removed."""
    if isinstance(value, dict) and value and r.random() < 0.9:
        key = r.choice(list(value))
        others = {name: item for name, item in value.items() if name != key}
        return others if r.random() < 0.1 else {**others, key: changed_value(value[key], r)}
    if isinstance(value, list) and value and r.random() < 0.9:
        at = r.randrange(len(value))
        return [*value[:at], changed_value(value[at], r), *value[at + 1 :]]
    if isinstance(value, int | float) and r.random() < 0.5:
        return r.choice([value + 1, -value, value * 1e9, float(value), str(value)])
    return r.choice(ODD)


def json_changed(data: bytes, r: random.Random) -> bytes:
    lines = data.decode().splitlines() if data[:1] == b"{" and data.count(b"\n{") else [data.decode()]
    at = r.randrange(len(lines))
    lines[at] = json.dumps(changed_value(json.loads(lines[at]), r))
    return "\n".join(lines).encode()


def header_changed(data: bytes, r: random.Random) -> bytes:
    """Change the header of a safetensors file, with its length right or wrong."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.dumps(changed_value(json.loads(data[8 : 8 + size]), r)).encode()
    length = len(header) if r.random() < 0.9 else r.choice([0, 1, len(header) + 9, 2**40, 2**64 - 1])
    return struct.pack("<Q", length) + header + data[8 + size :]


def numbers_changed(data: bytes, r: random.Random) -> bytes:
    """Change numbers, the shape or the type of one array of a safetensors file."""
    tensors = dict(load_tensors(data))
    name = r.choice(list(tensors))
    array = tensors[name].copy()
    match r.randrange(4):
        case 0 if array.size:
            place = r.randrange(array.size)
            odd = [np.nan, np.inf, 3e38, -3e38, 1e-45] if array.dtype.kind == "f" else [-1, 0, 2**31 - 1, 1000]
            array.flat[place] = r.choice(odd)
        case 1:
            array = np.ascontiguousarray(array[: r.randrange(array.shape[0] + 1)] if array.ndim else array[None])
        case 2:
            with np.errstate(all="ignore"):
                array = array.astype(r.choice([np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_]))
        case _:
            array = np.ascontiguousarray(array[..., None])
    return save_tensors({**tensors, name: array})


CHANGES: dict[str, list[Callable[[bytes, random.Random], bytes]]] = {
    ".json": [json_changed, json_changed, noise],
    ".jsonl": [json_changed, noise],
    ".safetensors": [header_changed, numbers_changed, numbers_changed, noise],
    ".txt": [noise],
}


def mutate(folder: Path, r: random.Random) -> None:
    """Change one file of a run, or exchange, link or remove it."""
    path = r.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    kind = r.random()
    if kind < 0.85:
        data = path.read_bytes()
        try:
            path.write_bytes(r.choice(CHANGES[path.suffix])(data, r))
        except (ValueError, SafetensorError, struct.error):  # an earlier change has left no JSON or no tensors
            path.write_bytes(noise(data, r))
        return
    other = r.choice(originals())
    theirs = other / path.name if (other / path.name).is_file() else next(p for p in other.rglob("*") if p.is_file())
    path.unlink()
    if kind < 0.9:
        shutil.copy(theirs, path)
    elif kind < 0.92:
        path.mkdir()
    elif kind < 0.94:
        path.symlink_to(path)  # a link to itself
    elif kind < 0.96:
        path.symlink_to("/dev/zero" if path.suffix != ".txt" else "/dev/null")


def use(folder: Path, r: random.Random) -> str:
    """Load a run and use it in some ways."""
    run = moreish.load(folder)
    model = run.model
    uses: list[Callable[[], Any]] = [
        lambda: model.sample(5, top_p=0.9),
        lambda: model.sample(3, pattern="a*", tries=1000),
        lambda: model.score("abba"),
        lambda: model.next("ab"),
        lambda: model.most_likely(2, max_length=4),
        lambda: repr(run) + run._repr_html_(),
        lambda: run.loss,
        lambda: moreish.compare([run], samples=1),
    ]
    for call in r.sample(uses, USES):
        call()
    return "used"


def prepare() -> None:
    """Use every run once, which compiles all kernels."""
    for folder in originals():
        for _ in range(4):
            use(folder, random.Random(1))


def one(r: random.Random, folder: Path) -> str:
    """Mutate a copy of a run, and load and use it; nothing in it may change."""
    copy = shutil.copytree(r.choice(originals()), folder / "run")
    for _ in range(r.choice([1, 1, 1, 2, 4])):
        mutate(copy, r)
    before = _files(copy)
    try:
        return use(copy, r)
    finally:
        assert _files(copy) == before, "loading has changed the folder"
        assert {path.name for path in folder.iterdir()} == {"run"}


def _files(folder: Path) -> dict[str, bytes]:
    return {} if _has_links(folder) else files_in(folder)


def _has_links(folder: Path) -> bool:
    return any(path.is_symlink() for path in folder.rglob("*"))


if __name__ == "__main__":
    main("runs", one, tries=10_000, prepare=prepare)
