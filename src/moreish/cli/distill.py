"""Teach one net the probabilities of a trained model, or of several that are mixed first.

The student is one small file that keeps most of what a mixture gains over a net. A part of each of its targets is the
next character of a word, and the rest is the probability that the teacher gives to every character there. Besides the
train words, it learns from words that the teacher draws; val and test play no part in either. Its list and split are
those of the teacher. It is a net that reads whole words: gru, lstm, rnn, transformer or bow. Without --dropout it has
none, as so many words are not easily learnt by heart. An epoch is a pass over the train words and the drawn ones.

Prints what moreish train prints, and the losses of teacher and student. Ctrl-C saves the run, and moreish train
--resume continues it.

Examples:
  moreish distill runs/names-mixture --out runs/student
  moreish distill runs/a runs/b --model lstm --n-hidden 320 --out runs/student
"""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from ..engine.compiler import seconds_compiling
from ..engine.torch.distributed import rank
from ..errors import InputError
from ..training.distilling import distill as distill_runs
from .arguments import ModelArguments, NetName, TrainArguments
from .fields import Flat, given_options
from .progress import StagesView, TrainingView
from .terminal import announce_work
from .train import report
from .values import WholeNumber


def distill(
    *runs: Path,
    out: Path,
    model: NetName = "gru",
    teacher_share: float = 0.5,
    drawn: WholeNumber | None = None,
    samples: WholeNumber = 10,
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish distill`.

    Parameters
    ----------
    runs
        Folders of the runs that teach: one of any model, or several on the same words and split, which are mixed.
    out
        Folder for the student.
    model
        The student: gru, lstm, rnn, transformer or bow.
    teacher_share
        Part of each target that is the teacher's distribution, from 0 to 1. The rest is the next character.
    drawn
        Number of words that the teacher draws to learn from [default: four for each train word, at most 100,000].
    samples
        Number of new words to print at the end.
    """
    if samples < 0:
        raise InputError(f"--samples is {samples}: it must be at least 0")
    first = rank() == 0  # of several processes, only one prints
    if first:
        announce_work()
    began = time.perf_counter() - seconds_compiling()
    options = {**given_options(model_options), **given_options(train_options)}
    with StagesView() if first else nullcontext() as stages, TrainingView() if first else nullcontext() as view:
        student = distill_runs(
            runs,
            model,
            teacher_share=teacher_share,
            drawn=drawn,
            out=out,
            on_progress=view,
            on_stage=stages,
            **options,
        )
    if first:
        report(student, time.perf_counter() - seconds_compiling() - began, samples, None)
