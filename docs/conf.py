"""How Sphinx builds the site: `make docs`, or ``python -m sphinx -W -c docs . build/site``.

The source folder is the repository itself, so that the links of a page lead to the same place here
and on a code host, and a broken one fails the build. README.md is the first page. Every page must
have its place in `NAVIGATION`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.search.en import SearchEnglish

import tf2spark

NAVIGATION = {
    "Start": [
        "docs/start",
        "简体中文 <README.zh-CN>",
        "docs/start.zh",
    ],
    "Coming from": [
        "docs/coming_from/predict_batch_udf",
        "docs/coming_from/mlflow",
        "docs/coming_from/tensorflow_on_spark",
        "docs/coming_from/synapseml",
        "docs/coming_from/als",
        "docs/coming_from/tensorflow_java",
    ],
    "Guides": [
        "docs/feeding",
        "docs/rows",
        "docs/recommend",
        "docs/pipelines",
        "docs/mlflow",
        "docs/notebooks",
        "docs/streams",
        "docs/declarative_pipelines",
        "docs/jobs",
        "docs/logs_and_reports",
        "docs/packages",
        "docs/custom_ops",
        "docs/tfrecord",
    ],
    "In production": [
        "docs/clusters",
        "docs/platforms",
        "docs/performance",
        "docs/reliability",
        "docs/security",
    ],
    "Reference": [
        "docs/api",
        "docs/cli",
        "docs/messages",
        "docs/stability",
        "benchmarks/RESULTS",
        "benchmarks/survey/SURVEY",
        "CHANGELOG",
    ],
    "Contributing": [
        "CONTRIBUTING",
        "CODE_OF_CONDUCT",
        "SECURITY",
        "ARCHITECTURE",
    ],
}
"""The pages in the order of the sidebar, without their ending; some with a title of their own."""

project = "tf2spark"
author = "The tf2spark authors"
project_copyright = author
version = release = tf2spark.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = ["*.md", "docs/**", "benchmarks/RESULTS.md", "benchmarks/survey/SURVEY.md"]
# Folders that aren't entered.
exclude_patterns = [".*", "build", "dist", "src", "tests", "benchmarks/small", "docs/_*"]

myst_heading_anchors = 4  # as on a code host: `page.md#a-heading`
default_role = "literal"  # what docstrings mean by single backquotes
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
python_display_short_literal_types = True
smartquotes = False  # messages are searched for by their words
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "tf2spark"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# Summaries are fetched, which browsers refuse for pages that are opened as files.
html_show_search_summary = False

_START = '<!doctype html><meta http-equiv="refresh" content="0; url=README.html">\n'


def add_navigation(_app: Any, page: str, source: list[str]) -> None:
    """Append the sidebar's entries to the first page, which is readable without them."""
    if page == root_doc:
        for caption, pages in NAVIGATION.items():
            entries = "\n".join(re.sub(r"(^|<)(?=[\w/.-]+>?$)", r"\1/", entry) for entry in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def set_language(_app: Any, page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Tell browsers and screen readers which pages are in Chinese."""
    if page.endswith((".zh", ".zh-CN")):
        context["language"] = "zh-CN"


class Search(SearchEnglish):
    """Finds Chinese as well, by pairs of characters: words aren't separated there."""

    js_splitter_code = """
var splitQuery = query => query
  .split(/[^\\p{Letter}\\p{Number}_]+|(\\p{Script=Han}+)/u).filter(part => part)
  .flatMap(part => /^\\p{Script=Han}{3,}$/u.test(part)
    ? Array.from({length: part.length - 1}, (_, at) => part.slice(at, at + 2)) : [part]);
"""

    def split(self, input: str) -> list[str]:
        """Return the words of a text, of which `js_splitter_code` makes the same."""
        parts = re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", input)
        return [word for part in parts for word in _pairs(part)]


def _pairs(part: str) -> list[str]:
    if len(part) < 3 or not re.match(r"[\u3400-\u9fff]", part):
        return [part]
    return [part[at : at + 2] for at in range(len(part) - 1)]


def set_dashes(_app: Any, tree: Any, _page: str) -> None:
    """Set the dash after the name of an argument, which Sphinx leaves to `smartquotes`."""
    for text in list(tree.findall(nodes.Text)):
        if text.startswith(" -- "):
            text.parent.replace(text, nodes.Text(text.replace(" -- ", " \N{EN DASH} ", 1)))


def write_start(app: Any, error: Exception | None) -> None:
    """Make the site's folder open with its first page."""
    if error is None:
        (Path(app.outdir) / "index.html").write_text(_START, encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the functions above to Sphinx's events."""
    app.add_search_language(Search)
    app.connect("source-read", add_navigation)
    app.connect("doctree-resolved", set_dashes)
    app.connect("html-page-context", set_language)
    app.connect("build-finished", write_start)
