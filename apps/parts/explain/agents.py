"""What the Q-values of a game's network hang on, laid over a film of the game.

The screen is blurred at one place after the other (Greydanus et al. 2018, arXiv:1711.00138).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.atari.games import STEPS_PER_SECOND, Games, Policy
from shared.atari.recording import RecordedGame, report_at_terminal
from shared.drawing.film import Film

SPACING, SPREAD = 5, 5.0  # pixels of 84: between the places, and of the Gaussian around each
BLUR = 3.0  # pixels


def _masks() -> tuple[np.ndarray, int]:
    """A Gaussian around each place, float32 (places, 84, 84, 1), and how many places a row has."""
    centres = np.arange(2, 84, SPACING)
    axis = np.exp(-0.5 * np.square((np.arange(84) - centres[:, None]) / SPREAD))
    masks = axis[:, None, :, None] * axis[None, :, None, :]
    return masks.reshape(-1, 84, 84, 1).astype(np.float32), len(centres)


def saliency(policy: Policy, observation: np.ndarray) -> np.ndarray:
    """How far the Q-values move when each place of the screens, uint8 (84, 84, 4), is blurred: float32 (84, 84).

    Half the squared distance of the Q-values, equation 2 of the paper.
    """
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    masks, side = _masks()
    sharp = observation.astype(np.float32)
    soft = gaussian_filter(sharp, (BLUR, BLUR, 0))
    changed = (sharp + masks * (soft - sharp)).round().astype(np.uint8)
    values = policy(np.concatenate([observation[None], changed]))
    moved = 0.5 * np.square(values[1:] - values[:1]).sum(axis=-1).reshape(side, side)
    return np.asarray(Image.fromarray(moved.astype(np.float32)).resize((84, 84), Image.Resampling.BICUBIC))


def observations(game: RecordedGame) -> Iterator[np.ndarray]:
    """What the agent saw before each of its actions, uint8 (84, 84, 4)."""
    games = Games(game.name, 1, seed=game.seed, sticky=game.sticky, threads=1)
    try:
        for action in game.actions:
            yield games.observations[0].copy()
            games.step(np.array([action]))
    finally:
        games.close()


def film_saliency(policy: Policy, game: RecordedGame, path: Path, seconds: float, start: float = 0.0) -> np.ndarray:
    """Film a game with what the Q-values hang on in red; return the sum of all maps, (84, 84)."""
    from PIL import Image

    first, last = (round(time * STEPS_PER_SECOND) for time in (start, start + seconds))
    total, recent = np.zeros((84, 84)), 1e-9
    with Film(path, fps=STEPS_PER_SECOND, quality=80) as film:
        for n, ((screen, _), seen) in enumerate(zip(game.screens(), observations(game), strict=True)):
            if n >= last:
                break
            if n < first:
                continue
            importance = np.maximum(saliency(policy, seen), 0)
            total += importance
            recent = max(0.95 * recent, float(importance.max()))  # a fixed scale would flicker or show nothing
            large = Image.fromarray((255 * np.clip(importance / recent, 0, 1)).astype(np.uint8))
            share = np.asarray(large.resize(screen.shape[1::-1], Image.Resampling.BILINEAR))[..., None] / 255
            red = np.array([255, 40, 40])
            frame = (screen * (1 - 0.7 * share) + red * 0.7 * share + 20 * share).clip(0, 255).astype(np.uint8)
            film.add(frame.repeat(2, axis=0).repeat(2, axis=1))
            if n % 20 == 0:
                report_at_terminal(game)
    return total


def where(total: np.ndarray) -> Iterator[str]:
    """Which parts of the screen the Q-values hung on, on average."""
    share = total / max(float(total.sum()), 1e-9)
    bands = {
        "score (top)": slice(0, 13),
        "upper third": slice(13, 36),
        "middle": slice(36, 62),
        "lowest fifth": slice(62, 84),
    }
    for name, rows in bands.items():
        yield f"  {name:14} {share[rows].sum():.0%} of what they hang on"
