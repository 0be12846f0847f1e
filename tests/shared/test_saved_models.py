"""A model is the same after saving and loading; whatever else a file holds is answered with a sentence."""

import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from shared import saved_models
from shared.errors import UserError
from shared.training.runtime import import_keras

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def keras():
    return import_keras()


@pytest.fixture
def model(keras):
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(32, 3)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return keras.Model(pixels, keras.layers.Dense(10, dtype="float32")(x), name="toy")


@pytest.fixture
def saved(model, tmp_path):
    saved_models.save(model, tmp_path / "toy", {"steps": 3, "data": Path("a")})
    return tmp_path / "toy"


def repack(file, target, **changes):
    """A copy of a .keras archive in which members are changed; `None` leaves one out."""
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in source.namelist():
            content = changes.get(name.partition(".")[0], source.read(name))
            if content is not None:
                copy.writestr(name, content)
    return target


def test_the_architecture_is_compressed_and_the_weights_are_quick_to_read(saved):
    with zipfile.ZipFile(saved / "model.keras") as archive:
        kinds = {member.filename: member.compress_type for member in archive.infolist()}
    assert kinds["config.json"] == zipfile.ZIP_DEFLATED
    assert kinds["model.weights.h5"] == zipfile.ZIP_STORED


def test_round_trip(keras, model, saved):
    loaded, config = saved_models.load(saved)
    assert config == {"steps": 3, "data": "a"}
    assert {variable.dtype for variable in loaded.weights} == {"float32"}
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        exact = before.ndim < 2
        np.testing.assert_allclose(before, after, rtol=0 if exact else 2**-11, atol=0 if exact else 2**-24)
    plain = keras.saving.load_model(saved / "model.keras")
    pixels = np.full((2, 8, 8, 3), 128, "uint8")
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), plain.predict(pixels, verbose=0))
    np.testing.assert_allclose(loaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0), atol=5e-3)
    assert sorted(os.listdir(saved)) == ["config.json", "model.keras"]


def test_float16_halves_the_file_and_is_a_choice(keras, tmp_path):
    model = keras.Sequential([keras.Input((256,)), keras.layers.Dense(256)])
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 256)), np.zeros((1, 256)), verbose=0)
    half, full = (saved_models.save(model, tmp_path / str(f), {}, float16=f).stat().st_size for f in (True, False))
    assert 2 * 256**2 < half < 0.6 * full < 0.6 * 4.4 * 256**2  # neither holds Adam's two moments
    np.testing.assert_array_equal(saved_models.load(tmp_path / "False")[0].get_weights()[0], model.get_weights()[0])


def test_values_beyond_float16_keep_float32(keras, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.set_weights([np.float32([[1e6, 1e-3], [1, 2]]), np.float32([1e6, 1e-9])])
    saved_models.save(model, tmp_path, {})
    for before, after in zip(model.get_weights(), saved_models.load(tmp_path)[0].get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_mixed_precision_is_left_behind(keras, tmp_path):
    pixels = keras.Input((4,))
    x = keras.layers.Dense(3, dtype="mixed_bfloat16")(pixels)
    model = keras.Model(pixels, keras.ops.relu(x))
    saved_models.save(model, tmp_path, {})
    assert {layer.compute_dtype for layer in saved_models.load(tmp_path)[0].layers} == {"float32"}


def test_saving_fails_whole(keras, model, saved, monkeypatch):
    before = {name: (saved / name).read_bytes() for name in os.listdir(saved)}

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_models, "_halve", full_disk)
    with pytest.raises(OSError, match="space"):
        saved_models.save(model, saved, {"steps": 4})
    assert {name: (saved / name).read_bytes() for name in os.listdir(saved)} == before


def test_names_folders_and_files(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path)
    assert (
        saved_models.load("toy")[1]
        == saved_models.load(str(saved))[1]
        == saved_models.load(saved / "model.keras")[1]
        != {}
    )
    bare = repack(saved / "model.keras", tmp_path / "bare.keras")
    assert saved_models.load(bare)[1] == {}
    with pytest.raises(UserError, match="no model toi. Did you mean toy"):
        saved_models.load("toi")
    with pytest.raises(UserError, match="no model zebra. Shipped models: toy"):
        saved_models.load("zebra")
    with pytest.raises(UserError, match="holds no model.keras"):
        saved_models.load(tmp_path)


def test_config_that_is_missing_or_broken(saved):
    (saved / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        saved_models.load(saved)
    (saved / "config.json").write_text("[]")
    with pytest.raises(UserError, match="JSON object"):
        saved_models.load(saved)
    (saved / "config.json").unlink()
    with pytest.raises(UserError, match="holds no config.json"):
        saved_models.load(saved)
    assert saved_models.load(saved / "model.keras")[1] == {}


def test_hdf5_is_refused_by_name_and_by_content(tmp_path):
    h5py.File(tmp_path / "disguised.keras", "w").close()
    (tmp_path / "old.h5").write_bytes(b"anything")
    for name in ("disguised.keras", "old.h5"):
        with pytest.raises(UserError, match="HDF5"):
            saved_models.load(tmp_path / name)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_truncated_files(saved, keep):
    file = saved / "model.keras"
    content = file.read_bytes()
    file.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(UserError, match="damaged or incomplete"):
        saved_models.load(file)


def test_flipped_bits_never_escape_as_anything_but_a_sentence(saved):
    file, rng = saved / "model.keras", np.random.default_rng(0)
    content = file.read_bytes()
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        file.write_bytes(damaged)
        try:
            saved_models._check(file)
        except UserError:
            refused += 1
    assert refused > 250  # the rest hit a time stamp or padding


def test_archives_that_are_no_model(saved, tmp_path):
    file = saved / "model.keras"
    cases = {
        "holds no model.weights.h5": {"model": None},
        "holds no config.json": {"config": None},
        "damaged": {"config": b"{"},
        "cannot be loaded": {"model": b"not HDF5"},
        "Keras does not have": {"config": json.dumps({"class_name": "Virus", "config": {}}).encode()},
    }
    for words, changes in cases.items():
        with pytest.raises(UserError, match=words):
            saved_models.load(repack(file, tmp_path / "case.keras", **changes))
    with pytest.raises(UserError, match="must end in .keras"):
        saved_models.load(file.rename(tmp_path / "model.zip"))


def test_zip_bombs_are_refused_from_the_table_of_contents(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_models, "_MAX_BYTES", 1 << 20)
    bomb = repack(saved / "model.keras", tmp_path / "bomb.keras", metadata=bytes(2 << 20))
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(UserError, match="would unpack to"):
        saved_models.load(bomb)


def test_lambda_layers_are_refused_unrun(keras, tmp_path):
    inputs = keras.Input((2,))
    inner = keras.Sequential([keras.layers.Lambda(lambda x: x * 2)])
    keras.Model(inputs, inner(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="Lambda layer"):
        saved_models.load(tmp_path / "model.keras")


def test_a_model_without_a_known_input_is_refused(keras, tmp_path):
    with warnings.catch_warnings(action="ignore"):  # Keras, too, finds it strange
        keras.Sequential([keras.layers.Dense(4)]).save(tmp_path / "unbuilt.keras")
        keras.saving.save_model(keras.layers.Dense(4), tmp_path / "layer.keras")
    for name in ("unbuilt.keras", "layer.keras"):
        with pytest.raises(UserError, match="has no input of a known shape"):
            saved_models.load(tmp_path / name)


def test_inputs_and_outputs_keep_their_structure(keras, tmp_path):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    saved_models.save(keras.Model({"a": a, "b": b}, {"sum": keras.layers.Dense(1)(a), "b": b}), tmp_path / "dict", {})
    model, _ = saved_models.load(tmp_path / "dict")
    assert set(model({"a": np.ones((1, 2)), "b": np.ones((1, 3))})) == {"sum", "b"}
    saved_models.save(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), tmp_path / "one", {})
    assert saved_models.load(tmp_path / "one")[0](np.ones((4, 2))).shape == (4, 1)


def test_the_other_backend_loads_the_same_numbers(model, saved):
    pytest.importorskip("jax")
    code = (
        "import sys; import numpy as np; from shared import saved_models; model, _ = saved_models.load(sys.argv[1]);"
        "print(*model.predict(np.full((1, 8, 8, 3), 128, 'uint8'), verbose=0)[0])"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code, str(saved)], env=environment, capture_output=True, text=True, check=True
    )
    expected = saved_models.load(saved)[0].predict(np.full((1, 8, 8, 3), 128, "uint8"), verbose=0)[0]
    np.testing.assert_allclose(np.array(result.stdout.split(), float), expected, rtol=1e-4, atol=1e-5)
    assert result.stderr == "Loading Keras (jax) ...\n"
