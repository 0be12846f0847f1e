"""The arcade's front door: a page in your browser with a tab for each app.

    python apps/gallery.py                  opens it for this computer alone
    python apps/gallery.py --browser        and shows it
    python apps/gallery.py --host 0.0.0.0   for everyone in your network, such as a class
    python apps/gallery.py --root-path /arcade      behind a web server that shows it there

It needs Gradio (pip install -r requirements-gallery.txt -c constraints.txt), and no network. A tab asks for its input,
calls the functions that the app's command calls, and shows what comes. A model is loaded once, when it is first asked
for.
An app has a tab if there is apps/parts/APP/tab.py: CONTRIBUTING.md says what is in it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from apps.parts.gallery import chains, start
from apps.parts.gallery.page import opened, wait
from shared import VERSION, cli
from shared.errors import UserError
from shared.settings import Range, Settings

PARTS = Path(__file__).resolve().parent / "parts"


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Serve(Settings):
    """Open the page, until Ctrl-C closes it."""

    port: Annotated[int | None, Range(1, 65_535)] = None
    """By default the first free one from 7860."""
    host: str = "127.0.0.1"
    """Address to listen at: by default this computer's own, which nobody else can reach."""
    root_path: str = ""
    """Where a web server in front of the page shows it: a path such as /arcade, or its whole address."""
    browser: bool = False
    """Also show the page in your browser."""
    share: bool = False
    """Also make a link that works everywhere, for a week, for whoever has it, through a server of Gradio's."""


# ------------------------------------------------------------------------------------------------------ The page


def tabs() -> dict[str, tuple[ModuleType, ModuleType]]:
    """Each app that has a tab, and the tab, by the app's name, in the order of the tabs' POSITION."""
    names = sorted(path.parent.name for path in PARTS.glob("*/tab.py"))
    found = {name: (import_module(f"apps.{name}"), import_module(f"apps.parts.{name}.tab")) for name in names}
    return dict(sorted(found.items(), key=lambda item: item[1][1].POSITION))


def build() -> Any:
    """The page with all its tabs: Gradio's Blocks. A tab without a model holds the app's sentence about that."""
    import gradio as gr

    found, ends = tabs(), {}
    with gr.Blocks(title="Keras Arcade", analytics_enabled=False) as blocks:
        gr.Markdown(
            f"# Keras Arcade\nFamous results of deep learning, computed on one computer. Version {VERSION}.",
            elem_id="banner",
        )
        with gr.Tabs() as all_tabs:
            with gr.Tab(start.TITLE, id=start.NAME) as first:
                gr.HTML(start.cards(found))
            items = {start.NAME: first}
            for name, (app, tab) in found.items():
                with gr.Tab(tab.TITLE, id=name) as items[name]:
                    gr.Markdown((app.__doc__ or "").splitlines()[0])
                    try:
                        ends[name] = tab.show()
                    except UserError as error:
                        gr.Markdown(f"{error}")
        chains.join(all_tabs, items, {name: end for name, end in ends.items() if end})
        start.show_examples(items, found)
        start.follow_links(blocks, all_tabs, items)
    return blocks


def serve(config: Serve) -> None:
    """Open the page, until Ctrl-C closes it."""
    if not re.fullmatch(r"(https?://[^\s/]+)?(/[\w.~-]+)*/?", config.root_path):
        raise UserError(f"--root-path {config.root_path} is neither a path such as /arcade nor an http address.")
    with opened(build, **asdict(config)) as blocks:
        print(f"The gallery is open at {blocks.share_url or blocks.local_url} (Ctrl-C closes it).", flush=True)
        wait()


if __name__ == "__main__":
    cli.run(__doc__, serve, {})
