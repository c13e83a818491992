"""Whole processes of n-gram tools and of moreish: counting, scoring, and the first twenty words. See counting.py."""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import count_words
from scoring import distinct_words, launched
from size import write_words

from moreish import Corpus, read_words, train

ORDERS, CORES = (5, 6), (1, 2)
MANY_WORDS, SCORED_WORDS, NEW_WORDS = 10**7, 10**6, 20
SMALL_ROUNDS, LARGE_ROUNDS = 5, 2
# Scripts of other packages that print the first words: arguments are the file and how many.
PEERS = {
    "markovify": """
import sys, markovify
with open(sys.argv[1], encoding="utf-8") as file:
    chain = markovify.Chain([list(word) for word in file.read().split()], 3)
for _ in range(int(sys.argv[2])):
    print("".join(chain.walk()))
""",
    "namemaker": """
import sys, namemaker
names = namemaker.make_name_set(sys.argv[1])
for _ in range(int(sys.argv[2])):
    print(names.make_name())
""",
}


def spaced(path: Path) -> Path:
    """Write the words of a file as KenLM takes them: one word a line, a space after each character."""
    found = path.with_suffix(".spaced")
    with path.open(encoding="utf-8") as words, found.open("w", encoding="utf-8") as file:
        for line in words:
            file.write(" ".join(line.rstrip("\n")) + "\n")
    return found


def counting_part(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds and memory of counting and smoothing the same words: from a file of words to a file of the model."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "train.txt", Path(folder) / "many.txt"
        words = Corpus(read_words(arguments.names)).parts["train"]
        small.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        write_words(large, MANY_WORDS)
        for path, n, rounds in ((small, len(words), SMALL_ROUNDS), (large, MANY_WORDS, LARGE_ROUNDS)):
            text = spaced(path)
            for order in ORDERS:
                ways: dict[tuple[str, int], list[str]] = {}
                for cores in CORES:
                    ours = [sys.executable, count_words.__file__, str(path), str(order), str(cores)]
                    ways["moreish", cores] = on_cores(cores, ours)
                    if arguments.lmplz:
                        theirs = [
                            arguments.lmplz,
                            "-o",
                            str(order),
                            "-S",
                            arguments.lmplz_memory,
                            "--discount_fallback",
                        ]
                        theirs += ["-T", folder, "--text", str(text), "--arpa", f"{path}.arpa"]
                        ways["lmplz", cores] = on_cores(cores, theirs)
                for (program, cores), found in in_turns(ways, path, rounds).items():
                    rows.append({"words": n, "order": order, "program": program, "cores": cores, **found})
                    print_row(f"{n:,} words, order {order}, {program}, {cores} cores", found)
    return rows


def scoring_part(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds and memory of scoring a million words with an n-gram of order 6."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            read_words(arguments.names), "ngram", smoothing=count_words.SMOOTHING, order=6, out=Path(folder) / "run"
        )
        words, known = distinct_words(run, SCORED_WORDS), Path(folder) / "train.txt"
        path = Path(folder) / "words.txt"
        path.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        known.write_text("".join(f"{word}\n" for word in run.corpus.parts["train"]), encoding="utf-8")
        ours = [sys.executable, "-m", "moreish", "score", str(run.path), "-", "--threads"]
        ways = {("moreish", cores): (on_cores(cores, [*ours, str(cores)]), path) for cores in CORES}
        if arguments.lmplz and arguments.query:
            arpa = f"{folder}/model.arpa"
            command = [arguments.lmplz, "-o", "6", "-S", arguments.lmplz_memory, "--discount_fallback", "-T", folder]
            command += ["--text", str(spaced(known)), "--arpa", arpa]
            subprocess.run(command, check=True, capture_output=True)
            ways["query", 1] = on_cores(1, [arguments.query, "-v", "sentence", arpa]), spaced(path)
        found = {
            way: [launched([*command], text) for _ in range(LARGE_ROUNDS)] for way, (command, text) in ways.items()
        }
        for (program, cores), measured in found.items():
            rows.append({"words": len(words), "program": program, "cores": cores, **best(measured)})
            print_row(f"scoring {len(words):,} words, {program}, {cores} cores", rows[-1])
    return rows


def words_part(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds and memory from a word list to the first new words."""
    rows, path = [], Path(arguments.names).absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # each run is saved in a new folder here
        ours = [sys.executable, "-m", "moreish", "train", str(path), "--model", "ngram", "--samples", str(NEW_WORDS)]
        ways = {("moreish", 1): on_cores(1, ours)}
        for name, script in PEERS.items():
            command = [arguments.peers, "-c", script, str(path), str(NEW_WORDS)]
            if subprocess.run([arguments.peers, "-c", f"import {name}"], capture_output=True).returncode == 0:
                ways[name, 1] = on_cores(1, command)
        for (program, cores), found in in_turns(ways, path, SMALL_ROUNDS).items():
            rows.append({"words": NEW_WORDS, "program": program, "cores": cores, **found})
            print_row(f"the first {NEW_WORDS} words, {program}", found)
    return rows


def on_cores(n: int, command: list[str]) -> list[str]:
    """The command, kept to n cores where the system can do that."""
    return ["taskset", "-c", f"0-{n - 1}", *command] if shutil.which("taskset") else command


def in_turns(
    ways: dict[tuple[str, int], list[str]], path: Path, rounds: int
) -> dict[tuple[str, int], dict[str, float]]:
    """The best seconds and the largest memory of each command, after a first run that loads and compiles.

    On a large list, only moreish has a first run: it compiles.
    """
    for (program, _), command in ways.items():
        if rounds > LARGE_ROUNDS or program == "moreish":
            launched([*command], path)
    turns = [{way: launched([*command], path) for way, command in ways.items()} for _ in range(rounds)]
    return {way: best([turn[way] for turn in turns]) for way in ways}


def best(found: list[dict[str, float]]) -> dict[str, float]:
    """The shortest seconds and the largest memory of some runs."""
    return {
        "seconds": min(row["seconds"] for row in found),
        "memory_bytes": max(row["memory"] for row in found),
    }


def print_row(what: str, found: dict[str, Any]) -> None:
    print(f"{what}: {found['seconds']:.2f} s, {found['memory_bytes'] / 1e6:.0f} MB", flush=True)
