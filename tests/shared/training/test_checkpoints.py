"""Checkpoints: resuming equals never having stopped, bit for bit, and no crash loses more than the last one."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shared.errors import UserError
from shared.training import checkpoints
from shared.training.checkpoints import Checkpoints

ROOT = Path(__file__).parents[3]


class Variable:
    """What Checkpoints needs of a Keras variable."""

    def __init__(self, value, path: str = "layer/kernel"):
        self.value, self.path = np.array(value), path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = np.array(value)


def owner(*values) -> SimpleNamespace:
    return SimpleNamespace(variables=[Variable(np.array(value, "float32")) for value in values])


def filled(folder: Path, steps: int = 2, **options) -> tuple[Checkpoints, SimpleNamespace]:
    """Checkpoints after `steps` saves; at step s the two variables are s and [s, s, s]."""
    model = owner(0, [0, 0, 0])
    checkpoints = Checkpoints(folder, {"model": model}, **options)
    for step in range(1, steps + 1):
        set_to(model, step)
        checkpoints.save(step, {"note": f"step {step}"})
    return checkpoints, model


def set_to(model: SimpleNamespace, value: float) -> None:
    for variable in model.variables:
        variable.assign(np.full_like(variable.value, value))


def restored(folder: Path) -> tuple[dict | None, list[float]]:
    """What a new process would restore: the extra, and every number."""
    model = owner(-1, [-1, -1, -1])
    state = Checkpoints(folder, {"model": model}).restore()
    return state, np.concatenate([v.value.ravel() for v in model.variables]).tolist()


# ------------------------------------------------------------------------------------------------ what is saved


def test_save_and_restore(tmp_path):
    checkpoints, _ = filled(tmp_path / "new" / "folder", 3)
    assert restored(checkpoints.folder) == ({"step": 3, "note": "step 3"}, [3.0] * 4)
    assert checkpoints.latest().name == "000003-step-3"


def test_nothing_to_restore(tmp_path):
    checkpoints = Checkpoints(tmp_path, {"model": owner(1)})
    assert checkpoints.restore() is None
    assert checkpoints.latest() is None


def test_a_numpy_generator_goes_on_where_it_was(tmp_path):
    rng = np.random.default_rng(7)
    checkpoints = Checkpoints(tmp_path, {})
    rng.normal(size=5)
    checkpoints.save(1, {"rng": rng.bit_generator.state, "best": float("inf")})
    expected = rng.normal(size=5)
    again, state = np.random.default_rng(), checkpoints.restore()
    again.bit_generator.state = state["rng"]
    assert np.array_equal(again.normal(size=5), expected)
    assert state["best"] == float("inf")


def test_owners_of_every_kind(tmp_path):
    seeds, lone = SimpleNamespace(state=Variable([1, 2], "seed")), Variable(5.0)
    owners = {"nets": [owner(1, 2), owner([3, 4])], "seeds": seeds, "lone": lone}
    checkpoints = Checkpoints(tmp_path, owners)
    path = checkpoints.save(1)
    stored = json.loads((path / "state.json").read_text())["variables"]
    assert list(stored) == ["nets/0", "nets/1", "nets/2", "seeds/0", "lone/0"]
    seeds.state.assign(np.array([0, 0]))
    lone.assign(0.0)
    checkpoints.restore()
    assert seeds.state.value.tolist() == [1, 2]
    assert lone.value == 5.0


def test_bfloat16_and_small_types_keep_their_bits(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    originals = [
        np.array([1.5, -0.0, np.inf, np.nan], ml_dtypes.bfloat16),
        np.array(3.25, ml_dtypes.bfloat16),
        np.array([True, False]),
        np.arange(3, dtype="uint32"),
        np.zeros((0, 3), "float16"),
    ]
    variables = [Variable(value) for value in originals]
    checkpoints = Checkpoints(tmp_path, {"all": variables})
    checkpoints.save(1)
    for variable in variables:
        variable.assign(np.zeros_like(variable.value))
    checkpoints.restore()
    for variable, original in zip(variables, originals, strict=True):
        assert variable.value.dtype == original.dtype
        assert variable.shape == original.shape
        assert variable.value.tobytes() == original.tobytes()


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_keeps_the_last_ones(tmp_path, keep):
    filled(tmp_path, 6, keep=keep)
    assert [int(path.name.split("-")[-1]) for path in sorted(tmp_path.iterdir())] == list(range(7 - keep, 7))


def test_a_step_may_be_saved_twice(tmp_path):
    checkpoints, model = filled(tmp_path)
    set_to(model, 9)
    checkpoints.save(2)
    assert restored(tmp_path) == ({"step": 2}, [9.0] * 4)


def test_a_new_training_replaces_the_one_before(tmp_path):
    filled(tmp_path, 5)
    filled(tmp_path, 1)
    assert restored(tmp_path)[0]["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_resumed_training_keeps_the_one_before(tmp_path):
    filled(tmp_path, 5)
    checkpoints = Checkpoints(tmp_path, {"model": owner(0, [0, 0, 0])})
    checkpoints.restore()
    checkpoints.save(6)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000005-step-5", "000006-step-6"]


def test_a_big_state_is_saved_fast(tmp_path):
    big = Variable(np.random.default_rng(0).normal(size=5_000_000).astype("float32"))  # 20 MB
    checkpoints = Checkpoints(tmp_path, {"big": big})
    start = time.perf_counter()
    checkpoints.save(1)
    assert time.perf_counter() - start < 5  # 0.1 s on a quiet machine


# ---------------------------------------------------------------------------------- crashes and damaged files


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
def test_interrupted_before_the_rename(tmp_path, monkeypatch, error):
    checkpoints, model = filled(tmp_path)

    def interrupted(*paths):
        raise error

    monkeypatch.setattr(os, "replace", interrupted)
    set_to(model, 3)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else UserError):
        checkpoints.save(3)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2, "no leftovers"
    assert restored(tmp_path) == ({"step": 2, "note": "step 2"}, [2.0] * 4)
    checkpoints.save(3)
    assert restored(tmp_path) == ({"step": 3}, [3.0] * 4)


def test_leftovers_are_not_seen_and_swept(tmp_path):
    checkpoints, _ = filled(tmp_path)
    shutil.copytree(checkpoints.latest(), tmp_path / ".tmp-000003-step-3")
    (tmp_path / ".tmp-000004-step-4").mkdir()
    assert checkpoints.latest().name == "000002-step-2"
    assert restored(tmp_path)[0]["step"] == 2
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000001-step-1", "000002-step-2"]


@pytest.mark.parametrize("name", ["arrays.npz", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "garbage"])
def test_a_damaged_newest_falls_back(tmp_path, capsys, name, damage):
    checkpoints, _ = filled(tmp_path)
    file = checkpoints.latest() / name
    content = file.read_bytes()
    file.write_bytes({"truncated": content[: len(content) * 2 // 3], "garbage": b"\x00garbage" * 50}.get(damage, b""))
    if damage == "missing":
        file.unlink()
    assert restored(tmp_path) == ({"step": 1, "note": "step 1"}, [1.0] * 4)
    assert "000002-step-2 is damaged" in capsys.readouterr().err


def test_no_flipped_bit_in_the_arrays_goes_unnoticed(tmp_path):
    checkpoints, _ = filled(tmp_path)
    file = checkpoints.latest() / "arrays.npz"
    content = file.read_bytes()
    for position in random.Random(0).sample(range(len(content)), 200):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        file.write_bytes(damaged)
        state, numbers = restored(tmp_path)
        assert numbers == [float(state["step"])] * 4


def test_a_damaged_one_is_replaced_by_the_next_save_and_the_good_one_kept(tmp_path):
    checkpoints, model = filled(tmp_path)
    (checkpoints.latest() / "arrays.npz").write_bytes(b"")
    again = Checkpoints(tmp_path, {"model": model})
    again.restore()
    again.save(2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000001-step-1", "000003-step-2"]


def test_all_damaged_is_one_sentence_and_changes_nothing(tmp_path):
    filled(tmp_path)
    for path in tmp_path.iterdir():
        (path / "arrays.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"No checkpoint in .* can be read"):
        restored(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_unpickled(tmp_path):
    checkpoints, _ = filled(tmp_path)
    np.savez(checkpoints.latest() / "arrays.npz", **{"model/0": np.array(SimpleNamespace()), "model/1": np.zeros(3)})
    assert restored(tmp_path)[0]["step"] == 1


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (owner(0, [0, 0]), r"model/1 is layer/kernel of shape \(3,\), float32 there and .* \(2,\), float32 here"),
        (owner(0), r"model/1 is .* there and missing here"),
        (owner(0, [0, 0, 0], 0), r"model/2 is missing there and .* here"),
        (SimpleNamespace(variables=[Variable(np.float64(0)), Variable(np.zeros(3, "float32"))]), "float64 here"),
        (SimpleNamespace(variables=[Variable(np.float32(0), "other"), Variable(np.zeros(3, "float32"))]), "other"),
    ],
)
def test_another_model_is_one_sentence_and_stays_untouched(tmp_path, model, sentence):
    filled(tmp_path)
    with pytest.raises(UserError, match=sentence):
        Checkpoints(tmp_path, {"model": model}).restore()
    assert all(not variable.value.any() for variable in model.variables)


def test_automatic_numbers_in_names_do_not_matter(tmp_path):
    Checkpoints(tmp_path, {"v": Variable(1.0, "adam/sequential_dense_1_kernel_momentum")}).save(1)
    variable = Variable(0.0, "adam/sequential_3_dense_12_kernel_momentum")
    Checkpoints(tmp_path, {"v": variable}).restore()
    assert variable.value == 1.0


def full_disk(file, **arrays):
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk(tmp_path, monkeypatch):
    checkpoints, _ = filled(tmp_path)
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match="The disk is full") as caught:
        checkpoints.save(3)
    assert str(tmp_path) in str(caught.value)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    assert restored(tmp_path)[0]["step"] == 2


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write a checkpoint to .*file"):
        Checkpoints(tmp_path / "file" / "checkpoints", {})


WRITER = """
import sys
from tests.shared.training.test_checkpoints import Checkpoints, owner, set_to
model = owner(0, [0] * 100_000)
checkpoints = Checkpoints(sys.argv[1], {"model": model})
step = (checkpoints.restore() or {"step": 0})["step"]
print("ready", flush=True)
while True:
    step += 1
    set_to(model, step)
    checkpoints.save(step)
    print(step, flush=True)
"""


def test_kill_9_at_random_moments(tmp_path):
    moments = random.Random(0)
    committed = 0
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.25))
        writer.send_signal(signal.SIGKILL)
        said = writer.communicate()[0].split()
        committed = max([committed, *map(int, said)])
        model = owner(0, [0] * 100_000)
        state = Checkpoints(tmp_path, {"model": model}).restore()
        step = state["step"] if state else 0
        assert step >= committed, "a checkpoint that save() had reported is gone"
        assert all((variable.value == step).all() for variable in model.variables)
        assert len(list(tmp_path.iterdir())) <= 3
    assert committed


# -------------------------------------------------------------------------------------------- real trainings


def build_training(seed: int):
    """A compiled step with dropout, BatchNorm, Adam with averages, and a SeedGenerator of its own."""
    import keras

    from shared.training.steps import compile_step, value_and_grad

    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=seed)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1, dtype="bfloat16")])
    optimizer, noise = keras.optimizers.Adam(0.01, use_ema=True), keras.random.SeedGenerator(seed)
    optimizer.build(model.trainable_variables)

    def update(x):
        def loss_fn():
            noisy = x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=noise)
            return keras.ops.mean(keras.ops.square(keras.ops.cast(model(noisy, training=True), "float32") - x[:, :1]))

        loss, grads = value_and_grad(loss_fn, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    owners = {"model": model, "optimizer": optimizer, "noise": noise}
    return compile_step(update, *owners.values()), owners


def run_steps(step, rng, count: int) -> list[float]:
    from shared.training.steps import shard

    return [float(step(*shard(rng.normal(size=(16, 4)).astype("float32")))) for _ in range(count)]


def test_a_resumed_step_training_equals_an_uninterrupted_one(tmp_path):
    step, owners = build_training(seed=1)
    rng = np.random.default_rng(1)
    run_steps(step, rng, 5)
    Checkpoints(tmp_path, owners).save(5, {"rng": rng.bit_generator.state})
    expected = run_steps(step, rng, 5)

    step, again = build_training(seed=2)
    rng, checkpoints = np.random.default_rng(2), Checkpoints(tmp_path, again)
    state = checkpoints.restore()
    rng.bit_generator.state = state["rng"]
    assert state["step"] == 5
    assert run_steps(step, rng, 5) == expected
    assert_same_state(owners.values(), again.values())


def assert_same_state(owners, others) -> None:
    pairs = list(zip(checkpoints._variables_of(list(owners)), checkpoints._variables_of(list(others)), strict=True))
    assert len(pairs) > 20
    for ours, theirs in pairs:
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes(), ours.path


def test_no_heavy_imports():
    code = "import shared.training.checkpoints, sys; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=os.environ, text=True) == "[]\n"
