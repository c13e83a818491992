"""The command line: one thin file a verb, which parses, calls the API and prints."""

import errno
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from .._version import __version__
from ..engine.threads import set_threads
from ..engine.torch.distributed import count, rank
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

# A verb's module is imported when it is called: `moreish words` does not wait for the compiler to load.
VERBS = {
    "train": """Train a model on a list of words, and print new ones.

Prints the loss on the three parts of the list, in nats per predicted token (every character, and the end of a word),
and new words, each marked new or with the part that it stands in. Saves the run in a folder; Ctrl-C saves it too, and
--resume continues it.

torchrun trains in several processes (--engine torch): each takes its share of every batch, of which BatchNorm takes its
statistics.""",
    "sample": """Make new words with a trained model.

Each word is marked new, or with the part of the list (train, val, test) that it stands in. What words have to be can be
said in many ways; those that fit are drawn exactly as often as the model makes them.""",
    "fill": """Fill the gaps of a word: the likeliest ways, and some by chance.

Each completion stands with its probability among all words of the model, and its share of those that fit.""",
    "vary": """Vary a word: the likeliest words at an edit distance from it, and some by chance.

An edit puts a character in, leaves one out, or exchanges one.""",
    "score": """Say how surprising words are, and whether they pass for words of the list.

Takes words as arguments, or - reads any number from standard input, one a line; each gives a line of output. On a
terminal every character is shown with its surprise in nats. Elsewhere a line is the word, nats a token, bits a token,
percentile, true or false, with tabs between; inside a word a tab is \\t, a backslash \\\\, a control character \\x1b.

The percentile is the share of the train words of about the same length that are less likely, by nats a token. A word is
likely (true) or not: of words like those of the list a share of at most --alarm is called unlikely, by calibration on
val.

A character that the model does not know costs 13.92 nats, as if any code point of Unicode stood there with equal
chance; what follows it is scored as at the beginning of a word. Space around a word is taken off; what is not UTF-8
becomes U+FFFD. A line of more than a million bytes is refused.""",
    "eval": """Measure the loss of a trained model on its train, val and test words.

The loss is the mean negative log-likelihood in nats per predicted token: every character, and the end of each word.
Beside it stand a 95% interval, by drawing the words again, and the loss apart of words that stand in train too and of
words that do not; beneath, what counting gives on the same parts.""",
    "novelty": """Measure how new the words are that a trained model makes.

Draws samples, and tells how many of them stand in train, how many are different, how many edits lead from each to the
nearest train word (characters put in, taken out or exchanged), and how much of it is one piece of a train word. Beside
them stands the same of held-out words, those of val and test, which is how much is to be expected.""",
    "fold": """Fold BatchNorm into the layers before it.

Writes a run whose model computes the same without BatchNorm: by the running statistics it is an affine map, as is the
Linear before it, and two of them are one. Both are evaluated on val; nothing is saved if they differ.""",
    "compare": """Compare trained models on the same tokens, and say which differences are shown.

Every run is scored on val and test of one split, with 95% intervals, and each two of them by the paired bootstrap over
words; the n-gram model is counted and stands beside them. Runs on other words or another split are refused, unless
--rescore says to score them on that of the first.""",
    "plot": """Draw pictures of a run.

loss, bigrams, next, word, embedding, activations, saturation, gradients, ratios, weights, start, samples,
novelty and architecture; each is also a function of moreish.plots that returns a matplotlib Figure.""",
    "diagnose": """Say what ails a training, and what to do about it.

Shows each layer at the first step and now: mean, std, saturated outputs, dead units, gradient; each weight matrix with
its gradient and update beside its size; and verdicts. What happened on the way is read from the history of a run that
was trained with --diagnostics; else the beginning is made again, for a few seconds.""",
    "report": """Write report.html into a run: one file with all that there is to know about it.

Losses with intervals, its place beside the counts, curve, diagnosis, pictures, samples and how new they are, options.
It needs no network, and can be read on a phone, in the dark, or printed.""",
    "lessons": """Copy the lessons into a folder, and open them in Jupyter.

They are notebooks, from counting letters on, with their results in them. One that is in the folder already stays as it
is.""",
    "mix": """Mix several trained models into one, with weights fitted on val.

The mixture is a run like any other: sample, eval and mix take it. All runs must be of the same words and split.""",
    "serve": """Answer over HTTP with a trained model: new words, the likeliest, scores, next-character probabilities.

GET / says what there is to ask for, GET /openapi.json describes it. Only programs on this machine can ask, and no pages
of other web origins. Ctrl-C or SIGTERM stops it once running requests are answered, with exit status 0: it is the way
to stop a server, and nothing is left undone.""",
    "tune": """Search for the options that give the lowest loss on val.

Trains trial after trial (Optuna's TPE, the model's defaults first), gives up early on those that fall behind, and keeps
the run of the best one, the record of the study and a picture of it. An option that is given is kept as it is; sizes
and rates that are not are searched. Started again, it goes on with the study; started several times at once, the
processes share it. Test words play no part.""",
    "lr-find": """Suggest a learning rate by one sweep.

Trains from fresh weights while the rate rises from far too low to far too high, which takes seconds. Between them the
smoothed loss is low; suggested is one and a half times the middle of that valley, on the log scale.""",
    "gradcheck": """Check every hand-derived gradient of the models, parameter by parameter and layer by layer.

Each is held against autograd (if PyTorch is there) and against central differences, in float64 and float32, in the
order of the backward pass. Exit status 1 if any is wrong.""",
    "show": "Show what a model computes: each operation with its shapes, parameters and cost.",
    "models": "List the models, their options and defaults.",
    "words": """Describe a list of words: how many, which characters, how long, what is odd.

Odd are repeats, capital letters, digits, spaces inside, invisible and rare characters, mixed scripts and very long
lines. --clean OUT writes a cleaned list and says what it changed: words are mended where they can be, else dropped, but
not for what more than a tenth of them have.""",
    "download": """Fetch a word list that others publish, check it, and keep it in the user's cache folder.

`moreish download names` fetches the reference list of the lecture, after which `moreish train names.txt` finds it.""",
}
EXAMPLES = {
    "train": (
        "moreish train",
        "moreish train dinosaurs",
        "moreish train names.txt --model mlp --n-hidden 300 --epochs 10 --out runs/big",
    ),
    "sample": (
        "moreish sample runs/names-mlp -n 10",
        "moreish sample runs/names-mlp --prefix mar --temperature 0.8",
        "moreish sample runs/names-mlp --pattern 'm??a*' --max-length 8 --forbid qx --only-new",
        "moreish sample runs/names-mlp --most-likely",
    ),
    "fill": ("moreish fill runs/names-mlp jo__than", "moreish fill runs/names-mlp 'ma*[aeiou]' --max-length 7"),
    "vary": ("moreish vary runs/names-mlp anna", "moreish vary runs/names-mlp anna --edits 2 --suffix a"),
    "score": (
        "moreish score runs/names-mlp john xqzjk",
        "moreish score runs/names-mlp - --json < words.txt > scores.jsonl",
        "moreish score runs/names-mlp - --alarm 0.05 < words.txt | awk -F'\\t' '$5 == \"false\"'",
    ),
    "eval": ("moreish eval runs/names-mlp", "moreish eval runs/names-mlp --split test --json"),
    "novelty": ("moreish novelty runs/names-mlp", "moreish novelty runs/names-mlp -n 2000 --temperature 0.8 --json"),
    "fold": (
        "moreish fold runs/names-wavenet --out runs/folded",
        "moreish fold runs/names-wavenet --calibrate --out runs/folded",
    ),
    "compare": (
        "moreish compare runs/names-mlp runs/names-ngram runs/names-wavenet",
        "moreish compare runs/names-mlp runs/names-bigram --markdown --plot ladder.png",
    ),
    "plot": ("moreish plot runs/names-mlp", "moreish plot runs/names-mlp loss word --word emma --format svg"),
    "diagnose": ("moreish diagnose runs/names-mlp", "moreish diagnose runs/names-mlp --json"),
    "report": ("moreish report runs/names-mlp", "moreish report runs/names-mlp --out report.html"),
    "lessons": ("moreish lessons", "moreish lessons my-lessons --copy"),
    "mix": (
        "moreish mix runs/names-ngram runs/names-wavenet --out runs/mixed",
        "moreish mix runs/a runs/b runs/c --log-linear --out runs/mixed",
    ),
    "serve": (
        "moreish serve runs/names-mlp",
        "moreish serve runs/names-mlp --port 0 --allow-origin https://example.org",
    ),
    "tune": (
        "moreish tune names.txt --model mlp --trials 50",
        "moreish tune names.txt --model wavenet --epochs 10 --batch-size 128 --out runs/search",
    ),
    "lr-find": ("moreish lr-find names.txt --plot lr.png", "moreish lr-find --model wavenet --optimizer sgd"),
    "gradcheck": ("moreish gradcheck", "moreish gradcheck mlp --json"),
    "show": ("moreish show mlp --n-layer 3", "moreish show runs/names-mlp --no-fuse"),
    "models": ("moreish models", "moreish models --json"),
    "words": ("moreish words places", "moreish words mine.txt --clean cleaned.txt --keep case,spaces"),
    "download": ("moreish download", "moreish download names"),
}
for verb, summary in VERBS.items():
    app.command(
        f"moreish.cli.{verb.replace('-', '_')}:{verb.replace('-', '_')}",
        name=verb,
        help=summary,
        help_epilogue="Examples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[verb]),
    )


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
    who = "moreish" if count() == 1 else f"moreish (rank {rank()})"
    print(f"{who}: {message}", file=sys.stderr)
    return status
