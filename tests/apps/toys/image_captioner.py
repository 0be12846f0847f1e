"""Flickr8k's form, with squares for photos, and a tiny encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import image_captioner
from shared.decoding import captioner
from tests.apps.toy import Toy
from tests.scenarios.image_captioner import tiny_encoder

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 220)}


class ColourRecogniser:
    """Sees a colour in the middle, in the place of two networks of 16 MB."""

    labels, wnids = tuple(COLOURS), ("n1", "n2", "n3")

    def shares(self, photos) -> np.ndarray:
        middles = np.array([picture[len(picture) // 2, picture.shape[1] // 2] for picture in photos], np.float32)
        nearness = -np.linalg.norm(middles[:, None] - np.array(list(COLOURS.values())), axis=-1) / 20
        powers = np.exp(nearness - nearness.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def photo(colour: str, large: bool, seed: int) -> np.ndarray:
    """A large or a small square of a colour on grey, uint8 (32, 40, 3)."""
    picture = np.full((32, 40, 3), 128.0) + np.random.default_rng(seed).normal(0, 4, (32, 40, 3))
    side = 24 if large else 8
    picture[16 - side // 2 : 16 + side // 2, 20 - side // 2 : 20 + side // 2] = COLOURS[colour]
    return picture.clip(0, 255).astype(np.uint8)


def save(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def told(colour: str, large: bool) -> list[str]:
    size = "large" if large else "small"
    return [
        f"A {size} {colour} square .",
        f"One {size} square , {colour} , on grey .",
        f'The "{colour}" square is {size}',
    ]


def album(folder: Path) -> list:
    """Squares with their captions, some of which are not as they should be."""
    rng = np.random.default_rng(0)
    lines, lists = ["image,caption"], {"train": [], "dev": [], "test": []}
    for n in range(64):
        name, colour, large = f"{n:02}.png", str(rng.choice(list(COLOURS))), bool(rng.integers(2))
        save(folder / "Images" / name, photo(colour, large, n))
        lines += [f'{name},"{text.replace(chr(34), chr(34) * 2)}"' for text in told(colour, large)]
        lists["train" if n < 40 else "dev" if n < 52 else "test"].append(name)
    (folder / "Images" / "39.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    lines += ["gone.png,It is not there .", "01.png, ."]
    (folder / "captions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, names in lists.items():
        (folder / f"Flickr_8k.{name}Images.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return ["--data", folder]


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(image_captioner, "photo_encoder", tiny_encoder)
    for module in (image_captioner, captioner):
        patch.setattr(module, "Recogniser", ColourRecogniser)


TOY = Toy(
    data=album,
    train="--size 32 --units 16 --heads 2 --hidden 32 --longest 10 --least 1 --batch 8 --dropout 0 "
    "--learning-rate 0.02 --average 0.1 --held-out 8 --precision float32 --epochs 12 --whole-epochs 2",
    demo="",
    output="captions.png",
    shrink=shrink,
)
