from dataclasses import replace

import pytest

from featx.errors import IncompatibleError, InputError
from featx.images import decode
from featx.network.fingerprint import Fingerprint, TrunkFingerprint

TRUNK = TrunkFingerprint("0" * 64, "caffe", "block5_pool", 64, "squash")
CACHE = Fingerprint(TRUNK, 0, "", 0, "float16", "float32")
WORDS = {"mine": "in the model", "theirs": "in the cache", "advice": "Extract again."}


def test_wrong_fields() -> None:
    with pytest.raises(InputError, match=r"Unknown resize 'pad'\. Expected one of squash, crop"):
        replace(TRUNK, resize="pad")
    with pytest.raises(InputError, match="Unknown layer"):
        replace(TRUNK, cut="predictions")


def test_the_decoding_rules_are_in_it() -> None:
    assert TRUNK.decoding == decode.RULES


def test_json_gives_the_same_fingerprint_again() -> None:
    assert Fingerprint.from_json(CACHE.as_json()) == CACHE


def test_equal_fingerprints_are_accepted() -> None:
    TRUNK.require_equal(replace(TRUNK), where="f.h5", **WORDS)
    CACHE.require_equal(replace(CACHE), where="f.h5", **WORDS)


def test_each_difference_has_a_line() -> None:
    other = replace(CACHE, trunk=replace(TRUNK, size=96, resize="crop"), precision="bfloat16")
    with pytest.raises(IncompatibleError) as caught:
        CACHE.require_equal(other, where="f\n.h5", **WORDS)
    assert str(caught.value).splitlines() == [
        r"f\n.h5 was made with other settings:",
        "  size: 96 in the cache, 64 in the model",
        "  resize: crop in the cache, squash in the model",
        "  precision: bfloat16 in the cache, float32 in the model",
        "Extract again.",
    ]
    with pytest.raises(IncompatibleError, match="size: 96 in the cache"):
        TRUNK.require_equal(other.trunk, where="f.h5", **WORDS)
