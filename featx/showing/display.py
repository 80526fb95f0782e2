"""What results, models and caches show of themselves: a line, and a few tables in notebooks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import printable

__all__ = ["Display", "Part", "Table", "as_html"]

_MOST = 10  # rows of a table, where it does not say
# The colours of a notebook stay, light or dark: lines are grey, and text has the colour around it.
_LINE = "1px solid rgba(128, 128, 128, 0.4)"
_CELL = "padding: 0.2em 0.8em 0.2em 0; vertical-align: top; background: none;"
_TABLE = "border-collapse: collapse; margin: 0.5em 0; font-size: inherit;"


@dataclass(frozen=True)
class Table:
    """Rows of values below the names of their columns.

    Attributes
    ----------
    columns : sequence of str
    rows : sequence of sequence
        Numbers are aligned to the right where they are numbers or None, or texts in `right`.
    title : str
    marked : collection of int
        Rows that are bold.
    right : collection of str
        Columns of texts that are numbers.
    most : int
        Rows that are shown; a line says how many more there are.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    marked: Collection[int] = ()
    right: Collection[str] = ()
    most: int = _MOST


#: Names with their values, a table, or a sentence. What is None or "" is not shown.
Part = Mapping[str, object] | Table | str


class Display:
    """What has a short `repr`, and tables in notebooks."""

    def _line(self) -> str:
        """Return what this is, in a few words."""
        raise NotImplementedError

    def _parts(self) -> Iterable[Part]:
        """Return what a notebook shows below that line."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<featx.{type(self).__name__}: {self._line()}>"

    def _repr_html_(self) -> str:
        """Return what Jupyter shows: no scripts, nothing from elsewhere, every name as text."""
        return as_html(type(self).__name__, self._line(), self._parts())


def as_html(name: str, line: str, parts: Iterable[Part]) -> str:
    """Return what something shows of itself as HTML, in which every text is escaped.

    Parameters
    ----------
    name, line : str
        What it is, and in a few words which one.
    parts : iterable of Part
    """
    from markupsafe import Markup

    title = Markup('<div><strong>{}</strong> <span style="opacity: 0.75">{}</span></div>')
    shown: list[str] = [title.format(printable(name), printable(line))]
    for part in parts:
        if isinstance(part, Table):
            shown += _table(part)
        elif isinstance(part, Mapping):
            shown += _terms(part)
        elif part:
            shown.append(Markup('<div style="max-width: 60em">{}</div>').format(printable(part)))
    body = Markup("").join(shown)
    return str(Markup('<div class="featx" style="margin: 0.3em 0">{}</div>').format(body))


def _terms(terms: Mapping[str, object]) -> Iterator[str]:
    from markupsafe import Markup

    rows = [
        Markup('<tr><th scope="row" style="{}">{}</th><td style="{}">{}</td></tr>').format(
            f"{_CELL} text-align: left; font-weight: normal; opacity: 0.75; white-space: nowrap;",
            name,
            f"{_CELL} text-align: left; max-width: 50em; overflow-wrap: anywhere;",
            _words(value),
        )
        for name, value in terms.items()
        if value is not None and value != ""
    ]
    if rows:
        yield Markup('<table style="{}"><tbody>{}</tbody></table>').format(
            _TABLE, Markup("").join(rows)
        )


def _table(table: Table) -> Iterator[str]:
    from markupsafe import Markup

    if not table.rows:
        return
    sides = [
        "right"
        if name in table.right or all(isinstance(row[at], int | float | None) for row in table.rows)
        else "left"
        for at, name in enumerate(table.columns)
    ]
    head = Markup("").join(
        Markup('<th scope="col" style="{}">{}</th>').format(
            f"{_CELL} text-align: {side}; border-bottom: {_LINE};", printable(name)
        )
        for name, side in zip(table.columns, sides, strict=True)
    )
    rows = []
    for number, row in enumerate(table.rows[: table.most]):
        weight = "bold" if number in table.marked else "normal"
        cells = Markup("").join(
            Markup('<td style="{}">{}</td>').format(
                f"{_CELL} text-align: {side}; font-weight: {weight}; overflow-wrap: anywhere;",
                _words(value),
            )
            for value, side in zip(row, sides, strict=True)
        )
        rows.append(Markup("<tr>{}</tr>").format(cells))
    if table.title:
        yield Markup('<div style="margin-top: 0.5em">{}</div>').format(printable(table.title))
    yield Markup('<table style="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        _TABLE, head, Markup("").join(rows)
    )
    if len(table.rows) > table.most:
        yield Markup('<div style="opacity: 0.75">… and {} more</div>').format(
            f"{len(table.rows) - table.most:,}"
        )


def _words(value: object) -> str:
    """Return a value as one printable line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return printable(value)
