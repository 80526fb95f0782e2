"""Decoders that crash, hang or eat memory cost one image."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image

import featx
from featx.images import augment, decode, sandbox
from featx.images.decode import Rejected
from featx.images.sandbox import Decoder, Job
from featx.storage import files

# The process as it is, but for images that start with a word: what Pillow could do at its worst.
POISONED = """
import os, signal, sys, time
sys.path[:] = sys.argv[2:]
from featx.images import decode as module, sandbox
whole = module.decode
def decode(data, *settings):
    if data.startswith(b"crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.startswith(b"hang"):
        while True:
            pass
    if data.startswith(b"eat"):
        return bytearray(2 << 30)
    return whole(data, *settings)
module.decode = decode
sandbox.MAX_SECONDS = 1
sandbox.serve(sys.argv[1])
"""


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_PROGRAM", POISONED)


def test_it_gives_what_the_library_gives(tmp_path: Path) -> None:
    data = write_image(tmp_path / "1.png", 1).read_bytes()
    digest, policy = files.digest(data), augment.POLICIES["mild"]
    with_copies = Decoder(Job(64, "crop", policy, seed=3, copies=2))
    found = with_copies.decode(data, digest)
    whole = decode.decode(data, 64, "crop")
    assert np.array_equal(
        found.pixels[0], augment.augmented_copies(whole.pixels, policy, 3, digest, 2)
    )
    assert (found.width, found.height) == (48, 36)
    with pytest.raises(Rejected, match="truncated"):
        with_copies.decode(data[:200], digest)
    with_copies.close()
    with pytest.raises(Rejected):
        with_copies.decode(data, digest)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(
    ("word", "reason", "detail"),
    [
        ("crash", "unsupported", r"the decoder crashed on it \(-11\)"),
        ("hang", "unsupported", "decoding takes more than"),
        ("eat", "too_large", "decoding it takes more than 1,073,741,824 bytes"),
    ],
)
def test_the_next_image_is_decoded(tmp_path: Path, word: str, reason: str, detail: str) -> None:
    data = write_image(tmp_path / "1.png", 1).read_bytes()
    one = Decoder(Job(32, "crop"))
    for _ in range(2):
        with pytest.raises(Rejected, match=f"{reason}: {detail}"):
            one.decode(word.encode(), files.digest(b""))
        assert one.decode(data, files.digest(data)).pixels[0].shape == (1, 32, 32, 3)
    one.close()


def test_a_death_between_images_is_not_the_fault_of_the_next(tmp_path: Path) -> None:
    data = write_image(tmp_path / "1.png", 1).read_bytes()
    one = Decoder(Job(32, "crop"))
    before = one.decode(data, files.digest(data)).pixels
    process = one._process
    assert process
    os.kill(process.pid, signal.SIGKILL)
    while process.poll() is None:
        time.sleep(0.01)
    assert np.array_equal(one.decode(data, files.digest(data)).pixels, before)
    one.close()


def test_a_process_that_never_reads_is_an_error_of_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox, "_PROGRAM", "raise SystemExit(3)")
    with pytest.raises(Rejected, match=r"unsupported: the decoder crashed on it \(3\)"):
        Decoder(Job(32, "crop")).decode(bytes(1 << 20), "00" * 32)  # more than a pipe holds


@pytest.mark.usefixtures("poisoned")
def test_an_extraction_goes_on(photos: Path, tmp_path: Path) -> None:
    (photos / "red" / "bad.png").write_bytes(b"crash")
    (photos / "blue" / "bad.png").write_bytes(b"hang")
    done = featx.extract(photos, tmp_path / "f.h5", **TINY)
    assert (done.listed, done.cached) == (26, 24)
    assert {row.path: row.reason for row in done.skipped} == {
        "blue/bad.png": "unsupported",
        "red/bad.png": "unsupported",
    }
