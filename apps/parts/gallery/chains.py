"""From tab to tab with what one has: describe a photo, translate the sentence, write it by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports Gradio, which must not be before it is told where its files go
    from shared import tabs

WORDS = {"photo": "The same photo in another tab:", "text": "The words in another tab:"}


def join(all_tabs: Any, items: Mapping[str, Any], ends: Mapping[str, tabs.Ends]) -> None:
    """At the foot of each tab, for each thing that it gives: a button for each other tab that takes such a thing.

    Args:
        all_tabs: gradio.Tabs.
        items: each gradio.Tab by its name, which is its id, too.
        ends: what tabs take and give, by name.
    """
    import gradio as gr

    from shared import tabs

    for name, mine in ends.items():
        for kind, (source, said) in mine.gives.items():
            others = {other: end for other, end in ends.items() if other != name and end.takes == kind}
            if not others:
                continue
            with items[name], gr.Row(elem_classes="chain"):
                gr.Markdown(WORDS[kind])
                for other, end in others.items():
                    button = gr.Button(items[other].label, size="sm", min_width=90)
                    moved = button.click(_moving(said, other), source, [end.place, all_tabs], **tabs.HIDDEN)
                    moved.success(end.ask, end.given, end.shown, **tabs.HIDDEN)


def _moving(said: tabs.Said, other: str) -> Any:
    """What a button does: the other tab gets the value, and is opened."""
    import gradio as gr

    from shared import tabs

    @tabs.errors_shown()
    def move(value):
        return said(value), gr.Tabs(selected=other)

    return move
