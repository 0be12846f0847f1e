"""Data sets by their names in TensorFlow Datasets (TFDS), which downloads them, checks them and keeps them."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from shared.errors import UserError, suggest

NEEDS = ("tensorflow_datasets", "tensorflow", "importlib_resources")  # TFDS 4.9.10 forgets to declare the last
SPLITS = ("train", "validation", "test")


def _import_tfds(name: str) -> ModuleType:
    if not re.fullmatch(r"\w+(/[\w-]+)?(:[\d.*]+)?", name):
        raise UserError(f"There is no file or folder {name}; check its name.")
    missing = [package for package in NEEDS if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(
            f"There is no file or folder {name}; for the TFDS data set of that name, install what is missing: "
            f"pip install {' '.join(missing).replace('_datasets', '-datasets')}"
        )
    import tensorflow_datasets as tfds

    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns of every data set that is not downloaded yet
    return tfds


def prepared(name: str) -> Any:
    """The TFDS builder of that name, downloaded now unless it has been before; UserError if there is none."""
    tfds = _import_tfds(name)
    known = sorted(set(tfds.list_builders(with_community_datasets=False)))
    short = re.split("[/:]", name)[0]
    if short not in known:
        raise UserError(f"There is no file or folder {name}, and TFDS has no such data set.{suggest(short, known)}")
    try:
        builder = tfds.builder(name)
        if not builder.is_prepared():
            _check_online(builder)
            builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:  # TFDS raises many kinds, AssertionError among them
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"TFDS cannot prepare {name}: {reason.rstrip('.')}.") from error
    return builder


def _check_online(builder: Any) -> None:
    """Fail in seconds without a network; left alone, TFDS tries again for minutes."""
    import requests

    for url in list(builder.url_infos or ())[:1]:
        try:
            requests.head(url, timeout=10)
        except requests.RequestException as error:
            site = url.split("/")[2]
            raise UserError(
                f"{builder.name} is not on this computer yet and {site} cannot be reached to download it; "
                "connect to the network, or give a file or folder."
            ) from error


def feature(builder: Any, kind: str) -> str | None:
    """The name of the first feature of that kind (Image, ClassLabel, Text ...), if there is one."""
    import tensorflow_datasets as tfds

    wanted = getattr(tfds.features, kind)
    return next((key for key, feature in builder.info.features.items() if isinstance(feature, wanted)), None)


def needed(builder: Any, kind: str, what: str) -> str:
    """The same; UserError if there is none."""
    key = feature(builder, kind)
    if key is None:
        raise UserError(f"The TFDS data set {builder.name} has no {what}; choose another one.")
    return key


def examples(builder: Any, split: str, encoded: str | None = None) -> Iterator[dict[str, Any]]:
    """The examples of a split, in the order of their files; the photo of the name `encoded` as its file's bytes."""
    import tensorflow_datasets as tfds

    decoders = {encoded: tfds.decode.SkipDecoding()} if encoded else None
    return iter(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)))


def open_translations(name: str, split: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The languages of a TFDS set of translations, and its rows, each a sentence for every language.

    Raises:
        UserError: no such data set, or it has no translations or no such split.
    """
    builder = prepared(name)
    languages = tuple(getattr(builder.info.features, "languages", ()))
    if not languages:
        raise UserError(f"The TFDS data set {builder.name} has no translations; choose another one.")
    if split not in builder.info.splits:
        raise UserError(f"TFDS {name} has the splits {', '.join(builder.info.splits)}, not {split}.")
    rows = [{key: example[key].decode() for key in languages} for example in examples(builder, split)]
    return languages, rows
