"""extract and score by workers of a real cluster: the bytes of one process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from generated import TINY
from toywork import Processes, cluster_of

import featx
from featx.cache import plan
from featx.engines import cluster as clusters
from featx.engines import worker
from featx.errors import InputError

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow  # each worker loads TensorFlow

SETTINGS: dict[str, Any] = {**TINY, "batch": 4, "precision": "float32"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Processes]:
    with cluster_of(2) as started:
        yield started


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PART_ROWS", 4)


@pytest.mark.parametrize("name", ["f.h5", "f.d"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_cluster_makes_the_cache_that_one_process_makes(
    photos: Path, tmp_path: Path, cluster: Processes, name: str, shared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (photos / "red" / "bad.png").write_bytes(b"no image")
    alone, out = tmp_path / f"alone-{name}", tmp_path / name
    expected = featx.extract(photos, alone, copies=1, **SETTINGS)
    if not shared:
        blind = [worker.Seen("far", worker.versions(), False)]
        monkeypatch.setattr(clusters.Cluster, "look", lambda *_: blind)
    where: dict[str, Any] = {"backend": "dask", "scheduler": cluster.address}
    told: list[int] = []
    found = featx.extract(
        photos, out, copies=1, progress=lambda done, *_: told.append(done), **SETTINGS, **where
    )
    for field in ("listed", "cached", "skipped", "computed", "classes", "fingerprint"):
        assert getattr(found, field) == getattr(expected, field), field
    assert told[-1] == found.listed and told == sorted(told)
    with featx.Cache.open(alone) as one, featx.Cache.open(out) as other:
        assert one.features[:].tobytes() == other.features[:].tobytes()
    if name == "f.h5":
        assert alone.read_bytes() == out.read_bytes()
        assert not Path(f"{out}.parts").exists()
    (photos / "red" / "new.png").write_bytes((photos / "red" / "0.png").read_bytes() + b"!")
    assert featx.extract(photos, out, copies=1, **SETTINGS, **where).computed == 2


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_cluster_writes_the_scores_that_one_process_writes(
    photos: Path, tmp_path: Path, cluster: Processes, suffix: str
) -> None:
    (photos / "red" / "bad.png").write_bytes(b"no image")
    featx.extract(photos, tmp_path / "f.h5", **SETTINGS)
    model = tmp_path / "m.featx"
    featx.fit(tmp_path / "f.h5", model, heads=("lda",))
    loaded = featx.load(model, weights="random")
    alone, out = tmp_path / f"alone{suffix}", tmp_path / f"s{suffix}"
    expected = featx.score(loaded, photos, alone, sort="confidence", top=2)
    where: dict[str, Any] = {"backend": "dask", "scheduler": cluster.address}
    found = featx.score(model, photos, out, sort="confidence", top=2, **where)
    assert (found.listed, found.ok, found.failed) == (expected.listed, expected.ok, expected.failed)
    assert out.read_bytes() == alone.read_bytes()
    with pytest.raises(InputError, match="Give the path of the model"):
        featx.score(loaded, photos, out, overwrite=True, **where)
    with pytest.raises(InputError, match="scored by this process"):
        featx.score(model, tmp_path / "f.h5", out, overwrite=True, **where)
    with pytest.raises(InputError, match="--update is for this process"):
        featx.score(model, photos, out, update=True, overwrite=True, **where)


def test_processes_of_joblib_do_parts_and_refuse_what_they_cannot_see(
    photos: Path, tmp_path: Path
) -> None:
    featx.extract(photos, tmp_path / "alone.h5", **SETTINGS)
    with joblib.parallel_config("loky", n_jobs=2):
        featx.extract(photos, tmp_path / "f.h5", **SETTINGS)
        images = [{"image": np.full((40, 40, 3), shade, np.uint8)} for shade in (1, 2)]
        with pytest.raises(InputError, match="not seen by other processes"):
            featx.extract(images, tmp_path / "g.h5", image="image", **SETTINGS)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()
