"""The tab "Digits": draw one with mouse or finger; what is it, and what do the layers see?"""

from typing import Any

import gradio as gr

from apps import digits as app
from apps.parts.digits.ink import ink_of, normalised
from apps.parts.digits.reader import Answer, Reader, nearest_of
from apps.parts.digits.sheets import small_maps, small_strip
from shared import tabs
from shared.data.images import load_image
from shared.drawing.pictures import save_image
from shared.errors import UserError

TITLE, POSITION = "Digits", 28
GROUP, PICTURE = "See", "docs/digits.webp"
EXAMPLE = "digits that were read, and what the layers saw of one"
PAD = 280  # pixels


def show() -> None:
    """Lay out the tab."""
    trained = tabs.load_once(app.APP, app.load)
    with gr.Row():
        with gr.Column():
            pad = drawing_pad()
            truth = gr.Radio(list("0123456789"), label="Wrong? It is a")
            near = tabs.picture_output("Nearest training digits: of its answer, and of yours", height=130)
        with gr.Column():
            guess = gr.Label(label="What the network says", num_top_classes=10)
        with gr.Column():
            maps = [tabs.picture_output(f"What {which} layer sees", height=280) for which in ("the first", "a later")]

    @tabs.errors_shown()
    def read(path):
        reader = trained()
        answer = answer_of(reader, path)
        shares = {f"{digit}": float(share) for digit, share in enumerate(answer.shares)}
        if not answer.sure:
            shares = {"no digit": 1.0, **shares}
        pictures = [saved(small_maps(layer)) for layer in reader.look_inside(answer.drawing)]
        return shares, *[*pictures, None, None][:2]

    @tabs.errors_shown()
    def compare(path, truth):
        reader = trained()
        answer = answer_of(reader, path)
        digits = (answer.digit, int(truth or answer.digit))
        return saved(small_strip([nearest_of(reader, answer, digit) for digit in digits]))

    gr.on([pad.change], read, [pad], [guess, *maps], api_name="digit", show_progress="hidden", **tabs.LATEST)
    gr.on([truth.input], compare, [pad, truth], near, api_name="nearest_digits", **tabs.LATEST)


def drawing_pad():
    """A gradio.Sketchpad whose value is the path of what was drawn."""
    brush = gr.Brush(default_size=18, colors=["#000000"], color_mode="fixed")
    size: dict[str, Any] = {"canvas_size": (PAD, PAD), "fixed_canvas": True, "height": PAD + 90}
    pad: Any = gr.Sketchpad(label="Draw a digit here", brush=brush, layers=False, transforms=(), buttons=[], **size)

    def path_of(given):
        """The file: a browser sends it in pieces, a program as a file. Gradio's own tries all decoders of Pillow."""
        if given is None or given.id is None:
            return given and given.composite and given.composite.path
        kept = pad.blob_storage.pop(given.id, None)
        if kept is None or kept.composite is None:
            return None
        path = tabs.new_file("pad.png")
        path.write_bytes(kept.composite)
        return str(path)

    pad.preprocess = path_of
    return pad


def answer_of(reader: Reader, path: str | None) -> Answer:
    """What the drawing in a file is; UserError if nothing is drawn."""
    drawing = None if path is None else normalised(ink_of(load_image(path, mode="L")))
    if drawing is None or not drawing.any():
        raise UserError("there is no drawing yet: draw a digit.")
    return reader.read(drawing[None])[0]


def saved(picture) -> str:
    """The path of a picture in the page's folder."""
    path = tabs.new_file("digit.png")
    save_image(path, picture)
    return str(path)
