"""The arcade's front door: a page in your browser with a tab for each app.

    python apps/gallery.py                  opens it for this computer alone
    python apps/gallery.py --browser        and shows it
    python apps/gallery.py --host 0.0.0.0   for everyone in your network, such as a class

It needs Gradio (pip install -r requirements-gallery.txt -c constraints.txt), and no network. A tab asks for its input,
calls the app's own functions and shows what comes. A model is loaded when it is first asked for, once.
"""

# No `from __future__ import annotations` here: Gradio looks at the annotations of the functions that it calls.

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.parts.char_rnn.writer import speaker
from apps.parts.colorizer.guided_filter import Hint
from apps.parts.gallery.page import boxed, new_file, once, opened, photo_place, picture, plainly, read, typed, wait
from apps.parts.gan_faces.latents import added, film_tour, painter, save_sheet, tour
from apps.parts.image_captioner.sheets import attention_sheet
from shared import cli, saved_models
from shared.atari.film import FILM_SECONDS, film_game, play_game
from shared.atari.games import STEPS_PER_SECOND
from shared.classifiers.classifier import find_classifier
from shared.data.images import crop_square, resize
from shared.errors import UserError, in_range

FACES, COLUMNS, ENLARGED = 64, 8, 2  # on the sheet
LAST: dict[str, Any] = {"trigger_mode": "always_last"}  # what is asked before there is an answer is not lost
UNSEEN: dict[str, Any] = {"api_visibility": "private", **LAST}


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Serve:
    """Open the page, until Ctrl-C closes it."""

    port: int | None = None
    """By default the first free one from 7860."""
    host: str = "127.0.0.1"
    """Address to listen at: by default this computer's own, which nobody else can reach."""
    browser: bool = False
    """Also show the page in your browser."""
    share: bool = False
    """Also make a link that works everywhere, for a week, for whoever has it, through a server of Gradio's."""


# --------------------------------------------------------------------------------------------------------- Games


def atari(app: ModuleType) -> None:
    """Choose a game, epsilon and how long: the network plays, and there is the film."""
    import gradio as gr

    policy = once("dqn_breakout", lambda game="breakout": app.policy_of(app.load_network(game, None)))
    with gr.Row():
        with gr.Column():
            game = gr.Dropdown(app.boxed_games(), value="breakout", label="Game")
            epsilon = gr.Slider(0, 1, 0.01, step=0.01, label="Epsilon: how often it does anything at all")
            seconds = gr.Slider(5, FILM_SECONDS, 20, step=5, label="Seconds")
            seed = gr.Number(1, label="Seed: the same one plays the same game", precision=0)
            start = gr.Button("Play", variant="primary")
        with gr.Column(scale=2):
            film = picture("The film", saved_models.MODELS / "dqn_breakout" / "film.webp")
            score = gr.Markdown("A game that it played before.")

    @start.click(inputs=[game, epsilon, seconds, seed], outputs=[film, score], api_name="play")
    @plainly()
    def play(game, epsilon, seconds, seed, progress=gr.Progress()):  # noqa: B008
        cap = round(in_range("Seconds", seconds, 1, FILM_SECONDS) * STEPS_PER_SECOND)
        rules = {"epsilon": in_range("Epsilon", epsilon, 0.0, 1.0), "seed": seed_of(seed), "sticky": 0.0}
        progress(0, "Waking the network")
        network, path = policy(game), new_file(f"{game}.webp")
        tell = lambda so_far: progress((len(so_far.actions), cap), "Playing")  # noqa: E731
        played = play_game(network, game, **rules, cap=cap, tell=tell)
        progress(1, "Filming")
        film_game(played, path)
        ended = "the game was over" if played.finished else "the film ends"
        return str(path), f"**{played.score:.0f} points** when {ended}, after {len(played.actions):,} steps"


def seed_of(number: Any) -> int:
    """A seed that somebody typed, or left empty."""
    return in_range("Seed", int(number or 0), 0, 2**31 - 1)


# ---------------------------------------------------------------------------------------------------------- Text


def shakespeare(app: ModuleType) -> None:
    """Give a prompt: the network goes on from it while you read."""
    import gradio as gr

    def load() -> tuple:
        network, alphabet = app.load(None)
        return speaker(network), alphabet

    trained = once(app.APP, load)
    with gr.Row():
        with gr.Column():
            prompt = gr.Textbox("ROMEO:", label="Prompt", lines=3, max_length=2000)
            temperature = gr.Slider(0.1, 2, 0.8, step=0.05, label="Temperature: higher is bolder")
            top_k = gr.Slider(0, 65, 0, step=1, label="Top-k: only the likeliest characters; 0 for all")
            length = gr.Slider(100, 2000, 600, step=100, label="Characters")
            start, stop = gr.Button("Write", variant="primary"), gr.Button("Stop")
        text = gr.Textbox(label="What it writes", lines=24, max_lines=24, scale=2, interactive=False)

    def write(prompt, temperature, top_k, length):
        with plainly():
            length = int(in_range("Characters", length, 1, 2000))
            config = app.Write(prompt=typed(prompt, 2000), temperature=temperature, top_k=int(top_k), length=length)
            app.check_write(config)
            (speak, alphabet), written = trained(), ""
            opening = app.opening(config, alphabet, tell=gr.Warning)
            for piece, _ in app.pieces(config, alphabet, speak, opening, np.random.default_rng()):
                written += piece
                yield written

    given = [prompt, temperature, top_k, length]
    writing = gr.on([start.click, prompt.submit], write, given, text, api_name="write")
    stop.click(None, cancels=[writing], api_visibility="private")


# --------------------------------------------------------------------------------------------------------- Photos


def classifier(app: ModuleType) -> None:
    """Put in a photo: what is on it?"""
    import gradio as gr

    classifier_of = once(app.APP, lambda name=app.APP: find_classifier(name, batch=1))
    with gr.Row():
        with gr.Column():
            photo, sample = photo_place("chelsea")
        with gr.Column():
            model = gr.Dropdown(boxed(app.APP, app.ROBUST), value=app.APP, label="Network")
            start = gr.Button("What is it?", variant="primary")
            guesses = gr.Label(label="The network's guesses", num_top_classes=5)

    given = [photo, model]

    @plainly()
    def classify(path, model):
        photo, _ = read(path)
        return dict(classifier_of(model).guesses(photo, top=5))

    gr.on([start.click, photo.upload, model.input], classify, given, guesses, api_name="classify", **LAST)
    sample.then(classify, given, guesses, **UNSEEN)


def attack(app: ModuleType) -> None:
    """Move epsilon: how little must change for the network to call the photo something else?"""
    import gradio as gr

    classifier_of = once(app.UNDEFENDED, lambda name=app.UNDEFENDED: find_classifier(name, batch=1))
    with gr.Row():
        with gr.Column():
            photo, sample = photo_place("coffee")
        with gr.Column():
            levels = gr.Slider(1, 16, 2, step=1, label="Epsilon, in 255ths")
            method = gr.Radio(["fgsm", "pgd"], value="fgsm", label="One step (FGSM) or many (PGD)")
            target = gr.Textbox(label="Target: what the network shall call it; empty for anything else", max_length=60)
            model = gr.Dropdown(boxed(app.UNDEFENDED, app.DEFENDED), value=app.UNDEFENDED, label="Network")
            start = gr.Button("Attack", variant="primary")
            kept = picture("The adversarial photo, to keep", height=200)
    sheet = picture("Photo + perturbation = adversarial photo", show_label=False)
    given = [photo, levels, method, target, model]
    triggers = [start.click, photo.upload, levels.input, method.input, target.submit, model.input]

    @plainly()
    def fool(path, levels, method, target, model):
        photo, _ = read(path)
        wanted = typed(target, 60).strip() or None
        config = app.Attack(epsilon=f"{round(levels)}/255", attack=method, target=wanted)
        app.checked(config)
        network = classifier_of(model)
        goal, small = app.goal_for(network, photo, config.target), crop_square(photo, network.size)
        found = app.craft(config, network.attacker, small, goal)
        saved = app.save(new_file("adversarial.png"), found, small, network, goal)
        return app.equation(config, network, saved, app.judged_terms(network, photo, saved)), str(saved.path)

    gr.on(triggers, fool, given, [sheet, kept], api_name="attack", **LAST)
    sample.then(fool, given, [sheet, kept], **UNSEEN)


def colours(app: ModuleType) -> None:
    """Colour an old photo; where you know a colour, click there."""
    import gradio as gr

    painted = once(app.APP, lambda: app.load(app.Colorize())[0])
    with gr.Row():
        with gr.Column():
            photo, sample = photo_place("camera")
            colour = gr.ColorPicker("#8b1a2b", label="A colour that you know: choose it, then click on the photo")
        with gr.Column():
            before_after = gr.ImageSlider(label="Before and after", interactive=False, max_height=600)
            vividness = gr.Slider(0, 3, 1, step=0.05, label="Vividness")
            hints = gr.Textbox(label="What you know, x,y,#rrggbb", lines=2, max_length=2000)
            start = gr.Button("Colour it", variant="primary")

    @plainly()
    def paint(path, vividness, hints):
        app.check_look(app.Colorize(vividness=vividness))
        photo, size = read(path)
        known = [hint_on(photo, size, line) for line in typed(hints, 2000).split()]
        return app.one_colour(photo), painted()(photo, vividness, known)

    def click(hints, colour, at: gr.SelectData):
        return f"{hints}\n{at.index[0]},{at.index[1]},{hexadecimal(colour)}".strip()

    given = [photo, vividness, hints]
    triggers = [start.click, vividness.input, hints.submit]
    gr.on(triggers, paint, given, before_after, api_name="colour", **LAST)
    clicked = photo.select(click, [hints, colour], hints, **UNSEEN)
    another = (event(lambda: "", None, hints, **UNSEEN) for event in (photo.upload, sample.then))  # has other hints
    for event in (clicked, *another):
        event.success(paint, given, before_after, **UNSEEN)


def hint_on(photo: np.ndarray, size: tuple[int, int], text: str) -> Hint:
    """A hint for the photo as `read` gives it, from one for its file, (height, width) in `size`."""
    hint = Hint.parse(text, np.empty((*size, 0)))
    return replace(hint, x=hint.x * photo.shape[1] // size[1], y=hint.y * photo.shape[0] // size[0])


def hexadecimal(colour: str) -> str:
    """#rrggbb, of that or of rgba(255, 0, 0, 1), which a browser may give."""
    if colour.startswith("#"):
        return colour[:7]
    return "#{:02x}{:02x}{:02x}".format(*(round(float(part)) for part in re.findall(r"[\d.]+", colour)[:3]))


def captions(app: ModuleType) -> None:
    """Put in a photo: what is going on, and where does the network look for each word?"""
    import gradio as gr

    captioner = once(app.APP, lambda: app.load(None))
    with gr.Row():
        with gr.Column():
            photo, sample = photo_place("camera")
        with gr.Column():
            start = gr.Button("Describe it", variant="primary")
            sentence = gr.Textbox(label="The sentence, how likely a word of it is, and where it looked for each")
            looked = picture("Where it looked for each word", show_label=False)

    @plainly()
    def describe(path):
        (photo, _), network = read(path), captioner()
        features = network.look(network.squeezed(photo)[None])
        best = network.write(features, app.Describe.beams, app.LENGTH_WEIGHT)[0][0]
        sheet = attention_sheet(photo, best.words, network.attention(features[0], best))
        return f"{best.text} ({best.score:.0%})", sheet

    gr.on([start.click, photo.upload], describe, photo, [sentence, looked], api_name="describe", **LAST)
    sample.then(describe, photo, [sentence, looked], **UNSEEN)


# ---------------------------------------------------------------------------------------------------------- Faces


def faces(app: ModuleType) -> None:
    """Paint faces, turn them into each other, add and subtract them."""
    import gradio as gr

    def load() -> tuple:
        network, _ = app.load(None)
        return network, painter(network)

    trained = once(app.APP, load)
    with gr.Row():
        with gr.Column(scale=2):
            sheet = picture("Faces 1 to 64, row by row", show_label=False)
        with gr.Column():
            seed = gr.Number(1, label="Seed", precision=0)
            truncation = gr.Slider(0, 1, 1, step=0.05, label="Truncation: less is more regular, and more alike")
            start = gr.Button("Paint", variant="primary")
            sign = gr.Radio(["+", "-"], value="+", label="A click on a face adds or subtracts it")
            terms = gr.Textbox(label="Faces to add, such as 3 + 17 - 5", max_length=200)
            add, morph = gr.Button("Add them up"), gr.Button("Turn them into one another")
            result = picture("What comes of it")

    def latents_of(seed: Any, truncation: float) -> np.ndarray:
        in_range("Truncation", truncation, 0.0, 1.0)
        return truncation * app.draw_latents(seed_of(seed), FACES, trained()[0])

    @plainly()
    def paint(seed, truncation):
        path = new_file("faces.png")
        save_sheet(path, trained()[1](latents_of(seed, truncation)), COLUMNS, ENLARGED)
        return str(path)

    @plainly()
    def add_up(seed, truncation, terms):
        signs, chosen = zip(*parsed(terms), strict=True)
        face = trained()[1](added(latents_of(seed, truncation)[list(chosen)], signs))[0]
        return resize(face, 4 * app.SIZE, 4 * app.SIZE)

    @plainly()
    def turn(seed, truncation, terms):
        chosen = [face for _, face in parsed(terms)] if (terms or "").strip() else list(range(COLUMNS))
        path = new_file("morph.webp")
        film_tour(path, trained()[1](tour(latents_of(seed, truncation)[chosen], 24)))
        return str(path)

    def click(terms, sign, at: gr.SelectData):
        column, row = (min(place // (ENLARGED * app.SIZE + 2), COLUMNS - 1) for place in at.index)
        return f"{terms} {sign} {row * COLUMNS + column + 1}".strip().removeprefix("+ ")

    shown, given, one = [seed, truncation], [seed, truncation, terms], {"concurrency_id": app.APP, **LAST}
    gr.on([start.click, seed.submit, truncation.input], paint, shown, sheet, api_name="faces", **one)
    gr.on([add.click, terms.submit], add_up, given, result, api_name="add", **one)
    morph.click(turn, given, result, api_name="morph", **one)
    sheet.select(click, [terms, sign], terms, **UNSEEN)


def parsed(terms: str | None) -> list[tuple[int, int]]:
    """(sign, place on the sheet from 0) of each face in 3 + 17 - 5."""
    text = (terms or "").replace(" ", "")
    if not re.fullmatch(r"[+-]?\d{1,4}([+-]\d{1,4}){0,31}", text):
        raise UserError("say which faces: click on them, or write their numbers, such as 3 + 17 - 5.")
    signed = [int(term) for term in re.findall(r"[+-]?\d+", text)]
    return [(1 if n >= 0 else -1, in_range("A face's number", abs(n), 1, FACES) - 1) for n in signed]


# ------------------------------------------------------------------------------------------------------ The page

TABS: tuple[tuple[str, str, Callable[[ModuleType], None]], ...] = (
    ("Play", "dqn_breakout", atari),
    ("Write", "char_rnn", shakespeare),
    ("Recognise", "photo_classifier", classifier),
    ("Fool", "fgsm", attack),
    ("Colour", "colorizer", colours),
    ("Describe", "image_captioner", captions),
    ("Paint faces", "gan_faces", faces),
)


def build() -> Any:
    """The page with all its tabs: Gradio's Blocks. A tab without a model holds the app's sentence about that."""
    import gradio as gr

    with gr.Blocks(title="Keras Arcade", analytics_enabled=False) as blocks:
        gr.Markdown("# Keras Arcade\nFamous results of deep learning, computed on one computer.", elem_id="banner")
        for title, name, show in TABS:
            app = importlib.import_module(f"apps.{name}")
            with gr.Tab(title):
                gr.Markdown((app.__doc__ or "").splitlines()[0])
                try:
                    show(app)
                except UserError as error:
                    gr.Markdown(f"{error}")
    return blocks


def serve(config: Serve) -> None:
    """Open the page, until Ctrl-C closes it."""
    in_range("--port", 1 if config.port is None else config.port, 1, 65_535)
    with opened(build, **asdict(config)) as blocks:
        print(f"The gallery is open at {blocks.share_url or blocks.local_url} (Ctrl-C closes it).", flush=True)
        wait()


if __name__ == "__main__":
    cli.run(__doc__, serve, {})
