"""Sources beyond a folder: how they are listed, and what is refused."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from sources import as_samples, files_of, write_parquet, write_tar, write_zip

import featx
from featx.dataset import parquets
from featx.dataset.catalog import Catalog
from featx.dataset.sources import expanded
from featx.dataset.stores import NotRead, Store, store_from_dict, tars
from featx.dataset.stores.archives import Archives
from featx.errors import CorruptError, InputError
from featx.images import decode

FILES = {f"{kind}/{n}.png": f"{kind} {n}".encode() for kind in ("cat", "dog") for n in range(3)}
PACKED = {f"photos/{name}": data for name, data in FILES.items()}


def read(listed: Catalog, index: int) -> bytes:
    """Read an image as another machine would: by a store that was sent there as plain values."""
    assert listed.store
    store = store_from_dict(json.loads(json.dumps(listed.store.as_dict())))
    assert pickle.loads(pickle.dumps(listed.store)) == store == listed.store
    return store.read(listed.path(index), 1 << 20)


def contents(listed: Catalog) -> list[bytes]:
    return [read(listed, index) for index in range(len(listed))]


def labels(listed: Catalog) -> dict[bytes, str]:
    return {read(listed, index): listed.classes[label] for index, label in enumerate(listed.labels)}


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    return {
        "tar": write_tar(tmp_path / "a.tar", {**PACKED, "photos/notes.md": b"", "._x.png": b"-"}),
        "bare": write_tar(tmp_path / "b.tar", FILES),
        "tgz": write_tar(tmp_path / "a.tgz", PACKED, "w:gz"),
        "tar.gz": write_tar(tmp_path / "a.tar.gz", dict(reversed(PACKED.items())), "w:gz"),
        "zip": write_zip(tmp_path / "a.zip", {**PACKED, "__MACOSX/photos/cat/._0.png": b"-"}),
        "samples": write_tar(tmp_path / "s.tar", as_samples(FILES)),
        "packed samples": write_tar(tmp_path / "s.tgz", as_samples(FILES), "w:gz"),
        "parquet": write_parquet(tmp_path / "a.parquet", FILES, group=4),
    }


def test_the_same_images_are_listed_from_all_kinds(sources: dict[str, Path]) -> None:
    for kind, source in sources.items():
        listed = featx.scan(source)
        assert contents(listed) == list(FILES.values()), kind
        assert listed.class_counts() == {"cat": 3, "dog": 3}, kind
        assert labels(listed) == {data: name[:3] for name, data in FILES.items()}, kind
        assert listed.ignored == (kind == "tar")
        assert listed.root == source


def test_rows_of_parquet_are_read_in_any_order(tmp_path: Path) -> None:
    files = {f"a/{n:03d}.png": b"%d" % n for n in range(300)}
    listed = featx.scan(write_parquet(tmp_path / "a.parquet", files, group=100))
    for index in (299, 0, 150, 5, 99, 100, 1):
        assert read(listed, index) == b"%d" % index
    with pytest.raises(NotRead, match="no such row"):
        listed.store.read("row 0000000300", 10)


def test_a_row_group_that_is_large_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_parquet(tmp_path / "a.parquet", FILES)
    assert featx.scan(file) and not caplog.messages
    monkeypatch.setattr(parquets, "_LARGE", 10)
    featx.scan(file)
    assert "row_group_size=100" in caplog.text


def test_columns_of_parquet_are_found_and_named(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    columns = {
        "scan": [b"x", b"y"],
        "mask": [b"", b""],
        "species": ["a", None],
        "subset": ["train"] * 2,
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    with pytest.raises(InputError, match="The columns with bytes are: scan, mask"):
        featx.scan(file)
    listed = featx.scan(file, image="scan", label="species")
    assert (listed.classes, listed.split_counts()) == (("a",), {"train": 2})
    assert contents(listed) == [b"x", b"y"]
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.png"]}), file)
    with pytest.raises(InputError, match=r"None has bytes.*\.csv"):
        featx.scan(file)
    file.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(CorruptError, match="is no Parquet file"):
        featx.scan(file)


def test_shards_are_one_source_with_the_splits_of_their_names(tmp_path: Path) -> None:
    samples = list(as_samples(FILES).items())
    for number, name in enumerate(("train-0000", "train-0001", "val-0000")):
        write_tar(tmp_path / f"{name}.tar", dict(samples[4 * number : 4 * number + 4]))
    listed = featx.scan(tmp_path / "train-{0000..0001}.tar", tmp_path / "val-0000.tar")
    assert listed.paths.tolist()[::2] == [
        f"{shard}.tar/{key:06d}.png"
        for shard, key in (("train-0000", 0), ("train-0001", 2), ("val-0000", 4))
    ]
    assert listed.split_counts() == {"train": 4, "val": 2}
    assert contents(listed) == list(FILES.values())
    assert featx.scan(tmp_path / "train-0000.tar").split_counts() == {}
    with pytest.raises(InputError, match=r"train-0002\.tar does not exist"):
        featx.scan(tmp_path / "train-{0000..0002}.tar")


def test_ranges_of_names_are_written_out(tmp_path: Path) -> None:
    assert expanded("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert expanded("{1..2}/{0..1}") == ["1/0", "1/1", "2/0", "2/1"]
    (tmp_path / "{1..2}").mkdir()
    assert len(expanded(str(tmp_path / "{1..2}"))) == 1
    with pytest.raises(InputError, match="no range of files"):
        expanded("{9..1}.tar")


def test_objects_and_texts_say_the_class_of_samples(tmp_path: Path) -> None:
    members = {
        "0.png": b"0",
        "0.json": b'{"label": 7, "split": "train", "kind": "x"}',
        "1.png": b"1",
        "1.json": b'{"label": 8, "split": "test", "kind": "y"}',
    }
    listed = featx.scan(write_tar(tmp_path / "a.tar", members))
    assert listed.class_counts() == {"7": 1, "8": 1} and listed.split_counts()["test"] == 1
    assert featx.scan(tmp_path / "a.tar", label="kind").classes == ("x", "y")
    texts = {"0.png": b"0", "0.txt": b"fine\n", "1.png": b"1", "1.txt": b"a long text " * 9}
    assert featx.scan(write_tar(tmp_path / "b.tar", texts)).class_counts() == {"fine": 1}
    write_tar(tmp_path / "c.tar", {"0.png": b"0", "0.cls": b"\xff"})
    with pytest.raises(InputError, match=r"c\.tar, 0\.cls: the class is not UTF-8"):
        featx.scan(tmp_path / "c.tar")


def test_a_manifest_in_an_archive_says_what_is_listed(tmp_path: Path) -> None:
    table = b"path,label\ncat/0.png,x\ngone.png,y\n"
    listed = featx.scan(write_zip(tmp_path / "a.zip", {**PACKED, "photos/manifest.csv": table}))
    assert listed.paths.tolist() == ["photos/cat/0.png", "photos/gone.png"]
    assert read(listed, 0) == b"cat 0"
    with pytest.raises(NotRead) as gone:
        read(listed, 1)
    assert gone.value.reason == "vanished"
    write_zip(tmp_path / "b.zip", {**FILES, "manifest.csv": b"path\n../x.png\n"})
    with pytest.raises(InputError, match=r"b\.zip/manifest\.csv, line 2: .*outside"):
        featx.scan(tmp_path / "b.zip")


def test_several_folders_are_one_source(tmp_path: Path) -> None:
    for place in ("one/cat/0.png", "one/dog/0.png", "two/deep/cat/0.png", "two/deep/owl/0.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(place.encode())
    listed = featx.scan(tmp_path / "one", tmp_path / "two/deep")
    assert listed.root == tmp_path
    assert listed.class_counts() == {"cat": 2, "dog": 1, "owl": 1}
    assert [listed.file(i).read_bytes().decode() for i in range(4)] == listed.paths.tolist()
    with pytest.raises(InputError, match=r"cat/0\.png is listed twice"):
        featx.scan(tmp_path / "one", tmp_path / "one/cat")
    with pytest.raises(InputError, match="of several kinds: folders, archives"):
        featx.scan(tmp_path / "one", write_tar(tmp_path / "a.tar", FILES))
    (tmp_path / "one").rename(tmp_path / "train")
    (tmp_path / "two/deep").rename(tmp_path / "test")
    assert featx.scan(tmp_path / "train", tmp_path / "test").split_counts() == {
        "train": 2,
        "test": 2,
    }


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_links_in_an_archive_are_members_or_no_files(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tar" if mode == "w" else "a.tgz")
    with tarfile.open(path, mode) as tar:
        member = tarfile.TarInfo("0.png")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
        tar.addfile(link("1.png", "0.png", tarfile.LNKTYPE))
        tar.addfile(link("2.png", "/etc/passwd", tarfile.SYMTYPE))
        tar.addfile(link("3.png", "nothing", tarfile.LNKTYPE))
        tar.addfile(link("4.png", "", tarfile.FIFOTYPE))
    listed = featx.scan(path)
    assert [read(listed, 0), read(listed, 1)] == [b"abc", b"abc"]
    for index in (2, 3, 4):
        with pytest.raises(NotRead, match="a link or a device"):
            read(listed, index)


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png"])
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    for write, path in ((write_tar, tmp_path / "a.tar"), (write_zip, tmp_path / "a.zip")):
        with pytest.raises(CorruptError, match="leads out of it"):
            featx.scan(write(path, {"ok.png": b"1", name: b"2"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with (
        tarfile.open(tmp_path / "a.tar", "w") as tar,
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
    ):
        for data in (b"1", b"2"):
            member = tarfile.TarInfo("a.png")
            member.size = 1
            tar.addfile(member, io.BytesIO(data))
            archive.writestr("a.png", data)
    for path in (tmp_path / "a.tar", tmp_path / "a.zip"):
        with pytest.raises(CorruptError, match=r"two members 'a\.png'"):
            featx.scan(path)


def test_archives_that_are_cut_off_are_refused(sources: dict[str, Path]) -> None:
    for kind in ("bare", "tgz", "zip"):
        whole = sources[kind].read_bytes()
        ends = [len(whole) // 2, len(whole) // 2 + 1, len(whole) - 20]
        # The last thousands of bytes of a plain archive are zeros that mean nothing.
        for size in (0, 1, 100, *(ends[:2] if kind == "bare" else ends)):
            sources[kind].write_bytes(whole[:size])
            with pytest.raises(CorruptError, match="is damaged, or is no"):
                featx.scan(sources[kind])


def test_headers_and_growth_of_absurd_size_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(CorruptError, match="a header of 1,099,511,627,776 bytes"):
        featx.scan(tmp_path / "a.tar")
    header = tarfile.TarInfo("a.png")
    header.size = 1 << 26
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(header.tobuf() + bytes((1 << 26) + 1024))
    monkeypatch.setattr(tars, "_ALWAYS", 1 << 20)
    with pytest.raises(CorruptError, match="grows to more than 200 times"):
        featx.scan(tmp_path / "a.tgz")


def test_sizes_are_limited_before_bytes_are_in_memory(sources: dict[str, Path]) -> None:
    for kind, source in sources.items():
        listed = featx.scan(source)
        with pytest.raises(NotRead) as large:
            listed.store.read(listed.path(0), 4)
        assert large.value.reason == "too_large", kind


def test_damaged_and_encrypted_members_have_a_reason(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": b"aaaa", "b.png": b"bbbb"})
    data = path.read_bytes().replace(b"aaaa", b"aaba", 1)
    at = data.rindex(b"PK\x01\x02")  # of b.png, in the directory at the end
    path.write_bytes(data[: at + 8] + b"\x01" + data[at + 9 :])
    listed = featx.scan(path)
    with pytest.raises(NotRead, match="damaged in the archive"):
        read(listed, 0)
    with pytest.raises(NotRead, match="encrypted"):
        read(listed, 1)


def test_an_archive_that_changed_is_opened_anew(tmp_path: Path) -> None:
    listed = featx.scan(write_tar(tmp_path / "a.tar", FILES))
    assert read(listed, 0) == b"cat 0"
    write_tar(tmp_path / "new.tar", {"x": b"y" * 999, "cat/0.png": b"new"})
    os.replace(tmp_path / "new.tar", tmp_path / "a.tar")
    assert read(listed, 0) == b"new"
    with pytest.raises(NotRead):
        read(listed, 1)


def test_paths_lead_into_archives_wherever_images_are_read(sources: dict[str, Path]) -> None:
    for source in sources.values():
        listed = featx.scan(source)
        assert decode.read(listed.file(0)).data == b"cat 0"
        with pytest.raises(decode.Rejected, match="vanished"):
            decode.read(source / "nothing.png")


@pytest.mark.parametrize(
    "found",
    [{}, {"kind": "files"}, {"kind": "archives", "root": 3}, {"kind": "remote", "secret": "x"}],
)
def test_a_store_from_a_file_is_not_believed(found: dict[str, object]) -> None:
    with pytest.raises(CorruptError, match="store of images"):
        store_from_dict(found)


def test_a_catalog_in_a_file_keeps_its_store(
    sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.dataset import runs

    monkeypatch.setattr(runs, "IN_MEMORY", 2)
    listed = featx.scan(sources["tar"])
    assert type(listed) is not Catalog
    assert isinstance(listed.store, Store)
    assert listed.store == listed.block(1, 3).store == Archives(str(sources["tar"]))
    assert contents(listed) == list(FILES.values())


def test_files_are_no_sources_by_their_folder_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").mkdir()
    (tmp_path / "a.tar/0.png").write_bytes(b"0")
    assert featx.scan(tmp_path / "a.tar").store is None
    assert files_of(tmp_path) == {"a.tar/0.png": b"0"}
