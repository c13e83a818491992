"""moreish show"""

from pathlib import Path
from typing import Annotated

from ..corpus import Corpus, bundled
from ..errors import InputError
from ..layers.spec import Y
from ..model import Model
from ..models import MODELS, make_config
from ..options import TrainOptions
from ..run import load
from ..tape import Tape
from ..training import batches_of
from .arguments import Flat, ModelArguments, given
from .terminal import print_table
from .values import WholeNumber


def show(
    what: str,
    /,
    *,
    batch_size: WholeNumber | None = None,
    fuse: bool = True,
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """`moreish show`: its text stands in VERBS.

    Parameters
    ----------
    what
        A model's name (taken as it would train on the bundled names) or the folder of a run.
    batch_size
        Examples in the batch that is planned for [default: the model's own].
    fuse
        Plan with the fused kernels, as training does; without, every layer is an operation of its own.
    """
    if batch_size is not None and batch_size < 1:
        raise InputError(f"--batch-size is {batch_size}: it must be at least 1")
    if what in MODELS or not Path(what).exists():
        config, corpus = make_config(what, given(model_options)), Corpus(bundled())
        model, options = Model(config, corpus.vocab), TrainOptions()
        if config.defaults:
            options = options.resolved(config.defaults, batches_of(config, corpus, options).n_examples)
    else:
        if given(model_options):
            raise InputError(f"{what} is a run: its model has its options already")
        run = load(what)
        model, corpus, options = run.model, run.corpus, run.options
    batches = batches_of(model.config, corpus, options)
    tape = Tape(model.layers, model.config.context, len(model.vocab))
    plan = tape.plan(batch_size or batches.size, batches.n_targets, fuse=fuse)
    B, rows = plan.shape[0], []
    for op in plan.operations:
        parameters = ", ".join(f"{slot.parameter.name} {_shape(slot.shape)}" for slot in op.slots)
        buffers = "same memory" if op.row is None else f"arena {op.row[Y]:,}"
        rows.append(
            (
                op.name,
                _shape((B, *op.in_shape)),
                _shape((B, *op.out_shape)),
                parameters,
                f"{sum(slot.parameter.size for slot in op.slots if slot.parameter.trained):,}",
                f"{op.layer.flops(op.in_shape, B):,}",
                buffers,
            )
        )
    print_table(["operation", "in", "out", "parameters", ">trained", ">FLOP forward", "output in"], rows)
    print(f"\n{model.layout.n_trained:,} parameters, batch {B}, arena {plan.arena_size * 4 / 2**20:.2f} MiB in float32")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
