"""What came of opening data: the sentence that refused them, or what is in them."""

import pytest

from shared.data import datasets
from shared.errors import UserError


def refused(open_data, *args) -> str:
    with pytest.raises(UserError) as caught:
        open_data(*args)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def contents(images: datasets.ImageSet) -> list[tuple[int, int | None]]:
    return [(int(image[0, 0, 0]), label) for image, label in images]
