"""Photos with the ImageNet class that is in their names: n02102040_springer.JPEG, or in a folder n02102040."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.data.batches import spread
from shared.data.datasets import open_images
from shared.data.photo_files import iter_images, named_files


def labelled_photos(source: str | Path, most: int) -> Iterator[tuple[np.ndarray, str]]:
    """Up to `most` photos, uint8 (H, W, 3), spread evenly over a folder or a TFDS data set, each with its class.

    The class is the last WordNet ID (n02102040) in the file's path, else the folder that it is in, one of a folder for
    each class, or the name that TFDS has for it; "" if there is none. Broken files are skipped. Of a TFDS data set, the
    photos are those of the validation split.

    Raises:
        UserError: nothing there, no photos, or none that can be read.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        examples = open_images(source, "validation")
        for photo, label in examples.evenly(most):
            yield photo, "" if label is None else examples.classes[label]
        return
    files = named_files([folder])
    for path, photo in iter_images(files[n] for n in spread(len(files), most)):
        parents = path.relative_to(folder).parts[:-1]
        yield photo, (re.findall(r"n\d{8}", str(path.resolve())) or parents or [""])[-1]
