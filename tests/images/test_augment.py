import numpy as np
import pytest
from scipy import ndimage

from featx.errors import InputError
from featx.images import augment
from featx.storage import files

DIGEST = files.digest(b"an image")
SIZE = 64


def smooth(size: int = SIZE) -> np.ndarray:
    """Return an image whose every place has its own colour."""
    y, x = np.mgrid[:size, :size] * (255 / (size - 1))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def keras_reference(pixels: np.ndarray, seed: int, copy: int) -> np.ndarray:
    """Do what ImageDataGenerator does, with the same parameters, in rows and columns."""
    entropy = [seed, copy, *np.frombuffer(bytes.fromhex(DIGEST), np.uint32).tolist()]
    r = np.random.default_rng(entropy).random(7)
    theta, shear = np.deg2rad(40 * (2 * r[0] - 1)), np.deg2rad(0.2 * (2 * r[3] - 1))
    tx, ty = (0.2 * len(pixels) * (2 * r[i] - 1) for i in (1, 2))
    zx, zy = 0.8 + 0.4 * r[4], 0.8 + 0.4 * r[5]
    rotation = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    shift = [[1, 0, tx], [0, 1, ty], [0, 0, 1]]
    shearing = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    matrix = np.array(rotation) @ shift @ shearing @ np.diag([zx, zy, 1])
    centre = len(pixels) / 2 - 0.5
    matrix = [[1, 0, centre], [0, 1, centre], [0, 0, 1]] @ matrix
    matrix = matrix @ [[1, 0, -centre], [0, 1, -centre], [0, 0, 1]]
    channels = [
        ndimage.affine_transform(
            pixels[..., c].astype(float), matrix[:2, :2], matrix[:2, 2], order=1, mode="nearest"
        )
        for c in range(3)
    ]
    moved = np.stack(channels, axis=-1)
    return moved[:, ::-1] if r[6] < 0.5 else moved


@pytest.mark.parametrize("copy", range(1, 7))
def test_article_copies_are_those_of_image_data_generator(copy: int) -> None:
    made = augment.augmented_copies(smooth(), augment.POLICIES["article"], 3, DIGEST, copy)[copy]
    assert np.abs(made - keras_reference(smooth(), 3, copy)).max() <= 0.51


@pytest.mark.parametrize("name", ["flip", "mild", "article"])
def test_copies_are_what_keras_makes(name: str) -> None:
    import keras

    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    count = 1 if name == "flip" else 20
    policy = augment.POLICIES[name]
    maps = [augment.affine_transform(policy, 3, DIGEST, copy, SIZE) for copy in range(1, count + 1)]
    expected = keras.ops.image.affine_transform(
        np.repeat(noise[np.newaxis].astype(np.float32), count, axis=0),
        np.stack(maps),
        interpolation="bilinear",
        fill_mode="nearest",
        data_format="channels_last",
    )
    apart = augment.augmented_copies(noise, policy, 3, DIGEST, count)[1:] - np.asarray(expected)
    assert np.abs(apart).max() < 0.51  # which is rounding


def test_article_has_the_ranges_of_the_article() -> None:
    assert augment.POLICIES["article"] == augment.Policy(
        rotation=40, shift=0.2, shear=0.2, zoom=(0.8, 1.2), flip=0.5
    )


def test_originals_come_first_and_untouched() -> None:
    made = augment.augmented_copies(smooth(), augment.POLICIES["mild"], 0, DIGEST, 3)
    assert made.shape == (4, SIZE, SIZE, 3) and made.dtype == np.uint8
    assert np.array_equal(made[0], smooth())
    assert len({copy.tobytes() for copy in made}) == 4


def test_flip_is_the_mirror_image() -> None:
    made = augment.augmented_copies(smooth(), augment.POLICIES["flip"], 0, DIGEST, 1)
    assert np.array_equal(made[1], smooth()[:, ::-1])


def test_a_copy_depends_on_seed_image_and_number_only() -> None:
    policy = augment.POLICIES["article"]

    def maps(seed: int, digest: str, copy: int) -> list[float]:
        return augment.affine_transform(policy, seed, digest, copy, SIZE).tolist()

    assert maps(0, DIGEST, 1) == maps(0, DIGEST, 1)
    others = [maps(1, DIGEST, 1), maps(0, files.digest(b"other"), 1), maps(0, DIGEST, 2)]
    assert maps(0, DIGEST, 1) not in others
    few = augment.augmented_copies(smooth(), policy, 0, DIGEST, 1)
    many = augment.augmented_copies(smooth(), policy, 0, DIGEST, 3)
    assert np.array_equal(few, many[:2])


def test_parameters_fill_their_ranges() -> None:
    policy = augment.Policy(shift=0.2)
    digests = [files.digest(bytes([n])) for n in range(200)]
    shifts = np.array(
        [augment.affine_transform(policy, 0, digest, 1, 100)[2] for digest in digests]
    )
    assert -20 <= shifts.min() < -18 and 18 < shifts.max() <= 20
    assert abs(shifts.mean()) < 3


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("strong", 1, "Unknown augmentation 'strong'. Expected one of none, flip, mild, article"),
        ("none", 2, "2 copies without augmentation"),
        ("flip", 2, "one mirror image"),
        ("mild", 0, "copies is 0"),
        ("mild", -1, "Expected 0 or more"),
    ],
)
def test_wrong_settings(name: str, count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        augment.get_policy(name, count)
