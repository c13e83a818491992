"""moreish: give it a list of words; it trains a character-level language model in seconds and makes more like them.

    import moreish
    run = moreish.train(moreish.bundled("names"))
    run.loss["val"]
    run.model.sample(10, seed=1)

A name's module is imported when the name is first used: importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batchnorm import calibrate, fold
    from .checker import check_gradients
    from .comparison import compare
    from .corpus import Corpus, Vocab, bundled, read_words
    from .errors import InputError, MoreishError, WorkError
    from .evaluation import Evaluation, evaluate
    from .mixing import mix
    from .model import Model, Score
    from .run import Run, load
    from .training import Progress, resume, train
    from .tuning import Tuned, tune

__version__ = "0.1.0"

__all__ = [
    "Corpus",
    "Evaluation",
    "InputError",
    "Model",
    "MoreishError",
    "Progress",
    "Run",
    "Score",
    "Tuned",
    "Vocab",
    "WorkError",
    "__version__",
    "bundled",
    "calibrate",
    "check_gradients",
    "compare",
    "evaluate",
    "fold",
    "load",
    "mix",
    "read_words",
    "resume",
    "train",
    "tune",
]

_HOMES = {
    "batchnorm": ("calibrate", "fold"),
    "checker": ("check_gradients",),
    "comparison": ("compare",),
    "corpus": ("Corpus", "Vocab", "bundled", "read_words"),
    "errors": ("InputError", "MoreishError", "WorkError"),
    "evaluation": ("Evaluation", "evaluate"),
    "mixing": ("mix",),
    "model": ("Model", "Score"),
    "run": ("Run", "load"),
    "training": ("Progress", "resume", "train"),
    "tuning": ("Tuned", "tune"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
