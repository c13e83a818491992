"""The command line: one thin file a verb, which parses, calls the API and prints."""

import ast
import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from .._version import __version__
from ..engine.threads import set_threads
from ..engine.torch.distributed import rank, world_size
from ..errors import MoreishError
from ..files import STANDARD_INPUT
from .values import whole_number

app = App(
    name="moreish",
    version=__version__,
    help="Give it a list of words, one a line: it trains a character-level language model and makes more like them.",
    help_epilogue="Start with: moreish train        (trains on bundled names, prints new ones, saves the model)",
    help_format="plaintext",
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

# In the order of `moreish --help`. Each is a file here, whose first lines are the text of its help.
VERBS = (
    "train",
    "sample",
    "fill",
    "vary",
    "score",
    "eval",
    "novelty",
    "fold",
    "compare",
    "plot",
    "diagnose",
    "report",
    "lessons",
    "mix",
    "serve",
    "tune",
    "lr-find",
    "gradcheck",
    "show",
    "models",
    "words",
    "download",
)


def help_of(verb: str) -> tuple[str, str]:
    """The help text of a verb and its examples. Reading them imports neither its file nor what that file needs."""
    source = (Path(__file__).parent / f"{verb.replace('-', '_')}.py").read_text(encoding="utf-8")
    text, _, examples = ast.literal_eval(source[: source.index('"""', 4) + 3]).partition("\n\nExamples:\n")
    return text, "Examples:\n" + examples.rstrip()


for verb in VERBS:
    name, (text, examples) = verb.replace("-", "_"), help_of(verb)
    app.command(f"moreish.cli.{name}:{name}", name=verb, help=text, help_epilogue=examples)


app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    threads: Annotated[int | None, Parameter(converter=whole_number)] = None,
) -> None:
    """Run a verb.

    Parameters
    ----------
    threads
        With every command: how many threads compute. Results of the tape and of counting do not depend on it
        [default: one for each core].
    """
    set_threads(threads)
    app(tokens)


def run(tokens: Sequence[str]) -> int:
    """Run a command line and return its exit status.

    0 success; 1 the work failed; 2 the request was wrong; 130 stopped by Ctrl-C.
    """
    try:
        app.meta(_with_standard_input(tokens))
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()) + " (see --help)", 2)
    except MoreishError as error:
        return _complain(str(error), error.exit_status)
    except MemoryError:
        return _complain("not enough memory: choose smaller sizes or a smaller batch", 1)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "stopped", 130)
    except BrokenPipeError:  # the reader of our output has seen enough
        return 0
    except OSError as error:
        wrong_name = error.errno in (errno.ENAMETOOLONG, errno.EINVAL)
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 2 if wrong_name else 1)
    return 0


def _with_standard_input(tokens: Sequence[str]) -> list[str]:
    """The command line with a lone - as the word list named: it would be taken for an option without a name."""
    after = ["", *tokens]
    return [
        STANDARD_INPUT if token == "-" and (before == "--json" or not before.startswith("-")) else token
        for before, token in zip(after, tokens, strict=False)
    ]


def _complain(message: str, status: int) -> int:
    who = "moreish" if world_size() == 1 else f"moreish (rank {rank()})"
    print(f"{who}: {message}", file=sys.stderr)
    return status
