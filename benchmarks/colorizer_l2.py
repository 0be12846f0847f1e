"""What choosing among bins of colour gains over the plain L2 U-Net that everybody writes first; at equal time and size.

    python benchmarks/colorizer_l2.py --ours outputs/colorizer/train --test imagenette --split validation

The peer is the app's own network with two outputs, a and b, and the mean squared error: same encoder, decoder, data,
crops, optimizer and averaging, trained for as many minutes as the record of OURS tells (metrics.jsonl): run this on the
machine that trained OURS. The pace is measured first, so that the cosine ends in time. Both colour photos through the
same guided filter and are measured by the same code. Without bins there is no temperature; vividness is 1 for both.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import colorizer as app
from apps.parts.colorizer import lab, lab_photos
from apps.parts.colorizer.guided_filter import PhotoColorizer
from apps.parts.colorizer.metrics import Table, load_comparison
from shared import cli, saved_models
from shared.console import say
from shared.data.datasets import ImageSet, open_images
from shared.data.photo_sets import open_train_splits
from shared.data.sizes import crop_square
from shared.drawing import pictures
from shared.errors import UserError
from shared.files import output_path
from shared.settings import Range, Settings
from shared.training.optimizers import adamw

SCALE = 50  # ab in one unit of the peer's outputs
SHOWN, TILE = 8, 192  # photos on the sheet, and their side in pixels


@dataclass
class Compare(Settings):
    """Train the plain L2 network as long as ours was, unless it is there already, and print the table."""

    ours: Path = Path("saved_models/colorizer")
    """The folder of a run of the app: its model, its settings, and how long it took."""
    l2: Path = Path("outputs/colorizer_l2")
    """Folder for the peer's run; a finished one is taken as it is."""
    data: str | None = None
    """What to train on; by default what config.json of OURS names."""
    minutes: Annotated[float | None, Range(0.01, 10_000)] = None
    """Of training; by default those in metrics.jsonl of OURS."""
    test: str = "imagenette/160px-v2"
    """Photos to measure on: a folder or a TFDS name."""
    split: str = "validation"
    """Which split of it: train, validation, test or all."""
    limit: Annotated[int, Range(1, 10_000_000)] = 1000
    """Photos at most, spread evenly."""
    classifier: str = "photo_classifier"
    """The classifier for the columns of features and answers."""
    output: Path | None = None
    """Where the sheet goes."""


class PlainL2:
    """Chroma as a regression."""

    first_logits = np.zeros(2)

    def loss(self, ab: Any, guess: Any) -> Any:
        """Of ab (batch, h, w, 2) and outputs in units of SCALE: per pixel, (batch, h, w)."""
        from keras import ops

        return ops.mean(ops.square(ab / SCALE - guess), -1)

    def chroma(self, guess: np.ndarray) -> np.ndarray:
        """ab float32 (..., 2) of the network's outputs."""
        return guess * np.float32(SCALE)

    def record(self) -> dict[str, Any]:
        """What config.json tells of it."""
        return {"method": "L2"}


def settings_of(config: Compare) -> tuple[app.Train, float]:
    """The settings that ours was trained with, and its minutes."""
    try:
        record = json.loads((config.ours / saved_models.CONFIG).read_text(encoding="utf-8"))
        lines = (config.ours / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        minutes = config.minutes or json.loads(lines[-1])["time_s"] / 60
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(
            f"{config.ours} is not the folder of a finished run ({error}): name one with --ours."
        ) from error
    names = {field.name for field in fields(app.Train)} - {"run", "init", "resume"}
    known = {name: value for name, value in record.items() if name in names}
    return replace(app.Train(**known), data=config.data or known["data"], run=config.l2), minutes


def epochs_in(minutes: float, config: app.Train, photos: np.ndarray) -> int:
    """How many passes the network makes in so many minutes here, one at least; measured over 30 steps."""
    import keras

    network = app.colour_network(PlainL2.first_logits, pretrained=False)
    network.compile(adamw(1000, config.learning_rate), PlainL2().loss)
    crops = {"batch": config.batch, "size": config.size, "scale": config.scale, "seed": config.seed}
    batches = lab_photos.batches(photos, 0, stride=app.STRIDE, **crops)
    ended_s: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: ended_s.append(time.perf_counter()))
    network.fit(batches, steps_per_epoch=80, callbacks=[clock], verbose=0)
    step_s = (ended_s[-1] - ended_s[49]) / (len(ended_s) - 50)  # the first ones compile, and wait for the first photos
    return max(round(60 * minutes / step_s / (len(photos) // config.batch)), 1)


def train_peer(config: Compare) -> None:
    """Train the L2 network into its folder."""
    from shared.training import devices

    training, minutes = settings_of(config)
    sources = open_train_splits(training.data)
    with devices.setup(training.seed, "float32") as device:
        say(f"Training the L2 network for {minutes:.0f} minutes on {device.description}.")
        photos, held_out = app.load_photos(training, sources)
        training = replace(training, epochs=epochs_in(minutes, training, photos))
        network = app.colour_network(PlainL2.first_logits, pretrained=not training.from_scratch)
        app.fit(training, photos, held_out, network, PlainL2())


def measure(
    config: Compare, photos: ImageSet, colorizers: dict[str, PhotoColorizer], centres: np.ndarray
) -> tuple[Table, list]:
    """The table over the photos in colour, and the first rows of a sheet."""
    table, rows = Table(centres, load_comparison(config.classifier), photos.classes), []
    every = max(min(config.limit, len(photos)) // SHOWN, 1)
    for n, (photo, label) in enumerate(photos.evenly(config.limit)):
        if lab.is_grey(photo):
            continue
        versions = {"grey": lab.in_one_colour(photo)} | {name: each(photo) for name, each in colorizers.items()}
        table.add(photo, versions, label)
        if n % every == 0 and len(rows) < SHOWN:
            rows.append([crop_square(version, TILE) for version in (*versions.values(), photo)])
    return table, rows


def compare(config: Compare) -> None:
    """Train the plain L2 network as long as ours was, unless it is there already, and print the table."""
    path = output_path(config.output, "colorizer_l2", "sheet.png")
    photos = open_images(config.test, config.split)
    ours, bins = app.load(app.Evaluate(model=config.ours))
    if not (config.l2 / saved_models.MODEL).is_file():
        train_peer(config)
    network, _ = saved_models.load(config.l2)
    if network.output_shape[-1] != len(PlainL2.first_logits):
        raise UserError(f"{config.l2} holds another network than the L2 one: name its folder with --l2.")
    peer = PhotoColorizer(network, PlainL2().chroma, app.RESOLUTION)
    table, rows = measure(config, photos, {"plain L2": peer, "ours": ours}, bins.centres)
    if not rows:
        raise UserError(f"{config.test} has no colour photos in its {config.split} split.")
    print(table)
    sheet = pictures.grid([tile for column in zip(*rows, strict=True) for tile in column], len(rows), 4)
    pictures.save_image(path, sheet)
    print(f"Grey, plain L2, ours and original, from above: {path}")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
