from pathlib import Path

import numpy as np
import pytest
from generated import without_pools

from featx.cache.contents import as_bytes
from featx.cache.parts import PartReader, Parts, Place
from featx.errors import CorruptError
from featx.network.fingerprint import Fingerprint, TrunkFingerprint
from featx.storage.files import digest

FINGERPRINT = Fingerprint(
    TrunkFingerprint("ab", "torch", "block5_pool", 32, "crop"), 1, "mild", 0, "float16", "float32"
)


def written(folder: Path, count: int) -> Parts:
    """Write so many parts of two images, whose features are their numbers."""
    parts = Parts(folder / "f.h5")
    for number in range(0, 2 * count, 2):
        features = np.arange(number, number + 2, dtype=np.float16).repeat(1024)
        digests = [digest(bytes([number])), digest(bytes([number + 1]))]
        parts.write(
            without_pools(features.reshape(2, *FINGERPRINT.shape)),
            digests,
            [(number, 1), (number, 2)],
            FINGERPRINT,
        )
    return parts


def test_what_is_written_is_found(tmp_path: Path) -> None:
    parts = written(tmp_path, 3)
    contents = parts.contents()
    assert parts.fingerprint() == FINGERPRINT
    assert len(contents) == 6
    reader = PartReader(parts.paths())
    for number in (5, 0, 3):
        (at,) = contents.find(as_bytes([digest(bytes([number]))]))
        place = Place.of(int(contents.places[at]))
        assert (reader.activations(place).features == number).all()
        assert contents.sizes[at].tolist() == [number // 2 * 2, number % 2 + 1]
    parts.remove()
    assert parts.fingerprint() is None and len(parts.contents()) == 0


def test_a_part_never_takes_the_place_of_another(tmp_path: Path) -> None:
    parts = written(tmp_path, 3)
    (parts.folder / "00000000.safetensors").unlink()
    nines = without_pools(np.full((1, *FINGERPRINT.shape), 9, np.float16))
    parts.write(nines, [digest(b"new")], [(1, 1)], FINGERPRINT)
    assert sorted(path.name for path in parts.folder.iterdir()) == [
        f"0000000{number}.safetensors" for number in (1, 2, 3)
    ]
    assert len(parts.contents()) == 5


@pytest.mark.parametrize("length", [0, 7, 200, -1])
def test_cut_parts_are_refused(tmp_path: Path, length: int) -> None:
    parts = written(tmp_path, 1)
    path = parts.folder / "00000000.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptError, match=r"00000000\.safetensors is damaged"):
        parts.contents()
