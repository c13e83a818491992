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
    from . import plots
    from .batchnorm import calibrate, fold
    from .checker import check_gradients
    from .comparison import compare
    from .corpus import Corpus, Vocab, bundled, read_words
    from .diagnosis import Diagnosis, diagnose
    from .errors import InputError, MoreishError, WorkError
    from .evaluation import Evaluation, evaluate
    from .loop import Progress
    from .lrfind import LRFinding, find_lr
    from .mixing import mix
    from .model import Model, Score
    from .newness import Novelty, novelty
    from .reporting import report
    from .run import Run, load
    from .scoring import Scorer
    from .steering import Candidate, Candidates, Samples
    from .threads import get_threads, set_threads
    from .training import resume, train
    from .tuning import Tuned, tune

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "Candidates",
    "Corpus",
    "Diagnosis",
    "Evaluation",
    "InputError",
    "LRFinding",
    "Model",
    "MoreishError",
    "Novelty",
    "Progress",
    "Run",
    "Samples",
    "Score",
    "Scorer",
    "Tuned",
    "Vocab",
    "WorkError",
    "__version__",
    "bundled",
    "calibrate",
    "check_gradients",
    "compare",
    "diagnose",
    "evaluate",
    "find_lr",
    "fold",
    "get_threads",
    "load",
    "mix",
    "novelty",
    "plots",
    "read_words",
    "report",
    "resume",
    "set_threads",
    "train",
    "tune",
]

_HOMES = {
    "batchnorm": ("calibrate", "fold"),
    "checker": ("check_gradients",),
    "comparison": ("compare",),
    "corpus": ("Corpus", "Vocab", "bundled", "read_words"),
    "diagnosis": ("Diagnosis", "diagnose"),
    "errors": ("InputError", "MoreishError", "WorkError"),
    "evaluation": ("Evaluation", "evaluate"),
    "lrfind": ("LRFinding", "find_lr"),
    "mixing": ("mix",),
    "loop": ("Progress",),
    "model": ("Model", "Score"),
    "newness": ("Novelty", "novelty"),
    "reporting": ("report",),
    "run": ("Run", "load"),
    "scoring": ("Scorer",),
    "steering": ("Candidate", "Candidates", "Samples"),
    "threads": ("get_threads", "set_threads"),
    "training": ("resume", "train"),
    "tuning": ("Tuned", "tune"),
}


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module(".plots", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
