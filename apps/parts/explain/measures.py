"""How far explanations can be trusted: deletion and insertion, completeness, pointing, and the sanity check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.explain.boxes import IMAGENET_CLASSES, pointed_photos
from apps.parts.explain.questions import Asked, leaves
from apps.parts.explain.scores import agreement, curves
from apps.parts.explain.sheets import save_sanity
from shared.classifiers.classifier import Classifier
from shared.data.labelled import labelled_photos
from shared.data.sizes import crop_square
from shared.errors import UserError

Methods = Mapping[str, Callable[[Asked, np.ndarray], np.ndarray]]


def _photos(classifier: Classifier, data: Path, most: int) -> Iterator[np.ndarray]:
    for photo, _ in labelled_photos(data, most):
        yield crop_square(photo, classifier.size)


def _answer(classifier: Classifier, photo: np.ndarray) -> int:
    return int(classifier.attacker.logits(photo[None])[0].argmax())


def deletion_lines(classifier: Classifier, asked: Asked, methods: Methods, data: Path, most: int) -> Iterator[str]:
    """The mean areas of each method's maps of the network's answers, with their standard errors; and of random maps."""
    areas: dict[str, list[tuple[float, float]]] = {name: [] for name in (*methods, "random places")}
    for n, photo in enumerate(_photos(classifier, data, most)):
        about = asked.about(_answer(classifier, photo))
        pixels = photo.astype(np.float32)
        for name, method in methods.items():
            areas[name].append(curves(about.answers, pixels, method(about, pixels)).areas)
        chance = np.random.default_rng(n).random(photo.shape[:2])
        areas["random places"].append(curves(about.answers, pixels, chance).areas)
    yield f"{len(areas['random places'])} photos of {data}: areas under deletion (low is good) and insertion (high)"
    for name, found in areas.items():
        means, errors = np.mean(found, axis=0), np.std(found, axis=0) / len(found) ** 0.5
        yield f"{name:24} {means[0]:.3f} +- {errors[0]:.3f}   {means[1]:.3f} +- {errors[1]:.3f}"


def completeness_lines(
    classifier: Classifier, asked: Asked, attributions: Callable, data: Path, most: int
) -> Iterator[str]:
    """How many steps integrated gradients need until they sum up to the difference of scores within 1 %."""
    needed = []
    for photo in _photos(classifier, data, most):
        about, pixels = asked.about(_answer(classifier, photo)), photo.astype(np.float32)
        score, black = about.scores(np.stack([pixels, 0 * pixels]))
        steps = 64
        while abs(attributions(about, pixels, steps).sum() / (score - black) - 1) > 0.01 and steps < 4096:
            steps *= 2
        needed.append(steps)
    counts = ", ".join(f"{steps} steps on {needed.count(steps)}" for steps in sorted(set(needed)))
    yield f"integrated gradients sum up to the difference of scores within 1 % with {counts} of {len(needed)} photos"


def check_classes(classifier: Classifier) -> None:
    """UserError unless the names of things in boxes are among its classes."""
    if len(classifier.labels) != IMAGENET_CLASSES:
        raise UserError(f"--boxes needs ImageNet's {IMAGENET_CLASSES:,} classes, and {classifier.name} has others.")


def pointing_lines(asked: Asked, methods: Methods, folder: Path) -> Iterator[str]:
    """The pointing game: how often a map's highest place is on the thing; beside the centre of the photo."""
    hits: dict[str, list[bool]] = {name: [] for name in ("centre", *methods)}
    hard, seen = [], []
    for found in pointed_photos(folder, asked.shape[0]):
        [logits] = asked.logits(found.photo[None])
        about = asked.about(max(found.classes, key=lambda n: logits[n]))
        seen.append(about.why in np.argsort(-logits)[:5])
        pixels = found.photo.astype(np.float32)
        hits["centre"].append(found.contains(0.5, 0.5))
        hard.append(not found.easy)
        for name, method in methods.items():
            hits[name].append(found.hit(method(about, pixels)))
    difficult, known = np.array(hard), np.array(seen)
    counts = f"{difficult.sum()} with small boxes, {known.sum()} where"
    yield f"{len(hard)} pairs of a photo of {folder} and a class on it, of {asked.shape[0]} pixels: {counts}"
    yield "the class is among the network's five likeliest answers. The highest place of the map is on the thing:"
    for name, each in hits.items():
        right = np.array(each)
        error = (right.mean() * (1 - right.mean()) / len(right)) ** 0.5
        parts = f"small boxes {right[difficult].mean():6.1%}   among the five {right[known].mean():6.1%}"
        yield f"{name:24} {right.mean():6.1%} +- {error:.1%}   {parts}"


# -------------------------------------------------------------------------------------------------- The sanity check


def sanity_lines(classifier: Classifier, methods: Methods, data: Path, most: int, path: Path) -> Iterator[str]:
    """How alike each method's maps are before and after layers are made random, from the top (Adebayo et al. 2018).

    A map that does not change explains nothing of what was learned. The class stays the one that the trained network
    answers; the picture shows the first photo.
    """
    import keras

    photos = [photo.astype(np.float32) for photo in _photos(classifier, data, most)]
    answers = [_answer(classifier, photo.astype(np.uint8)) for photo in photos]
    stages = cascade(classifier.network)
    random = keras.models.clone_model(classifier.network)
    random.set_weights(classifier.network.get_weights())
    asked = Asked(random, 0)
    before = {
        name: [method(asked.about(n), x) for n, x in zip(answers, photos, strict=True)]
        for name, method in methods.items()
    }
    shown = {name: [maps[0]] for name, maps in before.items()}
    alike: dict[str, list[float]] = {name: [] for name in methods}
    layers = {layer.name: layer for layer in leaves(random)}
    rng = np.random.default_rng(0)
    for names in stages.values():
        for name in names:
            randomise(layers[name], rng)
        for name, method in methods.items():
            after = [method(asked.about(n), x) for n, x in zip(answers, photos, strict=True)]
            shown[name].append(after[0])
            alike[name].append(float(np.mean([agreement(*pair) for pair in zip(before[name], after, strict=True)])))
    save_sanity(path, photos[0], shown, ["as trained", *(f"random: {stage}" for stage in stages)])
    yield f"sanity check, {len(photos)} photos: rank correlation with the trained network's maps (near 0 is right)"
    yield " " * 24 + "".join(f"{stage:>16}" for stage in stages)
    for name, found in alike.items():
        yield f"{name:24}" + "".join(f"{value:16.2f}" for value in found)


def cascade(network: Any) -> dict[str, list[str]]:
    """Which layers with weights are made random at each stage: the last, then the last tenth, half, and all."""
    names = [layer.name for layer in leaves(network) if layer.weights]
    tenth, half = max(2, len(names) // 10), max(3, len(names) // 2)
    return {
        "the classes": names[-1:],
        "the last tenth": names[-tenth:-1],
        "the upper half": names[-half:-tenth],
        "all": names[:-half],
    }


def randomise(layer: Any, rng: np.random.Generator) -> None:
    """The layer's weights in random order: as large as they were, and without what was learned."""
    layer.set_weights([rng.permutation(weights.ravel()).reshape(weights.shape) for weights in layer.get_weights()])
