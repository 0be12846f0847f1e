"""The page in the browser: every tab's job with tiny models, in sentences where it cannot be done, and no way out."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

import apps.parts
from apps import (
    char_rnn,
    colorizer,
    detector,
    digits,
    dqn_breakout,
    gan_faces,
    handwriting,
    image_captioner,
    photo_classifier,
    silent_film,
    translator,
)
from apps import gallery as app
from apps.parts.digits import pens
from apps.parts.gallery import start
from apps.parts.gallery.page import opened
from apps.parts.silent_film.sounds import LENGTH, Book, _bands
from apps.parts.translator.subwords import Subwords
from shared import cli, saved_models
from shared.data.images import load_image
from shared.data.sizes import crop_square, fit_within
from shared.data.vocabulary import Vocabulary
from shared.drawing.pictures import save_image
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command
from tests.apps.toy import toy_of

ROOT = Path(__file__).parents[2]
SECRET = "nobody may read this"
SEEN = 16
PHOTO = object()  # stands for the fixture
NEEDS_GRADIO = "Gradio is not installed: pip install -r requirements-gallery.txt -c constraints.txt"


@pytest.fixture(scope="module", autouse=True)
def gradio():
    """What every test here needs."""
    return pytest.importorskip("gradio", reason=NEEDS_GRADIO)


def classifier() -> object:
    """Looks at the mean colour: red, green or blue."""
    keras = import_keras()
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((SEEN, SEEN, 3)), *layers])
    weights = np.tile(8 / SEEN**2 * np.eye(3), (SEEN**2, 1))
    model.layers[-1].set_weights([weights + np.random.default_rng(0).normal(0, 0.005, weights.shape), np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """saved_models with a tiny network for every app."""
    folder, rng = tmp_path_factory.mktemp("saved_models"), np.random.default_rng(0)
    import_keras()
    saved_models.save(dqn_breakout.q_network(4), folder / "dqn_breakout", {})
    symbols = "\n " + "".join(map(chr, range(65, 91)))
    writer = char_rnn.char_model(len(symbols), char_rnn.Train(layers=1, units=8, embedding=6))
    saved_models.save(writer, folder / char_rnn.APP, {"vocabulary": symbols})
    for name in (photo_classifier.APP, photo_classifier.ROBUST):
        saved_models.save(classifier(), folder / name, {"labels": ["red", "green", "blue"]}, float16=False)
    bins = colorizer.ColourBins.of(rng.uniform(-60, 60, (500, 2)).astype(np.float32), 0.5, 0.0)
    with pytest.MonkeyPatch.context() as patch:
        for name in (colorizer.APP, detector.APP, image_captioner.APP):
            toy_of(name).shrink(patch)
        painter = colorizer.colour_network(rng.normal(0, 1, len(bins.centres)), pretrained=False)
        small = image_captioner.Train(size=64, units=16, layers=1, heads=2, hidden=16, longest=8)
        captioner = image_captioner.caption_network(len(Vocabulary(words := list("abcdefgh"))), small, pretrained=False)
        finder = detector.ssd(2)
    saved_models.save(painter, folder / colorizer.APP, bins.record())
    saved_models.save(captioner, folder / image_captioner.APP, {"vocabulary": words, "sayings": []})
    subwords = Subwords.of(["the dog runs", "der Hund"] * 9, 290, ["de"])
    subwords.save(folder / translator.APP)
    small = translator.Train(units=16, hidden=16, heads=2, encoder_layers=1, layers=1)
    record = {"to": ["de"], "vocabulary": subwords.digest}
    saved_models.save(translator.translation_network(len(subwords), small), folder / translator.APP, record)
    small = handwriting.Train(units=8, gaussians=2, hand_size=2)
    record = {"characters": " abc", "hands": [[0.0, 1.0], [1.0, 0.0]]}
    saved_models.save(handwriting.handwriting_network(5, small), folder / handwriting.APP, record)
    heard = np.full((3, LENGTH, 512), 128, np.uint8)
    saved_models.save(silent_film.sound_network(3, 8, 16), folder / silent_film.APP, {"ahead": 2})
    Book(np.zeros((3, _bands().shape[1]), np.float32), heard, np.zeros((3, 3), np.float32)).save(
        folder / silent_film.APP
    )
    reads = digits.network_of(digits.Train(network="lenet5"))
    saved_models.save(reads, folder / digits.APP, {"least": 0.0})
    saved_models.save(finder, folder / detector.APP, {"labels": ["red", "green"]})
    saved_models.save(gan_faces.generator(gan_faces.Train(width=2, latent=8)), folder / gan_faces.APP, {})
    return folder


@pytest.fixture(scope="module")
def gallery(models, tmp_path_factory):
    """The open page with those models, and a client: (Gradio's Blocks, the client, the page's folder)."""
    import gradio_client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_models, "MODELS", models)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        Path("secret.txt").write_text(SECRET, encoding="utf-8")
        with opened(app.build) as blocks:
            downloads = tmp_path_factory.mktemp("downloads")
            client = gradio_client.Client(blocks.local_url, download_files=downloads, verbose=False)
            yield blocks, client, Path(os.environ["GRADIO_TEMP_DIR"])


@pytest.fixture(scope="module")
def ask(gallery):
    """`ask(name, *inputs)`: what the page answers."""
    return lambda name, *inputs: gallery[1].predict(*inputs, api_name=f"/{name}")


@pytest.fixture
def refusal(ask):
    """`refusal(name, *inputs)`: the sentence that the page shows instead of an answer."""
    from gradio_client.exceptions import AppError

    def sentence(name: str, *inputs: object) -> str:
        with pytest.raises(AppError) as error:
            ask(name, *inputs)
        return str(error.value)

    return sentence


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A reddish photo, not square, that is larger than what a tab works on; as a client uploads it."""
    from gradio_client import handle_file

    path = tmp_path_factory.mktemp("photo") / "red.png"
    save_image(path, np.random.default_rng(0).integers((120, 20, 20), (220, 90, 90), (900, 1500, 3)).astype(np.uint8))
    return handle_file(str(path))


def test_gradio_waits_until_it_knows_where_its_files_go():
    code = "import sys, apps.gallery; print('gradio' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == "False\n"


# -------------------------------------------------------------------------------------------- Every tab does its job


@pytest.mark.slow
def test_atari_plays_and_films(ask):
    film, still, score = ask("play", "breakout", 0.5, 5, 3)
    with Image.open(film) as pictures:
        assert (pictures.format, pictures.n_frames > 20) == ("WEBP", True)
    assert re.fullmatch(r"\*\*\d+ points\*\* when the film ends, after 75 steps", score)
    assert load_image(still).shape == (420, 520, 3)
    assert ask("play", "breakout", 0.5, 5, 3)[2] == score, "a seed plays the same game"


def test_a_game_is_filmed_with_a_sound(ask, refusal):
    film, picture = ask("silent_film", "breakout", 3, "true", 3)
    path = film["video"] if isinstance(film, dict) else film
    assert Path(path).read_bytes()[:4] == b"\x1a\x45\xdf\xa3", "Matroska, of which WebM is a kind"
    assert load_image(picture).shape[1] == 1100
    assert "maximum value 20" in refusal("silent_film", "breakout", 99, "true", 3)


def test_handwriting_is_a_film_a_picture_and_a_drawing(ask):
    film, picture, _, told = ask("handwriting", "a cab", 1, 1.0, 3)
    with Image.open(film) as pictures:
        assert pictures.format == "WEBP"
    assert load_image(picture).shape[1] > 10
    assert told == ""


def test_shakespeare_goes_on_from_the_prompt_while_one_reads(gallery):
    job = gallery[1].submit("ROMEO", 0.8, 0, 200, api_name="/write")
    job.result()
    pieces = job.outputs()
    assert len(pieces) > 2
    assert pieces[-1].startswith("ROMEO")
    assert len(pieces[-1]) == 205
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(pieces))


def test_the_classifier_names_the_photo(ask, photo):
    answer = ask("classify", photo, "photo_classifier")
    assert answer["label"] == "red"
    assert answer["confidences"][0]["label"] == "red"
    assert sum(guess["confidence"] for guess in answer["confidences"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("method", "target"), [("fgsm", ""), ("pgd", "Blue")])
def test_the_attack_gives_the_sheet_and_the_very_pixels(ask, photo, method, target):
    sheet, kept = ask("attack", photo, 3, method, target, "photo_classifier")
    assert load_image(sheet).shape[1] > 1000
    small = crop_square(fit_within(load_image(photo["path"]), 1280), SEEN)
    assert np.abs(load_image(kept).astype(int) - small).max() == 3


def test_colours_keep_the_lightness_and_obey(ask, photo):
    from apps.parts.colorizer import lab

    before, after = map(load_image, ask("colour", photo, 1.0, ""))
    assert before.shape == after.shape == (768, 1280, 3)
    assert np.abs(before.astype(int).max(-1) - before.min(-1)).max() <= 12, "grey, but for WebP"
    assert np.ptp(after.astype(int), axis=-1).mean() > 10
    assert np.abs(lab.lightness(after) - lab.lightness(before)).mean() < 2
    _, grey = map(load_image, ask("colour", photo, 0.0, ""))
    assert np.abs(grey.astype(int) - before).mean() < 2
    _, told = map(load_image, ask("colour", photo, 1.0, "750,450,#0000ff\n10,10,#0000ff"))
    assert told[380:388, 636:644, 2].mean() > after[380:388, 636:644, 2].mean() + 5, "pixels of the file, not of ours"


def test_a_tab_goes_on_with_the_photo_or_the_words_of_another(gallery):
    from apps.parts.handwriting import tab as handwriting_tab
    from apps.parts.image_captioner.tab import as_sentence
    from apps.parts.translator.tab import first_translation

    buttons = [each.value for each in gallery[0].blocks.values() if type(each).__name__ == "Button"]
    photos = ("Recognise", "Detect", "Fool", "Explain", "Colour", "Describe")
    assert {title: buttons.count(title) for title in photos} == dict.fromkeys(photos, len(photos) - 1)
    assert buttons.count("Translate") == 3, "two tabs with words go there, and its own button"
    assert buttons.count(handwriting_tab.TITLE) == 2
    assert as_sentence("a dog (a black one) runs (34%)") == "A dog (a black one) runs."
    assert as_sentence("I am not sure: a dog runs (5%)") == "A dog runs."
    assert first_translation("  de  Ein Hund rennt.  (45%, unsure)\n  fr  Un chien.  (9%)") == "Ein Hund rennt."
    for nothing in (as_sentence, first_translation):
        with pytest.raises(UserError, match="nothing yet"):
            nothing("")


def test_a_photo_is_described_and_where_it_looked(ask, photo):
    sentence, looked = ask("describe", photo)
    assert re.fullmatch(r"I am not sure: [a-h ]* \(\d+%\)", sentence)
    assert load_image(looked).ndim == 3


def test_an_upload_whose_name_begins_with_a_dot(ask, tmp_path, monkeypatch):
    """Gradio refuses such files, with an error of its own, where the working directory has its folder inside."""
    from gradio_client import handle_file

    save_image(tmp_path / ".hidden.png", np.full((40, 40, 3), (200, 40, 40), np.uint8))
    monkeypatch.chdir(Path(os.environ["GRADIO_TEMP_DIR"]).parent)
    assert ask("classify", handle_file(tmp_path / ".hidden.png"), "photo_classifier")["label"] == "red"


def test_a_drawn_digit_is_read(ask, tmp_path):
    from gradio_client import handle_file

    save_image(tmp_path / "drawn.png", 255 - np.repeat(pens.drawn("4")[..., None], 3, axis=-1))
    drawn = {"background": None, "layers": [], "composite": handle_file(tmp_path / "drawn.png"), "id": None}
    shares, first, later = ask("digit", drawn)
    assert {each["label"] for each in shares["confidences"]} == set("0123456789")
    assert [load_image(path).shape[1] > 200 for path in (first, later)] == [True, True]
    assert load_image(ask("nearest_digits", drawn, "4")).shape[0] == 120


def test_boxes_on_a_photo(ask, photo):
    found, counts = ask("detect", photo, 0.1)
    assert set(found) == {"image", "annotations"}
    assert counts


def test_an_answer_is_explained_and_a_game(ask, photo):
    picture, sentence = ask("explain", photo, "", "", "occlusion")
    assert load_image(picture).shape == (480, 480, 3)
    assert sentence.startswith("**Why ")
    with Image.open(ask("explain_game", 0)[0]) as film:
        assert film.n_frames > 20


def test_a_sentence_is_translated_and_what_it_looked_at(ask):
    text, picture = ask("translate", "The dog runs.", 2)
    assert re.match(r"  de  .*\(\d+%", text)
    with Image.open(picture) as sheet:
        assert sheet.width > 100


def test_a_boundary_moves_while_the_network_learns(gallery):
    given = ("gates", None, "4", "tanh", 0.05, 0.0)
    job = gallery[1].submit(*given, api_name="/learn")
    picture, told = job.result(timeout=120)
    with Image.open(picture) as frame:
        assert frame.size == (400, 430)
    assert re.fullmatch(r"\d+\.\d% right", told)
    assert len(job.outputs()) > 5


def test_faces_are_generated_added_and_turned(ask):
    sheet = load_image(ask("faces", 7, 1.0))
    assert sheet.shape == (1042, 1042, 3)
    fourth = sheet[2:130, 2 + 3 * 130 : 130 + 3 * 130]
    alone = load_image(ask("add", 7, 1.0, "4"))
    assert np.abs(alone[::2, ::2].astype(int) - fourth).mean() < 12, "one face alone is itself"
    both = load_image(ask("add", 7, 1.0, " 4+60 - 2"))
    assert np.abs(both.astype(int) - alone).mean() > 1
    with Image.open(ask("morph", 7, 1.0, "1 + 2 + 3")) as film:
        assert film.n_frames == 3 * 24
    with Image.open(ask("morph", 7, 1.0, "")) as film:
        assert film.n_frames == 8 * 24


def texts(kind: str, blocks) -> list[str]:
    """What the page's parts of one kind say."""
    return [getattr(block, "value", block.label) for block in blocks.blocks.values() if block.get_block_name() == kind]


def test_a_tab_without_its_model_says_what_the_app_says(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path)
    blocks = app.build()
    titles = [tab.TITLE for _, tab in app.tabs().values()]
    assert texts("tabitem", blocks) == [start.TITLE, *titles]
    assert len(set(titles)) == len(titles) == len([*ROOT.glob("apps/parts/*/tab.py")])
    said = texts("markdown", blocks)
    live = [page for page, _ in app.tabs().values() if not toy_of(page.__name__.split(".")[-1]).needs_model]
    assert sum("`python apps/" in text for text in said) == len(titles) - len(live)
    assert any("train one with `python apps/gan_faces.py train`" in text for text in said)
    asked = {fn.api_name for fn in blocks.fns.values() if fn.api_visibility == "public"}
    assert asked == {"compare", "learn"}, "and nothing else, but what needs no model"


def test_a_new_app_needs_no_line_in_the_gallery(tmp_path, monkeypatch):
    (tmp_path / "parts" / "toy").mkdir(parents=True)
    (tmp_path / "toy.py").write_text('"""A toy: it waits.\n\nMore."""', encoding="utf-8")
    tab = "import gradio\nTITLE, POSITION = 'Wait', 5\ndef show():\n    gradio.Markdown('Still waiting.')\n"
    (tmp_path / "parts" / "toy" / "tab.py").write_text(tab, encoding="utf-8")
    monkeypatch.setattr(app, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(apps, "__path__", [str(tmp_path)])
    monkeypatch.setattr(apps.parts, "__path__", [str(tmp_path / "parts")])
    blocks = app.build()
    assert texts("tabitem", blocks) == [start.TITLE, "Wait"]
    assert texts("markdown", blocks)[1:] == ["A toy: it waits.", "Still waiting."]


# ------------------------------------------------------------------------------------------------- Wrong inputs


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("play", ("breakout", 2.0, 5, 1), "2"),
        ("play", ("breakout", 0.1, 5, -1), "Seed is -1, and must be from 0"),
        ("play", ("breakout", 0.1, 1e9, 1), "60"),
        ("write", ("ROMEO", 0.8, -1, 200), "-1"),
        ("write", ("ROMEO", 0.8, 0, 3000), "2000"),
        ("write", ("ROMEO", 0.8, 0, 1e9), "2000"),
        ("write", ("R" * 2001, 0.8, 0, 200), "a text of 2,001 characters is too long: at most 2,000 are read."),
        ("add", (1, 1.0, "three"), "say which faces"),
        ("add", (1, 1.0, ""), "say which faces"),
        ("add", (1, 1.0, "1 + 65"), "A face's number is 65, and must be from 1 to 64"),
        ("classify", (None, "photo_classifier"), "there is no photo yet: choose one."),
        ("attack", (PHOTO, 3, "fgsm", "gren", "photo_classifier"), "has no class 'gren'. Did you mean green?"),
        ("attack", (PHOTO, 3, "fgsm", "golf ball" * 1000, "photo_classifier"), "at most 60 are read"),
        ("detect", (None, 0.5), "there is no photo yet: choose one."),
        ("detect", (PHOTO, 7), "7"),
        ("explain", (PHOTO, "gren", "", "Grad-CAM"), "has no class 'gren'. Did you mean green?"),
        ("explain", (PHOTO, "red", "red", "Grad-CAM"), "the same class"),
        ("explain", (None, "", "", "Grad-CAM"), "there is no photo yet: choose one."),
        ("explain_game", (500,), "120"),
        ("learn", ("a file of mine", None, "4", "tanh", 0.05, 0.0), "there is no file yet: choose one."),
        ("learn", ("points that I click", None, "4", "tanh", 0.05, 0.0), "click at least one point of each class"),
        ("learn", ("gates", None, "0,1", "tanh", 0.05, 0.0), "--layers is 0,1"),
        ("digit", (None,), "there is no drawing yet: draw a digit."),
        ("translate", ("  ", 4), "there is no sentence yet: type one."),
        ("translate", ("a\0b", 4), "zero bytes"),
        ("translate", ("a" * 2001, 4), "a text of 2,001 characters is too long"),
        ("translate", ("a dog", 99), "99"),
        ("colour", (PHOTO, 1.0, "1500,0,#ff0000"), "is outside the photo, which is 1500 x 900 pixels"),
        ("colour", (PHOTO, 1.0, "<img>"), "is not x,y,#rrggbb"),
        ("colour", (PHOTO, 1.0, "0,0,#ff0000\n" * 1000), "at most 2,000 are read"),
    ],
)
def test_a_wrong_input_is_one_sentence(refusal, photo, name, inputs, said):
    assert said in refusal(name, *(photo if given is PHOTO else given for given in inputs))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"not a photo", " is not a photo in a known format; save it as JPEG or PNG."),
        ("empty.png", b"", " is empty; give a photo file."),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", " is not a photo in a known format"),
        ("print.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", " is not a photo"),
        ("poster.ppm", b"P6 9000 9000 255 ", " has 9000 x 9000 pixels, more than the 64 million allowed"),
    ],
)
def test_what_is_no_photo_is_refused_before_it_is_decoded(refusal, tmp_path, name, content, said):
    from gradio_client import handle_file

    (tmp_path / name).write_bytes(content)
    for title, more in (("classify", ("photo_classifier",)), ("colour", (1.0, ""))):
        assert name + said in refusal(title, handle_file(str(tmp_path / name)), *more)


# ----------------------------------------------------------------------------------------------------- No way out


def get(gallery, path: str):
    return httpx.get(gallery[0].local_url.rstrip("/") + path)


PATHS = ("/etc/passwd", "//etc/passwd", "file:///etc/passwd", "{root}/README.md", "secret.txt", "{cwd}/secret.txt")
UPWARDS = ("{folder}/../../../../etc/passwd", "{folder}/..%2f..%2f..%2fetc/passwd", "..%5c..%5cetc/passwd")


@pytest.mark.parametrize("path", [*PATHS, *UPWARDS])
@pytest.mark.parametrize("route", ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/"])
def test_files_of_others_are_not_served(gallery, route, path):
    answer = get(gallery, route + path.format(root=ROOT, cwd=os.getcwd(), folder=gallery[2]))
    assert answer.status_code >= 400
    assert "root:" not in answer.text
    assert SECRET not in answer.text


def call(gallery, name: str, *inputs: object) -> str:
    """All that the server says to inputs that no client of Gradio's would send."""
    address = f"{gallery[0].local_url}gradio_api/call/{name}"
    event = httpx.post(address, content=json.dumps({"data": inputs}), headers={"Content-Type": "application/json"})
    answer = event if event.status_code >= 400 else httpx.get(f"{address}/{event.json()['event_id']}", timeout=60)
    return answer.text


@pytest.mark.parametrize("path", PATHS)
def test_an_input_cannot_name_a_file_of_the_server(gallery, path):
    given = {"path": path.format(root=ROOT, cwd=os.getcwd()), "meta": {"_type": "gradio.FileData"}}
    for tab, more in (("classify", ("photo_classifier",)), ("colour", (1.0, ""))):
        said = call(gallery, tab, given, *more)
        assert "event: error" in said
        assert "event: complete" not in said
        assert "root:" not in said
        assert SECRET not in said


def test_an_input_of_another_type_is_an_error_and_the_page_goes_on(gallery, ask, photo):
    for inputs in (({"x": 1}, "photo_classifier"), ([1, 2], "photo_classifier"), (7, 7), ("photo",), ()):
        said = call(gallery, "classify", *inputs)
        assert "event: complete" not in said
    assert "event: complete" not in call(gallery, "play", "breakout", 0.1, float("nan"), 1)
    assert "event: complete" not in call(gallery, "faces", "one", "two")
    assert ask("classify", photo, "photo_classifier")["label"] == "red"


def test_the_server_fetches_nothing_for_others(gallery):
    """A path that is an address on this computer or its network is not visited."""
    with socket.create_server(("127.0.0.1", 0)) as dubber:
        dubber.settimeout(1)
        address = f"http://127.0.0.1:{dubber.getsockname()[1]}/photo.png"
        given = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        assert "event: error" in call(gallery, "classify", given, "photo_classifier")
        with pytest.raises(TimeoutError):
            dubber.accept()


@pytest.mark.parametrize("model", ["../secret", "ResNet50", "/etc", "photo_classifier/../photo_classifier"])
def test_only_shipped_models_are_loaded(refusal, photo, model):
    assert "not in the list of choices" in refusal("classify", photo, model)
    assert "not in the list of choices" in refusal("attack", photo, 3, "fgsm", "", model)
    assert "not in the list of choices" in refusal("play", model, 0.1, 5, 1)


def test_a_large_upload_is_refused(gallery):
    before = {path for path in gallery[2].rglob("*") if path.is_file()}
    content = b"\0" * (26 << 20)
    answer = httpx.post(gallery[0].local_url + "gradio_api/upload", files={"files": ("large.png", content)}, timeout=60)
    assert answer.status_code == 413
    assert {path for path in gallery[2].rglob("*") if path.is_file()} == before, "nothing of it is left"


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in pieces"])
def test_a_large_request_of_any_kind_is_refused(gallery, announced):
    body = b'{"data": ["' + b"x" * (27 << 20) + b'"]}'
    content = body if announced else iter([body[n : n + 65_536] for n in range(0, len(body), 65_536)])
    address = gallery[0].local_url + "gradio_api/queue/join"
    answer = httpx.post(address, content=content, headers={"content-type": "application/json"}, timeout=60)
    assert answer.status_code == 413


def test_all_files_are_in_the_pages_folder(gallery, ask, photo):
    ask("colour", photo, 1.0, "")
    assert [path.name for path in Path.cwd().iterdir()] == ["secret.txt"]
    assert any(path.suffix == ".webp" for path in gallery[2].rglob("*"))


def test_only_this_computer_is_listened_to(gallery):
    open_ports = [c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in open_ports if address.port == gallery[0].server_port} == {"127.0.0.1"}


def test_the_page_names_no_address_but_its_own(gallery):
    shell = get(gallery, "/").text
    config = get(gallery, "/config").json()
    assert not config["analytics_enabled"]
    images = [part["props"] for part in config["components"] if part["type"] == "image"]
    assert len(images) >= 9
    assert not [image["label"] for image in images if "share" in image["buttons"]]
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?https?://(?!127\.0\.0\.1)[^"'\s>]+""", shell)
    for sheet in ("/theme.css", *re.findall(r'href="\.?(/[^"]+\.css)"', shell)):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?https?://[^)\"']+", get(gallery, sheet).text), sheet


# -------------------------------------------------------------------------------------------------- Small parts


@pytest.mark.parametrize(
    ("terms", "faces"),
    [("7", [(1, 6)]), ("3 + 17 - 5", [(1, 2), (1, 16), (-1, 4)]), ("-1+64", [(-1, 0), (1, 63)])],
)
def test_faces_to_add(terms, faces):
    from apps.parts.gan_faces.tab import parsed

    assert parsed(terms) == faces


@pytest.mark.parametrize("terms", [None, "", "+", "1 ++ 2", "0", "65", "1.5", "1 2 x", "9" * 5000, "1" + "+1" * 99])
def test_what_are_no_faces(terms):
    from apps.parts.gan_faces.tab import parsed

    with pytest.raises(UserError):
        parsed(terms)


@pytest.mark.parametrize("colour", ["#8b1a2b", "#8b1a2bff", "rgba(139, 26, 43, 1)", "rgba(139.2, 26.1, 42.8, 0.5)"])
def test_colours_of_any_browser(colour):
    from apps.parts.colorizer.tab import hexadecimal

    assert hexadecimal(colour) == "#8b1a2b"


def test_a_hint_is_a_pixel_of_the_file():
    from apps.parts.colorizer.tab import hint_on

    hint = hint_on(np.zeros((50, 100, 3), np.uint8), (500, 1000), "999,499,#010203")
    assert (hint.x, hint.y, hint.rgb) == (99, 49, (1, 2, 3))


# ------------------------------------------------------------------------------------------------- The command


def test_help_does_not_wait_for_gradio(tmp_path):
    program = (
        "import sys; sys.argv = ['gallery.py', '--help']; from apps import gallery\n"
        "try: gallery.cli.run(gallery.__doc__, gallery.serve, {})\n"
        "finally: print('LOADED', {'gradio', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "--port" in done.stdout
    assert "LOADED set()" in done.stdout
    assert "first word" not in done.stdout, "it has no verbs"


def test_a_port_that_is_taken(gallery):
    port = gallery[0].server_port
    with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1, port {port}"), opened(app.build, port=port):
        pass


def test_behind_a_web_server_under_a_path(monkeypatch):
    import gradio as gr

    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "to be restored")

    def build():
        with gr.Blocks(analytics_enabled=False) as blocks:
            gr.Markdown("Nothing")
        return blocks

    with opened(build, root_path="/arcade/") as blocks:
        assert httpx.get(f"{blocks.local_url}config").json()["root"].endswith("/arcade")
        assert "/arcade" in httpx.get(blocks.local_url).text


@pytest.mark.parametrize("place", ["arcade", "/a b", "ftp://there/", "javascript:alert(1)", "//", "/<script>"])
def test_a_place_that_no_web_server_shows(place, capsys):
    assert "--root-path" in Command("gallery").sentence(capsys, f"--root-path={place}")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_closes_the_page_and_leaves_nothing(tmp_path, ending):
    env, pipes = {**os.environ, "TMPDIR": str(tmp_path)}, {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, app.__file__], cwd=tmp_path, env=env, text=True, **pipes)
    line = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert address, line + process.stderr.read()
    assert httpx.get(address[0]).status_code == 200
    process.send_signal(ending)
    assert process.wait(20) == (0 if ending == signal.SIGINT else cli.TERMINATED), process.stderr.read()
    assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_the_opening_page_has_a_card_for_each_app_and_nothing_of_others():
    found = start.cards(app.tabs())
    links = re.findall(r'href="#(\w+)"', found)
    assert sorted(links) == sorted(app.tabs())
    assert found.count('src="data:image/webp;base64,') == len(links), "a picture each"
    assert len(found) < 400_000
    assert "http" not in found


def test_every_tab_has_a_group_and_a_picture():
    for _, tab in app.tabs().values():
        assert tab.GROUP in start.GROUPS
        assert (ROOT / tab.PICTURE).is_file()
