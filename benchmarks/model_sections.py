"""What the README says of models and their words, from results/*.json: one function for each section."""

import statistics

from matplotlib.figure import Figure

from moreish.analysis.comparison import Comparison, Row
from moreish.plots import plot_comparison


def ladder_section(found: dict) -> str:
    """The README's ladder of models, from what benchmarks/quality.py measured."""
    lecture, distinct = found["splits"]["lecture"], found["splits"]["distinct"]
    rows, baseline = {row["name"]: row for row in lecture["comparison"]["runs"]}, lecture["comparison"]["baseline"]
    of_distinct = {rung["name"]: rung["median"] for rung in distinct["rungs"]}
    lines = [
        "| model (context / embedding / hidden) | parameters | seconds | train | val | published val | test "
        "| against the n-gram | distinct val | distinct test |",
        "|---|---:|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for rung in lecture["rungs"]:
        name, median, published = rung["name"], rung["median"], rung["published"][1]
        low, high = rows[name]["interval"]["val"]
        lines.append(
            f"| {name} | {rung['parameters']:,} | {rung['seconds']:.1f} | {median['train']:.3f} "
            f"| **{median['val']:.3f}** ± {(high - low) / 2:.3f} | {'' if published is None else f'{published:.3f}'} "
            f"| {median['test']:.3f} | {against(lecture['comparison']['pairs'], name, baseline)} "
            f"| {of_distinct[name]['val']:.3f} | {of_distinct[name]['test']:.3f} |"
        )
    machine, versions = found["machine"], found["versions"]
    lines += [
        "",
        "![Loss against seconds and against parameters](benchmarks/results/ladder.svg)",
        "",
        f"Nats per token on {found['data']}, the median of {len(found['seeds'])} seeds: the lecture split, and the"
        " distinct one, on which no word of val or test stands in train. ± is half of the 95% interval over words;"
        " against the n-gram (up to six counted) stands the difference on test and whether the paired bootstrap shows"
        " it. Published rungs are trained as published, 200,000 steps of 32 by SGD, and keep the last weights. Settings"
        " were chosen by val, never by test.",
        "",
        f"Measured by `benchmarks/quality.py`, 1 thread, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; moreish {versions['moreish']}, numpy {versions['numpy']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)


def against(pairs: list[dict], name: str, baseline: str) -> str:
    """The difference of a run from the baseline on test, and the verdict."""
    for pair in pairs:
        if pair["part"] == "test" and {pair["one"], pair["other"]} == {name, baseline}:
            difference = pair["difference"] if pair["one"] == name else -pair["difference"]
            low, high = pair["interval"]
            shown = "not shown" if low <= 0 <= high else "better" if difference < 0 else "worse"
            return f"{difference:+.3f}, {shown}"
    return ""


def ladder_picture(found: dict) -> Figure:
    """The README's picture of the ladder."""
    compared = found["splits"]["lecture"]["comparison"]
    return plot_comparison(Comparison([Row(**row) for row in compared["runs"]], [], compared["baseline"]))


def novelty_section(found: dict) -> str:
    """The README's table of novelty, from what benchmarks/novelty.py measured."""
    lecture, distinct = found["splits"]["lecture"], found["splits"]["distinct"]
    lines = [
        "| | in train | different | 1 edit from train | 2 | 3 or more | piece of train | hits "
        "| times as often | distinct split: in train | times as often |",
        "|---|" + "---:|" * 10,
    ]
    rows = [("held-out words", lecture[0]["held_out"], ["", ""], distinct[0]["held_out"], ["", ""])]
    rows += [
        (row["name"], row["samples"], favour(row), apart["samples"], favour(apart))
        for row, apart in zip(lecture, distinct, strict=True)
    ]
    for name, likeness, favoured, apart, apart_favoured in rows:
        edits = [f"{share:.1%}" for distance, share in likeness["distances"].items() if distance != "0"]
        cells = [name, f"{likeness['copied']:.1%}", f"{likeness['among_first'] / likeness['first']:.1%}", *edits]
        cells += [f"{likeness['mean_piece']:.0%}", *favoured, f"{apart['copied']:.1%}", apart_favoured[-1]]
        lines.append(f"| {' | '.join(cells)} |")
    samples, seconds, machine, versions = lecture[0]["samples"], found["seconds"], found["machine"], found["versions"]
    lines += [
        "",
        f"{samples['words']:,} samples of each model, and the held-out words (val and test) of {found['data']}, against"
        f" the train words. Different: among the first {samples['first']:,}. Piece of train: how much of a word its"
        " longest piece is that stands in a train word, in the mean. Hits stand in val or test alone. Times as often:"
        " of words that stand once in the list, how often one of train is drawn beside one held out, with the 95%"
        " interval; 1 is no favour. On the distinct split no held-out word can stand in train.",
        "",
        f"{samples['words']:,} samples of the mlp and {lecture[0]['held_out']['words']:,} held-out words against"
        f" {found['train_words']:,} train words take {seconds['novelty']:.2f} s, {seconds['sampling']:.2f} s of them to"
        f" draw the samples. Measured by `benchmarks/novelty.py`, 1 thread, {machine['processor']}; moreish"
        f" {versions['moreish']}, rapidfuzz {versions['rapidfuzz']}.",
    ]
    return "\n".join(lines)


def favour(row: dict) -> list[str]:
    """The share of a model's samples that hit held-out words, and how many times as often it draws train words."""
    low, high = row["favour_interval"]
    return [f"{row['hits'] / row['samples']['words']:.1%}", f"{row['favour']:.2f} ({low:.2f}–{high:.2f})"]


def scoring_section(found: dict) -> str:
    """What the README says of scores, from what benchmarks/scoring.py measured."""
    auc, speed = found["auc"], found["speed"]
    shown = [row for row in auc["rows"] if row["list"] == auc["data"] or row["model"] in ("ngram", "mlp")]
    kinds = list(dict.fromkeys(kind for row in shown for kind in row["from"]))
    lines = [f"| list | model | {' | '.join(kinds)} |", "|---|---|" + "---:|" * len(kinds)]
    for row in shown:
        told = (row["from"].get(kind) for kind in kinds)
        cells = ("" if cell is None else f"{cell['excess']:.3f} ({cell['nll']:.3f})" for cell in told)
        lines.append(f"| {row['list']} | {row['model']} | {' | '.join(cells)} |")
    mine = [row for row in shown if row["list"] == auc["data"]]
    widest = [max(map(half_interval, rows)) for rows in (mine, [row for row in shown if row not in mine])]
    caught = (
        f"{statistics.median(row['alarms']):.1%}, {row['from']['shuffled']['caught']:.0%} and"
        f" {row['from']['random']['caught']:.0%} by the {row['model']}"
        for row in mine
    )
    lines += [
        "",
        "How often a word of the list is found less surprising than what is none: the area under the ROC curve. Test"
        " words of the distinct split stand against the same words shuffled, random letters of the same lengths, and"
        " the words of other lists whose characters the model knows, all in lower case. By the excess over train words"
        " of about the same length, as the verdict is; in brackets by nats a token alone, by which long words seem"
        " likely and short ones unlikely, whatever they are. Medians of 3 seeds; 95% intervals, by the bootstrap over"
        f" words, are at most ± {widest[0]:.3f} on {auc['data']}, ± {widest[1]:.3f} on the bundled lists.",
        "",
        f"With `--alarm 0.01`, so many of the test words of {auc['data']}, of the shuffled and of the random ones are"
        f" called unlikely: {'; '.join(caught)}.",
        "",
    ]
    for model in dict.fromkeys(row["model"] for row in speed["rows"]):
        rows = {(row["form"], row["words"]): row for row in speed["rows"] if row["model"] == model}
        few, many = min(n for _, n in rows), max(n for _, n in rows)
        held = [max(rows[form, n]["memory_bytes"] for form in ("tsv", "json")) / 1e6 for n in (few, many)]
        lines.append(
            f"- {many:,} different words by the {model}, from prompt to prompt: {rows['tsv', many]['seconds']:.1f} s,"
            f" as JSON lines {rows['json', many]['seconds']:.1f} s; in {held[1]:.0f} MB of memory, where {few:,} take"
            f" {held[0]:.0f} MB."
        )
    machine, versions = speed["machine"], speed["versions"]
    lines += [
        "",
        f"Measured by `benchmarks/scoring.py`, 1 thread, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; python {versions['python']}, moreish {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def half_interval(row: dict) -> float:
    """Half of the widest 95% interval in a row of areas."""
    return max((cell["interval"][1] - cell["interval"][0]) / 2 for cell in row["from"].values())


def steering_section(found: dict) -> str:
    """The README's table of steered sampling, from what benchmarks/steering.py measured."""
    plain, machine, versions = found["words_per_second"], found["machine"], found["versions"]
    few, many = found["rows"][0]["seconds"]
    lines = [
        f"| model | asked for | share that fits* | drawn by | {int(few):,} words | {int(many):,} words |",
        "|---|---|---:|---|---:|---:|",
    ]
    for row in found["rows"]:
        seconds = ("too rare" if s is None else f"{s:.3f} s" for s in row["seconds"].values())
        lines.append(
            f"| {row['model']} | {row['asked']} | {row['share']:.2g} | {row['method']} | {' | '.join(seconds)} |"
        )
    rates = " and ".join(f"{rate:,.0f} words a second ({name})" for name, rate in plain.items())
    lines += [
        "",
        "\\* Of the words that begin with what every word has to begin with, here m.",
        "",
        f"Where nothing is asked: {rates}. Measured by `benchmarks/steering.py` on {found['data']}, 1 thread,"
        f" {machine['processor']}; moreish {versions['moreish']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)
