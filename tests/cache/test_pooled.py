"""Caches that keep the mean and maximum of the features at the cut, and not the features."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from generated import TINY, class_folders, forged, write_image

import featx
from featx.cache.parts import Part
from featx.cache.structure import VERSIONS
from featx.errors import CorruptError, IncompatibleError, InputError
from featx.finetuning.cut import cache_at
from featx.heads.registry import HEADS
from featx.network.activations import Activations
from featx.network.fingerprint import Fingerprint

ONE_LAYER = {"weights": "random", "size": 64, "layers": ("block5_conv3",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/, and a full and a pooled cache of them with a copy of each."""
    root = tmp_path_factory.mktemp("pooled")
    class_folders(root / "photos", 4)
    featx.extract(root / "photos", root / "all.h5", copies=1, **ONE_LAYER)
    featx.extract(root / "photos", root / "pooled.h5", copies=1, keep="pooled", **ONE_LAYER)
    return root


@pytest.fixture
def pooled(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the pooled cache, that a test may change."""
    (tmp_path / "p.h5").write_bytes((made / "pooled.h5").read_bytes())
    return tmp_path / "p.h5"


def test_rows_are_those_of_a_full_cache_to_the_last_bit(made: Path) -> None:
    chosen = np.array([7, 0, 3])
    with featx.Cache.open(made / "all.h5") as full, featx.Cache.open(made / "pooled.h5") as some:
        assert some.as_dict()["version"] == 4 and some.as_dict()["shape"] == [12, 2, 1024]
        for view in ("avg", "max", "avgmax", "layers"):
            for images in (None, chosen):
                X = some.matrix(view, images=images).X
                assert X.any() and X.tobytes() == full.matrix(view, images=images).X.tobytes()
        assert some.to_frame("avg").equals(full.to_frame("avg"))
        before = some.matrix("max").X
        assert np.array_equal(some.matrix("max").X, before)  # no row is scaled where it is kept
    with h5py.File(made / "pooled.h5") as file:  # any HDF5 tool reads it
        assert "features" not in file and file["cut_pools"].dtype == "float32"
    assert not featx.verify(made / "pooled.h5").problems


def test_what_needs_the_features_says_how_to_have_them(made: Path, tmp_path: Path) -> None:
    cache, out = made / "pooled.h5", tmp_path / "m.featx"
    for view in ("flatten", "covariance"):
        with pytest.raises(InputError, match=rf"The view {view} .*without --keep pooled"):
            featx.fit(cache, out, head="ridge", view=view)
    with featx.Cache.open(cache) as opened, featx.Cache.open(made / "all.h5") as full:
        with pytest.raises(IncompatibleError, match="without --keep pooled"):
            opened.features  # noqa: B018
        fitted = featx.network.views.make_view("flatten", full.fingerprint)
        with pytest.raises(IncompatibleError, match="without --keep pooled"):
            opened.matrix(fitted)  # a view that was made for another cache
    model = featx.fit(made / "all.h5", out, head="ridge", view="covariance").model
    with pytest.raises(IncompatibleError, match="without --keep pooled"):
        featx.score(model, cache, tmp_path / "s.csv")
    with pytest.raises(IncompatibleError, match="without --keep pooled"):
        cache_at("block5_pool", model, cache, out, None)


def test_a_model_is_the_one_of_a_full_cache(made: Path, tmp_path: Path) -> None:
    scores = []
    for name in ("all", "pooled"):
        model = featx.fit(
            made / f"{name}.h5", tmp_path / f"{name}.featx", head="ridge", view="layers"
        ).model
        assert model.fingerprint.keep == "all"
        for number, source in enumerate((made / "photos", made / "all.h5", made / "pooled.h5")):
            out = tmp_path / f"{name}{number}.csv"
            featx.score(tmp_path / f"{name}.featx", source, out)
            scores.append(out.read_bytes())
    assert len(scores) == 6 and len(set(scores)) == 1


def test_heads_are_compared_on_what_is_there(made: Path) -> None:
    found = featx.compare(made / "pooled.h5", heads=("ridge",), folds=2, repeats=1)
    assert {(entry.head, entry.view) for entry in found.entries} == {
        ("dummy", "avg"), ("ridge", "avgmax"), ("ridge", "layers")
    }  # fmt: skip
    with featx.Cache.open(made / "pooled.h5") as cache:
        bare = replace(cache.fingerprint, layers=())
    for head in HEADS.values():
        assert head.views_in(bare) and set(head.views_in(bare)) <= {"avg", "max", "avgmax"}


def test_an_update_follows_what_is_there(pooled: Path, made: Path, tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", 4)
    write_image(tmp_path / "photos" / "red" / "new.png", 99)
    found = featx.extract(tmp_path / "photos", pooled, copies=1, prune=True, **ONE_LAYER)
    assert found.computed == 2 and found.fingerprint.keep == "pooled"
    with pytest.raises(IncompatibleError, match="keep: pooled there, all now"):
        featx.extract(tmp_path / "photos", pooled, copies=1, keep="all", **ONE_LAYER)
    with pytest.raises(IncompatibleError, match="keep: all there, pooled now"):
        featx.extract(made / "photos", made / "all.h5", copies=1, keep="pooled", **ONE_LAYER)
    with pytest.raises(InputError, match=r"Unknown keep 'pools'.*Did you mean 'pooled'"):
        featx.extract(made / "photos", tmp_path / "q.h5", keep="pools", **TINY)  # type: ignore[arg-type]
    rows = featx.ImageFeatures("avg", cache=pooled).fit_transform([made / "photos/red/0.png"])
    with featx.Cache.open(made / "all.h5") as full:
        at = full.catalog.paths.tolist().index("red/0.png")
        assert rows.tobytes() == full.matrix("avg", images=np.array([at]), copies=0).X.tobytes()


def test_a_folder_keeps_pools_too(made: Path, tmp_path: Path) -> None:
    featx.extract(made / "photos", tmp_path / "p.d", copies=1, keep="pooled", **ONE_LAYER)
    with featx.Cache.open(tmp_path / "p.d") as found, featx.Cache.open(made / "all.h5") as full:
        assert found.as_dict()["version"] == 5
        for view in ("avgmax", "layers"):
            assert found.matrix(view).X.tobytes() == full.matrix(view).X.tobytes()
    part = Part(next((tmp_path / "p.d" / "parts").iterdir()))
    assert len(part.chunks(0)) == 4  # pools of the cut and of layers, of an image and its copy


def test_the_fingerprint_of_a_full_cache_is_the_text_that_it_was(made: Path) -> None:
    with h5py.File(made / "all.h5") as file:
        assert "keep" not in file.attrs["fingerprint"]
    with featx.Cache.open(made / "all.h5") as full:
        assert full.as_dict()["version"] == 3


def _without(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


def _replaced(name: str, shape: tuple[int, ...], dtype: str = "float32") -> Callable[..., None]:
    def change(file: h5py.File) -> None:
        del file[name]
        made = file.create_dataset(
            name, shape, dtype, chunks=(1, 1, *shape[2:]), compression="gzip", compression_opts=1
        )
        made[:] = 0

    return change


def _grouped(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return change


def _settings(old: str, new: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        assert old in file.attrs["fingerprint"]
        file.attrs["fingerprint"] = file.attrs["fingerprint"].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("cut_pools"), "/cut_pools is missing"),
        (_without("pools"), "/pools is missing"),
        (_replaced("cut_pools", (12, 2, 1024), "float64"), "the type float64"),
        (_replaced("cut_pools", (12, 2, 512)), r"the shape \(12, 2, 512\)"),
        (_replaced("cut_pools", (11, 2, 1024)), r"the shape \(11, 2, 1024\)"),
        (_replaced("cut_pools", (12, 2, 2, 512)), "not kept image by image"),
        (_settings('"keep": "pooled", ', ""), "/features is missing"),
        (_settings('"pooled"', '"more"'), "Unknown keep 'more'"),
        (_settings('"pooled"', "[1]"), "Unknown keep"),
        (_settings('"copies": 1', '"copies": 3'), "the shape"),
        (_grouped("cut_pools"), "/cut_pools is of another kind"),
        (_grouped("images/label"), "/images/label is of another kind"),
        (_without("classes"), "/classes is missing"),
    ],
)
def test_forged_pools_of_the_cut_are_refused(
    change: Callable[[h5py.File], None], message: str, pooled: Path
) -> None:
    with forged(pooled) as file:
        change(file)
    with pytest.raises(CorruptError, match=message):
        featx.Cache.open(pooled)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["features", "pools", "cut_pools", "parts", "removed", "more"])
def test_no_link_is_followed_whatever_the_version(name: str, version: int, pooled: Path) -> None:
    target = pooled.with_name("elsewhere.h5")
    with h5py.File(target, "w") as file:
        file["x"] = np.zeros((12, 2, 1024), np.float32)
    with forged(pooled, version) as file:
        with contextlib.suppress(KeyError):
            del file[name]
        file[name] = h5py.ExternalLink(str(target), "/x")
        file.attrs["version"] = version
    with pytest.raises(CorruptError, match=r"is missing or is a link|is in no file of version"):
        featx.Cache.open(pooled)


def test_activations_without_columns_keep_their_axes() -> None:
    trunk = featx.network.fingerprint.TrunkFingerprint("0" * 64, "caffe", "block5_pool", 64, "crop")
    made = Fingerprint(trunk, 1, "", 0, "float16", "float32", keep="pooled")
    assert made.cut_pools_shape == (2, 1024)
    pools = np.zeros((3, 2, 1, 0), np.float16)
    some = Activations(np.zeros((3, 2, 2, 2, 0), np.float16), pools, np.ones((3, 2, 1024), "f4"))
    assert some.flat().folded(2).features.shape == (3, 2, 2, 2, 0)
    assert some.nbytes == 3 * 2 * 1024 * 4 and some.finite.tolist() == [True] * 3
    assert some.cut_pools is not None
    some.cut_pools[1, 0, 5] = np.inf
    assert some.finite.tolist() == [True, False, True]
    assert len(Activations.joined([some.take(np.array([2])), some]).originals.cut_pools) == 4  # type: ignore[arg-type]
