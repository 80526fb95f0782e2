"""The house: few rooms at the top, small modules, and imports between wings that run one way."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "featx"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: What every wing may import.
GROUND = ("errors", "names", "keywords", "plain", "backend", "metrics", "progress")


def wings() -> list[str]:
    """Read the order of the wings, from the ground up, in CONTRIBUTING.md."""
    return re.findall(r"^\d+\. `(\w+)/`", (ROOT / "CONTRIBUTING.md").read_text(), re.M)


def name(module: Path) -> tuple[str, ...]:
    """Return the dotted name of a module below featx."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(module: Path) -> set[tuple[str, ...]]:
    """Return the featx modules that a module imports, at its top or in a function."""
    package = name(module) if module.name == "__init__.py" else name(module)[:-1]
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("featx") for alias in node.names), module
        if not isinstance(node, ast.ImportFrom):
            continue
        if not node.level:
            assert (node.module or "").partition(".")[0] != "featx", f"{module}: import relatively"
            continue
        base = package[: len(package) - node.level + 1]
        if node.module:
            found.add((*base, *node.module.split(".")))
        else:
            found |= {(*base, alias.name) for alias in node.names}
    return found


def test_there_are_few_wings_and_few_entries_at_the_top() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert len(entries) <= 25, sorted(entries)
    assert len(wings()) <= 15
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(wings())


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_between_wings_run_one_way(module: Path) -> None:
    order = {wing: level for level, wing in enumerate((*GROUND, *wings()))}
    own = name(module)
    if not own or own == ("__main__",):  # the public names, and the way in
        return
    for target in imports(module):
        if target == ("__version__",) or target[0] == own[0]:
            continue
        assert target[0] in order, f"{module} imports {target}"
        assert order[target[0]] < order[own[0]], f"{own} imports {target}"


def test_modules_of_a_wing_do_not_import_one_another_in_a_circle() -> None:
    graph = {name(module): imports(module) for module in MODULES if name(module)}

    def walk(module: tuple[str, ...], above: tuple[tuple[str, ...], ...]) -> None:
        assert module not in above, f"a circle: {above}"
        for target in graph.get(module, ()):
            walk(target, (*above, module))

    for module in graph:
        walk(module, ())


def test_a_wing_says_what_it_is_and_holds_no_code() -> None:
    for wing in wings():
        tree = ast.parse((PACKAGE / wing / "__init__.py").read_text())
        assert ast.get_docstring(tree)
        # Names that are also reached by the wing itself, as `featx.images.load`, are no code.
        more = [node for node in tree.body[1:] if not isinstance(node, ast.ImportFrom | ast.Assign)]
        assert not more, f"{wing}/__init__.py has more than its sentence and names"
