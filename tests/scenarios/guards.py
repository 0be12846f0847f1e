"""What compile_step, value_and_grad and devices.setup refuse, and in which words."""

from __future__ import annotations

import random

import numpy as np

from tests.parity_worker import data, message, scenario
from tests.scenarios.gan import tiny_gan


@scenario
def left_out() -> dict[str, str]:
    """The error when an owner is left out: read, trained, or only written to."""
    import keras
    from keras import ops

    from shared.training.steps import compile_step

    gan, batch = tiny_gan(momentum=0.9), (data(8, 5), data(8, 3))
    counter = keras.Variable(0.0, name="counter")
    dropout = keras.layers.Dropout(0.5, name="noise", seed=1)
    branch = keras.layers.Dense(1, name="branch")
    branch.build((None, 5))
    everyone = {"generator": gan.g, "critic": gan.d, "optimizer": gan.d_opt, "other": gan.g_opt}
    errors = {
        name: message(lambda n=name: compile_step(gan.update, *(o for k, o in everyone.items() if k != n))(*batch))
        for name in ("generator", "critic", "optimizer")
    }
    errors["written"] = message(lambda: compile_step(lambda: {"x": counter.assign(3.0)})())
    errors["seed"] = message(lambda: compile_step(lambda x: dropout(x, training=True))(batch[0]))
    one_or_other = lambda x: ops.cond(ops.sum(x) > 0, lambda: branch(x), lambda: ops.zeros((8, 1)))  # noqa: E731
    errors["in a branch"] = message(lambda: compile_step(one_or_other)(batch[0]))
    return errors | {"counter": str(float(counter.numpy()))}


@scenario
def refused() -> dict[str, str]:
    """Sentences for owners, losses and batches that do not work."""
    import keras
    from keras import ops

    from shared.training import devices
    from shared.training.steps import compile_step, input_gradient, shard, value_and_grad

    layer, scaled = keras.layers.Dense(2), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    dense = keras.layers.Dense(2)
    dense.build((None, 2))
    with devices.setup(seed=0, precision="float32", replicas=2):
        uneven = message(lambda: shard(data(3, 2)))
    return {
        "unbuilt layer": message(lambda: compile_step(lambda: None, layer)),
        "unbuilt optimizer": message(lambda: compile_step(lambda: None, keras.optimizers.Adam())),
        "loss scaling": message(lambda: compile_step(lambda: None, scaled)),
        "not an owner": message(lambda: compile_step(lambda: None, 3)),
        "vector loss": message(
            lambda: value_and_grad(lambda: dense(ops.ones((3, 2)))[:, 0], dense.trainable_variables)
        ),
        "integer x": message(lambda: input_gradient(ops.sum, np.arange(3))),
        "uneven batch": uneven,
    }


@scenario
def warned_of() -> dict[str, list[str]]:
    """What TensorFlow's logger says when many networks are compiled in one process, each once."""
    import logging

    from shared.training.steps import compile_step

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        answers = [float(compile_step(lambda x, n=n: n * x)(np.float32(2))) for n in range(10)]
    finally:
        logger.removeHandler(handler)
    return {"said": said, "answers": answers}


@scenario
def devices_set_up() -> dict:
    """What setup() chooses, refuses, and puts back."""
    import keras

    from shared.training import devices

    def draw(seed):
        with devices.setup(seed=seed) as device:
            noise = keras.random.normal((4,))
            return [*np.asarray(noise).tolist(), random.random()], device

    def asked_for(**options):
        with devices.setup(seed=None, **options):
            pass

    before = keras.config.dtype_policy().name
    with devices.setup(seed=None, precision="mixed_bfloat16") as device:
        within = keras.layers.Dense(1).compute_dtype
    return {
        "backend": device.backend,
        "description": device.description,
        "within": within,
        "put back": keras.config.dtype_policy().name == before,
        "auto": draw(1)[1].precision,
        "repeats": draw(5)[0] == draw(5)[0] != draw(6)[0],
        "too many": message(lambda: asked_for(replicas=3)),
        "too few": message(lambda: asked_for(replicas=0)),
    }
