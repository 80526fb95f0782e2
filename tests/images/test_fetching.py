"""Images by https://: what servers do wrong, and what nobody may see."""

import base64
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import featx
from featx.cli.app import app
from featx.dataset.stores import NotRead, cloud, patience, remote
from featx.dataset.stores.remote import Remote
from featx.errors import InputError, StorageError, redacted
from featx.images import decode
from featx.images.fetching import Fetcher
from featx.images.inputs import as_readable, list_images
from featx.images.listed import digest_of, read_ahead
from featx.images.reader import Reader
from featx.images.sandbox import Job


def png(grey: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 40), (grey, grey, grey)).save(data, "PNG")
    return data.getvalue()


class Web:
    """A web server on this machine; `asked` are the requests it had, as path and password."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                kind, _, secret = self.headers.get("Authorization", "").partition(" ")
                secret = secret if kind == "Basic" else ""
                web.asked.append((self.path, base64.b64decode(secret).decode()))
                times = sum(asked.partition("?")[0] == path for asked, _ in web.asked)
                data, status = png(int(path[1]) if path[1:2].isdigit() else 0), 200
                if path == "/list.csv":
                    data = b"path,label\n1.png,a\n" + f"{web.address}/2.png,b\n".encode()
                elif path == "/own.csv":
                    data = b"path,label\n1.png,a\n2.png,b\n"
                elif path.startswith("/bucket/"):
                    code = path.removeprefix("/bucket/")
                    data = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
                    status = 403
                elif path == "/gone.png":
                    status = 404
                elif path == "/busy.png" and times < 2:
                    status = 503
                elif path == "/down.png":
                    status = 500
                elif path == "/away.png":
                    self.send_response(302)
                    self.send_header(
                        "Location", web.address.replace("127.0.0.1", "localhost") + "/3.png"
                    )
                    self.end_headers()
                    return
                self.send_response(status)
                size = 1 << 40 if path == "/huge.png" else len(data)
                self.send_header("Content-Length", str(size + (path == "/cut.png")))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(patience, "PAUSES", (0.01, 0.01))
    found = Web()
    yield found
    found.server.shutdown()
    found.server.server_close()


SIGNED = "?size=2&X-Amz-Credential=AKIA99&X-Amz-Signature=5ec2e7"


def test_images_by_address_are_read_and_bad_ones_have_a_reason(web: Web, tmp_path: Path) -> None:
    names = ["1.png", "2.png", "busy.png", "gone.png", "huge.png"]
    table = tmp_path / "list.csv"
    table.write_text("path,label\n" + "".join(f"{web.address}/{name},a\n" for name in names))
    listed = featx.scan(table)
    assert listed.paths.tolist() == [f"{web.address}/{name}" for name in names]
    with closing(read_ahead(listed, range(5), Reader(Job(32, "crop")), 3)) as reads:
        found = list(reads)
    assert [read.reason for read in found] == ["", "", "", "vanished", "too_large"]
    assert found[1].pixels[0, 0, 0, 0] == 2
    assert (
        found[1].digest
        == digest_of(listed, 1)
        == digest_of(featx.scan([{"image": f"{web.address}/2.png"}]), 0)
    )
    with pytest.raises(decode.Rejected, match="the server answers 404"):
        digest_of(listed, 3)


def test_a_server_that_fails_is_asked_again_and_not_for_ever(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("down.png", "cut.png"):
        with pytest.raises(StorageError, match=f"{name} cannot be reached.*Finished work is kept"):
            Remote(web.address).read(name, 1 << 20)
        assert [path for path, _ in web.asked] == [f"/{name}"] * 3
        web.asked.clear()
    monkeypatch.setattr(remote, "_IN_A_ROW", 3)
    many = Remote()
    for _ in range(2):  # one server among many
        for _ in range(2):
            with pytest.raises(NotRead, match="cannot be reached"):
                many.read(f"{web.address}/down.png", 1 << 20)
        assert many.read(f"{web.address}/1.png", 1 << 20) == png(1)
    for _ in range(2):
        with pytest.raises(NotRead):
            many.read(f"{web.address}/down.png", 1 << 20)
    with pytest.raises(StorageError):
        many.read(f"{web.address}/down.png", 1 << 20)
    many.read(f"{web.address}/1.png", 1 << 20)


def test_images_are_fetched_ahead_but_not_without_limit(web: Web) -> None:
    fetcher = Fetcher(Remote(web.address))
    taking = [fetcher.start("1.png") for _ in range(32)]
    assert not fetcher._room.acquire(timeout=0.05)
    assert taking[0]().data == png(1)
    assert fetcher._room.acquire(timeout=5)
    fetcher.close()


def test_credentials_that_are_refused_stop_the_run(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", web.address),
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrX"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    cloud.file_system.cache_clear()
    bucket = Remote("s3://bucket")
    with pytest.raises(StorageError, match="s3://bucket/InvalidAccessKeyId: the credentials are"):
        bucket.read("InvalidAccessKeyId", 1000)
    with pytest.raises(NotRead, match="not allowed to be read") as one:
        bucket.read("AccessDenied", 1000)
    assert one.value.reason == "unreadable" and "wJalrX" not in str(one.value)
    cloud.file_system.cache_clear()


def test_addresses_are_images_for_python_programs_too(web: Web, tmp_path: Path) -> None:
    addresses = [f"{web.address}/{name}{SIGNED}" for name in ("1.png", "gone.png")]
    job = Job(32, "crop")
    for given in (addresses, list(map(Path, addresses))):  # a Path has one slash of two
        with closing(Reader(job).ahead(as_readable(given, job), 2)) as reads:
            found = list(reads)
        assert [read.reason for read in found] == ["", "vanished"]
        assert found[1].path == f"{web.address}/gone.png?size=2"
    listed = list_images(addresses)
    assert digest_of(listed, 0) == found[0].digest and "5ec2e7" not in str(listed.paths)
    (tmp_path / "0.png").write_bytes(png(0))
    with pytest.raises(InputError, match="both files and addresses"):
        list_images([*addresses, tmp_path / "0.png"])
    with pytest.raises(InputError, match="kind that featx does not read"):
        list_images(["ftp://h/1.png"])


def test_a_manifest_on_the_web_has_paths_or_addresses(web: Web) -> None:
    listed = featx.scan(f"{web.address}/own.csv")
    assert (str(listed.root), listed.paths.tolist()) == (web.address, ["1.png", "2.png"])
    assert str(listed.file(1)) == f"{web.address}/2.png" == str(listed.file(1).resolve())
    assert digest_of(listed, 1)
    with pytest.raises(InputError, match="both paths and addresses"):
        featx.scan(f"{web.address}/list.csv")
    with pytest.raises(InputError, match="pages of the web are not listed"):
        featx.scan(f"{web.address}/folder/")


def test_a_password_goes_to_its_own_server_only(web: Web) -> None:
    address = web.address.replace("//", "//me:p4ss@")
    listed = featx.scan(f"{address}/own.csv")
    assert digest_of(listed, 0) and digest_of(featx.scan(f"{address}/away.png"), 0)
    assert [secret for _, secret in web.asked] == ["me:p4ss"] * 3 + [""]
    assert "p4ss" not in f"{listed} {listed.root} {listed.store} {listed.store.as_dict()}"


def test_nobody_sees_a_password_or_a_signature(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "featx")
    signed = web.address.replace("//", "//me:p4ss@") + "/{}" + SIGNED
    table = tmp_path / "list.csv"
    names = ("1.png", "2.png", "gone.png", "down.png")
    table.write_text("path\n" + "".join(signed.format(name) + "\n" for name in names))
    run = CliRunner()
    told = [run.invoke(app, ["check", str(table), "--json"])]
    told += [run.invoke(app, ["check", signed.format("gone.png")])]
    told += [run.invoke(app, ["extract", signed.format("folder")])]
    told += [run.invoke(app, ["extract", signed.format("away.tar")])]
    told += [run.invoke(app, ["preview", signed.format("gone.csv"), "-o", str(tmp_path / "p.png")])]
    assert json.loads(told[0].stdout)["listed"] == 4
    assert {one.exit_code for one in told} == {2, 3}
    everything = caplog.text + "".join(one.output + str(one.exception) for one in told)
    assert web.address in everything and "gone.png?size=2" in everything
    for secret in ("p4ss", "5ec2e7", "AKIA99", "me:"):
        assert secret not in everything
    assert (f"/1.png{SIGNED}", "me:p4ss") in web.asked  # it was sent all the same


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/a.jpg?sv=1&sig=x%2F&se=2", "https://h/a.jpg"),
        ("see s3://me:secret@bucket/a, and more", "see s3://bucket/a, and more"),
        ("https:/u:p@h/a?id=1&access_token=t#top", "https:/h/a?id=1#top"),
        ("https://h/a?keyword=cat&page=2", "https://h/a?keyword=cat&page=2"),
        ("https://h/@x/a.jpg", "https://h/@x/a.jpg"),
        ("/home/a@b/c:d.jpg", "/home/a@b/c:d.jpg"),
    ],
)
def test_addresses_are_shown_without_secrets(text: str, shown: str) -> None:
    assert redacted(text) == shown
