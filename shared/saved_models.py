"""Shipped models: save a trained model small and portable, load one that anybody may have made.

A saved model is a folder with model.keras (plain `keras.saving.load_model` reads it) and config.json (how it was
trained). In the file the matrices are float16, half the size; loading gives float32 again.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import layers
from shared.console import held_stderr
from shared.errors import UserError, suggest
from shared.files import write_atomically
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import h5py
    import keras

MODELS = Path(__file__).resolve().parents[1] / "saved_models"
MODEL, CONFIG = "model.keras", "config.json"
OWN_PACKAGE = "keras_arcade"  # under which shared/layers registers its layers

_ARCHITECTURE, _WEIGHTS = "config.json", "model.weights.h5"  # inside the .keras archive
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, ValueError)
_MAX_BYTES = 2 << 30  # an archive that unpacks to more than 2 GiB is no model of this size class


# ----------------------------------------------------------------------------------------------------- Save


def save(model: keras.Model, folder: str | os.PathLike[str], config: Mapping[str, Any], float16: bool = True) -> Path:
    """Write `model` to folder/model.keras and `config` to folder/config.json; both appear complete or not at all.

    Only what inference needs is kept: no optimizer, no compiled loss, and a float32 policy even where training was in
    mixed precision. With `float16`, weights of two or more dimensions are rounded to float16 (relative error 2^-11);
    vectors (biases, BatchNorm statistics), integers and values beyond float16's range keep their type.

    Args:
        model: a functional or Sequential model; built-in layers only, so that everyone can load it.
        config: what to record; values that JSON does not know are written as their `str`.

    Returns:
        The path of model.keras.
    """
    keras = import_keras()
    single = isinstance(model, keras.Sequential)  # which alone does not tell its ends' structure
    ends = (model.inputs[0], model.outputs[0]) if single else (model.input, model.output)
    inference = keras.Model(*ends, name=model.name)  # model.save(include_optimizer=False) would keep the optimizer
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps(dict(config), indent=2, default=str) + "\n"
    with (
        tempfile.TemporaryDirectory() as scratch,
        write_atomically(folder / MODEL) as packed,
        write_atomically(folder / CONFIG) as recorded,
    ):
        full = Path(scratch) / MODEL
        inference.save(full)
        _pack(full, packed, float16)
        recorded.write_text(record, encoding="utf-8")
    return folder / MODEL


def _pack(source: Path, target: Path, float16: bool) -> None:
    with zipfile.ZipFile(source) as full, zipfile.ZipFile(target, "w") as packed:
        for name in full.namelist():
            content = full.read(name)
            if name == _ARCHITECTURE:
                content = _without_mixed_precision(content)
            elif name == _WEIGHTS and float16:
                content = _halve(content)
            # Deflate makes a large architecture 40 times smaller; weights it would only make slow to read.
            packed.writestr(name, content, zipfile.ZIP_STORED if name == _WEIGHTS else zipfile.ZIP_DEFLATED)


def _without_mixed_precision(architecture: bytes) -> bytes:
    """mixed_bfloat16 suits the machine that trained: its variables are float32, and on most CPUs it is slow."""
    config = json.loads(architecture)
    for node in _nodes(config):
        if node.get("class_name") == "DTypePolicy" and node["config"]["name"].startswith("mixed_"):
            node["config"]["name"] = "float32"
    return json.dumps(config).encode()


def _halve(weights: bytes) -> bytes:
    """The same HDF5 file with float16 matrices (written anew: HDF5 keeps the space of what is replaced)."""
    import h5py

    halved = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(halved, "w") as target:
        target.attrs.update(source.attrs)
        source.visititems(lambda name, item: _copy_item(name, item, target))
    return halved.getvalue()


def _copy_item(name: str, item: h5py.Group | h5py.Dataset, target: h5py.File) -> None:
    import numpy as np

    if not hasattr(item, "dtype"):
        copy = target.require_group(name)
    else:
        value = item[()]
        if value.dtype == np.float32 and value.ndim >= 2 and np.abs(value).max(initial=0) <= np.finfo(np.float16).max:
            value = value.astype(np.float16)
        copy = target.create_dataset(name, data=value)
    copy.attrs.update(item.attrs)


# ----------------------------------------------------------------------------------------------------- Load


def load(path_or_name: str | os.PathLike[str]) -> tuple[keras.Model, dict[str, Any]]:
    """Load a model and its config, trusting neither: safe mode on, no pickles, no code from the file.

    Args:
        path_or_name: a name in saved_models, a folder made by `save`, or a .keras file. For a bare file the config is
            the config.json beside a model.keras if there is one, else {}.

    Raises:
        UserError: with one sentence, for everything that can be wrong with the file.
    """
    file = _find(path_or_name)
    _check(file)
    config = _read_config(file, required=Path(path_or_name).expanduser() != file)
    keras = import_keras()
    _import_own_layers(file)
    with held_stderr():
        try:
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises a dozen types on a damaged file
            raise UserError(_explain(file, error)) from error
    if not isinstance(model, keras.Model) or not model.built:
        raise UserError(f"{file} has no input of a known shape: call the model on some data, and save it again.")
    return model, config


def folder_of(path_or_name: str | os.PathLike[str]) -> Path:
    """The folder of a model that `load` would load, for what an app keeps beside it; UserError if there is none."""
    return _find(path_or_name).parent


def is_shipped(name: str) -> bool:
    """Whether a model of that name is in saved_models."""
    return (MODELS / name / MODEL).is_file()


def load_for(app: str, model: Path | None) -> tuple[keras.Model, dict[str, Any]]:
    """Load the model that a user named or, of None, the app's own; UserError if that is not shipped."""
    if model is None and not is_shipped(app):
        raise UserError(f"there is no model in saved_models yet: train one with `python apps/{app}.py train`.")
    return load(model or MODELS / app)


def _find(path_or_name: str | os.PathLike[str]) -> Path:
    path = Path(path_or_name).expanduser()
    if len(path.parts) == 1 and is_shipped(path.name):
        return MODELS / path / MODEL
    if path.is_dir():
        if not (path / MODEL).is_file():
            raise UserError(f"{path} holds no {MODEL}: name a folder that does, or a .keras file.")
        return path / MODEL
    if not path.is_file():
        names = sorted(folder.name for folder in MODELS.glob("*/") if (folder / MODEL).is_file())
        shipped = f" Shipped models: {', '.join(names)}." if names else ""
        raise UserError(f"there is no model {path}.{suggest(path.name, names) or shipped}")
    return path


def _check(file: Path) -> None:
    """Refuse, from the archive's own table of contents, what should never reach Keras."""
    with file.open("rb") as stream:
        hdf5 = stream.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
    if hdf5 or file.suffix.lower() in (".h5", ".hdf5"):
        raise UserError(f"{file} is in the old HDF5 format, which can run code when loaded: save it again as .keras.")
    if file.suffix != ".keras":
        raise UserError(f"{file} is no Keras model: the name must end in .keras.")
    try:
        with zipfile.ZipFile(file) as archive:
            _check_contents(file, archive)
    except _DAMAGE as error:
        raise UserError(f"{file} is damaged or incomplete: fetch or save it again.") from error


def _import_own_layers(file: Path) -> None:
    """Import the layers of shared/layers, if the model has any: Keras knows them by then."""
    with zipfile.ZipFile(file) as archive:
        if OWN_PACKAGE.encode() in archive.read(_ARCHITECTURE):
            for module in pkgutil.iter_modules(layers.__path__):
                importlib.import_module(f"{layers.__name__}.{module.name}")


def _check_contents(file: Path, archive: zipfile.ZipFile) -> None:
    missing = {_ARCHITECTURE, _WEIGHTS} - set(archive.namelist())
    if missing:
        raise UserError(f"{file} is no Keras model: it holds no {' and no '.join(sorted(missing))}.")
    size = sum(member.file_size for member in archive.infolist())
    if size > _MAX_BYTES:
        raise UserError(f"{file} would unpack to {size / 2**30:.1f} GiB, and the limit is {_MAX_BYTES >> 30} GiB.")
    if archive.testzip():
        raise zipfile.BadZipFile("a checksum is wrong")
    if any(node.get("class_name") == "Lambda" for node in _nodes(json.loads(archive.read(_ARCHITECTURE)))):
        raise UserError(f"{file} has a Lambda layer, Python code that could do anything: save the model without it.")


def _read_config(file: Path, required: bool) -> dict[str, Any]:
    beside = file.with_name(CONFIG)
    if not required and (file.name != MODEL or not beside.is_file()):
        return {}
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file.parent} holds no {CONFIG}: name {file} itself to do without.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{beside} is not valid JSON: restore it, or save the model again.") from error
    if not isinstance(config, dict):
        raise UserError(f"{beside} must hold a JSON object: restore it, or save the model again.")
    return config


def _explain(file: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Could not locate" in text:
        return f"{file} uses a layer that Keras does not have ({text[:120]}): import the module that defines it first."
    return f"{file} cannot be loaded ({type(error).__name__}: {text[:200]}): save it again with a current Keras."


def _nodes(tree: Any) -> Iterator[dict]:
    """Every dict in a tree of JSON."""
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(child)


def start_from(network: keras.Model, path_or_name: str | os.PathLike[str], **meaning: Any) -> None:
    """Take over the weights of a saved model of the same shape: what `--init` does. UserError if it is another.

    `meaning` is what the record of a model that means the same has: the game, the classes.
    """
    donor, record = load(path_or_name)
    check_meaning(path_or_name, record, **meaning)
    try:
        network.set_weights(donor.get_weights())
    except ValueError as error:
        raise UserError(f"{path_or_name} is a network of another shape than this one: {error}") from error


def check_meaning(path_or_name: str | os.PathLike[str], record: Mapping[str, Any], **meaning: Any) -> None:
    """UserError if the record of a model, as far as it says anything about it, has another meaning.

    A network of the right shape may still be one for another game, or of other classes.
    """
    for key, value in meaning.items():
        wanted = list(value) if isinstance(value, tuple) else value
        found = record.get(key, wanted)
        if found != wanted:
            words = "other " + key if isinstance(wanted, list) else f"{key} {found}, and not {wanted}"
            raise UserError(f"{path_or_name} is a network for {words}: name one that was trained for the same.")
