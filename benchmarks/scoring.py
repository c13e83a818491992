"""How well scores tell words of a list from others, and how many words a second are scored.

    python benchmarks/scoring.py --names names.txt [--parts auc speed] [--json benchmarks/results/scoring.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

auc     The area under the ROC curve: how often a word of the list, of the test part of the distinct split, is found
        less surprising than one that is none; ties count half. Those are the same words with their letters shuffled,
        strings of the same lengths whose letters are drawn with equal chance from the list's, and the words of the
        other bundled lists. All lists are put in lower case first, and of another list only words are taken whose
        characters the model knows, so that neither capitals nor unknown characters give anything away.
speed   Whole processes of `moreish score RUN -`, from a file of different words, half of them drawn by the model and
        half of random letters: the best of several, and the most memory that any of them held.

Parts that are not asked for stay in the file as they were.
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
ALARM = 0.01
RESAMPLES = 200
SPEED_MODELS = ("ngram", "mlp")
WORDS = (10**5, 10**6)
ROUNDS = 3
# A process this small can tell how much memory its child took: a child counts what its parent held when it was started.
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
    """What is none of the words of a list, by kind."""
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
    """How often a word has less of a statistic than another thing."""
    return float(mannwhitneyu(others, words).statistic / (len(words) * len(others)))


def interval(words: np.ndarray, others: np.ndarray) -> list[float]:
    """A 95% interval of the area, by the bootstrap over words."""
    generator = np.random.default_rng(0)
    areas = [area(generator.choice(words, len(words)), generator.choice(others, len(others))) for _ in range(RESAMPLES)]
    return np.quantile(areas, [0.025, 0.975]).tolist()


def told_apart(name: str, corpus: Corpus, model: str) -> dict[str, Any]:
    """Areas of a model on a list, the medians of the seeds, by what the words are told from and by statistic."""
    found: dict[str, Any] = {}
    alarms = []
    for seed in SEEDS:
        scorer = Scorer(train(corpus, model, seed=seed), ALARM)
        test = scorer.scores(list(corpus.parts["test"]))
        alarms.append(1 - float(test.likely.mean()))
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
    return {"list": name, "model": model, "test_words": len(corpus.parts["test"]), "alarms": alarms, "from": found}


def auc_part(names: str, console: Console) -> list[dict]:
    """Every list with every model."""
    lists = {Path(names).name: read_words(names), **{name: bundled(name) for name in BUNDLED}}
    rows = []
    for name, words in lists.items():
        corpus = Corpus(lower(words), "distinct")
        for model in MODELS:
            rows.append(told_apart(name, corpus, model))
            areas = ", ".join(f"{kind} {row['excess']:.3f}" for kind, row in rows[-1]["from"].items())
            console.print(f"{name}, {model}: {areas}", soft_wrap=True)
    return rows


def different_words(run: Run, n: int) -> list[str]:
    """n different words in random order, half of them drawn by a model and half of random letters."""
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


def speed_part(names: str, console: Console) -> list[dict]:
    """Seconds and memory of whole processes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            model: train(read_words(names), model, out=Path(folder) / model).path or Path() for model in SPEED_MODELS
        }
        drawing = train(read_words(names), "mlp")
        for n in WORDS:
            path = Path(folder) / f"{n}.txt"
            path.write_text("\n".join(different_words(drawing, n)) + "\n", encoding="utf-8")
            for model, run in runs.items():
                for form in ("tsv", "json"):
                    command = [sys.executable, "-m", "moreish", "score", run, "-", "--threads", "1"]
                    command += ["--json"] * (form == "json")
                    found = [launched(command, path) for _ in range(ROUNDS)]
                    seconds, memory = (pick(row[k] for row in found) for pick, k in ((min, "seconds"), (max, "memory")))
                    rows.append({"model": model, "form": form, "words": n, "seconds": seconds, "memory_bytes": memory})
                    console.print(f"{model}, {form}, {n:,} words: {seconds:.2f} s, {memory / 1e6:.0f} MB")
    return rows


def launched(command: list, path: Path) -> dict[str, float]:
    """Run a command with a file on standard input: its seconds, and the most bytes it held."""
    with path.open("rb") as words:
        line = [sys.executable, "-c", LAUNCHER, *command]
        return json.loads(subprocess.run(line, check=True, stdin=words, capture_output=True).stdout)


PARTS = {"auc": auc_part, "speed": speed_part}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    console, found = Console(), {}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text(encoding="utf-8"))
    for part in arguments.parts:
        rows = PARTS[part](arguments.names, console)
        about = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name}
        found[part] = {**about, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
