"""Write the model of a run as a file for other programs.

html is a page that draws and scores words without a server or a network, of any model; js is the same model as an ES
module, for games and sites. --quantise 8 makes the file of a net four times smaller, and says what that costs.
onnx is a graph for ONNX Runtime and all that reads ONNX, from the last characters, or from whole prefixes, to logits.
arpa is a back-off model for KenLM, SRILM and others, of an n-gram model; characters are its words.
torch is a safetensors file with the weights, under the names that modules of torch.nn have; the file also has the lines
of Python that make the net and load it.

Prints where the file went, its size, and how to use it. An existing file stays, unless --force is given.

Examples:
  moreish export runs/names-mlp --to html
  moreish export runs/names-mlp --to js --quantise 8
  moreish export runs/names-mlp --to onnx
  moreish export runs/names-gru --to onnx --out web/names.onnx --force
  moreish export runs/names-ngram --to arpa
  moreish export runs/names-transformer --to torch
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..export import EXPORTS, check_format, check_path, default_path, write_export
from ..training.loading import load
from .terminal import announce_work, print_text
from .values import Flag, WholeNumber, one_of

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = one_of(EXPORTS)


def export(
    run: Path,
    /,
    *,
    to: FormatName,
    out: Path | None = None,
    label: str | None = None,
    quantise: WholeNumber | None = None,
    force: Flag = False,
) -> None:
    """Run `moreish export`.

    Parameters
    ----------
    run
        Folder of a run.
    to
        Format of the file.
    out
        File to write [default: the name of the run with the suffix of the format, in the current folder].
    label
        Write the model given this label, for a run trained with --labels.
    quantise
        8 for 8 bits a number in html and js, which makes the file of a net four times smaller.
    force
        Replace the file if it exists.
    """
    check_format(to)
    path = out or default_path(run, to)
    check_path(path, force)
    announce_work()
    lines = write_export(load(run), to, path, label=label, quantise=quantise, force=force)
    print_text(f"{path}  ({shown_size(path.stat().st_size)}, {EXPORTS[to].summary})")
    for line in lines:
        print_text(line)


def shown_size(size: int) -> str:
    """Return a number of bytes in KB, or in MB from a million on."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} KB"
