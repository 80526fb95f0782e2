import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from generated import TINY, forged, without_pools
from sklearn.preprocessing import normalize

import featx
from featx.cache.file import Cache
from featx.errors import CorruptError, IncompatibleError, InputError
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.views import make_view


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of six images with two copies each, at a cut with 2 × 2 places."""
    from generated import write_image

    root = tmp_path_factory.mktemp("cache")
    for number in range(6):
        write_image(root / "photos" / "ab"[number % 2] / f"{number}.png", number)
    featx.extract(root / "photos", root / "f.h5", copies=2, cut="block4_pool", **TINY)
    return root / "f.h5"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def test_views_of_the_features() -> None:
    features = np.arange(2 * 2 * 3 * 4, dtype=np.float16).reshape(2, 2, 3, 4)
    trunk = TrunkFingerprint("ab", "torch", "block5_pool", 64, "crop")
    made = Fingerprint(trunk, 0, "", 0, "float16", "float32")
    for name, image, expected in (
        ("avg", 0, [10, 11, 12, 13]),
        ("max", 0, [20, 21, 22, 23]),
        ("avgmax", 0, [10, 11, 12, 13, 20, 21, 22, 23]),
        ("flatten", 1, range(24, 48)),
    ):
        view = make_view(name, made, (2, 3, 4))
        rows = view.rows(without_pools(features))
        assert rows.dtype == np.float32 and rows.shape == (2, view.width)
        assert np.allclose(rows[image], np.array(expected) / np.linalg.norm(expected))
    with pytest.raises(InputError, match="Unknown view 'mean'"):
        make_view("mean", made)
    with pytest.raises(InputError, match="The view layers needs layer pools, which are not there"):
        make_view("layers", made)


def test_what_is_in_it(made: Path) -> None:
    with Cache.open(made) as opened:
        assert opened.features.shape == (6, 3, 2, 2, 512)
        assert opened.features.dtype == np.float16
        assert opened.features.chunks == (1, 1, 2, 2, 512)
        assert list(opened.catalog.paths) == [f"{'ab'[i % 2]}/{i}.png" for i in (0, 2, 4, 1, 3, 5)]
        assert opened.catalog.classes == ("a", "b")
        assert opened.sizes.tolist() == [[48, 36]] * 6
        assert opened.skipped == []
        assert opened.catalog.root == made.parent / "photos"


def test_a_cache_with_the_older_text_of_a_policy_is_read_and_reused(
    made: Path, copied: Path
) -> None:
    """Before, a fingerprint had the policy as Python prints it."""
    older = "Policy(rotation=10, shift=0.05, shear=0.0, zoom=(0.9, 1.1), flip=0.5)"
    with forged(copied) as file:
        fields = json.loads(file.attrs["fingerprint"])
        assert json.loads(fields["augment"]) == {
            "flip": 0.5, "rotation": 10, "shear": 0.0, "shift": 0.05, "zoom": [0.9, 1.1],
        }  # fmt: skip
        file.attrs["fingerprint"] = json.dumps(fields | {"augment": older})
    with Cache.open(made) as now, Cache.open(copied) as before:
        assert before.fingerprint == now.fingerprint
    again = featx.extract(made.parent / "photos", copied, copies=2, cut="block4_pool", **TINY)
    assert (again.forward, again.reused) == (0, 6)
    with forged(copied) as file:
        file.attrs["fingerprint"] = json.dumps(fields | {"augment": "Policy(rotation=open('x'))"})
    with pytest.raises(CorruptError):
        Cache.open(copied)


def test_any_hdf5_tool_reads_it(made: Path) -> None:
    with h5py.File(made) as file:
        assert set(file) == {"features", "pools", "images", "classes", "skipped"}
        assert file.attrs["format"] == "featx-cache"
        assert file["images/path"].asstr()[0] == "a/0.png"
        assert file["features"].compression == "gzip"


def test_matrix(made: Path) -> None:
    with Cache.open(made) as opened:
        X, y, image = opened.matrix("avg")
        assert X.shape == (18, 512) and X.dtype == np.float32
        assert image.tolist() == np.repeat(np.arange(6), 3).tolist()
        assert y.tolist() == np.repeat([0, 1], 9).tolist()
        whole = opened.features[()].astype(np.float32)
        means = whole.reshape(18, 2, 2, 512).mean(axis=(1, 2))
        assert np.allclose(X, normalize(means), rtol=1e-5)
        some = opened.matrix("flatten", images=np.array([4, 0, 1]), copies=0)
        assert np.allclose(some.X, normalize(whole[[4, 0, 1], 0].reshape(3, -1)), rtol=1e-5)
        assert some.image.tolist() == [4, 0, 1] and some.y.tolist() == [1, 0, 0]
        none = opened.matrix("max", images=np.array([], int))
        assert none.X.shape == (0, 512)


def test_digest_covers_every_byte(copied: Path) -> None:
    whole = copied.read_bytes()
    for place in (3, 500, 600, len(whole) // 2, len(whole) - 1):
        copied.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CorruptError, match="its bytes are not those that were written"):
            Cache.open(copied)
    copied.write_bytes(whole)
    Cache.open(copied).close()


@pytest.mark.parametrize("length", [0, 100, 512, 3000, -1])
def test_cut_files_are_refused(copied: Path, length: int) -> None:
    copied.write_bytes(copied.read_bytes()[:length])
    with pytest.raises(CorruptError, match="is not a whole featx cache"):
        Cache.open(copied)


def change(path: Path, name: str, value: object) -> None:
    with forged(path) as file:
        if name in file.attrs:
            file.attrs[name] = value
        else:
            del file[name]
            if value is not None:
                file[name] = value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "other", "its format is not featx-cache 3"),
        ("fingerprint", "{}", "is not a whole featx cache"),
        ("features", None, "/features is missing"),
        (
            "features",
            np.zeros((5, 3, 2, 2, 512), np.float16),
            "is not kept image by image",
        ),
        ("images/label", np.full(6, 7, np.int32), "a label is outside the 2 classes"),
        ("images/label", np.zeros(5, np.int32), "features have the shape"),
        ("images/path", h5py.SoftLink("/images/digest"), "/images/path is missing or is a link"),
        (
            "images/path",
            h5py.ExternalLink("other.h5", "/x"),
            "/images/path is missing or is a link",
        ),
    ],
)
def test_other_content_is_refused(copied: Path, name: str, value: object, message: str) -> None:
    change(copied, name, value)
    with pytest.raises(CorruptError, match=message):
        Cache.open(copied)


def test_data_elsewhere_is_refused(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(1000))
    with forged(copied) as file:
        del file["images/label"]
        file.create_dataset(
            "images/label", (6,), np.int32, external=[(str(tmp_path / "secret"), 0, 24)]
        )
    with pytest.raises(CorruptError, match="/images/label keeps its data elsewhere"):
        Cache.open(copied)


def test_other_versions_are_incompatible(copied: Path) -> None:
    with forged(copied, version=99):
        pass
    with pytest.raises(IncompatibleError, match="cache version 99; this featx reads up to 5"):
        Cache.open(copied)


def test_missing_file() -> None:
    with pytest.raises(InputError, match=r"does not exist\. Make it with: featx extract"):
        Cache.open("nowhere.h5")


def test_fingerprints() -> None:
    trunk = TrunkFingerprint("ab", "torch", "block5_pool", 64, "crop")
    one = Fingerprint(trunk, 2, "mild", 1, "float16", "float32")
    assert Fingerprint.from_json(one.as_json()) == one
    assert one.shape == (3, 2, 2, 512)
    other = Fingerprint(TrunkFingerprint("ab", "torch", "block5_pool", 96, "crop"), 2, "mild", 2,
                        "float16", "float32")  # fmt: skip
    assert one.differences(other) == {"size": (64, 96), "seed": (1, 2)}
    assert one.differences(one) == {}
