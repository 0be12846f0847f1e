"""Faces of people who do not exist: a network that learned to paint them, and a critic that it had to deceive.

    python apps/gan_faces.py                             paints a sheet of 64 faces
    python apps/gan_faces.py --interpolate               an animation that turns faces into one another
    python apps/gan_faces.py train --data faces/         learns from a folder of photos; --quick for minutes
    python apps/gan_faces.py evaluate --data faces/      recomputes the numbers of the model card

Method: a generator against a critic (Goodfellow et al. 2014, arXiv:1406.2661), both lean convolutional networks
(Radford et al. 2015, arXiv:1511.06434). The critic compares a photo with a painting, and its slopes at both are kept
small (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441); latents modulate the layers (Chen et
al. 2018, arXiv:1810.01365); what the critic sees is augmented (Zhao et al. 2020, arXiv:2006.10738); the generator that
is kept has averaged weights. Measured results, with hardware and time, are in saved_models/gan_faces/README.md.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.gan_faces import distances
from apps.parts.gan_faces.latents import (
    compare,
    film_sheets,
    film_tour,
    painter,
    report_copies,
    save_sheet,
    time_painting,
    tour,
)
from shared import cli, saved_models, settings
from shared.console import held_stderr, loading, say
from shared.data.datasets import open_images
from shared.data.images import resize
from shared.drawing.film import Film
from shared.errors import UserError, in_range
from shared.files import output_path
from shared.layers.diff_augment import DICE, Policy, augment
from shared.layers.residual import residual
from shared.settings import Range, Seed, Settings, Training
from shared.training import custom_loop, devices
from shared.training.optimizers import averaged

if TYPE_CHECKING:
    import keras

    Owners = tuple[keras.Model, keras.Model, keras.optimizers.Optimizer, keras.optimizers.Optimizer]

APP = "gan_faces"
SIZE = 64  # pixels, of every face, in both directions
FEWEST = 100  # photos to learn from; a GAN only copies fewer
JUDGED = 1000  # paintings that the best generator is chosen by


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Paint(Settings):
    """Paint a sheet of new faces, or an animation that goes from face to face."""

    count: Annotated[int | None, Range(1, 10_000)] = None
    """Faces on the sheet (by default 64), or on the way of the animation (8)."""
    seed: Seed = 1
    """The same seed paints the same faces."""
    truncation: Annotated[float, Range(0, 1)] = 1.0
    """0 to 1: how far from the average face to go. Less is more regular, and more alike; 1 is what was learned."""
    interpolate: bool = False
    """Animate: each face turns into the next one, the last into the first, for ever."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A picture, or with --interpolate a .webp or .gif; by default in outputs/gan_faces/."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""


@dataclass
class Train(Training):
    """Learn to paint faces from photos; the best generator by kernel distance is kept in RUN/model.keras."""

    QUICK: ClassVar = {"images": 40_000, "validate_every": 20_000, "sheet_every": 2_000, "average": 0.1}
    HAS_REPLICAS: ClassVar = True

    run: Path = Path("outputs/gan_faces/train")
    data: str = "celeb_a"
    """A folder of photos, each with its face in the middle, or a TFDS name. A tenth is held out to choose by, another
    to test on."""
    images: Annotated[int, Range(1, 10**12)] = 1_500_000
    """Photos to show to the critic in all; it sees as many paintings."""
    crop: Annotated[float, Range(1e-9, 1)] = 0.72
    """Side of the square cut out of the middle, as a share of the photo's shorter side (0.72 frames CelebA's faces)."""
    batch: Annotated[int, Range(1, 65_536)] = 32
    """Photos in one update."""
    latent: Annotated[int, Range(1, 65_536)] = 128
    """Random numbers that a face is painted from."""
    width: Annotated[int, Range(1, 65_536)] = 24
    """Channels of the generator at 64 x 64 pixels; 2, 4 and 8 times as many further down."""
    critic_width: Annotated[int, Range(1, 65_536)] = 40
    """Channels of the critic at 32 x 32 pixels; 2, 4 and 8 times as many further down."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 4e-4
    """Adam's step size, of both networks; it falls to a tenth along a cosine."""
    penalty: Annotated[float, Range(0, 1e6)] = 0.5
    """Weight of the critic's squared slopes at photos and at paintings (gamma of R1 and R2); it falls to a tenth
    along a cosine."""
    penalty_every: Annotated[int, Range(1, 65_536)] = 8
    """Updates between two in which the penalty is counted, that many times as much."""
    augment: Policy = "geometry"
    """What the critic sees is shifted and partly covered (geometry), and differently coloured too (all)."""
    average: Annotated[float, Range(1e-9, 1)] = 0.03
    """Share of the run over which the generator's weights are averaged."""
    validate_every: Annotated[int, Range(1, 10**12)] = 50_000
    """Photos between two measurements of the kernel distance."""
    sheet_every: Annotated[int, Range(1, 10**12)] = 10_000
    """Photos between two sheets of samples, which together are the film."""
    checkpoint_minutes: Annotated[float, Range(1e-9, 1e6)] = 2.0
    """Minutes between two checkpoints."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers against the photos of the training and against those held out."""

    data: str = "celeb_a"
    """The photos that it was trained on: a folder or a TFDS name."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    classifier: str = "photo_classifier"
    """The image classifier whose features are compared: a name in saved_models/, a folder or a file."""
    samples: Annotated[int, Range(64, 1_000_000)] = 10_000
    """Faces to paint for the distances; fewer make the Frechet distance higher."""
    seed: Seed = 1
    """Seed of the latents."""
    download_inception: bool = False
    """Fetch the weights of Inception-v3 for FID and KID where they are not on this computer yet (84 MB)."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the sheets; by default outputs/gan_faces/."""


# ------------------------------------------------------------------------------------------------------ Networks


def generator(config: Train) -> keras.Model:
    """Latents float32 (batch, latent), standard normal -> RGB float32 in [0, 1], (batch, 64, 64, 3)."""
    import keras
    from keras import layers

    latents = keras.Input((config.latent,), name="latents")

    def modulate(x):
        """Scale each pixel's vector of channels to length one, then each channel by what the latents say."""
        # A hidden layer for each: a shared one's gradient is a sum of many, in an order that differs from run to run.
        style = layers.LeakyReLU(0.2)(layers.Dense(32, kernel_initializer="he_normal")(latents))
        scale = layers.Dense(x.shape[-1], kernel_initializer="zeros", bias_initializer="ones")(style)
        x = layers.Multiply()([layers.RMSNormalization()(x), layers.Reshape((1, 1, x.shape[-1]))(scale)])
        return layers.LeakyReLU(0.2)(x)

    average = keras.initializers.RandomNormal(stddev=1.0)  # what is left of a face when truncation takes its latents
    x = layers.Dense(4 * 4 * 8 * config.width, kernel_initializer="lecun_normal", bias_initializer=average)(latents)
    x = modulate(layers.Reshape((4, 4, 8 * config.width))(x))
    for factor in (8, 4, 2):  # at 8, 16, 32 pixels
        x = layers.Conv2DTranspose(factor * config.width, 4, strides=2, padding="same")(x)
        x = residual(modulate(x))
    x = layers.Conv2DTranspose(config.width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
    x = layers.LeakyReLU(0.2)(x)  # at 64 pixels: modulation would cost as much there as all the rest
    x = layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(latents, layers.Activation("sigmoid", dtype="float32", name="rgb")(x), name=APP)


def critic(config: Train) -> keras.Model:
    """RGB float32 in [-1, 1], (batch, 64, 64, 3) -> scores float32 (batch, 1): the higher, the more like a photo."""
    import keras
    from keras import layers

    pixels = x = keras.Input((SIZE, SIZE, 3), name="pixels")
    for factor in (1, 2, 4, 8):  # at 32, 16, 8, 4 pixels
        x = layers.Conv2D(factor * config.critic_width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
        x = residual(x) if factor in (2, 4) else x
    return keras.Model(pixels, layers.Dense(1, dtype="float32")(layers.Flatten()(x)))


# ---------------------------------------------------------------------------------------------------------- Data


def load_faces(data: str, split: str, crop: float) -> np.ndarray:
    """The middles of all photos of a split, uint8 (n, 64, 64, 3); broken ones are skipped and named."""

    def middle(photo: np.ndarray) -> np.ndarray:
        side = max(round(crop * min(photo.shape[:2])), 1)
        top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
        return resize(photo[top : top + side, left : left + side], SIZE, SIZE)

    faces = [middle(photo) for photo, _ in open_images(data, split)]
    return np.array(faces, np.uint8).reshape(-1, SIZE, SIZE, 3)


def load_splits(data: str, crop: float, *splits: str) -> list[np.ndarray]:
    """The faces of several splits, of which the first is to learn from; UserError if there are too few."""
    if (count := len(open_images(data, "all"))) < FEWEST:
        raise UserError(f"{data} has {count} photos, and a GAN needs {FEWEST} at least; it likes 10,000 and more.")
    loading(f"the faces of {data}")
    faces = [load_faces(data, split, crop) for split in splits]
    for part, split in zip(faces, splits, strict=True):
        if len(part) < 2:
            raise UserError(f"{data} has {len(part)} readable photos for {split}: give a folder with more.")
    return faces


# -------------------------------------------------------------------------------------------------------- Update


def gan_update(config: Train, g: keras.Model, d: keras.Model, g_opt: Any, d_opt: Any, penalise: bool) -> Callable:
    """One step of the critic and one of the generator; `penalise` counts the critic's slopes too.

    The loss is relativistic: the critic learns to score a photo above the painting beside it, the generator to reverse
    that, so that there is a photo for every painting to be measured by, and dropping a kind of face costs something.
    """
    from keras import ops

    from shared.training.steps import input_gradient, value_and_grad

    penalty = falling(config.penalty, config)

    def norm(gradients):
        return ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in gradients))

    def update(photos, latents, dice):  # uint8 (batch, 64, 64, 3), (batch, latent), (batch, 2, DICE)
        photos = augment(ops.cast(photos, "float32") / 127.5 - 1, dice[:, 0], config.augment)

        def paintings():
            return augment(2 * g(latents, training=True) - 1, dice[:, 1], config.augment)

        both = ops.concatenate([photos, ops.stop_gradient(paintings())])

        def summed_scores(images):
            scores = d(images, training=True)
            return ops.sum(scores), scores

        def critic_loss():
            if penalise:
                (_, scores), slopes = input_gradient(summed_scores, both)
                slope = 2 * ops.mean(ops.sum(ops.square(slopes), axis=(1, 2, 3)))  # R1 + R2: the means of both halves
            else:
                scores, slope = d(both, training=True), 0.0
            of_photos, of_paintings = ops.split(scores, 2)
            loss = ops.mean(ops.softplus(of_paintings - of_photos))
            right = ops.mean(ops.cast(of_photos > of_paintings, "float32"))
            return loss + penalty(d_opt.iterations) / 2 * config.penalty_every * slope, loss, right, slope

        (_, d_loss, right, slope), d_gradients = value_and_grad(critic_loss, d.trainable_variables)
        d_opt.apply(d_gradients, d.trainable_variables)
        of_photos = d(photos, training=True)

        def generator_loss():
            return ops.mean(ops.softplus(of_photos - d(paintings(), training=True)))

        g_loss, g_gradients = value_and_grad(generator_loss, g.trainable_variables)
        g_opt.apply(g_gradients, g.trainable_variables)
        logs = {"critic_loss": d_loss, "generator_loss": g_loss, "critic_right": right}
        logs |= {"critic_gradient": norm(d_gradients), "generator_gradient": norm(g_gradients)}
        return logs | {"slope": slope} if penalise else logs

    return update


def batch_of(faces: np.ndarray, config: Train, step: int) -> tuple[np.ndarray, ...]:
    """What update number `step` learns from, drawn on the host and from the seed alone: photos, latents, dice."""
    rng = np.random.default_rng([config.seed, step])
    photos = faces[rng.integers(0, len(faces), config.batch)]
    mirrored = np.where(rng.random((config.batch, 1, 1, 1)) < 0.5, photos[:, :, ::-1], photos)
    latents = rng.standard_normal((config.batch, config.latent), np.float32)
    return mirrored, latents, rng.random((config.batch, 2, DICE), np.float32)


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> Train:
    """The settings to train with, or a UserError."""
    config = settings.resumed(config)
    if config.batch % config.replicas:
        raise UserError(f"--batch {config.batch} must be a multiple of --replicas, {config.replicas}.")
    open_images(config.data)  # says what is wrong with it before a run begins
    return settings.begin(config)


def falling(start: float, config: Train) -> Callable:
    """From `start` to a tenth of it along a cosine, over the updates of the run."""
    import keras

    return keras.optimizers.schedules.CosineDecay(start, -(-config.images // config.batch), alpha=0.1)


def adversaries(config: Train) -> Owners:
    """Generator, critic and their optimizers, built; the generator's averages its weights."""
    import keras

    networks = generator(config), critic(config)
    if config.init and not config.resume:
        saved_models.start_from(networks[0], config.init)
    rate = falling(config.learning_rate, config)
    momentum = max(1 - config.batch / (config.average * config.images), 0.0)
    averaging = {"use_ema": True, "ema_momentum": momentum}, {}
    optimizers = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99, **more) for more in averaging]
    for network, optimizer in zip(networks, optimizers, strict=True):
        optimizer.build(network.trainable_variables)
    return *networks, *optimizers


def judge_features() -> tuple[distances.Features, str]:
    """Features to choose the best generator by: the box's classifier, or random ones where there is none."""
    if saved_models.in_box("photo_classifier"):
        return distances.classifier_features(), "photo_classifier"
    return distances.random_features(SIZE), "random"


def learner(
    config: Train, faces: np.ndarray, owners: Owners, sheet: Callable[[int], None], hits: deque[float], seen: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Learn without end: photos seen and what to log, every 32 updates; `hits` gets the critic's, `sheet` is called."""
    from shared.training.steps import compile_step, shard

    update, penalised = (compile_step(gan_update(config, *owners, penalise), *owners) for penalise in (False, True))
    logs: list[dict[str, Any]] = []
    fresh = {update, penalised}  # not compiled yet: TensorFlow then tells of every fusion that it cannot make
    while True:
        if seen % config.sheet_every < config.batch:
            sheet(seen)
        step = seen // config.batch
        learn = penalised if step % config.penalty_every == 0 else update
        with held_stderr() if learn in fresh else nullcontext():
            logs.append(learn(*shard(*batch_of(faces, config, step))))
        fresh.discard(learn)
        seen += config.batch
        if (step + 1) % 32 == 0 or seen >= config.images:
            names = dict.fromkeys(name for log in logs for name in log)  # the slope is not in all of them
            means = {name: float(np.mean([log[name] for log in logs if name in log])) for name in names}
            hits.append(means["critic_right"])
            logs.clear()
            yield seen, means


def fit(config: Train, faces: np.ndarray, held_out: np.ndarray) -> float:
    """The training itself; returns the best score, minus the kernel distance to the faces held out."""
    g, d, g_opt, _ = owners = adversaries(config)
    paint, (features, kind) = painter(g), judge_features()
    fixed = np.random.default_rng(config.seed).standard_normal((JUDGED, config.latent), np.float32)
    reference, hits = features(held_out), deque[float](maxlen=100)
    say(
        f"{len(faces):,} faces to learn from, {len(held_out):,} held out; {g.count_params():,} parameters paint and "
        f"{d.count_params():,} criticise; judged by KD-{kind} of {JUDGED:,} paintings."
    )

    def sheet(seen: int) -> None:
        with averaged(g, g_opt):
            save_sheet(config.run / "sheets" / f"{seen:09d}.jpg", paint(fixed[:64]))

    def validate() -> float:
        with averaged(g, g_opt):
            painted = features(paint(fixed))
        distance, _ = distances.kernel_distance(painted, reference)
        variety, right = distances.spread(painted) / distances.spread(reference), float(np.mean(hits))
        say(f"KD-{kind} {distance:.4f}; variety {variety:.0%} of the photos'; critic right in {right:.0%}.")
        if trouble := diagnosis(variety, right):
            say(f"warning: {trouble}")
        return -distance

    def save_best(seen: int, score: float) -> None:
        with averaged(g, g_opt):
            saved_models.save(g, config.run, asdict(config) | {"trained_images": seen, f"kd_{kind}": -score})

    return custom_loop.train(
        partial(learner, config, faces, owners, sheet, hits),
        dict(zip(("generator", "critic", "generator_optimizer", "critic_optimizer"), owners, strict=True)),
        validate,
        save_best,
        config.run,
        total=config.images,
        unit="photos",
        validate_every=config.validate_every,
        resume=config.resume,
        checkpoint_minutes=config.checkpoint_minutes,
        plot=("score", ("critic_loss", "generator_loss"), "critic_right", ("critic_gradient", "generator_gradient")),
    )


def diagnosis(variety: float, right: float) -> str:
    """What is going wrong, in a sentence, or nothing: the paintings' spread beside the photos', the critic's hits."""
    if variety < 0.5:
        return (
            f"the paintings collapse: they vary {variety:.0%} as much as the photos; raise --penalty or try a --seed."
        )
    if right > 0.99:
        return f"the critic is right in {right:.1%}: there is little left to learn from it; raise --penalty."
    return ""


# --------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Learn to paint faces from photos; Ctrl-C saves, --resume goes on."""
    config = checked(config)
    faces, held_out = load_splits(config.data, config.crop, "train", "validation")
    with devices.setup(config.seed, config.precision, config.replicas) as device:
        say(f"Training on {device.description}.")
        best = fit(config, faces, held_out)
    print(f"Best kernel distance: {-best:.4f}. The model, its curve and sheets are in {config.run}.")
    print(f"How it learned: {film_sheets(config.run / 'sheets', config.run / 'training.webp')}")
    print(f"Let it paint: python apps/{APP}.py --model {config.run}")


def load(model: Path | None) -> tuple[keras.Model, dict[str, Any]]:
    """A saved generator and its settings; UserError if it is not one of this app's."""
    network, trained = saved_models.load_for(APP, model)
    if len(network.input_shape) != 2 or network.output_shape != (None, SIZE, SIZE, 3):
        raise UserError(f"{model} does not turn vectors of latents into pictures of {SIZE} x {SIZE} pixels.")
    return network, trained


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers: distances to the photos, variety, nearest photos, speed."""
    kind = Path(config.classifier).name
    network, trained = load(config.model)
    features = distances.classifier_features(config.classifier)
    learned, held_out = load_splits(config.data, trained.get("crop", Train.crop), "train", "test")
    folder = config.output or Path("outputs") / APP
    latents = np.random.default_rng(config.seed).standard_normal((config.samples, network.input_shape[1]))
    painted = painter(network)(latents)
    sets = {"paintings": painted, "faces learned from": learned, "faces held out": held_out}
    seen = compare((f"FD-{kind}", f"KD-{kind}"), features, sets)
    if inception := distances.inception_features(config.download_inception):
        compare(("FID", "KID"), inception, sets)
    closest = report_copies(*seen.values())[:32]
    print(f"64 faces in {time_painting(network):.2f} s; {network.count_params():,} parameters")
    same = distances.nearest(*(faces.reshape(len(faces), -1).astype(np.float32) for faces in (painted[:32], learned)))[
        0
    ]
    beside = [face for trio in zip(painted, learned[closest], learned[same], strict=False) for face in trio]
    save_sheet(folder / "unselected.png", painted[:64])
    save_sheet(folder / "nearest.png", beside, columns=12)
    print(f"In {folder}: unselected.png; nearest.png, paintings beside the nearest photos by features and by pixels.")


# ---------------------------------------------------------------------------------------------------------- Demo


def draw_latents(seed: int, count: int, network: keras.Model) -> np.ndarray:
    """Latents (count, latent); of the same seed the first ones are the same, however many."""
    return np.random.default_rng(seed).standard_normal((count, network.input_shape[1]))


def paint(config: Paint) -> None:
    """Paint a sheet of new faces, or an animation that goes from face to face."""
    count = config.count if config.count is not None else 8 if config.interpolate else 64
    if config.interpolate:
        in_range("--count", count, 2, 100)
    path = output_path(config.output, APP, "morph.webp" if config.interpolate else "faces.png")
    if config.interpolate:
        Film(path)  # a wrong ending is refused before the work, not after it
    network, _ = load(config.model)
    latents = draw_latents(config.seed, count, network)
    began_s = time.perf_counter()
    faces = painter(network)(config.truncation * (tour(latents, 24) if config.interpolate else latents))
    took = f"painted in {time.perf_counter() - began_s:.1f} s"
    if config.interpolate:
        film_tour(path, faces)
        print(f"A morph through {count} faces, {len(faces):,} frames {took}: {path}")
    else:
        save_sheet(path, faces, columns=8 if count == 64 else int(np.ceil(np.sqrt(count))), scale=2)
        print(f"{count:,} faces of people who do not exist, {took}: {path}")
    print(
        f"Try next: python apps/{APP}.py --interpolate --seed {config.seed + 1}, or: python apps/{APP}.py train --quick"
    )


if __name__ == "__main__":
    cli.run(__doc__, paint, {"train": train, "evaluate": evaluate})
