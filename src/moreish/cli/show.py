"""Show what a model computes: each operation with its shapes, parameters and cost.

The layers of a branch are indented: the Residual after them adds the input of the branch to its output. For a net that
is trained on whole words, also shows how the words of the first batch are packed, level by level. For a counted model,
shows the number of contexts of each order, and the strengths of its smoothing. A terminal of less than 100 columns has
no room for the place of each output in memory.

Examples:
  moreish show mlp --n-layer 3
  moreish show gru --batch-size 1000
  moreish show transformer --n-layer 2
  moreish show runs/names-mlp --no-fuse
"""

import shutil
from math import prod
from pathlib import Path
from typing import Annotated

import numpy as np

from ..corpus import bundled
from ..engine.tape import Plan, Tape, WordTape
from ..engine.words import WordBatches
from ..errors import InputError
from ..layers import Residual
from ..layers.levels import N_LEVELS, N_PAIRS
from ..layers.spec import Y
from ..models import MODELS
from ..models.model import Model
from ..models.ngram import AutomatonConfig
from ..training.fit import count
from ..training.loading import load
from ..training.options import TrainOptions
from ..training.prepare import of_run, prepare
from .arguments import ModelArguments, ModelName
from .fields import Flat, given_options
from .terminal import on_terminal, print_table, print_text
from .values import WholeNumber

BRANCH = "  "  # before the operations of a branch
WIDE = 100  # columns of a terminal that shows the whole table


def show(
    what: ModelName,
    /,
    *,
    batch_size: WholeNumber | None = None,
    fuse: bool = True,
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish show`.

    Parameters
    ----------
    what
        The name of a model, shown as it would train on the bundled names, or the folder of a run.
    batch_size
        Batch size to plan for, in words for a net that is trained on whole words [default: that of the model].
    fuse
        Use the fused kernels, as in training. With --no-fuse, every layer is a separate operation.
    """
    TrainOptions(batch_size=batch_size)  # raises for a size out of range
    if what in MODELS or not Path(what).exists():
        task = prepare(bundled(), what, given_options(model_options))
        if task.batches is None:
            show_counts(count(task).model)
            return
        model = task.start().model
    else:
        if given_options(model_options):
            raise InputError(f"{what} is a run, and its model already has its options: leave them out")
        run = load(what)
        model = run.model
        if isinstance(model.config, AutomatonConfig):
            show_counts(model)
            return
        task = of_run(run)
    batches = task.need_steps()
    if isinstance(batches, WordBatches):
        show_words(model, batches.of_size(batch_size or batches.size), fuse)
        return
    tape = Tape(model.layers, model.columns, len(model.vocab))
    plan = tape.plan_of(batches.of_size(batch_size or batches.size), fuse=fuse)
    show_plan(plan, plan.shape[0])
    print_text(
        f"\n{model.layout.n_trained:,} parameters, batch {plan.shape[0]}, "
        f"arena {plan.arena_size * 4 / 2**20:.2f} MiB in float32"
    )


def show_words(model: Model, batches: WordBatches, fuse: bool) -> None:
    """Print the plan for batches of whole words, and the levels of the first batch."""
    levels, plan = (
        batches.packed(0).levels,
        WordTape(model.layers, model.columns, len(model.vocab)).plan_of(batches, fuse=fuse),
    )
    n = levels.head[N_LEVELS]
    rows, tokens = levels.sizes[:n].tolist(), np.zeros(n, np.int64)
    of_rows = np.repeat(np.arange(n), rows)
    np.add.at(tokens, of_rows[levels.rows[: levels.head[N_PAIRS]]], levels.counts[: levels.head[N_PAIRS]])
    show_plan(plan, sum(rows))
    print_text(
        f"\n{model.layout.n_trained:,} parameters, batch of {batches.size:,} words in "
        f"{plan.shards} {'shard' if plan.shards == 1 else 'shards'}, "
        f"arena {plan.arena_size * 4 / 2**20:.2f} MiB in float32\n\nThe first batch, level by level:\n"
    )
    print_table(
        ["characters read", ">tokens to predict", ">different prefixes", ">that go on"],
        [(level, f"{tokens[level]:,}", f"{rows[level]:,}", f"{levels.alive[level]:,}") for level in range(n)],
    )
    print_text(f"\n{tokens.sum():,} tokens, {sum(rows):,} rows: equal prefixes are computed once.")


def show_plan(plan: Plan, B: int) -> None:
    """Print the operations of a plan for batches of B examples or rows; those of a branch are indented."""
    rows, skip = [], 1 if plan.max_levels else 0  # the rows of whole words are single positions
    for op in plan.operations:
        if op.begins:
            continue
        # The cost of a branch is that of its layers, and one addition for each number.
        flops = B * prod(op.in_shape) if isinstance(op.layer, Residual) else op.layer.flops(op.in_shape, B)
        parameters = ", ".join(f"{slot.parameter.name} {_shape(slot.shape)}" for slot in op.slots)
        buffers = "same memory" if op.row is None else f"arena {op.row[Y]:,}"
        rows.append(
            (
                f"{BRANCH * op.path.count('.')}{op.path} {op.kind}",
                _shape((B, *op.in_shape[skip:])),
                _shape((B, *op.out_shape[skip:])),
                parameters,
                f"{sum(slot.parameter.size for slot in op.slots if slot.parameter.trained):,}",
                f"{flops:,}",
                buffers,
            )
        )
    columns = ["operation", "in", "out", "parameters", ">trained", ">FLOP forward", "output in"]
    if on_terminal() and shutil.get_terminal_size().columns < WIDE:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    print_table(columns, rows)


def show_counts(model: Model) -> None:
    """Print the size of a counted model, order by order."""
    parent, first = model.arrays["parent"], model.arrays["first"]
    level = np.ones(len(parent), int)
    for _ in range(len(parent)):  # as often as there are orders
        deeper = np.where(np.arange(len(parent)) > 0, level[parent] + 1, 1)
        if (deeper == level).all():
            break
        level = deeper
    rows = []
    for k in range(1, level.max() + 1):
        here = level == k
        fitted = model.arrays["strengths"][:, k - 1] if "strengths" in model.arrays else []
        rows.append((k, f"{here.sum():,}", f"{np.diff(first)[here].sum():,}", *(f"{x:.3g}" for x in fitted)))
    strengths = [">a", ">b", ">d", ">w"][: len(model.arrays.get("strengths", ()))]
    print_table([">order", ">contexts", ">different next characters", *strengths], rows)
    print_text(f"\n{model.n_parameters:,} probabilities and shares")


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
