"""Sound for a silent film: a network watches an Atari game, hears nothing, and makes the soundtrack.

    python apps/silent_film.py                            Breakout, with the sound that the network imagines
    python apps/silent_film.py --game space_invaders --both   left ear: the true sound; right ear: the network's
    python apps/silent_film.py FILM.mp4 -o sound.mp4      sound for a silent film of such a game
    python apps/silent_film.py train                      learns from games that it plays; --quick takes minutes
    python apps/silent_film.py evaluate                   recomputes the numbers of the model card

Method: Owens et al. 2016, "Visually indicated sounds", arXiv:1512.08512. Small convolutions see each frame and how it
differs from the one before; a recurrent layer remembers; for each frame it says which kind of sound is heard. The sound
itself is an example of that kind from the games that it learned from. An emulator gives silent film and true sound for
nothing, so that what is right is known exactly. Films with sound need PyAV: `pip install -r requirements-video.txt`.
Measured results, with hardware and time, are in saved_models/silent_film/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.silent_film import measures, output, played
from apps.parts.silent_film.dubber import Dubber
from apps.parts.silent_film.played import HEIGHT, WIDTH, Track
from apps.parts.silent_film.sounds import Book
from shared import cli, saved_models, settings
from shared.atari.agents import policy_for
from shared.atari.games import check_game
from shared.console import print_each, say
from shared.errors import UserError
from shared.settings import Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.losses import mean_of_batch
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "silent_film"
UNKNOWN = -1  # a kind of sound that is not asked for


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Watch(Settings):
    """Make the sound of a game, or of a silent film of one."""

    film: tyro.conf.Positional[Path | None] = None
    """A film file; without one, a game is played by the trained agent and filmed."""
    game: str = "breakout"
    """ROM name of the game to play."""
    seconds: Annotated[float, Range(1, 600)] = 30.0
    """How long the game is."""
    seed: Annotated[int, Range(0, 2**31 - 2000)] = 1
    """Seed of the game."""
    true: bool = False
    """The true sound instead, to compare; only of a game."""
    both: bool = False
    """Left ear: the true sound; right ear: the network's; only of a game."""
    model: Path | None = None
    """A model.keras file, with config.json and sounds.npz beside it, or their folder; by default the shipped one."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where it goes: .webm, .mp4 or .mkv for the film, .wav for the sound alone."""


@dataclass
class Train(Training):
    """Learn what is heard; the network with the lowest loss on games of other seeds is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 8, "frames": 1024}

    run: Path = Path("outputs/silent_film/train")
    games: tuple[str, ...] = ("breakout", "space_invaders")
    """ROM names; where an agent is shipped it plays five games of six, else all are random."""
    epochs: Annotated[int, Range(1, 600)] = 40
    """Each has new games: six of every ROM."""
    frames: Annotated[int, Range(256, 36_000)] = 4096
    """Frames of each game, 60 a second."""
    length: Annotated[int, Range(16, 1024)] = 128
    """Frames in a line to learn from."""
    batch: Annotated[int, Range(1, 1024)] = 8
    """Lines in a batch."""
    kinds: Annotated[int, Range(2, 1000)] = 48
    """Kinds of sounds of each game."""
    ahead: Annotated[int, Range(0, 30)] = 3
    """Frames that it may look ahead before it says what is heard."""
    units: Annotated[int, Range(8, 4096)] = 128
    """Size of the recurrent layer's state."""
    rare: Annotated[float, Range(0, 1)] = 0.5
    """Weight of a rare kind: 0 counts frames alike, so that silence has most to say; 1 counts kinds alike."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 2e-3
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: when sounds begin, how high and how loud, beside simple rules."""

    games: tuple[str, ...] = ("breakout", "space_invaders", "pong")
    """ROM names; one that it never learned from is honest."""
    count: Annotated[int, Range(1, 1000)] = 20
    """Games of each, all of unseen seeds."""
    seconds: Annotated[int, Range(2, 600)] = 60
    """Of each game."""
    seed: Annotated[int, Range(0, 2**31 - 2000)] = 900_000
    """Of the first game; training takes smaller ones."""
    model: Path | None = None
    """A model.keras file, with config.json and sounds.npz beside it, or their folder; by default the shipped one."""


# ------------------------------------------------------------------------------------------------------- Network


def sound_network(kinds: int, units: int, length: int, dtype: str = "float32") -> keras.Model:
    """[screens uint8 (batch, length + 1, 105, 80), memory (batch, units)] -> [logits (batch, length, kinds), memory].

    The first screen is the one before the first frame. The memory of what came before is zero at a film's beginning.
    """
    import keras
    from keras import layers, ops

    screens = keras.Input((length + 1, HEIGHT, WIDTH), dtype="uint8", name="screens")
    memory = keras.Input((units,), name="memory")
    bright = ops.cast(screens, "float32") / 255
    seen = ops.stack([bright[:, 1:], 4 * (bright[:, 1:] - bright[:, :-1])], axis=-1)  # (batch, length, 105, 80, 2)
    x = ops.reshape(seen, (-1, HEIGHT, WIDTH, 2))  # each frame by itself
    for filters, side, stride in ((16, 8, 4), (32, 4, 2), (32, 3, 1)):
        conv = layers.Conv2D(filters, side, stride, activation="relu", kernel_initializer="he_normal", dtype=dtype)
        x = conv(x)
    x = layers.Dense(192, kernel_initializer="he_normal", dtype=dtype)(layers.Flatten()(x))
    x = layers.ReLU()(layers.LayerNormalization()(x))
    x = ops.reshape(x, (-1, length, 192))
    heard, state = layers.GRU(units, return_sequences=True, return_state=True, name="memory_of")(
        x, initial_state=memory
    )
    logits = layers.Dense(kinds, dtype="float32", name="kinds")(layers.Concatenate()([x, heard]))
    return keras.Model([screens, memory], [logits, ops.cast(state, "float32")], name=APP)


def loss_of(weights: np.ndarray) -> Any:
    """Cross entropy of (kinds int32 (batch, time), logits), each kind with its weight; unknown kinds do not count."""
    from keras import ops

    def loss(kinds: Any, logits: Any) -> Any:
        wanted = ops.one_hot(kinds, len(weights)) * weights  # UNKNOWN is a row of zeros
        entropy = -ops.sum(wanted * ops.log_softmax(logits), axis=-1)  # (batch, time)
        return entropy / ops.maximum(mean_of_batch(ops.sum(wanted, axis=-1)), 1e-6)

    return loss


def weights_of(kinds: np.ndarray, count: int, rare: float) -> np.ndarray:
    """The weight of each kind, float32 (count,): its share of the frames to the power of -rare, 1 on average."""
    shares = (np.bincount(kinds, minlength=count) + 1) / (len(kinds) + count)
    weights = shares**-rare
    return (weights / (weights @ shares)).astype(np.float32)


# ---------------------------------------------------------------------------------------------------------- Data


def games_of(config: Train, first_seed: int) -> list[Track]:
    """Six stretches of every game; five of them by its agent, if one is shipped."""
    found = []
    for n, game in enumerate(config.games):
        policy, seed = policy_for(game), first_seed + 100 * n
        skip = int(np.random.default_rng(seed).integers(played.SKIP))
        seeds = list(range(seed, seed + 6))
        found += played.tracks(policy, game, seeds[:5], config.frames, 0.05, skip)
        found += played.tracks(None, game, seeds[5:], config.frames, 1.0)
    return found


def first_book(config: Train) -> tuple[Book, np.ndarray]:
    """The book of the sounds of the first games, each game's kinds after another's, and what kind each frame is.

    With --init it is the book of that network, whose kinds mean what they meant.
    """
    tracks = games_of(config, 1)
    books = (
        []
        if config.init
        else [
            Book.of([track.sounds for track in tracks[first : first + 6]], config.kinds, config.seed)
            for first in range(0, len(tracks), 6)
        ]
    )
    book = load(config.init).book if config.init else Book.joined(books, [track.sounds for track in tracks])
    return book, np.concatenate([book.kinds_of(track.sounds) for track in tracks])


def epoch_of(config: Train, book: Book, epoch: int) -> list[tuple]:
    """An epoch's lines, shuffled: the same for the same settings and epoch."""
    rng = np.random.default_rng([config.seed, epoch])
    found: list[tuple] = []
    for track in games_of(config, 1000 * (epoch + 1)):
        found += played.lines(track, book.kinds_of(track.sounds), config.length, config.ahead, rng)
    return [found[n] for n in rng.permutation(len(found))]


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> Train:
    """The settings to train with, or a UserError."""
    config = settings.resumed(config)
    for game in config.games:
        check_game(game)
    if config.frames < config.length or config.ahead >= config.length:
        raise UserError("--length must be above --ahead, and at most --frames.")
    return settings.begin(config)


def fit(config: Train, precision: str) -> float:
    """The training itself; returns the lowest loss on games of other seeds."""
    book, kinds = first_book(config)
    book.save(config.run)
    count = len(book.centres)
    network = sound_network(count, config.units, config.length, precision)
    shipped = sound_network(count, config.units, config.length)
    if config.init:
        saved_models.start_from(shipped, config.init, games=list(config.games))
        network.set_weights(shipped.get_weights())
    steps = max(6 * len(config.games) * (config.frames // config.length) // config.batch, 1)
    loss = loss_of(weights_of(kinds, count, config.rare))
    network.compile(adamw(config.epochs * steps, config.learning_rate, average=config.average), [loss, None])
    held_out = games_of(config, 800_000)
    dubber = Dubber(shipped, book, config.ahead, config.games)
    say(f"{count} kinds of sounds; {np.mean(kinds == 0):.0%} of frames silent; {shipped.count_params():,} parameters.")

    def batches(epoch: int) -> Iterator[tuple]:
        while True:
            found = epoch_of(config, book, epoch)
            for first in range(0, steps * config.batch, config.batch):
                rows = [found[n % len(found)] for n in range(first, first + config.batch)]
                screens, heard = (np.stack(part) for part in zip(*rows, strict=True))
                yield (screens, np.zeros((len(screens), config.units), np.float32)), heard
            epoch += 1

    def validate() -> float:
        shipped.set_weights(network.get_weights())
        return measures.cross_entropy(dubber, held_out)

    def save_best(epoch: int, value: float) -> None:
        record = {"epoch": epoch, "val_loss": value}
        saved_models.save(shipped, config.run, asdict(config) | record)

    options: dict[str, Any] = {"epochs": config.epochs, "steps": steps, "resume": config.resume}
    return fit_loop.fit(network, batches, validate, save_best, config.run, **options)


def train(config: Train) -> None:
    """Learn what is heard in games that it plays itself; Ctrl-C saves, --resume goes on."""
    config = checked(config)
    with devices.training(config) as device:
        best = fit(config, device.precision)
    print(f"Lowest loss on games of other seeds: {best:.4f}. The model and its curve are in {config.run}.")
    print(f"Listen: python apps/{APP}.py --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers on games of unseen seeds, beside silence, the score's changes and others."""
    for game in config.games:
        check_game(game)
    dubber = load(config.model)
    print(f"{dubber.network.count_params():,} parameters, {len(dubber.book.centres)} kinds of sounds")
    for game in config.games:
        print_each(measures.table(dubber, game, config.count, config.seconds, config.seed))


# ---------------------------------------------------------------------------------------------------------- Demo


def load(model: Path | None = None) -> Dubber:
    """A saved network, ready to dub films, with its book of sounds; UserError if this app did not train it."""
    network, record = saved_models.load_for(APP, model)
    ahead, games = record.get("ahead"), record.get("games", [])
    if network.name != APP or len(network.outputs) != 2 or not isinstance(ahead, int) or not isinstance(games, list):
        raise UserError(f"{model or APP} is not a network that this app trained.")
    folder = saved_models.folder_of(model or saved_models.MODELS / APP)
    return Dubber(network, Book.load(folder, network.outputs[0].shape[-1]), ahead, games)


def watch(config: Watch) -> None:
    """Make the sound of a game or a film."""
    if config.film is not None:
        if config.true or config.both:
            raise UserError("--true and --both are for a game: what a film should sound like is not known.")
        output.add_sound(config.film, config.output, partial(load, config.model))
        return
    check_game(config.game)
    path = output.path_for(config.output, config.game)
    ears: output.Ears = "true" if config.true else "both" if config.both else "predicted"
    dubber, policy = load(config.model), policy_for(config.game)
    if policy is None:
        say(f"No agent for {config.game} is shipped: it is played at random.")
    if config.game not in dubber.games:
        say(f"{dubber.knows} It never learned {config.game}.")
    output.film_game(dubber, policy, config.game, config.seed, config.seconds, ears, path)
    say(f"Try next: python apps/{APP}.py --game space_invaders --both, or a film of your own")


if __name__ == "__main__":
    cli.run(__doc__, watch, {"train": train, "evaluate": evaluate})
