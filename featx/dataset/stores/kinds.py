"""The kinds of stores there are."""

from collections.abc import Mapping
from typing import Any

from ...errors import CorruptError, printable
from .archives import Archives
from .parquet import Parquet
from .remote import Remote
from .store import Store

__all__ = ["KINDS", "store_from_dict"]

#: What `Store.as_dict` calls a store → its class.
KINDS: Mapping[str, type[Store]] = {kind.kind: kind for kind in (Archives, Parquet, Remote)}


def store_from_dict(found: Mapping[str, Any]) -> Store:
    """Return the store that `Store.as_dict` describes.

    Raises
    ------
    CorruptError
        When it describes none: such values come from files, and nothing in them is trusted.
    """
    fields = {name: value for name, value in found.items() if name != "kind"}
    kind = KINDS.get(str(found.get("kind")))
    if kind is None or not all(isinstance(value, str) for value in fields.values()):
        raise CorruptError(f"{printable(repr(dict(found))[:80])} describes no store of images.")
    try:
        return kind(**fields)
    except TypeError as error:
        raise CorruptError(f"A store of images is described wrongly: {error}.") from error
