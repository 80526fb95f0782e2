"""Scores as data frames, with and without a file."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generated import tiny_models

import featx
from featx.errors import InputError, StorageError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tiny_models(tmp_path_factory.mktemp("frames"), 8, "lda")
    (root / "photos" / "=1+1.png").write_text("no image")
    return root


SETTINGS = (
    {},
    {"top": 2, "digest": True},
    {"abstain": 0.999, "sort": "confidence"},
    {"max_novelty": 0.5, "sort": "novelty"},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("source", ["photos", "f.h5"])
def test_a_frame_is_the_same_from_a_file_and_without(
    made: Path, tmp_path: Path, source: str, settings: dict[str, object]
) -> None:
    model = featx.load(made / "lda.featx")
    scored = featx.score(model, made / source, **settings)  # type: ignore[arg-type]
    frame = scored.to_frame()
    assert scored.out is None and scored.as_dict()["out"] is None
    assert len(frame) == scored.listed == (25 if source == "photos" else 24)
    assert frame["confidence"].dtype == frame["novelty"].dtype == np.float64
    assert (frame["status"] == "ok").sum() == scored.ok == 24
    assert frame["label"].notna().sum() == scored.ok - scored.undecided
    if source == "photos":
        bad = frame[frame["status"] != "ok"]
        assert bad["path"].tolist() == ["=1+1.png"] and bad["confidence"].isna().all()
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"s.{suffix}"
        written = featx.score(model, made / source, out, **settings)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(written.to_frame(), frame)
        for name in ("listed", "ok", "failed", "labels", "undecided"):
            assert getattr(written, name) == getattr(scored, name)
    assert not any("_" in name[:1] for name in scored.as_dict())


def test_a_model_that_is_not_saved_scores_into_a_frame(made: Path, tmp_path: Path) -> None:
    fitted = featx.fit(made / "f.h5", made / "again.featx", head="lda", overwrite=True)
    from dataclasses import replace

    unsaved = replace(fitted.model, digest="")
    told: list[tuple[int, int]] = []
    frame = featx.score(
        unsaved, made / "photos", progress=lambda *units: told.append(units[:2])
    ).to_frame()
    assert len(frame) == 25 and told[0] == (0, 25) and told[-1] == (25, 25)
    with pytest.raises(InputError, match=r"is not saved\..*leave out out, and call to_frame"):
        featx.score(unsaved, made / "photos", tmp_path / "s.csv")


def test_what_is_not_a_frame(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = featx.load(made / "lda.featx")
    for name in ("update", "excel"):
        with pytest.raises(InputError, match=f"{name} needs an output"):
            featx.score(model, made / "photos", **{name: True})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Unknown sort key"):
        featx.score(model, made / "photos", sort="size")  # type: ignore[call-arg]
    book = featx.score(model, made / "photos", tmp_path / "s.xlsx")
    with pytest.raises(InputError, match="is a workbook, which featx writes and does not read"):
        book.to_frame()
    out = tmp_path / "s.csv"
    scored = featx.score(model, made / "photos", out, excel=True)
    assert scored.to_frame().columns[0] == "path"
    out.write_text("path,label\na,b\n")
    with pytest.raises(InputError, match=r"s\.csv was written again since"):
        scored.to_frame()
    out.unlink()
    with pytest.raises(StorageError, match=r"s\.csv: No such file"):
        scored.to_frame()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'featx\[pandas\]'"):
        featx.score(model, made / "photos").to_frame()
