"""What to do after a training: figures of the run, each with the command that it speaks for."""

import math
import shlex
from collections.abc import Iterator
from typing import Any

from ..analysis.comparison import SCORED_PARTS, baseline
from ..evaluation import evaluate
from ..models import Mixture, NGram
from ..training.mixing import mix
from ..training.prepare import of_run
from ..training.run import Run
from ..training.train import OF_ALL_MODELS, SHORT_LIST
from .request import Request

QUICK_LIST = 50_000  # words; counting takes about a second on so many
GAIN = 0.005  # nats; a smaller difference in val does not matter
FEWEST_VAL_WORDS = 20  # fewer say too little
RISEN = 0.01  # nats; with val so much above its lowest value, the training was too long
FALLEN = 0.001  # nats; with val falling less over the last fifth, the training is at its end
OVERFITTED = 0.15  # nats; with val so much above train, a longer training overfits (benchmarks/longer.py)
MORE_DECAY = 0.1  # weight decay with which it does not

Advice = Iterator[tuple[str, str]]


def advice(run: Run, request: Request | None) -> Advice:
    """Yield reasons with commands, some of them empty. Without a request, only those that do not need the list."""
    if run.model.layers and (run.history[-1]["val"] is None or no_better_than_random(run)):
        command = ["moreish", "diagnose", str(run.path)]
        yield "val is no better than for characters drawn at random; find out why", shlex.join(command)
        return
    command = ["moreish", "sample", str(run.path), "--temperature", "0.7", "--only-new"]
    yield "likelier words, none of them in the list", shlex.join(command)
    if request is None:
        return
    if run.model.name == "ngram":
        yield "a net, which often improves when mixed with these counts", request.of("mlp").command()
        yield "the mixture of both", mix_command(run, request, "mlp")
        return
    yield from counting(run, request)
    if run.model.layers and len(run.corpus.parts["val"]) >= FEWEST_VAL_WORDS:
        yield longer(run, request)


def no_better_than_random(run: Run) -> bool:
    """Return True if val is at least the loss of equally likely characters, for another reason than weights."""
    return run.corpus.words.weights is None and not run.loss["val"] < math.log(len(run.model.vocab))


def counting(run: Run, request: Request) -> Advice:
    """Yield the n-gram model, and the mixture of it and the run, with their losses if the list is not long.

    Val decides, never test, whose losses are only shown.
    """
    can_mix = not isinstance(run.model.config, Mixture) and not run.corpus.extra
    if len(run.corpus.words) > QUICK_LIST or run.corpus.extra:
        yield "n-gram counts, which are often as good as a net", request.of("ngram").command()
        if can_mix:
            yield "the mixture of both, which is often better", mix_command(run, request, "ngram")
        return
    counts = baseline(run.corpus)
    of_counts = evaluate(counts.model, run.corpus, SCORED_PARTS).loss
    verdict = ""
    if len(run.corpus.parts["val"]) >= FEWEST_VAL_WORDS:
        more = of_counts["val"] - run.loss["val"]
        compared = "about as good as" if abs(more) <= GAIN else "better than" if more < 0 else "worse than"
        verdict = f", {compared} this run"
    assert isinstance(counts.model.config, NGram)
    order = counts.model.config.order
    command = request.of("ngram").command(**({} if order == NGram().order else {"order": order}))
    yield f"n-gram counts: {shown(of_counts)}{verdict}", command
    if can_mix:
        of_both = evaluate(mix([run, counts]).model, run.corpus, SCORED_PARTS).loss
        if of_both["val"] < min(of_counts["val"], run.loss["val"]) - GAIN:
            yield f"both mixed: {shown(of_both)}", mix_command(run, request, "ngram")


def longer(run: Run, request: Request) -> tuple[str, str]:
    """Return the training that should follow if its length is changed, and what val says about that."""
    o, steps = run.options, run.options.steps or 0
    val = {line["step"]: line["val"] for line in run.history if line["val"] is not None}
    at, last = min(val, key=val.__getitem__), val[steps]
    before = val[max((step for step in val if step <= 0.8 * steps), default=steps)]
    gap = run.loss["val"] - run.loss["train"]

    def lasting(share: float) -> dict[str, Any]:
        """Options of a training that is longer or shorter by this factor."""
        if "steps" in request.options:
            return {"steps": round(share * steps)}
        if o.full_batch:
            return {"epochs": round(share * steps)}
        return {"epochs": float(f"{share * steps * (o.batch_size or 1) / of_run(run).need_steps().n_examples:.2g}")}

    # What a longer training gains is measured for the default net, on lists that are not short and have no columns.
    words, as_measured = run.corpus.words, run.model.name == "mlp" and OF_ALL_MODELS.issuperset(request.options)
    measured = as_measured and len(words) >= SHORT_LIST and not words.has_columns
    if last > val[at] + RISEN:
        found, more = f"val was lowest at step {at:,} of {steps:,}, so train shorter", lasting(at / steps)
    elif last > before - FALLEN:
        found, more = "val has stopped falling, so it would gain nothing", {}
    elif gap < OVERFITTED:
        gains = "gains about 0.02" if measured else "would probably help"
        found, more = f"val is {gap:.2f} above train, so it {gains}", lasting(2)
    elif measured:
        found = f"val is {gap:.2f} above train, so it gains about 0.02 with more weight decay"
        more = {**lasting(2), "weight_decay": MORE_DECAY}
    else:
        found, more = f"val is {gap:.2f} above train, so it would overfit", {}
    return f"longer training: {found}", request.command(**more) if more else ""


def mix_command(run: Run, request: Request, other: str) -> str:
    """Return the command that mixes the run with one of another model on its list."""
    parts = [str(run.path), str(request.folder(other))]
    return shlex.join(["moreish", "mix", *parts, "--out", str(request.folder("mixture"))])


def shown(loss: dict[str, float]) -> str:
    """Return the losses on the scored parts as text."""
    return ", ".join(f"{part} {loss[part]:.3f}" for part in SCORED_PARTS)
