"""A sentence for every photo: a network looks at it and says what is going on.

    python apps/image_captioner.py                         captions the photos that come with the libraries used here
    python apps/image_captioner.py PHOTO FOLDER --attention    yours; and where it looked for each word
    python apps/image_captioner.py PHOTO --samples 5       other sentences, by chance
    python apps/image_captioner.py train --data flickr8k   learns from photos and captions; --quick for minutes
    python apps/image_captioner.py evaluate --data flickr8k    recomputes the numbers of the model card

Method: attention to cells of the photo while writing (Xu et al. 2015, "Show, attend and tell", arXiv:1502.03044), with
a transformer (Vaswani et al. 2017, arXiv:1706.03762) on MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381). First it
learns to write about ImageNet's features, which are computed once; then all of it learns, eyes included. The sentences
come from a beam search; the best network by CIDEr (Vedantam et al. 2015, arXiv:1411.5726), not by loss, is kept.
Measured results, with hardware and time, are in saved_models/image_captioner/README.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.image_captioner import metrics
from apps.parts.image_captioner.captions import Captioned, Lesson, View, lessons, read_captions, read_photos
from apps.parts.image_captioner.sheets import attention_sheet, caption_sheet
from shared import cli, saved_models, settings
from shared.console import JsonKeys, finish_batch, print_answers, say
from shared.data.images import load_each, named_files, random_crop, resize, sample_photos, spread
from shared.data.vocabulary import PAD, Vocabulary
from shared.decoding.captioner import Caption, Captioner
from shared.drawing import pictures
from shared.errors import UserError
from shared.files import output_path, write_atomically
from shared.layers.mobilenet import freeze, mobilenet
from shared.layers.transformer import caption_decoder
from shared.settings import Precision, Range, Seed, Settings, Training
from shared.training.optimizers import adamw
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras

APP = "image_captioner"
PACKED = 72  # ids in the row of a photo's captions: Flickr8k's five have 59 on average
LENGTH_WEIGHT = 0.7
JSON_KEYS = JsonKeys("captions", "text", "score")


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Describe(Settings):
    """Say what is on photos, and save a sheet of them with their captions."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Picture files, and folders of them; by default those that come with scikit-image and Matplotlib."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the sheet."""
    beams: Annotated[int, Range(1, 100)] = 3
    """Captions that the search follows at a time; 1 takes the likeliest word each time."""
    samples: Annotated[int, Range(0, 100)] = 0
    """Write so many captions by chance instead."""
    temperature: Annotated[float | None, Range(0.01, 100)] = None
    """Of chance: 1 is what was learned, higher is bolder; by default 0.7. Given alone, it asks for one sample."""
    attention: bool = False
    """Also save, for each photo, a sheet of where the network looked for each word."""
    seed: Seed = 0
    """Of chance."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass
class Train(Training):
    """Learn to caption photos; the best network by CIDEr is kept in RUN/model.keras."""

    QUICK: ClassVar = {"photos": 1500, "epochs": 8, "whole_epochs": 0, "held_out": 200}

    run: Path = Path("outputs/image_captioner/train")
    """Folder for the model, the metrics, the curve and the checkpoints; those of the second stage are in RUN/whole."""
    data: Path = Path("flickr8k")
    """A folder in Flickr8k's published form: photos, captions.txt, lists of the splits. TFDS has no such data set."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Learn from so many photos only; 0 for all."""
    size: Annotated[int, Range(32, 1024)] = 192
    """Side of the photos that the network takes, in pixels."""
    epochs: Annotated[int, Range(1, 100_000)] = 9
    """Passes over the photos in the first stage, whose features are computed once."""
    whole_epochs: Annotated[int, Range(0, 2**31)] = 7
    """Passes in the second stage, in which the eyes learn, too; 0 for none."""
    frozen_blocks: Annotated[int, Range(0, 16)] = 6
    """MobileNetV2's blocks, of 16, that stay as they are even then."""
    batch: Annotated[int, Range(1, 100_000)] = 32
    """Photos in a step, each with all its captions."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 1e-3
    """AdamW's step size after the warm-up, in the first stage; it falls to zero along a cosine."""
    whole_rate: Annotated[float, Range(1e-9, 1)] = 1.5e-4
    """The same in the second stage."""
    units: Annotated[int, Range(1, 100_000)] = 256
    """Size of a word's vector."""
    layers: Annotated[int, Range(1, 100_000)] = 2
    """Blocks of the transformer."""
    heads: Annotated[int, Range(1, 100_000)] = 4
    """Of each attention."""
    hidden: Annotated[int, Range(1, 100_000)] = 512
    """Size between the two dense layers of a block."""
    longest: Annotated[int, Range(3, PACKED)] = 24
    """Words of a caption, its end included."""
    least: Annotated[int, Range(1, 100_000)] = 5
    """How often a word must occur to be learned."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.3
    """Share of features, and of what each part of a block adds, left out in training."""
    smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    """Share of the probability that a word's target gives to all others."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.05
    """AdamW's, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of a stage over which the weights are averaged."""
    scale: Annotated[float, Range(0.01, 1)] = 0.7
    """The smallest share of a photo's area that a crop may have, in the second stage."""
    held_out: Annotated[int, Range(1, 100_000)] = 500
    """Photos of the validation split to choose the best epoch by."""
    precision: Precision = "auto"
    """Of the transformer; the eyes are float32, which is the fastest for them on CPUs."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: BLEU, ROUGE-L and CIDEr-D, times 100, greedy and by beam search."""

    data: Path = Path("flickr8k")
    """A folder in Flickr8k's published form: photos, captions.txt, and lists of the splits."""
    split: str = "test"
    """Which of its parts: train, validation, test or all."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    beams: Annotated[tuple[int, ...], Range(1, 100)] = (1, 3, 5)
    """Widths of the search to measure; the captions of the second one, if there is one, are shown."""
    limit: Annotated[int, Range(0, 10_000_000)] = 0
    """The first so many photos only; 0 for all."""
    shown: Annotated[int, Range(0, 10_000_000)] = 100
    """How many captions to print, unselected: of the first photos."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A JSON file for all captions."""


# ------------------------------------------------------------------------------------------------------- Network


def caption_network(words: int, config: Train, pretrained: bool, dtype: str = "float32") -> keras.Model:
    """[photo uint8 (batch, size, size, 3), ids int32 (batch, time)] -> logits (batch, time, words) of what follows."""
    import keras

    photo = keras.Input((config.size, config.size, 3), dtype="uint8", name="photo")
    ids = keras.Input((None,), dtype="int32", name="ids")
    eyes = encoder(config.size, pretrained)
    writer = decoder_for(words, eyes.output_shape[-1], config, dtype)
    return keras.Model([photo, ids], writer([eyes(photo), ids]), name=APP)


def decoder_for(words: int, features: int, config: Train, dtype: str = "float32") -> keras.Model:
    """The part that writes, [features, ids] -> logits."""
    sizes = {"size": config.units, "layers": config.layers, "heads": config.heads, "hidden": config.hidden}
    return caption_decoder(words, features, **sizes, longest=config.longest, dropout=config.dropout, dtype=dtype)


def encoder(size: int, pretrained: bool) -> keras.Model:
    """MobileNetV2 without its classifier: photo uint8 -> features (batch, cells, 1280), with ImageNet's weights."""
    import keras

    photo = keras.Input((size, size, 3), dtype="uint8", name="photo")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(photo)
    features = mobilenet(scaled, pretrained).output  # (batch, rows, columns, 1280)
    cells = keras.layers.Reshape((-1, features.shape[-1]))(features)
    return keras.Model(photo, cells, name="encoder")


def load(model: Path | None) -> Captioner:
    """A saved network, ready to be asked; UserError if it is not one of this app's."""
    network, record = saved_models.load_for(APP, model)
    known = record.get("vocabulary")
    if isinstance(known, list) and network.name == APP:
        vocabulary = Vocabulary(map(str, known))
        if network.output_shape[-1] == len(vocabulary):
            return Captioner(network, vocabulary)
    raise UserError(f"{model} is not a network that this app trained, with its vocabulary in config.json.")


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> tuple[Train, list[Captioned], list[Captioned]]:
    """The settings to train with, the photos to learn from and those to judge by, not read yet; or a UserError."""
    config = settings.resumed(config)
    if config.units % config.heads:
        raise UserError(f"--units is {config.units}, and must be a multiple of --heads, {config.heads}.")
    learned, held = read_captions(config.data, "train", "validation")
    learned, held = learned[: config.photos or None], [held[n] for n in spread(len(held), config.held_out)]
    if len(learned) < config.batch:
        raise UserError(f"{config.data} has fewer photos than a batch of {config.batch}: lower --batch.")
    return settings.begin(config), learned, held


def loss_with(smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross entropy with smoothed targets (Szegedy et al. 2015, arXiv:1512.00567), its mean over words, not padding."""

    def loss(following: Any, logits: Any) -> Any:  # (batch, time), (batch, time, words)
        from keras import ops

        logits, following = ops.cast(logits, "float32"), ops.cast(following, "int32")
        taught = ops.cast(following != PAD, "float32")
        entropy = ops.sparse_categorical_crossentropy(following, logits, from_logits=True)
        even = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
        return ((1 - smoothing) * entropy + smoothing * even) * taught / ops.mean(taught)

    return loss


@dataclass
class Course:
    """What both stages of the training share."""

    config: Train
    captioner: Captioner
    """The network that is judged and kept; a stage's learner is another one, with the same weights."""
    lessons: list[Lesson]
    cider: metrics.Cider
    """Of the photos held out."""
    best: float = float("-inf")
    """CIDEr so far."""

    def stage(
        self, learner: keras.Model, view: View, look: Callable[[], np.ndarray], folder: Path, epochs: int, rate: float
    ) -> float:
        """Train `learner` on views; `look` copies it to the captioner and gives features to judge by. Gives CIDEr."""
        from shared.training import fit_loop

        config, steps = self.config, len(self.lessons) // self.config.batch
        optimizer = adamw(epochs * steps, rate, config.weight_decay, config.average)
        learner.compile(optimizer, loss_with(config.smoothing))

        def batches(epoch: int) -> Any:
            rows = {"batch": config.batch, "length": PACKED, "longest": config.longest, "seed": config.seed}
            return lessons(view, self.lessons, **rows, epoch=epoch)

        def validate() -> float:
            captions = [best.words for best, *_ in self.captioner.write(look(), beams=1)]
            print("", *(" ".join(captions[n]) for n in spread(len(captions), 4)), sep="\n  ")
            return self.cider.mean(captions)

        def save_best(epoch: int, cider: float) -> None:
            if cider >= self.best:
                self.best = cider
                record = {"epoch": epoch, "cider": cider, "vocabulary": self.captioner.vocabulary.known}
                saved_models.save(self.captioner.network, config.run, asdict(config) | record)

        course = {"epochs": epochs, "steps": steps, "metric": "cider", "resume": config.resume}
        self.best = max(self.best, fit_loop.fit(learner, batches, validate, save_best, folder, **course))
        return self.best


def fit(
    config: Train, vocabulary: Vocabulary, learned: Sequence[Captioned], held: Sequence[Captioned], kind: str
) -> float:
    """The training itself, with the transformer in precision `kind`; returns the best CIDEr."""
    photos, learned = read_photos(learned, config.size)
    judged, held = read_photos(held, config.size)
    captioner = Captioner(caption_network(len(vocabulary), config, pretrained=config.init is None), vocabulary)
    if config.init:
        if load(config.init).vocabulary.known != vocabulary.known:
            raise UserError(f"{config.init} knows other words than {config.data} has: train without --init.")
        saved_models.start_from(captioner.network, config.init)
    taught = [Lesson.of(photo.captions, vocabulary) for photo in learned]
    course = Course(config, captioner, taught, metrics.Cider([photo.captions for photo in held]))
    say(
        f"{len(learned):,} photos to learn from, {len(vocabulary):,} words; "
        f"{captioner.network.count_params():,} parameters, {captioner.decoder.count_params():,} of them to write."
    )
    best = write_about_features(course, photos, judged, kind)
    return look_and_write(course, photos, judged, kind) if config.whole_epochs else best


def write_about_features(course: Course, photos: np.ndarray, judged: np.ndarray, kind: str) -> float:
    """The first stage: the eyes stay as they are, so that they look at each photo, and at its mirror image, once."""
    config, captioner = course.config, course.captioner
    features, seen = features_of(photos, captioner, config.run / "features.npy"), captioner.look(judged)
    learner = decoder_for(len(captioner.vocabulary), features.shape[-1], config, kind)
    learner.set_weights(captioner.decoder.get_weights())

    def view(n: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
        return features[n, int(mirrored)].astype(np.float32)

    def look() -> np.ndarray:
        captioner.decoder.set_weights(learner.get_weights())
        return seen

    return course.stage(learner, view, look, config.run, config.epochs, config.learning_rate)


def look_and_write(course: Course, photos: np.ndarray, judged: np.ndarray, kind: str) -> float:
    """The second stage: from the best of the first, all of the network learns, from crops of the photos."""
    config, captioner = course.config, course.captioner
    saved_models.start_from(captioner.network, config.run)
    learner = caption_network(len(captioner.vocabulary), config, pretrained=False, dtype=kind)
    learner.set_weights(captioner.network.get_weights())
    freeze(learner.get_layer("encoder"), config.frozen_blocks)

    def view(n: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
        crop = random_crop(photos[n], config.scale, rng, mirror=False)
        return resize(crop[:, ::-1] if mirrored else crop, config.size, config.size)

    def look() -> np.ndarray:
        captioner.network.set_weights(learner.get_weights())
        return captioner.look(judged)

    return course.stage(learner, view, look, config.run / "whole", config.whole_epochs, config.whole_rate)


def features_of(photos: np.ndarray, captioner: Captioner, file: Path) -> np.ndarray:
    """Of each photo and its mirror image, float16 (photos, 2, cells, features), computed once and kept in a file."""
    shape = len(photos), 2, *captioner.encoder.output_shape[1:]
    if file.is_file() and (features := np.load(file, mmap_mode="r", allow_pickle=False)).shape == shape:
        return features
    say(f"Looking at {len(photos):,} photos and their mirror images ...")
    with write_atomically(file) as temporary:
        features = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
        for start in range(0, len(photos), 500):
            part = photos[start : start + 500]
            features[start : start + 500, 0] = captioner.look(part)
            features[start : start + 500, 1] = captioner.look(part[:, :, ::-1])
            say(f"{start + len(part):,} of {len(photos):,} photos")
        features.flush()
    return np.load(file, mmap_mode="r", allow_pickle=False)


def train(config: Train) -> None:
    """Learn to caption photos; Ctrl-C saves, --resume goes on."""
    config, learned, held = checked(config)
    vocabulary = Vocabulary.of((words for photo in learned for words in photo.captions), config.least)
    import_keras()
    from shared.training import devices

    with devices.setup(config.seed, config.precision) as device, devices.setup(None, "float32"):  # but the transformer
        say(f"Training on {device.description}.")
        best = fit(config, vocabulary, learned, held, device.precision)
    (config.run / "features.npy").unlink(missing_ok=True)
    print(f"Best CIDEr, greedy, on photos held out: {best:.1f}. The model and its curve are in {config.run}.")
    print(f"Let it describe yours: python apps/{APP}.py PHOTO --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and print captions that nobody selected."""
    found, learned = read_captions(config.data, config.split, "train")
    found, known = found[: config.limit or None], {words for photo in learned for words in photo.captions}
    path, captioner = output_path(config.output, APP, f"captions-{config.split}.json"), load(config.model)
    photos, found = read_photos(found, captioner.size)
    print(f"{captioner.network.count_params():,} parameters; {len(found):,} photos of the {config.split} split")
    written, references = {}, [photo.captions for photo in found]
    for beams in config.beams:
        pace, captions = measured(captioner, photos, beams)
        words = [caption.words for caption in captions]
        written[beams] = captions
        shares = {"distinct": len(set(words)) / len(words), "copied": np.mean([each in known for each in words])}
        numbers = " ".join(f"{name} {value:.2f}," for name, value in metrics.evaluate(words, references).items())
        print(
            f"beams {beams}: {numbers} {shares['distinct']:.1%} distinct, {shares['copied']:.1%} as in training, ",
            end="",
        )
        print(f"{np.mean([len(each) for each in words]):.1f} words, {pace:.1f} captions/s")
    save_captions(path, found, written)
    shown = written[config.beams[min(1, len(config.beams) - 1)]]
    for photo, caption in list(zip(found, shown, strict=True))[: config.shown]:
        print(f"{photo.path.stem}: {caption.text}")
    print(f"All captions: {path}")


def measured(captioner: Captioner, photos: np.ndarray, beams: int) -> tuple[float, list[Caption]]:
    """Captions a second, from pixels, once compiled; and the captions."""
    captioner.write(captioner.look(photos[: captioner.batch]), beams, LENGTH_WEIGHT)  # compiles
    began_s = time.perf_counter()
    captions = [best for best, *_ in captioner.write(captioner.look(photos), beams, LENGTH_WEIGHT)]
    return len(photos) / (time.perf_counter() - began_s), captions


def save_captions(path: Path, found: Sequence[Captioned], written: dict[int, list[Caption]]) -> None:
    """Write all captions of all searches, with what people said, as JSON."""
    rows = [
        {
            "photo": photo.path.name,
            "captions": {f"beams {beams}": captions[n].text for beams, captions in written.items()},
            "references": [" ".join(words) for words in photo.captions],
        }
        for n, photo in enumerate(found)
    ]
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------- Demo


def describe(config: Describe) -> None:
    """Say what is on photos, and draw a sheet."""
    heat = 0.7 if config.temperature is None else config.temperature
    path = output_path(config.output, APP, "captions.png")
    files, photos, broken = load_each(named_files(config.photos) or sample_photos())
    captioner = load(config.model)
    seen = captioner.look(np.stack([captioner.squeezed(photo) for photo in photos]))
    if config.samples or config.temperature is not None:
        captions = captioner.draw(seen, config.samples or 1, heat, config.seed)
    else:
        captions = [found[:1] for found in captioner.write(seen, config.beams, LENGTH_WEIGHT)]
    # a caption's score is the probability of a word, on average
    print_answers(files, [[(each.text, each.score) for each in found] for found in captions], JSON_KEYS, config.json)
    texts = [found[0].text for found in captions]
    pictures.save_photo_sheet(
        path, caption_sheet(photos[: pictures.SHEET_PHOTOS], texts[: pictures.SHEET_PHOTOS]), len(files)
    )
    if config.attention:
        save_attention(path, captioner, files, photos, seen, captions)
    next_step = f"python apps/{APP}.py YOUR_PHOTO.jpg --attention, or --samples 5 --temperature 1"
    finish_batch(broken, len(files) + len(broken), "cannot be read", next_step)


def save_attention(
    path: Path,
    captioner: Captioner,
    files: Sequence[Path],
    photos: Sequence[np.ndarray],
    seen: np.ndarray,
    captions: Any,
) -> None:
    """A sheet for each photo, beside `path`: where the network looked for each word of the first caption."""
    for file, photo, features, (caption, *_) in zip(files, photos, seen, captions, strict=True):
        sheet = output_path(path.parent, APP, f"{file.stem}-attention.png")
        pictures.save_image(sheet, attention_sheet(photo, caption.words, captioner.attention(features, caption)))
        say(f"Where it looked on {file.name}: {sheet}")


if __name__ == "__main__":
    cli.run(__doc__, describe, {"train": train, "evaluate": evaluate})
