"""What a head sees of an image: pools of layers, covariance, lengths, blocks."""

from dataclasses import replace

import numpy as np
import pytest

from featx.errors import InputError
from featx.network.activations import Activations, Pass, PooledLayers
from featx.network.covariance import Projection
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.network.views import VIEWS, make_view

MADE = Fingerprint(
    TrunkFingerprint("0" * 64, "torch", "block5_pool", 224, "crop"),
    copies=0, augment="", seed=0, dtype="float16", precision="float32",
    layers=("block4_conv3", "block5_conv3"),
)  # fmt: skip


def activations(made: Fingerprint = MADE, count: int = 6, seed: int = 0) -> Activations:
    """Return what a network could give for images."""
    random = np.random.default_rng(seed)
    features = np.maximum(random.normal(size=(count, *made.trunk.shape)), 0)
    pools = np.maximum(random.normal(size=(count, *made.pooled.shape)), 0)
    return Activations(features.astype(np.float16), pools.astype(np.float16))


@pytest.mark.parametrize("name", VIEWS)
def test_rows_have_length_one_and_do_not_depend_on_their_neighbours(name: str) -> None:
    images = activations()
    view = make_view(name, MADE)
    view = view.fitted([Activations(images.features[:, np.newaxis], images.pools[:, np.newaxis])])
    rows = view.rows(images)
    assert rows.dtype == np.float32 and rows.shape == (6, view.width)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(view.rows(images.take(np.array([4]))), rows[4:5])
    assert view.rows(images.take(slice(0, 0))).shape == (0, view.width)


def test_layers_are_square_roots_of_means_and_maxima_each_of_equal_length() -> None:
    images, view = activations(), make_view("layers", MADE)
    assert view.widths == {"block4_conv3 at 224": 1024, "block5_conv3 at 224": 1024}
    rows = view.rows(images)
    for start in range(0, 2048, 512):
        root = np.sqrt(images.pools[:, 0, start : start + 512].astype(np.float64))
        root /= np.linalg.norm(root, axis=1, keepdims=True)
        assert np.allclose(rows[:, start : start + 512], root / 2, atol=1e-6)


def test_mirrored_images_are_averaged_and_sizes_stand_side_by_side() -> None:
    made = replace(MADE, sizes=(320,), mirror=True)
    assert made.pooled.passes == [Pass(224), Pass(224, True), Pass(320), Pass(320, True)]
    images, view = activations(made), make_view("layers", made)
    assert list(view.widths) == [f"{name} at {size}" for size in (224, 320) for name in MADE.layers]
    swapped = Activations(images.features, images.pools[:, [1, 0, 3, 2]])
    assert np.allclose(view.rows(images), view.rows(swapped), atol=1e-6)
    alone = make_view("layers", MADE)
    plain, mirrored = (
        alone.rows(Activations(images.features, images.pools[:, [number]])) for number in (2, 3)
    )
    both = plain + mirrored
    expected = both / np.linalg.norm(both, axis=1, keepdims=True)
    half = view.rows(images)[:, 2048:]
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    assert np.allclose(half, expected, atol=0.01)  # blocks of a sum differ a little in length


@pytest.mark.parametrize("side", [3, 10])  # fewer and more positions than directions
def test_covariance_is_the_square_root_of_the_covariance_of_the_positions(side: int) -> None:
    random = np.random.default_rng(0)
    features = np.maximum(random.normal(size=(5, side, side, 64)), 0).astype(np.float32)
    projection = Projection.of([features])
    assert projection.directions.shape == (64, 64)
    rows = projection.rows(features)
    for image, row in zip(features, rows, strict=True):
        x = (image.reshape(-1, 64) - projection.mean) @ projection.directions
        sigma = x.T @ x / len(x)
        sigma += 1e-3 * np.trace(sigma) / 64 * np.eye(64)
        values, vectors = np.linalg.eigh(sigma.astype(np.float64))
        root = vectors * np.sqrt(values) @ vectors.T
        matrix = np.zeros((64, 64))
        matrix[np.triu_indices(64)] = row
        matrix[~np.eye(64, dtype=bool)] /= np.sqrt(2)
        matrix = matrix + np.triu(matrix, 1).T
        assert np.allclose(matrix, root / np.linalg.norm(root), atol=1e-5)


def test_projection_is_principal_component_analysis_of_all_positions() -> None:
    from sklearn.decomposition import PCA

    features = np.random.default_rng(0).normal(size=(30, 4, 4, 120)) * np.linspace(3, 0.1, 120)
    found = Projection.of([features[:10], features[10:]])
    expected = PCA(96).fit(features.reshape(-1, 120))
    assert np.allclose(found.mean, expected.mean_, atol=1e-5)
    leading = np.abs((expected.components_ @ found.directions).diagonal())[:20]
    assert np.allclose(leading, 1, atol=1e-3)


def test_images_that_are_dead_or_not_finite_spoil_no_other() -> None:
    images = activations()
    images.features[1], images.pools[1] = 0, 0
    view = make_view("covariance", MADE)
    with_copies = [Activations(images.features[:, np.newaxis], images.pools[:, np.newaxis])]
    fitted = view.fitted(with_copies)
    before = {name: make_view(name, MADE).rows(images) for name in ("avg", "layers")}
    before["covariance"] = fitted.rows(images)
    assert all(np.isfinite(rows).all() for rows in before.values())
    images.features[2], images.pools[2] = np.nan, np.inf
    assert np.isfinite(view.fitted(with_copies).rows(images)[0]).all()
    for name, rows in before.items():
        after = (fitted if name == "covariance" else make_view(name, MADE)).rows(images)
        assert not np.isfinite(after[2]).all()
        assert np.array_equal(np.delete(after, 2, axis=0), np.delete(rows, 2, axis=0))


def test_what_a_view_lacks_is_named() -> None:
    with pytest.raises(InputError, match="The view layers needs layer pools"):
        make_view("layers", MADE.without_layers())
    with pytest.raises(InputError, match="Unknown view 'mean'"):
        make_view("mean", MADE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"names": ("block9_conv1",)}, "Unknown layer 'block9_conv1'"),
        ({"names": ("input",)}, "Unknown layer 'input'"),
        ({"names": ("block5_conv1", "block4_conv1")}, "in the order of the network"),
        ({"names": ("block4_conv1",) * 2}, "Expected each once"),
        ({"names": ("block4_conv1",), "sizes": (224, 224)}, "one of them twice"),
        ({"names": ("block4_conv1",), "sizes": (224, 100)}, "not a multiple of 32"),
        ({"mirror": True}, "seen by layer pools only"),
        ({"sizes": (224, 320)}, "seen by layer pools only"),
    ],
)
def test_pools_that_cannot_be_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PooledLayers(**fields)  # type: ignore[arg-type]
