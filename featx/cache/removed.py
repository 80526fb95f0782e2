"""Images that a cache holds and that are no longer listed: nothing of them is lost unawares."""

from collections.abc import Collection, Mapping

from ..dataset.catalog import Catalog
from ..errors import InputError, printable
from ..images import decode
from ..images.listed import digest_of
from .file import Cache
from .parts import Place
from .rows import CacheRows
from .structure import Removed

__all__ = ["removed_images", "require_listed", "require_same_source"]


def removed_images(old: Cache | None, parts: Mapping[str, Place], rows: CacheRows) -> list[Removed]:
    """Return the images of an old cache and of parts that are not among the rows of a new one.

    Parameters
    ----------
    old : Cache, optional
    parts : mapping
        See `parts.Parts.index`.
    rows : CacheRows

    Returns
    -------
    list of Removed
        In the order of digests; each content once.
    """
    found = {
        digest: Removed("", digest, place.width, place.height) for digest, place in parts.items()
    }
    if old:
        found |= {image.digest: image for image in old.removed}
        for path, digest, (width, height) in zip(
            old.catalog.paths, old.digests, old.sizes.tolist(), strict=True
        ):
            found[digest] = Removed(str(path), digest, width, height)
    listed = set(rows.digests)
    return [found[digest] for digest in sorted(set(found) - listed)]


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
    before = old.catalog
    if before.root.resolve() == listed.root.resolve():
        return
    if not _holds(listed, old.digests, old.fingerprint.trunk.bits):
        raise InputError(
            f"{printable(old.path)} has the features of {len(set(old.digests))} images of "
            f"{printable(before.root)}, and not all of them are in {printable(listed.root)}. "
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
