"""Augmented copies: named policies, and one seeded affine transform for each copy.

The ranges have the units of Keras's `ImageDataGenerator`, whose matrices (rotation, shift, shear
and zoom about the centre, in that order, then the flip) are composed here into one map, so that
every pixel is interpolated once.
"""

import ast
import json
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import IncompatibleError, InputError, one_of

__all__ = [
    "POLICIES",
    "Policy",
    "affine_transform",
    "augmented_copies",
    "get_policy",
    "policy_name",
]


# Rows that are transformed at a time: they fit the processor's cache.
_STRIP = 32


@dataclass(frozen=True)
class Policy:
    """The ranges of a random affine transform, from an image to a copy of it.

    Attributes
    ----------
    rotation : float
        Degrees, to either side.
    shift : float
        Share of the width and of the height, to either side.
    shear : float
        Degrees, to either side.
    zoom : tuple of float
        Lowest and highest factor, drawn for each axis; above 1 shows more of the image.
    flip : float
        Probability of a horizontal flip.

    Pixels from outside the image have the colour of the nearest edge.
    """

    rotation: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0

    def as_json(self) -> str:
        """Return the ranges as JSON with sorted keys, for a fingerprint."""
        return json.dumps(asdict(self), sort_keys=True)


POLICIES = {
    "none": Policy(),
    "flip": Policy(flip=1.0),
    "mild": Policy(rotation=10, shift=0.05, zoom=(0.9, 1.1), flip=0.5),
    "article": Policy(rotation=40, shift=0.2, shear=0.2, zoom=(0.8, 1.2), flip=0.5),
}


def get_policy(name: str, count: int) -> Policy:
    """Return the policy called `name`, checked to make `count` copies that differ.

    Raises
    ------
    InputError
        When there is no such policy, or it cannot make that many.
    """
    found = one_of("augmentation", name, POLICIES)
    if count < 0:
        raise InputError(f"copies is {count}. Expected 0 or more.")
    if name == "none" and count:
        raise InputError(
            f"{count} copies without augmentation would all be the image itself. "
            f"Choose one of {', '.join(list(POLICIES)[1:])}."
        )
    if name == "flip" and count > 1:
        raise InputError("An image has one mirror image: 'flip' makes 1 copy, not more.")
    if name != "none" and not count:
        raise InputError(
            f"Augmentation {name!r} is for copies, and copies is 0. Ask for 1 or more."
        )
    return found


def policy_name(text: str) -> str:
    """Return the name of the policy with the ranges that a fingerprint describes.

    Raises
    ------
    IncompatibleError
        When this version of featx has none like it.
    """
    for name, found in POLICIES.items():
        if found.as_json() == text:
            return name
    raise IncompatibleError(f"This featx has no augmentation {text!r}. Extract and fit again.")


def as_json(text: str) -> str:
    """Return a fingerprint's description of a policy in the form of `Policy.as_json`.

    Caches that featx wrote before December 2026 describe it as ``Policy(rotation=10, …)``.

    Raises
    ------
    ValueError, TypeError
        When the text does not describe a policy.
    """
    if not text.startswith("Policy("):
        return text
    call = ast.parse(text, mode="eval").body
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return Policy(**{str(one.arg): ast.literal_eval(one.value) for one in keywords}).as_json()


def affine_transform(policy: Policy, seed: int, digest: str, copy: int, size: int) -> np.ndarray:
    """Return the map from the pixels of a copy to those of its image.

    It depends on the arguments alone, so a copy is the same whatever the order, the batch or
    the worker.

    Parameters
    ----------
    policy : Policy
    seed : int
    digest : str
        SHA-256 of the image's file, in hexadecimal.
    copy : int
        Number of the copy, from 1.
    size : int
        Pixels a side.

    Returns
    -------
    ndarray of float32, shape (8,)
        ``x' = a0 x + a1 y + a2``, ``y' = b0 x + b1 y + b2`` as ``(a0, a1, a2, b0, b1, b2, 0, 0)``,
        in pixels with integer centres: the form that `keras.ops.image.affine_transform` takes.
    """
    entropy = [seed, copy, *np.frombuffer(bytes.fromhex(digest), np.uint32).tolist()]
    random = np.random.default_rng(entropy).random(7)
    around = 2 * random - 1
    angle = np.deg2rad(policy.rotation * around[0])
    down, right = policy.shift * size * around[1:3]
    shear = np.deg2rad(policy.shear * around[3])
    low, high = policy.zoom
    zoom_y, zoom_x = low + (high - low) * random[4:6]
    # Rows and columns, as ImageDataGenerator has them; x is the column here.
    rotation = _matrix([np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0])
    shift = _matrix([1, 0, right], [0, 1, down])
    shearing = _matrix([np.cos(shear), 0, 0], [-np.sin(shear), 1, 0])
    zoom = _matrix([zoom_x, 0, 0], [0, zoom_y, 0])
    middle = (size - 1) / 2
    to_middle = _matrix([1, 0, middle], [0, 1, middle])
    from_middle = _matrix([1, 0, -middle], [0, 1, -middle])
    mirror = -1 if random[6] < policy.flip else 1
    flip = _matrix([mirror, 0, 0], [0, 1, 0])
    composed = to_middle @ rotation @ shift @ shearing @ zoom @ flip @ from_middle
    return np.append(composed[:2].ravel(), [0, 0]).astype(np.float32)


def _matrix(x: list[float], y: list[float]) -> np.ndarray:
    return np.array([x, y, [0, 0, 1]], dtype=np.float64)


def augmented_copies(
    pixels: np.ndarray, policy: Policy, seed: int, digest: str, count: int
) -> np.ndarray:
    """Return an image followed by its augmented copies.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (size, size, 3)
    policy, seed, digest
        See `affine_transform`.
    count : int
        Number of copies beside the original.

    Returns
    -------
    ndarray of uint8, shape (1 + count, size, size, 3)
    """
    if not count:
        return pixels[np.newaxis]
    size = len(pixels)
    maps = np.stack(
        [affine_transform(policy, seed, digest, copy, size) for copy in range(1, count + 1)]
    )
    # With a fourth byte a pixel is one word, which numpy takes at once.
    padded = np.zeros((size, size, 4), np.uint8)
    padded[..., :3] = pixels
    words = padded.view(np.uint32).ravel()
    return np.stack([pixels, *(_moved(words, size, one) for one in maps)])


def _moved(words: np.ndarray, size: int, transform: np.ndarray) -> np.ndarray:
    """Return the image under a map, with bilinear interpolation and repeated edges.

    The result is that of `keras.ops.image.affine_transform`, without TensorFlow in the process.
    """
    a0, a1, a2, b0, b1, b2 = transform[:6]
    across = np.arange(size, dtype=np.float32)
    moved = np.empty((size, size, 3), np.uint8)

    def at(places: np.ndarray) -> np.ndarray:
        """Return pixels as float32 (3, n): each channel is contiguous, as the weights are."""
        channels = words.take(places, mode="clip").view(np.uint8).reshape(-1, 4)
        return channels.T[:3].astype(np.float32, order="C")

    def mixed(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
        other -= one
        other *= share
        return np.add(one, other, out=one)

    for start in range(0, size, _STRIP):
        down = across[start : start + _STRIP, np.newaxis]
        x = np.clip(a0 * across + a1 * down + a2, 0, size - 1).ravel()
        y = np.clip(b0 * across + b1 * down + b2, 0, size - 1).ravel()
        left = np.minimum(x.astype(np.intp), size - 2)
        top = np.minimum(y.astype(np.intp), size - 2)
        right = (x - left).astype(np.float32)
        under = (y - top).astype(np.float32)
        first = top * size + left
        upper = mixed(at(first), at(first + 1), right)
        lower = mixed(at(first + size), at(first + size + 1), right)
        mixed(upper, lower, under)
        moved[start : start + _STRIP] = np.rint(upper, out=upper).T.reshape(-1, size, 3)
    return moved
