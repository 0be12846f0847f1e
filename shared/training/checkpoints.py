"""Checkpoints: the whole state of a training on disk, so that resuming equals never having stopped, bit for bit.

    checkpoints = Checkpoints(run / "checkpoints", {"model": model, "optimizer": optimizer, "noise": seed_generator})
    state = checkpoints.restore() if config.resume else None
    for step in range(state["step"] if state else 0, config.steps):
        ...
        checkpoints.save(step + 1, {"rng": rng.bit_generator.state})

A checkpoint is a folder, FOLDER/000007-step-52000, with arrays.npz (every variable), and state.json (what the arrays
are, and the caller's own `extra`). As in Orbax, it is written under a temporary name, flushed to the disk, and renamed:
a crash at any moment leaves the checkpoint before it, and leftovers are swept at the next start.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import UserError

COMPLETE, TEMPORARY = re.compile(r"\d{6,}-step-\d+"), ".tmp-"


class Checkpoints:
    """The last `keep` checkpoints of one training, in one folder.

    A training that does not restore() starts anew: its first save replaces the checkpoints of the run before it.

    Args:
        folder: made if missing; nothing else should live in it.
        owners: everything that holds state, by name: models, layers, optimizers, metrics, SeedGenerators, variables,
            or lists of those. Seeds, BatchNorm statistics, optimizer slots and averages are all part of it. Build
            them first; a SeedGenerator outside every layer is an owner of its own.
        keep: how many checkpoints stay on the disk, 1 or more; with 2, a damaged one still leaves the one before.
    """

    def __init__(self, folder: str | Path, owners: Mapping[str, Any], keep: int = 2):
        self.folder, self.owners, self.keep = Path(folder), owners, keep
        self._history: list[Path] = []  # this training's checkpoints, oldest first; all others are of an abandoned run
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        for leftover in self.folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def latest(self) -> Path | None:
        """The newest complete checkpoint's folder, or None."""
        return max(self._complete(), key=_sequence, default=None)

    def save(self, step: int, extra: Mapping[str, Any] | None = None) -> Path:
        """Write all state, and `extra` (JSON; a NumPy `rng.bit_generator.state` is), as of `step` finished steps.

        Raises UserError when the disk is full or read-only; the checkpoints written before are still good then.
        """
        try:
            return self._commit(step, dict(extra or {}))
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _commit(self, step: int, extra: dict[str, Any]) -> Path:
        newest = self.latest()
        final = self.folder / f"{_sequence(newest) + 1 if newest else 1:06d}-step-{step}"
        temporary = self.folder / f"{TEMPORARY}{final.name}"
        try:
            _write(temporary, {"step": step, "extra": extra}, self._variables())
            os.replace(temporary, final)  # before this line the checkpoint does not exist, after it it does
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _flush_folder(self.folder)
        self._history = [*self._history, final][-self.keep :]
        self._prune()
        return final

    def restore(self) -> dict[str, Any] | None:
        """Load the newest checkpoint into the owners; returns its `extra` with its "step", or None if there is none.

        A damaged checkpoint is skipped, with a warning, for the one before it. Raises UserError if none is left, or if
        the checkpoint is of a different model; the owners are untouched then.
        """
        history = sorted(self._complete(), key=_sequence)
        damaged = []
        while history:
            try:
                state, arrays = _read(history[-1])
            except PermissionError:
                raise
            except Exception as error:  # damaged bytes raise anything: BadZipFile, KeyError, SyntaxError, ...
                damaged.append(history.pop())
                print(f"warning: {damaged[-1]} is damaged ({error}); trying the checkpoint before it.", file=sys.stderr)
                continue
            self._assign(history[-1], state["variables"], arrays)
            self._history = history
            return {**state["extra"], "step": state["step"]}
        if damaged:
            raise UserError(f"No checkpoint in {self.folder} can be read; train again without --resume.")
        return None

    def _assign(self, folder: Path, specs: dict[str, dict], arrays: dict[str, np.ndarray]) -> None:
        variables = self._variables()
        here = {key: _spec(variable.path, np.asarray(variable)) for key, variable in variables.items()}
        for key in {**here, **specs}:
            if here.get(key) != specs.get(key):
                raise UserError(
                    f"The checkpoint {folder} is of a different training: {key} is {_describe(specs.get(key))} there "
                    f"and {_describe(here.get(key))} here; resume with its settings, or train again without --resume."
                )
        wanted = {key: np.asarray(variable).dtype for key, variable in variables.items()}
        for key, dtype in wanted.items():
            if arrays[key].dtype.itemsize != dtype.itemsize or arrays[key].dtype.kind not in f"u{dtype.kind}":
                raise UserError(f"{folder} holds other numbers than it says; train again without --resume.")
        for key, variable in variables.items():
            variable.assign(arrays[key].view(wanted[key]))  # bfloat16 was stored as plain bits

    def _variables(self) -> dict[str, Any]:
        # By position: Keras numbers its automatic names anew in every process, so paths alone identify nothing.
        return {f"{name}/{i}": v for name, owner in self.owners.items() for i, v in enumerate(_variables_of(owner))}

    def _complete(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if COMPLETE.fullmatch(path.name)]

    def _prune(self) -> None:
        for path in set(self._complete()) - set(self._history):
            doomed = path.with_name(f"{TEMPORARY}{path.name}")
            os.replace(path, doomed)  # so that a half-deleted one never looks complete
            shutil.rmtree(doomed, ignore_errors=True)


def _variables_of(owner: Any) -> list:
    if isinstance(owner, (list, tuple)):
        return [variable for part in owner for variable in _variables_of(part)]
    if hasattr(owner, "variables"):  # a model, layer, optimizer or metric. Not `weights`: those leave out the seeds
        return list(owner.variables)
    return [owner.state] if hasattr(owner, "state") else [owner]  # a SeedGenerator, a variable


def _write(folder: Path, state: dict[str, Any], variables: dict[str, Any]) -> None:
    folder.mkdir()
    arrays = {key: np.asarray(variable) for key, variable in variables.items()}
    specs = {key: _spec(variables[key].path, array) for key, array in arrays.items()}
    with open(folder / "arrays.npz", "wb") as file:
        plain: dict[str, Any] = {key: _plain(array) for key, array in arrays.items()}
        np.savez(file, **plain)
        _flush(file)
    with open(folder / "state.json", "w", encoding="utf-8") as file:
        json.dump({**state, "variables": specs}, file, indent=1)
        _flush(file)
    _flush_folder(folder)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if not _has_form(state):
        raise ValueError("state.json is not as it was written")
    with open(folder / "arrays.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:  # checks CRCs
        read = {key: arrays[key] for key in state["variables"]}
    for key, array in read.items():
        if not isinstance(array, np.ndarray) or list(array.shape) != state["variables"][key]["shape"]:
            raise ValueError(f"{key} is not as it was written")
    return state, read


def _has_form(state: Any) -> bool:
    """Whether this could be what `_write` wrote: somebody may have changed the file, or a disk."""
    kinds = {"step": int, "extra": dict, "variables": dict}
    if not isinstance(state, dict) or any(type(state.get(key)) is not kind for key, kind in kinds.items()):
        return False
    specs = state["variables"].values()
    return all(isinstance(spec, dict) and spec.keys() == {"name", "shape", "dtype"} for spec in specs) and all(
        isinstance(spec["shape"], list) for spec in specs
    )


def _spec(path: str, array: np.ndarray) -> dict[str, Any]:
    """What a variable must agree in with its checkpoint."""
    name = re.sub(r"_\d+(?=[_/]|$)", "", path)  # dense_3/kernel: the number only counts the layers of this process
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}


def _describe(spec: dict[str, Any] | None) -> str:
    return f"{spec['name']} of shape {tuple(spec['shape'])}, {spec['dtype']}" if spec else "missing"


def _plain(array: np.ndarray) -> np.ndarray:
    """bfloat16 and other types that are not NumPy's own, as unsigned integers of the same bits."""
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array


def _sequence(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[0])


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders, and commits a rename by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(folder: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk is full: no room for a checkpoint in {folder}; free some and go on with --resume.")
    reason = error.strerror or error
    return UserError(f"Cannot write a checkpoint to {folder} ({reason}); check that it is a folder you may write to.")
