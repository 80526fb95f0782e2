"""The same images as a folder, archives, Parquet, and objects in a bucket."""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from featx.dataset.stores import cloud, patience

Files = Mapping[str, bytes]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by their relative paths, in order."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def write_tar(path: Path, files: Files, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def as_samples(files: Files) -> dict[str, bytes]:
    """Return class folders as samples of WebDataset."""
    found = {}
    for number, (name, data) in enumerate(files.items()):
        found[f"{number:06d}{os.path.splitext(name)[1]}"] = data
        found[f"{number:06d}.cls"] = name.split("/")[0].encode()
    return found


def write_parquet(path: Path, files: Files, group: int = 5) -> Path:
    """Write class folders as Hugging Face's library does."""
    import pyarrow
    import pyarrow.parquet

    classes = sorted({name.split("/")[0] for name in files})
    images = [{"bytes": data, "path": os.path.basename(name)} for name, data in files.items()]
    labels = [classes.index(name.split("/")[0]) for name in files]
    feature = {"_type": "ClassLabel", "names": classes}
    told = json.dumps({"info": {"features": {"label": feature}}})
    table = pyarrow.table({"image": images, "label": labels})
    table = table.replace_schema_metadata({"huggingface": told})
    pyarrow.parquet.write_table(table, path, row_group_size=group)
    return path


class Bucket:
    """A server on this machine that speaks S3, with a bucket of images; see `serve_bucket`."""

    def __init__(self, port: int = 0) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        self._server.start()
        _, self.port = self._server.get_host_and_port()
        self.address = "s3://pictures/v1"

    def put(self, files: Files) -> None:
        """Add objects below the address."""
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="pictures")
        for name, data in files.items():
            client.put_object(Bucket="pictures", Key=f"v1/{name}", Body=data)

    def stop(self) -> None:
        """Answer nobody any more; the objects are still there when it starts again."""
        self._server.stop()


def serve_bucket(monkeypatch: pytest.MonkeyPatch, files: Files) -> Bucket:
    """Start a server, and have the environment say where it is and who asks."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIexamplekey")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(patience, "PAUSES", (0.05,))
    cloud.file_system.cache_clear()
    bucket = Bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{bucket.port}")
    bucket.put(files)
    return bucket
