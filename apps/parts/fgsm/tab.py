"""The tab "Fool": move epsilon; how little must change for the network to call the photo something else?"""

import gradio as gr

from apps import fgsm
from apps.parts.fgsm.equation import equation, guesses_of_terms, save
from apps.parts.fgsm.inputs import goal_for
from shared import tabs
from shared.classifiers.classifier import find_classifier
from shared.data.sizes import crop_square

TITLE, POSITION = "Fool", 40
GROUP, PICTURE = "Doubt", "saved_models/photo_classifier/fgsm.webp"
EXAMPLE = "a cup of espresso, plus .008 times the sign of the gradient, is consomme to the network"


def show() -> tabs.Ends:
    """Lay out the tab."""
    classifier_of = tabs.load_once(
        fgsm.UNDEFENDED, lambda name=fgsm.UNDEFENDED: find_classifier(name, 1, fgsm.TRAINED_BY)
    )
    with gr.Row():
        with gr.Column():
            photo, sample = tabs.photo_input("coffee")
        with gr.Column():
            levels = gr.Slider(1, 16, 2, step=1, label="Epsilon, in 255ths")
            method = gr.Radio(["fgsm", "pgd"], value="fgsm", label="One step (FGSM) or many (PGD)")
            target = gr.Textbox(label="Target: the class that it should see; empty for any other", max_length=60)
            model = gr.Dropdown(tabs.shipped(fgsm.UNDEFENDED, fgsm.DEFENDED), value=fgsm.UNDEFENDED, label="Network")
            start = gr.Button("Attack", variant="primary")
            adversarial = tabs.picture_output("The adversarial photo, to download", height=200)
    sheet = tabs.picture_output("Photo + perturbation = adversarial photo", show_label=False)

    @tabs.errors_shown()
    def attack(path, levels, method, target, model):
        photo, _ = tabs.read_photo(path)
        wanted = tabs.checked_text(target, 60).strip() or None
        config = fgsm.Attack(epsilon=f"{round(levels)}/255", attack=method, target=wanted)
        fgsm.checked(config)
        classifier = classifier_of(model)
        goal, small = goal_for(classifier, photo, config.target), crop_square(photo, classifier.size)
        found = fgsm.craft(config, classifier.attacker, small, goal)
        saved = save(tabs.new_file("adversarial.png"), found, small, classifier, goal)
        guesses = guesses_of_terms(classifier, photo, saved)
        return equation(classifier.name, method, config.epsilon, saved, guesses), str(saved.path)

    given, results = [photo, levels, method, target, model], [sheet, adversarial]
    triggers = [start.click, photo.upload, levels.input, method.input, target.submit, model.input]
    gr.on(triggers, attack, given, results, api_name="attack", **tabs.LATEST)
    sample.then(attack, given, results, **tabs.HIDDEN)
    return tabs.photo_ends(photo, attack, given, results)
