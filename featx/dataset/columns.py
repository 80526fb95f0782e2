"""Which columns of a table name the path, the label, the split and the group of an image."""

import difflib
import logging
from collections.abc import Callable, Mapping, Sequence

from ..errors import InputError, printable, require_one_of

__all__ = ["ROLES", "find_columns", "plain_name", "tell_columns"]

log = logging.getLogger("featx")

_NAMED = 5  # columns in a message

#: Role → the names that a column of this role usually has. The first one always wins; of the
#: others a table may have one. Upper case, spaces and hyphens do not count.
ROLES: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path",
        *("filename", "file_name", "file", "filepath", "file_path", "image", "image_path"),
        *("image_name", "img", "img_path", "img_name"),
    ),
    "label": ("label", "labels", "class", "class_name", "classname", "target", "category"),
    "split": ("split", "subset", "partition"),
    "group": ("group", "group_id"),
}


def _as_option(role: str, name: str) -> str:
    return f"--column {role}={name}"


def find_columns(
    header: Sequence[str],
    given: Mapping[str, str],
    where: str,
    spell: Callable[[str, str], str] = _as_option,
) -> dict[str, str]:
    """Return the column of each role that the table has.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    given : mapping
        Role → column, where the user says it.
    where : str
        The table, for messages.
    spell : callable
        Role, column → how the user says that the column has the role.

    Returns
    -------
    dict
        Role → a name of `header`. `path` is always there.

    Raises
    ------
    InputError
        When there is no path column, two could have one role, or a name nearly fits.

    Examples
    --------
    >>> find_columns(["", "File Name", "class", "score"], {}, "list.csv")
    {'path': 'File Name', 'label': 'class'}
    """
    found: dict[str, str] = {}
    twice = {name for name in header if name and header.count(name) > 1}
    for role, column in given.items():
        require_one_of("column role", role, ROLES)
        if column not in header:
            raise InputError(f"{where} has no column {printable(column)!r}. {_columns(header)}")
        found[role] = column
    for role, usual in ROLES.items():
        fitting = [name for name in header if plain_name(name) in usual]
        exact = [name for name in fitting if plain_name(name) == role]
        if role in found or not fitting:
            continue
        if len(set(exact or fitting)) > 1:
            one, two = (printable(name) for name in list(dict.fromkeys(exact or fitting))[:2])
            raise InputError(
                f"{where}: the columns {one!r} and {two!r} could both be the {role}. Say which: "
                f"{spell(role, one)}."
            )
        found[role] = (exact or fitting)[0]
    for role, name in found.items():
        if name in twice:
            raise InputError(
                f"{where}: there are two columns {printable(name)!r}, and it could be either that "
                f"has the {role}. Give each a name of its own."
            )
    _check_near(header, found, where, spell)
    if "path" not in found:
        raise InputError(
            f"{where}: there is no column 'path' (or filename, file, image). {_columns(header)} "
            f"If the paths are in one of these, say which: {spell('path', 'NAME')}."
        )
    return found


def _check_near(
    header: Sequence[str],
    found: Mapping[str, str],
    where: str,
    spell: Callable[[str, str], str],
) -> None:
    """Refuse a column that looks like a misspelt role which no other column has."""
    for role in ROLES:
        for name in header if role not in found else ():
            is_free = name not in found.values()
            if is_free and difflib.get_close_matches(plain_name(name), [role], 1, 0.75):
                raise InputError(
                    f"{where}: unknown column {printable(name)!r}. Did you mean {role!r}? Rename "
                    f"it, or say so: {spell(role, printable(name))}."
                )


def tell_columns(where: str, header: Sequence[str], roles: Mapping[str, str]) -> None:
    """Say which columns are taken for what, where that is not plain."""
    renamed = [f"{role} from {printable(name)!r}" for role, name in roles.items() if name != role]
    others = [printable(name) for name in header if name and name not in roles.values()]
    if not renamed and not others:
        return
    told = ", ".join(renamed) or ", ".join(roles)
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    rest = f"; other columns are ignored: {', '.join(others[:_NAMED])}{more}" if others else ""
    log.info("%s: %s%s.", where, told, rest)


def _columns(header: Sequence[str]) -> str:
    return f"The columns are: {', '.join(printable(name) for name in header) or 'none'}."


def plain_name(name: str) -> str:
    """Return a name without what does not count: upper case, spaces and hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")
