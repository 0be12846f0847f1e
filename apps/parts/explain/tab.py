"""The tab "Explain": a photo, a question, a method; and the film of what an agent's Q-values hang on."""

from typing import Any

import gradio as gr
import numpy as np

from apps import explain as app
from apps.parts.explain import agents, sheets
from apps.parts.explain.asked import BATCH, asked_about, network_of
from apps.parts.explain.questions import Asked
from apps.parts.explain.scores import curves
from shared import saved_models, tabs
from shared.atari.agents import load_policy
from shared.atari.recording import record_game
from shared.classifiers.classifier import Classifier
from shared.data.sizes import crop_square
from shared.errors import UserError, in_range

TITLE, POSITION = "Explain", 45
GROUP, PICTURE = "Doubt", "docs/explain.webp"
EXAMPLE = "a photo, and six maps of what the answer hangs on"
LONGEST = 60  # characters of a class's name
SECONDS = 8  # of the agent's film


def show() -> tabs.Ends:
    """Lay out the tab."""
    network = tabs.load_once(app.CLASSIFIER, loaded)  # what is compiled stays so
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("coffee")
        with gr.Column():
            why = gr.Textbox(label="Why this class? Empty: its answer", max_length=LONGEST)
            against = gr.Textbox(label="And not this one? May be empty", max_length=LONGEST)
            method = gr.Radio(list(app.METHODS), value="Grad-CAM", label="Method")
            start = gr.Button("Why?", variant="primary")
            answer = gr.Markdown()
        with gr.Column():
            picture = tabs.picture_output("Bright is what the answer hangs on", height=400)

    @tabs.errors_shown()
    def explain(path, why, against, method):
        if method not in app.METHODS:
            raise UserError(f"there is no method {method!r:.60}: choose one.")
        classifier, asked = network()
        return explained(classifier, asked, path, why, against, method)

    given = [photo, why, against, method]
    triggers = [start.click, photo.upload, why.submit, against.submit, method.input]
    gr.on(triggers, explain, given, [picture, answer], api_name="explain", **tabs.LATEST)
    sample.then(explain, given, [picture, answer], **tabs.HIDDEN)
    if saved_models.is_shipped("dqn_breakout"):
        show_agent()
    return tabs.photo_ends(photo, explain, given, [picture, answer])


def show_agent() -> None:
    """Below: what the Breakout agent's Q-values hang on."""
    policy = tabs.load_once("dqn_breakout", lambda: load_policy("breakout"))
    with gr.Row():
        with gr.Column():
            begin = gr.Slider(0, 120, 10, step=5, label="Breakout: the second of the game at which the film begins")
            button = gr.Button("Film what its Q-values hang on (about 20 seconds)")
        film = tabs.film_output("Red is what the Q-values hang on", height=420)

    @button.click(inputs=[begin], outputs=film, api_name="explain_game")
    @tabs.errors_shown()
    def explain_game(begin):
        first = in_range("The beginning", begin, 0, 120)
        path = tabs.new_file("breakout.webp")
        rules: dict[str, Any] = {"seed": 1, "epsilon": 0.01, "sticky": 0.0, "report": lambda game: None}
        game = record_game(policy(), "breakout", max_steps=round(15 * (first + SECONDS)), **rules)
        agents.film_saliency(policy(), game, path, SECONDS, first)
        return str(path), str(tabs.last_picture(path))


def loaded() -> tuple[Classifier, Asked]:
    """The classifier, and its network as one that is asked."""
    classifier = network_of(app.CLASSIFIER)
    return classifier, Asked(classifier.network, 0, batch=BATCH)


def explained(
    classifier: Classifier, network: Asked, path: str | None, why: str | None, against: str | None, method: str
) -> tuple[np.ndarray, str]:
    """The map over the photo, uint8 (480, 480, 3), and a sentence."""
    photo, _ = tabs.read_photo(path)
    seen = crop_square(photo, classifier.size)
    first, other = (tabs.checked_text(name, LONGEST).strip() or None for name in (why, against))
    asked, question = asked_about(classifier, network, seen, first, other)
    pixels = seen.astype(np.float32)
    importance = app.METHODS[method](asked, pixels)
    deletion, insertion = curves(asked.answers, pixels, importance).areas
    large = sheets.overlay(crop_square(photo, 480), app.enlarged(importance, (480, 480)))
    return large, f"**{question}** Deletion {deletion:.2f} (low is good), insertion {insertion:.2f} (high is good)."
