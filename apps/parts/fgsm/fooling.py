"""Images that show people nothing and that a network is sure of: from noise, or drawn by a coordinate network.

Nguyen, Yosinski & Clune 2015, "Deep neural networks are easily fooled" (arXiv:1412.1897), had 99.6 % of certainty at
the median, by evolution; here the gradient leads there in seconds.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shared.classifiers.attacks import Loss
from shared.classifiers.classifier import Classifier
from shared.classifiers.metrics import softmax
from shared.console import say
from shared.data.batches import spread
from shared.data.images import load_image
from shared.drawing import pictures

CERTAIN = 0.996
LOOK_EVERY = 5  # steps: how often the image is rounded, and classified as its file would be
STEP = 2.0  # grey levels that a pixel moves in a step, on average
Start = Literal["noise", "pattern"]
STARTS: tuple[Start, ...] = ("noise", "pattern")


@dataclass(frozen=True)
class Fooling:
    """An image, and what the network says of it."""

    image: np.ndarray
    """uint8 (size, size, 3)."""
    share: float
    """The probability of the class that was asked for, of the image in whole grey levels."""
    steps: int

    @property
    def certain(self) -> bool:
        """Whether the network is as sure as Nguyen et al. had it."""
        return self.share >= CERTAIN


class Fooler:
    """Finds such images for one network.

    Args:
        classifier: of photos, for one at a time.
        loss: logits, labels -> how far from the label; what is lowered.
        most: steps after which it gives up.
    """

    def __init__(self, classifier: Classifier, loss: Loss, most: int = 300):
        self.classifier, self.loss, self.most = classifier, loss, most
        self._pattern: tuple[Any, Any, Callable] | None = None

    def fool(self, label: int, start: Start, seed: int) -> Fooling:
        """An image that the network calls `label`; the best that was found, if it never was certain."""
        return self._from_noise(label, seed) if start == "noise" else self._from_pattern(label, seed)

    def _seen(self, image: np.ndarray, label: int, steps: int) -> Fooling:
        rounded = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        share = softmax(self.classifier.attacker.logits(rounded[None])[0])[label]
        return Fooling(rounded, float(share), steps)

    def _from_noise(self, label: int, seed: int) -> Fooling:
        rng, size = np.random.default_rng(seed), self.classifier.size
        image = rng.uniform(64, 192, (size, size, 3)).astype(np.float32)
        best = self._seen(image, label, 0)
        for step in range(1, self.most + 1):
            shift = tuple(rng.integers(-4, 5, 2))  # the gradient of a neighbouring view: what holds there, holds here
            moved = np.roll(image, shift, (0, 1))
            gradient = self.classifier.attacker.gradient(self.loss, moved[None], np.array([label]))[0]
            gradient = np.roll(gradient, (-shift[0], -shift[1]), (0, 1))
            image = np.clip(image - STEP * gradient / max(float(np.abs(gradient).mean()), 1e-20), 0, 255)
            if step % LOOK_EVERY == 0:
                best = max(best, self._seen(image, label, step), key=lambda found: found.share)
                if best.certain:
                    break
        return best

    def _from_pattern(self, label: int, seed: int) -> Fooling:
        import keras

        network, optimizer, update = self._drawing()
        rng = np.random.default_rng(seed)
        for variable in network.trainable_variables:
            spread = 1.0 if len(variable.shape) == 1 else variable.shape[0] ** -0.5
            variable.assign(rng.normal(0, spread, variable.shape).astype(np.float32))
        for variable in optimizer.variables:
            if variable is not optimizer.learning_rate:
                variable.assign(keras.ops.zeros_like(variable))
        best = Fooling(np.zeros((1, 1, 3), np.uint8), -1.0, 0)
        for step in range(1, self.most + 1):
            image = update(np.array([label], np.int32))
            if step % LOOK_EVERY == 0:
                best = max(best, self._seen(np.asarray(image)[0], label, step), key=lambda found: found.share)
                if best.certain:
                    break
        return best

    def _drawing(self) -> tuple[Any, Any, Callable]:
        """The coordinate network (Stanley 2007, "Compositional pattern producing networks"), and one step of it."""
        if self._pattern is None:
            import keras
            from keras import layers, ops

            from shared.training.optimizers import adam
            from shared.training.steps import compile_step, value_and_grad

            size, classifier = self.classifier.size, self.classifier
            x = keras.Input((5,))
            y = x
            for _ in range(3):
                y = layers.Concatenate()([layers.Dense(16, activation="tanh")(y), ops.sin(layers.Dense(16)(y))])
            network = keras.Model(x, layers.Dense(3, activation="sigmoid")(y))
            optimizer = adam(0.02)
            optimizer.build(network.trainable_variables)
            places = coordinates(size)

            def step(label: Any) -> Any:
                def distance() -> Any:
                    image = 255 * ops.reshape(network(places), (1, size, size, 3))
                    return ops.sum(self.loss(classifier.network(image, training=False), label)), image

                (_, image), gradients = value_and_grad(distance, network.trainable_variables)
                optimizer.apply(gradients, network.trainable_variables)
                return image

            self._pattern = network, optimizer, compile_step(step, network, optimizer, classifier.network)
        return self._pattern


def coordinates(size: int) -> np.ndarray:
    """Where each pixel is: x, y, the distance from the middle, and waves of x and y, float32 (pixels, 5)."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    parts = 3 * x, 3 * y, 3 * np.hypot(x, y), np.sin(12 * x), np.sin(12 * y)
    return np.stack(parts, axis=-1).reshape(-1, 5).astype(np.float32)


def fool_and_save(
    fooler: Fooler, label: int, start: Start, count: int, seed: int, sheet: Path
) -> tuple[list[Fooling], list[Path]]:
    """Find some images, save each losslessly beside the sheet, classify the files again, and draw the sheet."""
    found, paths = [], []
    for n in range(count):
        image = fooler.fool(label, start, seed + n)
        path = sheet.with_stem(f"{sheet.stem}-{n + 1}")
        pictures.save_image(path, image.image)
        again = load_image(path)
        share = softmax(fooler.classifier.attacker.logits(again[None])[0])[label]
        found.append(Fooling(again, float(share), image.steps))
        paths.append(path)
    tiles = []
    for image in found:
        text = f"{textwrap.shorten(fooler.classifier.labels[label], 22)} {image.share:.2%}, {image.steps} steps"
        large = np.kron(image.image, np.ones((2, 2, 1), np.uint8)) if image.image.shape[0] < 200 else image.image
        tiles.append(pictures.caption(large, text, 15))
    pictures.save_image(sheet, pictures.grid(tiles, columns=4, pad=6))
    return found, paths


def fool_and_report(fooler: Fooler, name: str, start: Start, count: int, seed: int, sheet: Path) -> None:
    """Find, save and draw images that the network is sure show what has this name; UserError for an unknown name."""
    label = fooler.classifier.class_named(name)
    found, paths = fool_and_save(fooler, label, start, count, seed, sheet)
    for image, path in zip(found, paths, strict=True):
        network, answer = fooler.classifier.name, fooler.classifier.labels[label]
        print(f"{path}: {network} says {answer} ({image.share:.2%}) after {image.steps} steps")
    say(f"All of them: {sheet}. Try next: --start pattern, or --model photo_classifier_robust")


def success_lines(classifiers: Sequence[Classifier], loss: Loss, classes: int) -> Iterator[str]:
    """How many classes succeed, within how many steps and seconds: of each network, from noise and from a pattern."""
    for classifier in classifiers:
        fooler = Fooler(classifier, loss)
        for start in STARTS:
            began_s = time.perf_counter()
            found = [fooler.fool(label, start, seed=1) for label in spread(len(classifier.labels), classes)]
            seconds = (time.perf_counter() - began_s) / len(found)
            certain = [image.steps for image in found if image.certain]
            steps = f", after {np.median(certain):.0f} steps (median)" if certain else ""
            median = np.median([image.share for image in found])
            success = f"{len(certain):3} of {len(found)} classes above {CERTAIN:.1%}{steps}"
            yield (f"{classifier.name:24} from {start:8}{success}; median certainty {median:.1%}; {seconds:.1f} s each")
