"""Extraction as work in parts: each is done from its images alone, here or by a worker."""

import contextlib
import functools
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.catalog import Catalog
from ..engines.engine import DamagedError
from ..errors import CorruptError, printable
from ..images.listed import read_ahead
from ..images.reader import Read, Reader
from ..network.activations import Activations
from ..network.trunk import Trunk, same_trunk
from ..storage import files
from .account import Account
from .contents import Contents
from .parts import Part, Parts, encode_part
from .run import Run, RunImages, read_images, read_run

__all__ = ["ExtractTask", "ExtractWork", "places_unknown"]

#: Contents that are remembered so that equal images are computed once: 100 MB of them.
_MOST_SEEN = 1 << 20

#: A function that is called after each batch, with its rows and those of the part that wait.
Advance = Callable[[int, int], None]
#: A function that is called with what became of the images of a part.
Note = Callable[[np.ndarray, Account], None]


class ExtractWork:
    """The parts of an extraction, for an engine.

    Parameters
    ----------
    run : Run
        Written in the folder, where workers do it.
    images : RunImages
    parts : Parts
    trunk : Trunk
    known : Contents
        Of `images.contents`.
    note : callable
        See `Note`; it is called once for each part.
    advance : callable, optional
        See `Advance`; of what a worker did it is called once a part.
    """

    name = "extract"

    def __init__(
        self,
        run: Run,
        images: RunImages,
        parts: Parts,
        trunk: Trunk,
        known: Contents,
        note: Note,
        advance: Advance | None = None,
    ) -> None:
        self._run = run
        self._images = images
        self._trunk = trunk
        self._known = known
        self._note = note
        self._advance = advance
        self.folder = parts.folder

    def _indices(self, number: int) -> np.ndarray:
        return self._images.missing[self._run.span(number)]

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Do parts in this process, in order, while further images are read ahead."""
        coming, mine = itertools.tee(numbers)
        indices = (index for number in coming for index in self._indices(number).tolist())
        reader = Reader(self._run.job, self._known)
        seen: set[str] = set()
        with contextlib.closing(
            read_ahead(self._images.listed, indices, reader, self._run.images_in_part)
        ) as reads:
            for number in mine:
                wanted = self._indices(number)
                some = self._images.listed.take(wanted)
                data, account = _computed(self._run, some, reads, self._trunk, seen, self._advance)
                files.make_folder(self.folder)
                files.write_bytes(self.folder / self._run.name(number), data)
                self._note(wanted, account)
                yield number

    def task(self, *, shared: bool) -> "ExtractTask":
        """Return what is sent to workers; see `engines.engine.Work`."""
        text = self._run.as_json()
        if shared:
            return ExtractTask(str(self.folder.absolute()), files.digest(text))
        return ExtractTask("", "", text, self._images.contents.tobytes())

    def question(self, number: int, *, shared: bool) -> Any:
        """Return what a worker needs to know of a part."""
        return number if shared else self._images.listed.take(self._indices(number))

    def keep(self, number: int, answer: bytes) -> None:
        """Take a part that a worker wrote or sent, and note what became of its images.

        Raises
        ------
        DamagedError
            When it is not whole, or is of other images.
        CorruptError
            When too many images cannot be used.
        StorageError
            When it cannot be written.
        """
        if len(answer) > _SEAL:
            files.write_bytes(self.folder / self._run.name(number), zlib.decompress(answer))
        try:
            part = self.look(number)
        except CorruptError as error:
            raise DamagedError(str(error)) from error
        if part is None:
            raise DamagedError(
                f"A worker says that it wrote {printable(self.folder / self._run.name(number))}, "
                "and it is not there: the folder is not the one that this process sees."
            )
        if len(answer) == _SEAL and part.seal != answer.decode("ascii", "replace"):
            raise DamagedError(f"{printable(part.path)} is not the part that a worker computed.")
        if self._advance:
            self._advance(len(part) * self._run.fingerprint.shape[0], 0)
        self.take(number, part)

    def look(self, number: int) -> Part | None:
        """Return a part that is written; None where it is not.

        Raises
        ------
        CorruptError
            When it is damaged, or of other images.
        """
        path = self.folder / self._run.name(number)
        if not path.is_file():
            return None
        part = Part(path)
        if part.account is None or len(part.account) != len(self._indices(number)):
            raise CorruptError(f"{printable(path)} has other images. Delete it and run again.")
        return part

    def take(self, number: int, part: Part) -> None:
        """Note what became of the images of a part that is written."""
        if part.account:
            self._note(self._indices(number), part.account)


_SEAL = 64  # digits of a seal; no part is as short


@dataclass(frozen=True)
class ExtractTask:
    """The computing of parts, as it is sent to a worker.

    Attributes
    ----------
    folder : str
        The folder of the parts, where the worker sees it; else "", and then `text` and `contents`
        say what is in it.
    digest : str
        SHA-256 of the run that is written there.
    text : bytes
        The run as JSON.
    contents : bytes
        See `RunImages`.
    """

    folder: str
    digest: str
    text: bytes = b""
    contents: bytes = b""

    def __call__(self, question: Any) -> bytes:
        """Compute a part; return its seal where it is written, else all of it, compressed.

        Parameters
        ----------
        question : int or Catalog
            Its number, or its images.
        """
        if not self.folder:
            run, known = _sent(self.text, self.contents)
            return zlib.compress(_done(run, question, known), 1)
        folder = Path(self.folder)
        run, images, known = _shared(folder, self.digest)
        some = images.listed.take(images.missing[run.span(question)])
        path = folder / run.name(question)
        files.write_bytes(path, _done(run, some, known))
        return Part(path).seal.encode()


@functools.lru_cache(maxsize=2)
def _shared(folder: Path, digest: str) -> tuple[Run, RunImages, Contents]:
    """Return the run that is written in a folder; a worker reads it once."""
    run = read_run(folder, digest)
    if run is None:
        raise CorruptError(f"{printable(folder)} has no run any more: its coordinator has ended.")
    images = read_images(folder, run)
    return run, images, places_unknown(images.contents)


@functools.lru_cache(maxsize=2)
def _sent(text: bytes, contents: bytes) -> tuple[Run, Contents]:
    return Run.from_json(text), places_unknown(np.frombuffer(contents, np.uint8).reshape(-1, 32))


def places_unknown(contents: np.ndarray) -> Contents:
    """Return an index that tells which contents are there, and neither where nor how large."""
    nothing = np.zeros((len(contents), 2), np.int32)
    return Contents(contents, np.arange(len(contents)), nothing)


@functools.lru_cache(maxsize=2)
def _trunk(run: Run) -> Trunk:
    """Return the network of a run, with weights of this machine; a worker compiles it once."""
    made = run.fingerprint
    trunk = same_trunk(
        made, "The run", weights=run.weights, runtime=made.runtime, precision=made.precision
    )
    return Trunk(trunk.weights, made, batch=run.batch)


def _done(run: Run, images: Catalog, known: Contents) -> bytes:
    """Return a part of some images, computed by a worker."""
    reader = Reader(run.job, known, keeps=True)
    with contextlib.closing(
        read_ahead(images, range(len(images)), reader, run.images_in_part)
    ) as reads:
        return _computed(run, images, reads, _trunk(run), set())[0]


def _computed(
    run: Run,
    images: Catalog,
    reads: Iterator[Read],
    trunk: Trunk,
    seen: set[str],
    advance: Advance | None = None,
) -> tuple[bytes, Account]:
    """Compute a part; return it and what became of its images.

    Parameters
    ----------
    run : Run
    images : Catalog
        Of the part.
    reads : iterator of Read
        As many are taken as there are images.
    trunk : Trunk
    seen : set of str
        Digests whose features are in earlier parts of this process; those of this one are added.
    advance : callable, optional
    """
    found: list[Read] = []
    new: dict[str, Read] = {}

    def new_images() -> Iterator[Read]:
        for read in itertools.islice(reads, len(images)):
            found.append(read)
            digest = read.digest
            if not read.reason and len(read.pixels) and digest not in seen and digest not in new:
                new[digest] = read
                yield read

    # Batch by batch, so that the next images are read while the network computes.
    computed = [some for _, some in trunk.stream(new_images(), run.batch, advance)]
    activations = Activations.joined(computed) if computed else _none(run)
    finite = activations.finite
    good = [read for read, is_fine in zip(new.values(), finite, strict=True) if is_fine]
    bad = new.keys() - {read.digest for read in good}
    if len(seen) < _MOST_SEEN:
        seen.update(read.digest for read in good)
    account = Account.of(images.paths.tolist(), found, bad)
    data = encode_part(
        activations.take(finite),
        [read.digest for read in good],
        [(read.width, read.height) for read in good],
        run.fingerprint,
        account,
    )
    return data, account


def _none(run: Run) -> Activations:
    made = run.fingerprint
    return Activations(
        np.empty((0, *made.shape), made.dtype),
        np.empty((0, *made.pools_shape), np.float16),
        np.empty((0, *made.cut_pools_shape), np.float32) if made.keep == "pooled" else None,
    )
