"""The word lists that come with the package."""

from importlib import resources

from ..errors import unknown

BUNDLED = {"names": "given names from many cultures, in lower-case Latin letters"}


def bundled(name: str = "names") -> list[str]:
    """The words of a bundled list, without the lines of its header. Raises InputError for an unknown name."""
    if name not in BUNDLED:
        raise unknown("bundled list", name, BUNDLED)
    text = (resources.files("moreish.datasets") / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
