"""The tab "Translate": type a sentence, read it in each language, and see which words each word came from."""

import gradio as gr

from apps import translator as app
from apps.parts.translator.answers import as_text, translated
from apps.parts.translator.inputs import checked_line
from apps.parts.translator.texts import SAMPLES
from shared import tabs
from shared.errors import UserError, in_range

TITLE, POSITION = "Translate", 65
GROUP, PICTURE = "Write", "docs/translator.webp"
EXAMPLE = "for each word of the translation, the words that it looked at"
LONGEST = 2000  # characters


def show() -> tabs.Ends:
    """Lay out the tab."""
    trained = tabs.load_once(app.APP, app.load)
    with gr.Row():
        with gr.Column():
            sentence = gr.Textbox(SAMPLES[0], label="English", lines=3, max_length=LONGEST)
            samples = gr.Examples([[text] for text in SAMPLES], sentence, label="Or one of these")
            beams = gr.Slider(1, 8, 4, step=1, label="Beams: how many beginnings the search keeps")
            start = gr.Button("Translate", variant="primary")
        with gr.Column():
            answer = gr.Textbox(label="Translations, and the average probability of their subwords", lines=4)
            looked = tabs.picture_output("What it looked at for each word of the first sentence", show_label=False)

    @tabs.errors_shown()
    def translate(sentence, beams):
        text = checked_line(tabs.checked_text(sentence, LONGEST))
        if not text.strip():
            raise UserError("there is no sentence yet: type one.")
        beams = int(in_range("Beams", beams, 1, 8))
        translator = trained()
        languages = translator.subwords.languages
        [found] = translated(translator, [text], languages, beams, 1)
        picture = tabs.new_file("attention.png")
        app.draw_attention(picture, translator, text, languages, beams)
        return as_text(found), str(picture)

    given, shown = [sentence, beams], [answer, looked]
    gr.on([start.click, sentence.submit], translate, given, shown, api_name="translate", **tabs.LATEST)
    samples.load_input_event.then(translate, given, shown, **tabs.HIDDEN)
    return tabs.Ends("text", sentence, translate, given, shown, {"text": (answer, first_translation)})


def first_translation(shown: str) -> str:
    """The translation into the first language, without its probability; UserError if there is none yet."""
    return tabs.there(shown).splitlines()[0].split(maxsplit=1)[1].rpartition("  (")[0]
