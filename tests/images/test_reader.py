"""The reader: in order, never too far ahead, and past files that are bad."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from generated import write_image

from featx.images import augment, decode
from featx.images.reader import Read, Reader
from featx.images.sandbox import Job
from featx.storage import files

READER = Reader(Job(32, "crop"))


def write_images(folder: Path, count: int) -> list[Path]:
    return [write_image(folder / f"{number}.png", number) for number in range(count)]


def test_images_come_in_order_with_their_pixels_and_digests(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 9)
    policy = augment.POLICIES["mild"]
    reads = list(Reader(Job(32, "crop", policy, seed=3, copies=2)).ahead(paths, 4))
    assert [read.path for read in reads] == paths
    for path, read in zip(paths, reads, strict=True):
        data = path.read_bytes()
        digest, pixels = files.digest(data), decode.decode(data, 32).pixels
        assert (read.digest, read.reason, read.width, read.height) == (digest, "", 48, 36)
        assert np.array_equal(read.pixels, augment.augmented_copies(pixels, policy, 3, digest, 2))


def test_no_more_than_a_window_is_taken_ahead(tmp_path: Path) -> None:
    taken: list[Path] = []

    def watched() -> Iterator[Path]:
        for path in write_images(tmp_path, 12):
            taken.append(path)
            yield path

    reads = READER.ahead(watched(), 3)
    for number in range(1, 10):
        next(reads)
        assert len(taken) == number + 2
    reads.close()


def test_a_bad_file_in_the_middle_has_its_reason(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 5)
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[: len(whole) // 2])
    paths[3].unlink()
    reads = list(READER.ahead(paths, 2))
    assert [read.reason for read in reads] == ["", "", "truncated", "vanished", ""]
    assert [len(read.pixels) for read in reads] == [1, 1, 0, 0, 1]
    assert [bool(read.digest) for read in reads] == [True, True, True, False, True]
    reads[4].require_usable()
    with pytest.raises(decode.Rejected, match=r"3\.png: vanished: the file was listed"):
        reads[3].require_usable()


def test_known_images_are_not_decoded(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 3)
    known = files.digest(paths[1].read_bytes())
    reads = list(Reader(Job(32, "crop"), {known}).ahead(paths, 2))
    assert [len(read.pixels) for read in reads] == [1, 0, 1]
    assert (reads[1].digest, reads[1].reason) == (known, "")


def test_what_is_read_already_keeps_its_turn(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 4)
    given = [Read("first"), paths[0], Read("second"), Read("third"), paths[1]]
    found = list(READER.ahead(given, 2))
    assert found[0] is given[0] and found[2] is given[2] and found[3] is given[3]
    assert [found[1].path, found[4].path] == paths[:2]
    assert list(READER.ahead([], 2)) == []
