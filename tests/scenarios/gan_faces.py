"""The faces' two networks, a few updates of them: alone, on two replicas; with and without the penalty."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, numbers, scenario


def train_tiny(updates: int = 4) -> dict:
    """Logs of each update and what the state has become; the optimizers are SGD, so that small differences stay so."""
    import keras

    from apps import gan_faces as app
    from apps.parts.gan_faces.faces import batch_of
    from apps.parts.gan_faces.generators import sampler
    from shared.training.steps import compile_step, shard

    config = app.Train(batch=4, latent=5, width=2, critic_width=2, penalty_every=2, augment="all")
    g, d = build(app.generator(config), 1), build(app.critic(config), 2)
    # small gradients: rounding errors stay small
    d.set_weights([0.3 * weight for weight in d.get_weights()])
    averaging = {"use_ema": True, "ema_momentum": 0.5}, {}
    optimizers = [keras.optimizers.SGD(0.01, momentum=0.5, name=f"sgd_{n}", **averaging[n]) for n in range(2)]
    for network, optimizer in zip((g, d), optimizers, strict=True):
        optimizer.build(network.trainable_variables)
    owners = g, d, *optimizers
    steps = [compile_step(app.gan_update(config, *owners, penalise), *owners) for penalise in (False, True)]
    faces = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    logs = [steps[n % 2](*shard(*batch_of(faces, n, config.batch, config.latent, config.seed))) for n in range(updates)]
    images = sampler(g)(np.random.default_rng(3).normal(size=(3, 5)))  # after its first form has been traced
    return {
        "logs": [{name: float(np.asarray(value)) for name, value in log.items()} for log in logs],
        "state": numbers([*g.variables, *d.variables, *optimizers[0].variables, *optimizers[1].variables]),
        "images": images[:, ::16, ::16].astype(int).tolist(),
    }


@scenario
def gan_faces() -> dict:
    """Four updates, two of them with the penalty; and the random features, which are the same everywhere."""
    from apps.parts.gan_faces import distances

    photos = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    return train_tiny() | {"features": distances.random_features()(photos)[:, ::16].tolist()}


@scenario
def gan_faces_on_two_replicas() -> dict:
    """The same with half of the batch on each of two devices, and the noise drawn on the host."""
    from shared.training import devices

    with devices.setup(seed=0, precision="float32", replicas=2) as device:
        return train_tiny() | {"replicas": device.replicas}
