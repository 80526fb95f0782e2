"""The images that Python programs give: paths, bytes, open files, Pillow's images and arrays."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, printable
from .decode import Rejected, resize_array, resize_image
from .reader import InMemory, Read
from .sandbox import Job

__all__ = ["Images", "as_readable"]

#: Images one by one; each is a path, bytes, a binary file, one of Pillow's images or an array.
Images = Iterable[Any]


def as_readable(images: Images, job: Job) -> Iterator[Path | InMemory | Read]:
    """Yield images in a form that `Reader.ahead` takes.

    Parameters
    ----------
    images : iterable of path, bytes, binary file, PIL.Image.Image or ndarray
        See `Model.predict_proba`.
    job : Job
        For images that are decoded already; no copies are made of them.

    Raises
    ------
    InputError
        When one image is given and no list, or something that is no image.
    """
    is_one = isinstance(images, str | os.PathLike | bytes | Image.Image) or hasattr(images, "read")
    if is_one or (isinstance(images, np.ndarray) and images.ndim in (2, 3) and images.dtype != "O"):
        raise InputError(
            "This is one image, and a list of images is expected. Put it into a list: [image]."
        )
    if not isinstance(images, Iterable):
        raise InputError(f"{printable(repr(images)[:60])} is not a list of images.")
    return _each(images, job)


def _each(images: Images, job: Job) -> Iterator[Path | InMemory | Read]:
    for index, image in enumerate(images):
        name = f"The image at index {index}"
        if isinstance(image, str | os.PathLike):
            yield Path(image)
        elif isinstance(image, bytes):
            yield InMemory(image, name)
        elif isinstance(image, np.ndarray):
            yield _read([resize_array(image, size, job.resize).pixels for size in job.sizes])
        elif isinstance(image, Image.Image):
            try:
                upright = [resize_image(image, s, job.resize, job.bits) for s in job.sizes]
                yield _read([one.pixels for one in upright])
            except Rejected as rejected:
                yield Read("", rejected.reason, detail=rejected.detail, path=name)
        elif hasattr(image, "read"):
            yield InMemory(_content(image, name), name)
        else:
            raise InputError(
                f"{name} is {printable(repr(image)[:60])}. Expected a path, bytes, a binary file, "
                "a Pillow image, or a uint8 array."
            )


def _read(sized: list[np.ndarray]) -> Read:
    first, *more = (pixels[np.newaxis] for pixels in sized)
    return Read("", pixels=first, more_pixels=tuple(more))


def _content(file: Any, name: str) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise InputError(f'{name} is a file open for text. Open it with mode "rb".')
    return data
