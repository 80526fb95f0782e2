"""An extraction as its workers see it: what to compute, of which images, in which parts.

Where several processes work on one cache, a run is written beside its parts, so that each of them
needs nothing but the folder: ``run.json`` has the settings, ``run.images`` the catalog, and
``run.known`` (safetensors) what was known of each image before, which images are missing, and
which contents need no computing.
"""

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from ..dataset.catalog import Catalog
from ..dataset.stored import StoredCatalog, write_catalog
from ..errors import CorruptError, InputError, printable
from ..images import augment
from ..images.sandbox import Job
from ..network.fingerprint import Fingerprint
from ..storage import files
from ..storage.tensors import load_tensors, save_tensors
from .account import Account
from .plan import ExtractSettings, Plan

__all__ = ["Run", "RunImages", "new_run", "read_images", "read_run", "write_run"]

_RUN, _IMAGES, _KNOWN = "run.json", "run.images", "run.known"
_FORMAT = 1


@dataclass(frozen=True)
class Run:
    """What an extraction computes.

    Attributes
    ----------
    id : str
        What the names of its parts begin with.
    fingerprint : Fingerprint
    job : Job
        What is made of every image before the network.
    batch : int
        Images in a batch of the network.
    images_in_part : int
    weights : str
        See `weights.resolve_weights`.
    count : int
        Images that are missing, which the parts have.
    source : str
        Where the images are, so that no share is asked for other ones.
    shares : int
        How many processes do the parts, without one that coordinates them; 0 with one.
    max_bad, strict, prune, overwrite
        See `plan.ExtractSettings`.
    images, known : str
        SHA-256 of the catalog and of what is known, where they are written.
    """

    id: str
    fingerprint: Fingerprint
    job: Job
    batch: int
    images_in_part: int
    weights: str
    count: int
    source: str = ""
    shares: int = 0
    max_bad: float | None = None
    strict: bool = False
    prune: bool = False
    overwrite: bool = False
    images: str = ""
    known: str = ""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.count // self.images_in_part)

    def name(self, number: int) -> str:
        """Return the name of a part's file."""
        return f"{self.id}-{number:08d}.safetensors"

    def span(self, number: int) -> slice:
        """Return which of the missing images a part has."""
        return slice(number * self.images_in_part, (number + 1) * self.images_in_part)

    def as_json(self) -> bytes:
        """Return the fields as JSON."""
        plain = asdict(replace(self, fingerprint=None))  # type: ignore[arg-type]
        plain |= {"format": _FORMAT, "fingerprint": self.fingerprint.as_json()}
        return json.dumps(plain, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the run that `as_json` is of.

        Raises
        ------
        LookupError, ValueError, TypeError, InputError
            When it is something else.
        """
        plain = dict(json.loads(data))
        if plain.pop("format") != _FORMAT:
            raise ValueError("another version of featx wrote it")
        job = dict(plain["job"])
        policy = dict(job["policy"])
        policy["zoom"] = tuple(policy["zoom"])
        job |= {"policy": augment.Policy(**policy), "more_sizes": tuple(job["more_sizes"])}
        plain |= {
            "fingerprint": Fingerprint.from_json(plain["fingerprint"]),
            "job": Job(**job),
        }
        return cls(**plain)


@dataclass(frozen=True, eq=False)
class RunImages:
    """The images of a run.

    Attributes
    ----------
    listed : Catalog
        All that are listed.
    before : Account
        What is known of each of them; zeros where nothing is.
    missing : ndarray of int64, shape (count,)
        Indices of the images that the parts have.
    contents : ndarray of uint8, shape (m, 32)
        Contents whose features are there already.
    """

    listed: Catalog
    before: Account
    missing: np.ndarray
    contents: np.ndarray


def new_run(
    plan: Plan, settings: ExtractSettings, count: int, *, source: str = "", shares: int = 0
) -> Run:
    """Return the run of a plan, with an id of its own.

    Parameters
    ----------
    plan : Plan
    settings : ExtractSettings
    count : int
        Images that are missing.
    source, shares
        See `Run`.
    """
    return Run(
        secrets.token_hex(4),
        plan.fingerprint,
        plan.job,
        plan.batch,
        plan.images_in_part,
        settings.weights,
        count,
        source,
        shares,
        settings.max_bad,
        settings.strict,
        settings.prune,
        settings.overwrite,
    )


def write_run(folder: Path, run: Run, images: RunImages) -> Run:
    """Write a run beside its parts; return it with the digests of what was written.

    Raises
    ------
    InputError
        When images are in memory, which no other process sees.
    StorageError
    """
    if images.listed.contents is not None:
        raise InputError(
            "Images that are in memory are not seen by other processes. Save them as files, or "
            "extract them in this process alone."
        )
    files.make_folder(folder)
    arrays = {**images.before.arrays, "missing": images.missing, "contents": images.contents}
    known = save_tensors(arrays)
    files.write_bytes(folder / _KNOWN, known)
    catalog = write_catalog(folder / _IMAGES, images.listed, overwrite=True)
    run = replace(run, images=catalog, known=files.digest(known))
    files.write_bytes(folder / _RUN, run.as_json())  # the last: it says that the others are there
    return run


def read_run(folder: Path, digest: str | None = None) -> Run | None:
    """Return the run that is written beside parts, if there is one.

    Parameters
    ----------
    folder : Path
    digest : str, optional
        SHA-256 that it must have.

    Raises
    ------
    CorruptError
        When it is damaged, or is another one.
    """
    path = folder / _RUN
    if not path.is_file():
        return None
    data = files.read_bytes(path)
    try:
        if digest not in (None, files.digest(data)):
            raise ValueError("it is of another run")
        return Run.from_json(data)
    except LookupError as error:
        raise _damaged(path, f"it lacks {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise _damaged(path, error) from error


def read_images(folder: Path, run: Run) -> RunImages:
    """Return the images of a run that is written beside its parts.

    Raises
    ------
    CorruptError
        When they are damaged.
    """
    path = folder / _KNOWN
    data = files.read_bytes(path)
    try:
        if files.digest(data) != run.known:
            raise ValueError("its SHA-256 is another")
        found = load_tensors(data)
        missing, contents = found.pop("missing"), found.pop("contents")
        before = Account(found["digests"], found["sizes"], found["keys"])
    except (LookupError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    listed = StoredCatalog.open(folder / _IMAGES, digest=run.images)
    return RunImages(listed, before, missing, contents)


def _damaged(path: Path, error: object) -> CorruptError:
    return CorruptError(
        f"{printable(path)} is damaged: {error}. Delete this file, and start all shares again; "
        "finished parts are kept."
    )
