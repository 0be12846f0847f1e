"""How good the colours of a recoloured photo are, beside those that it had.

A tally per method takes pairs of uint8 sRGB photos (H, W, 3), and sums up: PSNR and SSIM on RGB, the colourfulness of
Hasler & Suesstrunk (2003, "Measuring colourfulness in natural images"), and the AuC of Zhang et al. (2016,
arXiv:1603.08511). PSNR rewards grey and brown, so none of these numbers means much without the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.colorizer import lab
from shared.data.images import crop_square
from shared.drawing.curves import Curve as Line
from shared.drawing.curves import plot_curves
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
    """One method's numbers over photos."""

    centres: np.ndarray
    """The ab bins, (bins, 2), that the AuC is rebalanced over."""
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    colourfulness: list[float] = field(default_factory=list)
    feature_distance: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    """Whether a classifier named the photo rightly."""

    def __post_init__(self) -> None:
        self.errors = np.zeros((len(self.centres), FARTHEST + 1), np.int64)  # pixels by true bin and distance in ab

    def add(self, original: np.ndarray, rgb: np.ndarray) -> None:
        """Compare a recoloured photo with what it was."""
        self.psnr.append(psnr(original, rgb))
        self.ssim.append(ssim(original, rgb))
        self.colourfulness.append(colourfulness(rgb))
        (a, b), (found_a, found_b) = (lab.from_rgb(photo)[1] for photo in (original, rgb))
        distance = np.minimum(np.ceil(np.hypot(a - found_a, b - found_b)), FARTHEST).astype(np.int64)
        place = nearest(self.centres, np.stack([a, b], -1)) * (FARTHEST + 1) + distance
        self.errors += np.bincount(place.ravel(), minlength=self.errors.size).reshape(self.errors.shape)

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
    """Methods side by side over photos.

    Args:
        centres: the ab bins, (bins, 2), that the AuC is rebalanced over.
        judge: who measures features and names photos, or None to do without.
        classes: what the labels given to `add` mean. If the judge knows them all, right is who names the label; if
            not, who gives a photo the name that the original is given.
    """

    def __init__(self, centres: np.ndarray, judge: FeatureJudge | None = None, classes: Sequence[str] = ()):
        self.centres, self.judge, self.classes = centres, judge, classes
        self.truth = bool(judge and classes and set(classes) <= set(judge.wnids))
        self.tallies: dict[str, Tally] = {}

    def add(self, original: np.ndarray, versions: Mapping[str, np.ndarray], label: int | None = None) -> None:
        """A photo and what each method made of it; the same methods each time."""
        versions = {**versions, "original": original}
        tallies = [self.tallies.setdefault(name, Tally(self.centres)) for name in versions]
        for tally, version in zip(tallies, versions.values(), strict=True):
            tally.add(original, version)
        if self.judge:
            distances, named = self.judge(original, list(versions.values()))
            right = self.judge.wnids.index(self.classes[label]) if self.truth and label is not None else named[-1]
            for tally, distance, name in zip(tallies, distances, named, strict=False):
                tally.feature_distance.append(float(distance))
                tally.right.append(bool(name == right))

    def __str__(self) -> str:
        first = next(iter(self.tallies.values()))
        whole = np.mean(self.tallies["original"].colourfulness)
        heads = ["PSNR dB", "median", "SSIM", "AuC", "rebal.", "colour %"]
        heads += ["features", "top-1 %" if self.truth else "as orig."] if first.right else []
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
            cells.append(f"{100 * np.mean(tally.colourfulness) / whole:10.1f}")
            if tally.right:
                cells += [f"{np.mean(tally.feature_distance):10.4f}", f"{100 * np.mean(tally.right):10.1f}"]
            lines.append(f"{name:17}" + "".join(cells))
        return "\n".join(lines)


class Curve:
    """PSNR against colourfulness while something, such as vividness, goes up."""

    def __init__(self) -> None:
        self.points: dict[float, list[tuple[float, float]]] = {}
        self.originals: list[float] = []

    def add(self, original: np.ndarray, versions: Mapping[float, np.ndarray]) -> None:
        """A photo and its versions, by the value of what goes up; the least colourful is the first."""
        self.originals.append(colourfulness(original))
        for value, version in versions.items():
            self.points.setdefault(value, []).append((psnr(original, version), colourfulness(version)))

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """For each value the mean PSNR in dB, and the colourfulness in percent of the originals'."""
        levels, colours = np.mean(list(self.points.values()), axis=1).T
        return levels, 100 * colours / np.mean(self.originals)

    def at(self, share: float) -> float | None:
        """The PSNR in dB where colourfulness first reaches `share` percent of the originals'; None if it does not."""
        levels, shares = self.means()
        above = int(np.argmax(shares >= share))
        if shares[above] < share:
            return None
        part = slice(max(above - 1, 0), above + 1)
        return float(np.interp(share, shares[part], levels[part]))

    def plot(self, path: Path, name: str) -> None:
        """Draw it, beside the first version's PSNR."""
        levels, shares = self.means()
        curves: dict[str, Line] = {name: (shares, levels), "grey": ([0, max(shares)], [levels[0]] * 2)}
        plot_curves(path, curves, "colourfulness, % of the originals'", "PSNR, dB")


class FeatureJudge:
    """A classifier's opinion of recoloured photos.

    Its distance is made like LPIPS (Zhang et al. 2018, arXiv:1801.03924), without weights learned from people: at each
    resolution of the network the last features, scaled to length 1 at each place, their squared differences summed
    over the channels and averaged over places and resolutions. It is no LPIPS: compare it with itself only.
    """

    def __init__(self, network: keras.Model, wnids: Sequence[str]):
        import keras

        self.wnids, self.size = list(wnids), network.input_shape[1]
        levels = {
            layer.output.shape[1:3]: layer.output
            for layer in network.layers
            if isinstance(layer.output, keras.KerasTensor)
            and len(layer.output.shape) == 4
            # colours are no features, nor is what padding makes of some
            and layer.output.shape[-1] > 3
            and not isinstance(layer, keras.layers.ZeroPadding2D)
        }
        if not levels:
            raise UserError(f"{network.name} shows no features at its layers: name another classifier of photos.")
        taps = keras.Model(network.input, [*levels.values(), network.output])
        self._look = compiled_inference(lambda photos: taps(photos, training=False), taps)

    def __call__(self, original: np.ndarray, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Distances of the others from the original, (n,), and the classes named: the others', then the original's."""
        photos = np.stack([crop_square(photo, self.size) for photo in (*others, original)])
        *levels, logits = self._look(photos.astype(np.float32))
        distances = [
            np.square(unit[:-1] - unit[-1]).sum(-1).mean((1, 2))
            for unit in (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9) for x in levels)
        ]
        return np.mean(distances, axis=0), logits.argmax(-1)
