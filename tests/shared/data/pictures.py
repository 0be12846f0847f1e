"""A picture that looks different however it is turned, and the comparison of what was read with it."""

import numpy as np
from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> Image.Image:
    """32 x 48 pixels (W x H): red, green / blue, white; every orientation of it looks different."""
    image = Image.new("RGB", (32, 48))
    for colour, place in ((RED, (0, 0)), (GREEN, (16, 0)), (BLUE, (0, 24)), (WHITE, (16, 24))):
        image.paste(colour, (*place, place[0] + 16, place[1] + 24))
    return image


def close(image: np.ndarray, expected: np.ndarray | Image.Image, tolerance: int = 0) -> None:
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image.astype(int), np.asarray(expected).astype(int), atol=tolerance)
