"""Gradients, seeds, statistics and buffers of a compiled step."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, data, scenario


@scenario
def embedding_with_adam() -> dict:
    """One Adam step on a table whose row 1 occurs three times, and what Adam makes of the summed gradient."""
    import keras
    from keras import ops

    from shared.training.steps import compile_step, value_and_grad

    table = keras.layers.Embedding(3, 1, embeddings_initializer="zeros")
    table.build()
    optimizer = keras.optimizers.Adam(0.1, epsilon=1.0)  # a large epsilon, so that the gradient's size shows
    optimizer.build(table.trainable_variables)

    def update(ids):
        loss, grads = value_and_grad(lambda: ops.sum(table(ids)), table.trainable_variables)
        optimizer.apply(grads, table.trainable_variables)
        return {"loss": loss, "grad": grads[0]}

    logs = compile_step(update, table, optimizer)(np.array([1, 1, 1, 2]))
    gradient, moved = np.array([0.0, 3.0, 1.0]), table.embeddings.numpy()[:, 0]
    unit = np.sqrt(1 - 0.999)  # Keras adds epsilon before the bias correction
    expected = -0.1 * gradient * unit / (gradient * unit + 1.0)
    return {"grad": np.ravel(logs["grad"]).tolist(), "moved": moved.tolist(), "expected": expected.tolist()}


@scenario
def adam_in_one_pass() -> dict:
    """Twenty steps of our Adam and of Keras' Adam or AdamW: weights, moments, averages."""
    import keras

    from shared.training.adam import Adam
    from shared.training.steps import compile_step

    def after(kind, dtype, **more) -> list[list[float]]:
        bias = keras.Variable(data(3, seed=1), dtype=dtype, name="bias")
        weights = [keras.Variable(data(5, 3), dtype=dtype), bias]
        rate = keras.optimizers.schedules.CosineDecay(0.01, 30)
        optimizer = kind(rate, epsilon=1e-5, use_ema=True, ema_momentum=0.9, **{"beta_1": 0.5, **more})
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.build(weights)

        def update(*gradients):
            optimizer.apply(gradients, weights)
            return {}

        step = compile_step(update, weights, optimizer)
        for n in range(20):
            step(data(5, 3, seed=n), data(3, seed=100 + n))
        return [np.ravel(keras.ops.cast(v, "float32")).tolist() for v in [*weights, *optimizer.variables]]

    cases = {
        "plain": ("float32", {}),
        "no momentum": ("float32", {"beta_1": 0.0, "beta_2": 0.99}),
        "decayed and clipped": ("float32", {"weight_decay": 0.5, "global_clipnorm": 1.0}),
        "amsgrad": ("float32", {"amsgrad": True}),
        "bfloat16": ("bfloat16", {}),
    }
    found = {}
    for name, (dtype, options) in cases.items():
        theirs = keras.optimizers.AdamW if "weight_decay" in options else keras.optimizers.Adam
        found[name] = [after(kind, dtype, **options) for kind in (Adam, theirs)]
    return found


@scenario
def adam_on_two_replicas() -> dict:
    """A dense layer's weights after five steps of our Adam on one device, and on two."""
    import keras
    from keras import ops

    from shared.training import devices
    from shared.training.adam import Adam
    from shared.training.steps import compile_step, shard, value_and_grad

    def after(replicas: int) -> list[float]:
        with devices.setup(1, "float32", replicas=replicas):
            layer, optimizer = build(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])), Adam(0.01)
            optimizer.build(layer.trainable_variables)

            def update(x):
                loss, slopes = value_and_grad(lambda: ops.mean(ops.square(layer(x))), layer.trainable_variables)
                optimizer.apply(slopes, layer.trainable_variables)
                return {"loss": loss}

            step = compile_step(update, layer, optimizer)
            for n in range(5):
                step(*shard(data(8, 4, seed=n)))
            return np.ravel(layer.layers[0].kernel.numpy()).tolist()

    return {"one": after(1), "two": after(2)}


@scenario
def fit_on_two_replicas() -> dict:
    """A training by `fit_loop.fit` on one device, and on two: all that a part of a batch could get wrong.

    A loss that is a mean over tokens, of which the halves have different numbers; BatchNorm; a clipped gradient; a
    table, whose gradient is sparse; a state that goes on from batch to batch.
    """
    import json
    import tempfile
    from pathlib import Path

    import keras
    from keras import layers

    from shared.layers.weight_drop_lstm import WeightDropLSTM
    from shared.training import devices, fit_loop
    from shared.training.losses import smoothed_cross_entropy
    from shared.training.optimizers import adamw

    tokens = np.random.default_rng(0).integers(1, 7, (12, 8, 5)).astype("int32")
    tokens[:, :4, 2:] = 0  # the first half of each batch is mostly padding

    def batches(epoch: int):
        while True:
            yield from ((each, each) for each in tokens)

    def after(replicas: int) -> dict:
        with devices.setup(1, "float32", replicas=replicas) as device, tempfile.TemporaryDirectory() as folder:
            ids = keras.Input((5,), batch_size=device.rows(8), dtype="int32")
            x = layers.BatchNormalization(momentum=0.5)(layers.Embedding(7, 6)(ids))
            x = layers.Dense(7)(WeightDropLSTM(4, return_sequences=True, stateful=True)(x))
            network = build(keras.Model(ids, x))
            network.compile(adamw(24, 0.02, weight_decay=0.1, clip=0.1), smoothed_cross_entropy(0.1))
            weights: list[float] = []
            validate = lambda: float(np.sum([np.sum(w) for w in network.get_weights()[:-2]]))  # noqa: E731
            fit_loop.fit(network, batches, validate, lambda *_: None, Path(folder), epochs=2, steps=12)
            weights = [float(n) for w in network.weights if "rnn_state" not in w.path for n in np.ravel(w.numpy())]
            lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
            norm = network.layers[2].synchronized
            return {"losses": [json.loads(line)["loss"] for line in lines], "weights": weights, "flag": norm}

    return {"one": after(1), "two": after(2)}


@scenario
def gradient_of_input() -> dict:
    """Against central differences, eager and compiled; and a gradient penalty, which is second order."""
    import keras
    from keras import ops

    from shared.training.steps import compile_step, input_gradient, value_and_grad

    model = build(keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)]))
    x = data(2, 4)

    def loss(x):
        return ops.sum(ops.square(model(x)))

    def penalty(x):
        _, slope = input_gradient(lambda x: ops.sum(model(x)), x)
        return ops.mean(ops.square(ops.sqrt(ops.sum(slope * slope, axis=-1)) - 1.0))

    def second_order(x):
        return value_and_grad(lambda: penalty(x), model.trainable_variables)[1]

    def nudged(function, array, i, by=1e-2):
        moved = array.copy()
        moved.flat[i] += by
        return float(function(moved))

    def penalty_at(kernel):
        model.layers[0].kernel.assign(kernel)
        return penalty(ops.convert_to_tensor(x))

    eager = np.asarray(input_gradient(loss, x)[1])
    compiled = np.asarray(compile_step(lambda x: input_gradient(loss, x)[1], model)(x))
    kernel_grad = np.asarray(compile_step(second_order, model)(x)[0])
    kernel = model.layers[0].kernel.numpy().copy()
    return {
        "eager": eager.ravel().tolist(),
        "compiled": compiled.ravel().tolist(),
        "differences": [(nudged(loss, x, i) - nudged(loss, x, i, -1e-2)) / 2e-2 for i in range(x.size)],
        "penalty": kernel_grad.ravel().tolist(),
        "penalty differences": [
            (nudged(penalty_at, kernel, i) - nudged(penalty_at, kernel, i, -1e-2)) / 2e-2 for i in range(kernel.size)
        ],
    }


@scenario
def seeds_and_statistics() -> dict:
    """What advances inside a gradient stays advanced, in a step and outside of one."""
    import keras
    from keras import layers, ops

    from shared.training.steps import compile_step, value_and_grad

    noise, norm, penalised = layers.Dropout(0.5, seed=7), layers.BatchNormalization(momentum=0.5), layers.Dense(1)
    penalised.kernel_regularizer = keras.regularizers.L2(0.1)
    model = build(keras.Sequential([keras.Input((4,)), noise, norm, penalised]))
    seed, x = noise.seed_generator.state, data(16, 4) + 3

    def loss():
        return ops.mean(model(x, training=True)) + ops.sum(ops.stack(model.losses))

    def update():
        return value_and_grad(loss, model.trainable_variables)[0]

    def after(run):
        value = float(run())
        return {"loss": value, "seed": seed.numpy().tolist(), "mean": norm.moving_mean.numpy().tolist()}

    step = compile_step(update, model)
    return {"before": seed.numpy().tolist(), "step 1": after(step), "step 2": after(step), "eager": after(update)}


@scenario
def buffers() -> dict:
    """A target synchronised outside a step shares its buffer; arrays taken from or given to variables keep theirs."""
    import keras

    from shared.training.steps import compile_step

    online, target = keras.Variable(data(64, 64), name="online"), keras.Variable(data(64, 64), name="target")
    target.assign(online.value)
    given = data(64, 64, seed=3)
    taken, kept = np.asarray(online.value), np.asarray(online.value).copy()

    def update(x):
        online.assign_add(x)
        return {"difference": keras.ops.mean(online - target)}

    step = compile_step(update, [online, target])
    differences = [float(step(1.0)["difference"]), float(step(np.float32(2.0))["difference"])]
    online.assign(given)
    step(5.0)
    return {
        "differences": differences,
        "taken is unchanged": bool((taken == kept).all()),
        "given is unchanged": bool((given == data(64, 64, seed=3)).all()),
        "online": float(online.numpy().mean() - given.mean()),
    }
