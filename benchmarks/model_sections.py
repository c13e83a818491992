"""Sections on models and their words, made from results/*.json: one function for each."""

import statistics
from typing import Any

from matplotlib.figure import Figure

from moreish.analysis.comparison import Comparison, Row
from moreish.evaluation import share_interval
from moreish.plots import plot_comparison


def ladder_section(found: dict[str, Any]) -> str:
    """Table of all models, from the results of benchmarks/quality.py."""
    lecture, distinct = found["splits"]["lecture"], found["splits"]["distinct"]
    rows, baseline = {row["name"]: row for row in lecture["comparison"]["runs"]}, lecture["comparison"]["baseline"]
    of_distinct = {rung["name"]: rung["median"] for rung in distinct["rungs"]}
    lines = [
        "| model (context / embedding / hidden) | parameters | seconds | train | val | published val | test "
        "| against n-gram counts | distinct val | distinct test |",
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
        "![Loss against seconds and against parameters](../benchmarks/results/ladder.svg)",
        "",
        f"Nats per token on {found['data']}, median of {len(found['seeds'])} seeds. The first columns use the split of"
        " the lecture. The last two use the distinct split, in which no word of val or test is also in train. ± is half"
        ' the width of the 95% interval over words. The column "against n-gram counts" shows the difference in test'
        " loss, and whether the paired bootstrap finds it significant. Models with a published figure are trained as"
        " published: 200,000 steps of 32 examples by SGD, keeping the last weights. Settings were chosen on val, never"
        " on test.",
        "",
        f"Measured by `benchmarks/quality.py`, 1 thread, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; moreish {versions['moreish']}, numpy {versions['numpy']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)


def against(pairs: list[dict[str, Any]], name: str, baseline: str) -> str:
    """Difference between a run and the baseline on test, with the verdict."""
    for pair in pairs:
        if pair["part"] == "test" and {pair["one"], pair["other"]} == {name, baseline}:
            difference = pair["difference"] if pair["one"] == name else -pair["difference"]
            low, high = pair["interval"]
            shown = "not significant" if low <= 0 <= high else "better" if difference < 0 else "worse"
            return f"{difference:+.3f}, {shown}"
    return ""


def ladder_picture(found: dict[str, Any]) -> Figure:
    """Picture of the ladder: loss against seconds and against parameters."""
    compared = found["splits"]["lecture"]["comparison"]
    rows = [Row(**row) for row in compared["runs"]]
    return plot_comparison(Comparison(rows, [], compared["baseline"]), title=found["data"])


def labels_section(found: dict[str, Any]) -> str:
    """Tables of labels, from the results of benchmarks/labels.py."""
    labels = found["lists"][0]["labels"]
    lines = [
        "| list | model | val | test | label found, val | test | test, by Bayes' rule alone "
        "| confidence, by Bayes' rule alone | calibrated |",
        "|---|---|" + "---:|" * 7,
    ]
    drawn = [f"| list | words | {' | '.join(labels)} | all |", "|---|---|" + "---:|" * (len(labels) + 1)]
    for of_list in found["lists"]:
        name, sizes = "in lower case" if of_list["lower"] else "as it stands", of_list["words"]["test"]
        shares = {"held out": of_list["held_out"]}
        for row in of_list["rows"]:
            model = f"n-grams of order {found['order']}, one model a label" if row["model"] == "apart" else row["model"]
            shares[f"drawn, {model}"] = row["kept"]
            calibrated, bayes = row.get("calibrated"), row["bayes"]["test"]
            right = [f"{calibrated[part]['accuracy']:.1%}" if calibrated else "" for part in ("val", "test")]
            cells = [name, model, *(f"{row['loss'][part]:.3f}" for part in ("val", "test")), *right]
            cells += [f"{bayes['accuracy']:.1%}", f"{bayes['confidence']:.1%}"]
            cells.append(f"{calibrated['test']['confidence']:.1%}" if calibrated else "")
            lines.append(f"| {' | '.join(cells)} |")
        for what, of_labels in shares.items():
            total = sum(share * n for share, n in zip(of_labels, sizes, strict=True)) / sum(sizes)
            drawn.append(f"| {name} | {what} | {' | '.join(f'{share:.1%}' for share in [*of_labels, total])} |")
    machine, versions = found["machine"], found["versions"]
    return "\n".join(
        [
            *lines,
            "",
            f"Losses in nats per token, given the label. {errors_of_labels(found)} Confidence is the mean probability"
            " of the likeliest label, on test.",
            "",
            *drawn,
            "",
            f"Share of words that a wavenet of another seed takes for their own label: the test words, and"
            f" {found['samples']:,} words drawn from each model with each label. The last column weights labels by"
            " their test words.",
            "",
            f"Measured by `benchmarks/labels.py`, {found['threads']} thread, {machine['processor']},"
            f" {machine['cores']} cores, {machine['system']}; moreish {versions['moreish']},"
            f" numpy {versions['numpy']}, numba {versions['numba']}.",
        ]
    )


def errors_of_labels(found: dict[str, Any]) -> str:
    """A sentence on the precision of the shares of labels that are found on test."""
    widths = []
    for of_list in found["lists"]:
        n = sum(of_list["words"]["test"])
        intervals = (share_interval(round(n * row["bayes"]["test"]["accuracy"]), n) for row in of_list["rows"])
        widths.append(max((high - low) / 2 for low, high in filter(None, intervals)))
    of_lower = next(of_list for of_list in found["lists"] if of_list["lower"])
    return (
        f"The 95% intervals of the shares on test are ± {100 * widths[0]:.1f} points for the list as it stands and"
        f" ± {100 * widths[1]:.1f} in lower case, where {of_lower['ambiguous']:.1%} of the test words have several"
        " labels."
    )


def novelty_section(found: dict[str, Any]) -> str:
    """Table of novelty, from the results of benchmarks/novelty.py."""
    lecture, distinct = found["splits"]["lecture"], found["splits"]["distinct"]
    lines = [
        "| | in train | distinct words | 1 edit from train | 2 edits | 3 or more | longest shared piece | hits "
        "| memorisation ratio | distinct split: in train | memorisation ratio |",
        "|---|" + "---:|" * 10,
    ]
    rows = [("held-out words", lecture[0]["held_out"], ["", ""], distinct[0]["held_out"], ["", ""])]
    rows += [
        (row["name"], row["samples"], memorisation(row), apart["samples"], memorisation(apart))
        for row, apart in zip(lecture, distinct, strict=True)
    ]
    for name, similarity, memorised, apart, apart_memorised in rows:
        edits = [f"{share:.1%}" for distance, share in similarity["distances"].items() if distance != "0"]
        cells = [name, f"{similarity['copied']:.1%}", f"{similarity['among_first'] / similarity['first']:.1%}", *edits]
        cells += [f"{similarity['mean_piece']:.0%}", *memorised, f"{apart['copied']:.1%}", apart_memorised[-1]]
        lines.append(f"| {' | '.join(cells)} |")
    samples, seconds, machine, versions = lecture[0]["samples"], found["seconds"], found["machine"], found["versions"]
    lines += [
        "",
        f"{samples['words']:,} samples of each model and the held-out words (val and test) of {found['data']}, compared"
        f" with the train words. Distinct words are counted among the first {samples['first']:,}. The longest shared"
        " piece is the longest part of a word that also occurs in a train word, as a mean share of the word's length."
        " Hits are samples that are in val or test but not in train. The memorisation ratio, with its 95% interval, is"
        " how many times as often the model draws a train word as a held-out word, among words that occur once in the"
        " list; 1 means no memorisation. On the distinct split no held-out word is in train.",
        "",
        f"Comparing {samples['words']:,} samples of the mlp and {lecture[0]['held_out']['words']:,} held-out words with"
        f" {found['train_words']:,} train words takes {seconds['novelty']:.2f} s, including {seconds['sampling']:.2f} s"
        f" to draw the samples. Measured by `benchmarks/novelty.py`, 1 thread, {machine['processor']}; moreish"
        f" {versions['moreish']}, rapidfuzz {versions['rapidfuzz']}.",
    ]
    return "\n".join(lines)


def memorisation(row: dict[str, Any]) -> list[str]:
    """Share of a model's samples that are held-out words, and its memorisation ratio with the 95% interval."""
    low, high = row["memorisation_interval"]
    ratio = f"{row['memorisation_ratio']:.2f} ({low:.2f}–{high:.2f})"
    return [f"{row['hits'] / row['samples']['words']:.1%}", ratio]


def scoring_section(found: dict[str, Any]) -> str:
    """Quality and speed of scores, from the results of benchmarks/scoring.py."""
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
        f"{row['model']} {statistics.median(row['alarms']):.1%}, {row['from']['shuffled']['caught']:.0%},"
        f" {row['from']['random']['caught']:.0%}"
        for row in mine
    )
    lines += [
        "",
        "Area under the ROC curve: the probability that a word of the list scores as more likely than another word. The"
        " words of the list are the test words of the distinct split. The others are the same words with their letters"
        " shuffled, random letters of the same lengths, and words of other lists as far as the model knows their"
        " characters; all are in lower case. Words are ranked by the excess of their nats per token over"
        " other words of the list of about the same length. The figures in brackets rank by nats per token alone, which"
        " makes long words look likely and short words unlikely. Medians of 3 seeds; the 95% intervals (bootstrap"
        f" over words) are at most ± {widest[0]:.3f} on {auc['data']} and ± {widest[1]:.3f} on the bundled lists.",
        "",
        f"Words of {auc['data']} that `--false-positive-rate 0.01` calls unlikely (test words, shuffled, random):"
        f" {'; '.join(caught)}.",
        "",
    ]
    for model in dict.fromkeys(row["model"] for row in speed["rows"]):
        of_model = [row for row in speed["rows"] if row["model"] == model]
        rows = {(row["form"], row["words"]): row for row in of_model if row.get("threads", 1) == 1}
        few, many = min(n for _, n in rows), max(n for _, n in rows)
        held = [max(rows[form, n]["memory_bytes"] for form in ("tsv", "json")) / 1e6 for n in (few, many)]
        on_two = [row["seconds"] for row in of_model if row.get("threads") == 2 and row["words"] == many]
        lines.append(
            f"- {many:,} distinct words with the {model}, from start to exit: {rows['tsv', many]['seconds']:.1f} s,"
            + "".join(f" {seconds:.1f} s on two threads," for seconds in on_two)
            + f" or {rows['json', many]['seconds']:.1f} s as JSON lines. Memory: {held[1]:.0f} MB ({held[0]:.0f} MB for"
            f" {few:,} words)."
        )
    machine, versions = speed["machine"], speed["versions"]
    lines += [
        "",
        f"Measured by `benchmarks/scoring.py`, 1 thread, {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}; python {versions['python']}, moreish {versions['moreish']}, numpy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def half_interval(row: dict[str, Any]) -> float:
    """Half the width of the widest 95% interval in a row of areas."""
    return max((cell["interval"][1] - cell["interval"][0]) / 2 for cell in row["from"].values())


def steering_section(found: dict[str, Any]) -> str:
    """Table of constrained sampling, from the results of benchmarks/steering.py."""
    plain, machine, versions = found["words_per_second"], found["machine"], found["versions"]
    few, many = found["rows"][0]["seconds"]
    lines = [
        f"| model | constraint | words that fit* | method | effective† | {int(few):,} words | {int(many):,} words |",
        "|---|---|---:|---|---:|---:|---:|",
    ]
    for row in found["rows"]:
        seconds = ("too rare" if s is None else f"{s:.3f} s" for s in row["seconds"].values())
        effective = f"{row['effective']:.0%}" if "effective" in row else "exact"
        cells = [row["model"], row["asked"], f"{100 * row['share']:.2g}%", row["method"], effective, *seconds]
        lines.append(f"| {' | '.join(cells)} |")
    rates = " and ".join(f"{rate:,.0f} words/s ({name})" for name, rate in plain.items())
    lines += [
        "",
        "\\* As a percentage of the model's words that have the fixed beginning, if there is one (here, m).",
        "",
        f"† Effective sample size of a draw of {int(few):,} words by look-ahead, as a share of the prefixes that grow.",
        "",
        f"Without constraints: {rates}. Measured by `benchmarks/steering.py` on {found['data']}, 1 thread,"
        f" {machine['processor']}; moreish {versions['moreish']}, numba {versions['numba']}.",
    ]
    return "\n".join(lines)
