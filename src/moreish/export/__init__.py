"""Trained models as files for other programs. Each format is one file here and a row in EXPORTS."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
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
    rounded the bytes of the file with 8 bits for each number in a matrix; None if the format has no such form
    """

    summary: str
    suffix: str
    data: Callable[[Run], bytes | Iterable[bytes]]
    use: Callable[[Run, Path], str]
    rounded: Callable[[Run], bytes] | None = None


EXPORTS: dict[str, Export] = {
    "html": Export("a page without a server", ".html", web.html, web.use_html, partial(web.html, bits=8)),
    "js": Export("an ES module", ".js", web.js, web.use_js, partial(web.js, bits=8)),
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


def write_export(
    run: Run, to: str, path: Path, *, label: str | None = None, quantise: int | None = None, force: bool = False
) -> list[str]:
    """Write the model of a run in one of the EXPORTS; return lines that say how to use the file.

    label       write the model given this label, which is one without labels
    quantise    8 for 8 bits a number; a line says what that costs

    Raises InputError for a wrong request, and WorkError if the file cannot be written. Then no part of it is left, and
    an old file stays.
    """
    check_format(to)
    check_path(path, force)
    if label is not None:
        run = replace(run, model=run.model.given(label))
    export, told = EXPORTS[to], list[str]()
    if quantise is None:
        data = export.data(run)
    else:
        if quantise != 8:
            raise InputError(f"--quantise is {quantise}: it must be 8, the bits of a number")
        if export.rounded is None:
            raise InputError(f"--to {to} has no form with 8 bits: leave out --quantise")
        if not run.model.layers:
            raise InputError(f"--quantise takes a net, and {run.path} is {run.model.kind}", "leave it out")
        exact, rounded = web.cost_of_rounding(run)
        told = [f"with 8 bits a number, val is {rounded:.4f} instead of {exact:.4f} nats"]
        data = export.rounded(run)
    write_atomically(path, data)
    return [export.use(run, path), *told]
