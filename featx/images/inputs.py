"""The images that Python programs give: paths, bytes, open files, Pillow's images and arrays."""

import functools
import hashlib
import io
import os
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..dataset.catalog import NO_LABEL, Catalog
from ..dataset.stores.addresses import address_of, known_by_name
from ..dataset.stores.remote import Remote, require_known
from ..errors import InputError, printable
from .augment import augmented_copies
from .decode import Rejected, fetch, image_of, make_upright, resize_upright
from .reader import Elsewhere, InMemory, Read
from .sandbox import Job

__all__ = ["Images", "as_readable", "is_one_image", "list_images", "pixel_digest", "read_image"]

#: Images one by one; each is a path, bytes, a binary file, one of Pillow's images or an array.
Images = Iterable[Any]


def as_readable(images: Images, job: Job) -> Iterator[Path | InMemory | Elsewhere | Read]:
    """Yield images in a form that `Reader.ahead` takes.

    Parameters
    ----------
    images : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
        See `Model.predict_proba`.
    job : Job
        For images that are decoded already.

    Raises
    ------
    InputError
        When one image is given and no list, or something that is no image.
    """
    return _each(_as_list(images), job)


def list_images(images: Images) -> Catalog:
    """Return images as a catalog in their own order, without labels.

    Files that are open are read from where they are, and stay there.

    Raises
    ------
    InputError
        When they can be gone through only once; see also `as_readable`.
    """
    if isinstance(images, Iterator):
        raise InputError(
            "A generator can be gone through only once, and these images are read again. Give a "
            "list: list(images)."
        )
    images = _as_list(images)
    given = [_checked(image, _name(index)) for index, image in enumerate(images)]
    paths, contents = np.empty(len(given), object), np.empty(len(given), object)
    for index, image in enumerate(given):
        is_file = isinstance(image, Path | Elsewhere)
        paths[index] = _name(index)
        if is_file:
            paths[index] = image.name if isinstance(image, Elsewhere) else str(image)
        contents[index] = None if is_file else image
    remote = sum(isinstance(image, Elsewhere) for image in given)
    if remote and any(isinstance(image, Path) for image in given):
        raise InputError("These are both files and addresses. Give a list of each kind.")
    none = np.full(len(given), "", object)
    labels = np.full(len(given), NO_LABEL, np.int32)
    store = Remote() if remote else None
    return Catalog(Path(), paths, labels, none, none, (), contents=contents, store=store)


def _as_list(images: Images) -> Images:
    """Return images one by one: those of a single column, and nothing that is one image.

    Raises
    ------
    InputError
        When they are not.
    """
    if is_one_image(images):
        raise InputError(
            "This is one image, and a list of images is expected. Put it into a list: [image]."
        )
    if not isinstance(images, Iterable):
        raise InputError(f"{printable(repr(images)[:60])} is not a list of images.")
    if hasattr(images, "columns") or _is_column(images):  # a table, or a part of one
        found = np.asarray(images, object)
        if found.shape[1:] != (1,):
            raise InputError(
                "This is a table, and a list of images is expected. Give the column that has them: "
                'table["path"].'
            )
        return list(found[:, 0])
    return images


def _is_column(images: object) -> bool:
    return isinstance(images, np.ndarray) and images.ndim == 2 and images.dtype.kind in "OSU"


def is_one_image(images: object) -> bool:
    """Tell whether something is one image, and no list of images."""
    if isinstance(images, np.ndarray):
        return images.ndim in (2, 3) and images.dtype.kind not in "OSU"
    is_one = isinstance(images, str | os.PathLike | bytes | Image.Image)
    return is_one or hasattr(images, "read")


def _each(images: Images, job: Job) -> Iterator[Path | InMemory | Elsewhere | Read]:
    for index, given in enumerate(images):
        image = _checked(given, _name(index))
        if isinstance(image, Path | Elsewhere):
            yield image
        elif isinstance(image, bytes):
            yield InMemory(image, _name(index))
        else:
            try:
                yield read_image(image, job, _name(index))
            except InputError as error:
                raise InputError(f"{_name(index)}: {error}") from error


def _name(index: int) -> str:
    return f"The image at index {index}"


def _checked(image: Any, name: str) -> Path | Elsewhere | bytes | np.ndarray | Image.Image:
    """Return an image, of an open file its content, or raise an `InputError`."""
    if isinstance(image, str | os.PathLike):
        address = address_of(image)
        if address:
            require_known(address)
            named = known_by_name(address)
            return Elsewhere(functools.partial(fetch, Remote(), named), named)
        return Path(image)
    if isinstance(image, bytes | np.ndarray | Image.Image):
        return image
    if hasattr(image, "read"):
        return _content(image, name)
    raise InputError(
        f"{name} is {printable(repr(image)[:60])}. Expected a path, bytes, a binary file, "
        "a Pillow image, or a uint8 array."
    )


def read_image(
    image: np.ndarray | Image.Image, job: Job, name: str, known: Container[str] = ()
) -> Read:
    """Make of an image that is in memory what `Reader` makes of a file.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray
        See `Model.predict_proba`.
    job : Job
    name : str
        What it is called in messages.
    known : container of str
        Digests of images whose pixels are not needed.

    Returns
    -------
    Read
        Its digest is that of `pixel_digest`. An image that cannot be used has a reason.

    Raises
    ------
    InputError
        When it has no pixels, or an array is no image.
    """
    try:
        upright, is_dark = make_upright(_as_image(image), job.bits)
    except Rejected as rejected:
        return Read("", rejected.reason, detail=rejected.detail, path=name)
    digest = _digest(upright)
    if digest in known:
        return Read(digest, path=name)
    first, *more = (
        augmented_copies(
            resize_upright(upright, size, job.resize), job.policy, job.seed, digest, job.copies
        )
        for size in job.sizes
    )
    width, height = upright.size
    return Read(
        digest,
        "",
        width,
        height,
        pixels=first,
        path=name,
        is_dark=is_dark,
        more_pixels=tuple(more),
    )


def pixel_digest(image: np.ndarray | Image.Image, bits: int = 16) -> str:
    """Return the SHA-256 of what is seen of an image in memory: its upright RGB pixels.

    So one of Pillow's images and the array of its pixels are the same image, and a palette or an
    EXIF orientation counts by what it does. No file has this digest.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray
        See `Model.predict_proba`.
    bits : int
        See `decode.decode`.

    Raises
    ------
    InputError, Rejected
        See `decode.make_upright`.
    """
    return _digest(make_upright(_as_image(image), bits)[0])


def _digest(upright: Image.Image) -> str:
    found = hashlib.sha256(f"featx pixels {upright.width} {upright.height}\0".encode())
    found.update(upright.tobytes())
    return found.hexdigest()


def _as_image(image: np.ndarray | Image.Image) -> Image.Image:
    return image_of(image) if isinstance(image, np.ndarray) else image


def _content(file: Any, name: str) -> bytes:
    if not isinstance(file, io.TextIOBase):
        start = file.tell() if hasattr(file, "seekable") and file.seekable() else None
        data = file.read()
        if isinstance(data, bytes):
            if start is not None:
                file.seek(start)  # it may be given again
            return data
    raise InputError(f'{name} is a file open for text. Open it with mode "rb".')
