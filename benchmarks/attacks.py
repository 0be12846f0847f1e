"""Attacks beside Foolbox's and ART's: how many photos fool the network, and photos per second; CPU cores.

    python benchmarks/attacks.py --data FOLDER --peer-python .venv-attacks/bin/python

The same model file, the same photos (those that the network names rightly), the same epsilon, loss, step and number of
steps, no random start, the same batch. The loss is cross-entropy for FGSM, and for PGD the margin between the best
other class and the label: both peers let their users choose. What comes out is rounded to whole grey levels within
epsilon and classified by the same code for all. One process at a time, each row in a fresh one, in rounds, so that a
slow minute falls on all of them; the time is that of the attack alone, after a first batch that compiles. The
peers run in a virtual environment of their own on the same Keras and TensorFlow; README.md beside this file says how to
make it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.dqn_throughput import installed, limit_threads, usable_cores
from shared import cli
from shared.classifiers.attacks import Attacker, rounded, step_length
from shared.classifiers.classifier import find_classifier
from shared.console import say
from shared.errors import UserError, in_range
from shared.files import output_path, write_atomically
from shared.settings import Range, Settings
from shared.training.runtime import import_keras

GOAL, POINTS = 1.5, 1.0  # how many times as fast ours should be; how far the success rates may lie apart, in %
OURS, PEERS = "Keras Arcade", ("Foolbox", "ART")
PACKAGES = ("foolbox", "eagerpy", "adversarial-robustness-toolbox", "keras", "tensorflow", "tensorflow-cpu", "numpy")
NEEDED = ["foolbox", "art", "keras", "tensorflow", "tyro", "PIL"]
MODEL, PHOTOS = "model.keras", "photos.npz"  # in the folder that the rows share

Maker = Callable[[np.ndarray, np.ndarray], np.ndarray]  # photos float32 0..255, labels -> adversarial photos


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Measure(Settings):
    """Measure one row in this process, and print it as one line of JSON."""

    folder: Path
    """With the network and the photos, as `compare` writes it."""
    who: Literal["Keras Arcade", "Foolbox", "ART"] = "Keras Arcade"
    """Whose attack."""
    attack: Literal["fgsm", "pgd"] = "fgsm"
    """One step, or several."""
    compiled: bool = False
    """Give the peer the network wrapped in a tf.function, which its documentation does not ask for."""
    epsilon: Annotated[float, Range(1, 255)] = 2.0
    """Largest change of a pixel, in grey levels of 255."""
    steps: Annotated[int, Range(1, 10_000)] = 10
    """Of PGD, each as long as shared/classifiers/attacks.py has it."""
    batch: Annotated[int, Range(1, 1000)] = 50
    """Photos at a time."""
    threads: Annotated[int, Range(1, 1024)] = 2
    """CPU cores that the process may use, and threads of every pool in it."""


@dataclass
class Compare(Settings):
    """Measure all rows and print the table."""

    data: str
    """A folder of photos, their ImageNet class (n02102040) in the names of files or folders, or a TFDS name."""
    peer_python: Path
    """Python of the peers' virtual environment."""
    model: str = "photo_classifier"
    """As --model of apps/fgsm.py."""
    photos: Annotated[int, Range(1, 10_000)] = 200
    """Photos to take, spread evenly; those that the network names rightly are attacked."""
    epsilon: Annotated[float, Range(1, 255)] = 2.0
    """Largest change of a pixel, in grey levels of 255."""
    steps: Annotated[int, Range(1, 10_000)] = 10
    """Of PGD."""
    batch: Annotated[int, Range(1, 1000)] = 50
    """Photos at a time, the same for every row."""
    threads: Annotated[int, Range(1, 1024)] = 2
    """CPU cores and threads, the same for every row."""
    rounds: Annotated[int, Range(1, 10_000)] = 3
    """Measurements of each row; the table has their median."""
    json: Path | None = None
    """Also write everything measured to this file."""


@dataclass
class Row:
    """A line of the table."""

    who: str
    attack: str
    compiled: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Its name in the table."""
        return f"{self.who}{', network in a tf.function' if self.compiled else ''}"

    @property
    def speed(self) -> float:
        """Photos per second: the median over the rounds."""
        return median(result["photos_per_s"] for result in self.results)

    @property
    def success(self) -> float:
        """Photos that the network no longer names rightly, in %."""
        return self.results[-1]["success"]


def table_rows() -> list[Row]:
    """What is compared, fresh: nothing measured yet."""
    peers = [(who, compiled) for who in PEERS for compiled in (False, True)]
    return [Row(who, attack, compiled) for attack in ("fgsm", "pgd") for who, compiled in [(OURS, False), *peers]]


# -------------------------------------------------------------------------------------------------- One measurement


def measure(setup: Measure) -> None:
    """Measure one row in this process, and print it as one line of JSON."""
    limit_threads(setup.threads)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with redirect_stdout(sys.stderr):
        keras = import_keras()
        network = keras.saving.load_model(setup.folder / MODEL, compile=False)
        with np.load(setup.folder / PHOTOS) as data:
            photos, labels = data["photos"].astype(np.float32), data["labels"]
        attack = {OURS: ours, "Foolbox": foolbox, "ART": art}[setup.who](network, setup)
        chunks = [slice(start, start + setup.batch) for start in range(0, len(photos), setup.batch)]
        for chunk in (chunks[0], chunks[-1]):  # the last may be smaller, and compiles anew for the peers
            attack(photos[chunk], labels[chunk])
        began_s = time.perf_counter()
        found = np.concatenate([attack(photos[chunk], labels[chunk]) for chunk in chunks])
        took_s = time.perf_counter() - began_s
        saved = rounded(found, photos, setup.epsilon / 255)
        answers = np.concatenate([np.asarray(network(saved[c].astype(np.float32))).argmax(-1) for c in chunks])
    result = {"photos_per_s": len(photos) / took_s, "success": 100 * float(np.mean(answers != labels))}
    result |= {"photos": len(photos), "farthest": float(np.abs(found - photos).max())}
    versions = {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES if installed(name)}
    print(json.dumps(result | {"versions": versions}))


def ours(network: Any, setup: Measure) -> Maker:
    """FGSM of apps/fgsm.py and PGD of shared/classifiers/attacks.py."""
    from apps.fgsm import fgsm

    attacker, epsilon = Attacker(network, setup.batch), setup.epsilon / 255
    if setup.attack == "fgsm":
        return lambda photos, labels: fgsm(attacker, photos, labels, epsilon)
    return lambda photos, labels: attacker.pgd(photos, labels, epsilon, setup.steps)


def callable_network(network: Any, setup: Measure) -> Callable[..., Any]:
    import tensorflow as tf

    def call(photos: Any, training: bool = False) -> Any:
        return network(photos, training=False)

    return tf.function(call) if setup.compiled else call


def margin(logits: Any, chosen: Any) -> Any:
    """How far the best other class is ahead of the chosen one, summed over the batch."""
    import tensorflow as tf

    chosen = tf.cast(chosen, logits.dtype)
    others = tf.reduce_max(logits - 1e9 * chosen, axis=-1)
    return tf.reduce_sum(others - tf.reduce_sum(logits * chosen, axis=-1))


def foolbox(network: Any, setup: Measure) -> Maker:
    """Foolbox's attack itself, `run`; its `__call__` would also ask the network whether it worked."""
    import eagerpy as ep
    import foolbox as fb
    import tensorflow as tf

    model = fb.TensorFlowModel(callable_network(network, setup), bounds=(0, 255), device="/CPU:0")
    if setup.attack == "fgsm":
        attack = fb.attacks.LinfFastGradientAttack(random_start=False)
    else:

        class MarginAttack(fb.attacks.LinfProjectedGradientDescentAttack):
            def get_loss_fn(self, model: Any, labels: Any) -> Callable[[Any], Any]:
                chosen = tf.one_hot(labels.raw, network.output_shape[-1])
                return lambda photos: ep.astensor(margin(model(photos).raw, chosen))

        step = step_length(setup.epsilon, setup.steps)
        attack = MarginAttack(abs_stepsize=step, steps=setup.steps, random_start=False)

    def make(photos: np.ndarray, labels: np.ndarray) -> np.ndarray:
        criterion = fb.criteria.Misclassification(tf.constant(labels))
        return attack.run(model, tf.constant(photos), criterion, epsilon=setup.epsilon).numpy()

    return make


def art(network: Any, setup: Measure) -> Maker:
    """ART's attack, by its classifier for TensorFlow 2 networks."""
    import tensorflow as tf
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = cross_entropy if setup.attack == "fgsm" else lambda chosen, logits: margin(logits, chosen)
    classifier = TensorFlowV2Classifier(
        model=callable_network(network, setup),
        nb_classes=network.output_shape[-1],
        input_shape=network.input_shape[1:],
        loss_object=loss,
        clip_values=(0, 255),
    )
    rules = {"eps": setup.epsilon, "batch_size": setup.batch, "num_random_init": 0}
    if setup.attack == "fgsm":
        attack = FastGradientMethod(classifier, eps_step=setup.epsilon, **rules)
    else:
        step = step_length(setup.epsilon, setup.steps)
        attack = ProjectedGradientDescent(classifier, eps_step=step, max_iter=setup.steps, verbose=False, **rules)
    return lambda photos, labels: attack.generate(photos, y=np.eye(network.output_shape[-1])[labels])


# ------------------------------------------------------------------------------------------------------- The table


def compare(config: Compare) -> None:
    """Measure all rows and print the table."""
    in_range("--threads", config.threads, 1, len(usable_cores()))
    check_peer(config.peer_python)
    path = output_path(config.json, "attacks", "attacks.json") if config.json else None
    load, rows = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, table_rows()
    if load > 0.5:
        say(f"This machine is not idle (load {load:.1f}): every number will be too low, and the ratios doubtful.")
    with tempfile.TemporaryDirectory() as folder:
        prepare(config, Path(folder))
        for number in range(config.rounds):
            for row in rows[:: -1 if number % 2 else 1]:  # there and back: a drift of the machine evens out
                row.results.append(result := measured(row, config, Path(folder)))
                place = f"round {number + 1}/{config.rounds}  {row.attack:5}{row.label}"
                say(f"{place:60}{result['photos_per_s']:8.1f} photos/s, {result['success']:5.1f} % fooled")
    print_table(rows, config, load)
    if path:
        with write_atomically(path) as temporary:
            record = {"config": asdict(config), "load": load, "rows": [asdict(row) for row in rows]}
            temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def check_peer(python: Path) -> None:
    """UserError unless this is a Python that has what the peers need."""
    code = f"import importlib.util as u; print(*(n for n in {NEEDED} if u.find_spec(n) is None))"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"--peer-python {python} does not run: give a virtual environment's python.") from error
    if missing := found.stdout.split():
        raise UserError(f"{python} lacks {', '.join(missing)}: make it again as benchmarks/README.md says.")


def prepare(config: Compare, folder: Path) -> None:
    """Write the network, logits at its end, and the photos that it names rightly."""
    from apps.parts.fgsm.photos import described, open_photos

    classifier = find_classifier(config.model, config.batch)
    photos = open_photos(config.data, config.photos, classifier)
    right = classifier.attacker.logits(photos.pictures).argmax(-1) == photos.truth
    say(f"{described(classifier, photos)} Right: {right.sum()}.")
    if not right.any():
        raise UserError(f"{classifier.name} names none of the photos in {config.data} rightly: there is no attack.")
    classifier.network.save(folder / MODEL)
    np.savez(folder / PHOTOS, photos=photos.pictures[right], labels=photos.truth[right].astype(np.int64))


def measured(row: Row, config: Compare, folder: Path) -> dict[str, Any]:
    """Measure a row once, in a fresh process."""
    python = config.peer_python if row.who in PEERS else Path(sys.executable)
    values = {name: getattr(config, name) for name in ("epsilon", "steps", "batch", "threads")}
    values |= {"folder": folder, "who": row.who, "attack": row.attack}
    flags = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    command = [python, Path(__file__).resolve(), "measure", *flags, *(["--compiled"] if row.compiled else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        say(done.stderr)
        raise UserError(f"the measurement of {row.label}, {row.attack}, failed; what it said is above.")
    return json.loads(done.stdout.splitlines()[-1])


def print_table(rows: list[Row], config: Compare, load: float) -> None:
    """The table, what is equal and what is not, and the goals."""
    names = {"fgsm": "FGSM", "pgd": f"PGD-{config.steps}"}
    print(f"{'':8}{'':36}{'fooled %':>10}{'photos/s':>10}{'(range)':>18}{'ours/it':>10}")
    for row in rows:
        speeds = [result["photos_per_s"] for result in row.results]
        spread, ratio = f"({min(speeds):.1f}-{max(speeds):.1f})", f"{beside(row, rows).speed / row.speed:.2f}x"
        print(f"{names[row.attack]:8}{row.label:36}{row.success:10.1f}{row.speed:10.1f}{spread:>18}{ratio:>10}")
    for line in remarks(rows, config, load):
        print(line)


def beside(row: Row, rows: list[Row]) -> Row:
    """Ours of the same attack."""
    return next(other for other in rows if other.who == OURS and other.attack == row.attack)


def remarks(rows: list[Row], config: Compare, load: float) -> Iterator[str]:
    """What a reader needs to understand the table, and the goals."""
    first = rows[0].results[0]
    yield f"{config.model}, epsilon {config.epsilon:g}/255, {first['photos']} photos named rightly, float32."
    yield (
        f"Batches of {config.batch}, {config.threads} threads, one row at a time, each in a fresh process; median of "
        f"{config.rounds} rounds; load average before the first row {load:.1f}."
    )
    for name, who in (("Ours", OURS), ("Peers", PEERS[0])):
        versions = next(row.results[0]["versions"] for row in rows if row.who == who)
        yield f"{name}: " + ", ".join(f"{package} {version}" for package, version in versions.items())
    for row in rows:
        if row.who in PEERS:
            faster, apart = beside(row, rows).speed / row.speed, abs(beside(row, rows).success - row.success)
            speed = f"{faster:.2f}x as fast, goal {GOAL:g}x: {'reached' if faster >= GOAL else 'MISSED'}"
            rates = f"success rates {apart:.1f} points apart, goal {POINTS:g}: "
            yield f"{row.attack}, {row.label}: {speed}; {rates}{'reached' if apart <= POINTS else 'MISSED'}."


if __name__ == "__main__":
    cli.run(__doc__, compare, {"measure": measure})
