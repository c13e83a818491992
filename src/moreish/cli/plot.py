"""Draw pictures of a run.

Pictures: loss, bigrams, next, word, attention, embedding, activations, saturation, gradients, ratios, weights, start,
samples, novelty, confusion, architecture. In Python, each is a function of moreish.plots that returns a matplotlib
Figure.

Examples:
  moreish plot runs/names-mlp
  moreish plot runs/names-mlp loss word --word emma --format svg
  moreish plot runs/names-transformer attention --word emma
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import InputError, unknown
from ..training.folder import check_inside
from ..training.loading import load
from .terminal import announce_work, print_text, say
from .values import WholeNumber, one_of

if TYPE_CHECKING:
    PictureName = str
else:  # written out, because importing the pictures takes a second
    PictureName = one_of(
        (
            "loss",
            "bigrams",
            "next",
            "word",
            "attention",
            "embedding",
            "activations",
            "saturation",
            "gradients",
            "ratios",
            "weights",
            "start",
            "samples",
            "novelty",
            "confusion",
            "architecture",
        )
    )


def plot(
    run: Path,
    /,
    *what: PictureName,
    out: Path | None = None,
    format: Literal["png", "svg", "pdf"] = "png",
    order: Literal["frequency", "alphabet"] = "frequency",
    prefix: str = "",
    word: str | None = None,
    seed: WholeNumber = 42,
    unit: Literal["nats", "bits"] = "nats",
) -> None:
    """Run `moreish plot`.

    Parameters
    ----------
    run
        Folder of a run.
    what
        Names of pictures [default: all pictures available for the model].
    out
        Folder for the pictures [default: plots, in the folder of the run].
    format
        Format of the files.
    order
        Order of the characters in the picture bigrams.
    prefix
        Start of the word in the picture next.
    word
        Word in the pictures word and attention [default: a sample of the model].
    seed
        Seed of the samples.
    unit
        Unit of losses and surprises.
    """
    from ..analysis.findings import Findings
    from ..display.shown import shortened
    from ..plots.fonts import fallbacks
    from ..plots.pictures import PICTURES, PictureOptions, draw
    from ..plots.style import save

    for name in what:
        if name not in PICTURES:
            raise unknown("picture", name, PICTURES)
    announce_work()
    found, options = Findings(load(run), seed), PictureOptions(order, prefix, word, seed, unit)
    folder = out or run / "plots"
    if out is None:
        check_inside(folder, run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}): choose another (--out)") from None
    _, missing = fallbacks(found.run.model.vocab.characters)
    skipped: dict[str, list[str]] = {}  # pictures by the reason
    for name, made in draw(found, options, what or PICTURES):
        if isinstance(made, InputError):
            if what:
                raise made
            skipped.setdefault(made.reason, []).append(name)
            continue
        path = folder / f"{name}.{format}"
        save(made, path)
        print_text(f"{path}  {PICTURES[name].caption}")
    if missing:
        say(
            f"No installed font has {len(missing):,} of the characters ({shortened(''.join(missing), 13)}), "
            "so they are drawn as boxes. Install a font that covers them, such as Noto Sans CJK."
        )
    if skipped:
        say("skipped: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in skipped.items()))
