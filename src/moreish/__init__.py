"""moreish: give it a list of words; it trains a character-level language model in seconds and makes more like them.

    import moreish
    run = moreish.train(moreish.bundled("names"))
    run.loss["val"]
    run.model.sample(10, seed=1)

A name's module is imported when the name is first used: importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import plots
    from .analysis.checker import check_gradients
    from .analysis.comparison import compare
    from .analysis.diagnosis import Diagnosis, diagnose
    from .analysis.novelty import Novelty, novelty
    from .analysis.scoring import Scorer
    from .corpus import Corpus, Vocab, bundled, read_words
    from .engine.threads import get_threads, set_threads
    from .errors import InputError, MoreishError, WorkError
    from .evaluation import Evaluation, evaluate
    from .models.model import Model, Score
    from .reporting.report import report
    from .sampling import Candidate, Candidates, Samples
    from .training.batchnorm import calibrate, fold
    from .training.loop import Progress
    from .training.lr_finder import LRFinding, find_lr
    from .training.mixing import mix
    from .training.run import Run, load
    from .training.train import resume, train
    from .training.tuning import Tuned, tune

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
    "training.batchnorm": ("calibrate", "fold"),
    "analysis.checker": ("check_gradients",),
    "analysis.comparison": ("compare",),
    "corpus": ("Corpus", "Vocab", "bundled", "read_words"),
    "analysis.diagnosis": ("Diagnosis", "diagnose"),
    "errors": ("InputError", "MoreishError", "WorkError"),
    "evaluation": ("Evaluation", "evaluate"),
    "training.lr_finder": ("LRFinding", "find_lr"),
    "training.mixing": ("mix",),
    "training.loop": ("Progress",),
    "models.model": ("Model", "Score"),
    "analysis.novelty": ("Novelty", "novelty"),
    "reporting.report": ("report",),
    "training.run": ("Run", "load"),
    "analysis.scoring": ("Scorer",),
    "sampling": ("Candidate", "Candidates", "Samples"),
    "engine.threads": ("get_threads", "set_threads"),
    "training.train": ("resume", "train"),
    "training.tuning": ("Tuned", "tune"),
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
