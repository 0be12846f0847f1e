"""The tab "Sound": a game whose sound is forgotten, imagined, and true."""

import gradio as gr

from apps import silent_film as app
from apps.parts.silent_film import output
from shared import tabs
from shared.atari.agents import policy_for
from shared.data.video import has_video
from shared.errors import UserError, in_range

TITLE, POSITION = "Sound", 65
GROUP, PICTURE = "Play", "docs/silent_film.webp"
EXAMPLE = "loudness and pitches of a game's true sound, and of what the network imagined"
LONGEST = 20  # seconds
EARS: dict[str, output.Ears] = {
    "imagined by the network": "predicted",
    "true": "true",
    "left ear true, right ear imagined": "both",
}


def show() -> None:
    """Lay out the tab."""
    trained = tabs.load_once(app.APP, app.load)
    games = [game for game in ("breakout", "space_invaders") if tabs.shipped(f"dqn_{game}")]
    with gr.Row():
        with gr.Column():
            game = gr.Radio(games, value=next(iter(games), None), label="Game, played by the trained agent")
            seconds = gr.Slider(3, LONGEST, 8, step=1, label="Seconds")
            ears = gr.Radio(list(EARS), value=next(iter(EARS)), label="Sound")
            seed = gr.Number(1, label="Seed: another one is another game", precision=0)
            start = gr.Button("Play, film, and make the sound", variant="primary")
        with gr.Column(scale=2):
            if has_video():
                film: gr.Video | gr.Audio = gr.Video(label="The film with its sound", interactive=False)
            else:
                film = gr.Audio(label="The sound (films need PyAV: requirements-video.txt)", interactive=False)
            picture = tabs.picture_output("True and imagined loudness and tones over time")

    @start.click(inputs=[game, seconds, ears, seed], outputs=[film, picture], api_name="silent_film", **tabs.LATEST)
    @tabs.errors_shown()
    def play(game, seconds, ears, seed):
        if game not in games or ears not in EARS:
            raise UserError("choose a game and a sound.")
        lasts = in_range("Seconds", float(seconds), 1, LONGEST)
        path = tabs.new_file(f"{game}{'.webm' if has_video() else '.wav'}")
        output.film_game(trained(), policy_for(game), game, tabs.checked_seed(seed), lasts, EARS[ears], path)
        return str(path), str(path.with_suffix(".png"))
