"""A little learning from a teacher, and under attack."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, numbers, scenario


def tiny(size: int, classes: int):
    """A network with the interface of the app's, small enough for tests."""
    import keras
    from keras import layers

    photo = keras.Input((size, size, 3), dtype="float32")
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(layers.Rescaling(1 / 127.5, offset=-1.0)(photo))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(photo, layers.Dense(classes, name="logits")(x), name="photo_classifier")


def photos(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise in one of three tints, uint8 (count, 24, 24, 3), and which tint."""
    rng, labels = np.random.default_rng(0), np.arange(count, dtype=np.int32) % 3
    tints = np.array([[150, 60, 60], [60, 150, 60], [60, 60, 150]])[labels][:, None, None]
    return (tints + rng.integers(0, 80, (count, 24, 24, 3))).astype(np.uint8), labels


def learned(learner, network, answers: np.ndarray, loss, inputs) -> dict:
    """Four epochs of three batches through `fit`."""
    import keras

    learner.compile(keras.optimizers.SGD(0.05), loss)
    history = learner.fit(inputs, answers, batch_size=8, epochs=4, shuffle=False, verbose=0)
    return {"loss": history.history["loss"], "weights": numbers(network.variables)}


@scenario
def photo_classifier_learns_from_a_teacher() -> dict:
    """With BatchNorm's statistics as they are."""
    from apps.photo_classifier import divergence, student_of

    answers, network = np.random.default_rng(1).normal(size=(24, 3)).astype("float32"), build(tiny(24, 3))
    return learned(student_of(network), network, answers, divergence, photos(24)[0])


@scenario
def fgsm_trains_under_attack() -> dict:
    """Its random starts differ from backend to backend, so only how it learns can be compared."""
    import keras

    from apps.fgsm import Train, under_attack

    (seen, labels), network = photos(24), build(tiny(24, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return learned(under_attack(network, Train()), network, labels, loss, (seen, labels))


@scenario
def fast_fgsm() -> dict:
    """How far each photo is changed, and what that does to the loss."""
    import keras
    from keras import ops

    from apps.fgsm import fast_fgsm
    from shared.training.steps import compile_step

    network, noise, (seen, labels) = build(tiny(24, 3)), keras.random.SeedGenerator(3), photos(12)
    seen[:4], before = 255 * (seen[:4] > 100), numbers(network.variables)

    def attack(epsilon, step):
        return compile_step(lambda x, y: fast_fgsm(network, x, y, epsilon, step, noise), network, noise)

    def loss(x):
        return float(ops.mean(ops.sparse_categorical_crossentropy(labels, network(x), from_logits=True)))

    hit, only_noise = np.asarray(attack(4.0, 5.0)(seen, labels)), np.asarray(attack(4.0, 0.0)(seen, labels))
    again = np.asarray(attack(4.0, 0.0)(seen, labels))
    return {
        "most": float(np.abs(hit - seen).max()),
        "range": [float(hit.min()), float(hit.max())],
        "at the edge": float(np.mean(np.abs(np.abs(hit[4:] - seen[4:]) - 4) < 1e-3)),
        "noise": [float(np.abs(only_noise - seen).max()), float(np.abs(only_noise[4:] - seen[4:]).mean())],
        "new noise": float(np.abs(again - only_noise)[4:].mean()),
        "loss": [loss(seen.astype("float32")), loss(only_noise), loss(hit)],
        "network": [before, numbers(network.variables)],
    }
