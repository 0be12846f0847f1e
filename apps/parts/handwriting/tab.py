"""The tab "Handwriting": type, choose a hand and how neat it is, and watch the pen write."""

import gradio as gr

from apps import handwriting as app
from apps.parts.handwriting import sheets
from apps.parts.handwriting.inputs import SAMPLE, given_text, lines_of, spelled
from shared import tabs
from shared.errors import in_range

TITLE, POSITION = "Handwriting", 25
GROUP, PICTURE = "Write", "docs/handwriting.webp"
EXAMPLE = "one line in three hands"
LONGEST = 120  # characters, in four lines


def show() -> tabs.Ends:
    """Lay out the tab."""
    trained = tabs.load_once(app.APP, app.load)
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(SAMPLE, label="Text", lines=3, max_length=LONGEST)
            hand = gr.Slider(1, 10, 1, step=1, label="Hand: each is a blend of several writers")
            bias = gr.Slider(0, 3, 1, step=0.1, label="Neatness: at 0 with all the slips that people make")
            seed = gr.Number(1, label="Seed: another one is another try", precision=0)
            start = gr.Button("Write", variant="primary")
            vector = gr.DownloadButton("Download as a vector drawing (SVG)", interactive=False)
        with gr.Column(scale=2):
            film = tabs.picture_output("The pen at work", elem_classes="moving")
            still = tabs.picture_output("What it wrote", elem_classes="still")
            note = gr.Markdown()

    @tabs.errors_shown()
    def write(text, hand, bias, seed):
        given = given_text([tabs.checked_text(text, LONGEST)], None)
        pen = trained()
        number = int(in_range("Hand", hand, 1, len(pen.hands)))
        bias = in_range("Neatness", bias, 0, 3)
        known, told = spelled(given, pen.characters)
        found = app.written(pen, lines_of(known, 30), [number - 1], bias, tabs.checked_seed(seed))
        page = sheets.page_of(found)
        paths = [tabs.new_file(f"handwriting.{ending}") for ending in ("webp", "png", "svg")]
        for path in paths:
            sheets.save(path, page, known)
        moving, picture, drawing = map(str, paths)
        unknown = f"It does not know all of these characters: {told}." if told else ""
        return moving, picture, gr.DownloadButton(value=drawing, interactive=True), unknown

    given, shown = [text, hand, bias, seed], [film, still, vector, note]
    gr.on([start.click, text.submit], write, given, shown, api_name="handwriting", **tabs.LATEST)
    return tabs.Ends("text", text, write, given, shown, {"text": (text, tabs.there)})
