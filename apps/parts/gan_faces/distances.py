"""How similar two sets of images are: distances between their features, and the networks that compute features.

Features are float32 arrays (n, d). The distances are the usual ones of generative models: Frechet distance (Heusel et
al. 2017, arXiv:1706.08500; FID when the features are Inception's) and kernel distance (Binkowski et al. 2018,
arXiv:1801.01401; KID), which unlike the first is unbiased: a small sample gives a noisier number and not a higher one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared import saved_models
from shared.console import say
from shared.errors import UserError
from shared.training.inference import compiled_inference
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras

Features = Callable[[np.ndarray], np.ndarray]
"""uint8 images (n, H, W, 3) -> float32 features (n, d)."""


# -------------------------------------------------------------------------------------------------- Measures


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions with the means and covariances of `a` and `b`.

    ValueError for fewer than 2 rows. Biased upwards for small sets: compare only at equal sizes.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a covariance needs two rows or more, and there are {len(a)} and {len(b)}")
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(x.astype(np.float64)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T  # of cov_a; then tr sqrt(cov_a cov_b) needs only eigenvalues
    shared = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axis=0), np.cov(x, rowvar=False)


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = 50, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, unbiased: (mean, its standard error).

    The mean is over `subsets` random pairs of subsets of `size` rows (fewer where a set is smaller), as KID is
    usually taken. ValueError for fewer than 2 rows.
    """
    size, rng = min(size, len(a), len(b)), np.random.default_rng(seed)
    if size < 2:
        raise ValueError(f"the distance needs two rows or more, and there are {len(a)} and {len(b)}")
    values = [
        _discrepancy(a[rng.choice(len(a), size, replace=False)], b[rng.choice(len(b), size, replace=False)])
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values) / np.sqrt(subsets))


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1.0) ** 3

    def within(x):  # without the pairs of a row and itself: that is what makes it unbiased
        k = kernel(x, x)
        return (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))

    a, b = a.astype(np.float64), b.astype(np.float64)
    return within(a) + within(b) - 2 * kernel(a, b).mean()


def spread(a: np.ndarray, most: int = 2000) -> float:
    """Mean distance between two of the first `most` rows of `a`: zero if all are equal. Needs at least 2 rows."""
    a = a[:most]
    return float(_distances(a, a).sum() / (len(a) * (len(a) - 1)))


def nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `a` the index of the nearest row of `b`, and its distance."""
    blocks = [_distances(rows, b) for rows in np.array_split(a, max(len(a) // 500, 1))]
    index = np.concatenate([block.argmin(axis=1) for block in blocks])
    return index, np.concatenate([block.min(axis=1) for block in blocks])


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    if a is b:
        np.fill_diagonal(squares, 0.0)
    return np.sqrt(squares.clip(0))


# -------------------------------------------------------------------------------------------------- Networks


def classifier_features(model: str | Path = "photo_classifier") -> Features:
    """The input of a classifier's last Dense layer; the classifier is given by name, folder or file.

    UserError if there is no such model, or if it does not end with a Dense layer.
    """
    network, _ = saved_models.load(model)
    import keras

    if not isinstance(network.layers[-1], keras.layers.Dense) or len(network.layers[-1].input.shape) != 2:
        raise UserError(f"{model} does not end with a Dense layer on a vector: name an image classifier.")
    return _compiled(keras.Model(network.inputs, network.layers[-1].input))


def random_features(size: int = 64) -> Features:
    """A fixed network of random convolutions: cheap, without a download, and yet it tells layouts and colours apart."""
    keras = import_keras()
    layers, rng = keras.layers, np.random.default_rng(0)
    pixels = x = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 64, -2.0)(x)
    while x.shape[1] > 4:
        kernel = rng.normal(0, np.sqrt(2 / (9 * x.shape[-1])), (3, 3, x.shape[-1], 64))  # the same on every backend
        fixed = keras.initializers.Constant(kernel)
        x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", kernel_initializer=fixed)(x)
    return _compiled(keras.Model(pixels, layers.Flatten()(x)))


def inception_features(download: bool = False) -> Features | None:
    """Inception-v3 of keras.applications, averaged before its head; None, with a note on stderr, if it is missing.

    Its weights (84 MB) are downloaded only with `download`. It is not exactly the network of published FIDs, which is a
    port of a TensorFlow-slim model: the numbers are similar, not equal.
    """
    keras = import_keras()
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    file = home / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    if not file.is_file() and not download:
        say(f"No FID and KID: the weights of Inception-v3 are missing ({file}); --download-inception fetches 84 MB.")
        return None
    try:
        inception = keras.applications.InceptionV3(include_top=False, pooling="avg", input_shape=(299, 299, 3))
    except Exception as error:  # a broken download raises anything
        say(f"No FID and KID: Inception-v3 is not available ({str(error).splitlines()[0][:150]}).")
        return None
    pixels = keras.Input((299, 299, 3))
    return _compiled(keras.Model(pixels, inception(keras.layers.Rescaling(1 / 127.5, -1.0)(pixels))))


def _compiled(network: keras.Model, batch: int = 64) -> Features:
    from keras import ops

    size, dtype = network.input_shape[1:3], network.inputs[0].dtype

    def compute(pictures):
        pictures = ops.image.resize(ops.cast(pictures, "float32"), size, interpolation="bilinear")
        return network(ops.cast(ops.round(pictures) if "int" in dtype else pictures, dtype), training=False)

    infer = compiled_inference(compute, network, batch=batch)
    return lambda pictures: infer(pictures).astype(np.float32)
