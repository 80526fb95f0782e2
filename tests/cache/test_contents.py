import hashlib

import numpy as np

from featx.cache.contents import Contents, as_bytes, as_texts, nothing


def index(digests: np.ndarray) -> Contents:
    count = len(digests)
    return Contents(digests, np.arange(count) * 10, np.full((count, 2), 7, np.int32))


def test_every_content_is_found_and_no_other() -> None:
    texts = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(3000)]
    found = index(as_bytes(texts))
    assert as_texts(as_bytes(texts)).tolist() == texts
    order = np.random.default_rng(0).permutation(3000)
    assert np.array_equal(found.find(as_bytes(texts)[order]), order)
    others = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert (found.find(as_bytes(others)) == -1).all()
    assert texts[5] in found and others[5] not in found and "" not in found


def test_digests_that_begin_alike_are_told_apart() -> None:
    digests = np.zeros((4, 32), np.uint8)
    digests[:, 31] = [3, 1, 2, 1]
    digests[2, 0] = 255
    found = index(digests)
    wanted = digests[[1, 0, 2, 3]].copy()
    assert found.find(wanted).tolist() == [1, 0, 2, 1]  # of equal ones, the first
    wanted[:, 31] = 9
    assert (found.find(wanted) == -1).all()
    assert found.counts().tolist() == [1, 2, 1, 0]


def test_nothing_is_in_nothing() -> None:
    assert len(nothing()) == 0 and nothing().find(np.zeros((2, 32), np.uint8)).tolist() == [-1, -1]
    both = Contents.joined([nothing(), index(as_bytes(["ab" * 32]))])
    assert "ab" * 32 in both and both.places.tolist() == [0]
