"""Photos with the ImageNet class that their names tell: n02102040_springer.JPEG, or in a folder n02102040."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.data.datasets import open_images
from shared.data.images import image_files, iter_images, spread
from shared.errors import UserError


def labelled_photos(source: str | Path, most: int) -> Iterator[tuple[np.ndarray, str]]:
    """Up to `most` photos, uint8 (H, W, 3), spread evenly over a folder or a TFDS data set, each with its class.

    The class is the last WordNet identity (n02102040) in the file's path, or what TFDS calls it; "" if there is none.
    Broken files are skipped. Of a TFDS data set it is the validation split.

    Raises:
        UserError: nothing there, no pictures, or none that can be read.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        examples = open_images(source, "validation")
        chosen = set(spread(len(examples), most))
        yield from (
            (photo, "" if label is None else examples.classes[label])
            for n, (photo, label) in enumerate(examples)
            if n in chosen
        )
        return
    files = image_files(folder)
    if not files:
        raise UserError(f"{folder} has no pictures in it; give a folder of .jpg or .png files.")
    for path, photo in iter_images(files[n] for n in spread(len(files), most)):
        yield photo, (re.findall(r"n\d{8}", str(path.resolve())) or [""])[-1]
