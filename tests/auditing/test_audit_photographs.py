"""The audit of real photographs; on random weights, since pixels decide."""

import shutil
from collections.abc import Callable
from pathlib import Path

from generated import TINY
from PIL import Image, ImageFilter, ImageOps

import featx


def test_doubles_and_rubbish_among_photographs(
    photographs: Callable[[str], Path], tmp_path: Path, report: Callable[[str], None]
) -> None:
    listed = featx.scan(photographs("hymenoptera"))
    chosen = range(0, len(listed), len(listed) // 60)
    expected: set[frozenset[str]] = set()
    rubbish: dict[str, str] = {}
    for number, index in enumerate(chosen):
        name = listed.classes[listed.labels[index]]
        path = tmp_path / "photos" / name / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(listed.file(index), path)
        double, bad = (
            path.with_name(f"double{number:02}.jpg"),
            path.with_name(f"bad{number:02}.jpg"),
        )
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if number % 12 == 0:
            image.resize((image.width // 2, image.height // 2)).save(double)
        elif number % 12 == 1:
            image.save(double, quality=40)
        elif number % 12 == 2:
            ImageOps.mirror(image).save(double)
        elif number % 12 == 3:
            image.filter(ImageFilter.GaussianBlur(max(image.size) / 60)).save(bad)
            rubbish[f"{name}/{bad.name}"] = "blurred"
        elif number % 12 == 4:
            Image.new("RGB", image.size, (number, 99, 160)).save(bad)
            rubbish[f"{name}/{bad.name}"] = "empty"
        if double.exists():
            expected.add(frozenset((f"{name}/{path.name}", f"{name}/{double.name}")))
    featx.extract(tmp_path / "photos", tmp_path / "f.h5", **TINY)
    found = featx.audit(tmp_path / "f.h5", heads=("lda",))
    pairs = {frozenset((pair.one, pair.two)) for g in found.duplicates for pair in g.pairs}
    assert {pair for pair in pairs if not pair & set(rubbish)} == expected
    assert {
        odd.path: odd.kind for odd in found.odd if odd.kind not in ("outlier", "unlike")
    } == rubbish
    report(f"audit of {found.images} photographs: all {len(expected)} doubles and {len(rubbish)} "
           f"pieces of rubbish were found, and nothing else, in {found.seconds:.1f} s")  # fmt: skip
