"""The documents: their links lead somewhere, and the Python of docs/python.md runs."""

import re
from pathlib import Path

import pytest

import featx

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


def test_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "python.md"
    text = page.read_text()
    names: dict[str, object] = {"__name__": "python_page"}
    found = list(re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S))
    assert len(found) >= 6
    for block in found:
        # The empty lines make a traceback name the line of the page.
        lines = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines + block[1], str(page), "exec"), names)
    assert names["calls"], "verify reported no progress"


def test_the_python_page_names_every_public_name() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in featx.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_dir_lists_the_public_names() -> None:
    assert set(featx.__all__) <= set(dir(featx))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
