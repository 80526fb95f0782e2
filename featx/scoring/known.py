"""Scores that an earlier run computed, found again by the digest of each image."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorruptError, InputError, printable
from ..storage import files
from ..storage.tensors import load_tensors, save_tensors

__all__ = ["KnownScores"]


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Probabilities and novelty of images, by their digests.

    They lie in ``<out>.known``, a safetensors file: `digests` uint8 (n, 32), `probabilities`
    float64 (n, classes), `novelty` float64 (n,), and `made_by`, UTF-8, what computed them.

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
            found = load_tensors(files.read_bytes(path))
            if found["made_by"].tobytes().decode() != made_by:
                return cls(made_by)
            digests = found["digests"].reshape(-1, 32)
            rows = {digest.tobytes().hex(): row for row, digest in enumerate(digests)}
            if not len(digests) == len(found["probabilities"]) == len(found["novelty"]):
                raise ValueError("its tables have different lengths")
        except (LookupError, ValueError) as error:
            raise CorruptError(
                f"{printable(path)} is damaged: {error}. Add --overwrite to score all again."
            ) from error
        return cls(made_by, rows, found["probabilities"], found["novelty"])

    @property
    def identity(self) -> str:
        """SHA-256 of what is known."""
        return files.digest(self.made_by.encode() + "".join(self.rows).encode())

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
        return base64.b64encode(save_tensors(tensors)).decode()

    def save(self, out: Path, blocks: list[str]) -> None:
        """Write the scores of all blocks beside an output; a block is what `packed` returned."""
        parts = [load_tensors(base64.b64decode(block)) for block in blocks]

        def joined(name: str) -> Any:
            return np.concatenate([part[name] for part in parts])

        tensors = {name: joined(name) for name in ("digests", "probabilities", "novelty")}
        tensors["made_by"] = np.frombuffer(self.made_by.encode(), np.uint8)
        files.write_bytes(self.path(out), save_tensors(tensors))
