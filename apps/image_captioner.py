"""A sentence for every photo: a network looks at the photo and writes what is going on.

    python apps/image_captioner.py                           captions the sample photos of scikit-image and Matplotlib
    python apps/image_captioner.py PHOTO FOLDER --attention  captions yours, and draws where it looked for each word
    python apps/image_captioner.py PHOTO --samples 5         writes other captions, at random
    python apps/image_captioner.py train --data flickr8k     learns from photos and captions; --quick takes minutes
    python apps/image_captioner.py evaluate --data flickr8k  recomputes the numbers of the model card

Method: attention to the cells of a photo while writing (Xu et al. 2015, "Show, attend and tell", arXiv:1502.03044), and
to names of what other networks recognise on it; a transformer (Vaswani et al. 2017, arXiv:1706.03762) on MobileNetV2
(Sandler et al. 2018, arXiv:1801.04381). The first stage trains the decoder on features that are computed once, the
second both. Captions come from a beam search; the epoch with the best CIDEr (Vedantam et al. 2015, arXiv:1411.5726)
is saved. Measured results, with hardware and time, are in saved_models/image_captioner/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.image_captioner.captions import CaptionedPhoto, read_captions, read_photos, save_captions
from apps.parts.image_captioner.measures import measured, naming_lines
from apps.parts.image_captioner.naming import read_names, read_sentences, words_to_say
from apps.parts.image_captioner.sheets import attention_sheet, caption_sheet
from apps.parts.image_captioner.training_data import Material, RowSizes, material_of, stored_features, training_batches
from shared import cli, saved_models, settings
from shared.console import JsonKeys, finish_batch, print_answers, print_each, say
from shared.data.batches import spread
from shared.data.digest import described_file, digest_of
from shared.data.photo_files import load_each, named_files, sample_photos
from shared.data.sizes import random_crop, resize
from shared.data.vocabulary import START, Words
from shared.decoding.captioner import Captioner, Seen, load_captioner
from shared.decoding.recognised import NAMES, TENTHS, Recogniser
from shared.drawing import pictures
from shared.errors import UserError
from shared.files import output_path
from shared.layers.mobilenet import freeze_lower_blocks, mobilenet
from shared.layers.transformer import BlockConfig, embed, packed_rows, token_table, transformer_block
from shared.settings import Precision, Range, Seed, Settings, Training
from shared.training import devices, fit_loop
from shared.training.losses import smoothed_cross_entropy
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "image_captioner"
PACKED = 72  # ids in the row of a photo's captions: Flickr8k's five have 59 on average
JSON_KEYS = JsonKeys("captions", "text", "score")


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Describe(Settings):
    """Write a caption for each photo, and save a sheet of photos and captions."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photo files, and folders of them; by default the sample photos of scikit-image and Matplotlib."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the sheet of photos and captions."""
    beams: Annotated[int, Range(1, 100)] = 3
    """Captions that the beam search follows at a time; 1 takes the likeliest word each time."""
    samples: Annotated[int, Range(0, 100)] = 0
    """Write this many random captions of each photo instead."""
    temperature: Annotated[float | None, Range(0.01, 100)] = None
    """Temperature of random captions, by default 0.7: higher is bolder. Given alone, it asks for one sample."""
    attention: bool = False
    """Also save, for each photo, a sheet that shows where the network looked for each word."""
    seed: Seed = 0
    """Seed of the random captions."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass
class Train(Training):
    """Learn to caption photos; the epoch with the best CIDEr is saved as RUN/model.keras."""

    QUICK: ClassVar = {"photos": 1500, "epochs": 8, "whole_epochs": 0, "held_out": 200}

    run: Path = Path("outputs/image_captioner/train")
    """Folder for the model, the metrics, the curve and the checkpoints; those of the second stage are in RUN/whole."""
    data: Path = Path("flickr8k")
    """A folder in Flickr8k's published form: photos, captions.txt, lists of the splits. TFDS has no such data set."""
    sentences: Path | None = None
    """A text with a sentence a line about other photos, which are not there: teaches to write about sure names."""
    names: Path | None = None
    """What ImageNet's classes are called and are kinds of, as JSON: {"n02123045": ["tabby", "cat", ...], ...}."""
    share: Annotated[float, Range(0, 10)] = 0.5
    """So many rows of such sentences for each photo's row."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Number of photos to learn from; 0 for all."""
    size: Annotated[int, Range(32, 1024)] = 192
    """Side of the photos that the network takes, in pixels."""
    epochs: Annotated[int, Range(1, 100_000)] = 9
    """Passes over the photos in the first stage, whose features are computed once."""
    whole_epochs: Annotated[int, Range(0, 2**31)] = 7
    """Passes in the second stage, which trains the encoder, too; 0 for none."""
    frozen_blocks: Annotated[int, Range(0, 16)] = 6
    """How many of MobileNetV2's 16 blocks stay frozen in the second stage."""
    batch: Annotated[int, Range(1, 100_000)] = 32
    """Photos in a batch, each with all its captions."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 1e-3
    """AdamW's learning rate in the first stage: after a warm-up it falls to zero along a cosine."""
    whole_rate: Annotated[float, Range(1e-9, 1)] = 1.5e-4
    """Learning rate of the second stage, with the same schedule."""
    units: Annotated[int, Range(1, 100_000)] = 256
    """Size of a word's vector."""
    layers: Annotated[int, Range(1, 100_000)] = 2
    """Blocks of the transformer."""
    heads: Annotated[int, Range(1, 100_000)] = 4
    """Heads of each attention layer."""
    hidden: Annotated[int, Range(1, 100_000)] = 512
    """Size between the two dense layers of a block."""
    longest: Annotated[int, Range(3, PACKED)] = 24
    """Most words of a caption, its end included."""
    least: Annotated[int, Range(1, 100_000)] = 5
    """How often a word must occur in the captions to be in the vocabulary."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.3
    """Share of the features, and of what each part of a block adds, that is left out in training."""
    smoothing: Annotated[float, Range(0, 0.9)] = 0.1
    """Label smoothing: the share of a target's probability that is spread over all words."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.05
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of a stage's steps over which the weights are averaged."""
    scale: Annotated[float, Range(0.01, 1)] = 0.7
    """Smallest share of a photo's area that a random crop keeps, in the second stage."""
    held_out: Annotated[int, Range(1, 100_000)] = 500
    """Number of photos of the validation split that choose the best epoch."""
    precision: Precision = "auto"
    """Precision of the transformer; the encoder is float32, which is its fastest on CPUs."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: BLEU, ROUGE-L and CIDEr-D, times 100, greedy and by beam search."""

    data: Path = Path("flickr8k")
    """A folder in Flickr8k's published form: photos, captions.txt, and lists of the splits."""
    split: str = "test"
    """Which split: train, validation, test or all."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    beams: Annotated[tuple[int, ...], Range(1, 100)] = (1, 3, 5)
    """Beam widths to measure; the captions of the second width, if there is one, are printed."""
    limit: Annotated[int, Range(0, 10_000_000)] = 0
    """Number of photos, the first ones of the split; 0 for all."""
    things: Path | None = None
    """Also count how often the thing is named on photos of one each, called by its WNID: n02123045_tabby.JPEG."""
    names: Path | None = None
    """What these things may be called, as for train."""
    shown: Annotated[int, Range(0, 10_000_000)] = 100
    """Number of captions to print, unselected: those of the first photos."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A JSON file for all captions."""


# ------------------------------------------------------------------------------------------------------- Network


def caption_network(words: int, config: Train, pretrained: bool, dtype: str = "float32") -> keras.Model:
    """[photo uint8 (batch, size, size, 3), names, ids as below] -> logits (batch, time, words) of the next."""
    import keras

    photo = keras.Input((config.size, config.size, 3), dtype="uint8", name="photo")
    names = keras.Input((NAMES, 2), dtype="int32", name="names")
    ids = keras.Input((None,), dtype="int32", name="ids")
    encoder = photo_encoder(config.size, pretrained)
    decoder = caption_decoder(words, encoder.output_shape[-1], config, dtype)
    return keras.Model([photo, names, ids], decoder([encoder(photo), names, ids]), name=APP)


def photo_encoder(size: int, pretrained: bool) -> keras.Model:
    """MobileNetV2 without its classifier: photo uint8 -> features (batch, cells, 1280), with ImageNet's weights."""
    import keras

    photo = keras.Input((size, size, 3), dtype="uint8", name="photo")
    features = mobilenet(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(photo), pretrained).output
    cells = keras.layers.Reshape((-1, features.shape[-1]))(features)
    return keras.Model(photo, cells, name="encoder")


def caption_decoder(words: int, features: int, config: Train, dtype: str = "float32") -> keras.Model:
    """[features (batch, cells, features), names (batch, NAMES, 2), ids (batch, time)] -> (batch, time, words)."""
    import keras
    from keras import layers, ops

    blocks = BlockConfig(config.units, config.heads, config.hidden, config.dropout, dtype)
    photo = keras.Input((None, features), dtype="float32", name="features")
    names = keras.Input((NAMES, 2), dtype="int32", name="names")  # ids of words, and tenths of a probability
    ids = keras.Input((None,), dtype="int32", name="ids")
    table = token_table(words, blocks)
    cells = layers.Dense(config.units, name="cells", dtype=dtype)(layers.Dropout(config.dropout, dtype=dtype)(photo))
    sure = layers.Dense(config.units, name="sure", dtype=dtype)(ops.one_hot(names[..., 1], TENTHS))
    named = layers.Rescaling(config.units**0.5, dtype=dtype)(table(names[..., 0]))  # (batch, NAMES, units)
    named = layers.LayerNormalization(name="named", dtype=dtype)(layers.Add(dtype=dtype)([named, sure]))
    cells = layers.LayerNormalization(name="norm_cells", dtype=dtype)(cells)
    memory = layers.Concatenate(axis=1, name="memory", dtype=dtype)([cells, named])  # (batch, cells + NAMES, units)
    # A row of ids holds all captions of a photo, one behind the other.
    mask, positions = packed_rows(ids, START, config.longest)
    x = embed(ids, positions, table, blocks)  # (batch, time, units)
    for n in range(config.layers):
        x = transformer_block(n, x, mask, blocks, memory)
    x = layers.LayerNormalization(name="norm", dtype=dtype)(x)
    return keras.Model([photo, names, ids], table(x, reverse=True), name="decoder")


# ---------------------------------------------------------------------------------------------------------- Data


def checked(config: Train) -> tuple[Train, list[CaptionedPhoto], list[CaptionedPhoto]]:
    """The settings to train with, the photos to learn from and those to validate with, not read yet; or a UserError."""
    config = settings.resumed(config)
    if config.units % config.heads:
        raise UserError(f"--units is {config.units}, and must be a multiple of --heads, {config.heads}.")
    training, validation = read_captions(config.data, "train", "validation")
    training = training[: config.photos or None]
    validation = [validation[n] for n in spread(len(validation), config.held_out)]
    if len(training) < config.batch:
        raise UserError(f"{config.data} has fewer photos than a batch of {config.batch}: lower --batch.")
    about = [f"{described_file(photo.path)} {photo.captions}" for photo in (*training, *validation)]
    about += map(repr, (*read_sentences(config.sentences), read_names(config.names)))
    return settings.begin(config, digest_of(about)), training, validation


# ------------------------------------------------------------------------------------------------------ Training


@dataclass
class CaptionTraining:
    """The two stages of the training, and the best score of both."""

    config: Train
    captioner: Captioner
    """The network that is validated and saved; each stage trains a copy, whose transformer has another precision."""
    precision: str
    material: Material
    best: float = float("-inf")

    def train_decoder(self) -> None:
        """The first stage: the encoder stays as it is, so that each photo and its mirror image are encoded once."""
        config, captioner = self.config, self.captioner
        features = stored_features(self.material.photos, captioner, config.run / "features.npy")
        validation_features = captioner.encode(self.material.validation_photos)
        decoder = caption_decoder(len(captioner.vocabulary), features.shape[-1], config, self.precision)
        decoder.set_weights(captioner.decoder.get_weights())

        def input_of(n: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
            return features[n, int(mirrored)].astype(np.float32)

        def encode() -> np.ndarray:
            captioner.decoder.set_weights(decoder.get_weights())
            return validation_features

        self._fit(decoder, input_of, encode, config.run, config.epochs, config.learning_rate)

    def train_all(self) -> None:
        """The second stage: from the best of the first, the encoder learns, too, from crops of the photos."""
        config, captioner = self.config, self.captioner
        saved_models.start_from(captioner.network, config.run)
        network = caption_network(len(captioner.vocabulary), config, pretrained=False, dtype=self.precision)
        network.set_weights(captioner.network.get_weights())
        freeze_lower_blocks(network.get_layer("encoder"), config.frozen_blocks)

        def input_of(n: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
            crop = random_crop(self.material.photos[n], config.scale, rng, mirror=False)
            return resize(crop[:, ::-1] if mirrored else crop, config.size, config.size)

        def encode() -> np.ndarray:
            captioner.network.set_weights(network.get_weights())
            return captioner.encode(self.material.validation_photos)

        self._fit(network, input_of, encode, config.run / "whole", config.whole_epochs, config.whole_rate)

    def _fit(self, network: Any, input_of: Callable, encode: Callable, folder: Path, epochs: int, rate: float) -> None:
        """Train a network; `encode` copies its weights to the captioner, and gives the validation photos' features."""
        config, material, captioner = self.config, self.material, self.captioner
        steps = len(material.photos) // config.batch
        optimizer = adamw(epochs * steps, rate, config.weight_decay, config.average)
        network.compile(optimizer, smoothed_cross_entropy(config.smoothing))

        def batches(epoch: int) -> Any:
            sizes = RowSizes(config.batch, round(config.batch * config.share), PACKED, config.longest)
            return training_batches(input_of, material, sizes, config.seed, epoch)

        def validate() -> float:
            seen = Seen(encode(), material.validation_names)
            captions = [best.single_words for best, *_ in captioner.write(seen, beams=1)]
            print("", *(" ".join(captions[n]) for n in spread(len(captions), 4)), sep="\n  ")
            return material.cider.mean(captions)

        def save_best(epoch: int, cider: float) -> None:
            if cider >= self.best:  # of both stages
                self.best = cider
                record = {"epoch": epoch, "cider": cider, **captioner.words_known}
                saved_models.save(captioner.network, config.run, asdict(config) | record)

        options: dict[str, Any] = {"epochs": epochs, "steps": steps, "metric": "cider", "resume": config.resume}
        self.best = max(self.best, fit_loop.fit(network, batches, validate, save_best, folder, **options))


def fit(config: Train, training: list[CaptionedPhoto], validation: list[CaptionedPhoto], precision: str) -> float:
    """Train in both stages, the transformer in this precision; returns the best CIDEr."""
    recogniser, sentences = Recogniser(), read_sentences(config.sentences)
    texts = [words for photo in training for words in photo.captions], sentences
    vocabulary, sayings, unfamiliar = words_to_say(*texts, recogniser, read_names(config.names), config.least)
    network = caption_network(len(vocabulary), config, pretrained=config.init is None)
    captioner = Captioner(network, vocabulary, sayings, recogniser=recogniser, unfamiliar=unfamiliar)
    if config.init:
        if load_captioner(config.init).vocabulary.words != vocabulary.words:
            raise UserError(f"{config.init} knows other words than {config.data} has: train without --init.")
        saved_models.start_from(network, config.init)
    material = material_of(captioner, training, validation, sentences, config.run / "shares.npy", config.batch)
    stages = CaptionTraining(config, captioner, precision, material)
    say(f"{len(material.photos)} photos to learn from, {len(vocabulary)} words; {network.count_params():,} parameters.")
    stages.train_decoder()
    if config.whole_epochs:
        stages.train_all()
    return stages.best


def train(config: Train) -> None:
    """Learn to caption photos; Ctrl-C saves, --resume goes on."""
    config, training, validation = checked(config)
    # The encoder is float32 in any case; only the transformer takes the device's precision.
    with devices.training(config) as device, devices.setup(None, "float32", config.replicas):
        best = fit(config, training, validation, device.precision)
    for name in ("features.npy", "shares.npy"):
        (config.run / name).unlink(missing_ok=True)
    print(f"Best CIDEr, greedy, on photos held out: {best:.1f}. The model and its curve are in {config.run}.")
    print(f"Try it on your photo: python apps/{APP}.py PHOTO --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and print captions that nobody selected."""
    found, training = read_captions(config.data, config.split, "train")
    known: set[Words] = {words for photo in training for words in photo.captions}
    path = output_path(config.output, APP, f"captions-{config.split}.json")
    captioner = load_captioner(config.model)
    photos, found = read_photos(found[: config.limit or None], captioner.size)
    print(f"{captioner.network.count_params():,} parameters; {len(found):,} photos of the {config.split} split")
    captions = {}
    for beams in config.beams:
        captions[beams], line = measured(captioner, photos, [photo.captions for photo in found], known, beams)
        print(line)
    save_captions(path, found, captions)
    shown = zip(found, captions[config.beams[min(1, len(config.beams) - 1)]], strict=True)
    for photo, caption in list(shown)[: config.shown]:
        print(f"{photo.path.stem}: {caption.text}")
    if config.things:
        files, things, _ = load_each(named_files([config.things]))
        print_each(naming_lines(files, captioner.write(captioner.look(things)), read_names(config.names)))
    print(f"All captions: {path}")


# ---------------------------------------------------------------------------------------------------------- Demo


def describe(config: Describe) -> None:
    """Caption photos, and draw a sheet of them."""
    path = pictures.picture_path(config.output, APP, "captions.png")
    files, photos, broken = load_each(named_files(config.photos) or sample_photos())
    captioner = load_captioner(config.model)
    seen = captioner.look(photos)
    if config.samples or config.temperature is not None:
        captions = captioner.sample(seen, config.samples or 1, config.temperature or 0.7, config.seed)
    else:
        captions = [found[:1] for found in captioner.write(seen, config.beams)]
    print_answers(files, [[(each.told, each.score) for each in found] for found in captions], JSON_KEYS, config.json)
    shown = [found[0].told for found in captions[: pictures.SHEET_PHOTOS]]
    pictures.save_photo_sheet(path, caption_sheet(photos[: len(shown)], shown), len(files))
    if config.attention:
        for n, (file, photo, (caption, *_)) in enumerate(zip(files, photos, captions, strict=True)):
            maps = captioner.attention(seen[n : n + 1], caption)
            sheet = output_path(path.parent, APP, f"{file.stem}-attention.png")
            pictures.save_image(sheet, attention_sheet(photo, caption.words, maps))
            say(f"Where it looked on {file.name}: {sheet}")
    next_step = f"python apps/{APP}.py YOUR_PHOTO.jpg --attention, or --samples 5 --temperature 1"
    finish_batch(broken, len(files) + len(broken), "cannot be read", next_step)


if __name__ == "__main__":
    cli.run(__doc__, describe, {"train": train, "evaluate": evaluate})
