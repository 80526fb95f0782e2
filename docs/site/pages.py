"""Pages of the site that are made of the package: the reference of its names, and all help."""

from collections.abc import Iterator

import featx
from featx.cli import app

#: Of names with these ends: title of a section, and what it says.
_KINDS = {
    "Settings": (
        "Settings",
        "Frozen dataclasses; their fields are keywords of the function.",
    ),
    "Result": ("Results", "Functions return these. Each has `as_dict()`."),
    "Error": ("Errors", "The command line ends with the exit code of the class."),
}


def reference() -> str:
    """Return a section for each kind of public name, as Markdown with directives of Sphinx."""
    sections: dict[tuple[str, str], list[str]] = {("Functions", ""): [], ("Classes", ""): []}
    sections.update({section: [] for section in _KINDS.values()})
    for name in sorted(featx.__all__):
        found = [section for end, section in _KINDS.items() if name.endswith(end)]
        other = ("Functions" if name.islower() else "Classes", "")
        sections[found[0] if found else other].append(name)
    lines = []
    for (title, text), names in sections.items():
        lines += [f"## {title}", "", text, "", "```{eval-rst}", ".. currentmodule:: featx", ""]
        for name in names:
            members = [] if name.islower() else ["   :members:", "   :inherited-members: Exception"]
            lines += [f".. auto{'function' if name.islower() else 'class'}:: {name}", *members, ""]
        lines += ["```", ""]
    return "\n".join(lines)


def help_pages() -> str:
    """Return a section for each command: its help page in 80 columns."""
    from typer.testing import CliRunner

    lines = []
    for words in _commands():
        page = CliRunner().invoke(app.app, [*words, "--help"], env={"COLUMNS": "80"})
        if page.exit_code:
            raise RuntimeError(f"featx {' '.join(words)} --help: {page.output}")
        text = "\n".join(line.rstrip() for line in page.stdout.strip("\n").splitlines())
        lines += [f"## featx {' '.join(words)}".rstrip(), "", "```text", text, "```", ""]
    return "\n".join(lines)


def _commands() -> Iterator[tuple[str, ...]]:
    """Return the words of every command, groups before what is in them."""
    from typer.main import get_command

    def walk(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*words, name))

    return walk(get_command(app.app), ())
