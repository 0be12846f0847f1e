"""Measures of recoloured photos against their originals, both uint8 sRGB (H, W, 3).

PSNR and SSIM on RGB, the colourfulness of Hasler & Suesstrunk (2003, "Measuring colourfulness in natural images"), the
AuC of Zhang et al. (2016, arXiv:1603.08511), and a classifier's features and answers. PSNR rewards grey and brown, so
that no number means much without the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.colorizer import lab
from shared import saved_models
from shared.classifiers.classifier import find_classifier
from shared.console import say
from shared.data.sizes import crop_square
from shared.drawing.curves import Curve, plot_curves
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

FARTHEST = 150  # Zhang's largest threshold, a distance in ab


def colourfulness(rgb: np.ndarray) -> float:
    """Hasler & Suesstrunk's M3 of a uint8 photo (H, W, 3): 0 for grey, about 15 slightly, 60 quite colourful."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue]).reshape(2, -1)
    return float(np.hypot(*opponents.std(1)) + 0.3 * np.hypot(*opponents.mean(1)))


def psnr(original: np.ndarray, rgb: np.ndarray) -> float:
    """Peak signal-to-noise ratio over the three channels, in dB; infinite for equal photos."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(original, rgb, data_range=255))


def ssim(original: np.ndarray, rgb: np.ndarray) -> float:
    """Structural similarity, the mean over the channels, of Wang et al. 2004's Gaussian window; NaN below 11 pixels."""
    if min(original.shape[:2]) < 11:
        return np.nan
    from skimage.metrics import structural_similarity

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(original, rgb, channel_axis=-1, data_range=255, **gaussian))


@dataclass
class Tally:
    """The numbers of one method, photo by photo."""

    centres: np.ndarray
    """The ab bins, (bins, 2), that the AuC is rebalanced over."""
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    colourfulness: list[float] = field(default_factory=list)
    feature_distance: list[float] = field(default_factory=list)
    correct: list[bool] = field(default_factory=list)
    """Whether the classifier's answer is correct."""

    def __post_init__(self) -> None:
        self.errors = np.zeros((len(self.centres), FARTHEST + 1), np.int64)  # pixels by true bin and distance in ab

    def add(self, original: np.ndarray, rgb: np.ndarray) -> None:
        """Compare a recoloured photo with its original."""
        self.psnr.append(psnr(original, rgb))
        self.ssim.append(ssim(original, rgb))
        self.colourfulness.append(colourfulness(rgb))
        (a, b), (new_a, new_b) = (lab.from_rgb(photo)[1] for photo in (original, rgb))
        distance = np.minimum(np.ceil(np.hypot(a - new_a, b - new_b)), FARTHEST).astype(np.int64)
        cell = nearest(self.centres, np.stack([a, b], -1)) * (FARTHEST + 1) + distance
        self.errors += np.bincount(cell.ravel(), minlength=self.errors.size).reshape(self.errors.shape)

    def auc(self, rebalanced: bool) -> float:
        """Area under the share of pixels within a distance in ab, over distances 0 to 150, in percent (Zhang et al.).

        `rebalanced` counts each pixel by the inverse of how common its true bin is among the photos (their equation 4
        with lambda 0), the bins' counts smoothed by a Gaussian of sigma 5.
        """
        counts = self.errors.sum(1)
        share = smoothed(self.centres, counts / max(counts.sum(), 1))
        weights = np.where(counts > 0, 1 / share.clip(1e-9), 0) if rebalanced else np.ones(len(counts))
        within = np.cumsum(weights @ self.errors)
        return float(100 * within.mean() / within[-1])


def nearest(centres: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """The index of the nearest bin, int64 (...), of ab (..., 2)."""
    flat = ab.reshape(-1, 2).astype(np.float32)
    blocks = np.array_split(flat, max(len(flat) // 65_536, 1))
    lengths, axes = (centres**2).sum(1) / 2, centres.T.astype(np.float32)
    return np.concatenate([(block @ axes - lengths).argmax(1) for block in blocks]).reshape(ab.shape[:-1])


def smoothed(centres: np.ndarray, histogram: np.ndarray, sigma: float = 5.0) -> np.ndarray:
    """A distribution over bins, blurred over neighbouring ones."""
    blur = np.exp(-((centres[:, None] - centres) ** 2).sum(-1) / (2 * sigma**2))
    return histogram @ (blur / blur.sum(1, keepdims=True))


class Table:
    """Several methods on the same photos.

    Args:
        centres: the ab bins, (bins, 2), that the AuC is rebalanced over.
        comparison: a classifier's features and answers, or None to do without.
        classes: the names of the labels given to `add`. If the classifier knows them all, its answer is correct if it
            is the label; if not, if it is the same as for the original.
    """

    def __init__(self, centres: np.ndarray, comparison: Comparison | None = None, classes: Sequence[str] = ()):
        self.centres, self.comparison, self.classes = centres, comparison, classes
        self.labelled = bool(comparison and classes and set(classes) <= set(comparison.wnids))
        self.tallies: dict[str, Tally] = {}

    def add(self, original: np.ndarray, versions: Mapping[str, np.ndarray], label: int | None = None) -> None:
        """Add a photo and each method's version of it; the methods are the same each time."""
        versions = {**versions, "original": original}
        tallies = [self.tallies.setdefault(name, Tally(self.centres)) for name in versions]
        for tally, version in zip(tallies, versions.values(), strict=True):
            tally.add(original, version)
        if self.comparison:
            distances, answers = self.comparison(original, list(versions.values()))
            correct = answers[-1]
            if self.labelled and label is not None:
                correct = self.comparison.wnids.index(self.classes[label])
            for tally, distance, answer in zip(tallies, distances, answers, strict=False):
                tally.feature_distance.append(float(distance))
                tally.correct.append(bool(answer == correct))

    def __str__(self) -> str:
        first = next(iter(self.tallies.values()))
        originals = np.mean(self.tallies["original"].colourfulness)
        heads = ["PSNR dB", "median", "SSIM", "AuC", "rebal.", "colour %"]
        heads += ["features", "top-1 %" if self.labelled else "as orig."] if first.correct else []
        lines = [f"{len(first.psnr):>6,} photos    " + "".join(f"{head:>10}" for head in heads)]
        for name, tally in self.tallies.items():
            numbers = [
                np.mean(tally.psnr),
                np.median(tally.psnr),
                np.mean(tally.ssim),
                tally.auc(False),
                tally.auc(True),
            ]
            cells = [f"{x:10.{digits}f}" for x, digits in zip(numbers, (2, 2, 3, 1, 1), strict=True)]
            cells.append(f"{100 * np.mean(tally.colourfulness) / originals:10.1f}")
            if tally.correct:
                cells += [f"{np.mean(tally.feature_distance):10.4f}", f"{100 * np.mean(tally.correct):10.1f}"]
            lines.append(f"{name:17}" + "".join(cells))
        return "\n".join(lines)


class VividnessCurve:
    """PSNR against colourfulness while the vividness goes up."""

    def __init__(self) -> None:
        self.points: dict[float, list[tuple[float, float]]] = {}
        self.originals: list[float] = []

    def add(self, original: np.ndarray, versions: Mapping[float, np.ndarray]) -> None:
        """Add a photo and its versions, by their vividness; the first is the least colourful."""
        self.originals.append(colourfulness(original))
        for vividness, version in versions.items():
            self.points.setdefault(vividness, []).append((psnr(original, version), colourfulness(version)))

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """For each vividness the mean PSNR in dB, and the colourfulness in percent of the originals'."""
        levels, colours = np.mean(list(self.points.values()), axis=1).T
        return levels, 100 * colours / np.mean(self.originals)

    def psnr_at(self, share: float) -> float | None:
        """The PSNR in dB where colourfulness first reaches `share` percent of the originals'; None if it does not."""
        levels, shares = self.means()
        above = int(np.argmax(shares >= share))
        if shares[above] < share:
            return None
        part = slice(max(above - 1, 0), above + 1)
        return float(np.interp(share, shares[part], levels[part]))

    def plot(self, path: Path, name: str) -> None:
        """Draw it, with the first version's PSNR for comparison."""
        levels, shares = self.means()
        curves: dict[str, Curve] = {name: (shares, levels), "grey": ([0, max(shares)], [levels[0]] * 2)}
        plot_curves(path, curves, "colourfulness, % of the originals'", "PSNR, dB")


def load_comparison(classifier: str) -> Comparison | None:
    """A comparison by the classifier of that name or path; None, with a sentence, if the usual one is not there."""
    if classifier == "photo_classifier" and not saved_models.is_shipped(classifier):
        say(f"There is no {classifier} in saved_models/: the columns of its features and answers are left out.")
        return None
    found = find_classifier(classifier, batch=1)
    return Comparison(found.network, found.wnids)


class Comparison:
    """Compares recoloured photos with their original by a classifier's features and answers.

    The distance is computed like LPIPS (Zhang et al. 2018, arXiv:1801.03924), without weights learned from people: at
    each resolution of the network the last features, scaled to length 1 at each place; their squared differences,
    summed over the channels and averaged over places and resolutions. It is not LPIPS: compare it with itself only.
    """

    def __init__(self, network: keras.Model, wnids: Sequence[str]):
        import keras

        self.wnids, self.size = list(wnids), network.input_shape[1]
        levels = {
            layer.output.shape[1:3]: layer.output
            for layer in network.layers
            if isinstance(layer.output, keras.KerasTensor)
            and len(layer.output.shape) == 4
            # neither colours nor padded features
            and layer.output.shape[-1] > 3
            and not isinstance(layer, keras.layers.ZeroPadding2D)
        }
        if not levels:
            raise UserError(f"{network.name} has no layers with features of photos: name another classifier.")
        features = keras.Model(network.input, [*levels.values(), network.output])
        self._features = compiled_inference(lambda photos: features(photos, training=False), features)

    def __call__(self, original: np.ndarray, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Distances of the others from the original, (n,), and the answers: the others', then the original's."""
        photos = np.stack([crop_square(photo, self.size) for photo in (*others, original)])
        *levels, logits = self._features(photos.astype(np.float32))
        distances = [
            np.square(unit[:-1] - unit[-1]).sum(-1).mean((1, 2))
            for unit in (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9) for x in levels)
        ]
        return np.mean(distances, axis=0), logits.argmax(-1)
