"""The pages of the site that are made of the package; `make docs` builds all and checks links."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

import featx
from featx.cli import app

SITE = Path(__file__).parents[2] / "docs" / "site"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def help_pages() -> str:
    return module("pages").help_pages()


def test_the_reference_has_every_public_name_once() -> None:
    found = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", module("pages").reference(), re.M)
    assert sorted(found) == sorted(featx.__all__)


def commands(command: Any, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found = {words: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner, (*words, name))
    return found


def test_the_help_of_every_command_is_whole_in_80_columns(help_pages: str) -> None:
    sections = dict(re.findall(r"^## featx ?(.*?)\n\n```text\n(.*?)\n```", help_pages, re.M | re.S))
    found = commands(get_command(app.app))
    assert set(sections) == {" ".join(words) for words in found} and len(found) > 15
    for words, command in found.items():
        page = sections[" ".join(words)]
        assert max(map(len, page.splitlines())) <= 80, words
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert all(re.search(rf"{name}\b", page) for name in parameter.opts), parameter.opts
        assert "…" not in page and "{" not in re.sub(r"\{\w+\}", "", page.split("\n\n")[1]), words


def test_versions_stand_beside_one_another(tmp_path: Path) -> None:
    publish = module("versions").publish
    site, folder = tmp_path / "site", tmp_path / "pages"
    site.mkdir()
    for version, versions in (
        ("0.9.0", ["0.9.0"]),
        ("0.10.0", ["0.10.0", "0.9.0"]),
        ("0.9.1", ["0.10.0", "0.9.1", "0.9.0"]),
    ):
        (site / "index.html").write_text(f"site of {version}")
        assert publish(site, version, folder) == versions
        assert (folder / version / "index.html").read_text() == f"site of {version}"
    assert (folder / "latest" / "index.html").read_text() == "site of 0.10.0"
    listed = re.findall(r'<li><a href="([\d.]+)/">', (folder / "index.html").read_text())
    assert listed == ["0.10.0", "0.9.1", "0.9.0"]
    with pytest.raises(SystemExit, match="expected numbers"):
        publish(site, "../elsewhere", folder)
    with pytest.raises(SystemExit, match="Run make docs"):
        publish(tmp_path / "empty", "1.0", folder)
