"""A model as a page without a server, and as an ES module: both draw and score words in the browser itself.

The scripts are those of the lab and of export/page, joined into one; the weights are base64 in it. The policy of the
page allows no connection.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import InputError
from ..evaluation import evaluate
from ..training.run import Run
from .arrays import Arrays, as_quantised, described

OF_READER = ("lab/forward", "lab/gate", "lab/model")
OF_MODEL = (*OF_READER, "lab/sampler", "export/words")
OF_PAGE = (
    *("lab/dom", "lab/state", "lab/colours", "lab/bars", "lab/shared", "lab/next", "lab/score"),
    "export/take",
)
STYLES = ("lab/style", "lab/next", "lab/score", "export/take")
IMPORTS = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
EXPORTED = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def source(name: str, suffix: str = "js") -> str:
    """Return a file of the lab's page or of the export's."""
    room, _, file = name.partition("/")
    # Found from the top package: the lab itself cannot be imported without its extra.
    return (files("moreish") / room / "page" / f"{file}.{suffix}").read_text(encoding="utf-8")


def joined(names: Iterable[str]) -> str:
    """Join modules into one script. No two of them may have a name in common at their top level."""
    return "\n".join(EXPORTED.sub("", IMPORTS.sub("", source(name))).strip() for name in names) + "\n"


def model_data(run: Run, bits: int = 32) -> tuple[dict[str, Any], str]:
    """Return the description of a run's model for the class Words, and the base64 of its arrays.

    bits    32, or 8: matrices are rounded to 8 bits a number
    """
    arrays = Arrays(bits)
    about = described(run.model, arrays)
    of_one_label = bool(run.corpus.label_names) and run.model.labels is None  # whose losses are not those of all words
    loss = {} if of_one_label else {part: round(value, 4) for part, value in run.loss.items()}
    about |= {"list": run.corpus.name, "version": __version__, "loss": loss}
    return about, b64encode(arrays.to_bytes()).decode()


def html(run: Run, bits: int = 32) -> bytes:
    """Return the page of a run's model."""
    about, data = model_data(run, bits)
    title = f"{run.corpus.name or 'words'}, {run.model.name}"
    # "<" is escaped, so that no text of the list can end the script.
    constants = f"const FILE = {_inside_script(about)};\nconst DATA = {json.dumps(data)};\n"
    start = (
        "const words = new Words(FILE, DATA);\n"
        "window.moreish = words;\n"
        'build(words, document.getElementById("panels"));\n'
    )
    described_as = f"{run.model.summary}; trained on {len(run.corpus.words):,} words"
    if about["loss"]:
        losses = ", ".join(f"{part} {value:.3f}" for part, value in about["loss"].items())
        described_as += f"; nats per token: {losses}"
    page = source("export/take", "html")
    for name, text in {
        "TITLE": escape(title),
        "ABOUT": escape(described_as),
        "STYLE": "\n".join(source(name, "css") for name in STYLES),
        "SCRIPT": joined((*OF_MODEL, *OF_PAGE)) + constants + start,
    }.items():
        page = page.replace(f"@@{name}@@", text)
    return page.encode()


def js(run: Run, bits: int = 32) -> bytes:
    """Return an ES module whose default export is the run's model, an object of the class Words."""
    about, data = model_data(run, bits)
    end = f"\nconst words = new Words({_inside_script(about)},\n  {json.dumps(data)});\n"
    return (joined(OF_MODEL) + end + "export { Words };\nexport default words;\n").encode()


def _inside_script(value: Any) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def use_html(run: Run, path: Path) -> str:
    """Return a line that says how to use the page."""
    return f"open {path} in a browser, online or not; in its console: moreish.sample({{n: 5}})"


def use_js(run: Run, path: Path) -> str:
    """Return a line that says how to use the module."""
    return f'in JavaScript: import words from "./{path.name}"; words.sample({{n: 5, seed: 1}})'


def cost_of_rounding(run: Run) -> tuple[float, float]:
    """Val losses in nats per token of a net as it is, and with its matrices rounded to 8 bits a number.

    Raises InputError for a model without layers, and for one with labels.
    """
    if run.model.labels is not None:
        raise InputError("a model with labels is not rounded: give one of them with --label")
    rounded = evaluate(as_quantised(run.model), run.corpus, ("val",)).loss["val"]
    return run.loss["val"], rounded
