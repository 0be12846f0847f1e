"""Five people at once on apps/gallery.py, all tabs, two minutes: errors, lost answers, waiting times, memory.

    python benchmarks/gallery_load.py                opens the page by itself, and measures its process

Somebody asks for everything once, which loads the models; then the time begins. Each of the people asks one tab after
the other, in an order of their own, and waits for each answer as a browser does: uploads first, then the queue, then
the files. An answer is lost if it does not come, or if a file of it cannot be read. Memory is flat if what the server's
process holds in the last quarter is what it held in the second.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from shared import cli, saved_models
from shared.console import say
from shared.data.images import load_image, sample_photos
from shared.errors import UserError
from shared.settings import Range, Seed, Settings

GALLERY = Path(__file__).resolve().parents[1] / "apps" / "gallery.py"


@dataclass
class Load(Settings):
    """Use the page as several people at once, and print what came of it."""

    people: Annotated[int, Range(1, 100)] = 5
    """How many use it at a time."""
    seconds: Annotated[float, Range(1, 36_000)] = 120.0
    """For how long; what was begun by then is waited for."""
    seed: Seed = 1
    """Seed of who asks what."""
    patience: Annotated[float, Range(1, 36_000)] = 120.0
    """Seconds after which an answer counts as lost."""


@dataclass
class Tally:
    """What happened, added up by several threads."""

    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each answer, by job."""
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, MiB of the server's process)."""


def jobs(rng: np.random.Generator) -> dict[str, tuple[str, Callable[[], tuple], Callable[[Any], bool]]]:
    """By the name of the job: the model it needs, its input by chance, and whether an answer is whole."""
    from gradio_client import handle_file

    def photo() -> Any:
        return handle_file(str(rng.choice([str(path) for path in sample_photos()])))

    def seed() -> int:
        return int(rng.integers(1000))

    def pictures(answer: Any) -> bool:
        paths = answer if isinstance(answer, (list, tuple)) else [answer]
        return all(load_image(path).size > 0 for path in paths)

    def attack() -> tuple:
        return photo(), int(rng.integers(1, 17)), str(rng.choice(["fgsm", "pgd"])), "", "photo_classifier"

    return {
        "play": ("dqn_breakout", lambda: ("breakout", 0.05, 5, seed()), lambda answer: pictures(answer[0])),
        "write": ("char_rnn", lambda: ("ROMEO:", 0.8, int(rng.integers(20)), 300), lambda answer: len(answer) == 306),
        "classify": ("photo_classifier", lambda: (photo(), "photo_classifier"), lambda answer: "label" in answer),
        "attack": ("photo_classifier", attack, pictures),
        "colour": ("colorizer", lambda: (photo(), float(rng.uniform(0, 2)), "50,50,#8b1a2b"), pictures),
        "describe": ("image_captioner", lambda: (photo(),), lambda answer: pictures(answer[1])),
        "faces": ("gan_faces", lambda: (seed(), 1.0), pictures),
        "add": ("gan_faces", lambda: (seed(), 1.0, "1 + 2 - 3"), pictures),
        "morph": ("gan_faces", lambda: (seed(), 1.0, ""), pictures),
    }


def person(address: str, config: Load, number: int, until: float, tally: Tally, rounds: int = sys.maxsize) -> None:
    """One of them: asks for everything in turn, so often, or until the time is over."""
    from gradio_client import Client

    rng = np.random.default_rng([config.seed, number])
    todo = {
        name: job for name, job in jobs(rng).items() if (saved_models.MODELS / job[0] / saved_models.MODEL).is_file()
    }
    with tempfile.TemporaryDirectory() as downloads:
        client = Client(address, download_files=downloads, verbose=False)
        for _ in range(rounds):
            for name in rng.permutation(list(todo)):
                _, inputs, whole = todo[name]
                began_s = time.monotonic()
                if began_s >= until:
                    return
                try:
                    answer = client.submit(*inputs(), api_name=f"/{name}").result(timeout=config.patience)
                    if not whole(answer):
                        tally.errors.append(f"{name}: what came is not whole: {answer!r:.200}")
                except Exception as error:  # whatever it is, it is what is counted here
                    tally.errors.append(f"{name}: {type(error).__name__}: {error!s:.200}")
                tally.waits[name].append(time.monotonic() - began_s)


def watch(process: subprocess.Popen, began_s: float, tally: Tally, done: threading.Event) -> None:
    """Note the server's memory twice a second."""
    import psutil

    server = psutil.Process(process.pid)
    while not done.wait(0.5):
        tally.memory.append((time.monotonic() - began_s, server.memory_info().rss / 2**20))


def report(config: Load, tally: Tally) -> None:
    """Print the table."""
    print(f"{'job':12}{'answers':>9}{'median s':>10}{'95 % s':>9}{'longest s':>11}")
    for name, waits in sorted(tally.waits.items()):
        middle, most = np.percentile(waits, (50, 95))
        print(f"{name:12}{len(waits):9}{middle:10.2f}{most:9.2f}{max(waits):11.2f}")
    print(f"{sum(map(len, tally.waits.values()))} answers, {len(tally.errors)} errors or lost answers")
    for error in tally.errors[:20]:
        print(f"  {error}")
    times, sizes = np.array(tally.memory).T
    quarters = [sizes[(times >= a * config.seconds / 4) & (times < (a + 1) * config.seconds / 4)] for a in range(4)]
    means = [float(part.mean()) if len(part) else float("nan") for part in quarters]
    print("MiB in the server's process, by quarter: " + ", ".join(f"{mean:.0f}" for mean in means), end="")
    print(f"; the most {sizes.max():.0f}; the last less the second {means[3] - means[1]:+.0f}")


def load(config: Load) -> None:
    """Open the page, use it, close it."""
    if (busy := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {busy:.1f}): waits will be too long.")
    tally, done = Tally(), threading.Event()
    server = subprocess.Popen([sys.executable, str(GALLERY)], stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
        if not found:
            raise UserError("the page did not open: run `python apps/gallery.py` to see why.")
        first = Tally()
        person(found[0], config, config.people, time.monotonic() + 600, first, rounds=1)
        slowest = max(first.waits, key=lambda name: first.waits[name])
        print(f"Models loaded: the longest first answer was {slowest}, {first.waits[slowest][0]:.1f} s", flush=True)
        tally.errors += first.errors
        began_s = time.monotonic()
        crowd = [
            threading.Thread(target=person, args=(found[0], config, number, began_s + config.seconds, tally))
            for number in range(config.people)
        ]
        threading.Thread(target=watch, args=(server, began_s, tally, done), daemon=True).start()
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    finally:
        done.set()
        server.terminate()
        server.wait(30)
    report(config, tally)


if __name__ == "__main__":
    cli.run(__doc__, load, {})
