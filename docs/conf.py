"""Settings of the documentation, built by `sphinx-build -W --keep-going docs build/docs`. Nothing is fetched."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent / "src")]

from live import enlivened  # noqa: E402

import moreish  # noqa: E402

project = "moreish"
author = "The moreish authors"
version = release = moreish.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "commands", "docstrings", "live", "mathml"]
exclude_patterns = ["extensions"]
html_theme = "furo"
html_title = f"moreish {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = html_copy_source = False
smartquotes = False  # keep the two hyphens of an option
highlight_language = "none"  # blocks without a language show a terminal
default_role = "py:obj"  # names between backticks in docstrings

# The lessons are shown with the results of their last run.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = nb_code_prompt_hide = "Solution"
nb_render_markdown_format = "gfm"  # with tables
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_math_renderer = "mathml"

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True


def copy_lessons(app):
    """Copy the executed notebooks, with live pictures, to a folder where Sphinx finds them."""
    target = HERE / "lessons"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in sorted((HERE.parent / "lessons").glob("[0-9][0-9]_*.ipynb")):
        (target / path.name).write_text(enlivened(path.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copystat(path, target / path.name)  # the time of the file, so that Sphinx skips unchanged lessons


def setup(app):
    app.connect("builder-inited", copy_lessons)
