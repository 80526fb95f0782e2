"""A page that opens in any browser without a network: one file, nothing from elsewhere."""

import base64
import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError, printable
from ..storage import files

__all__ = ["check_page", "render", "write_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def check_page(out: str | os.PathLike[str], overwrite: bool) -> Path:
    """Return the path of a page that will be written.

    Raises
    ------
    InputError
        When the name does not end in .html, or the file exists and may not be replaced.
    """
    path = Path(out)
    if path.is_dir():
        raise InputError(f"{printable(path)} is a folder. Expected the name of a .html file.")
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{printable(path)}: expected a name that ends in .html.")
    files.require_new(path, overwrite)
    return path


def render(template: str, data: Mapping[str, Any], **content: Any) -> str:
    """Return a page as HTML.

    Every text is escaped where it stands, and the page's policy lets no script run but its own,
    which is named by its SHA-256, and no request go anywhere.

    Parameters
    ----------
    template : str
        A file of `templates/`.
    data : mapping
        What the page's script works with.
    **content
        What the template shows. A `chart` is SVG.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from jinja2.utils import htmlsafe_json_dumps
    from markupsafe import Markup

    # These are our own files and figures, and hold no text of a user that is not escaped.
    script = (_TEMPLATES / "script.js").read_text("utf-8")
    style = (_TEMPLATES / "style.css").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        script=Markup(script),  # noqa: S704
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style),  # noqa: S704
        data=htmlsafe_json_dumps(data, separators=(",", ":")),
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
        **content,
    )


def write_page(text: str, out: Path, *, overwrite: bool = False) -> None:
    """Write a page atomically. The caller holds its path with `locks.lock_output`.

    Raises
    ------
    InputError
        See `check_page`.
    StorageError
        When the file cannot be written.
    """
    check_page(out, overwrite)
    files.write_bytes(out, text.encode("utf-8"))
