"""The three tables of the README, made from results/*.json: one function for each."""

from typing import Any

from counting_sections import readme_row

# Models of the README's first table; docs/quality.md shows all of them.
SHOWN = (
    "n-gram counts",
    "wavenet 8 / 24 / 128",
    "mlp, defaults",
)
# Of the best words: single nets, mixtures and a distilled net.
BEST = ("lstm 512", "4 lstm 512 and counts, by context", "distilled from it, lstm 304")


def quality_table(found: dict[str, Any], best: dict[str, Any]) -> str:
    """Table of losses, from the results of benchmarks/quality.py and benchmarks/best.py."""
    rungs = {rung["name"]: rung for rung in found["splits"]["lecture"]["rungs"]}
    distinct = {rung["name"]: rung["median"] for rung in found["splits"]["distinct"]["rungs"]}
    lines = [
        "| model (context / embedding / hidden) | parameters | training | val | published val | test | distinct test |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in SHOWN:
        rung, published = rungs[name], rungs[name]["published"][1]
        lines.append(
            f"| {name} | {rung['parameters']:,} | {rung['seconds']:.1f} s | **{rung['median']['val']:.3f}** "
            f"| {'' if published is None else f'{published:.3f}'} | {rung['median']['test']:.3f} "
            f"| {distinct[name]['test']:.3f} |"
        )
    for row in best["within"]:
        lines.append(
            f"| `--within {row['within']}`: {row['chosen'].partition(',')[0]} | {row['parameters']:,} "
            f"| {row['seconds']:.1f} s | **{row['loss']['val']:.3f}** |  | {row['loss']['test']:.3f} |  |"
        )
    rungs = {rung["name"]: rung for rung in best["ladder"]["lecture"]["rungs"]}
    distinct = {rung["name"]: rung["median"] for rung in best["ladder"]["distinct"]["rungs"]}
    for name in BEST:
        rung = rungs[name]
        lines.append(
            f"| {name} | {rung['parameters']:,} |  | **{rung['median']['val']:.3f}** |  | {rung['median']['test']:.3f} "
            f"| {distinct[name]['test']:.3f} |"
        )
    lines += [
        "",
        f'Nats per token on {found["data"]}, median of {len(found["seeds"])} seeds. In the column "distinct test" no'
        f" test word is also a train word. `benchmarks/quality.py`, 1 thread, {found['machine']['processor']};"
        f" `--within` and the last rows by `benchmarks/best.py`, {best['machine']['processor']}, where the seconds are"
        " those of the whole process.",
    ]
    return "\n".join(lines)


def speed_table(
    speed: dict[str, Any],
    scoring: dict[str, Any],
    serving: dict[str, Any],
    steering: dict[str, Any],
    counting: dict[str, Any],
) -> str:
    """Table of times and rates, from the results of five benchmarks."""
    seconds, sampling = speed["process_seconds"], speed["sampling"]
    step, score = speed["step"][0], scoring["speed"]
    of_mlp = [row for row in score["rows"] if row["model"] == "mlp" and row.get("threads", 1) == 1]
    scored = max(of_mlp, key=lambda row: row["words"])
    requests = max(row["requests_per_second"] for row in serving["rows"] if row["model"] == "mlp")
    steered = next(row for row in steering["rows"] if row["method"] == "dynamic programming" and row["share"] < 0.002)
    few = min(steered["seconds"], key=int)
    rows = [
        (
            f"`moreish train {speed['data']}`, from start to exit; on its first run, which compiles",
            f"{seconds['train_warm']:.2f} s; {seconds['train_cold']:.1f} s",
            "speed",
            speed,
        ),
        (f"one step, {step['model']}, batch {step['batch']}", f"{step['us']['moreish']:.1f} us", "speed", speed),
        (f"sampling, mlp {sampling['mlp']}", f"{sampling['names_per_second']:,.0f} words/s", "speed", speed),
        (
            f"{few} words where 1 in {1 / steered['share']:,.0f} fits ({steered['asked']}), {steered['model']}",
            f"{steered['seconds'][few]:.2f} s",
            "steering",
            steering,
        ),
        (f"scoring {scored['words']:,} words, mlp, from start to exit", f"{scored['seconds']:.1f} s", "scoring", score),
        (*readme_row(counting["counting"]["rows"]), "counting", counting["counting"]),
        ("requests to `moreish serve`, mlp, one core", f"{requests:,.0f} /s", "serving", serving),
    ]
    lines = ["| what | result | benchmark | processor |", "|---|---:|---|---|"]
    for what, value, benchmark, found in rows:
        lines.append(f"| {what} | {value} | `benchmarks/{benchmark}.py` | {found['machine']['processor']} |")
    return "\n".join(lines)


def peers_table(found: dict[str, Any]) -> str:
    """Table of training steps in moreish and in PyTorch, from the results of benchmarks/speed.py."""
    ways = ("eager", "compiled", "by hand")
    model = found["step"][0]["model"]
    rows = {
        (model, row["batch"]): [row["us"]["moreish"], *(row["us"][f"{way}, 1 thread"] for way in ways)]
        for row in found["torch"]
    }
    for row in found["step"]:
        rows.setdefault((row["model"], row["batch"]), [row["us"]["moreish"], row["us"]["torch"]])
    lines = [
        "| one SGD step, in microseconds | moreish | PyTorch eager | `torch.compile` | gradients by hand | speed-up |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (name, batch), (ours, *theirs) in sorted(rows.items()):
        cells = [f"{us:,.0f}" for us in theirs] + [""] * (len(ways) - len(theirs))
        lines.append(f"| {name}, batch {batch} | **{ours:,.0f}** | {' | '.join(cells)} | {min(theirs) / ours:.1f} |")
    seconds, versions = found["process_seconds"], found["versions"]
    gain = max(row["us"][f"{way}, 1 thread"] / row["us"][f"{way}, 2 threads"] for row in found["torch"] for way in ways)
    lines += [
        "",
        f"The same model and the same batches on 1 thread; with 2 threads PyTorch is at most {gain - 1:.0%} faster."
        " The speed-up is over the fastest PyTorch column. `import torch` alone takes"
        f" {seconds['import_torch']:.2f} s, a whole `moreish train` {seconds['train_warm']:.2f} s."
        f" `benchmarks/speed.py`, {found['machine']['processor']}, torch {versions['torch']}.",
    ]
    return "\n".join(lines)
