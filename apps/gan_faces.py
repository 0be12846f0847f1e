"""Faces of people who do not exist: a generator learned to make them, against a critic that tells them from photos.

    python apps/gan_faces.py                             generates a sheet of 64 faces
    python apps/gan_faces.py --interpolate               an animation that turns faces into one another
    python apps/gan_faces.py train --data faces/         learns from a folder of photos; --quick for minutes
    python apps/gan_faces.py evaluate --data faces/      recomputes the numbers of the model card

Method: a generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661) of two lean convolutional networks
(Radford et al. 2015, arXiv:1511.06434). The critic compares a real image with a generated one, under a gradient penalty
at both (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441); latents modulate the generator's
layers (Chen et al. 2018, arXiv:1810.01365); what the critic sees is augmented (Zhao et al. 2020, arXiv:2006.10738);
the generator's weights are averaged. Results, hardware and time: saved_models/gan_faces/README.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.gan_faces import distances
from apps.parts.gan_faces.evaluation import Validator, compare, global_norm, report_copies, time_sampling
from apps.parts.gan_faces.faces import SIZE, batch_of, load_splits
from apps.parts.gan_faces.generators import draw_latents, interpolation, load_generator, sampler
from apps.parts.gan_faces.sheets import film_sheets, save_animation, save_nearest, save_sheet
from shared import cli, saved_models, settings
from shared.console import say
from shared.data.datasets import open_images
from shared.drawing.film import Film
from shared.drawing.pictures import picture_path
from shared.errors import in_range
from shared.layers.diff_augment import Policy, augment
from shared.layers.residual import residual
from shared.settings import Range, Seed, Settings, Training
from shared.training import custom_loop, devices
from shared.training.optimizers import adam, averaged

if TYPE_CHECKING:
    import keras

APP = "gan_faces"
VALIDATION_SAMPLES = 1000  # generated images that the best generator is chosen by


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Generate(Settings):
    """Generate a sheet of new faces, or an animation that interpolates between faces."""

    count: Annotated[int | None, Range(1, 10_000)] = None
    """Faces on the sheet (by default 64), or faces that the animation goes through (by default 8)."""
    seed: Seed = 1
    """The same seed gives the same faces."""
    truncation: Annotated[float, Range(0, 1)] = 1.0
    """Factor of the latents: lower values give more typical and less varied faces, 0 the average face."""
    interpolate: bool = False
    """Make an animation in which each face turns into the next one, and the last into the first."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A picture, or with --interpolate a .webp or .gif file; by default in outputs/gan_faces/."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""


@dataclass
class Train(Training):
    """Learn to generate faces from photos; the generator with the best kernel distance is saved as RUN/model.keras."""

    QUICK: ClassVar = {"images": 40_000, "validate_every": 20_000, "sheet_every": 2_000, "average": 0.1}

    run: Path = Path("outputs/gan_faces/train")
    data: str = "celeb_a"
    """A folder of photos, each with a face in the middle, or a TFDS name; a tenth is for validation, one for tests."""
    images: Annotated[int, Range(1, 10**12)] = 1_500_000
    """Photos shown to the critic in all; it sees as many generated images."""
    crop: Annotated[float, Range(1e-9, 1)] = 0.72
    """Side of the square cut out of the middle, as a share of the photo's shorter side (0.72 suits CelebA)."""
    batch: Annotated[int, Range(1, 65_536)] = 32
    """Photos in one update."""
    latent: Annotated[int, Range(1, 65_536)] = 128
    """Dimension of the latent vectors that faces are generated from."""
    width: Annotated[int, Range(1, 65_536)] = 24
    """Channels of the generator at 64 x 64 pixels; 2, 4 and 8 times as many further down."""
    critic_width: Annotated[int, Range(1, 65_536)] = 40
    """Channels of the critic at 32 x 32 pixels; 2, 4 and 8 times as many further down."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 4e-4
    """Adam's step size, of both networks; it falls to a tenth along a cosine."""
    penalty: Annotated[float, Range(0, 1e6)] = 0.5
    """Weight of the gradient penalty at real and generated images (gamma of R1 and R2); it falls like the step size."""
    penalty_every: Annotated[int, Range(1, 65_536)] = 8
    """The gradient penalty is part of every n-th update of the critic, with n times its weight."""
    augment: Policy = "geometry"
    """Augmentation of what the critic sees: shifts and cut-outs (geometry), or changes of colour too (all)."""
    average: Annotated[float, Range(1e-9, 1)] = 0.03
    """Share of the run over which the generator's weights are averaged."""
    validate_every: Annotated[int, Range(1, 10**12)] = 50_000
    """Photos between two measurements of the kernel distance."""
    sheet_every: Annotated[int, Range(1, 10**12)] = 10_000
    """Photos between two sheets of samples, which together make the film of the training."""
    checkpoint_minutes: Annotated[float, Range(1e-9, 1e6)] = 2.0
    """Minutes between two checkpoints."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers, against the training photos and against the test photos."""

    data: str = "celeb_a"
    """The photos that the model was trained on: a folder or a TFDS name."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    classifier: str = "photo_classifier"
    """The image classifier whose features are compared: a name in saved_models/, a folder or a file."""
    samples: Annotated[int, Range(64, 1_000_000)] = 10_000
    """Faces to generate for the distances; with fewer of them the Frechet distance is higher."""
    seed: Seed = 1
    """Seed of the latents."""
    download_inception: bool = False
    """Download the weights of Inception-v3 for FID and KID if this computer does not have them yet (84 MB)."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the sheets; by default outputs/gan_faces/."""


# ------------------------------------------------------------------------------------------------------ Networks


def generator(config: Train) -> keras.Model:
    """Latents float32 (batch, latent), standard normal -> RGB float32 in [0, 1], (batch, 64, 64, 3)."""
    import keras
    from keras import layers

    latents = keras.Input((config.latent,), name="latents")

    def modulate(x):
        """Normalise each pixel's vector of channels, then scale each channel by a function of the latents."""
        # Each has a hidden layer: the gradient of a shared one is a sum, in an order that differs from run to run.
        style = layers.LeakyReLU(0.2)(layers.Dense(32, kernel_initializer="he_normal")(latents))
        scale = layers.Dense(x.shape[-1], kernel_initializer="zeros", bias_initializer="ones")(style)
        x = layers.Multiply()([layers.RMSNormalization()(x), layers.Reshape((1, 1, x.shape[-1]))(scale)])
        return layers.LeakyReLU(0.2)(x)

    average = keras.initializers.RandomNormal(stddev=1.0)  # of the average face, which truncation 0 leaves
    x = layers.Dense(4 * 4 * 8 * config.width, kernel_initializer="lecun_normal", bias_initializer=average)(latents)
    x = modulate(layers.Reshape((4, 4, 8 * config.width))(x))
    for factor in (8, 4, 2):  # at 8, 16, 32 pixels
        x = layers.Conv2DTranspose(factor * config.width, 4, strides=2, padding="same")(x)
        x = residual(modulate(x))
    x = layers.Conv2DTranspose(config.width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
    x = layers.LeakyReLU(0.2)(x)  # at 64 pixels modulation would cost as much as all the rest
    x = layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(latents, layers.Activation("sigmoid", dtype="float32", name="rgb")(x), name=APP)


def critic(config: Train) -> keras.Model:
    """RGB float32 in [-1, 1], (batch, 64, 64, 3) -> scores float32 (batch, 1): higher for real images."""
    import keras
    from keras import layers

    x = pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    for factor in (1, 2, 4, 8):  # at 32, 16, 8, 4 pixels
        x = layers.Conv2D(factor * config.critic_width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
        x = residual(x) if factor in (2, 4) else x
    return keras.Model(pixels, layers.Dense(1, dtype="float32")(layers.Flatten()(x)))


# -------------------------------------------------------------------------------------------------------- Update


def critic_update(config: Train, d: keras.Model, optimizer: Any, penalise: bool) -> Callable:
    """One step of the critic: score a real image above the generated one beside it (relativistic loss).

    So a generator that drops a kind of face pays for it. With `penalise`, the gradient penalty is part of the loss.
    """
    from keras import ops

    from shared.training.steps import input_gradient, value_and_grad

    gamma = falling(config.penalty, config)

    def summed_scores(images):
        scores = d(images, training=True)
        return ops.sum(scores), scores

    def update(real, fake):  # RGB in [-1, 1], (batch, 64, 64, 3) each
        both = ops.concatenate([real, ops.stop_gradient(fake)])

        def critic_loss():
            if penalise:
                (_, scores), gradients = input_gradient(summed_scores, both)
                penalty = 2 * ops.mean(ops.sum(ops.square(gradients), axis=(1, 2, 3)))  # R1 + R2, a mean over each half
            else:
                scores, penalty = d(both, training=True), 0.0
            real_scores, fake_scores = ops.split(scores, 2)
            loss = ops.mean(ops.softplus(fake_scores - real_scores))
            accuracy = ops.mean(ops.cast(real_scores > fake_scores, "float32"))
            return loss + gamma(optimizer.iterations) / 2 * config.penalty_every * penalty, loss, accuracy, penalty

        (_, loss, accuracy, penalty), gradients = value_and_grad(critic_loss, d.trainable_variables)
        optimizer.apply(gradients, d.trainable_variables)
        logs = {"critic_loss": loss, "critic_accuracy": accuracy, "critic_gradient": global_norm(gradients)}
        return logs | {"gradient_penalty": penalty} if penalise else logs

    return update


def gan_update(config: Train, g: keras.Model, d: keras.Model, g_opt: Any, d_opt: Any, penalise: bool) -> Callable:
    """One step of the critic, then one of the generator, which learns to reverse the critic's order."""
    from keras import ops

    from shared.training.steps import value_and_grad

    update_critic = critic_update(config, d, d_opt, penalise)

    def update(photos, latents, uniforms):  # uint8 (batch, 64, 64, 3), (batch, latent), (batch, 2, UNIFORMS)
        real = augment(ops.cast(photos, "float32") / 127.5 - 1, uniforms[:, 0], config.augment)

        def fake():
            return augment(2 * g(latents, training=True) - 1, uniforms[:, 1], config.augment)

        logs = update_critic(real, fake())
        real_scores = d(real, training=True)

        def generator_loss():
            return ops.mean(ops.softplus(real_scores - d(fake(), training=True)))

        loss, gradients = value_and_grad(generator_loss, g.trainable_variables)
        g_opt.apply(gradients, g.trainable_variables)
        return logs | {"generator_loss": loss, "generator_gradient": global_norm(gradients)}

    return update


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> Train:
    """The settings to train with, or a UserError."""
    config = settings.resumed(config)
    photos = open_images(config.data, "all")  # says what is wrong with the data before a run begins
    return settings.begin(config, photos.digest())


def falling(start: float, config: Train) -> Callable:
    """From `start` to a tenth of it along a cosine, over the updates of the run."""
    import keras

    return keras.optimizers.schedules.CosineDecay(start, -(-config.images // config.batch), alpha=0.1)


def adversaries(config: Train) -> tuple[keras.Model, keras.Model, keras.Optimizer, keras.Optimizer]:
    """Generator, critic and their optimizers, built; the generator's optimizer averages its weights."""
    g, d = generator(config), critic(config)
    if config.init and not config.resume:
        saved_models.start_from(g, config.init)
    rate = falling(config.learning_rate, config)
    g_opt = adam(rate, config.average * config.images / config.batch, beta_1=0.0, beta_2=0.99)
    d_opt = adam(rate, beta_1=0.0, beta_2=0.99)
    g_opt.build(g.trainable_variables)
    d_opt.build(d.trainable_variables)
    return g, d, g_opt, d_opt


def learner(
    config: Train, faces: np.ndarray, updates: dict[bool, Callable], validator: Validator, sheet: Callable, seen: int
) -> custom_loop.Learner:
    """Learn without end; every 32 updates yield the photos seen and the means of what the updates gave."""
    from shared.training.steps import shard

    logs: list[dict[str, Any]] = []
    while True:
        if seen % config.sheet_every < config.batch:
            sheet(seen)
        step = seen // config.batch
        update = updates[step % config.penalty_every == 0]
        logs.append(update(*shard(*batch_of(faces, step, config.batch, config.latent, config.seed))))
        seen += config.batch
        if (step + 1) % 32 == 0 or seen >= config.images:
            yield seen, validator.means_of(logs)
            logs.clear()


def fit(config: Train, faces: np.ndarray, held_out: np.ndarray) -> float:
    """The training itself; returns the best score, minus the kernel distance to the held-out faces."""
    from shared.training.steps import compile_step

    owners = adversaries(config)
    g, d, g_opt, d_opt = owners
    updates = {penalise: compile_step(gan_update(config, *owners, penalise), *owners) for penalise in (False, True)}
    sample = sampler(g)
    latents = np.random.default_rng(config.seed).standard_normal((VALIDATION_SAMPLES, config.latent), np.float32)
    validator = Validator(held_out)
    say(f"{len(faces):,} faces to learn from; validation by KD-{validator.kind} to {len(held_out):,} held-out faces.")
    say(f"The generator has {g.count_params():,} parameters, the critic {d.count_params():,}.")

    @averaged(g, g_opt)
    def sheet(seen: int) -> None:
        save_sheet(config.run / "sheets" / f"{seen:09d}.jpg", sample(latents[:64]))

    @averaged(g, g_opt)
    def validate() -> float:
        return validator.score(sample(latents))

    @averaged(g, g_opt)
    def save_best(seen: int, score: float) -> None:
        saved_models.save(g, config.run, asdict(config) | {"trained_images": seen, f"kd_{validator.kind}": -score})

    return custom_loop.train(
        partial(learner, config, faces, updates, validator, sheet),
        {"generator": g, "critic": d, "generator_optimizer": g_opt, "critic_optimizer": d_opt},
        validate,
        save_best,
        config.run,
        total=config.images,
        unit="photos",
        validate_every=config.validate_every,
        resume=config.resume,
        checkpoint_minutes=config.checkpoint_minutes,
        plot=("score", ("critic_loss", "generator_loss"), "critic_accuracy", ("critic_gradient", "generator_gradient")),
    )


# --------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Learn to generate faces from photos; Ctrl-C saves, --resume goes on."""
    config = checked(config)
    faces, held_out = load_splits(config.data, config.crop, "train", "validation")
    with devices.training(config):
        best = fit(config, faces, held_out)
    print(f"Best kernel distance: {-best:.4f}. The model, its curve and sheets are in {config.run}.")
    print(f"How it learned: {film_sheets(config.run / 'sheets', config.run / 'training.webp')}")
    print(f"Let it generate faces: python apps/{APP}.py --model {config.run}")


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers: distances to the photos, variety, nearest photos, speed."""
    kind = Path(config.classifier).name
    network, trained = load_generator(config.model)
    features = distances.classifier_features(config.classifier)
    training, test = load_splits(config.data, trained.get("crop", Train.crop), "train", "test")
    folder = config.output or Path("outputs") / APP
    generated = sampler(network)(draw_latents(config.seed, config.samples, network))
    sets = {"generated faces": generated, "training faces": training, "test faces": test}
    found = compare((f"FD-{kind}", f"KD-{kind}"), features, sets)
    if inception := distances.inception_features(config.download_inception):
        compare(("FID", "KID"), inception, sets)
    nearest = report_copies(*found.values())
    print(f"64 faces in {time_sampling(network):.2f} s; {network.count_params():,} parameters")
    save_sheet(folder / "unselected.png", generated[:64])
    save_nearest(folder / "nearest.png", generated[:32], training, nearest[:32])
    print(f"In {folder}: unselected.png; nearest.png, generated faces and their nearest photos by features and pixels.")


# ---------------------------------------------------------------------------------------------------------- Demo


def generate(config: Generate) -> None:
    """Generate a sheet of new faces, or an animation that interpolates between faces."""
    count = config.count or (8 if config.interpolate else 64)
    path = picture_path(config.output, APP, "morph.webp" if config.interpolate else "faces.png")
    if config.interpolate:
        in_range("--count", count, 2, 100)
        Film(path)  # a wrong ending is refused before the work, not after it
    network, _ = load_generator(config.model)
    latents = draw_latents(config.seed, count, network)
    began_s = time.perf_counter()
    faces = sampler(network)(config.truncation * (interpolation(latents, 24) if config.interpolate else latents))
    took = f"generated in {time.perf_counter() - began_s:.1f} s"
    if config.interpolate:
        save_animation(path, faces)
        print(f"An animation through {count} faces, {len(faces):,} frames {took}: {path}")
    else:
        save_sheet(path, faces, columns=int(np.ceil(np.sqrt(count))), scale=2)
        print(f"{count:,} faces of people who do not exist, {took}: {path}")
    print(
        f"Try next: python apps/{APP}.py --interpolate --seed {config.seed + 1}, or: python apps/{APP}.py train --quick"
    )


if __name__ == "__main__":
    cli.run(__doc__, generate, {"train": train, "evaluate": evaluate})
