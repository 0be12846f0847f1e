"""The tab "Generate faces": generate faces, turn them into each other, add and subtract them."""

import re
from typing import Any

import gradio as gr
import numpy as np

from apps import gan_faces
from apps.parts.gan_faces.generators import (
    Sampler,
    draw_latents,
    interpolation,
    latent_sum,
    load_generator,
    sampler,
)
from apps.parts.gan_faces.sheets import save_animation, save_sheet
from shared import tabs
from shared.data.sizes import resize
from shared.errors import UserError, in_range

TITLE, POSITION = "Generate faces", 70
GROUP, PICTURE = "Make", "saved_models/gan_faces/unselected.webp"
EXAMPLE = "faces of people who do not exist, unselected"
FACES, COLUMNS, ENLARGED = 64, 8, 2  # on the sheet


def show() -> None:
    """Lay out the tab."""
    faces = Faces()
    with gr.Row():
        with gr.Column(scale=2):
            sheet = tabs.picture_output("Faces 1 to 64, row by row", show_label=False)
        with gr.Column():
            seed = gr.Number(1, label="Seed", precision=0)
            truncation = gr.Slider(0, 1, 1, step=0.05, label="Truncation: lower is more regular and less varied")
            start = gr.Button("Generate", variant="primary")
            sign = gr.Radio(["+", "-"], value="+", label="A click on a face adds or subtracts it")
            terms = gr.Textbox(label="Faces to add, such as 3 + 17 - 5", max_length=200)
            add = gr.Button("Add them up")
            morph = gr.Button("Turn them into one another")
            result = tabs.picture_output("The result")

    given, one_at_a_time = [seed, truncation, terms], {"concurrency_id": gan_faces.APP, **tabs.LATEST}
    triggers = [start.click, seed.submit, truncation.input]
    gr.on(triggers, faces.generate, [seed, truncation], sheet, api_name="faces", **one_at_a_time)
    gr.on([add.click, terms.submit], faces.add, given, result, api_name="add", **one_at_a_time)
    morph.click(faces.morph, given, result, api_name="morph", **one_at_a_time)
    sheet.select(with_face, [terms, sign], terms, **tabs.HIDDEN)


def load() -> tuple[Any, Sampler]:
    """The generator, and the function that computes its images."""
    network, _ = load_generator(None)
    return network, sampler(network)


class Faces:
    """What the buttons do, with a generator that is loaded when it is first needed."""

    def __init__(self) -> None:
        self.load = tabs.load_once(gan_faces.APP, load)

    def latents(self, seed: float | None, truncation: float) -> np.ndarray:
        """Those of the faces on the sheet, (FACES, latent)."""
        in_range("Truncation", truncation, 0.0, 1.0)
        seed = tabs.checked_seed(seed)
        network, _ = self.load()
        return truncation * draw_latents(seed, FACES, network)

    def images(self, latents: np.ndarray) -> np.ndarray:
        """Latents (n, latent) as faces, uint8 (n, H, W, 3)."""
        _, sample = self.load()
        return sample(latents)

    @tabs.errors_shown()
    def generate(self, seed, truncation):
        """The sheet of faces."""
        path = tabs.new_file("faces.png")
        save_sheet(path, self.images(self.latents(seed, truncation)), COLUMNS, ENLARGED)
        return str(path)

    @tabs.errors_shown()
    def add(self, seed, truncation, terms):
        """The face that is the sum of those chosen."""
        signs, chosen = zip(*parsed(terms), strict=True)
        total = latent_sum(self.latents(seed, truncation)[list(chosen)], signs)
        return resize(self.images(total)[0], 4 * gan_faces.SIZE, 4 * gan_faces.SIZE)

    @tabs.errors_shown()
    def morph(self, seed, truncation, terms):
        """An animation from face to face: those chosen, or without any the first row."""
        chosen = [face for _, face in parsed(terms)] if (terms or "").strip() else list(range(COLUMNS))
        path = tabs.new_file("morph.webp")
        save_animation(path, self.images(interpolation(self.latents(seed, truncation)[chosen], 24)))
        return str(path)


def with_face(terms: str, sign: str, at: gr.SelectData) -> str:
    """The sum, and the face on the sheet that was clicked at."""
    column, row = (min(pixel // (ENLARGED * gan_faces.SIZE + 2), COLUMNS - 1) for pixel in at.index)
    return f"{terms} {sign} {row * COLUMNS + column + 1}".strip().removeprefix("+ ")


def parsed(terms: str | None) -> list[tuple[int, int]]:
    """(sign, place on the sheet from 0) of each face in 3 + 17 - 5."""
    text = (terms or "").replace(" ", "")
    if not re.fullmatch(r"[+-]?\d{1,4}([+-]\d{1,4}){0,31}", text):
        raise UserError("say which faces: click on them, or write their numbers, such as 3 + 17 - 5.")
    signed = [int(term) for term in re.findall(r"[+-]?\d+", text)]
    return [(1 if n >= 0 else -1, in_range("A face's number", abs(n), 1, FACES) - 1) for n in signed]
