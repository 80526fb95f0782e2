"""Scoring as work in parts: each is a block of images, done here or by a worker."""

import functools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..dataset.catalog import Catalog
from ..dataset.stored import StoredCatalog, write_catalog
from ..engines.engine import DamagedError
from ..errors import CorruptError, InputError, printable
from ..model.file import load_bytes
from ..model.model import Model
from ..storage import files
from ..storage.unfinished import Shards, shard_bytes
from .content import ScoreSettings, columns_of, content_of
from .known import KnownScores
from .rows import CacheSource, FileSource
from .tables import Table, table_for

__all__ = ["Order", "ScoreTask", "ScoreWork", "order_for"]

# Beside the shards, where workers see them; they go before `run.json`, in the order of names.
_IMAGES, _MODEL, _ORDER = "images.catalog", "model.featx", "order.json"
_SEAL = 64  # digits of a digest; no shard is as short


@dataclass(frozen=True)
class Order:
    """What workers score with.

    Attributes
    ----------
    text : bytes
        JSON: the settings, the format of the table, and how the model is computed.
    model : bytes
        The model's file.
    """

    text: bytes
    model: bytes


def order_for(
    model: Model, path: Path, opened: FileSource, settings: ScoreSettings, out: Path, about: Any
) -> Order:
    """Return what workers score with.

    Raises
    ------
    InputError
        When images are in memory, or the model's file has changed since it was loaded.
    """
    if opened.catalog.contents is not None:
        raise InputError(
            "Images that are in memory are not seen by other processes. Save them as files, or "
            "score them in this process alone."
        )
    data = files.read_bytes(path)
    if files.digest(data) != model.digest:
        raise InputError(f"{printable(path)} is not the model that was loaded. Load it again.")
    runtime, precision = model.computing
    described = {
        "settings": asdict(settings),
        "suffix": out.suffix,
        "about": about,
        "weights": model.weights,
        "runtime": runtime,
        "precision": precision,
        "block": opened.block,
    }
    return Order(json.dumps(described, sort_keys=True).encode(), data)


class ScoreWork:
    """The scoring of blocks of images, for an engine.

    Parameters
    ----------
    model : Model
    opened : FileSource or CacheSource
    settings : ScoreSettings
    known : KnownScores
    table : Table
    shards : Shards
    blocks : sequence of range
        Of all images.
    advance : callable
        See `rows.FileSource.rows`.
    order : Order, optional
        Where workers do it.
    """

    name = "score"

    def __init__(
        self,
        model: Model,
        opened: FileSource | CacheSource,
        settings: ScoreSettings,
        known: KnownScores,
        table: Table,
        shards: Shards,
        blocks: Sequence[range],
        advance: Callable[[int], None],
        order: Order | None = None,
    ) -> None:
        self._model = model
        self._opened = opened
        self._settings = settings
        self._known = known
        self._table = table
        self._shards = shards
        self._blocks = blocks
        self._advance = advance
        self._order = order
        self._digest = ""
        self.folder = shards.path

    def stream(self, numbers: Iterable[int]) -> Iterator[int]:
        """Score blocks in this process, in order, while further images are read ahead."""
        mine = list(numbers)
        found = self._opened.rows([self._blocks[number] for number in mine], self._advance)
        for number, rows in zip(mine, found, strict=True):
            content, summary = content_of(self._model, rows, self._settings, self._known)
            self._shards.write(number, summary, self._table.encode(content))
            yield number

    def task(self, *, shared: bool) -> "ScoreTask":
        """Return what is sent to workers; see `engines.engine.Work`."""
        order = self._ordered
        if not shared:
            return ScoreTask("", "", order)
        files.write_bytes(self.folder / _MODEL, order.model)
        catalog = write_catalog(self.folder / _IMAGES, self._opened.catalog, overwrite=True)
        text = json.dumps({**json.loads(order.text), "images": catalog}, sort_keys=True).encode()
        files.write_bytes(self.folder / _ORDER, text)
        self._digest = files.digest(text)
        return ScoreTask(str(self.folder.absolute()), self._digest)

    @property
    def _ordered(self) -> Order:
        if self._order is None:
            raise AssertionError("there is no order for workers")
        return self._order

    def question(self, number: int, *, shared: bool) -> Any:
        """Return what a worker needs to know of a block."""
        block = self._blocks[number]
        return number if shared else self._opened.catalog.block(block.start, block.stop)

    def keep(self, number: int, answer: bytes) -> None:
        """Take a block that a worker wrote or sent.

        Raises
        ------
        DamagedError
            When it is not whole.
        StorageError
            When it cannot be written.
        """
        path = self._shards.shard(number)
        if len(answer) > _SEAL:
            files.write_bytes(path, zlib.decompress(answer))
        else:
            written = self.folder / _name(self._digest, number)
            if not written.is_file() or files.file_digest(written) != answer.decode():
                raise DamagedError(f"{printable(written)} is not the block that a worker scored.")
            files.rename(written, path)
        self._advance(len(self._blocks[number]))


@dataclass(frozen=True)
class ScoreTask:
    """The scoring of blocks, as it is sent to a worker.

    Attributes
    ----------
    folder : str
        The folder of the shards, where the worker sees it; else "", and `order` says it all.
    digest : str
        SHA-256 of what is ordered there.
    order : Order, optional
    """

    folder: str
    digest: str
    order: Order | None = None

    def __call__(self, question: Any) -> bytes:
        """Score a block; return its digest where it is written, else all of it, compressed.

        Parameters
        ----------
        question : int or Catalog
            Its number, or its images.
        """
        if self.order:
            return zlib.compress(_opened(self.order).shard(question), 1)
        folder = Path(self.folder)
        scorer, listed = _shared(folder, self.digest)
        start = question * scorer.block
        data = scorer.shard(listed.block(start, start + scorer.block))
        files.write_bytes(folder / _name(self.digest, question), data)
        return files.digest(data).encode()


def _name(digest: str, number: int) -> str:
    """Return the name under which a worker writes a block.

    It is that of this run alone: a worker that stood still, and goes on when the run has long
    ended, writes nothing that another run takes for its own.
    """
    return f"{number:08d}.{digest[:16]}"


class _Scorer:
    """A model of a worker, with its network compiled once."""

    def __init__(self, order: Order, called: Path) -> None:
        given: Mapping[str, Any] = json.loads(order.text)
        self._settings = ScoreSettings(**given["settings"])
        self._model = load_bytes(
            order.model,
            called,
            weights=given["weights"],
            runtime=given["runtime"],
            precision=given["precision"],
        )
        self._table = table_for(
            Path(f"scores{given['suffix']}"),
            columns_of(self._model, self._settings),
            given["about"],
            excel=self._settings.excel,
        )
        self.block: int = given["block"]
        self.images: str = given.get("images", "")

    def shard(self, images: Catalog) -> bytes:
        """Return the shard of some images."""
        source = FileSource(self._model, images, copies=self._settings.tta, keeps=True)
        (rows,) = source.rows([range(len(images))], lambda _: None)
        content, summary = content_of(self._model, rows, self._settings, KnownScores())
        return shard_bytes(summary, self._table.encode(content))


@functools.lru_cache(maxsize=2)
def _opened(order: Order) -> _Scorer:
    return _Scorer(order, Path("the model"))


@functools.lru_cache(maxsize=2)
def _shared(folder: Path, digest: str) -> tuple[_Scorer, StoredCatalog]:
    """Return what is ordered in a folder; a worker reads it once."""
    text = files.read_bytes(folder / _ORDER)
    if files.digest(text) != digest:
        raise CorruptError(f"{printable(folder)} has another order than this worker was sent.")
    scorer = _Scorer(Order(text, files.read_bytes(folder / _MODEL)), folder / _MODEL)
    return scorer, StoredCatalog.open(folder / _IMAGES, digest=scorer.images)
