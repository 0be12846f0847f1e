"""Why did you do that? Six explanations of a network's answer side by side, and how far each can be trusted.

    python apps/explain.py PHOTO                         what on the photo the answer hangs on, by six methods
    python apps/explain.py PHOTO --why espresso --against cup
    python apps/explain.py PHOTO --change-to "golf ball"       the smallest change that would make it that
    python apps/explain.py PHOTO --model image_captioner       each word of a sentence: gradient beside attention
    python apps/explain.py --model dqn_breakout                a film: what the Q-values hang on
    python apps/explain.py evaluate --data FOLDER              deletion, insertion, pointing, and the sanity check

Method: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), integrated gradients (Sundararajan et al. 2017,
arXiv:1703.01365), SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825), occlusion (Zeiler & Fergus 2014,
arXiv:1311.2901), RISE (Petsiuk et al. 2018, arXiv:1806.07421), guided back-propagation (Springenberg et al. 2015,
arXiv:1412.6806), all on any Keras network of photos. Not each of them explains: see the sanity check (Adebayo et al.
2018, arXiv:1810.03292) in docs/explain.md, where all results are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.explain import agents, captions, measures, sheets
from apps.parts.explain.asked import BATCH, asked_about, network_of
from apps.parts.explain.change import smallest_change
from apps.parts.explain.questions import Asked
from apps.parts.explain.scores import Curves, curves
from shared import cli, saved_models
from shared.atari.agents import load_policy
from shared.atari.recording import record_game
from shared.console import print_each, say
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.data.sizes import crop_square, resize
from shared.decoding.captioner import NAME as CAPTIONER
from shared.decoding.captioner import load_captioner
from shared.drawing.film import Film
from shared.drawing.pictures import picture_path
from shared.errors import UserError
from shared.files import output_path
from shared.settings import Range, Seed, Settings

APP, CLASSIFIER, ROBUST = "explain", "photo_classifier", "photo_classifier_robust"
GREY = 127.0


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Explain(Settings):
    """Explain a network's answer: maps over the photo, with scores that tell how far to trust them."""

    photo: tyro.conf.Positional[Path | None] = None
    """A photo file; by default scikit-image's cat."""
    model: str = CLASSIFIER
    """A name in saved_models/ (image_captioner and dqn_breakout, too), a .keras file, or one of keras.applications."""
    why: str | None = None
    """The class that is asked about; by default the network's answer."""
    against: str | None = None
    """Another class: what speaks for the first and against this one?"""
    change_to: str | None = None
    """Instead of maps: the smallest change that makes it this class; without --model, on the robust network."""
    layer: str | None = None
    """The layer whose maps Grad-CAM takes; by default the last one with places."""
    seconds: Annotated[float, Range(1, 60)] = 20
    """How long the film of a game is."""
    start: Annotated[float, Range(0, 280)] = 0
    """The second of the game at which the film begins."""
    seed: Seed = 1
    """Of the game, and of the random masks and noise."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture or the film goes."""


@dataclass
class Evaluate(Settings):
    """Recompute the figures of docs/explain.md: deletion, insertion, pointing, completeness and the sanity check."""

    data: Path = Path("imagenet_sample")
    """A folder of photos, their ImageNet class (n02102040) in the names of files or folders."""
    boxes: Path | None = None
    """A folder such as coco128, with images/, labels/ and classes.txt, for the pointing game."""
    side: Annotated[int | None, Range(32, 1024)] = None
    """Pixels of a photo's side in the pointing game; by default the network's own. Larger: maps of more places."""
    model: str = CLASSIFIER
    """A name in saved_models/, a .keras file, or a name in keras.applications."""
    photos: Annotated[int, Range(1, 100_000)] = 250
    """How many photos to take, spread evenly."""
    methods: tuple[str, ...] = ()
    """Only these, such as Grad-CAM; by default all six."""
    checked: Annotated[int, Range(1, 10_000)] = 20
    """How many of them the sanity check and the completeness of integrated gradients take."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture of the sanity check goes."""


# -------------------------------------------------------------------------------------------------------- Methods
#
# Each takes a network that is asked something and a photo, float32 (H, W, 3), and gives a map, float32 (H, W): larger
# where more of the answer hangs on.


def grad_cam(asked: Asked, photo: np.ndarray) -> np.ndarray:
    """The maps of the last layer with places, each weighted by the mean gradient of the score for it; what is positive.

    Equations 1 and 2 of Selvaraju et al. 2017.
    """
    maps, gradient = asked.maps(photo)  # (rows, columns, maps)
    weights = gradient.mean(axis=(0, 1))
    return enlarged(np.maximum(maps @ weights, 0), photo.shape[:2])


def integrated_gradients(asked: Asked, photo: np.ndarray, steps: int = 64) -> np.ndarray:
    """How much each pixel adds on the straight way from black to the photo."""
    return np.abs(attributions(asked, photo, steps)).sum(axis=-1)


def attributions(asked: Asked, photo: np.ndarray, steps: int = 64) -> np.ndarray:
    """Integrated gradients of each value, (H, W, 3): they sum up to the difference of scores between photo and black.

    Equation 3 of Sundararajan et al. 2017, by the midpoint rule in u, where the way is u^2 of the photo: near black the
    gradient changes fastest.
    """
    u = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    gradients = asked.gradients(np.square(u)[:, None, None, None] * photo)
    return photo * np.tensordot(2 * u / steps, gradients, axes=1)


def smooth_grad(asked: Asked, photo: np.ndarray, samples: int = 32, noise: float = 0.15, seed: int = 0) -> np.ndarray:
    """The mean size of the gradient around the photo: noise of 15 % of the range."""
    normal = np.random.default_rng(seed).standard_normal((samples, *photo.shape), np.float32)
    gradients = asked.gradients(photo + 255 * noise * normal)
    return np.abs(gradients.mean(axis=0)).sum(axis=-1)


def occlusion(asked: Asked, photo: np.ndarray, places: int = 12) -> np.ndarray:
    """How far the answer falls when a grey square covers a place; squares are a fifth of the photo wide."""
    height, width, _ = photo.shape
    tall, wide = height // 5, width // 5
    tops = np.linspace(0, height - tall, places).round().astype(int)
    lefts = np.linspace(0, width - wide, places).round().astype(int)
    covered = np.repeat(photo[None], places * places, axis=0)
    for n, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        covered[n, top : top + tall, left : left + wide] = GREY
    falls = asked.answers(photo[None]) - asked.answers(covered)
    total, count = np.zeros((height, width)), np.full((height, width), 1e-9)
    for fall, (top, left) in zip(falls, ((top, left) for top in tops for left in lefts), strict=True):
        total[top : top + tall, left : left + wide] += fall
        count[top : top + tall, left : left + wide] += 1
    return (total / count).astype(np.float32)


def rise(asked: Asked, photo: np.ndarray, masks: int = 256, cells: int = 7, seed: int = 0) -> np.ndarray:
    """The mean of random soft masks, each weighted by the answer through it (half of the cells are open)."""
    rng = np.random.default_rng(seed)
    height, width, _ = photo.shape
    total = np.zeros((height, width))
    for _ in range(-(-masks // asked.batch)):
        drawn = np.stack([random_mask(rng, height, width, cells) for _ in range(asked.batch)])
        answers = asked.answers(photo * drawn[..., None])
        total += np.tensordot(answers, drawn - 0.5, axes=1)  # less their mean: what is always open says nothing
    return (total / masks).astype(np.float32)


def random_mask(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """A grid of open and closed cells, enlarged smoothly and shifted by chance, float32 (height, width), 0 to 1."""
    tall, wide = -(-height // cells), -(-width // cells)
    grid = (rng.random((cells + 1, cells + 1)) < 0.5).astype(np.float32)
    large = enlarged(grid, ((cells + 1) * tall, (cells + 1) * wide))
    top, left = rng.integers(tall), rng.integers(wide)
    return large[top : top + height, left : left + width]


def guided_backprop(asked: Asked, photo: np.ndarray) -> np.ndarray:
    """The gradient, where every ReLU lets back only what is positive. Sharp; but see the sanity check."""
    return np.abs(asked.guided_gradients(photo[None])[0]).sum(axis=-1)


def enlarged(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map in another size (height, width), bilinearly."""
    from PIL import Image

    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


METHODS: dict[str, Callable[[Asked, np.ndarray], np.ndarray]] = {
    "Grad-CAM": grad_cam,
    "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_grad,
    "occlusion": occlusion,
    "RISE": rise,
    "guided back-propagation": guided_backprop,
}


# --------------------------------------------------------------------------------------------------------- Verbs


def explanations(asked: Asked, photo: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Curves]]:
    """Each method's map for a photo, float32 (H, W, 3), and what deletion and insertion say of it."""
    maps = {name: method(asked, photo) for name, method in METHODS.items()}
    return maps, {name: curves(asked.answers, photo, found) for name, found in maps.items()}


def evaluate(config: Evaluate) -> None:
    """Recompute the figures of docs/explain.md, and draw the sanity check."""
    path = picture_path(config.output, APP, "sanity.png")
    if unknown := set(config.methods) - METHODS.keys():
        raise UserError(f"there is no method {min(unknown)}: there are {', '.join(METHODS)}.")
    if config.side and not config.boxes:
        raise UserError("--side is for the pointing game: give --boxes, too.")
    methods = {name: METHODS[name] for name in config.methods or METHODS}
    classifier = network_of(config.model)
    asked = Asked(classifier.network, 0)
    if config.boxes:
        measures.check_classes(classifier)
        pointing = asked.at(config.side or classifier.size)
    print_each(measures.deletion_lines(classifier, asked, methods, config.data, config.photos))
    print_each(measures.completeness_lines(classifier, asked, attributions, config.data, config.checked))
    if config.boxes:
        print_each(measures.pointing_lines(pointing, methods, config.boxes))
    print_each(measures.sanity_lines(classifier, methods, config.data, config.checked, path))
    say(f"Each method with more and more weights made random: {path}")


def explain(config: Explain) -> None:
    """Explain a network's answer."""
    name = Path(config.model).name
    if name.startswith("dqn_"):
        explain_game(config, name.removeprefix("dqn_"))
        return
    path = picture_path(config.output, APP, "why.png")
    file = config.photo or next(sample for sample in sample_photos() if sample.stem == "chelsea")
    photo = load_image(file)
    if name == CAPTIONER:
        explain_caption(config, photo, path)
    elif config.change_to is not None:
        explain_change(config, photo, path)
    else:
        explain_answer(config, photo, path)
    say(f"Try next: python apps/{APP}.py YOUR_PHOTO.jpg --why CLASS --against CLASS, or --model {CAPTIONER}")


def explain_answer(config: Explain, photo: np.ndarray, path: Path) -> None:
    """Six maps, their scores and their curves."""
    classifier = network_of(config.model)
    seen = crop_square(photo, classifier.size)
    network = Asked(classifier.network, 0, layer=config.layer, batch=BATCH)
    asked, question = asked_about(classifier, network, seen, config.why, config.against)
    say(f"Grad-CAM takes the maps of the layer {asked.tapped.name}.")
    maps, found = explanations(asked, seen.astype(np.float32))
    print(question)
    for name, each in found.items():
        deletion, insertion = each.areas
        print(f"  {name:24} deletion {deletion:.3f} (low is good), insertion {insertion:.3f} (high is good)")
    sheets.save_maps(path, seen, question, maps, found)
    say(f"The maps: {path}")


def explain_change(config: Explain, photo: np.ndarray, path: Path) -> None:
    """The smallest change of the photo that makes it another class."""
    robust = config.model == CLASSIFIER and saved_models.is_shipped(ROBUST)
    classifier = network_of(ROBUST if robust else config.model, batch=1)
    seen = crop_square(photo, classifier.size)
    label = classifier.class_named(str(config.change_to))
    before, share = classifier.guesses(seen, 1)[0]
    if before == classifier.labels[label]:
        raise UserError(f"{classifier.name} calls this photo {before} already: name another class with --change-to.")
    found = smallest_change(classifier, seen, label)
    if found is None:
        raise UserError(
            f"no change of up to 64 grey levels a pixel makes {classifier.name} call it {config.change_to}."
        )
    changed, levels = found
    after, new_share = classifier.guesses(changed, 1)[0]
    print(
        f"{classifier.name}: {before} ({share:.1%}) becomes {after} ({new_share:.1%}) by {levels} of 255 grey levels."
    )
    texts = [f"{before} ({share:.0%})", f"{after} ({new_share:.0%})", f"the change, at most {levels} levels, x 5"]
    sheets.save_change(path, seen, changed, texts)
    say(f"Before, after, and the difference: {path}")


def explain_caption(config: Explain, photo: np.ndarray, path: Path) -> None:
    """For each word of a caption, the gradient beside the attention."""
    captioner = load_captioner(None if config.model == CAPTIONER else Path(config.model))
    caption, words = captions.explained(captioner, photo)
    print(caption.text)
    for word, _, _, agreement in words:
        print(f"  {word:16} gradient and attention agree {agreement:+.2f}")
    mean = float(np.mean([agreement for *_, agreement in words]))
    print(f"  on average {mean:+.2f} (rank correlation over the cells of the photo)")
    size = 224, 224
    large = [(word, enlarged(one, size), enlarged(other, size), agreement) for word, one, other, agreement in words]
    sheets.save_words(path, resize(photo, *size), large)
    say(f"What each word hangs on: {path}")


def explain_game(config: Explain, game: str) -> None:
    """A film of a game with what the Q-values hang on."""
    path = output_path(config.output, APP, f"{game}.webp")
    Film(path, fps=15)  # a wrong ending is refused before the game
    policy = load_policy(game, Path(config.model))
    steps = round(15 * (config.start + config.seconds))
    played = record_game(policy, game, seed=config.seed, epsilon=0.01, sticky=0.0, max_steps=steps)
    total = agents.film_saliency(policy, played, path, config.seconds, config.start)
    print_each(agents.where(total))
    print(f"Film of seed {config.seed}, {played.score:.0f} points; red is what the Q-values hang on: {path}")


if __name__ == "__main__":
    cli.run(__doc__, explain, {"evaluate": evaluate})
