"""The tab "Recognise": put in a photo; what is on it?"""

import gradio as gr

from apps.photo_classifier import APP, ROBUST, TRAINED_BY
from shared import tabs
from shared.classifiers.classifier import find_classifier

TITLE, POSITION = "Recognise", 30
GROUP, PICTURE = "See", "saved_models/photo_classifier/photos.webp"
EXAMPLE = "six photos and what the network calls them"


def show() -> tabs.Ends:
    """Lay out the tab."""
    classifier_of = tabs.load_once(APP, lambda name=APP: find_classifier(name, 1, TRAINED_BY))
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("chelsea")
        with gr.Column():
            model = gr.Dropdown(tabs.shipped(APP, ROBUST), value=APP, label="Network")
            start = gr.Button("What is it?", variant="primary")
            guesses = gr.Label(label="The network's guesses", num_top_classes=5)

    @tabs.errors_shown()
    def classify(path, model):
        photo, _ = tabs.read_photo(path)
        return dict(classifier_of(model).guesses(photo, top=5))

    given = [photo, model]
    gr.on([start.click, photo.upload, model.input], classify, given, guesses, api_name="classify", **tabs.LATEST)
    sample.then(classify, given, guesses, **tabs.HIDDEN)
    return tabs.photo_ends(photo, classify, given, [guesses])
