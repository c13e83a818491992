"""The command line. Each verb has its own file, which parses the arguments, calls the API and prints the result."""

import ast
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnknownOptionError,
    UnusedCliTokensError,
)

from .._version import __version__
from ..engine.threads import set_threads
from ..engine.torch.distributed import rank, world_size
from ..errors import MoreishError
from ..files import STANDARD_INPUT
from .values import whole_number


class HelpFormatter:
    """Cyclopts' default formatter, with descriptions that wrap where the terminal ends and not where a docstring does.

    The examples, which come last, keep their lines, as they are to be copied. Help is rare: what it needs is imported
    when it is printed.
    """

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        from cyclopts.help import DefaultFormatter

        console.soft_wrap = False
        DefaultFormatter().render_usage(console, options, usage)

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        from cyclopts.help import DefaultFormatter
        from rich.text import Text

        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if isinstance(text, Text):
                text.plain = text.plain.replace("\n", " ")
        console.soft_wrap = False
        DefaultFormatter()(console, options, panel)
        console.soft_wrap = True  # of what comes after the last panel

    def __getattr__(self, name: str) -> Any:
        from cyclopts.help import DefaultFormatter

        return getattr(DefaultFormatter(), name)


app = App(
    name="moreish",
    version=__version__,
    help="Train a character-level language model on a list of words, and make more words like them.",
    help_epilogue="Start with: moreish train\nHelp of a command: moreish train --help",
    help_format="plaintext",
    group_parameters=Group("Options", sort_key=-1),
    help_formatter=HelpFormatter(),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

# Each verb is a file here. The docstring of the file is the help text of the verb.
VERBS = (
    "train",
    "runs",
    "sample",
    "fill",
    "vary",
    "score",
    "classify",
    "eval",
    "novelty",
    "fold",
    "prune",
    "compare",
    "plot",
    "diagnose",
    "report",
    "export",
    "push",
    "load",
    "lessons",
    "mix",
    "merge",
    "distill",
    "serve",
    "lab",
    "tune",
    "lr-find",
    "gradcheck",
    "show",
    "models",
    "words",
    "download",
    "completion",
)

MOST_NAMED = 3  # verbs that have an option
THREADS = Parameter(
    converter=whole_number,
    group=Group("Options of every command", sort_key=9),
    help="Number of threads. Results of the tape engine and of n-gram counts do not depend on it "
    "[default: one per core].",
)


def help_of(verb: str) -> tuple[str, str]:
    """Read the help text of a verb and its examples, without importing its file."""
    source = (Path(__file__).parent / f"{verb.replace('-', '_')}.py").read_text(encoding="utf-8")
    text, _, examples = ast.literal_eval(source[: source.index('"""', 4) + 3]).partition("\n\nExamples:\n")
    paragraphs = (paragraph.replace("\n", " ") for paragraph in text.split("\n\n"))  # the terminal wraps its own lines
    return "\n\n".join(paragraphs), "Examples:\n" + examples.rstrip()


for verb in VERBS:
    name, (text, examples) = verb.replace("-", "_"), help_of(verb)
    app.command(f"moreish.cli.{name}:{name}", name=verb, help=text, help_epilogue=examples)


app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    threads: Annotated[int | None, THREADS] = None,
) -> None:
    """Run a verb."""
    set_threads(threads)
    app(tokens)


def run(tokens: Sequence[str]) -> int:
    """Run a command line and return its exit status.

    0 for success, 1 if the work failed, 2 if the request was wrong, 130 if Ctrl-C, SIGTERM or SIGHUP stopped it.
    """
    try:
        app.meta(_with_standard_input(tokens))
    except CycloptsError as error:
        return _complain(_plainly(error), 2)
    except MoreishError as error:
        return _complain(str(error), error.exit_status)
    except MemoryError:
        return _complain("not enough memory: choose smaller sizes or a smaller batch", 1)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "stopped", 130)
    except BrokenPipeError:  # the program that reads the output has closed it
        return 0
    except SystemExit as stop:  # with this, Rich replaces a BrokenPipeError
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        return 0
    except OSError as error:
        wrong_name = error.errno in (errno.ENAMETOOLONG, errno.EINVAL)
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 2 if wrong_name else 1)
    return 0


def _plainly(error: CycloptsError) -> str:
    """Return the message for an error in the arguments."""
    verb, message = " ".join(error.command_chain or ()), ""
    if isinstance(error, UnknownOptionError):
        message = _of_other_verbs(error)
    elif isinstance(error, UnusedCliTokensError):
        hint = "; quote patterns, as in 'm*'" if verb in ("sample", "fill") else ""
        message = f"unexpected arguments: {' '.join(error.unused_tokens or ())}{hint} (see moreish {verb} --help)"
    elif isinstance(error, MissingArgumentError) and (argument := error.argument):
        if option := error.keyword or next((token.keyword for token in argument.tokens if token.keyword), None):
            return f"{option} needs a value (see moreish {verb} --help)"
        choices = argument.get_choices()
        value = f": {', '.join(choices)}" if choices else " PATH" if argument.name.startswith("-") else ""
        message = f"{verb} needs {argument.name}{value} (see moreish {verb} --help)"
    return message or " ".join(str(error).split()) + " (see --help)"


def _of_other_verbs(error: UnknownOptionError) -> str:
    """Return the message for an option that other verbs have; empty if none has it."""
    option = (error.token.keyword or error.token.value).partition("=")[0]
    verbs = [verb for verb in VERBS if any(option in a.names for a in app[verb].assemble_argument_collection())]
    if not verbs:
        return ""
    *named, last = verbs if len(verbs) <= MOST_NAMED else [*verbs[:MOST_NAMED], "others"]
    owners, verb = f"{', '.join(named)} and {last}" if named else last, " ".join(error.command_chain or ())
    return f"{option} is an option of {owners}, not of {verb} (see moreish {verbs[0]} --help)"


def _with_standard_input(tokens: Sequence[str]) -> list[str]:
    """Replace each - that is a value by STANDARD_INPUT, because Cyclopts would take it for an option."""
    return [
        STANDARD_INPUT if token == "-" and (before == "--json" or not before.startswith("-")) else token
        for before, token in zip(["", *tokens], tokens, strict=False)
    ]


def _complain(message: str, status: int) -> int:
    from .terminal import say

    who = "moreish" if world_size() == 1 else f"moreish (rank {rank()})"
    say(f"{who}: {message}")
    return status
