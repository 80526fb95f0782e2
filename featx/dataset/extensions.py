"""Which files are listed as images, by the end of their names."""

import os

__all__ = ["EXTENSIONS", "is_image"]

#: File name extensions that make a file a listed image, in lower case. HEIC and AVIF cannot be
#: decoded; they are listed all the same, so that they are reported and not overlooked.
EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("heic", "heif", "avif"),
    )
)


def is_image(name: str) -> bool:
    """Tell by its name whether a file is listed as an image."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS
