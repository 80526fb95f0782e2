import numpy as np
import pytest

from featx import backend
from featx.network import winograd


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 14, 14, 16), (3, 7, 10, 8), (1, 1, 2, 5)])
def test_a_convolution_is_that_of_keras(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal(shape, dtype=np.float32)
    kernel = random.standard_normal((3, 3, shape[-1], 6), dtype=np.float32)
    bias = random.standard_normal(6, dtype=np.float32)
    keras = backend.keras()
    expected = keras.ops.relu(keras.ops.conv(x, kernel, padding="same") + bias).numpy()
    x = backend.tensorflow().constant(x)
    found = winograd.convolve(x, winograd.transform_kernel(kernel), bias).numpy()
    assert found.shape == expected.shape == (*shape[:3], 6)
    assert (found > 0).any()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_kernel_is_transformed_once() -> None:
    kernel = np.zeros((3, 3, 2, 1), np.float32)
    kernel[1, 1] = 1
    found = winograd.transform_kernel(kernel)
    assert found.shape == (36, 2, 1)
    assert found.dtype == np.float32
    middle = np.array([0, -1 / 6, 1 / 6, 1 / 12, -1 / 12, 0])
    assert np.allclose(found[:, 0, 0].reshape(6, 6), np.outer(middle, middle))
