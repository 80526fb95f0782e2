"""Features of the same images from several caches, side by side."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, class_folders

import featx
from featx.cache.beside import match_rows, place_beside
from featx.errors import IncompatibleError, InputError
from featx.network.fingerprint import Fingerprint
from featx.network.views import make_view

OTHER = {"weights": "random", "size": 64, "cut": "block4_pool"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with caches of the same images; in c.h5 they have other names and order."""
    root = tmp_path_factory.mktemp("beside")
    class_folders(root / "p", 4)
    shutil.copyfile(root / "p" / "red" / "0.png", root / "p" / "red" / "0-copy.png")
    for name in ("blue", "green", "red"):
        (root / "q" / name).mkdir(parents=True)
        for path in sorted((root / "p" / name).iterdir()):
            shutil.copyfile(path, root / "q" / name / f"{9 - ord(path.stem[0]) % 9}{path.name}")
    featx.extract(root / "p", root / "a.h5", **TINY, copies=1)
    featx.extract(root / "p", root / "b.h5", **OTHER, copies=1)
    featx.extract(root / "q", root / "c.h5", **OTHER, copies=1)
    return root


@pytest.mark.parametrize("view", ["avg", "avgmax", "layers", "covariance"])
def test_rows_are_those_of_each_cache_and_have_length_1(made: Path, view: str) -> None:
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        joint = place_beside([a, b])
        found = joint.matrix(view)
        each = [one.matrix(view) for one in (a, b)]
        assert np.allclose(found.X, np.hstack([one.X for one in each]) / np.sqrt(2), atol=1e-6)
        assert np.array_equal(found.y, each[0].y) and np.array_equal(found.image, each[0].image)
        widths = make_view(view, joint.fingerprint).widths
        assert sum(widths.values()) == found.X.shape[1]
        assert len(widths) == sum(len(make_view(view, one.fingerprint).widths) for one in (a, b))


def test_images_are_matched_by_their_content(made: Path) -> None:
    with (
        featx.Cache.open(made / "a.h5") as a,
        featx.Cache.open(made / "b.h5") as b,
        featx.Cache.open(made / "c.h5") as c,
    ):
        rows = match_rows(a, c)
        assert sorted(rows) == list(range(len(a))) and list(rows) != sorted(rows)
        assert list(c.digests[rows]) == list(a.digests)
        chosen = np.array([7, 2, 3])
        one, other = (place_beside([a, x]).matrix("avg", images=chosen).X for x in (b, c))
        assert np.array_equal(one, other)


def test_an_array_of_all_features_is_refused_and_a_frame_is_not(made: Path) -> None:
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        joint = place_beside([a, b])
        for name in ("features", "datasets"):
            with pytest.raises(IncompatibleError, match="side by side"):
                getattr(joint, name)
        assert joint.paths == (made / "a.h5", made / "b.h5")
        assert list(joint.to_frame("avg").columns)[-1] == "vgg16 block4_pool block4_pool_avg_511"
        joint.close()
        assert len(a.features) == len(a)  # still open


@pytest.mark.parametrize("kind", ["missing", "label", "split", "twice"])
def test_other_images_labels_or_splits_are_refused_by_name(
    made: Path, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(made / "p", folder)
    if kind == "missing":
        (folder / "red" / "1.png").unlink()
    if kind == "label":
        (folder / "red" / "1.png").rename(folder / "blue" / "r1.png")
    if kind == "twice":
        shutil.copyfile(folder / "red" / "2.png", folder / "red" / "22.png")
    if kind == "split":
        (tmp_path / "s").mkdir()
        folder = folder.rename(tmp_path / "s" / "train").parent
    featx.extract(folder, tmp_path / "b.h5", **OTHER, copies=1)
    words = {
        "missing": r"1 image \(red/1.png\) of .*a.h5 is not in .*b.h5",
        "label": r"1 image \(red/1.png\) has another label in .*b.h5 than in .*a.h5",
        "split": r"12 images \(blue/0.png, blue/1.png, blue/2.png and 9 more\) have another split",
        "twice": "the same file is listed more often in one of them",
    }[kind]
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(tmp_path / "b.h5") as b:
        with pytest.raises(InputError, match=words) as caught:
            place_beside([a, b])
        assert "featx extract" in str(caught.value)


def test_other_copies_are_refused(made: Path, tmp_path: Path) -> None:
    featx.extract(made / "p", tmp_path / "b.h5", **OTHER)
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(tmp_path / "b.h5") as b:
        with pytest.raises(InputError, match="copies: 1 and 0"):
            place_beside([a, b])
        crop = b.fingerprint
        squash = replace(crop, trunk=replace(crop.trunk, resize="squash"))
        with pytest.raises(InputError, match="resize: 'squash' and 'crop'"):
            replace(squash, also=(crop,))


def test_a_joint_fingerprint_survives_json_and_one_alone_is_as_it_was(made: Path) -> None:
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        joint = place_beside([a, b]).fingerprint
        assert Fingerprint.from_json(joint.as_json()) == joint
        assert joint.each == (a.fingerprint, b.fingerprint)
        assert joint.sizes_in_all == (32, 64)
        assert '"also"' not in a.fingerprint.as_json()
        assert joint.gmac == pytest.approx(a.fingerprint.gmac + b.fingerprint.gmac)
        assert b.fingerprint.gmac == pytest.approx(4 * a.fingerprint.gmac)
