"""Help pages: what the library knows (defaults, tables of names) is filled in when one is read."""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from . import completion, terminal
from .logged import logged

__all__ = ["Group", "command", "settings_from"]

_UsageError: Any = typer.BadParameter.__base__
_COMPLETION = "Completion of commands, options and values with Tab"
_TABLE = re.compile(r"\{([a-z][\w.]*)\.([A-Z]\w*)\}")


class _Command(TyperCommand):
    """A command whose help page reads the library, and lists examples one a line."""

    settings = ""
    examples: Sequence[str] = ()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page.

        An option that is left out is None here and the field of the settings has the default; the
        page shows that. ``{module.TABLE}`` in a text stands for the names of a table.
        """
        _complete(self.get_params(ctx), vars(_find(self.settings)()) if self.settings else {})
        super().format_help(ctx, formatter)
        if self.examples:
            formatter.write("Examples:\n" if len(self.examples) > 1 else "Example:\n")
            formatter.write("".join(f"  {example}\n" for example in self.examples))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the options that continue what was typed, each with the gist of its help."""
        return _gists(super().shell_complete(ctx, incomplete))


class Group(TyperGroup):
    """A group of commands whose help page reads the library, and whose errors can be JSON."""

    _wants_json = False

    def make_context(self, info_name: Any, args: list[str], *more: Any, **others: Any) -> Any:
        """Parse the command line."""
        self._wants_json = "--json" in args
        with _usage_errors(self._wants_json):
            return super().make_context(info_name, args, *more, **others)

    def invoke(self, ctx: Any) -> Any:
        """Parse what the command itself is given, and run it."""
        with _usage_errors(self._wants_json):
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page; see `command`."""
        _complete(self.get_params(ctx), {})
        for parameter in self.get_params(ctx):
            if parameter.name in ("install_completion", "show_completion"):
                vars(parameter)["rich_help_panel"] = _COMPLETION
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands and options that continue what was typed."""
        return _gists(super().shell_complete(ctx, incomplete))


@contextmanager
def _usage_errors(as_json: bool) -> Iterator[None]:
    """Print a usage error as a JSON object too, where the command line asks for JSON."""
    try:
        yield
    except _UsageError as error:
        if as_json and not hasattr(error, "was_printed"):  # by a group inside this one
            terminal.write_json({"error": error.format_message(), "exit_code": error.exit_code})
            error.was_printed = True
        raise


def _gists(items: list[Any]) -> list[Any]:
    for item in items:
        item.help = completion.gist(item.help or "")
    return items


def _complete(parameters: Sequence[Any], defaults: Mapping[str, Any]) -> None:
    """Fill in the names of tables and the defaults, and leave out what a name says already."""
    for parameter in parameters:
        for text in ("help", "show_default"):
            if isinstance(getattr(parameter, text, None), str):
                setattr(parameter, text, _TABLE.sub(_names_of, getattr(parameter, text)))
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: ""
        elif getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.default is None and parameter.name in defaults:
            default = defaults[parameter.name]
            parameter.default = default if isinstance(default, str | int | float) else None


def command(
    app: typer.Typer, *examples: str, settings: str = "", long: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that makes a function a command of `app`.

    Parameters
    ----------
    app : Typer
    *examples : str
        Lines of a shell, shown below the help.
    settings : str
        Module below featx and class, such as "cache.extract.ExtractSettings": the dataclass whose
        defaults hold for options that are left out.
    long : bool
        Whether it runs long, and so has the options of `logged`.
    """
    own = type("_Command", (_Command,), {"settings": settings, "examples": examples})
    register = app.command(cls=own)
    return (lambda function: register(logged(function))) if long else register


def settings_from(kind: type[Any], given: Mapping[str, Any], **others: Any) -> Any:
    """Return settings of what was given on the command line; the rest keeps its default.

    Parameters
    ----------
    kind : type
        A dataclass of settings.
    given : mapping
        Parameters of a command, by name. Those that are None were left out; those that are no
        fields of `kind` are not for it.
    **others
        Fields whose values are not what was typed, but made of it.
    """
    fields = kind.__dataclass_fields__
    values = {name: given[name] for name in fields if given.get(name) is not None}
    return kind(**{**values, **others})


def _find(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"featx.{module}"), attribute)


def _names_of(match: re.Match[str]) -> str:
    return ", ".join(_find(match[0][1:-1]))
