"""Convert plain-text docstrings to reStructuredText:

names in columns    a definition list: a name, two or more spaces, its meaning, as in this list
`backticks`         a link to a name
indented            code
anything else       prose without markup
"""

import re

from sphinx.util.rst import escape

COLUMN = re.compile(r"(\w+(?:, \w+)*) {2,}(\S.*)")


def prose(text):
    """Escape everything except names between backticks."""
    parts = text.split("`")
    return "".join(f"`{part}`" if i % 2 else escape(part) for i, part in enumerate(parts))


def paragraph(lines):
    """Convert the lines of one paragraph to reStructuredText."""
    if all(line.startswith("  ") for line in lines):
        return ["::", "", *(f"    {line}" for line in lines)]
    if not COLUMN.match(lines[0]):
        return [prose(line.strip()) for line in lines]
    made = []
    for line in lines:
        if entry := COLUMN.match(line):
            names = ", ".join(f"``{name}``" for name in entry[1].split(", "))
            made += [names, f"    {prose(entry[2])}"]
        else:
            made.append(f"    {prose(line.strip())}")
    return made


def signature(app, what, name, obj, options, signature, returned):
    return signature and signature.replace("<factory>", "..."), returned  # not Python: the default of a dataclass field


def docstring(app, what, name, obj, options, lines):
    text = "\n".join(lines).strip("\n")
    blocks = re.split(r"\n{2,}", text) if text else []
    lines[:] = [line for block in blocks for line in [*paragraph(block.splitlines()), ""]]


def setup(app):
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
