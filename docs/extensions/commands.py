"""The directive `cyclopts`, for help that is plain text: in it no character has a meaning of its own."""

import re

from cyclopts.ext.sphinx import CycloptsDirective

# What Cyclopts writes itself: labels, literals, whole lines that indent or begin a construct.
MADE = re.compile(r"(^\*\*[\w ]+:\*\*$|^\.\. .*$|``.+?``|\[\*\*Required\*\*\])", re.MULTILINE)
SPECIAL = re.compile(r"([\\*|_])")


class PlainHelp(CycloptsDirective):
    def _generate_documentation(self, module_path, opts):
        pieces = MADE.split(super()._generate_documentation(module_path, opts))
        return "".join(piece if i % 2 else SPECIAL.sub(r"\\\1", piece) for i, piece in enumerate(pieces))


def setup(app):
    app.add_directive("cyclopts", PlainHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
