"""What the folders of images mean: classes, splits, or nothing."""

import os

from ..errors import InputError, printable
from .catalog import Entry, split_of

__all__ = ["Layout", "entry_of"]


class Layout:
    """What is known of the folders of images; of the images themselves, only their number."""

    def __init__(self) -> None:
        self._images = 0
        self._beside = 0  # images in no folder
        self._first = ""  # of those
        # First folder → whether there are folders in it, and these while all look like splits.
        self._deep: dict[str, bool] = {}
        self._splits: dict[str, set[str] | None] = {}

    def note(self, path: str) -> None:
        """Take the relative path of an image, in any order."""
        self._images += 1
        name, slash, rest = path.partition(os.sep)
        if not slash:
            self._first = self._first if self._beside else path
            self._beside += 1
            return
        below, slash, _ = rest.partition(os.sep)
        if name not in self._deep:
            self._deep[name], self._splits[name] = False, set()
        if not slash:
            return
        self._deep[name] = True
        known = self._splits[name]
        if known is None or below in known:
            return
        if split_of(below):
            known.add(below)
        else:
            self._splits[name] = None

    def decide(self) -> str:
        """Return what the folders mean: "flat", "classes" or "splits".

        Raises
        ------
        InputError
            When it cannot be told.
        """
        if self._beside == self._images:
            return "flat"
        if self._beside:
            raise InputError(
                f"{self._beside} images, for example {printable(self._first)}, lie beside the "
                f"folders with the other {self._images - self._beside}, so their class cannot be "
                "told. Move them into a class folder, or list the images in a manifest."
            )
        splits = {name for name in self._deep if split_of(name)}
        strangers = sorted(set(self._deep) - splits)
        if not strangers:
            return "splits"
        inside = {name for name in splits if self._deep[name]}
        if inside:
            raise InputError(
                f"The folder {printable(min(inside))!r} looks like a split, but beside it is "
                f"{printable(strangers[0])!r}, which does not. Keep only train, val and test "
                "folders there, or list the images in a manifest."
            )
        below = self._splits[strangers[0]]
        if len(self._deep) == 1 and below:
            raise InputError(
                f"There is one folder, {printable(strangers[0])!r}, and those in it look like "
                f"splits: {', '.join(map(printable, sorted(below)))}. Give that folder as the "
                "source."
            )
        return "classes"


def entry_of(path: str, layout: str) -> Entry:
    """Return the entry of an image below a folder of a layout."""
    if layout == "flat":
        return Entry(path)
    parts = path.split(os.sep, 2)
    if layout == "classes":
        return Entry(path, label=parts[0])
    return Entry(path, label=parts[1] if len(parts) > 2 else None, split=split_of(parts[0]))
