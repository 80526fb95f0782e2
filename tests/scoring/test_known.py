"""Folders that grow: what is known is not computed again, and the output is the same."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from generated import class_folders, tiny_models, write_image
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.errors import CorruptError, InputError
from featx.scoring.known import KnownScores
from featx.scoring.tables import CsvTable
from featx.storage.unfinished import Shards


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("known"), 8, "lda", "logreg")


def grown(inbox: Path) -> None:
    """Add, change, rename and remove an image."""
    write_image(inbox / "red" / "new.png", 901, 0)
    write_image(inbox / "red" / "1.png", 902, 1)
    (inbox / "blue" / "2.png").rename(inbox / "blue" / "renamed.png")
    (inbox / "green" / "3.png").unlink()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_only_what_is_new_is_computed_and_the_bytes_are_those_of_a_whole_run(
    made: Path, tmp_path: Path, suffix: str
) -> None:
    inbox = class_folders(tmp_path / "inbox", 4)
    (inbox / "red" / "bad.png").write_bytes(b"junk")
    out, whole = tmp_path / f"s.{suffix}", tmp_path / f"w.{suffix}"
    model = featx.load(made / "lda.featx")
    first = featx.score(model, inbox, out, update=True)
    assert (first.listed, first.ok, first.reused) == (13, 12, 0)
    same = featx.score(model, inbox, out, update=True)
    assert same.reused == 12 and same.failed == {"not_image": 1}
    grown(inbox)
    again = featx.score(model, inbox, out, update=True)
    assert (again.listed, again.reused) == (13, 10)
    featx.score(model, inbox, whole)
    assert out.read_bytes() == whole.read_bytes()
    fewer = featx.score(model, inbox, out, update=True, top=1, abstain=0.9, digest=True)
    assert fewer.reused == 12
    featx.score(model, inbox, whole, overwrite=True, top=1, abstain=0.9, digest=True)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["inbox", out.name, f"{out.name}.known", whole.name]
    )


def test_scores_of_another_model_or_way_are_not_used(made: Path, tmp_path: Path) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 2), tmp_path / "s.csv"
    featx.score(made / "lda.featx", inbox, out, update=True)
    other = featx.score(made / "logreg.featx", inbox, out, update=True)
    assert other.reused == 0
    featx.score(made / "logreg.featx", inbox, tmp_path / "w.csv")
    assert out.read_bytes() == (tmp_path / "w.csv").read_bytes()
    slow = featx.load(made / "logreg.featx", runtime="openvino")
    assert featx.score(slow, inbox, out, update=True).reused == 0
    assert featx.score(slow, inbox, out, update=True, overwrite=True).reused == 0


def test_a_run_that_was_interrupted_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 4), tmp_path / "s.csv"
    model = featx.load(made / "lda.featx")
    featx.score(model, inbox, out, update=True)
    before = out.read_bytes()
    grown(inbox)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(CsvTable, "join", stopped)
        featx.score(model, inbox, out, update=True)
    assert out.read_bytes() == before
    write_image(inbox / "red" / "later.png", 903, 0)  # more has come since
    again = featx.score(model, inbox, out, update=True)
    assert (again.listed, again.resumed, again.reused) == (13, 0, 12)
    featx.score(model, inbox, tmp_path / "w.csv")
    assert out.read_bytes() == (tmp_path / "w.csv").read_bytes()


@pytest.mark.parametrize("point", ["save", "remove"])
def test_a_run_that_was_stopped_at_its_end_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 2), tmp_path / "s.csv"
    model = featx.load(made / "lda.featx")
    kind = {"save": KnownScores, "remove": Shards}[point]
    whole, calls = getattr(kind, point), []

    def stopped(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 2:  # the first is before the work
            raise KeyboardInterrupt
        whole(*given)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(kind, point, stopped)
        featx.score(model, inbox, out, update=True)
    assert out.exists()
    again = featx.score(model, inbox, out, update=True)
    assert again.reused == 6 and not list(tmp_path.glob("*.shards"))
    (tmp_path / "s.csv.known").unlink()
    with pytest.raises(InputError, match="not written with --update"):
        featx.score(model, inbox, out, update=True)


def test_an_overwriting_update_that_was_stopped_goes_on_as_its_message_says(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 1), tmp_path / "s.csv"
    model = featx.load(made / "lda.featx")
    featx.score(model, inbox, out)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Shards, "begin", stopped)
        featx.score(model, inbox, out, update=True, overwrite=True)
    assert featx.score(model, inbox, out, update=True).ok == 3


def test_a_flipped_byte_of_what_is_known_is_seen(made: Path, tmp_path: Path) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 1), tmp_path / "s.csv"
    featx.score(made / "lda.featx", inbox, out, update=True)
    known = tmp_path / "s.csv.known"
    data = known.read_bytes()
    for at in range(len(data) - 200, len(data), 7):
        known.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CorruptError, match="is damaged"):
            featx.score(made / "lda.featx", inbox, out, update=True)


def test_what_cannot_be_updated(made: Path, tmp_path: Path) -> None:
    inbox, out = class_folders(tmp_path / "inbox", 1), tmp_path / "s.csv"
    featx.score(made / "lda.featx", inbox, out)
    with pytest.raises(InputError, match=r"not written with --update, .*--update --overwrite"):
        featx.score(made / "lda.featx", inbox, out, update=True)
    featx.score(made / "lda.featx", inbox, out, update=True, overwrite=True)
    with pytest.raises(InputError, match=r"exists\. Give another output"):
        featx.score(made / "lda.featx", inbox, out)
    with pytest.raises(InputError, match="--update is for images"):
        featx.score(made / "lda.featx", made / "f.h5", tmp_path / "c.csv", update=True)
    (tmp_path / "s.csv.known").write_bytes(b"junk")
    with pytest.raises(CorruptError, match="is damaged"):
        featx.score(made / "lda.featx", inbox, out, update=True)


def test_the_command(made: Path, tmp_path: Path) -> None:
    inbox = class_folders(tmp_path / "inbox", 1)
    shutil.copy(made / "lda.featx", tmp_path)
    command = ["score", str(tmp_path / "lda.featx"), str(inbox), "-o", str(tmp_path / "s.csv"),
               "--update"]  # fmt: skip
    assert CliRunner().invoke(app.app, command).exit_code == 0
    write_image(inbox / "red" / "new.png", 901, 0)
    told = CliRunner().invoke(app.app, command)
    assert told.exit_code == 0 and "3 of them were known from an earlier run" in told.stdout
