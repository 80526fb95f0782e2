"""A catalog in a file is the catalog, whatever of it is asked for; and a damaged one is refused."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.dataset import blocks, runs
from featx.dataset.catalog import Catalog, Entry, build_catalog
from featx.dataset.stored import StoredCatalog, write_catalog, write_unnamed
from featx.dataset.stores.addresses import root_of
from featx.dataset.stores.remote import Remote
from featx.errors import CorruptError, IncompatibleError, InputError, StorageError
from featx.images.inputs import list_images
from featx.images.listed import read_ahead
from featx.images.reader import Reader
from featx.images.sandbox import Job
from featx.storage import files

FEW = 4  # images of a block in these tests


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", FEW)


def entries(count: int, *, splits: bool = True, groups: bool = True) -> list[Entry]:
    """Return images with odd names; one in five has no label."""
    return [
        Entry(
            f"{'ab'[at % 2]}/caf\udce9 {at:03d}\n.png",
            None if at % 5 == 0 else f"class {(at * 7) % 3}",
            ("train", "val", "test")[at % 3] if splits else None,
            f"g{at // 3}" if groups and at % 4 else None,
        )
        for at in range(count)
    ]


def same(one: Catalog, two: Catalog) -> None:
    """Check that two catalogs have the same images."""
    assert (one.root, one.classes, len(one)) == (two.root, two.classes, len(two))
    for column in ("paths", "labels", "splits", "groups"):
        assert getattr(one, column).tolist() == getattr(two, column).tolist(), column
        assert getattr(one, column).dtype == getattr(two, column).dtype


def stored(folder: Path, catalog: Catalog) -> StoredCatalog:
    write_catalog(folder / "list.catalog", catalog, overwrite=True)
    return StoredCatalog.open(folder / "list.catalog")


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
NAMES = st.binary(min_size=1, max_size=6).filter(lambda name: b"\0" not in name)


@given(
    st.dictionaries(
        NAMES.map(os.fsdecode), st.tuples(TEXTS, st.sampled_from(["", "x"])), max_size=14
    ),
    st.integers(0, 9),
    st.lists(st.integers(0, 10**6)),
    st.booleans(),
)
def test_any_catalog_comes_back(
    images: dict[str, tuple[str, str]], ignored: int, places: list[int], splits: bool
) -> None:
    given_ = [
        Entry(path, label or None, "val" if splits else None, group or None)
        for path, (label, group) in images.items()
    ]
    whole = build_catalog(Path("there"), given_, ignored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", FEW)
        found = write_unnamed(whole)
        same(found, whole)
        assert found.ignored == ignored
        assert found.class_counts() == whole.class_counts()
        assert found.split_counts() == whole.split_counts()
        assert found.test_split == whole.test_split
        again = write_unnamed(found.blocks(3))
        assert again.digest == write_unnamed(whole.blocks(2)).digest
        if whole:
            at = np.array([place % len(whole) for place in places], int)
            same(found.take(at), whole.take(at))
            start, stop = sorted((at.tolist() * 2 + [0, 1])[:2])
            same(found.block(start, stop), whole.block(start, stop))


def test_parts_of_a_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_catalog(tmp_path, entries(30), 7)
    found = stored(tmp_path, whole)
    read: list[int] = []
    real = StoredCatalog._read
    monkeypatch.setattr(
        StoredCatalog, "_read", lambda self, number: read.append(number) or real(self, number)
    )
    assert found.class_counts() == whole.class_counts() and repr(found) and found.ignored == 7
    assert repr(found) == repr(whole).replace("Catalog", "StoredCatalog") and not read
    same(found.block(6, 9), whole.block(6, 9))
    assert read == [1, 2]
    assert found.file(8) == whole.file(8) == tmp_path / whole.paths[8] and read == [1, 2]
    assert [found.path(at) for at in range(30)] == whole.paths.tolist()
    assert read == [1, 2, 0, 3, 4, 5, 6, 7]
    for at in ([29, 0, 5, 5, -1], [], np.arange(30) % 3 == 0, slice(3, 28, 6)):
        index = np.arange(30)[at] if isinstance(at, slice) else np.array(at, None if at else int) \
            if isinstance(at, list) else at  # fmt: skip
        same(found.take(index), whole.take(index))
    for start, stop in ((0, 0), (0, 99), (29, 30), (12, 8), (3, 21)):
        same(found.block(start, stop), whole.block(start, stop))
    with pytest.raises(IndexError):
        found.path(30)
    with pytest.raises(IndexError):
        found.take(np.array([30]))
    assert found.labels_for(["class 2"]).tolist() == whole.labels_for(["class 2"]).tolist()
    assert [len(part) for part in found.blocks(13)] == [13, 13, 4]


def test_much_that_is_taken_is_in_a_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_catalog(tmp_path, entries(30))
    found = stored(tmp_path, whole)
    monkeypatch.setattr(runs, "IN_MEMORY", 8)
    ascending, other = np.arange(0, 30, 2), np.arange(29, 0, -2)
    assert isinstance(found.take(ascending), StoredCatalog)
    assert not isinstance(found.take(other), StoredCatalog)
    same(found.take(ascending), whole.take(ascending))
    same(found.take(other), whole.take(other))


def test_equal_catalogs_have_equal_bytes(tmp_path: Path) -> None:
    whole = build_catalog(tmp_path, entries(30), 7)
    one = write_catalog(tmp_path / "one", whole)
    again = StoredCatalog.open(tmp_path / "one")
    assert write_catalog(tmp_path / "two", again) == one == again.digest
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    other = build_catalog(tmp_path, entries(30), 8)
    assert write_catalog(tmp_path / "three", other) != one
    with pytest.raises(InputError, match="one exists"):
        write_catalog(tmp_path / "one", other)


def test_classes_without_images_and_in_another_order_are_kept(tmp_path: Path) -> None:
    whole = build_catalog(tmp_path, entries(30))
    turned = Catalog(
        whole.root, whole.paths, 3 - whole.labels, whole.splits, whole.groups, ("z", "y", "x", "w")
    ).take(np.flatnonzero(whole.labels == 1))
    found = stored(tmp_path, turned)
    same(found, turned)
    assert (
        found.class_counts()
        == turned.class_counts()
        == {**dict.fromkeys("zyw", 0), "x": len(turned)}
    )


def test_parts_with_other_classes_are_written_as_one(tmp_path: Path) -> None:
    one = build_catalog(tmp_path, [Entry("1.png", "b"), Entry("2.png", "a")], 2)
    two = build_catalog(tmp_path, [Entry("3.png", "c"), Entry("4.png", "a")], 3)
    found = write_unnamed([one, two])
    assert (found.classes, found.labels.tolist()) == (("a", "b", "c"), [1, 0, 2, 0])
    assert found.ignored == 5
    with pytest.raises(InputError, match=r"3\.png is not in the order"):
        write_unnamed([two, two.take(np.array([0]))])
    with pytest.raises(InputError, match=r"3\.png is listed twice"):
        write_unnamed([two.take(np.array([0])), two])
    with pytest.raises(InputError, match="in memory cannot be listed in a file"):
        write_unnamed(list_images([np.zeros((4, 4, 3), np.uint8)]))


def test_the_store_and_an_address_come_back(tmp_path: Path) -> None:
    root = root_of("s3://bucket/photos")
    whole = build_catalog(root, entries(9), 0, Remote("s3://bucket/photos"))
    found = stored(tmp_path, whole)
    for one in (found, found.block(2, 4), found.take(np.array([1])), *found.blocks(8)):
        assert one.store == whole.store and str(one.root) == "s3://bucket/photos"
    assert pickle.loads(pickle.dumps(found)).store == whole.store
    forged(tmp_path / "list.catalog", store={"kind": "pickle", "base": "x"})
    with pytest.raises(CorruptError, match="describes no store"):
        StoredCatalog.open(tmp_path / "list.catalog")


def test_a_worker_opens_the_file_itself(tmp_path: Path) -> None:
    whole = build_catalog(tmp_path, entries(30), 7)
    found = stored(tmp_path, whole)
    sent = pickle.dumps(found)
    assert len(sent) < 500
    same(pickle.loads(sent), whole)
    same(StoredCatalog.open(tmp_path / "list.catalog", digest=found.digest), whole)
    moved = StoredCatalog.open(tmp_path / "list.catalog", root=Path("/elsewhere"))
    assert moved.file(3) == Path("/elsewhere", whole.paths[3]) and moved.digest == found.digest
    write_catalog(tmp_path / "list.catalog", whole.block(0, 20), overwrite=True)
    same(found, whole)  # what is open stays what it is
    with pytest.raises(IncompatibleError, match="another list of images"):
        pickle.loads(sent)
    with pytest.raises(InputError, match="Write it to a file with write_catalog"):
        pickle.dumps(write_unnamed(whole))


def test_images_of_a_stored_catalog_are_read_in_order(tmp_path: Path) -> None:
    from PIL import Image

    listed = [Entry(f"{at:02d}.png") for at in range(11)]
    for at, entry in enumerate(listed):
        Image.new("RGB", (8, 8), (at, 0, 0)).save(tmp_path / entry.path)
    found = write_unnamed(build_catalog(tmp_path, listed))
    known = [files.file_digest(found.file(at)) for at in range(11)]  # so that nothing is decoded
    read = list(read_ahead(found, range(1, 11, 2), Reader(Job(8, "crop"), known), 4))
    assert [one.path for one in read] == [tmp_path / f"{at:02d}.png" for at in range(1, 11, 2)]
    assert [one.digest for one in read] == known[1::2]


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(tmp_path, build_catalog(tmp_path, entries(9)))

    def fail(*_: object) -> bytes:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("os.pread", fail)
    with pytest.raises(StorageError, match=r"list\.catalog: Stale file handle"):
        found.path(3)


# Damage -------------------------------------------------------------------------------------


def whole_of(file: Path) -> Any:
    return [column.tolist() for column in _columns(StoredCatalog.open(file))]


def _columns(found: Catalog) -> tuple[np.ndarray, ...]:
    return found.paths, found.labels, found.splits, found.groups


def test_every_changed_byte_and_every_cut_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.catalog"
    write_catalog(file, build_catalog(Path("r"), entries(9), 7))
    data = file.read_bytes()
    changed = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    cut = [data[:size] for size in range(0, len(data), 7)]
    for bad in (*changed, *cut, data + b"\n", data[1:], data[: len(data) // 2] + data[-120:]):
        file.write_bytes(bad)
        with pytest.raises(CorruptError, match=r"list\.catalog is damaged: .* list the images"):
            whole_of(file)


def forged(file: Path, **changes: Any) -> None:
    """Change the index of a file, and make its digest fit."""
    data = file.read_bytes()
    offset, length, _ = blocks.read_footer(data[-blocks.FOOTER :], len(data))
    index = {**json.loads(data[offset : offset + length]), **changes}
    new = json.dumps({key: value for key, value in index.items() if value != "gone"}).encode()
    file.write_bytes(data[:offset] + new + blocks.footer(offset, new))


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 10**12},
        {"images": 8},
        {"images": 10.0},
        {"ignored": -1},
        {"ignored": True},
        {"root": 3},
        {"root": "a\0b"},
        {"classes": ["a", "a", "b"]},
        {"classes": "abc"},
        {"labels": [0, 1, 3]},
        {"labels": [0, 1]},
        {"counts": [9, 9, 9]},
        {"splits": {"": 0, "train": 10}},
        {"has_groups": "yes"},
        {"blocks": [[10**15, "0" * 64, "a"]] * 3},
        {"blocks": []},
        {"blocks": [[1, "0" * 64]]},
        {"blocks": None},
        {"blocks": [[10, "0" * 64, "b"], [10, "0" * 64, "a"], [10, "0" * 64, "c"]]},
        {"blocks": [[10, "0" * 64, "a"], [10, "0" * 64, "b"], [10, "0" * 64, "c\ud800"]]},
        {"more": 1},
        {"root": "gone"},
        {"store": "s3://bucket"},
    ],
    ids=str,
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    file = tmp_path / "list.catalog"
    write_catalog(file, build_catalog(Path("r"), entries(10), 7))
    forged(file)
    assert len(StoredCatalog.open(file)) == 10
    forged(file, **changes)
    with pytest.raises(CorruptError, match="damaged"):
        StoredCatalog.open(file)


def numbers(*values: int) -> bytes:
    return np.array(values, "<u4").tobytes()


@pytest.mark.parametrize(
    "block",
    [
        b"",
        numbers(1, 4, 0),
        numbers(0, 0, 0, 0),
        numbers(2**32 - 1, 4, 0, 0) + b"\0" * 9,
        numbers(1, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0" * 9,
        numbers(1, 2, 0, 0) + numbers(3) + b"\0" + b"a\0",  # a label that there is not
        numbers(1, 2, 0, 0) + numbers(2**32 - 2) + b"\0" + b"a\0",
        numbers(1, 2, 0, 0) + numbers(0) + b"\4" + b"a\0",  # a split
        numbers(1, 2, 1, 2) + numbers(0) + b"\0" + numbers(1) + b"g\0" + b"a\0",  # a group
        numbers(1, 2, 1, 2) + numbers(0) + b"\0" + numbers(0) + b"gg" + b"a\0",
        numbers(1, 4, 0, 0) + numbers(0) + b"\0" + b"a\0b\0",  # two paths for one image
        numbers(1, 2, 0, 0) + numbers(0) + b"\0" + b"aa",
        numbers(1, 1, 0, 0) + numbers(0) + b"\0" + b"\0",  # no path
        numbers(2, 4, 0, 0) + numbers(0, 0) + b"\0\0" + b"b\0a\0",  # not in order
        numbers(2, 4, 0, 0) + numbers(0, 0) + b"\0\0" + b"a\0a\0",
        numbers(1, 2, 0, 0) + numbers(0) + b"\0" + b"b\0",  # another first path than in the index
    ],
)
def test_a_block_that_does_not_fit_is_refused(tmp_path: Path, block: bytes) -> None:
    good = numbers(1, 2, 1, 2) + numbers(0) + b"\2" + numbers(0) + b"g\0" + b"a\0"
    for data, refused in ((good, False), (block, True)):
        index = blocks.Index(
            "r", 0, ["x", "y", "z"], [2, 0], [1, 0], {"": 0, "train": 0, "val": 1, "test": 0},
            True, 1, [(max(len(data), 1), hashlib.sha256(data).hexdigest(), "a")],
        ).encode()  # fmt: skip
        start = b"featx-catalog 1\n" + data
        file = tmp_path / "list.catalog"
        file.write_bytes(start + index + blocks.footer(len(start), index))
        if refused:
            with pytest.raises(CorruptError, match="damaged"):
                whole_of(file)
        else:
            assert whole_of(file) == [["a"], [2], ["val"], ["g"]]
