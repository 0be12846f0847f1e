"""The film of a recorded game: the colour screen with score, time and Q-values beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from shared.atari.games import STEPS_PER_SECOND, action_names
from shared.atari.recording import RecordedGame
from shared.drawing.bars import bar_panel
from shared.drawing.film import Film

FILM_SECONDS = 60  # at most: of a longer game only every k-th step is filmed
PANEL_WIDTH = 200  # pixels
SCALE = 2  # pixels of the film for one pixel of the screen, in both directions


def film_game(game: RecordedGame, path: Path, on_frame: Callable[[np.ndarray, float], None] | None = None) -> int:
    """Film every k-th step of a game, so that FILM_SECONDS are enough; return k.

    `on_frame` is called with each frame, uint8 (height, width, 3), and the seconds that it lasts.
    """
    every = -(-len(game.actions) // (FILM_SECONDS * STEPS_PER_SECOND))
    names = action_names(game.name)
    limits = float(np.min(game.values)), float(np.max(game.values))
    score = 0.0
    with Film(path, fps=STEPS_PER_SECOND) as film:
        for step, (screen, points) in enumerate(game.screens()):
            if step % every == 0:
                picture = screen.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
                size = (PANEL_WIDTH, len(picture))
                heading = (("SCORE", f"{score:.0f}"), ("TIME", f"{step / STEPS_PER_SECOND:.0f} s"))
                bars = bar_panel(size, heading, names, game.values[step], limits, game.actions[step], "Q-values")
                frame = np.hstack([picture, bars])
                film.add(frame)
                if on_frame is not None:
                    on_frame(frame, 1 / STEPS_PER_SECOND)
            score += points
    return every
