"""Imports kept from what they would bring along."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without"]


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports of these modules fail meanwhile, as if they were not installed.

    Those that have been imported already stay. For imports whose own code takes that well.
    """
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: cannot be imported
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
