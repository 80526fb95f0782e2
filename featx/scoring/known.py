"""Scores that an earlier run computed, found again by the digest of each image."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import CorruptError, InputError, printable
from ..storage import files
from ..storage.tensors import load_tensors, save_tensors

__all__ = ["KnownScores"]


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Probabilities and novelty of images, by their digests.

    They lie in ``<out>.known``, a safetensors file: `digests` uint8 (n, 32), `probabilities`
    float64 (n, classes), `novelty` float64 (n,), `made_by`, UTF-8, what computed them, and
    `sha256` uint8 (32,) of the others.

    Attributes
    ----------
    made_by : str
        Model, runtime, precision and copies, as JSON: scores of another one are not used.
    rows : dict
        Digest in hexadecimal → row.
    probabilities : ndarray of float64, shape (n, classes)
    novelty : ndarray of float64, shape (n,)
    """

    made_by: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    probabilities: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    novelty: np.ndarray = field(default_factory=lambda: np.empty(0))

    @staticmethod
    def path(out: Path) -> Path:
        """Return the file beside an output."""
        return out.with_name(out.name + ".known")

    @classmethod
    def read(cls, out: Path, made_by: str) -> "KnownScores":
        """Return the scores beside an output, as far as the same model computed them in one way.

        Raises
        ------
        InputError
            When the output exists and has none.
        CorruptError
            When they cannot be read.
        """
        path = cls.path(out)
        if not path.is_file():
            if out.exists():
                raise InputError(
                    f"{printable(out)} was not written with --update, so its rows cannot be found "
                    "again. Write it once more with --update --overwrite."
                )
            return cls(made_by)
        try:
            found = _unsealed(files.read_bytes(path))
            is_ours = found["made_by"].tobytes().decode() == made_by
            return cls.of([found] if is_ours else [], made_by)
        except (LookupError, ValueError) as error:
            raise CorruptError(
                f"{printable(path)} is damaged: {error}. Add --overwrite to score all again."
            ) from error

    @classmethod
    def of(cls, blocks: Sequence[Mapping[str, np.ndarray]], made_by: str) -> "KnownScores":
        """Return the scores of some blocks of them."""
        blocks = [block for block in blocks if len(block["novelty"])]
        if not blocks:
            return cls(made_by)
        joined = {
            name: np.concatenate([block[name] for block in blocks])
            for name in ("digests", "probabilities", "novelty")
        }
        digests = joined["digests"].reshape(-1, 32)
        rows = {digest.tobytes().hex(): row for row, digest in enumerate(digests)}
        return cls(made_by, rows, joined["probabilities"], joined["novelty"])

    def with_finished(self, packed: Sequence[str]) -> "KnownScores":
        """Return these scores and those of blocks that a stopped run finished; damaged ones not."""
        blocks = [self._tensors()] if self.rows else []
        for text in packed:
            with contextlib.suppress(LookupError, ValueError):
                blocks.append(_unsealed(base64.b64decode(text)))
        return self.of(blocks, self.made_by)

    def _tensors(self) -> dict[str, np.ndarray]:
        digests = bytes.fromhex("".join(self.rows))
        rows = list(self.rows.values())
        return {
            "digests": np.frombuffer(digests, np.uint8),
            "probabilities": self.probabilities[rows],
            "novelty": self.novelty[rows],
        }

    def merge(
        self, digests: list[str], is_known: np.ndarray, computed: np.ndarray, novelty: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of images of which some are known and the others were computed.

        Parameters
        ----------
        digests : list of str
        is_known : ndarray of bool, shape (n,)
        computed, novelty : ndarray
            Of the others, in order.
        """
        if not is_known.any():
            return computed, novelty
        chosen = [
            self.rows[digest] for digest, known in zip(digests, is_known, strict=True) if known
        ]
        probabilities = np.empty((len(digests), self.probabilities.shape[1]))
        probabilities[is_known] = self.probabilities[chosen]
        probabilities[~is_known] = computed
        both = np.empty(len(digests))
        both[is_known], both[~is_known] = self.novelty[chosen], novelty
        return probabilities, both

    @staticmethod
    def packed(digests: list[str], probabilities: np.ndarray, novelty: np.ndarray) -> str:
        """Return scores as a text for the summary of a block."""
        tensors = {
            "digests": np.frombuffer(bytes.fromhex("".join(digests)), np.uint8),
            "probabilities": np.ascontiguousarray(probabilities),
            "novelty": np.ascontiguousarray(novelty),
        }
        return base64.b64encode(_sealed(tensors)).decode()

    def save(self, out: Path) -> None:
        """Write the scores beside an output."""
        made_by = np.frombuffer(self.made_by.encode(), np.uint8)
        files.write_bytes(self.path(out), _sealed({**self._tensors(), "made_by": made_by}))


def _sealed(tensors: Mapping[str, np.ndarray]) -> bytes:
    digest = bytes.fromhex(_digest(tensors))
    return save_tensors({**tensors, "sha256": np.frombuffer(digest, np.uint8)})


def _unsealed(data: bytes) -> dict[str, np.ndarray]:
    tensors = load_tensors(data)
    if tensors.pop("sha256").tobytes().hex() != _digest(tensors):
        raise ValueError("its SHA-256 is another")
    return tensors


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    return files.digest(
        b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))
    )
