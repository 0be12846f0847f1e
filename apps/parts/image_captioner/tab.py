"""The tab "Describe": put in a photo; what is going on, and where does the network look for each word?"""

import gradio as gr

from apps import image_captioner
from apps.parts.image_captioner.sheets import attention_sheet
from shared import tabs
from shared.decoding.captioner import DOUBT, load_captioner

TITLE, POSITION = "Describe", 60
GROUP, PICTURE = "Write", "saved_models/image_captioner/captions.webp"
EXAMPLE = "six photos and what the network says of them"


def show() -> tabs.Ends:
    """Lay out the tab."""
    captioner = tabs.load_once(image_captioner.APP, load_captioner)
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("camera")
        with gr.Column():
            start = gr.Button("Describe it", variant="primary")
            sentence = gr.Textbox(label="The sentence, and how likely it names what is there")
            looked = tabs.picture_output("Where it looked for each word", show_label=False)

    @tabs.errors_shown()
    def describe(path):
        photo, _ = tabs.read_photo(path)
        network = captioner()
        seen = network.look([photo])
        best = network.write(seen, image_captioner.Describe.beams)[0][0]
        sheet = attention_sheet(photo, best.words, network.attention(seen, best))
        return f"{best.told} ({best.score:.0%})", sheet

    shown = [sentence, looked]
    gr.on([start.click, photo.upload], describe, photo, shown, api_name="describe", **tabs.LATEST)
    sample.then(describe, photo, shown, **tabs.HIDDEN)
    gives = {"photo": (photo, tabs.there), "text": (sentence, as_sentence)}
    return tabs.Ends("photo", photo, describe, [photo], shown, gives)


def as_sentence(shown: str) -> str:
    """A description without its doubt and its score, written as sentences are; UserError if there is none yet."""
    words = tabs.there(shown).removeprefix(DOUBT).rpartition(" (")[0]
    return f"{words[:1].upper()}{words[1:]}."
