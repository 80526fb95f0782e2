"""Settings as the keywords of a function: in its signature and in its help."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["takes"]

Function = TypeVar("Function", bound=Callable[..., Any])
Fields = Mapping[str, "dataclasses.Field[Any]"]

_CHANGES = "**changes"


def takes(settings: type[Any], changes: type[Any]) -> Callable[[Function], Function]:
    r"""Return a decorator that shows the fields of settings as keywords of a function.

    The function has ``**changes: Unpack[…]``, which type checkers understand and ``help`` does not
    show. With this, ``help``, Jupyter and editors that run the code list each field with its type,
    its default and its description.

    Parameters
    ----------
    settings : type
        A frozen dataclass; its docstring and those of its bases have a section "Attributes".
    changes : type
        A typed dictionary of the same fields, whose types name the values that there are.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class CookSettings:
    ...     '''How it is cooked.
    ...
    ...     Attributes
    ...     ----------
    ...     method : str
    ...         What is done with it.
    ...     '''
    ...     method: str = "boil"
    >>> class CookChanges(typing.TypedDict, total=False):
    ...     method: typing.Literal["boil", "fry"]
    >>> @takes(CookSettings, CookChanges)
    ... def cook(egg, settings=None, **changes):
    ...     '''Cook an egg.
    ...
    ...     Parameters
    ...     ----------
    ...     egg : Egg
    ...     **changes
    ...         Fields of `CookSettings`.
    ...     '''
    >>> inspect.signature(cook)
    <Signature (egg, settings=None, *, method: str = 'boil')>
    >>> print(cook.__doc__.partition("Egg\n")[2])
    method : {'boil', 'fry'}, default='boil'
        What is done with it.
    """
    fields = {field.name: field for field in dataclasses.fields(settings)}
    hints = typing.get_type_hints(changes)

    def show(function: Function) -> Function:
        function.__signature__ = _signature(function, fields)  # type: ignore[attr-defined]
        if function.__doc__ and settings.__doc__:  # python -OO leaves none
            lines = _attributes(settings, fields, hints)
            function.__doc__ = _described(function.__doc__, lines)
        return function

    return show


def _signature(function: Callable[..., Any], fields: Fields) -> inspect.Signature:
    found = inspect.signature(function)
    given = [one for one in found.parameters.values() if one.kind is not one.VAR_KEYWORD]
    keywords = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=field.type
        )
        for name, field in fields.items()
    ]
    return found.replace(parameters=[*given, *keywords])


def _default(field: "dataclasses.Field[Any]") -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _described(text: str, attributes: list[str]) -> str:
    """Return a docstring with these lines in place of ``**changes``."""
    lines = inspect.cleandoc(text).splitlines()
    start = lines.index(_CHANGES)
    stop = start + 1
    while stop < len(lines) and lines[stop].startswith(" "):
        stop += 1
    return "\n".join([*lines[:start], *attributes, *lines[stop:]])


def _attributes(settings: type[Any], fields: Fields, hints: Mapping[str, Any]) -> list[str]:
    """Return what docstrings say of the fields, each with the values and the default it has."""
    lines = []
    for base in reversed(settings.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes\n----------\n")[2]
        for line in section.splitlines():
            names, colon, kind = line.partition(" : ")
            if colon and not line.startswith(" "):
                first = names.split(", ")[0]
                choices = _choices(hints[first])
                if choices:
                    many = "tuple of " if kind.startswith("tuple") else ""
                    kind = f"{many}{{{', '.join(map(repr, choices))}}}"
                defaults = [repr(_default(fields[name])) for name in names.split(", ")]
                kind = kind.removesuffix(", optional")
                line = f"{names} : {kind}, default={', '.join(dict.fromkeys(defaults))}"
            lines.append(line)
    return lines


def _choices(hint: Any) -> list[str]:
    """Return the values that a type names, such as those of a literal in a tuple."""
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [choice for inner in typing.get_args(hint) for choice in _choices(inner)]
