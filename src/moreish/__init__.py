"""moreish: give it a list of words; it trains a character-level language model in seconds and makes more like them.

    import moreish
    run = moreish.train(moreish.bundled("names"))
    run.loss["val"]
    run.model.sample(10, seed=1)

The public names are listed in `__init__.pyi`. The module of a name is imported when the name is first used, so that
importing the package costs nothing.
"""

import lazy_loader

from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
