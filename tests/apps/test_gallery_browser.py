"""The page as a person meets it: in a real browser, with the shipped models, every tab does its job.

It needs Playwright for Python and a Chromium of the system's own, which are not in the usual set-up:

    .venv/bin/pip install playwright -c constraints.txt
    sudo apt-get install chromium      (Debian; on Ubuntu, Fedora or macOS any Chrome or Chromium does)
    .venv/bin/python -m pytest tests/apps/test_gallery_browser.py

    npm install axe-core               (then AXE_CORE=node_modules/axe-core/axe.min.js for one test more)
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from apps import gallery as app
from apps.parts.gallery import start
from apps.parts.gallery.page import opened
from shared.data.photo_files import sample_photos

PATIENCE_MS = 300_000  # a first answer loads a model; the machine may be busy
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("gradio", reason="Gradio is not installed: the head of this file says how")
    with opened(app.build) as blocks:
        yield blocks.local_url


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: see the head of this file")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser here (looked for {', '.join(BROWSERS)}): the head of this file says how to get one")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """The page, just opened; when a test ends, nothing went wrong in it, and it asked nobody else for anything."""
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(PATIENCE_MS)
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.locator(".cards a").first.wait_for()
    yield page
    page.close()
    strangers = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert strangers == [], "the page asked somebody else"
    assert wrong == []


def open_tab(page, title: str):
    """As a visitor does: by its card on the opening page."""
    about = page.locator(".cards a").filter(has=page.get_by_text(title, exact=True))
    sentence = about.locator("span").inner_text()
    about.click()
    panel = page.get_by_role("tabpanel").filter(visible=True).first
    panel.get_by_text(sentence).first.wait_for()
    return panel


def picture_in(panel, label: str):
    """The picture under this label, once it is there, loaded and as large as it is: (element, width, height)."""
    image = panel.get_by_alt_text(label).or_(panel.locator(f'.block:has(label:has-text("{label}")) img')).first
    image.wait_for(state="visible")
    image.page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    size = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return image, *size


def upload(panel, photo: Path) -> None:
    panel.get_by_label("Remove Image").click()
    panel.locator("input[type=file]").first.set_input_files(str(photo))


@pytest.mark.parametrize("width", [1400, 390])
def test_a_card_for_every_app_at_any_width(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    titles = page.locator(".cards strong").all_inner_texts()
    assert sorted(titles) == sorted(tab.TITLE for _, tab in app.tabs().values())
    for card in page.locator(".cards a").all():
        box = card.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert page.locator(".cards img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")


def test_a_link_opens_a_tab_and_a_tab_changes_the_link(page, address):
    page.goto("about:blank")
    page.goto(f"{address}#translator")  # as somebody who was sent the link
    page.get_by_text("English into German and French").filter(visible=True).first.wait_for()
    page.get_by_role("tab", name="Play", exact=True).click()
    page.wait_for_function("location.hash === '#dqn_breakout'")
    page.goto(f"{address}#no_such_tab")
    page.locator(".cards a").first.wait_for(state="attached")


def test_nothing_moves_where_less_motion_is_asked_for(page):
    panel = open_tab(page, "Play")
    film, still = panel.locator(".moving"), panel.locator(".still")
    film.wait_for(state="visible")
    assert not still.is_visible()
    page.emulate_media(reduced_motion="reduce")
    still.wait_for(state="visible")
    assert not film.is_visible()


AXE = os.environ.get("AXE_CORE", "")  # npm install axe-core; AXE_CORE=node_modules/axe-core/axe.min.js
GRADIOS_OWN = {
    "aria-prohibited-attr",
    "label-content-name-mismatch",
}  # a name for an empty box; a drop zone's two names


@pytest.mark.skipif(not AXE, reason="AXE_CORE names no file: axe-core checks what people with handicaps meet")
def test_nobody_is_kept_out(page):
    found = []
    for name in [start.NAME, *app.tabs()]:
        page.evaluate(f"location.hash = '{name}'")
        page.wait_for_timeout(1200)
        page.evaluate(Path(AXE).read_text(encoding="utf-8"))
        wrong = page.evaluate("async () => (await axe.run({exclude: [['.plot-container']]})).violations")
        found += [
            (name, each["id"], each["nodes"][0]["html"][:200])
            for each in wrong
            if each["impact"] in ("critical", "serious") and each["id"] not in GRADIOS_OWN
        ]
    assert found == []


@pytest.mark.parametrize("width", [1400, 390])
def test_no_tab_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name in app.tabs():
        page.evaluate(f"location.hash = '{name}'")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_atari(page):
    panel = open_tab(page, "Play")
    panel.get_by_label("Seconds").first.fill("5")
    panel.get_by_role("button", name="Play").click()
    panel.get_by_text(re.compile(r"\d+ points")).wait_for()
    _, width, height = picture_in(panel, "The film")
    assert (width, height) == (520, 420)


def test_shakespeare(page):
    panel = open_tab(page, "Write")
    panel.get_by_label("Prompt").fill("JULIET:")
    panel.get_by_role("button", name="Write").click()
    text = panel.get_by_label("What it writes")
    page.wait_for_function("text => text.value.length >= 600", arg=text.element_handle())
    assert text.input_value().startswith("JULIET:")


def test_the_classifier(page):
    panel = open_tab(page, "Recognise")
    upload(panel, next(path for path in sample_photos() if path.stem == "coffee"))
    panel.get_by_text(re.compile("espresso", re.IGNORECASE)).first.wait_for()


def test_the_attack_follows_epsilon(page):
    panel = open_tab(page, "Fool")
    panel.get_by_role("button", name="Attack").click()
    sheet, width, _ = picture_in(panel, "Photo + perturbation")
    assert width > 1000
    before = sheet.get_attribute("src")
    panel.get_by_label("Epsilon").first.fill("8")
    panel.get_by_label("Epsilon").first.press("Enter")
    page.wait_for_function("([image, before]) => image.src !== before", arg=[sheet.element_handle(), before])


def test_choosing_a_sample_is_asking(page):
    panel = open_tab(page, "Recognise")
    panel.locator(".gallery-item").nth(1).click()
    panel.get_by_text(re.compile("espresso", re.IGNORECASE)).first.wait_for()


def test_an_unknown_target_is_a_sentence(page):
    panel = open_tab(page, "Fool")
    panel.get_by_label("Target").fill("golf bal")
    panel.get_by_role("button", name="Attack").click()
    page.get_by_text("Did you mean golf ball").first.wait_for()


def test_colours_and_a_hint_by_a_click(page):
    panel = open_tab(page, "Colour")
    panel.get_by_role("button", name="Colour it").click()
    picture_in(panel, "Before and after")
    after = panel.locator('.block:has(label:has-text("Before and after")) img').nth(1)
    unhinted = after.get_attribute("src")
    photo, width, height = picture_in(panel, "Photo")
    photo.click()
    hints = panel.get_by_label("Known colours")
    page.wait_for_function("hints => hints.value.length > 0", arg=hints.element_handle())
    x, y, colour = hints.input_value().split(",")
    assert abs(int(x) - width / 2) <= 0.02 * width
    assert abs(int(y) - height / 2) <= 0.02 * height
    assert colour == "#8b1a2b"
    page.wait_for_function("([image, before]) => image.src !== before", arg=[after.element_handle(), unhinted])


def test_a_photo_is_described(page):
    panel = open_tab(page, "Describe")
    panel.get_by_role("button", name="Describe it").click()
    picture_in(panel, "Where it looked")
    assert re.fullmatch(r"[a-z ]+ \(\d+%\)", panel.get_by_label("The sentence").input_value())


def test_a_photo_is_described_and_its_sentence_translated_and_written_by_hand(page):
    panel = open_tab(page, "Describe")
    chain = page.locator(".chain").filter(visible=True)
    chain.get_by_role("button", name="Translate", exact=True).click()
    page.get_by_text("there is nothing yet to go on with").first.wait_for()
    panel.get_by_role("button", name="Describe it").click()
    said = panel.get_by_label("The sentence").element_handle()
    page.wait_for_function("text => text.value.length > 0", arg=said)
    words = panel.get_by_label("The sentence").input_value().rpartition(" (")[0]
    chain.get_by_role("button", name="Translate", exact=True).click()
    panel = page.get_by_role("tabpanel").filter(visible=True).first
    english = panel.get_by_label("English").element_handle()
    page.wait_for_function("([text, words]) => text.value.toLowerCase() === words + '.'", arg=[english, words])
    german = panel.get_by_label("Translations").element_handle()
    page.wait_for_function("text => text.value.trimStart().startsWith('de ')", arg=german)
    chain.get_by_role("button", name="Handwriting", exact=True).click()
    panel = page.get_by_role("tabpanel").filter(visible=True).first
    picture_in(panel, "The pen at work")
    assert panel.get_by_label("Text").input_value() in panel.page.evaluate("text => text.value", german)


def test_the_same_photo_is_asked_about_in_another_tab(page):
    panel = open_tab(page, "Detect")
    panel.locator(".gallery-item").nth(1).click()  # the cat
    panel.locator(".chain").get_by_role("button", name="Recognise").click()
    page.get_by_text(re.compile("Egyptian cat|tabby", re.IGNORECASE)).filter(visible=True).first.wait_for()
    assert page.evaluate("location.hash") == "#photo_classifier"


def test_faces(page):
    panel = open_tab(page, "Generate faces")
    panel.get_by_role("button", name="Generate", exact=True).click()
    sheet, width, _ = picture_in(panel, "Faces 1 to 64")
    assert width == 1042
    box = sheet.bounding_box()
    for column in (0.5, 1.5):
        sheet.click(position={"x": box["width"] * column / 8, "y": box["height"] / 16})
    terms = panel.get_by_label("Faces to add")
    page.wait_for_function("terms => terms.value === '1 + 2'", arg=terms.element_handle())
    panel.get_by_role("button", name="Add them up").click()
    result, *size = picture_in(panel, "The result")
    assert size == [256, 256]
    panel.get_by_role("button", name="Turn them").click()
    page.wait_for_function("image => image.src.endsWith('morph.webp')", arg=result.element_handle())


def test_a_film_plays_with_its_sound(page):
    panel = open_tab(page, "Sound")
    panel.get_by_label("Seconds").first.fill("3")
    panel.get_by_role("button", name="Play, film").click()
    picture_in(panel, "True and imagined loudness")
    film = panel.locator("video")
    film.wait_for()
    handle = film.element_handle()
    page.wait_for_function("film => film.readyState >= 2 && film.duration > 2.5", arg=handle)
    film.evaluate("film => { film.muted = true; return film.play() }")
    page.wait_for_function("film => film.currentTime > 0.5", arg=handle)
    assert film.evaluate("film => film.webkitAudioDecodedByteCount") > 0, "and it has sound"


def test_the_pen_writes(page):
    panel = open_tab(page, "Handwriting")
    panel.get_by_label("Text").fill("Dear Ann")
    panel.get_by_role("button", name="Write", exact=True).click()
    film, width, _ = picture_in(panel, "The pen at work")
    assert width > 100
    assert film.get_attribute("src").endswith(".webp")
