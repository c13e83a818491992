"""The directive `cyclopts` for help texts in plain text, without markup, and with their examples."""

import re

from cyclopts.ext.sphinx import CycloptsDirective
from cyclopts.utils import import_app

# Parts that are markup: labels, comments and targets, literals, names between backticks.
MARKUP = re.compile(r"(^\*\*[\w ]+:\*\*$|^\.\. .*$|``.+?``|\[\*\*Required\*\*\]|`[^`\n]+`)", re.MULTILINE)
SPECIAL = re.compile(r"([\\*|_`])")
VERB = re.compile(r"^(\.\. _.*:\n\n(\S+)\n-+\n)", re.MULTILINE)  # a target, the heading, its line


def plain(text):
    return "".join(part if i % 2 else SPECIAL.sub(r"\\\1", part) for i, part in enumerate(MARKUP.split(text)))


def examples(epilogue):
    title, _, lines = epilogue.partition("\n")
    return "\n".join([f"**{title}**", "", "::", "", *(f"  {line}" for line in lines.splitlines()), "", ""])


class PlainHelp(CycloptsDirective):
    def _generate_documentation(self, module_path, opts):
        app = import_app(module_path)
        preamble, *verbs = VERB.split(super()._generate_documentation(module_path, opts))
        made = [preamble]
        for heading, name, text in zip(verbs[::3], verbs[1::3], verbs[2::3], strict=True):
            epilogue = app[name].help_epilogue
            made += [heading, plain(text), "\n\n", examples(epilogue) if epilogue else ""]
        return "".join(made)


def setup(app):
    app.add_directive("cyclopts", PlainHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
