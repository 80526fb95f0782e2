"""Images that a cache holds and that are no longer listed: nothing of them is lost unawares."""

from collections.abc import Collection

import numpy as np

from ..dataset.catalog import Catalog
from ..errors import InputError, printable
from ..images import decode
from ..images.listed import digest_of
from .contents import Contents, as_bytes, as_texts
from .file import Cache
from .rows import Rows
from .structure import Removed

__all__ = ["removed_images", "require_listed", "require_same_source"]


def removed_images(old: Cache | None, parts: Contents, rows: Rows) -> list[Removed]:
    """Return the images of an old cache and of parts that are not among the rows of a new one.

    Parameters
    ----------
    old : Cache, optional
    parts : Contents
        See `parts.Parts.contents`.
    rows : Rows

    Returns
    -------
    list of Removed
        In the order of digests; each content once.
    """
    listed = Contents(rows.content, np.arange(len(rows)), np.empty((0, 2), np.int32))
    gone = np.flatnonzero(listed.find(parts.digests) < 0)
    found = {
        digest: Removed("", digest, width, height)
        for digest, (width, height) in zip(
            as_texts(parts.digests[gone]), parts.sizes[gone].tolist(), strict=True
        )
    }
    if old:
        hidden = old.removed
        still = listed.find(as_bytes([image.digest for image in hidden])) >= 0
        found |= {i.digest: i for i, is_listed in zip(hidden, still, strict=True) if not is_listed}
        for index in np.flatnonzero(listed.find(old.content) < 0).tolist():
            row = old.rows(index, index + 1)
            digest, (width, height) = row.digests[0], row.sizes[0].tolist()
            found[digest] = Removed(str(row.catalog.paths[0]), digest, width, height)
        if not old.is_whole:  # what is lost cannot be kept
            there = Contents.joined([parts, old.contents()])
            found = {digest: image for digest, image in found.items() if digest in there}
    return [found[digest] for digest in sorted(found)]


def require_listed(cache: Cache) -> None:
    """Check that a cache lists images, and does not only hold those that Python programs added.

    Raises
    ------
    InputError
        When it lists none.
    """
    if not len(cache):
        raise InputError(
            f"{printable(cache.path)} lists no images; {len(cache.removed)} that a Python program "
            "added are hidden. List them, which computes nothing anew: featx extract FOLDER -o "
            f"{printable(cache.path)}"
        )


def require_same_source(old: Cache, listed: Catalog) -> None:
    """Check that a cache is not brought up to date with images of quite another source.

    A folder that was moved or renamed is the same source: all images of the cache are in it.

    Raises
    ------
    InputError
        When the source is another one, and lacks images of the cache.
    """
    if old.root.resolve() == listed.root.resolve():
        return
    if not _holds(listed, as_texts(old.content), old.fingerprint.trunk.bits):
        count = len(set(old.digests))
        raise InputError(
            f"{printable(old.path)} has the features of {count} images of "
            f"{printable(old.root)}, and not all of them are in {printable(listed.root)}. "
            "To keep them, give another output with -o. To replace them, add --overwrite. If it "
            "is the same source and some are gone for good, add --prune."
        )


def _holds(listed: Catalog, digests: Collection[str], bits: int) -> bool:
    """Tell whether the listed files have all these contents; files are read until that is clear."""
    left = set(digests)
    for index in range(len(listed)):
        if not left or len(left) > len(listed) - index:
            break
        try:
            left.discard(digest_of(listed, index, bits))
        except decode.Rejected:
            continue
    return not left
