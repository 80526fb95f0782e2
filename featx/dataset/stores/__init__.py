"""Where the bytes of listed images are, when they are no files below a folder."""

from .kinds import store_from_dict
from .store import NotRead, Store

__all__ = ["NotRead", "Store", "store_from_dict"]
