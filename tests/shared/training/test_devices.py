"""Precision, seed and replicas: chosen in one place, put back afterwards, and refused in a sentence."""

from __future__ import annotations

import pytest

from shared.errors import UserError
from shared.training import devices


@pytest.fixture
def outcome(here):
    return here("devices_set_up")


@pytest.mark.slow
def test_describes_what_it_chose(backend, outcome):
    assert outcome["backend"] == backend
    assert outcome["description"].endswith(", mixed_bfloat16")
    assert "core" in outcome["description"]
    assert outcome["auto"] in ("float32", "mixed_bfloat16")


@pytest.mark.slow
def test_precision_holds_within_and_is_put_back(outcome):
    assert outcome["within"] == "bfloat16"
    assert outcome["put back"]


@pytest.mark.slow
def test_a_seed_repeats_everything(outcome):
    assert outcome["repeats"]


@pytest.mark.slow
def test_replicas_need_devices(outcome):
    assert "UserError: replicas is 3, and must be from 1 to 2" in outcome["too many"]
    assert "UserError: replicas is 0, and must be from 1 to 2" in outcome["too few"]


@pytest.mark.slow
def test_names_the_replicas(here):
    assert here("gan_on_two_replicas")["description"].endswith("float32, 2 replicas")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": 1, "precision": "bfloat16"}, "precision bfloat16 is not one of those on offer. Did you mean"),
        ({"seed": 1, "precision": "double"}, "Choose auto, float32 or mixed_bfloat16."),
        ({"seed": -1}, "seed is -1, and must be from 0"),
        ({"seed": 2**32}, "seed is 4,294,967,296, and must be"),
    ],
)
def test_wrong_options_are_refused_before_keras_loads(options, sentence):
    with pytest.raises(UserError) as error, devices.setup(**options):
        pass
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("backend", "flags", "gains"),
    [
        ("tensorflow", "avx512f avx512_bf16", True),
        ("tensorflow", "amx_bf16 amx_tile", True),
        ("tensorflow", "avx512f", False),
        ("jax", "avx512f avx512_bf16", False),
    ],
)
def test_auto_precision_on_a_cpu(monkeypatch, tmp_path, backend, flags, gains):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nmodel name\t: Some CPU\nflags\t\t: fpu {flags} sse\n")
    monkeypatch.setattr(devices, "_CPUINFO", cpuinfo)
    cpu = devices._Device("cpu:0", "Some CPU", is_cpu=True)
    assert devices._gains_from_bfloat16(backend, cpu) is gains


@pytest.mark.parametrize(
    ("said", "gains"), [("9.0", True), ("8.0", True), ("7.5", False), ("gfx90a", False), ("", False)]
)
def test_auto_precision_on_a_gpu(said, gains):
    gpu = devices._Device("gpu:0", "Some GPU", is_cpu=False, capability=devices._number(said))
    assert devices._gains_from_bfloat16("jax", gpu) is gains


def test_a_machine_without_cpuinfo_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "_CPUINFO", tmp_path / "missing")
    assert "core" in devices._cpu()
    assert not devices._gains_from_bfloat16("tensorflow", devices._Device("CPU:0", "", is_cpu=True))


# ------------------------------------------------------------------------------------------------------ The report


def test_the_report_names_backend_devices_and_the_reason(monkeypatch):
    monkeypatch.setattr(devices, "_nvidia_gpus", list)
    lines = list(devices.report())
    assert lines[0].startswith("Keras 3")
    assert "core" in lines[1]
    assert lines[-1].startswith("--precision auto is ")
    assert "bf16" in lines[-1] or "no bfloat16" in lines[-1] or "JAX" in lines[-1]


def test_a_gpu_that_only_the_driver_sees(monkeypatch):
    monkeypatch.setattr(devices, "_nvidia_gpus", lambda: ["NVIDIA H100, 81559 MiB, 570.1"])
    *_, driver, advice = devices.report()
    assert driver == "The driver has: NVIDIA H100, 81559 MiB, 570.1"
    assert "does not see it: pip install -r requirements-" in advice


def test_without_a_driver_nothing_is_there(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert devices._nvidia_gpus() == []
