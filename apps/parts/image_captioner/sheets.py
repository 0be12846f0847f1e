"""Pictures: photos with their captions below, and where the network looked for each word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.data.sizes import fit_within, resize
from shared.drawing import pictures

TILE, WORD_TILE = 320, 160  # pixels


def framed(photo: np.ndarray, side: int) -> np.ndarray:
    """A photo (H, W, 3) in the middle of a white square (side, side, 3)."""
    large = resize(photo, *(round(n * side / max(photo.shape[:2])) or 1 for n in photo.shape[:2]))
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = ((side - n) // 2 for n in large.shape[:2])
    square[top : top + large.shape[0], left : left + large.shape[1]] = large
    return square


def caption_sheet(photos: Sequence[np.ndarray], texts: Sequence[str], columns: int = 3) -> np.ndarray:
    """Photos (H, W, 3) of any sizes with their captions below, uint8 (H, W, 3)."""
    tiles = [pictures.caption(framed(photo, TILE), text, 18) for photo, text in zip(photos, texts, strict=True)]
    return even_grid(tiles, columns, 8)


def attention_sheet(photo: np.ndarray, words: Sequence[str], maps: np.ndarray, columns: int = 6) -> np.ndarray:
    """A photo, and again for each word, bright where the network looked: maps float32 (words, rows, columns)."""
    photo = fit_within(photo, WORD_TILE)
    tiles = [pictures.caption(framed(photo, WORD_TILE), " ")]
    for word, weights in zip(words, maps, strict=True):
        light = resize((255 * weights / weights.max()).astype(np.uint8), *photo.shape[:2])[..., None] / 255
        tiles.append(pictures.caption(framed((photo * (0.2 + 0.8 * light)).astype(np.uint8), WORD_TILE), word))
    return even_grid(tiles, columns, 4)


def even_grid(tiles: Sequence[np.ndarray], columns: int, pad: int) -> np.ndarray:
    """Tiles of one width in a grid, the lower ones with white below."""
    height = max(len(tile) for tile in tiles)
    even = [np.pad(tile, ((0, height - len(tile)), (0, 0), (0, 0)), constant_values=255) for tile in tiles]
    return pictures.grid(even, columns, pad)
