"""The films, soundtracks and pictures that a game or a silent film becomes."""

from __future__ import annotations

import tempfile
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from apps.parts.silent_film import sounds
from apps.parts.silent_film.emulator import FRAMES_PER_SECOND, QUIET, SAMPLE_RATE, play_with_sound
from apps.parts.silent_film.played import halved
from shared.atari.games import SCREEN, Policy
from shared.console import at_terminal, say
from shared.data.video import ENDINGS, has_video, join, needs_video, open_video
from shared.drawing.curves import save_figure
from shared.drawing.film import Film
from shared.drawing.video import VideoFile
from shared.errors import UserError
from shared.files import output_path, write_atomically

if TYPE_CHECKING:
    from apps.parts.silent_film.dubber import Dubber

APP = "silent_film"
SCALE = 2  # pixels of the film for one of the screen
EPSILON = 0.01
PICTURED = 20  # seconds of the picture at most
Ears = Literal["predicted", "true", "both"]


# --------------------------------------------------------------------------------------------------------------- Sound


@contextmanager
def wave_file(path: Path, ears: int) -> Iterator[Callable[..., None]]:
    """A function that appends one frame of sound, uint8 (512,) for each ear, to a .wav file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(ears)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)

        def add(*frames: np.ndarray) -> None:
            samples = np.stack(frames, axis=-1).astype(np.int16) - QUIET
            file.writeframes((samples * 200).astype("<i2").tobytes())

        yield add


# --------------------------------------------------------------------------------------------------------------- Games


def path_for(requested: Path | None, game: str) -> Path:
    """Where the film of a game goes, or its sound alone: UserError for an ending that cannot be written."""
    path = output_path(requested, APP, f"{game}.webm" if has_video() else f"{game}.wav")
    ending = path.suffix.lower()
    if ending in ENDINGS:
        needs_video()
    elif ending != ".wav":
        raise UserError(f"{path.name} must end in {', '.join(ENDINGS)}, or in .wav for the sound alone.")
    if requested is None and ending == ".wav":
        say("Films with sound need PyAV (`pip install -r requirements-video.txt`): here are sound and pictures apart.")
    return path


def film_game(
    dubber: Dubber, policy: Policy | None, game: str, seed: int, seconds: float, ears: Ears, path: Path
) -> None:
    """Play and film a game, forget its sound, make another one, and say where all is."""
    frames = round(seconds * FRAMES_PER_SECOND)
    true: list[np.ndarray] = []
    sound_alone = path.suffix.lower() == ".wav"
    with tempfile.TemporaryDirectory() as folder, write_atomically(path) as target:
        silent = Path(folder) / f"silent{path.suffix}"
        if sound_alone:
            silent = output_path(path.parent, APP, f"{path.stem}.webp")
        film = Film(silent, FRAMES_PER_SECOND // 4) if sound_alone else VideoFile(silent, FRAMES_PER_SECOND)
        with film:
            made = list(dubber.sounds(_screens(policy, game, seed, frames, film, true)))
        track = target if sound_alone else Path(folder) / "sound.wav"
        with wave_file(track, 2 if ears == "both" else 1) as add:
            for one, other in zip(true, made, strict=True):
                add(*((one, other) if ears == "both" else (one,) if ears == "true" else (other,)))
        if not sound_alone:
            join(silent, track, target)
    picture = output_path(path.parent, APP, f"{path.stem}.png")
    save_picture(picture, {"true": np.stack(true), "predicted": np.stack(made)})
    what = {"true": "its true sound", "predicted": "the sound that the network imagines"}
    print(f"{game}, {seconds:.0f} seconds, with {what.get(ears, ' and '.join(what.values()))}: {path}")
    if sound_alone:
        print(f"The silent film: {silent}")
    print(f"True and predicted loudness and tones: {picture}")


def _screens(
    policy: Policy | None, game: str, seed: int, frames: int, film: VideoFile | Film, true: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """The screens of a game, half-size, the first one twice; meanwhile it is filmed, and its true sound kept."""
    played = play_with_sound(policy, game, [seed], epsilon=EPSILON, colour=True)
    for n, frame in enumerate(islice(played, frames)):
        assert frame.colour is not None
        true.append(frame.sounds[0])
        if isinstance(film, VideoFile) or n % 4 == 0:
            film.add(frame.colour[0].repeat(SCALE, axis=0).repeat(SCALE, axis=1))
        small = halved(frame.grey)[0]
        if not n:
            yield small
        yield small


# --------------------------------------------------------------------------------------------------------------- Films


def add_sound(film: Path, requested: Path | None, load: Callable[[], Dubber]) -> None:
    """Make sound for a film of a game, and write the film with it; the pictures are copied as they are."""
    ending = film.suffix.lower() if film.suffix.lower() in ENDINGS else ".mkv"
    path = output_path(requested, APP, f"{film.stem}-sound{ending}")
    if path.suffix.lower() not in (*ENDINGS, ".wav"):
        raise UserError(f"{path.name} must end in {', '.join(ENDINGS)}, or in .wav for the sound alone.")
    began_s = time.perf_counter()
    with ExitStack() as stack:
        video = stack.enter_context(open_video(film, (SCREEN[0], SCREEN[1]), grey=True))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(write_atomically(path))
        track = target if path.suffix.lower() == ".wav" else folder / "sound.wav"
        count, dubber = 0, load()
        say(dubber.knows)
        with wave_file(track, 1) as add:
            for made in dubber.sounds(_steady(video)):
                add(made)
                count += 1
                if count % 600 == 0 and at_terminal():
                    say(f"\r{count / FRAMES_PER_SECOND:.0f} of {video.seconds:.0f} seconds ", end="")
        if track != target:
            join(film.expanduser().resolve(), track, target)
    lasted = time.perf_counter() - began_s
    print(f"{path}: {count / FRAMES_PER_SECOND:.1f} seconds of film, with sound after {lasted:.1f} s")


def _steady(video: Iterable[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
    """Half-size screens at 60 frames a second, the first one twice, of frames that last as long as they want."""
    shown, given = None, 0
    for second, frame in video:
        if shown is not None:
            while given < round(second * FRAMES_PER_SECOND):
                yield shown
                given += 1
        small = halved(frame[None])[0]
        if shown is None:
            yield small
        shown = small
    if shown is not None:
        yield shown


# ------------------------------------------------------------------------------------------------------------- Picture


def save_picture(path: Path, heard: dict[str, np.ndarray]) -> None:
    """Loudness and spectrum over time of two soundtracks, one above the other."""
    from matplotlib.figure import Figure

    count = min(len(heard["true"]), PICTURED * FRAMES_PER_SECOND)
    seconds = np.arange(count) / FRAMES_PER_SECOND
    figure = Figure((11, 7), layout="constrained", dpi=100)
    axes = figure.subplots(3, 1, sharex=True)
    for row, (name, track) in zip(axes[1:], heard.items(), strict=True):
        pitches = 20 * np.log10(sounds.spectrum(track[:count]).T + 30)
        row.imshow(pitches, aspect="auto", origin="lower", extent=(0, seconds[-1], 0.06, 15.4), cmap="magma")
        row.set_ylim(0.06, 4)
        row.set_ylabel("kHz")
        row.set_title(f"{name} sound: how loud each pitch is", loc="left", fontsize=10)
        axes[0].plot(seconds, sounds.loudness(track[:count]), label=name, linewidth=1)
    axes[0].set_ylabel("loudness (root mean square)")
    axes[0].legend(loc="upper right", ncols=2)
    axes[2].set_xlabel("seconds")
    save_figure(path, figure)
