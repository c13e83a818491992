"""moreish: give it a list of words; it trains a character-level language model in seconds and makes more like them.

    import moreish
    run = moreish.train(moreish.bundled("names"))
    run.loss["val"]
    run.model.sample(10, seed=1)

Nothing heavy is imported until a name below is used.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Corpus": "corpus",
    "Evaluation": "evaluation",
    "InputError": "errors",
    "Model": "model",
    "MoreishError": "errors",
    "Progress": "training",
    "Run": "run",
    "Vocab": "corpus",
    "WorkError": "errors",
    "bundled": "corpus",
    "evaluate": "evaluation",
    "load": "run",
    "read_words": "corpus",
    "resume": "training",
    "train": "training",
}

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
