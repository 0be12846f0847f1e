"""Several processes, on one host or more, that train one network together: which of them is this one?

JAX's are told by Keras' own variables (KERAS_DISTRIBUTION_PROCESS_ID and its two companions), TensorFlow's by
TF_CONFIG; `python -m shared.training.launch` sets both. Every process runs the whole program and makes the same
batches, takes its own rows of them, and ends each step with the same weights. Only the first one's files and words
count.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from shared.errors import UserError


def here() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are; (0, 1) for one that is alone."""
    try:
        if (count := int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", 1))) > 1:
            number = int(os.environ["KERAS_DISTRIBUTION_PROCESS_ID"])
        else:
            config = json.loads(os.environ.get("TF_CONFIG") or "{}")
            number, count = config.get("task", {}).get("index", 0), len(config.get("cluster", {}).get("worker", "1"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"The variables that say which process this is cannot be read ({error!r}).") from error
    if not 0 <= number < count:
        raise UserError(f"This is process {number} of {count}, says the environment; they are numbered from 0.")
    return number, count


def leave(code: int) -> NoReturn:
    """Exit; with an error and as one of several at once: JAX would wait for the others, who wait for this one."""
    if code and os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def own_folder(run: Path) -> Path:
    """Where this process writes: `run` itself for the first, for others a temporary copy of it, which nobody reads."""
    number, _ = here()
    if number == 0:
        return run
    folder = Path(tempfile.mkdtemp(prefix=f"arcade-process-{number}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if run.is_dir():  # a resumed training reads there what the first process goes on from
        shutil.copytree(run, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
    return folder
