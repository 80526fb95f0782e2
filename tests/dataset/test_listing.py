"""Folders and manifests of any size are listed as if they were sorted in memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listing import rows, touch

from featx.dataset import runs
from featx.dataset.catalog import Catalog, Entry, build_catalog
from featx.dataset.runs import Runs
from featx.dataset.scan import from_paths, scan, split_paths
from featx.dataset.stored import StoredCatalog
from featx.errors import InputError, StorageError

#: Names that sort in another order as files than as folders, and bytes that are not UTF-8.
NAMES = st.sampled_from([b"a", b"a.b", b"a-b", b"a b", b"ab", b"A", b"a\xff", "é".encode(), b"b\n"])
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map(b"/".join),
    st.sampled_from([b".png", b".JPG", b".txt", b"/.hidden.png"]),
    max_size=12,
)

few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def spilling(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let three images be as many as memory has room for."""
    monkeypatch.setattr(runs, "IN_MEMORY", 3)
    yield


def seen(found: Catalog) -> object:
    return (found.root, found.classes, found.ignored, rows(found), found.groups.tolist())


def both(monkeypatch: pytest.MonkeyPatch, *source: object, **given: object) -> tuple[object, ...]:
    """Return what a source is when it is held in memory, and when it is not; errors as texts."""
    found = []
    for limit in (1 << 19, 3):
        monkeypatch.setattr(runs, "IN_MEMORY", limit)
        try:
            catalog = scan(*source, **given)  # type: ignore[arg-type]
            assert isinstance(catalog, StoredCatalog) == (len(catalog) > limit)
            found.append(seen(catalog))
        except InputError as error:
            found.append(str(error))
    return tuple(found)


@few
@given(TREES)
def test_a_folder_is_listed_as_when_its_paths_are_sorted(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[bytes, bytes]
) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("tree"))
    for stem, end in tree.items():
        file = os.path.join(root, stem + end)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb"):
            pass
    listed = [
        os.path.relpath(os.path.join(place, name), root)
        for place, _, names in os.walk(root)
        for name in names
        if not name.startswith(b".")
    ]
    images = sorted(name for name in listed if name.lower().endswith((b".png", b".jpg")))
    with pytest.MonkeyPatch.context() as patch:
        one, two = both(patch, os.fsdecode(root), labelled=False)
        assert one == two
        if not images:
            assert "no images, only" in str(one) if listed else "is empty" in str(one)
            return
        _, classes, ignored, found, _ = one  # type: ignore[misc]
        assert [os.fsencode(path) for path, *_ in found] == images
        assert (classes, ignored) == ((), len(listed) - len(images))
        one, two = both(patch, os.fsdecode(root))
    assert one == two
    if all(b"/" in name for name in images) and not isinstance(one, str):
        assert one[1] == tuple(sorted({os.fsdecode(name.split(b"/")[0]) for name in images}))


def test_links_are_followed_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = touch(tmp_path / "in/real", "a/1.png", "a/2.png", "b/2.png", "b/9.txt")
    touch(tmp_path, "out/deep/1.png", "out/3.png", "out/.4.png")
    for place, link in (("out", "a.c"), ("out/deep", "0"), ("in", "up"), ("in/real/a", "b/twice")):
        os.symlink(tmp_path / place, real / link)
    os.symlink("loop", real / "loop")
    one, two = both(monkeypatch, real)
    assert one == two
    paths = ["0/1.png", "a.c/3.png", "a/1.png", "a/2.png", "b/2.png"]
    assert [path for path, *_ in one[3]] == paths  # type: ignore[index]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told[: len(told) // 2] == told[len(told) // 2 :]
    assert [text.split(" is a link")[0] for text in told[:3]] == ["a.c/deep", "b/twice", "up"]


# Manifests ----------------------------------------------------------------------------------

LINES = st.lists(
    st.tuples(
        st.sampled_from(["a.png", "a-b.png", "a/b.png", "./a.png", "é.png", "z.png", "../x", ""]),
        st.sampled_from(["x", "y", ""]),
        st.sampled_from(["train", "train", "train", "val", "fold"]),
        st.sampled_from(["g", "h", ""]),
    ),
    max_size=9,
)


def listed_plainly(root: Path, lines: list[tuple[str, str, str, str]]) -> object:
    """Return what a manifest means, or its first error, line by line and with all in memory."""
    found: dict[str, int] = {}
    entries = []
    for number, (path, label, split, group) in enumerate(lines, start=2):
        name = os.path.normpath(path)
        if not path:
            return f"line {number}: there is no path"
        if name in found:
            return f"line {number}: {name} is already listed on line {found[name]}."
        if name.startswith(".."):
            return f"line {number}: {name} is outside"
        found[name] = number
        if split == "fold":
            return f"line {number}: unknown split"
        entries.append(Entry(name, label or None, split, group or None))
    return seen(build_catalog(root, entries)) if entries else "lists no images"


@few
@given(LINES)
def test_a_manifest_is_listed_as_when_it_is_in_memory(
    tmp_path: Path, lines: list[tuple[str, str, str, str]]
) -> None:
    text = "".join(",".join(line) + "\n" for line in [("path", "label", "split", "group"), *lines])
    (tmp_path / "m.csv").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        one, two = both(patch, tmp_path / "m.csv")
    assert one == two
    expected = listed_plainly(tmp_path, lines)
    if isinstance(expected, str):
        assert expected in str(one)
    else:
        assert one == expected


def test_an_error_names_the_first_line_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["z", "y", "x", "w", "v", "y", "u", "z", "t", "s"]
    text = "".join(f"{name}.png\n" for name in names)
    (tmp_path / "twice.txt").write_text(text)
    (tmp_path / "also.txt").write_text(text + "C:/me/1.png\n")
    (tmp_path / "before.txt").write_text("z.png\nC:/me/1.png\n" + text)
    for name, message in (
        ("twice.txt", "line 6: y.png is already listed on line 2."),
        ("also.txt", "line 6: y.png is already listed on line 2."),
        ("before.txt", "line 2: C:/me/1.png is"),
    ):
        for found in both(monkeypatch, tmp_path / name):
            assert message in str(found)


@pytest.mark.usefixtures("spilling")
def test_some_without_a_split_are_an_error_in_a_temporary_file_too(tmp_path: Path) -> None:
    lines = [f"{name}.png,{'' if name in 'fd' else 'val'}\n" for name in "gfedcba"]
    (tmp_path / "m.csv").write_text("path,split\n" + "".join(lines))
    with pytest.raises(InputError, match=r"2 of 7 images have no split .* example d\.png\."):
        scan(tmp_path / "m.csv")


@pytest.mark.usefixtures("spilling")
def test_lists_of_paths(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = from_paths(["b.png", "", "a.png", "d.png", "c\udce9.png", "a/0.png"])
    assert isinstance(found, StoredCatalog)
    assert list(found.paths) == ["a.png", "a/0.png", "b.png", "c\udce9.png", "d.png"]
    assert "more than 3 images: their list is a temporary file in " in caplog.text
    with pytest.raises(InputError, match=r"^b\.png is listed twice"):
        from_paths(["d.png", "b.png", "a.png", "d.png", "b.png", "c.png"])
    with pytest.raises(InputError, match="line 7 of the list: C:/x/y is"):
        from_paths(["d.png", "b.png", "a.png", "d.png", "b.png", "c.png", "C:/x/y"])


def test_a_list_is_split_across_pieces(tmp_path: Path) -> None:
    names = [f"{number:06d}{'x' * (number % 97)}" for number in range(3000)]
    for end in ("\n", "\0"):
        (tmp_path / "list").write_text(end.join(names))
        with (tmp_path / "list").open("rb") as file:
            assert list(split_paths(file, end.encode())) == names


# Runs ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.binary(), st.binary())), st.integers(1, 9))
def test_runs_are_merged_into_what_sorting_gives(
    pairs: list[tuple[bytes, bytes]], limit: int
) -> None:
    pairs = [(one.replace(b"\0", b"-"), two.replace(b"\0", b"")) for one, two in pairs]
    found = Runs(2, limit)
    for pair in pairs:
        found.add(pair)
    assert len(found) == len(pairs)
    assert list(found) == sorted(pairs) == list(found)


@pytest.mark.usefixtures("spilling")
def test_temporary_files_have_no_name_and_a_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = touch(tmp_path, *(f"photos/{number}.png" for number in range(9)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with pytest.raises(StorageError, match="scratch"):
        scan(place / "photos")
    (tmp_path / "scratch").mkdir()
    found = scan(place / "photos")
    assert isinstance(found, StoredCatalog) and not list((tmp_path / "scratch").iterdir())
    assert found.take(np.array([8, 0])).paths.tolist() == ["8.png", "0.png"]

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("featx.storage.files.Disk.write", full)
    with pytest.raises(StorageError, match=r"scratch.*: No space left .* bytes are free"):
        scan(place / "photos")
