"""Figures of matplotlib: in notebooks, as files, and as SVG in the colours of a page."""

import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..errors import InputError, printable
from ..storage import files, locks

__all__ = ["SUFFIXES", "as_svg", "axes_for", "check_out", "new_figure", "write_figure"]

#: What the name of a plot can end in.
SUFFIXES = (".png", ".svg", ".pdf")

#: The colour of text and lines; in a page it is that of the text around.
_INK = "#24292f"
#: Fonts with the letters of more languages, where a system has them.
_MORE_FONTS = ("Noto Sans", "Noto Sans CJK JP", "Hiragino Sans", "MS Gothic", "Arial Unicode MS")
_STYLE: Any = {
    "figure.dpi": 120,
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.hashsalt": "featx",  # the same figure has the same bytes
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
    ),
}


def _more_fonts() -> list[str]:
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return [name for name in _MORE_FONTS if name in installed]


@contextmanager
def _style(**more: Any) -> Iterator[None]:
    import matplotlib as mpl

    families = ["DejaVu Sans", *_more_fonts()]
    settings: Any = {**_STYLE, "font.family": families, **more}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A letter that no font has is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Any]:
    """Yield an empty figure of so many inches, to be drawn on in the style of featx.

    It belongs to no window and no backend: nothing of the caller's matplotlib changes.
    """
    from matplotlib.figure import Figure

    with _style():
        yield Figure(figsize=(width, height), layout="constrained")


@contextmanager
def axes_for(ax: Any, width: float, height: float) -> Iterator[Any]:
    """Yield the axes to draw on: those that are given, or those of a new figure of pyplot.

    A notebook shows such a figure. Its style is the caller's; only names are drawn as they are, and
    letters that the caller's font lacks are looked for in others.

    Parameters
    ----------
    ax : Axes or None
    width, height : float
        Inches of a new figure.
    """
    import matplotlib as mpl

    figure = None
    if ax is None:
        from matplotlib import pyplot

        # Outside of the context: the first figure sets up how notebooks show them, which stays.
        figure = pyplot.figure(figsize=(width, height), layout="constrained")
    families = [*mpl.rcParams["font.family"], *_more_fonts()]
    settings: Any = {"font.family": families, "text.parse_math": False}
    try:
        with mpl.rc_context(settings):
            yield figure.subplots() if figure else ax
    except BaseException:
        if figure:
            pyplot.close(figure)
        raise


def check_out(out: str | os.PathLike[str], overwrite: bool) -> Path:
    """Return the path of a plot that will be written.

    Raises
    ------
    InputError
        When the name ends in none of `SUFFIXES`, or the file exists and may not be replaced.
    """
    path = Path(out)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{printable(path)} is not a plot's name. Expected one that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    files.require_new(path, overwrite)
    return path


def write_figure(figure: Any, out: Path, *, overwrite: bool = False) -> None:
    """Write a figure in the format that the file's name says.

    Raises
    ------
    InputError
        See `check_out`.
    StorageError
        When the file cannot be written.
    """
    out = check_out(out, overwrite)
    kind = out.suffix.lower()[1:]
    drawn = io.BytesIO()
    # Neither SVG nor PDF gets the date: the same figure has the same bytes.
    about = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with _style():
        figure.savefig(drawn, format=kind, metadata=about)
    with locks.lock_output(out):
        files.require_new(out, overwrite)
        files.write_bytes(out, drawn.getvalue())


def as_svg(figure: Any, name: str) -> Markup:
    """Return a figure as an SVG element for a page, whose text is text.

    It has no background, and what is dark in it has the colour of the text around it, so that it
    is readable in light and in dark pages.

    Parameters
    ----------
    figure : Figure
    name : str
        A word that sets the ids in it apart from those of other figures in the page.
    """
    drawn = io.StringIO()
    with _style(**{"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(id="|"#|url\(#)', rf"\g<1>{name}-", text)
    start = r'<svg [^>]*?(viewBox="[^"]*")[^>]*>'  # the page says how wide it is
    # matplotlib has escaped every text in it.
    return Markup(re.sub(start, r'<svg \1 aria-hidden="true">', text, count=1))  # noqa: S704
