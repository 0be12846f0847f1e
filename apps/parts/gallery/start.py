"""The opening page: a card for each app, in groups; and links to a tab, such as #detector."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
NAME, TITLE = "start", "All"
GROUPS = {
    "Learn": "How a network learns, while you watch",
    "See": "What is on a picture",
    "Write": "Words, letters, sentences",
    "Play": "Games from the screen, and how they sound",
    "Make": "Colours and faces that were not there",
    "Doubt": "How sure is it, why, and how is it fooled?",
}
CARD = (300, 170)  # pixels
# What the address says after #, at the start and whenever it changes; a link on the page changes it. Gradio's samples
# have no name that a screen reader could say.
HASH = "() => [window.location.hash.slice(1)]"
LISTEN = """() => {
  if (!window.arcade) {
    window.arcade = true;
    window.addEventListener("hashchange", () => document.getElementById("goto").click());
    const name = () => document.querySelectorAll("button.gallery-item:not([aria-label]):has(img)").forEach(
      (button, n) => button.setAttribute("aria-label", "Sample photo " + (n + 1)));
    new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
    name();
  }
  return [window.location.hash.slice(1)];
}"""


def thumbnail(path: Path) -> str:
    """A picture's first frame as a data: address, small enough for a card; "" if there is none."""
    from PIL import Image, ImageOps

    if not path.is_file():
        return ""
    with Image.open(path) as picture:
        small = ImageOps.fit(picture.convert("RGB"), CARD, centering=(0.5, 0.0))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def card(name: str, app: ModuleType, tab: ModuleType) -> str:
    """A link to the app's tab: picture, name, one sentence."""
    sentence = html.escape((app.__doc__ or "").splitlines()[0])
    picture = thumbnail(ROOT / tab.PICTURE) if getattr(tab, "PICTURE", "") else ""
    image = f'<img alt="" src="{picture}">' if picture else ""
    return f'<li><a href="#{name}">{image}<strong>{html.escape(tab.TITLE)}</strong><span>{sentence}</span></a></li>'


def cards(tabs: Mapping[str, tuple[ModuleType, ModuleType]]) -> str:
    """All apps as HTML, in their groups; one whose tab names no group comes with those that learn."""
    parts = []
    for group, about in GROUPS.items():
        found = [card(name, *pair) for name, pair in tabs.items() if getattr(pair[1], "GROUP", "Learn") == group]
        if found:
            parts.append(f"<h2>{group}: {about[0].lower()}{about[1:]}</h2><ul class='cards'>{''.join(found)}</ul>")
    return "<nav aria-label='All apps'>" + "".join(parts) + "</nav>"


def show_examples(items: Mapping[str, Any], tabs: Mapping[str, tuple[ModuleType, ModuleType]]) -> None:
    """At the foot of each tab, what its app made before: the card's picture, and what is to be seen on it."""
    from shared.tabs import picture_output

    for name, (_, tab) in tabs.items():
        if hasattr(tab, "EXAMPLE"):
            with items[name]:
                picture_output(f"Made before, as an example: {tab.EXAMPLE}", ROOT / tab.PICTURE)


def follow_links(blocks: Any, tabs: Any, items: Mapping[str, Any]) -> None:
    """Open the tab that the address names, and let the address name the tab that is open.

    Args:
        blocks: the page.
        tabs: gradio.Tabs.
        items: each gradio.Tab by its name, which is its id, too.
    """
    import gradio as gr

    where = gr.Textbox(visible=False)
    go = gr.Button("Go", elem_id="goto")

    def opened(name: str) -> Any:
        return gr.Tabs(selected=name) if name in items else gr.skip()

    quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    blocks.load(opened, [where], [tabs], js=LISTEN, **quiet)
    go.click(opened, [where], [tabs], js=HASH, **quiet)
    for name, item in items.items():  # the first tab is selected before anybody has read what the address says
        item.select(None, js=f"() => {{ if (window.arcade) history.replaceState(null, '', '#{name}') }}")
