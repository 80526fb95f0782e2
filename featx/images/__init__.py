"""Decoding of images, in processes with limits, and their augmented copies."""

from .decode import Rejected, load

__all__ = ["Rejected", "load"]
