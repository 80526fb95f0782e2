"""The contact sheet."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from featx.cli import app
from featx.errors import InputError
from featx.images import augment, decode, sandbox
from featx.images.captions import _shape, caption, fitting_caption
from featx.images.preview import PreviewSettings, preview
from featx.storage import files

SMALL = PreviewSettings(images=4, augment="article", copies=3, seed=5, size=64)
GAP, CAPTION = 6, 19


def test_a_row_has_the_original_and_its_copies(photos: Path, tmp_path: Path) -> None:
    drawn = preview(photos, tmp_path / "sheet.png", SMALL)
    assert (drawn.images, drawn.skipped) == (4, [])
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (GAP + 4 * 70, 4 * (CAPTION + 70) + CAPTION + GAP)
        sheet = np.asarray(image)
    data = (photos / "blue" / "0.png").read_bytes()
    pixels = decode.decode(data, 64).pixels
    policy = augment.POLICIES["article"]
    copies = augment.augmented_copies(pixels, policy, 5, files.digest(data), 3)
    for column, copy in enumerate(copies):
        left, top = GAP + column * 70, 2 * CAPTION
        assert np.array_equal(sheet[top : top + 64, left : left + 64], copy)


def test_images_that_cannot_be_shown_are_listed(photos: Path, tmp_path: Path) -> None:
    (photos / "blue" / "0.png").write_bytes(b"")
    drawn = preview(photos, tmp_path / "sheet.jpg", SMALL)
    assert (drawn.images, drawn.skipped) == (3, [("blue/0.png", "empty", "the file has no bytes")])
    assert drawn.as_dict()["skipped"] == [
        {"path": "blue/0.png", "reason": "empty", "detail": "the file has no bytes"}
    ]
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"None of the 4 chosen images can be shown; .* empty"):
        preview(photos, tmp_path / "none.png", SMALL)
    assert not (tmp_path / "none.png").exists()


def test_a_decoder_that_crashes_costs_one_image(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(sandbox, "_PROGRAM", crash)
    with pytest.raises(InputError, match=r"can be shown; .*: unsupported"):
        preview(photos, tmp_path / "sheet.png", SMALL)


def test_wrong_settings(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected one that ends in \.png or \.jpg"):
        preview(photos, tmp_path / "sheet.txt", SMALL)
    with pytest.raises(InputError, match="images is 0"):
        preview(photos, tmp_path / "sheet.png", PreviewSettings(images=0))


@pytest.mark.parametrize("name", ["straße", "été", "Ωμέγα", "猫", "🐝"])
def test_captions_have_no_boxes(name: str) -> None:
    text, _, font = caption(name)
    missing = _shape(font, "\uffff")
    assert all(_shape(font, letter) != missing for letter in text)
    assert text == name or text.isascii()


def test_no_copies_need_no_other_option(photos: Path, tmp_path: Path) -> None:
    found = preview(photos, tmp_path / "sheet.png", PreviewSettings(copies=0, size=64))
    assert found.images == 6
    run = CliRunner().invoke(
        app.app, ["preview", str(photos), "-o", str(tmp_path / "s.png"), "--copies", "0"]
    )
    assert run.exit_code == 0


def test_a_caption_is_cut_in_its_middle_to_fit() -> None:
    text, color, font = fitting_caption(
        "train/ants/a very long name of a photograph.jpg", 120, "red"
    )
    assert font.getlength(text) <= 120 and color == "red"
    assert text.startswith("train") and text.endswith(".jpg") and "…" in text
    assert fitting_caption("short.jpg", 120)[0] == "short.jpg"
