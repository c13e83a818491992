"""Section on lists of 10^9 and 10^12 characters: time, memory, disk and money, by the rates in results/large.json."""

from typing import Any

SIZES = (10**9, 10**12)  # characters, including line breaks
PASSES = 3  # over the train words
EVALUATIONS = 3.0  # in tokens of the whole list: 20 evaluations of val (a tenth each), and one of everything at the end
PRICE = 0.10  # dollars an hour for a machine like the measured one: an assumption
READ = 1e-4  # seconds to read a page from the disk: an assumption
CHARACTER, WORD = 8, 24  # bytes on the disk for each; a line break is a character
ORDERS = (4, 5, 6, 7)
LETTERS = 27  # a to z and the end of a word
WINDOW = 50  # bytes of memory for each character of each distinct run


def large_section(found: dict[str, Any]) -> str:
    """Tables of what large lists take, from the results of benchmarks/large.py."""
    row, machine, versions = found["sizes"][-1], found["machine"], found["versions"]
    base = found["sizes"][0]["memory_bytes"]["train"]
    s, characters, words = row["seconds"], row["file_bytes"], row["words"]
    work = {  # seconds a character of the list
        "read and prepare it": s["prepare"] / characters,
        "shuffle it": s["shuffle"] / characters,
        "write the tokens of train, val and test": s["streams"] / characters,
        "sort the hashes that find a word in the list": s["marks"] / characters,
        f"train an mlp ({PASSES} passes)": PASSES * 0.8 * s["train"] / row["trained"],
        "evaluate it (20 times on val, once on everything)": EVALUATIONS * s["evaluate"] / row["val_tokens"],
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
    add("**total**", "", [f"**{duration(total * n)}**" for n in SIZES])
    add(f"cost, at {PRICE:.2f} dollars an hour", "", [f"{total * n / 3600 * PRICE:,.2f} dollars" for n in SIZES])
    reads = PASSES * 0.8
    add(
        "extra time if the train tokens do not fit into memory",
        f"{READ * 1e6:.0f} us per page (assumed)",
        [duration(reads * READ * n) for n in SIZES],
    )
    add(
        "memory of the process",
        f"{base / 1e6:.0f} MB and 4 bytes per word (8 from 2^31^ words on)",
        [size(base + (4 if n * words / characters < 1 << 31 else 8) * n * words / characters) for n in SIZES],
    )
    add("memory that holds the train tokens", "4 bytes each", [size(3.2 * n) for n in SIZES])
    disk = [size(CHARACTER * n + WORD * n * words / characters) for n in SIZES]
    add("disk, besides the list and its copy in the run", f"{row['disk_bytes'] / characters:.1f} times the list", disk)
    add(
        f"instead of training: count sequences of {found['order']} characters, partly on disk",
        f"{1e-6 / counting:.2g} million a second",
        [duration(counting * n) for n in SIZES],
    )
    lines += [
        "",
        "| order | possible sequences of a to z | memory for all of them |",
        "|---:|---:|---:|",
    ]
    for n in ORDERS:
        lines.append(f"| {n} | {LETTERS**n:,} | {size(WINDOW * n * LETTERS**n)} |")
    lines += [
        "",
        f"Rates with {found['threads']} threads on {words:,} made-up words ({characters / 1e6:.0f} MB). Measured"
        f" by `benchmarks/large.py`, {machine['processor']}, {machine['system']}; moreish {versions['moreish']},"
        f" numpy {versions['numpy']}, duckdb {versions['duckdb']}. Of the {row['windows']:,} distinct sequences of"
        f" {found['order']} characters in the train words, {row['kept']:,} occur at least {found['at_least']} times;"
        f" their tables took {s['tables'] - s['count']:.0f} s and {row['memory_bytes']['tables'] / 1e9:.1f} GB.",
    ]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Format seconds in the largest suitable unit."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def size(n: float) -> str:
    """Format bytes in the largest suitable unit."""
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if n >= length:
            return f"{n / length:,.1f} {unit}"
    return f"{n / 1e6:.0f} MB"
