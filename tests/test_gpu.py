"""On a GPU each app learns for some steps and shows its demo, on one device and on all. Skipped without one.

python -m pytest -n 0 -m gpu tests/test_gpu.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.apps.command import APPS, ROOT, Command
from tests.apps.toy import toy_of

LEARNERS = [app for app in APPS if "train" in Command(app).verbs]
pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpus() -> int:
    """How many GPUs Keras' backend sees, asked in another process."""
    asked = (
        "from shared.training import devices\n"
        "print(sum(line.startswith('  ') and 'cpu' not in line.lower()[:20] for line in devices.report()))"
    )
    from shared.training import devices

    if not devices._nvidia_gpus():
        pytest.skip("no GPU here")
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT, check=True)
    return int(found.stdout)


def losses(app: str, folder: Path, *words: str) -> list[float]:
    """Those of the app's toy, trained with these words; its demo runs, too."""
    toy = toy_of(app)
    data = toy.data(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        toy.shrink(patch)
        run = folder / "run"
        assert Command(app).main("train", *data, *toy.train.split(), "--run", run, *words) == 0
        assert Command(app).main(*toy.demo.split(), "--model", run, "-o", folder / toy.output) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line.get("loss") is not None]


@pytest.mark.parametrize("app", LEARNERS)
def test_each_app_learns_on_one_gpu_and_on_all(app, gpus, tmp_path):
    one = losses(app, tmp_path / "one", "--precision", "float32")
    assert np.isfinite(one).all()
    half = losses(app, tmp_path / "half", "--precision", "mixed_bfloat16")
    np.testing.assert_allclose(half, one, rtol=0.2)
    if gpus > 1:
        every = losses(app, tmp_path / "all", "--precision", "float32", "--replicas", str(gpus))
        np.testing.assert_allclose(every, one, rtol=0.1)
