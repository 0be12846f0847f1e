"""The tab "Play": choose a game, epsilon and how long; the network plays, and there is the film."""

import gradio as gr

from apps import dqn_breakout
from apps.parts.dqn_breakout.film import FILM_SECONDS, film_game
from shared import saved_models, tabs
from shared.atari.agents import load_policy, shipped_games
from shared.atari.games import STEPS_PER_SECOND, Policy
from shared.atari.recording import record_game
from shared.errors import in_range

TITLE, POSITION = "Play", 10
GROUP, PICTURE = "Play", "saved_models/dqn_breakout/film.webp"


def load(game: str = "breakout") -> Policy:
    """The network that plays a game."""
    return load_policy(game)


def show() -> None:
    """Lay out the tab."""
    policy = tabs.load_once(dqn_breakout.APP, load)
    with gr.Row():
        with gr.Column():
            game = gr.Dropdown(shipped_games(), value="breakout", label="Game")
            epsilon = gr.Slider(0, 1, 0.01, step=0.01, label="Epsilon: how often it takes a random action")
            seconds = gr.Slider(5, FILM_SECONDS, 20, step=5, label="Seconds")
            seed = gr.Number(1, label="Seed: the same seed plays the same game", precision=0)
            start = gr.Button("Play", variant="primary")
        with gr.Column(scale=2):
            film = tabs.film_output("The film", saved_models.MODELS / "dqn_breakout" / "film.webp")
            score = gr.Markdown("A game that it played before.")

    @start.click(inputs=[game, epsilon, seconds, seed], outputs=[*film, score], api_name="play")
    @tabs.errors_shown()
    def play(game, epsilon, seconds, seed, progress=gr.Progress()):  # noqa: B008
        max_steps = round(in_range("Seconds", seconds, 1, FILM_SECONDS) * STEPS_PER_SECOND)
        rules = {"epsilon": in_range("Epsilon", epsilon, 0.0, 1.0), "seed": tabs.checked_seed(seed), "sticky": 0.0}
        progress(0, "Loading the model")
        network, path = policy(game), tabs.new_file(f"{game}.webp")

        def report(so_far):
            progress((len(so_far.actions), max_steps), "Playing")

        played = record_game(network, game, **rules, max_steps=max_steps, report=report)
        progress(1, "Filming")
        film_game(played, path)
        ended = "the game was over" if played.finished else "the film ends"
        return (
            str(path),
            str(tabs.last_picture(path)),
            f"**{played.score:.0f} points** when {ended}, after {len(played.actions):,} steps",
        )
