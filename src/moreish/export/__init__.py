"""Trained models as files for other programs. Each format is one file here and a row in EXPORTS."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError, unknown
from ..files import write_atomically
from ..training.run import Run
from . import arpa, onnx, torch, web


@dataclass(frozen=True)
class Export:
    """A format.

    summary what the file is, in a few words
    suffix  the end of its name
    data    the bytes of the file, whole or in pieces. Raises InputError for a model that the format cannot hold
    use     how to use the file at a path, in one line
    """

    summary: str
    suffix: str
    data: Callable[[Run], bytes | Iterable[bytes]]
    use: Callable[[Run, Path], str]


EXPORTS: dict[str, Export] = {
    "html": Export("a page without a server", ".html", web.html, web.use_html),
    "js": Export("an ES module", ".js", web.js, web.use_js),
    "onnx": Export("a graph for ONNX Runtime", ".onnx", onnx.data, onnx.use),
    "torch": Export("weights for torch.nn", ".safetensors", torch.data, torch.use),
    "arpa": Export("a back-off model for KenLM and SRILM", ".arpa", arpa.data, arpa.use),
}


def default_path(run: Path, to: str) -> Path:
    """Return the name of a run's folder with the suffix of a format, in the current folder."""
    return Path(run.resolve().name + EXPORTS[to].suffix)


def check_format(to: str) -> None:
    """Raise InputError for an unknown format."""
    if to not in EXPORTS:
        raise unknown("format", to, EXPORTS)


def check_path(path: Path, force: bool) -> None:
    """Raise InputError if a file cannot be written at a path, or is there and `force` is False."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file with --out")
    if path.exists() and not force:
        raise InputError(f"{path} already exists: replace it with --force, or name another file with --out")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}: create it, or name another file with --out")


def write_export(run: Run, to: str, path: Path, *, label: str | None = None, force: bool = False) -> str:
    """Write the model of a run in one of the EXPORTS; return a line that says how to use the file.

    label   write the model given this label, which is one without labels

    Raises InputError for a wrong request, and WorkError if the file cannot be written. Then no part of it is left, and
    an old file stays.
    """
    check_format(to)
    check_path(path, force)
    if label is not None:
        run = replace(run, model=run.model.given(label))
    write_atomically(path, EXPORTS[to].data(run))
    return EXPORTS[to].use(run, path)
