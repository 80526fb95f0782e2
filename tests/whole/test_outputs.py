"""One rule for all outputs: none is replaced without --overwrite."""

import shutil
from pathlib import Path

import pytest
from generated import tiny_models
from typer.testing import CliRunner

from featx.cli import app


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("outputs"), 6, "lda")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fit {r}/f.h5 --head lda", "m2.featx"),
        ("compare {r}/f.h5 --heads lda --folds 2", "board.csv"),
        ("audit {r}/f.h5 --heads lda", "audit.csv"),
        ("score {r}/lda.featx {r}/f.h5", "s.csv"),
        ("export {r}/lda.featx", "m.keras"),
        ("preview {r}/photos", "sheet.png"),
        ("finetune {r}/lda.featx --unfreeze 1 --epochs 1", "t.featx"),
    ],
)
def test_no_output_is_replaced_unless_that_is_asked(
    made: Path, tmp_path: Path, command: str, name: str
) -> None:
    out = tmp_path / name
    arguments = [*command.format(r=made).split(), "-o", str(out)]
    if name.endswith(".featx"):
        shutil.copy(made / "lda.featx", out)
    else:
        out.write_text("mine")
    before = out.read_bytes()
    refused = CliRunner().invoke(app.app, arguments)
    assert refused.exit_code == 2 and "exists. Give another output, or add --overwrite" in (
        refused.stderr
    )
    assert out.read_bytes() == before
    if not name.startswith("t."):
        replaced = CliRunner().invoke(app.app, [*arguments, "--overwrite"])
        assert replaced.exit_code == 0, replaced.output
        assert out.read_bytes() != before or name == "m2.featx"
    assert [path.name for path in tmp_path.iterdir()] == [name]  # no lock, no part is left
