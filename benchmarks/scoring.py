"""Accuracy of scores in telling words of a list from other strings, and words scored per second.

    python benchmarks/scoring.py --names names.txt [--parts auc speed] [--json benchmarks/results/scoring.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

auc     The area under the ROC curve: the probability that a word of the list, from the test part of the distinct split,
        is less surprising than another string; ties count half. The other strings are the same words with their letters
        shuffled, random strings of the same lengths over the characters of the list, and the words of the other bundled
        lists. All lists are in lower case, and only words whose characters the model knows are taken from other lists,
        so that neither capitals nor unknown characters give the answer away.
speed   Whole processes of `moreish score RUN -`, reading a file of distinct words, half of them drawn by the model and
        half of random letters, on one thread and on two: the best time of several runs, and the largest memory.

Parts that are not measured keep their figures in the file.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions
from rich.console import Console
from scipy.stats import mannwhitneyu

from moreish import Corpus, Run, Scorer, bundled, read_words, set_threads, train
from moreish.corpus import BUNDLED

SEEDS = (1, 2, 3)
MODELS = ("bigram-counts", "ngram", "mlp", "wavenet")
FALSE_POSITIVE_RATE = 0.01
RESAMPLES = 200
SPEED_MODELS = ("ngram", "mlp")
WORD_COUNTS = (10**5, 10**6)
FORMS = (("tsv", 1), ("tsv", 2), ("json", 1))  # of the output, each with a number of threads
ROUNDS = 3
# A small process starts each command, because a child's peak memory includes what its parent held when it forked.
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
assert status == 0
memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": time.perf_counter() - began, "memory": memory}))
"""


def lower(words: Any) -> list[str]:
    return [word.lower() for word in words]


def others(name: str, corpus: Corpus, seed: int) -> dict[str, list[str]]:
    """Strings that are not in a list, by kind."""
    generator, listed = np.random.default_rng(seed), set(corpus.words)
    letters, shuffled, made = np.array(list(corpus.vocab.characters)), [], []
    for word in corpus.parts["test"]:
        for kind, draw in (
            (shuffled, lambda word=word: generator.permutation(list(word))),
            (made, lambda word=word: generator.choice(letters, len(word))),
        ):
            drawn = ("".join(draw()) for _ in range(20))
            kind.extend([other for other in drawn if other not in listed][:1])
    known, found = set(corpus.vocab.characters), {"shuffled": shuffled, "random": made}
    for other in BUNDLED:
        if other not in (name, name.removesuffix(".txt")):
            words = dict.fromkeys(lower(bundled(other)))
            found[other] = [word for word in words if known.issuperset(word) and word not in listed]
    return found


def area(words: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a word has a smaller statistic than another string."""
    return float(mannwhitneyu(others, words).statistic / (len(words) * len(others)))


def interval(words: np.ndarray, others: np.ndarray) -> list[float]:
    """95% interval of the area, by the bootstrap over words."""
    generator = np.random.default_rng(0)
    areas = [area(generator.choice(words, len(words)), generator.choice(others, len(others))) for _ in range(RESAMPLES)]
    return np.quantile(areas, [0.025, 0.975]).tolist()


def areas_of(name: str, corpus: Corpus, model: str) -> dict[str, Any]:
    """Areas of a model on a list, by kind of other strings and by statistic: medians over seeds."""
    found: dict[str, Any] = {}
    rates = []
    for seed in SEEDS:
        scorer = Scorer(train(corpus, model, seed=seed), FALSE_POSITIVE_RATE)
        test = scorer.scores(list(corpus.parts["test"]))
        rates.append(1 - float(test.likely.mean()))
        for kind, words in others(name, corpus, seed).items():
            scores = scorer.scores(words)
            row = found.setdefault(kind, {"words": len(words), "excess": [], "nll": [], "caught": [], "interval": []})
            for statistic in ("excess", "nll"):
                row[statistic].append(area(getattr(test, statistic), getattr(scores, statistic)))
            row["caught"].append(1 - float(scores.likely.mean()))
            row["interval"].append(interval(test.excess, scores.excess))
    for row in found.values():
        middle = sorted(range(len(SEEDS)), key=lambda i: row["excess"][i])[len(SEEDS) // 2]
        row["interval"] = row["interval"][middle]
        row.update({key: statistics.median(row[key]) for key in ("excess", "nll", "caught")})
    return {"list": name, "model": model, "test_words": len(corpus.parts["test"]), "alarms": rates, "from": found}


def auc_part(names: str, console: Console) -> list[dict[str, Any]]:
    """Measure every model on every list."""
    lists = {Path(names).name: read_words(names), **{name: bundled(name) for name in BUNDLED}}
    rows = []
    for name, words in lists.items():
        corpus = Corpus(lower(words), "distinct")
        for model in MODELS:
            rows.append(areas_of(name, corpus, model))
            areas = ", ".join(f"{kind} {row['excess']:.3f}" for kind, row in rows[-1]["from"].items())
            console.print(f"{name}, {model}: {areas}", soft_wrap=True)
    return rows


def distinct_words(run: Run, n: int) -> list[str]:
    """n distinct words in random order, half of them drawn by a model and half of random letters."""
    generator, letters = np.random.default_rng(n), np.array(list("abcdefghijklmnopqrstuvwxyz"))
    found = dict.fromkeys(run.model.sample(2 * n, seed=1))
    found = dict.fromkeys(list(found)[: n // 2])
    while len(found) < n:
        drawn = letters[generator.integers(0, 26, (n, 12))]
        lengths = generator.integers(3, 13, n)
        found.update((("".join(row[:length]), None) for row, length in zip(drawn.tolist(), lengths, strict=True)))
    words = np.array(list(found)[:n])
    generator.shuffle(words)
    return words.tolist()


def speed_part(names: str, console: Console) -> list[dict[str, Any]]:
    """Measure seconds and memory of whole processes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            model: train(read_words(names), model, out=Path(folder) / model).path or Path() for model in SPEED_MODELS
        }
        drawing = train(read_words(names), "mlp")
        for n in WORD_COUNTS:
            path = Path(folder) / f"{n}.txt"
            path.write_text("\n".join(distinct_words(drawing, n)) + "\n", encoding="utf-8")
            for model, run in runs.items():
                for form, threads in FORMS:
                    command = [sys.executable, "-m", "moreish", "score", run, "-", "--threads", str(threads)]
                    command += ["--json"] * (form == "json")
                    found = [launched(command, path) for _ in range(ROUNDS)]
                    seconds, memory = (pick(row[k] for row in found) for pick, k in ((min, "seconds"), (max, "memory")))
                    row = {"model": model, "form": form, "threads": threads, "words": n}
                    rows.append({**row, "seconds": seconds, "memory_bytes": memory})
                    console.print(
                        f"{model}, {form}, {threads} threads, {n:,} words: {seconds:.2f} s, {memory / 1e6:.0f} MB"
                    )
    return rows


def launched(command: list[str | Path], path: Path) -> dict[str, float]:
    """Run a command with a file on standard input; return its seconds and its peak memory in bytes."""
    with path.open("rb") as words:
        line = [sys.executable, "-c", LAUNCHER, *command]
        return json.loads(subprocess.run(line, check=True, stdin=words, capture_output=True).stdout)


MEASUREMENTS = {"auc": auc_part, "speed": speed_part}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--parts", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="what to measure")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    console, found = Console(), {}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text(encoding="utf-8"))
    for part in arguments.parts:
        rows = MEASUREMENTS[part](arguments.names, console)
        about = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name}
        found[part] = {**about, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
