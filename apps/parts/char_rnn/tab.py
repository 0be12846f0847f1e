"""The tab "Write": give a prompt, and the network goes on from it while you read."""

import gradio as gr
import numpy as np

from apps import char_rnn
from apps.parts.char_rnn.writer import Writer
from shared import tabs
from shared.errors import in_range

TITLE, POSITION = "Write", 20
GROUP, PICTURE = "Write", "docs/char_rnn.webp"
EXAMPLE = "verse that it wrote, each character coloured by its probability; blue was expected, orange a surprise"


def load() -> tuple:
    """The network as a writer, and its alphabet."""
    network, alphabet = char_rnn.load(None)
    return Writer(network), alphabet


def show() -> None:
    """Lay out the tab."""
    trained = tabs.load_once(char_rnn.APP, load)
    with gr.Row():
        with gr.Column():
            prompt = gr.Textbox("ROMEO:", label="Prompt", lines=3, max_length=2000)
            temperature = gr.Slider(0.1, 2, 0.8, step=0.05, label="Temperature: higher is bolder")
            top_k = gr.Slider(0, 65, 0, step=1, label="Top-k: choose among the k most likely characters; 0 for all")
            length = gr.Slider(100, 2000, 600, step=100, label="Characters")
            start = gr.Button("Write", variant="primary")
            stop = gr.Button("Stop")
        text = gr.Textbox(label="What it writes", lines=24, max_lines=24, scale=2, interactive=False)

    def write(prompt, temperature, top_k, length):
        with tabs.errors_shown():
            length = int(in_range("Characters", length, 1, 2000))
            given = tabs.checked_text(prompt, 2000)
            config = char_rnn.Write(prompt=given, temperature=temperature, top_k=int(top_k), length=length)
            writer, alphabet = trained()
            encoded = char_rnn.encoded_prompt(config, alphabet, warn=gr.Warning)
            written = ""
            for piece, _ in char_rnn.stream(config, alphabet, writer, encoded, np.random.default_rng()):
                written += piece
                yield written

    given = [prompt, temperature, top_k, length]
    writing = gr.on([start.click, prompt.submit], write, given, text, api_name="write")
    stop.click(None, cancels=[writing], api_visibility="private")
