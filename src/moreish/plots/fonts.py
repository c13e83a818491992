"""Fonts for characters that matplotlib's own font does not have, such as those of Japanese."""

from collections.abc import Iterable, Iterator

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

# The first that are installed and have the characters are used.
FALLBACKS = (
    *("Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "Meiryo", "MS Gothic", "IPAexGothic"),
    *("Noto Sans CJK SC", "PingFang SC", "PingFang HK", "Microsoft YaHei", "WenQuanYi Zen Hei", "SimHei"),
    *("Noto Sans CJK KR", "Apple SD Gothic Neo", "Malgun Gothic", "NanumGothic"),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Tamil", "Noto Sans Bengali", "Nirmala UI", "Leelawadee UI"),
    *("Arial Unicode MS", "Noto Sans Symbols2", "Segoe UI Symbol", "Noto Emoji"),
)


def fallbacks(characters: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the fonts that are needed besides matplotlib's own, and the characters that no installed font has."""
    left = without(sorted({c for c in characters if c.isprintable()}), findfont(FontProperties()))
    installed, needed = {font.name for font in fontManager.ttflist}, []
    for name in FALLBACKS:
        if left and name in installed:
            before, left = left, without(left, findfont(name))
            if len(left) < len(before):
                needed.append(name)
    return needed, left


def without(characters: list[str], path: str) -> list[str]:
    """Return the characters that the font in a file does not have."""
    font = get_font(path)
    return [c for c in characters if not font.get_char_index(ord(c))]


def use_fallbacks(made: Figure) -> None:
    """Let the texts of a figure use the fonts that their characters need."""
    needed, _ = fallbacks("".join(texts(made)))
    found: list[Text] = made.findobj(Text) if needed else []  # pyright: ignore[reportAssignmentType]
    for text in found:
        text.set_fontfamily([*text.get_fontfamily(), *needed])


def texts(made: Figure) -> Iterator[str]:
    """Yield the texts of a figure that may show words or characters of a list, without making its ticks."""
    yield made.get_suptitle()
    for ax in made.axes:
        yield from (text.get_text() for text in ax.texts)
        yield from (cell.get_text().get_text() for table in ax.tables for cell in table.get_celld().values())
        for axis in (ax.xaxis, ax.yaxis):
            places, name = axis.get_major_locator(), axis.get_major_formatter()
            yield from (name(place) for place in places()) if isinstance(places, FixedLocator) else ()
