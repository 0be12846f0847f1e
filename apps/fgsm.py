"""Fooling a pretrained network: a photo that looks the same, and that the network calls something else.

    python apps/fgsm.py                                  turns a cup of espresso into something else
    python apps/fgsm.py photo.jpg --epsilon 2/255 -o out.png
    python apps/fgsm.py photo.jpg --attack pgd --target "golf ball" --model MobileNetV2
    python apps/fgsm.py --sweep FOLDER                   accuracy against epsilon, with noise for comparison
    python apps/fgsm.py evaluate                         how strong the attacks are, in numbers

Method: one step along the sign of the gradient of the loss for the pixels, FGSM (Goodfellow, Shlens & Szegedy 2015,
arXiv:1412.6572), or many small ones, PGD (Madry et al. 2018, arXiv:1706.06083). What counts is the saved file: it is
read again, its label asked for again, and no pixel of it is further from the photo than epsilon. Measured results,
with hardware and time, are in saved_models/photo_classifier/README.md, whose networks apps/photo_classifier.py trains.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.fgsm.equation import Guess, Term, draw_equation, percent
from shared import cli, saved_models
from shared.classifiers import attacks
from shared.classifiers.classifier import Classifier, find_classifier
from shared.console import say
from shared.data.images import crop_square, load_image, sample_photos
from shared.data.labelled import labelled_photos
from shared.drawing.curves import plot_curves
from shared.drawing.pictures import save_image
from shared.errors import UserError, suggest
from shared.files import output_path
from shared.settings import Range, Settings

APP, UNDEFENDED, DEFENDED = "fgsm", "photo_classifier", "photo_classifier_robust"
LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
SWEPT = (1, 2, 3, 4, 6, 8, 12, 16)  # grey levels of 255
BATCH = 10


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Attack(Settings):
    """Change a photo invisibly, so that a network calls it something else."""

    photo: tyro.conf.Positional[Path | None] = None
    """A picture file; by default scikit-image's cup of coffee."""
    epsilon: str = "2/255"
    """The most that any pixel may change, as a share of the range of its values: 2/255 or 0.008."""
    target: str | None = None
    """What the network shall call it; by default anything else."""
    attack: Literal["fgsm", "pgd"] = "fgsm"
    """fgsm is one step; pgd many small ones, and stronger."""
    steps: Annotated[int | None, Range(1, 10_000)] = None
    """Steps of pgd; by default 10, with a target 40."""
    model: str = UNDEFENDED
    """One from saved_models/, a .keras file (RGB pixels 0..255 to logits), or MobileNetV2, ResNet50 or any other name
    from keras.applications, whose weights Keras downloads once."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the sheet goes, a .png, .bmp or .tif file; the adversarial photos are saved beside it."""
    sweep: Path | None = None
    """Instead of one photo, a folder: plot accuracy against epsilon, for the defended network, too, if it fits."""
    photos: Annotated[int, Range(1, 100_000)] = 100
    """How many photos of that folder to take, spread evenly."""


@dataclass
class Evaluate(Settings):
    """How many of the photos that a network names rightly it still names rightly after an attack."""

    data: str = "imagenette/160px-v2"
    """A folder of photos, their ImageNet class (n02102040) in the names of files or folders, or a TFDS name."""
    models: tuple[str, ...] = (UNDEFENDED, DEFENDED)
    """What --model takes, one or more."""
    epsilon: str = "2/255"
    """The size of the attacks and of the noise."""
    steps: Annotated[int, Range(1, 100_000)] = 10
    """Steps of PGD."""
    photos: Annotated[int, Range(1, 100_000)] = 200
    """How many photos to take, spread evenly."""


# ------------------------------------------------------------------------------------------------------- Inputs


def checked(config: Attack) -> float:
    """Epsilon as a number; UserError for a wrong one, and for flags that do not go together."""
    if config.sweep and (config.photo or config.target):
        raise UserError("--sweep takes a folder, and neither a photo nor a --target.")
    if config.steps is not None and config.attack == "fgsm":
        raise UserError("--steps is for --attack pgd: FGSM is one step.")
    return share(config.epsilon)


def share(text: str) -> float:
    """An epsilon from 2/255 or 0.008; UserError unless it is from one grey level to the whole range."""
    try:
        value = Fraction(text.replace(" ", ""))
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"--epsilon {text} is no number: give a fraction such as 2/255, or 0.008.") from error
    if not 0 < value <= 1:
        meant = f" Did you mean {value}/255?" if value in range(2, 256) else ""
        raise UserError(f"--epsilon is {text}, and must be above 0 and at most 1, the whole range.{meant}")
    if attacks.grey_levels(float(value)) < 1:
        raise UserError(f"--epsilon {text} is less than 1/255, one grey level: a saved photo cannot hold it.")
    return float(value)


def lossless(requested: Path | None, name: str) -> Path:
    """Where a picture goes whose every pixel counts; UserError for a format that would change them."""
    path = output_path(requested, APP, name)
    if path.suffix.lower() not in LOSSLESS:
        raise UserError(
            f"{path.name} must end in {', '.join(LOSSLESS)}: the attack is a few grey levels strong, and a format that "
            "does not keep every pixel, such as JPEG, would wipe it out."
        )
    return path


# ------------------------------------------------------------------------------------------------------- Attack


@dataclass(frozen=True)
class Goal:
    """What the network shall answer: `label`, or without a target anything else."""

    label: int
    targeted: bool

    def met(self, logits: np.ndarray) -> bool:
        """Whether the network has been fooled."""
        return bool((logits.argmax() == self.label) == self.targeted)


def goal_for(classifier: Classifier, photo: np.ndarray, target: str | None) -> Goal:
    """UserError if the network has no such class, with near ones, or calls the photo that already."""
    answer = int(classifier.logits_of(photo).argmax())
    if target is None:
        return Goal(answer, targeted=False)
    names, wanted = [plain(label) for label in classifier.labels], plain(target)
    if wanted not in names:
        near = suggest(wanted, names) or f" It knows {', '.join(names[:: max(len(names) // 4, 1)])} and so on."
        raise UserError(f"{classifier.name} has no class {target!r}.{near}")
    if names[answer] == wanted:
        raise UserError(f"{classifier.name} calls the photo {wanted} already: choose another --target.")
    return Goal(names.index(wanted), targeted=True)


def plain(label: str) -> str:
    """Golf_ball as golf ball."""
    return label.strip().lower().replace("_", " ")


def craft(config: Attack, attacker: attacks.Attacker, photo: np.ndarray, goal: Goal) -> np.ndarray:
    """The adversarial photo, uint8, in the photo's own size."""
    epsilon, given = share(config.epsilon), (photo[None], np.array([goal.label]))
    if config.attack == "fgsm":
        return attacker.fgsm(*given, epsilon, targeted=goal.targeted)[0]
    steps = config.steps or (40 if goal.targeted else 10)
    return attacker.pgd(*given, epsilon, steps, targeted=goal.targeted)[0]


@dataclass
class Saved:
    """An adversarial photo, read from its file, beside the photo that it was made from."""

    path: Path
    original: np.ndarray
    picture: np.ndarray
    fooled: bool

    @property
    def change(self) -> np.ndarray:
        """In grey levels, int16."""
        return self.picture.astype(np.int16) - self.original


def save(path: Path, found: np.ndarray, original: np.ndarray, classifier: Classifier, goal: Goal) -> Saved:
    """Write an adversarial photo, and judge the file."""
    save_image(path, found)
    picture = load_image(path)
    return Saved(path, original, picture, goal.met(classifier.logits_of(picture)))


def attack(config: Attack) -> None:
    """Change a photo invisibly, so that a network calls it something else."""
    epsilon = checked(config)
    if config.sweep:
        return sweep(config)
    source = config.photo or next(path for path in sample_photos() if path.stem == "coffee")
    photo, sheet = load_image(source), lossless(config.output, f"{source.stem}.png")
    classifier = find_classifier(config.model, batch=1)
    goal, small = goal_for(classifier, photo, config.target), crop_square(photo, classifier.size)
    sizes = [(small, f"-{classifier.size}"), (photo, "")]
    results = []
    for original, ending in sizes[: 1 if photo.shape == small.shape else 2]:
        found = craft(config, classifier.attacker_at(original.shape), original, goal)
        path = output_path(sheet.parent, APP, f"{sheet.stem}-adversarial{ending}{sheet.suffix}")
        results.append(save(path, found, original, classifier, goal))
        assert np.abs(results[-1].change).max() <= attacks.grey_levels(epsilon), f"{path} goes beyond epsilon"
        if original is photo and len(results) == 2 and not results[-1].fooled:
            path.unlink()
    best = [result for result in results if result.path.exists()][-1]
    guesses = judged_terms(classifier, photo, best)
    save_image(sheet, equation(config, classifier, best, guesses))
    tell(classifier, results, best, guesses, attacks.noise(small, epsilon))
    print(f"The sheet: {sheet}")
    print(f"Try next: python apps/{APP}.py --attack pgd --target 'golf ball', or: python apps/{APP}.py my_photo.jpg")


# -------------------------------------------------------------------------------------------------------- Sheet


def magnified(change: np.ndarray) -> np.ndarray:
    """What was added, stretched to the whole range; grey is nothing."""
    return np.rint(127.5 + 127.5 / max(np.abs(change).max(), 1) * change).astype(np.uint8)


def judged_terms(classifier: Classifier, photo: np.ndarray, saved: Saved) -> list[list[Guess]]:
    """What the network says of the photo, of the magnified change and of the adversarial photo."""
    return [classifier.guesses(term) for term in (photo, magnified(saved.change), saved.picture)]


def equation(config: Attack, classifier: Classifier, saved: Saved, guesses: list[list[Guess]]) -> np.ndarray:
    """The sheet: photo + perturbation = adversarial photo, uint8 (H, W, 3)."""
    height, width, _ = saved.picture.shape
    middle = "the sign of the gradient" if config.attack == "fgsm" else "the perturbation, magnified"
    shown = {"the photo": saved.original, middle: magnified(saved.change), "their sum": saved.picture}
    terms = [
        Term(title, crop_square(picture, min(height, width)), best, grainy=title == middle)
        for (title, picture), best in zip(shown.items(), guesses, strict=True)
    ]
    factor = f"{share(config.epsilon):.3f}".removeprefix("0")  # .008, as in the paper
    note = (
        f"{config.attack.upper()} on {classifier.name}, epsilon {config.epsilon}: "
        f"in the saved photo, {width} x {height}, "
        f"no pixel has moved by more than {np.abs(saved.change).max()} of 255 grey levels"
    )
    return draw_equation(terms, (f"+ {factor} x", "="), note, proud=saved.fooled)


def tell(
    classifier: Classifier, results: list[Saved], best: Saved, guesses: list[list[Guess]], noisy: np.ndarray
) -> None:
    """Say what came of it, with every file."""
    (before, sure), (after, now), (other, still) = guesses[0][0], guesses[2][0], classifier.guesses(noisy)[0]
    print(f"{percent(sure)} {before} + perturbation = {percent(now)} {after}, says {classifier.name}.")
    print(f"Noise as large as that: {percent(still)} {other}.")
    for saved, size in zip(results, ("the network's size", "the photo's own size"), strict=False):
        height, width, _ = saved.picture.shape
        answer, confidence = classifier.guesses(saved.picture)[0]
        verdict = f"{'fooled' if saved.fooled else 'NOT fooled'} by the saved file, {percent(confidence)} {answer}"
        print(f"In {size}, {width} x {height}: {verdict}: {saved.path if saved.path.exists() else 'not kept'}")
    if not best.fooled:
        print("Neither is enough: try --attack pgd, or a larger --epsilon.")


# --------------------------------------------------------------------------------------------- Folders of photos


@dataclass
class Photos:
    """Photos as a network takes them, and what they show."""

    pictures: np.ndarray
    """uint8 (n, size, size, 3)."""
    truth: np.ndarray
    """Classes of the network, int (n,)."""
    known: bool
    """False: nobody says what they show, and the network's own answers count."""


def open_photos(source: str, most: int, classifier: Classifier) -> Photos:
    """Up to `most` photos, spread evenly over a folder or a TFDS data set."""
    photos = [(crop_square(photo, classifier.size), wnid) for photo, wnid in labelled_photos(source, most)]
    pictures, wnids = np.stack([picture for picture, _ in photos]), [wnid for _, wnid in photos]
    if set(wnids) <= set(classifier.wnids):
        return Photos(pictures, np.array([classifier.wnids.index(wnid) for wnid in wnids]), known=True)
    return Photos(pictures, classifier.attacker.logits(pictures).argmax(-1), known=False)


def judged(classifier: Classifier, photos: Photos) -> str:
    """A line for a person."""
    by = "the ImageNet classes in their names" if photos.known else "its own answers to the unchanged photos"
    return f"{classifier.name} ({len(classifier.labels)} classes): {len(photos.pictures)} photos, judged by {by}."


def accuracy(classifier: Classifier, pictures: np.ndarray, truth: np.ndarray) -> float:
    """In percent; NaN without pictures."""
    return 100 * float(np.mean(classifier.attacker.logits(pictures).argmax(-1) == truth)) if len(pictures) else np.nan


def changed(config: Attack, classifier: Classifier, photos: Photos) -> dict[str, Iterator[np.ndarray]]:
    """The photos under attack and under noise, for each epsilon of the sweep."""
    epsilons, given = [k / 255 for k in SWEPT], (photos.pictures, photos.truth)
    noisy = (attacks.noise(photos.pictures, epsilon) for epsilon in epsilons)
    if config.attack == "fgsm":
        return {"FGSM": classifier.attacker.sweep(*given, epsilons), "noise": noisy}
    steps = config.steps or 10
    return {f"PGD-{steps}": (classifier.attacker.pgd(*given, epsilon, steps) for epsilon in epsilons), "noise": noisy}


def sweep(config: Attack) -> None:
    """Accuracy against epsilon for a folder of photos, and under noise of the same size, plotted."""
    path, began_s, curves = lossless(config.output, "sweep.png"), time.perf_counter(), {}
    defended = [DEFENDED] if saved_models.in_box(DEFENDED) and config.model != DEFENDED else []
    for name in (config.model, *defended):
        classifier = find_classifier(name, BATCH)
        photos = open_photos(str(config.sweep), config.photos, classifier)
        if name in defended and not photos.known:
            say(f"{name} is left out: the photos are not all of its {len(classifier.labels)} classes.")
            continue
        if not curves:
            print(f"{'accuracy in %, epsilon in 1/255':42}{0:>7}" + "".join(f"{k:>7}" for k in SWEPT))
        clean = accuracy(classifier, photos.pictures, photos.truth)
        for kind, series in changed(config, classifier, photos).items():
            row = [clean, *(accuracy(classifier, pictures, photos.truth) for pictures in series)]
            curves[f"{classifier.name}, {kind}"] = (0, *SWEPT), row
            print(f"{classifier.name + ', ' + kind:42}" + "".join(f"{value:7.1f}" for value in row), flush=True)
        say(judged(classifier, photos))
    plot_curves(path, curves, "epsilon, in grey levels of 255", "accuracy in %", f"{len(photos.pictures)} photos")
    print(f"It took {time.perf_counter() - began_s:.0f} s. The plot: {path}")


def evaluate(config: Evaluate) -> None:
    """How many of the photos that a network names rightly it still names rightly after an attack."""
    epsilon, pgd = share(config.epsilon), f"PGD-{config.steps}"
    for row, name in enumerate(config.models):
        classifier = find_classifier(name, BATCH)
        photos = open_photos(config.data, config.photos, classifier)
        right = classifier.attacker.logits(photos.pictures).argmax(-1) == photos.truth
        pictures, truth = photos.pictures[right], photos.truth[right]
        cells = [100 * right.mean(), accuracy(classifier, attacks.noise(pictures, epsilon), truth)]
        cells.append(accuracy(classifier, classifier.attacker.fgsm(pictures, truth, epsilon), truth))
        cells.append(accuracy(classifier, classifier.attacker.pgd(pictures, truth, epsilon, config.steps), truth))
        if row == 0:
            print(f"right: of all photos, in %; then, of those, the share still right at epsilon {config.epsilon}")
            print(f"{'':32}{'photos':>8}{'right':>8}{'noise':>8}{'FGSM':>8}{pgd:>8}")
        print(f"{classifier.name:32}{len(right):8}" + "".join(f"{cell:8.1f}" for cell in cells), flush=True)
        say(judged(classifier, photos))


if __name__ == "__main__":
    cli.run(__doc__, attack, {"evaluate": evaluate})
