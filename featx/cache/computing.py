"""The computing of the parts of an extraction, and what its caller is told meanwhile."""

from collections.abc import Sequence

import numpy as np

from ..engines.engine import Engine
from ..progress import Deadline, Progress
from .account import Account
from .ledger import Ledger
from .run import Run
from .work import ExtractWork

__all__ = ["Told", "compute"]


class Told:
    """What the caller is told.

    Parameters
    ----------
    ledger : Ledger
    run : Run
    progress : callable
        See `progress.Progress`; the detail is `computed`.

    Attributes
    ----------
    computed : int
        Images and copies that went through the network.
    """

    def __init__(self, ledger: Ledger, run: Run, progress: Progress) -> None:
        self._ledger = ledger
        self._each = run.fingerprint.shape[0]
        self._progress = progress
        self._in_part = 0
        self.computed = 0
        self._tell()

    def note(self, images: np.ndarray, account: Account) -> None:
        """Take note of a part that is finished."""
        self._in_part = 0
        self._ledger.take(images, account)
        self._tell()

    def advance(self, rows: int, _: int) -> None:
        """Take note of rows that were computed, of a part that may not be finished."""
        self.computed += rows
        self._in_part += rows
        self._tell()

    def _tell(self) -> None:
        done = min(self._ledger.seen + self._in_part // self._each, len(self._ledger))
        self._progress(done, len(self._ledger), self.computed)


def compute(
    engine: Engine, work: ExtractWork, numbers: Sequence[int], ledger: Ledger, deadline: Deadline
) -> None:
    """Have parts computed.

    Raises
    ------
    OutOfTimeError
        When the time is over before all are.
    """
    if not numbers:
        return
    finished = engine.run(work, numbers)
    try:
        for _ in finished:
            deadline.check(ledger.seen, len(ledger))
    finally:
        finished.close()
