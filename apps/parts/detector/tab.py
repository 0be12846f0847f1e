"""The tab "Detect": a photo in, boxes out; a slider says how sure it must be."""

from collections import Counter
from functools import lru_cache

import gradio as gr
import numpy as np

from apps import detector as app
from apps.parts.detector.sheets import in_pixels
from shared import tabs
from shared.errors import in_range

TITLE, POSITION = "Detect", 35
GROUP, PICTURE = "See", "docs/detector.webp"
EXAMPLE = "six photos with boxes and names"


def show() -> tabs.Ends:
    """Lay out the tab."""
    trained = tabs.load_once(app.APP, lambda: app.load(batch=1))
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("coffee")
            least = gr.Slider(0.1, 0.9, 0.5, step=0.05, label="The least probability of a box")
        with gr.Column(scale=2):
            found = gr.AnnotatedImage(label="What is where", height=480)
            counts = gr.Markdown()

    @lru_cache(8)
    def boxes_of(path):
        photo, _ = tabs.read_photo(path)
        return photo, trained().find([photo], 0.1)[0]

    @tabs.errors_shown()
    def detect(path, least):
        least = in_range("The least probability", least, 0.0, 1.0)
        tabs.read_photo(path)  # says so where there is none
        photo, boxes = boxes_of(path)
        boxes, labels = boxes.take(boxes.scores >= least), trained().labels
        named = [labels[number] for number in boxes.classes]
        places = [
            (tuple(in_pixels(corners, photo.shape)), name) for corners, name in zip(boxes.corners, named, strict=True)
        ]
        text = ", ".join(f"{count} {name}" for name, count in Counter(named).most_common())
        return (np.asarray(photo), places), text or "Nothing that it knows is that likely."

    gr.on([photo.upload, least.input], detect, [photo, least], [found, counts], api_name="detect", **tabs.LATEST)
    sample.then(detect, [photo, least], [found, counts], **tabs.HIDDEN)
    return tabs.photo_ends(photo, detect, [photo, least], [found, counts])
