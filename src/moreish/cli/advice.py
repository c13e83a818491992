"""Advice after a training: figures of the run, each with the command that it speaks for."""

import math
import shlex
from collections.abc import Iterator
from typing import Any

from ..analysis.comparison import SCORED_PARTS, baseline
from ..evaluation import evaluate
from ..models import Mixture, NGram
from ..training.mixing import mix
from ..training.options import resolved
from ..training.prepare import of_run
from ..training.recipes import expected
from ..training.run import Run
from ..training.train import OF_ALL_MODELS, SHORT_LIST
from .request import Request

QUICK_LIST = 50_000  # words; counting takes about a second on so many
GAIN = 0.005  # nats; a smaller difference in val does not matter
FEWEST_VAL_WORDS = 20  # fewer say too little
RISEN = 0.01  # nats; with val so much above its lowest value, the training was long enough
FALLEN = 0.001  # nats; with val falling less over the last fifth, the training is at its end
OVERFITTED = 0.15  # nats; with val so much above train, the default net overfits if it trains longer
MORE_DECAY = 0.1  # weight decay with which it does not (both are measured by benchmarks/longer.py)
TIMES = {"10": 10, "60": 60, "10min": 600, "1h": 3600}  # of --within, in seconds
LARGEST = 200  # characters; no gains were measured on lists with more
LONGER = 2.0  # times as long as the training took
WITHOUT_EFFECT = {"diagnostics", "log_every"}  # options that change nothing in what is trained

Advice = Iterator[tuple[str, str]]


def advice(run: Run, request: Request | None) -> Advice:
    """Yield reasons with commands, some of them empty. Without a request, only those that do not need the list."""
    if run.model.layers and (run.history[-1]["val"] is None or no_better_than_random(run)):
        command = ["moreish", "diagnose", str(run.path)]
        yield "val is no better than for characters drawn at random; find out why", shlex.join(command)
        return
    command = ["moreish", "sample", str(run.path), "--temperature", "0.7"]
    if any(run.corpus.mark(word) == "new" for word in run.model.sample(20, temperature=0.7)):
        yield "safer words that are not in your list", shlex.join([*command, "--only-new"])
    else:
        yield "safer words", shlex.join(command)
    if request is None:
        return
    if run.model.name == "ngram":
        yield "a net; mixed with these counts it is often better still", request.of("mlp").command()
        yield "then the two mixed", mix_command(run, request, "mlp")
        yield from better(run, request, run.loss["val"])
        return
    counts = baseline(run.corpus) if len(run.corpus.words) <= QUICK_LIST and not run.corpus.extra else None
    yield from counting(run, request, counts)
    if run.model.layers and len(run.corpus.parts["val"]) >= FEWEST_VAL_WORDS:
        yield longer(run, request)
    if counts is not None:
        yield from better(run, request, evaluate(counts.model, run.corpus, ["val"]).loss["val"])


def better(run: Run, request: Request, of_counts: float) -> Advice:
    """Yield the shortest time in which --within should have a lower val loss, and what that is.

    The loss is an estimate: val of the n-gram model, less the gain of the recipe on lists of about this length.
    """
    n_words = len(run.corpus.words)
    too_few = len(run.corpus.parts["val"]) < FEWEST_VAL_WORDS
    if too_few or len(run.corpus.vocab) > LARGEST or run.corpus.words.has_columns or "from" in request.options:
        return
    for text, seconds in TIMES.items():
        recipe = expected(seconds, n_words)
        val = of_counts - recipe.gain(n_words)
        if seconds > LONGER * (run.seconds or 0) and val < run.loss["val"] - GAIN:
            time = text if text[-1].isalpha() else f"{text} s"
            found = f"an n-gram model and {recipe.nets}, val about {val:.2f}"
            yield f"the best in {time}: {found}", request.of(None).command(within=text)
            return


def no_better_than_random(run: Run) -> bool:
    """Return True if val is at least the loss of equally likely characters, for another reason than weights."""
    return run.corpus.words.weights is None and not run.loss["val"] < math.log(len(run.model.vocab))


def counting(run: Run, request: Request, counts: Run | None) -> Advice:
    """Yield the n-gram model, and the mixture of it and the run, with their losses if the list is not long.

    Val decides, never test, whose losses are only shown.
    """
    can_mix = not isinstance(run.model.config, Mixture) and not run.corpus.extra
    if counts is None:
        yield "an n-gram model, which is often as good as a net", request.of("ngram").command()
        if can_mix:
            yield "then the two mixed, which is often better still", mix_command(run, request, "ngram")
        return
    of_counts = evaluate(counts.model, run.corpus, SCORED_PARTS).loss
    more = of_counts["val"] - run.loss["val"]
    does = "does better" if more < -GAIN else "does worse" if more > GAIN else "is about as good"
    does = does if len(run.corpus.parts["val"]) >= FEWEST_VAL_WORDS else "has"
    assert isinstance(counts.model.config, NGram)
    order = counts.model.config.order
    command = request.of("ngram").command(**({} if order == NGram().order else {"order": order}))
    of_both = evaluate(mix([run, counts]).model, run.corpus, SCORED_PARTS).loss if can_mix else of_counts
    mixed = of_both["val"] < min(of_counts["val"], run.loss["val"]) - GAIN
    yield f"an n-gram model {does}: {shown(of_counts)}", command if mixed or more <= GAIN else ""
    if mixed:
        yield f"then the two mixed: {shown(of_both)}", mix_command(run, request, "ngram")


def longer(run: Run, request: Request) -> tuple[str, str]:
    """Return what val says about a longer training, and its command if it may gain.

    How much it gains is measured for the default net, on lists that are not short and have neither weights nor labels.
    """
    o, steps, words = run.options, run.options.steps or 0, run.corpus.words
    val = {line["step"]: line["val"] for line in run.history if line["val"] is not None}
    at, last = min(val, key=val.__getitem__), val[steps]
    before = val[max((step for step in val if step <= 0.8 * steps), default=steps)]
    if last > val[at] + RISEN:
        return f"longer training would not help: val was lowest at step {at:,} of {steps:,}", ""
    if last > before - FALLEN:
        return "longer training would not help: val has levelled off", ""
    twice: dict[str, Any] = {"steps": 2 * steps}
    if "steps" not in request.options:
        passes = steps if o.full_batch else steps * (o.batch_size or 1) / of_run(run).need_steps().n_examples
        twice = {"epochs": float(f"{2 * passes:.2g}")}
    default = run.model.name == "mlp" and (OF_ALL_MODELS | WITHOUT_EFFECT).issuperset(request.options)
    measured = default and len(words) >= SHORT_LIST and not words.has_columns
    gap = max(run.loss["val"] - run.loss["train"], 0.0)
    if gap < OVERFITTED:
        gains = "gain about 0.02" if measured else "help"
        return f"longer training should {gains}: val is only {gap:.2f} above train", request.command(**twice)
    found = f"val is {gap:.2f} above train"
    if run.model.name == "mlp" and resolved(o.weight_decay) < MORE_DECAY:
        gains = "gain up to 0.05" if measured else "help"
        command = request.command(**twice, weight_decay=MORE_DECAY)
        return f"longer training with more weight decay may {gains}: {found}", command
    return f"longer training may help or overfit: {found}", request.command(**twice)


def mix_command(run: Run, request: Request, other: str) -> str:
    """Return the command that mixes the run with one of another model on its list."""
    parts = [str(run.path), str(request.folder(other))]
    return shlex.join(["moreish", "mix", *parts, "--out", str(request.folder("mixture"))])


def shown(loss: dict[str, float]) -> str:
    """Return the losses on the scored parts as text."""
    return ", ".join(f"{part} {loss[part]:.3f}" for part in SCORED_PARTS)
