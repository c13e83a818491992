"""Formulas as MathML, which browsers lay out without a script.

The pages bring a font for mathematics. Without one, subscripts and large brackets are misplaced.
"""

import re
from importlib.resources import files

from docutils import nodes
from latex2mathml.converter import convert

STYLE = """
@font-face { font-family: "STIX Two Math"; src: local("STIX Two Math"), url("STIXTwoMath-Regular.ttf"); }
math { font-family: "STIX Two Math", math; font-size: 1.1em; }
math[display="block"] { overflow-x: auto; overflow-y: hidden; padding: 0.3em 0; }
.unbroken { white-space: nowrap; }
"""
FUNCTION = re.compile(r"(\\(?:log|tanh|operatorname\{\w+\})(?:\^\d)?) ")


def mathml(node, display):
    return convert(FUNCTION.sub(r"\1\\,", node.astext()), display=display)  # TeX puts a space after a function's name


def inline(translator, node):
    translator.body.append(f'<span class="unbroken">{mathml(node, "inline")}{node.get("tail", "")}</span>')
    raise nodes.SkipNode


def block(translator, node):
    translator.body.append(mathml(node, "block"))
    raise nodes.SkipNode


def keep_with_comma(app, doctree, docname):
    """Attach punctuation to the formula before it, so that no line breaks between them."""
    for node in doctree.findall(nodes.math):
        after = node.next_node(descend=False, siblings=True)
        if isinstance(after, nodes.Text) and (tail := re.match(r"[.,;:?)]+", after)):
            node["tail"] = tail[0]
            after.parent.replace(after, nodes.Text(after[tail.end() :]))


def write_style(app, error):
    if error is None and app.builder.format == "html":
        static = app.outdir / "_static"
        (static / "math.css").write_text(STYLE, encoding="utf-8")
        font = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
        (static / font.name).write_bytes(font.read_bytes())


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    app.add_css_file("math.css")
    app.connect("doctree-resolved", keep_with_comma)
    app.connect("build-finished", write_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
