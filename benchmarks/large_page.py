"""Puts into docs/large-lists.md what lists of 10^9 and 10^12 characters take, by the rates in results/large.json."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "large-lists.md"
START, END = "<!-- made by benchmarks/large_page.py -->\n", "\n<!-- end -->"
SIZES = (10**9, 10**12)  # characters, line breaks included
PASSES, EVALUATIONS = 3, 3.0  # over the train words; over as many tokens as the list has: 20 times val, all in the end
PRICE = 0.10  # dollars an hour, of a machine like the one that was measured: an assumption
READ = 1e-4  # seconds, of a page from a disk that is not in memory: an assumption
CHARACTER, WORD = 8, 24  # bytes on the disk, line breaks being characters
ORDERS = (4, 5, 6, 7)
LETTERS, WINDOW = 27, 50  # of a to z and the end; bytes of memory for a different window and each of its characters


def section(found: dict) -> str:
    """The tables of the page, from what benchmarks/large.py measured."""
    row, machine, versions = found["sizes"][-1], found["machine"], found["versions"]
    base = found["sizes"][0]["memory_bytes"]["train"]
    s, characters, words = row["seconds"], row["file_bytes"], row["words"]
    work = {  # seconds a character of the list
        "read and prepare it": s["prepare"] / characters,
        "shuffle it": s["shuffle"] / characters,
        "write the tokens of its parts": s["streams"] / characters,
        "sort the hashes that tell where a word stands": s["marks"] / characters,
        f"train an mlp, {PASSES} passes": PASSES * 0.8 * s["train"] / row["trained"],
        "evaluate it, 20 times on val and in the end on all": EVALUATIONS * s["evaluate"] / row["val_tokens"],
    }
    counting = 0.8 * s["count_spilled"] / row["train_tokens"]
    columns = [f"10^{len(str(n)) - 1}^ characters" for n in SIZES]
    lines = ["| | rate, in characters of the list | " + " | ".join(columns) + " |", "|---|---:|" + "---:|" * len(SIZES)]

    def add(name: str, measured: str, cells: list[str]) -> None:
        lines.append(f"| {name} | {measured} | {' | '.join(cells)} |")

    add("words", f"{characters / words:.1f} characters each", [f"{n * words / characters:.2g}" for n in SIZES])
    for name, rate in work.items():
        add(name, f"{1e-6 / rate:.2g} million a second", [duration(rate * n) for n in SIZES])
    total = sum(work.values())
    add("**all of it**", "", [f"**{duration(total * n)}**" for n in SIZES])
    add(f"cost, at {PRICE:.2f} dollars an hour", "", [f"{total * n / 3600 * PRICE:,.2f} dollars" for n in SIZES])
    reads = PASSES * 0.8
    add(
        "more, if memory has no room for the train tokens",
        f"{READ * 1e6:.0f} us a page (assumed)",
        [duration(reads * READ * n) for n in SIZES],
    )
    add(
        "memory of the process",
        f"{base / 1e6:.0f} MB and 4 bytes a word, 8 from 2^31^ on",
        [size(base + (4 if n * words / characters < 1 << 31 else 8) * n * words / characters) for n in SIZES],
    )
    add("memory for the train tokens, to train at that speed", "4 bytes each", [size(3.2 * n) for n in SIZES])
    disk = [size(CHARACTER * n + WORD * n * words / characters) for n in SIZES]
    add("disk, beside the list and its copy in the run", f"{row['disk_bytes'] / characters:.1f} times the list", disk)
    add(
        f"instead: count runs of {found['order']} characters, some of them put on the disk",
        f"{1e-6 / counting:.2g} million a second",
        [duration(counting * n) for n in SIZES],
    )
    lines += [
        "",
        "| order | different runs of a to z that there can be | memory for all of them |",
        "|---:|---:|---:|",
    ]
    for n in ORDERS:
        lines.append(f"| {n} | {LETTERS**n:,} | {size(WINDOW * n * LETTERS**n)} |")
    lines += [
        "",
        f"By {found['threads']} threads, on {words:,} made-up words ({characters / 1e6:.0f} MB), measured by"
        f" `benchmarks/large.py`, {machine['processor']}, {machine['system']}; moreish {versions['moreish']},"
        f" numpy {versions['numpy']}, duckdb {versions['duckdb']}. Of the {row['windows']:,} different runs of"
        f" {found['order']} characters in its train words, {row['kept']:,} occur at least {found['at_least']} times;"
        f" making their tables took {s['tables'] - s['count']:.0f} s and {row['memory_bytes']['tables'] / 1e9:.1f} GB.",
    ]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds in a unit that people can imagine."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def size(n: float) -> str:
    """Bytes in a unit that people can imagine."""
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if n >= length:
            return f"{n / length:,.1f} {unit}"
    return f"{n / 1e6:.0f} MB"


def filled(page: str) -> str:
    """The page with its tables made anew."""
    found = json.loads((ROOT / "benchmarks" / "results" / "large.json").read_text(encoding="utf-8"))
    before, rest = page.split(START)
    return before + START + section(found) + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
