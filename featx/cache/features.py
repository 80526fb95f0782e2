"""The features of a cache as a table for other programs: Parquet, NumPy's npz, or CSV."""

import csv
import functools
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import __version__
from ..errors import InputError, printable
from ..keywords import takes
from ..names import ViewName
from ..network.views import View
from ..plain import plain
from ..progress import Progress, as_function, ignore_progress, shows_progress
from ..showing.display import Display, Part
from ..showing.words import number_of
from ..storage import files, locks
from ..storage.cells import as_utf8, guarded
from . import table
from .file import Cache
from .removed import require_listed

__all__ = [
    "FORMATS",
    "FeaturesChanges",
    "FeaturesResult",
    "FeaturesSettings",
    "write_features",
]

_BLOCK = 1 << 25  # bytes of features that are written at a time; Parquet has a row group of each
_MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class FeaturesSettings:
    """What is written of each image.

    Attributes
    ----------
    view : str
        What is a row: the mean or maximum of each channel, both, all values, or the pools of
        several layers. Rows have length 1, as heads see them.
    overwrite : bool
        Replace an output that exists.
    """

    view: str = "avg"
    overwrite: bool = False


class FeaturesChanges(TypedDict, total=False):
    """The fields of `FeaturesSettings` as keywords, for editors and type checkers."""

    view: ViewName
    overwrite: bool


@dataclass(frozen=True, eq=False, repr=False)
class FeaturesResult(Display):
    """What `write_features` wrote.

    Attributes
    ----------
    images : int
        Rows of the table.
    features : int
        Columns of the table that are features.
    view : str
    out : Path
    bytes : int
        Size of the file.
    seconds : float
    """

    images: int
    features: int
    view: str
    out: Path
    bytes: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        found: dict[str, Any] = plain(self)
        return found

    def _line(self) -> str:
        return f"{number_of(self.images, 'image')} with {self.features:,} features in {self.out}"

    def _parts(self) -> Iterable[Part]:
        yield {"view": self.view, "bytes": f"{self.bytes:,}", "seconds": f"{self.seconds:.1f}"}


@takes(FeaturesSettings, FeaturesChanges)
@shows_progress
def write_features(
    features: str | os.PathLike[str] | Cache,
    out: str | os.PathLike[str],
    settings: FeaturesSettings | None = None,
    *,
    progress: Progress | bool | None = None,
    **changes: Unpack[FeaturesChanges],
) -> FeaturesResult:
    """Write the features of all images of a cache, with what each image is, for other programs.

    Only a block of the features is in memory. Augmented copies are not written.

    Parameters
    ----------
    features : path or Cache
        A cache made by `extract`.
    out : path
        Ends in ``.parquet`` or ``.csv``, with the columns of `Cache.to_frame`; or in ``.npz``,
        with the arrays `X` float32 (n, d), `y` int32 (n,), `classes`, `paths`, `splits`, `groups`,
        `digests`, `sizes` and `columns`, which `numpy.load` reads without pickle.
    settings : FeaturesSettings, optional
    progress : callable or True, optional
        True shows a bar; else see `progress.Progress`;
        counts images.
    **changes
        Fields of `FeaturesSettings`, over those of `settings`.

    Returns
    -------
    FeaturesResult
        How many images and features were written, and where.

    Raises
    ------
    InputError
        When there is no such view, it is fitted on images, `out` exists or has another suffix, or
        pyarrow is missing for Parquet.
    CorruptError, IncompatibleError
        When the cache cannot be read.
    StorageError, LockedError
        When the table cannot be written.

    Examples
    --------
    >>> import featx
    >>> written = featx.write_features("features.h5", "features.npz")  # doctest: +SKIP
    >>> written.images, written.features  # doctest: +SKIP
    (80, 512)
    """
    progress = as_function(progress)
    settings = replace(settings or FeaturesSettings(), **changes)
    begun = time.monotonic()
    out = Path(out)
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{printable(out)}: expected a name that ends in {', '.join(FORMATS)}.")
    write = FORMATS[out.suffix.lower()]
    files.require_new(out, settings.overwrite)
    with Cache.opened(features) as cache:
        require_listed(cache)
        rows = _Rows(cache, table.view_of(settings.view, cache.fingerprint), progress)
        with locks.lock_output(out):
            files.require_new(out, settings.overwrite)
            with files.atomic_write(out) as partial:
                write(partial, rows)
        return FeaturesResult(
            images=len(cache),
            features=rows.view.width,
            view=settings.view,
            out=out,
            bytes=files.file_size(out),
            seconds=round(time.monotonic() - begun, 3),
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a table that is written block by block."""

    cache: Cache
    view: View
    progress: Progress | None = None

    @functools.cached_property
    def names(self) -> list[str]:
        """What the features are called."""
        return self.view.feature_names(self.cache.fingerprint.trunk.cut)

    @property
    def about(self) -> str:
        """How the features were made, as JSON."""
        made = self.cache.fingerprint.as_dict()
        return json.dumps({"featx": __version__, "view": self.view.name, "fingerprint": made})

    def blocks(self) -> Iterator[tuple[Mapping[str, list[Any]], np.ndarray]]:
        """Yield what some images are, see `table.image_columns`, and their features."""
        total, told = len(self.cache), self.progress or ignore_progress
        most = min(max(_BLOCK // (4 * self.view.width), 1), _MOST_ROWS)
        told(0, total)
        for start in range(0, total, most):
            images = np.arange(start, min(start + most, total))
            X = self.cache.matrix(self.view, images=images, copies=0).X
            rows = self.cache.rows(start, int(images[-1]) + 1)
            yield table.image_columns(rows, images - start), X
            told(int(images[-1]) + 1, total)


def _write_csv(file: io.RawIOBase, rows: _Rows) -> None:
    """Write a line for each image; texts are guarded as those of scores are."""

    def write(lines: Any) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))

    write([[*table.IMAGE_COLUMNS, *rows.names]])
    for images, X in rows.blocks():
        texts = [
            list(map(guarded, images[name])) if kind is str else images[name]
            for name, kind in table.IMAGE_COLUMNS.items()
        ]
        heads = zip(*texts, strict=True)
        # As text, a float32 has no more digits than it needs.
        write([*head, *row.astype(str).tolist()] for head, row in zip(heads, X, strict=True))


def _write_parquet(file: io.RawIOBase, rows: _Rows) -> None:
    """Write a row group for each block; how the features were made is in the schema's metadata."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow. Install it with: pip install 'featx[parquet]', or give an "
            "output that ends in .npz or .csv."
        ) from error
    kinds = {str: pyarrow.string(), int: pyarrow.int32()}
    columns = [(name, kinds[kind]) for name, kind in table.IMAGE_COLUMNS.items()]
    columns += [(name, pyarrow.float32()) for name in rows.names]
    schema = pyarrow.schema(columns, {"featx": rows.about})
    # Numbers of an image are hardly ever equal: dictionaries of them would only take time.
    texts = [name for name, kind in table.IMAGE_COLUMNS.items() if kind is str]
    with parquet.ParquetWriter(
        file, schema, compression="zstd", use_dictionary=texts, write_statistics=texts
    ) as writer:
        for images, X in rows.blocks():
            values = [list(map(as_utf8, images[name])) for name in texts]
            values += [images[name] for name in table.IMAGE_COLUMNS if name not in texts]
            values += list(np.ascontiguousarray(X.T))
            arrays = [
                pyarrow.array(value, kind) for value, (_, kind) in zip(values, columns, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=schema), row_group_size=_MOST_ROWS)


def _write_npz(file: io.RawIOBase, rows: _Rows) -> None:
    """Write arrays as `numpy.savez` does, `X` block by block."""
    listed = rows.cache.catalog
    arrays = {
        "y": listed.labels,
        "classes": _fixed(listed.classes),
        "paths": _fixed(listed.paths),
        "splits": _fixed(listed.splits),
        "groups": _fixed(listed.groups),
        "digests": _fixed(rows.cache.digests),
        "sizes": rows.cache.sizes,
        "columns": _fixed(rows.names),
        "about": np.array(rows.about),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("X.npy"), "w", force_zip64=True) as member:
            shape = (len(rows.cache), rows.view.width)
            head = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, head)
            for _, X in rows.blocks():
                member.write(np.ascontiguousarray(X, "<f4").data)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _fixed(texts: Any) -> np.ndarray:
    """Return texts as an array of fixed width, which needs no pickle."""
    return np.array(list(texts), dtype=np.str_)


#: End of a file's name → what writes the table.
FORMATS: Mapping[str, Callable[[io.RawIOBase, _Rows], None]] = MappingProxyType(
    {".parquet": _write_parquet, ".npz": _write_npz, ".csv": _write_csv}
)
