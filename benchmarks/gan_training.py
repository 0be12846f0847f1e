"""How good faces get here in half an hour, beside the Keras example's GAN; same photos, same time, same measure.

    python benchmarks/gan_training.py --data faces/

Two rows, each in a fresh process, one after the other (or `--together`), each with the same minutes of training on the
same photos: the app's networks with its recipe, and the DCGAN of the Keras example "DCGAN to generate face images" (its
architecture, labels with noise, cross-entropy, Adam at 1e-4, `model.fit` with an overridden `train_step`), which
everybody starts from. Both are measured by the same code: kernel and Frechet distance of their faces to photos that
neither has seen, on the features of one classifier. Compiling and measuring do not count as training.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps import gan_faces as app
from apps.parts.gan_faces import distances
from apps.parts.gan_faces.faces import batch_of, load_splits
from apps.parts.gan_faces.generators import sampler
from apps.parts.gan_faces.sheets import save_sheet
from benchmarks.dqn_throughput import usable_cores
from shared import cli
from shared.console import say
from shared.errors import UserError
from shared.files import write_atomically
from shared.settings import Precision, Range, Settings
from shared.training.runtime import backend_name, import_keras

BATCH, LATENT = 32, 128  # the example's, and ours


@dataclass
class Measure(Settings):
    """Train one of the two in this process, and print what came of it as a line of JSON."""

    what: Literal["ours", "example"] = "ours"
    """Which one."""
    data: str = "celeb_a"
    """A folder of face photos or a TFDS name."""
    minutes: Annotated[float, Range(0.01, 1000)] = 30.0
    """Of training."""
    samples: Annotated[int, Range(64, 1_000_000)] = 5000
    """Generated faces to measure with."""
    classifier: str = "photo_classifier"
    """The image classifier whose features are compared: a name in saved_models/, a folder or a file; or `random`."""
    precision: Precision = "auto"
    """Of ours; the example's is float32."""
    sheet: Path | None = None
    """A picture file for 64 of the faces."""
    cores: Annotated[tuple[int, ...], Range(0, 65_535)] = ()
    """Numbers of the CPU cores to keep to; all by default."""


@dataclass
class Compare(Settings):
    """Train both, and print the table."""

    data: str = "celeb_a"
    """A folder of face photos or a TFDS name."""
    minutes: Annotated[float, Range(0.01, 1000)] = 30.0
    """Of training, for each row."""
    samples: Annotated[int, Range(64, 1_000_000)] = 5000
    """Generated faces to measure with."""
    classifier: str = "photo_classifier"
    """The image classifier whose features are compared: a name in saved_models/, a folder or a file; or `random`."""
    together: bool = False
    """Both at the same time, each on its own half of the cores."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for what was measured and a sheet of each row's faces; by default outputs/gan_training/."""


# ---------------------------------------------------------------------------------------------------------- Ours


def ours(faces: np.ndarray, seconds: float) -> tuple[Any, int, float]:
    """The app's networks and recipe; a short training first tells the pace, which the averaging needs to know."""
    from shared.training.steps import compile_step, shard

    def trained(config: app.Train, seconds: float) -> tuple[Any, int, float]:
        owners = app.adversaries(config)
        steps = [compile_step(app.gan_update(config, *owners, penalise), *owners) for penalise in (False, True)]

        def learn(step: int) -> None:
            batch = batch_of(faces, step, config.batch, config.latent, config.seed)
            logs = steps[step % config.penalty_every == 0](*shard(*batch))
            float(logs["critic_loss"])  # wait for it

        learn(0), learn(1)  # each form compiles
        began_s, step = time.perf_counter(), 1
        while time.perf_counter() - began_s < seconds:
            learn(step := step + 1)
        took_s = time.perf_counter() - began_s
        g, _, g_opt, _ = owners
        g_opt.finalize_variable_values(g.trainable_variables)
        return g, (step - 1) * config.batch, took_s

    _, photos, took_s = trained(app.Train(batch=BATCH, latent=LATENT), seconds / 30)
    expected = max(int(seconds * photos / took_s), 1)
    return trained(app.Train(batch=BATCH, latent=LATENT, images=expected), seconds)


# --------------------------------------------------------------------------------------------------- The example


def example_networks() -> tuple[Any, Any]:
    """The example's generator and discriminator, layer by layer."""
    import keras
    from keras import layers

    discriminator = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            *(
                layer
                for channels in (64, 128, 128)
                for layer in (layers.Conv2D(channels, 4, strides=2, padding="same"), layers.LeakyReLU(0.2))
            ),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    generator = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(8 * 8 * 128),
            layers.Reshape((8, 8, 128)),
            *(
                layer
                for channels in (128, 256, 512)
                for layer in (layers.Conv2DTranspose(channels, 4, strides=2, padding="same"), layers.LeakyReLU(0.2))
            ),
            layers.Conv2D(3, 5, padding="same", activation="sigmoid"),
        ]
    )
    return generator, discriminator


def example_gan() -> tuple[Any, Any]:
    """(the model that `fit` trains, its generator): keras.io/examples/generative/dcgan_overriding_train_step."""
    import keras
    import tensorflow as tf

    generator, discriminator = example_networks()

    class GAN(keras.Model):
        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        def train_step(self, real_images):
            batch_size = tf.shape(real_images)[0]
            noise = tf.random.normal((batch_size, LATENT))
            combined = tf.concat([generator(noise), real_images], axis=0)
            labels = tf.concat([tf.ones((batch_size, 1)), tf.zeros((batch_size, 1))], axis=0)
            labels += 0.05 * tf.random.uniform(tf.shape(labels))
            with tf.GradientTape() as tape:
                d_loss = self.loss_fn(labels, discriminator(combined, training=True))
            gradients = tape.gradient(d_loss, discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(gradients, discriminator.trainable_weights, strict=True))
            noise = tf.random.normal((batch_size, LATENT))
            with tf.GradientTape() as tape:
                guesses = discriminator(generator(noise), training=True)
                g_loss = self.loss_fn(tf.zeros((batch_size, 1)), guesses)
            gradients = tape.gradient(g_loss, generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(gradients, generator.trainable_weights, strict=True))
            return {"d_loss": d_loss, "g_loss": g_loss}

    gan = GAN()
    adam = (keras.optimizers.Adam(1e-4) for _ in range(2))
    gan.compile(*adam, keras.losses.BinaryCrossentropy())
    return gan, generator


class TimeIsUp(Exception):
    """Ends `fit` in the middle of an epoch; Keras takes a StopIteration for the end of the data, and goes on."""


def example(faces: np.ndarray, seconds: float) -> tuple[Any, int, float]:
    """The example's networks, losses and loop, stopped in time."""
    import keras
    import tensorflow as tf

    class Clock(keras.callbacks.Callback):
        photos, began_s, took_s = 0, 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            now_s = time.perf_counter()
            if not self.began_s:  # the first batch has compiled everything
                self.began_s = now_s
                return
            self.photos, self.took_s = self.photos + BATCH, now_s - self.began_s
            if self.took_s >= seconds:
                raise TimeIsUp

    data = tf.data.Dataset.from_tensor_slices(faces).shuffle(len(faces)).batch(BATCH, drop_remainder=True)
    data = data.map(lambda photos: tf.cast(photos, tf.float32) / 255).repeat().prefetch(tf.data.AUTOTUNE)
    (gan, generator), clock = example_gan(), Clock()
    with contextlib.suppress(TimeIsUp):
        gan.fit(data, epochs=10**6, steps_per_epoch=10**6, callbacks=[clock], verbose=0)
    return generator, clock.photos, clock.took_s


# ----------------------------------------------------------------------------------------------------- Measuring


def measure(config: Measure) -> None:
    """Train one of the two in this process, and print what came of it as a line of JSON."""
    if config.cores:
        os.sched_setaffinity(0, config.cores)
    faces, unseen = load_splits(config.data, app.Train.crop, "train", "test")
    import_keras()
    from shared.training import devices

    train, precision = (ours, config.precision) if config.what == "ours" else (example, "float32")
    with devices.setup(1, precision) as device:
        generator, photos, took_s = train(faces, 60 * config.minutes)
        latents = np.random.default_rng(1).standard_normal((config.samples, LATENT))
        generated = sampler(generator)(latents)
        random = config.classifier == "random"
        features = distances.random_features() if random else distances.classifier_features(config.classifier)
        found, reference = features(generated), features(unseen)
    kernel, error = distances.kernel_distance(found, reference)
    result = {"parameters": generator.count_params(), "photos": photos, "seconds": took_s, "faces": len(faces)}
    result |= {"kernel_distance": kernel, "standard_error": error, "unseen": len(unseen), "device": device.description}
    result |= {"frechet_distance": distances.frechet(found, reference)}
    result |= {"variety": distances.spread(found) / distances.spread(reference)}
    if config.sheet:
        save_sheet(config.sheet, generated[:64])
    print(json.dumps(asdict(config) | result, default=str))


def compare(config: Compare) -> None:
    """Train both, and print the table."""
    if backend_name() != "tensorflow":
        raise UserError("the example's train_step is TensorFlow's: run this with KERAS_BACKEND=tensorflow.")
    app.open_images(config.data)
    if config.classifier != "random":
        distances.classifier_features(config.classifier)  # says at once if it is not here
    folder = config.output or Path("outputs/gan_training")
    folder.mkdir(parents=True, exist_ok=True)
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {load:.1f}): fewer photos are seen, and the ratio is doubtful.")
    rows = run_rows(config, folder)
    show(config, rows, load)
    with write_atomically(folder / "gan_training.json") as temporary:
        temporary.write_text(json.dumps({"load": load, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    print(f"Sheets of both, and all that was measured: {folder}")


def run_rows(config: Compare, folder: Path) -> list[dict]:
    """What `measure` prints of the example and of ours, each in a fresh process."""
    rows, names, cores = [], ("example", "ours"), usable_cores()
    if config.together and len(cores) < 2:
        raise UserError("--together needs two CPU cores.")
    halves = (cores[: len(cores) // 2], cores[-(len(cores) // 2) :]) if config.together else ([], [])
    with contextlib.ExitStack() as running:
        started = (running.enter_context(begin(config, *row, folder)) for row in zip(names, halves, strict=True))
        for what, process in zip(names, list(started) if config.together else started, strict=True):
            said, _ = process.communicate()
            if process.returncode:
                raise UserError(f"the training of {what} failed; what it said is above.")
            rows.append(json.loads(said.splitlines()[-1]))
    return rows


def begin(config: Compare, what: str, cores: list[int], folder: Path) -> subprocess.Popen[str]:
    """Start one row's process."""
    words = ["--what", what, "--data", config.data, "--classifier", config.classifier]
    words += ["--minutes", str(config.minutes), "--samples", str(config.samples)]
    words += ["--sheet", str(folder / f"{what}.png"), *(["--cores", *map(str, cores)] if cores else [])]
    return subprocess.Popen([sys.executable, __file__, "measure", *words], stdout=subprocess.PIPE, text=True)


def show(config: Compare, rows: list[dict], load: float) -> None:
    """Print the table and the ratio."""
    name, first = Path(config.classifier).name, rows[0]
    print(
        f"{config.minutes:g} minutes of training each on {first['faces']:,} faces, batch {BATCH}, load {load:.1f} "
        f"before; {config.samples:,} generated faces against {first['unseen']:,} photos held out"
    )
    columns = f"{'KD-' + name:>28}{'FD-' + name:>24}{'variety':>9}"
    print(f"{'':10}{'parameters':>12}{'photos':>10}{'photos/s':>10}{columns}  device")
    for row in rows:
        pace = row["photos"] / row["seconds"]
        distance = f"{row['kernel_distance']:.5f} +-{row['standard_error']:.5f}"
        print(
            f"{row['what']:10}{row['parameters']:12,}{row['photos']:10,}{pace:10,.0f}{distance:>28}"
            f"{row['frechet_distance']:24.3f}{row['variety']:9.0%}  {row['device']}"
        )
    ratio = rows[1]["kernel_distance"] / rows[0]["kernel_distance"]
    print(f"Kernel distance of ours: {ratio:.2f} times the example's.")


if __name__ == "__main__":
    cli.run(__doc__, compare, {"measure": measure})
