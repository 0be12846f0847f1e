"""Whatever reads a file that somebody may have broken: `READERS` parse one, `DEMOS` are whole apps.

A new app adds itself with a line in DEMOS, and each new kind of file with one in READERS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from shared import saved_models, settings
from shared.data.datasets import open_images
from shared.data.images import exif_of_upright, load_image
from shared.data.text import open_text

# ------------------------------------------------------------------------------------------------------- Good files

GREETINGS = "Grüße,\r\nनमस्ते, สวัสดี, 你好, שלום \N{CAT}"


def picture(rng: np.random.Generator, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture with some noise, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + n) + np.cos(y / (5 + n)) for n in range(3)], -1)
    return (127 + 50 * waves + rng.normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)


def photos(folder: Path, height: int = 48, width: int = 64) -> list[Path]:
    """A photo in each form that is read: formats, modes, metadata, several frames."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(picture(rng, height, width))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    saved = {
        "plain.jpg": (rgb, {}),
        "progressive.jpg": (rgb, {"progressive": True, "exif": exif.tobytes()}),
        "profile.jpg": (rgb, {"icc_profile": profile, "exif": exif.tobytes()}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "grey.jpg": (rgb.convert("L"), {}),
        "plain.png": (rgb, {}),
        "palette.png": (rgb.quantize(16), {"transparency": 3}),
        "alpha.png": (rgb.convert("RGBA"), {"icc_profile": profile}),
        "deep.png": (deep, {}),
        "exif.png": (rgb, {"exif": exif.tobytes()}),
        "moving.png": (rgb, {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "plain.webp": (rgb, {"exif": exif.tobytes(), "icc_profile": profile}),
        "exact.webp": (rgb.convert("RGBA"), {"lossless": True}),
        "plain.tif": (rgb, {}),
        "packed.tif": (rgb, {"compression": "tiff_lzw", "exif": exif.tobytes()}),
        "deep.tif": (deep, {"compression": "tiff_deflate"}),
        "cmyk.tif": (rgb.convert("CMYK"), {"compression": "packbits"}),
        "plain.gif": (rgb, {}),
        "moving.gif": (rgb, {"save_all": True, "append_images": [rgb.rotate(180)], "duration": 50}),
        "plain.bmp": (rgb, {}),
        "plain.ppm": (rgb, {}),
    }
    return [_saved(image, folder / name, options) for name, (image, options) in saved.items()]


def films(folder: Path) -> list[Path]:
    """Short films in three containers, one of them with sound."""
    import wave

    from shared.data.video import join
    from shared.drawing.video import VideoFile

    with wave.open(str(folder / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    paths = [folder / name for name in ("plain.webm", "plain.mp4", "plain.mkv")]
    for path in paths:
        with VideoFile(path, 15) as film:
            for n in range(8):
                film.add(picture(np.random.default_rng(n), 60, 80))
    join(paths[0], folder / "sound.wav", folder / "sounding.webm")
    (folder / "sound.wav").unlink()
    return [*paths, folder / "sounding.webm"]


def square_photos(folder: Path) -> list[Path]:
    """The same as squares of the side that the classifier takes, so that fgsm compiles one size only."""
    return photos(folder, 160, 160)


def _saved(image: Image.Image, path: Path, options: dict[str, Any]) -> Path:
    image.save(path, **options)
    return path


def texts(folder: Path) -> list[Path]:
    """Texts of several alphabets and kinds of line ends."""
    contents = {"english.txt": "To be, or not to be:\nthat is the question.\n" * 8}
    contents["words.txt"] = f"{GREETINGS}\r\n" * 4
    for name, text in contents.items():
        (folder / name).write_bytes(text.encode())
    return [folder / name for name in contents]


def model(folder: Path) -> list[Path]:
    """A saved model that several apps refuse, and that Keras loads."""
    keras = saved_models.import_keras()
    photo = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(photo)
    network = keras.Model(photo, keras.layers.Dense(3)(keras.layers.Flatten()(x)), name="photo_classifier")
    saved_models.save(network, folder, {"labels": ["a", "b", "c"], "wnids": [], "epoch": 3})
    return [folder / "model.keras", folder / "config.json"]


def album(folder: Path) -> list[Path]:
    """Photos with captions and the lists of their splits."""
    rng = np.random.default_rng(0)
    lines, names = ["image,caption"], [f"{n}.png" for n in range(6)]
    for name in names:
        _saved(Image.fromarray(picture(rng, 8, 8)), folder / name, {})
        lines += [f'{name},"A ""small"" picture, of waves ."', f"{name},Waves ."]
    (folder / "captions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    splits = {"train": names[:3], "dev": names[3:5], "test": names[5:]}
    for split, some in splits.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(some) + "\n", encoding="utf-8")
    return [folder / "captions.txt", folder / "captions.txt", *folder.glob("Flickr_8k.*")]


def run(folder: Path) -> list[Path]:
    """The record of a run that could be resumed, with its checkpoint and its metrics."""
    from apps.char_rnn import Train
    from shared.training.checkpoints import Checkpoints

    folder.joinpath("run.json").write_text(json.dumps(asdict(Train()), default=str), encoding="utf-8")
    saved = Checkpoints(folder / "checkpoints", _owners()).save(3, {"best": 0.5})
    lines = [{"step": n, "time_s": n / 2, "loss": 1 / (n + 1)} for n in range(8)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return [folder / "run.json", saved / "state.json", saved / "arrays.npz", folder / "metrics.jsonl"]


def _owners() -> dict[str, Any]:
    """What a checkpoint restores."""
    keras = saved_models.import_keras()
    dense = keras.layers.Dense(2, name="dense")
    dense.build((None, 3))
    return {"model": dense}


# ----------------------------------------------------------------------------------------------------------- Readers


@dataclass(frozen=True)
class Reader:
    """Something that reads files."""

    good: Callable[[Path], Sequence[Path]]
    """Writes good files into an empty folder, and gives those that are to be changed, one at a time."""
    read: Callable[[Path], Any]
    """Reads the changed one, whose name is that of the good one; a UserError is an answer, too."""
    share: int
    """How often it has its turn, compared with the others."""


def _caption_files(file: Path) -> Any:
    from apps.parts.image_captioner.captions import read_captions

    return read_captions(file.parent, "all")


def _any_images(file: Path) -> Any:
    return [photo.shape for photo, _ in open_images(file.parent, "all")]


def _saved_model(file: Path) -> Any:
    return saved_models.load(file.parent)


def _run_files(file: Path) -> Any:
    """As a resumed training does: settings, checkpoint, metrics."""
    from apps.char_rnn import Train
    from shared.training.best import BestKeeper
    from shared.training.checkpoints import Checkpoints
    from shared.training.run_log import RunLog

    folder = next(parent for parent in file.parents if (parent / "run.json").exists())
    config = settings.resumed(Train(run=folder, resume=True))
    assert isinstance(config.epochs, int)
    best = BestKeeper(Checkpoints(folder / "checkpoints", _owners()), lambda: 0.4, print, "val_loss", resume=True)
    with RunLog(folder, 10, resume_step=best.resumed_step) as log:
        best.measure(9, {"loss": 0.1}, lambda **metrics: log.log(9, **metrics))


READERS: dict[str, Reader] = {
    "photos": Reader(photos, load_image, 50),
    "Exif of photos": Reader(photos, exif_of_upright, 10),
    "texts": Reader(texts, open_text, 15),
    "captions and lists": Reader(album, _caption_files, 10),
    "folders of photos": Reader(album, _any_images, 5),
    "models": Reader(model, _saved_model, 5),
    "runs": Reader(run, _run_files, 5),
}
"""By what a person calls them."""


# ------------------------------------------------------------------------------------------------------- Whole demos


@dataclass(frozen=True)
class Demo:
    """An app's demo, from its words to its files."""

    good: Callable[[Path], Sequence[Path]]
    """As in Reader."""
    words: Callable[[Path], Sequence[object]]
    """What follows `python apps/NAME.py` for a changed file; results go to the current folder."""
    once: tuple[str, ...] = ()
    """Functions of the app that load a model, which is loaded and compiled once for all inputs that name none."""
    short: Callable[[Any], dict[str, Any]] = lambda app: {}
    """What is to be in the place of an attribute of the app, so that an answer does not take long."""


def _prompt(file: Path) -> Sequence[object]:
    return "--prompt", file.read_bytes().decode("utf-8", "surrogateescape"), "--length", 20


def _shipped(name: str) -> Callable[[Path], Sequence[Path]]:
    """A shipped model, to be changed."""

    def good(folder: Path) -> Sequence[Path]:
        source = saved_models.MODELS / name
        for file in ("model.keras", "config.json"):
            (folder / file).write_bytes((source / file).read_bytes())
        return folder / "model.keras", folder / "config.json"

    return good


def _one_attacker(app: Any) -> dict[str, Any]:
    """fgsm's attacks compiled once for each size of photos."""
    classifier = app.find_classifier(app.UNDEFENDED, 1, app.TRAINED_BY)
    classifier.attacker_at = cache(classifier.attacker_at)
    return {"find_classifier": lambda *given: classifier}


def tables(folder: Path) -> list[Path]:
    """Tables in some of the forms that people have."""
    rows = [f"{n % 7}.5,{n * n % 11},{'ab'[n % 2]}" for n in range(40)]
    head = "x,y,kind\n"
    forms = {
        "plain.csv": ("\n".join(rows), "utf-8"),
        "head.csv": (head + "\r\n".join(rows), "utf-16"),
        "comma.csv": ("\n".join(row.replace(",", ";").replace(".", ",") for row in rows), "cp1252"),
    }
    for name, (text, encoding) in forms.items():
        (folder / name).write_bytes(text.encode(encoding))
    return [folder / name for name in forms]


DEMOS: dict[str, Demo] = {
    "first_networks": Demo(
        tables, lambda file: ["--task", file, "--layers", 2, "--updates", 3, "--seeds", 2, "-o", "result.png"]
    ),
    "tables": Demo(tables, lambda file: [file, "--members", 1, "--epochs", 2, "--units", 2]),
    "translator": Demo(texts, lambda file: ["--file", file, "--to", "de", "--beams", 1], ("load",)),
    "handwriting": Demo(texts, lambda file: ["--file", file, "--hands", 1], ("load",)),
    "colorizer": Demo(photos, lambda file: [file, "--compare"], ("load",)),
    "digits": Demo(photos, lambda file: [file], ("load",)),
    "detector": Demo(photos, lambda file: [file, "--json"], ("load",)),
    "explain": Demo(square_photos, lambda file: [file, "--why", "cup"], ("network_of", "Asked")),
    "silent_film": Demo(films, lambda file: [file, "-o", "result.wav"], ("load",)),
    "photo_classifier": Demo(photos, lambda file: [file, "--json"], ("find_classifier",)),
    "image_captioner": Demo(photos, lambda file: [file, "--attention"], ("load_captioner",)),
    "fgsm": Demo(square_photos, lambda file: [file], short=_one_attacker),
    "char_rnn": Demo(texts, _prompt, ("load", "Writer")),
    "gan_faces": Demo(_shipped("gan_faces"), lambda file: ["--model", file.parent, "--count", 4]),
    "dqn_breakout": Demo(
        _shipped("dqn_breakout"),
        lambda file: ["--model", file.parent, "--episodes", 1],
        short=lambda app: {"record_game": partial(app.record_game, max_steps=60)},
    ),
}
"""By the app's name."""
