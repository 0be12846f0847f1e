"""The tab "Colour": colour an old photo; where you know a colour, click there."""

import re
from dataclasses import replace

import gradio as gr
import numpy as np

from apps import colorizer
from apps.parts.colorizer import lab
from apps.parts.colorizer.guided_filter import Hint
from shared import tabs

TITLE, POSITION = "Colour", 50
GROUP, PICTURE = "Make", "saved_models/colorizer/sheet.webp"
EXAMPLE = "photos made grey, coloured by the network, and as they were"


def show() -> tabs.Ends:
    """Lay out the tab."""
    coloured = tabs.load_once(colorizer.APP, lambda: colorizer.load(colorizer.Colorize())[0])
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("camera")
            colour = gr.ColorPicker("#8b1a2b", label="A colour that you know: choose it, then click on the photo")
        with gr.Column():
            before_after = gr.ImageSlider(label="Before and after", interactive=False, max_height=600)
            vividness = gr.Slider(0, 3, 1, step=0.05, label="Vividness")
            hints = gr.Textbox(label="Known colours, one x,y,#rrggbb per line", lines=2, max_length=2000)
            start = gr.Button("Colour it", variant="primary")

    @tabs.errors_shown()
    def paint(path, vividness, hints):
        config = colorizer.Colorize(vividness=vividness)
        photo, size = tabs.read_photo(path)
        known = [hint_on(photo, size, line) for line in tabs.checked_text(hints, 2000).split()]
        return lab.in_one_colour(photo), coloured()(photo, config.vividness, known)

    given = [photo, vividness, hints]
    gr.on([start.click, vividness.input, hints.submit], paint, given, before_after, api_name="colour", **tabs.LATEST)
    clicked = photo.select(with_hint, [hints, colour], hints, **tabs.HIDDEN)
    # Another photo has other hints.
    emptied = [event(lambda: "", None, hints, **tabs.HIDDEN) for event in (photo.upload, sample.then)]
    for event in (clicked, *emptied):
        event.success(paint, given, before_after, **tabs.HIDDEN)
    return tabs.photo_ends(photo, paint, given, [before_after])


def with_hint(hints: str, colour: str, at: gr.SelectData) -> str:
    """The hints, and one more for the pixel that was clicked at."""
    x, y = at.index
    return f"{hints}\n{x},{y},{hexadecimal(colour)}".strip()


def hint_on(photo: np.ndarray, size: tuple[int, int], text: str) -> Hint:
    """A hint for the photo as `read_photo` gives it, from one for its file, (height, width) in `size`."""
    hint = Hint.parse(text, np.empty((*size, 0)))
    return replace(hint, x=hint.x * photo.shape[1] // size[1], y=hint.y * photo.shape[0] // size[0])


def hexadecimal(colour: str) -> str:
    """#rrggbb, of that or of rgba(255, 0, 0, 1), which a browser may give."""
    if colour.startswith("#"):
        return colour[:7]
    return "#{:02x}{:02x}{:02x}".format(*(round(float(part)) for part in re.findall(r"[\d.]+", colour)[:3]))
