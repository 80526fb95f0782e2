"""How Sphinx makes the site of the documents; `make docs` runs it."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pages

import featx

project = "featx"
project_copyright = author = "The featx authors"
release = version = featx.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["pictures", "site"]

myst_heading_anchors = 4
default_role = "py:obj"  # `extract` in a docstring leads to it

napoleon_google_docstring = False
napoleon_use_ivar = True  # attributes stay with their class, and are no targets of links
autodoc_typehints = "none"  # the docstrings have the types, with shapes

html_theme = "furo"
html_title = f"featx {release}"
html_show_sourcelink = False
html_copy_source = False

#: Pages of which the text is made, and not written.
_MADE = {"api": pages.reference, "cli": pages.help_pages}
#: Pages beside docs/, which pages of docs/ link to, on the site.
_BESIDE = {"README": "/index", "CHANGELOG": "/CHANGELOG", "CONTRIBUTING": "/CONTRIBUTING"}


def _prepare(app: Any, page: str, source: list[str]) -> None:
    text = source[0]
    for name, place in _BESIDE.items():
        text = re.sub(rf"\]\((?:\.\./)+{name}\.md", f"]({place}.md", text)
    source[0] = text + (_MADE[page]() if page in _MADE else "")


def _skip(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a class inherits from scikit-learn; its own site describes that."""
    module = getattr(getattr(member, "fget", member), "__module__", None) or "featx"
    return None if module.startswith("featx") else True


def setup(app: Any) -> None:
    """Have pages prepared when Sphinx reads them, and members chosen."""
    app.connect("source-read", _prepare)
    app.connect("autodoc-skip-member", _skip)
