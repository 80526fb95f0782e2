"""Layer pools in the cache: kept, found again, brought up to date, and seen by heads."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from generated import TINY, forged, write_image

import featx
from featx.errors import CorruptError, IncompatibleError, InputError
from featx.network.networks import get_network

VGG16 = get_network("vgg16")
SIX = tuple(f"block{block}_conv{number}" for block in (4, 5) for number in (1, 2, 3))


@pytest.fixture
def cache(photos: Path, tmp_path: Path) -> Path:
    featx.extract(photos, tmp_path / "f.h5", **TINY)
    return tmp_path / "f.h5"


@pytest.fixture
def old(photos: Path, tmp_path: Path) -> Path:
    """Return a cache as featx made them before it pooled layers."""
    featx.extract(photos, tmp_path / "old.h5", layers=(), **TINY)
    return tmp_path / "old.h5"


def test_blocks_4_and_5_are_pooled_up_to_the_cut(cache: Path) -> None:
    with featx.Cache.open(cache) as opened:
        assert opened.fingerprint.layers == SIX == VGG16.pooled_until("block5_pool")
        assert opened.pools is not None and opened.pools.shape == (24, 1, 1, 6 * 1024)
        assert opened.pools.dtype == np.float16
        X = opened.matrix("layers").X
        assert X.shape == (24, 6 * 1024)
    assert VGG16.pooled_until("block4_pool") == SIX[:3]
    assert VGG16.pooled_until("block3_pool") == ()
    with h5py.File(cache) as file:  # any HDF5 tool reads it
        assert file["pools"].chunks == (1, 1, 1, 6 * 1024)


def test_features_are_the_same_with_and_without(cache: Path, old: Path) -> None:
    with featx.Cache.open(cache) as one, featx.Cache.open(old) as other:
        assert np.array_equal(one.features[()], other.features[()])
        assert other.pools is None and other.as_dict()["version"] == 1


def test_an_update_computes_only_what_is_new(cache: Path, photos: Path) -> None:
    write_image(photos / "blue" / "new.png", 99)
    found = featx.extract(photos, cache, **TINY)
    assert (found.computed, found.cached) == (1, 25)
    with featx.Cache.open(cache) as opened:
        assert opened.pools is not None and len(opened.pools) == 25
        paths = opened.catalog.paths.tolist()
        fresh = opened.pools[paths.index("blue/new.png")]
    assert featx.extract(photos, cache, overwrite=True, **TINY).computed == 25
    with featx.Cache.open(cache) as opened:
        assert opened.pools is not None
        assert np.array_equal(opened.pools[paths.index("blue/new.png")], fresh)
    assert not featx.verify(cache).problems


def test_a_cache_of_before_is_kept_up_to_date_and_compares_and_fits(
    old: Path, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(photos / "red" / "new.png", 98, hue=2)
    with caplog.at_level(logging.INFO, "featx"):
        assert featx.extract(photos, old, **TINY).computed == 1
    assert "The cache has no layer pools" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "featx"):
        fitted = featx.fit(old, tmp_path / "m.featx", folds=2)
    assert "no layer pools" in caplog.text and "extract" in caplog.text
    assert fitted.leaderboard is not None
    views = {(entry.head, entry.view) for entry in fitted.leaderboard.entries}
    assert ("kernel-ridge", "covariance") in views
    assert not any(view == "layers" for _, view in views)
    with pytest.raises(InputError, match="The view layers needs layer pools"):
        featx.fit(old, tmp_path / "n.featx", head="ridge", view="layers")


def test_other_layers_are_another_cache(cache: Path, photos: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"layers: .*block4_conv1"):
        featx.extract(photos, cache, layers=("block5_conv3",), **TINY)
    with pytest.raises(InputError, match="Unknown layer 'block6_conv1'"):
        featx.extract(photos, cache, layers=("block6_conv1",), **TINY)
    with pytest.raises(InputError, match=r"Unknown quality 'bets'.*Did you mean 'best'"):
        featx.extract(photos, cache, quality="bets")


def test_quality_is_a_preset_that_what_is_given_overrules(photos: Path, tmp_path: Path) -> None:
    found = featx.extract(
        photos, tmp_path / "b.h5", quality="best", weights="random", size=(32, 64)
    )
    made = found.fingerprint
    assert (made.trunk.size, made.sizes, made.mirror) == (32, (64,), True)
    with featx.Cache.open(tmp_path / "b.h5") as opened:
        assert opened.pools is not None and opened.pools.shape == (24, 1, 4, 6 * 1024)
    again = featx.extract(
        photos, tmp_path / "b.h5", quality="best", weights="random", size=(32, 64)
    )
    assert again.computed == 0


@pytest.mark.parametrize("head", ["ridge", "kernel-ridge"])
@pytest.mark.parametrize("view", ["layers", "covariance"])
def test_images_score_as_their_cache_does(
    head: str, view: str, photos: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "f.h5"
    featx.extract(photos, cache, weights="random", size=(32, 64), mirror=True)
    fitted = featx.fit(cache, tmp_path / "m.featx", head=head, view=view)
    model = featx.load(tmp_path / "m.featx")
    assert model.view.name == view and model.head_name == head
    # A model sees no more than it needs.
    assert bool(model.fingerprint.layers) == bool(model.fingerprint.sizes) == (view == "layers")
    featx.score(model, photos, tmp_path / "files.csv")
    featx.score(model, cache, tmp_path / "cache.csv")
    assert (tmp_path / "files.csv").read_bytes() == (tmp_path / "cache.csv").read_bytes()
    paths = sorted(photos.rglob("*.png"))[:3]
    with featx.Cache.open(cache) as opened:
        rows = opened.matrix(model.view, images=np.arange(3)).X
    assert np.allclose(model.predict_proba(paths), fitted.model.predict_proba_rows(rows), atol=1e-4)


def test_a_cache_without_what_a_model_sees_is_refused(
    cache: Path, old: Path, tmp_path: Path
) -> None:
    featx.fit(cache, tmp_path / "m.featx", head="ridge", view="layers")
    with pytest.raises(IncompatibleError, match="lacks what the model sees: pools of block4_conv1"):
        featx.score(tmp_path / "m.featx", old, tmp_path / "s.csv")
    featx.fit(old, tmp_path / "c.featx", head="ridge", view="covariance")
    featx.score(tmp_path / "c.featx", cache, tmp_path / "s.csv")  # it needs none


def test_forged_pools_are_refused(cache: Path, tmp_path: Path) -> None:
    whole = cache.read_bytes()
    with forged(cache, 3) as file:
        del file["pools"]
        file["pools"] = np.zeros((24, 1, 1, 6 * 1024), np.float16)
    with pytest.raises(CorruptError, match="/pools is not kept image by image"):
        featx.Cache.open(cache)
    cache.write_bytes(whole)
    with forged(cache, 3) as file:
        del file["pools"]
    with pytest.raises(CorruptError, match="/pools is missing"):
        featx.Cache.open(cache)
