"""Random options and constraints, in process and on the command line: a right result or one line, never a traceback.

Every sample is checked against its constraints by other means than those that drew it. With --commands, the tries are
command lines in processes of their own.
"""

import random
import re
import sys
import tempfile
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from harness import command, made_up, main

import moreish
from moreish.cli import VERBS

ODD = ("", "-1", "0", "1", "2", "1e999", "nan", "x", "*", "[", "]", "\\", "a-", "0-0", "3-1", "é", "\x1b[2J", "9" * 40)
LETTERS = "abce"  # few, so that the states of the models are few


@cache
def folders() -> list[Path]:
    """Folders of small runs: counted, nets, mixed, with labels."""
    home, words = Path(tempfile.mkdtemp(prefix="options-")), made_up(random.Random(0), alphabet=LETTERS)
    small: dict[str, Any] = {"steps": 20, "batch_size": 16, "n_hidden": 8, "n_embd": 4}
    mlp = moreish.train(words, "mlp", block_size=2, **small, out=home / "mlp")
    ngram = moreish.train(words, "ngram", out=home / "ngram")
    moreish.train(words, "gru", **small, out=home / "gru")
    moreish.train(words, "ngram", labels=[word[0] for word in words], out=home / "labels")
    moreish.mix([mlp, ngram]).save(home / "mixture")
    (home / "list.txt").write_text("\n".join(words))
    return [home / name for name in ("mlp", "ngram", "gru", "labels", "mixture")]


def piece(r: random.Random, longest: int = 3) -> str:
    return "".join(r.choices(LETTERS, k=r.randint(1, longest)))


def pattern(r: random.Random) -> str:
    """Return a random pattern, now and then with many gaps and classes, or one that is not well-formed."""
    parts = ("*", "?", "a", "b", "[abc]", "[^a]", "[a-e]", "\\v", "\\c")
    found = "".join(r.choices(parts, k=r.choice([1, 2, 3, 5, 40])))
    return found + r.choice(ODD) if r.random() < 0.1 else found


def options(r: random.Random) -> dict[str, Any]:
    """Return random constraints and options of a draw."""
    makers: dict[str, Any] = {
        "prefix": lambda: piece(r),
        "suffix": lambda: piece(r, 2),
        "contains": lambda: piece(r, 2),
        "without": lambda: piece(r, 2),
        "pattern": lambda: pattern(r),
        "forbid": lambda: piece(r),
        "require": lambda: piece(r, 2),
        "near": lambda: piece(r, 5),
        "min_length": lambda: r.randint(-1, 9),
        "max_length": lambda: r.choice([0, 1, 3, 6, 9, 300]),
        "temperature": lambda: r.choice([0, 1e-9, 0.5, 1, 2, 1e9, -1, float("nan"), float("inf")]),
        "top_k": lambda: r.choice([-1, 0, 1, 3, 10**9]),
        "top_p": lambda: r.choice([0, 1e-9, 0.5, 0.9, 1, 2, float("nan")]),
        "distinct": lambda: True,
        "exact": lambda: True,
        "lengths": lambda: r.choice(["list", "3:1,4:2", "2-5", *ODD]),
        "syllables": lambda: r.choice(["1", "2-3", *ODD]),
        "like": lambda: piece(r, 5),
        "tries": lambda: r.choice([1, 100, 3000]),
    }
    return {name: makers[name]() for name in r.sample(list(makers), r.choice([1, 2, 2, 3, 5]))}


def check(word: str, asked: dict[str, Any]) -> None:
    """Check a word against plain constraints."""
    word = unicodedata.normalize("NFC", word)
    plain = {
        "prefix": lambda x: word.startswith(x),
        "suffix": lambda x: word.endswith(x),
        "contains": lambda x: x in word,
        "without": lambda x: x not in word,
        "forbid": lambda x: not set(x) & set(word),
        "require": lambda x: set(x) <= set(word),
        "min_length": lambda x: len(word) >= x,
        "max_length": lambda x: len(word) <= x,
        "pattern": lambda x: "\\" in x or re.fullmatch(as_regex(x), word),
    }
    for name, value in asked.items():
        assert name not in plain or plain[name](value), f"{word!r} does not have {name} {value!r}: {asked}"


def as_regex(pattern: str) -> str:
    return pattern.replace("*", ".*").replace("?", ".")


def one(r: random.Random, folder: Path) -> str:
    """Draw some words in process."""
    run, asked = loaded(r.choice(folders())), options(r)
    found = run.model.sample(5, seed=r.randrange(1000), **asked)
    for word in found:
        check(word, asked)
    assert "distinct" not in asked or len(set(found)) == len(found)
    return "drawn"


loaded = cache(moreish.load)


def as_arguments(asked: dict[str, Any]) -> list[str]:
    """Return options as a command line has them."""
    pairs = ([f"--{name.replace('_', '-')}", value] for name, value in asked.items())
    return [str(part) for pair in pairs for part in pair if part is not True]


def one_command(r: random.Random, folder: Path) -> str:
    """Run one command line."""
    return r.choice([sample_command, any_command])(r, folder)


def sample_command(r: random.Random, folder: Path) -> str:
    """Draw some words, and check what is printed."""
    asked = options(r)
    line = ["sample", str(r.choice(folders())), "-n", "5", *as_arguments(asked)]
    done = command(*(argument.replace("\0", "") for argument in line), cwd=folder)
    words = done.stdout.decode().splitlines()
    assert len(words) == (0 if done.returncode else 5), done
    for word in words:
        check(word, asked)
    assert "distinct" not in asked or len(set(words)) == len(words)
    return f"sample, status {done.returncode}"


def any_command(r: random.Random, folder: Path) -> str:
    """Run a verb with random arguments, options of its own and of others."""
    verb = r.choice([*["sample"] * 6, *["fill", "vary", "score", "classify", "words", "eval", "runs"] * 2, *VERBS])
    if verb in ("lab", "serve", "lessons", "download", "push", "tune", "lr-find", "gradcheck"):  # long, or not local
        return "left out"
    line = [verb, *([str(r.choice(folders()))] if r.random() < 0.9 else []), *(piece(r) for _ in range(r.randrange(3)))]
    line += as_arguments(options(r)) if r.random() < 0.3 else []
    line += r.sample(["--json", "--marks", "--jsonl", "--most-likely", "--help", "--", "-", *ODD], r.randrange(2))
    if verb in ("train", "mix", "distill", "fold", "load", "export", "report", "plot", "diagnose"):
        line += ["--out", str(folder / "out")]
    line = [argument.replace("\0", "") for argument in line]
    return f"{verb}, status {command(*line, cwd=folder).returncode}"


def prepare() -> None:
    """Draw from every run in every way, which compiles all kernels."""
    ways: list[dict[str, Any]] = [{}, {"pattern": "a*b?"}, {"prefix": "a", "temperature": 0.5}]
    ways += [{"like": "abba"}, {"contains": "cc"}]
    for folder in folders():
        model = moreish.load(folder).model
        for asked in ways:
            model.sample(3, **asked)


if __name__ == "__main__":
    in_commands = "--commands" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--commands"]
    if in_commands:
        main("command lines", one_command, tries=1_000, prepare=prepare)
    main("options", one, tries=100_000, prepare=prepare)
