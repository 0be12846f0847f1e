"""A GAN-like pair, trained for a few updates: alone, on two replicas, with XLA, in bfloat16."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.parity_worker import build, data, message, numbers, scenario


def tiny_gan(optimizer: str = "SGD", **options: Any) -> SimpleNamespace:
    """A generator with BatchNorm, a critic, their optimizers and one update of both."""
    import keras
    from keras import layers, ops

    from shared.training.steps import value_and_grad

    synchronized = keras.backend.backend() == "tensorflow"
    norm = layers.BatchNormalization(synchronized=synchronized, momentum=0.5)
    g = build(keras.Sequential([keras.Input((3,)), layers.Dense(8), norm, layers.LeakyReLU(), layers.Dense(5)]), 1)
    d = build(keras.Sequential([keras.Input((5,)), layers.Dense(8, "tanh"), layers.Dense(1)]), 2)
    g_opt, d_opt = (getattr(keras.optimizers, optimizer)(0.1, name=n, **options) for n in ("g_opt", "d_opt"))
    g_opt.build(g.trainable_variables)
    d_opt.build(d.trainable_variables)

    def update(real, z):
        fake = ops.stop_gradient(g(z, training=True))

        def critic_loss():
            on_real, on_fake = d(real), d(fake)
            return ops.mean(ops.softplus(-on_real)) + ops.mean(ops.softplus(on_fake)), on_real

        (d_loss, scores), grads = value_and_grad(critic_loss, d.trainable_variables)
        d_opt.apply(grads, d.trainable_variables)
        g_loss, grads = value_and_grad(lambda: ops.mean(ops.softplus(-d(g(z, training=True)))), g.trainable_variables)
        g_opt.apply(grads, g.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss, "scores": scores}

    return SimpleNamespace(g=g, d=d, g_opt=g_opt, d_opt=d_opt, update=update, owners=(g, d, g_opt, d_opt))


def train_gan(updates: int = 6, gan: SimpleNamespace | None = None, jit_compile: bool = False) -> dict:
    """Losses, the critic's scores and the final state of a few updates."""
    from shared.training.steps import compile_step, shard

    gan = gan or tiny_gan(momentum=0.9)
    step = compile_step(gan.update, *gan.owners, jit_compile=jit_compile)
    logs = [step(*shard(data(8, 5, seed=i), data(8, 3, seed=100 + i))) for i in range(updates)]
    logs = [{k: np.asarray(v, "float64").tolist() for k, v in log.items()} for log in logs]
    return {"logs": logs, "state": numbers(gan.g.variables + gan.d.variables + gan.g_opt.variables)}


@scenario
def gan() -> dict:
    """Six updates; the generator's BatchNorm advances inside and outside a gradient."""
    return train_gan()


@scenario
def gan_on_two_replicas() -> dict:
    """The same with half of the batch on each of two devices."""
    from shared.training import devices

    with devices.setup(seed=0, precision="float32", replicas=2) as device:
        return train_gan() | {"replicas": device.replicas, "description": device.description}


@scenario
def gan_with_xla() -> dict:
    """The same with jit_compile=True."""
    return train_gan(jit_compile=True)


@scenario
def gan_in_bfloat16() -> dict:
    """Runs, and learns something finite."""
    from shared.training import devices

    with devices.setup(seed=0, precision="mixed_bfloat16"):
        return train_gan()


@scenario
def clipping_on_two_replicas() -> str | bool:
    """TensorFlow would clip each replica's share and refuses; JAX clips the gradient, as on one."""
    from shared.training import devices

    alone = train_gan(gan=tiny_gan(clipnorm=0.01))
    with devices.setup(seed=0, precision="float32", replicas=2):
        gan = tiny_gan(clipnorm=0.01)
        try:
            return bool(np.allclose(train_gan(gan=gan)["state"], alone["state"], rtol=1e-4, atol=1e-6))
        except ValueError as error:
            return str(error)


@scenario
def noise_and_metric_on_two_replicas() -> dict:
    """A seed advances once a step, a metric counts the whole batch, and a stranger is still found."""
    import keras

    from shared.training import devices
    from shared.training.steps import compile_step, shard

    with devices.setup(seed=0, precision="float32", replicas=2):
        noise, mean = keras.layers.Dropout(0.5, seed=7), keras.metrics.Mean()
        stranger = keras.Variable(0.0, name="stranger")

        def update(x, scale):
            mean.update_state(x * scale)
            return {"zeros": keras.ops.mean(keras.ops.cast(noise(x, training=True) == 0, "float32")), "nothing": None}

        step, batch = compile_step(update, noise, mean), shard({"x": np.arange(1.0, 65.0)[:, None], "scale": 2.0})[0]
        logs = [step(batch["x"], batch["scale"]) for _ in range(3)][-1]
        return {
            "seed": noise.seed_generator.state.numpy().tolist(),
            "mean": float(mean.result()),
            "zeros": float(logs["zeros"]),
            "left out": message(lambda: compile_step(lambda x: x * stranger)(batch["x"])),
        }
