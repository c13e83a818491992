"""Live pictures of the lessons, without a kernel.

In the lessons they take the place of the plain pictures. In a page, the directive `live` shows that of a lesson.
"""

import nbformat
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from moreish.lessons.live import MIME, html, script

LESSONS = "lessons/{}.ipynb"


def enlivened(text):
    """Return the text of a notebook with live pictures in place of the plain ones."""
    notebook = nbformat.reads(text, as_version=4)
    for output in _live_outputs(notebook):
        output["data"] = {"text/html": html(output["data"][MIME], output["data"]["image/png"])}
    return nbformat.writes(notebook)


def _live_outputs(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output for output in outputs if MIME in output.get("data", {})]


class LiveDirective(SphinxDirective):
    required_arguments = 1

    def run(self):
        # The notebook as it is stored: that in docs/lessons has HTML already.
        path = self.env.srcdir.parent / LESSONS.format(self.arguments[0])
        self.env.note_dependency(str(path))
        data = _live_outputs(nbformat.read(path, as_version=4))[0]["data"]
        return [nodes.raw("", html(data[MIME], data["image/png"]), format="html")]


def write_script(app):
    if app.builder.format == "html":
        (app.outdir / "_static").mkdir(parents=True, exist_ok=True)
        (app.outdir / "_static" / "live.js").write_text(script(), encoding="utf-8")


def add_script(app, pagename, templatename, context, doctree):
    if "moreish-live" in context.get("body", ""):
        app.add_js_file("live.js", loading_method="defer")


def setup(app):
    app.add_directive("live", LiveDirective)
    app.connect("builder-inited", write_script)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True}
