"""The documents: their links lead somewhere, and the Python of two pages runs."""

import re
from pathlib import Path

import pytest

import featx

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


def run_page(name: str) -> dict[str, object]:
    """Run the Python of a page, block by block, and return the names that it leaves."""
    page = ROOT / "docs" / name
    text = page.read_text()
    names: dict[str, object] = {"__name__": page.stem}
    found = list(re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S))
    assert len(found) >= 6
    for block in found:
        # The empty lines make a traceback name the line of the page.
        lines = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines + block[1], str(page), "exec"), names)
    return names


def test_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page("python.md")["calls"], "verify reported no progress"


def test_the_tutorial_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    before = pyplot.get_backend()
    pyplot.switch_backend("Agg")
    try:
        run_page("tutorial.md")
        plots = len(pyplot.get_fignums())
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)
    text = (ROOT / "docs" / "tutorial.md").read_text()
    printed = capsys.readouterr().out.splitlines()
    said = re.findall(r"^print\(.*\)  # (.*)$", text, re.M)
    assert said and [line for line in said if line not in printed] == []
    assert plots == len(re.findall(r"\.plot\w*\(.*\)$", text, re.M))
    assert {path.name for path in tmp_path.iterdir()} >= {"model.featx", "scores.csv", "mine.featx"}


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
