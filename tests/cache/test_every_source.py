"""The same images from a folder, archives, Parquet and a bucket: the same features."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated import TINY
from sources import Bucket, as_samples, files_of, serve_bucket, write_parquet, write_tar, write_zip

import featx
from featx.cache import plan
from featx.errors import StorageError
from featx.storage import files


@pytest.fixture
def bucket(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    found = serve_bucket(monkeypatch, files_of(photos))
    yield found
    found.stop()


def extracted(source: object, out: Path, **settings: object) -> bytes:
    """Return the features of a cache that is made, after checking what it says of the images."""
    done = featx.extract(source, out, **TINY, **settings)
    assert (done.listed, done.cached, done.skipped) == (24, 24, [])
    assert done.classes == {"blue": 8, "green": 8, "red": 8}
    with featx.Cache.open(out) as cache:
        assert cache.labels.tolist() == sorted(cache.labels.tolist())
        return cache.features[:].tobytes()


def test_features_are_the_same_from_a_bucket_and_parquet(
    photos: Path, tmp_path: Path, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "featx")
    images = files_of(photos)
    first = extracted(photos, tmp_path / "0.h5")
    rows = write_parquet(tmp_path / "a.parquet", images)
    assert extracted(rows, tmp_path / "1.h5") == first
    assert extracted(bucket.address, tmp_path / "2.h5") == first
    again = featx.extract(bucket.address, tmp_path / "2.h5", **TINY)
    assert (again.reused, again.computed) == (24, 0)
    with featx.Cache.open(tmp_path / "2.h5") as cache:
        assert cache.as_dict()["source"] == bucket.address
    parts = [f"{bucket.address}/{name}" for name in ("red", "blue", "green")]
    assert featx.scan(*parts).paths.tolist() == list(images)
    secrets = (os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_ACCESS_KEY_ID"])
    assert not any(secret in caplog.text for secret in secrets)
    for written in tmp_path.glob("2.h5*"):
        assert not any(secret.encode() in written.read_bytes() for secret in secrets)


@pytest.mark.slow
def test_features_are_the_same_from_archives(photos: Path, tmp_path: Path) -> None:
    images = files_of(photos)
    packed = {f"photos/{name}": data for name, data in images.items()}
    first = extracted(photos, tmp_path / "0.h5")
    for number, source in enumerate(
        (
            write_tar(tmp_path / "a.tar", packed),
            write_tar(tmp_path / "a.tgz", packed, "w:gz"),
            write_zip(tmp_path / "a.zip", packed),
            write_tar(tmp_path / "s.tar", as_samples(images)),
        ),
        start=1,
    ):
        assert extracted(source, tmp_path / f"{number}.h5") == first, source


def test_objects_that_are_gone_are_skipped_with_a_reason(
    photos: Path, tmp_path: Path, bucket: Bucket
) -> None:
    import boto3

    listed = featx.scan(bucket.address)
    client = boto3.client("s3")
    client.delete_object(Bucket="pictures", Key="v1/blue/0.png")
    client.put_object(Bucket="pictures", Key="v1/blue/1.png", Body=b"")
    done = featx.extract(listed, tmp_path / "f.h5", **TINY)
    assert {row.path: row.reason for row in done.skipped} == {
        "blue/0.png": "vanished",
        "blue/1.png": "empty",
    }


def test_a_server_that_is_down_stops_the_run_which_goes_on_later(
    photos: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "PART_ROWS", 8)
    out, stopped = tmp_path / "f.h5", []

    def stop(seen: int, total: int, computed: int) -> None:
        if computed and not stopped:
            bucket.stop()
            stopped.append(seen)

    with pytest.raises(StorageError, match=r"s3://pictures/v1/.* cannot be reached.*work is kept"):
        featx.extract(bucket.address, out, **TINY, batch=8, progress=stop)
    assert stopped and not out.exists()
    left = len(list(Path(f"{out}.parts").glob("*")))
    assert left
    again = Bucket(bucket.port)
    try:
        done = featx.extract(bucket.address, out, **TINY, batch=8)
    finally:
        again.stop()
    assert done.cached == 24 and 8 <= done.reused < 24
    featx.extract(photos, tmp_path / "local.h5", **TINY, batch=8)
    with featx.Cache.open(out) as one, featx.Cache.open(tmp_path / "local.h5") as two:
        assert one.features[:].tobytes() == two.features[:].tobytes()
        assert [files.digest(data) for data in files_of(photos).values()] == list(one.digests)
