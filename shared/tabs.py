"""What the gallery's tabs are made of: models that are loaded once, places for photos and pictures, checked inputs.

A tab shows errors as sentences, opens uploaded photos with `read_photo` alone, and writes its files to `new_file`.
"""

from __future__ import annotations

import html
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from shared import saved_models
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.data.sizes import fit_within
from shared.errors import UserError, in_range

MAX_SIDE = 1280  # pixels: a larger photo is scaled down to this
LATEST: dict[str, Any] = {"trigger_mode": "always_last"}
"""For an event of Gradio's: while an answer is being computed, the last of the new questions is kept."""
HIDDEN: dict[str, Any] = {"api_visibility": "private", **LATEST}
"""For an event that programs cannot ask for by name."""


# -------------------------------------------------------------------------------------------------- From tab to tab

Said = Callable[[Any], Any]
"""What another tab gets, of what a component holds; UserError if there is nothing yet."""


class Ends(NamedTuple):
    """Where a tab joins others, which may put something into it, or go on with what it has.

    A tab's `show()` returns it; apps/parts/gallery/chains.py makes the buttons. Things are "photo" or "text".
    """

    takes: str
    place: Any
    """The component that it comes into."""
    ask: Callable[..., Any]
    """What is asked then."""
    given: Sequence[Any]
    """The components that hold the inputs of `ask`."""
    shown: Sequence[Any]
    """Those for its outputs."""
    gives: Mapping[str, tuple[Any, Said]]
    """For each kind of thing: the component that holds one."""


def photo_ends(photo: Any, ask: Callable[..., Any], given: Sequence[Any], shown: Sequence[Any]) -> Ends:
    """The ends of a tab about a photo: `photo` is the component with its path, which others may go on with."""
    return Ends("photo", photo, ask, given, shown, {"photo": (photo, there)})


def there(value: Any) -> Any:
    """The value; UserError if it is empty."""
    if not value:
        raise UserError("there is nothing yet to go on with.")
    return value


# ------------------------------------------------------------------------------------------------ Models and errors


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show a UserError as one sentence in the page; the traceback of a bug goes to the terminal."""
    try:
        yield
    except UserError as error:
        raise gr.Error(html.escape(f"{error}", quote=False), print_exception=False) from error


_LOADING = threading.Lock()


def load_once(model: str, load: Callable[..., Any]) -> Callable[..., Any]:
    """`load`, called when its result is first needed and never again, by whichever thread.

    If no model of that name is shipped, `load` is called at once, for the sentence in which it says so.
    """
    if not saved_models.is_shipped(model):
        load()
    loaded = cache(load)

    def get(*which: str) -> Any:
        with _LOADING:
            return loaded(*which)

    return get


def shipped(*names: str) -> list[str]:
    """Those of the models that are in saved_models."""
    return [name for name in names if saved_models.is_shipped(name)]


# ------------------------------------------------------------------------------------------------ Inputs and outputs


def photo_input(first: str) -> tuple[Any, Any]:
    """A gradio.Image to put a photo in, and the event that one of the samples below it has been chosen.

    Its value is a path, which only `read_photo` opens; in the beginning that of the sample called `first`.
    """
    samples = [str(path) for path in sorted(sample_photos(), key=lambda path: path.stem != first)]
    kind: dict[str, Any] = {"type": "filepath", "sources": ["upload", "clipboard"], "buttons": ["fullscreen"]}
    photo: Any = gr.Image(next(iter(samples), None), label="Photo", height=400, **kind)
    photo.preprocess = lambda given: given and given.path  # Gradio's own tries all decoders that Pillow has
    return photo, gr.Examples(samples, photo, label="Or one of these", examples_per_page=8).load_input_event


@lru_cache(8)
def read_photo(path: str | None) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo, uint8 (H, W, 3), no side above MAX_SIDE, and its file's (height, width); UserError if it is not one."""
    if path is None:
        raise UserError("there is no photo yet: choose one.")
    try:
        photo = load_image(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), Path(path).name)) from error
    height, width, _ = photo.shape
    return fit_within(photo, MAX_SIDE), (height, width)


def checked_text(text: str | None, longest: int) -> str:
    """What somebody typed, if anything; UserError beyond `longest` characters, which only a program can send."""
    if len(text or "") > longest:
        raise UserError(f"a text of {len(text or ''):,} characters is too long: at most {longest:,} are read.")
    return text or ""


def checked_seed(number: float | None) -> int:
    """A seed that somebody typed, or 0 for an empty field; UserError if it is out of range."""
    return in_range("Seed", int(number or 0), 0, 2**31 - 1)


def picture_output(label: str, first: Path | None = None, **look: Any) -> Any:
    """A gradio.Image to look at and to download: the file `first`, if there is one, until there is another.

    Gradio's own has a third button, which would share the picture with the world.
    """
    shown = str(first) if first and first.is_file() else None
    return gr.Image(shown, label=label, alt_text=label, interactive=False, buttons=["fullscreen", "download"], **look)


def film_output(label: str, first: Path | None = None, **look: Any) -> list[Any]:
    """Two places: for a film, and for its last picture, which those see who have asked for less motion."""
    film = picture_output(label, first, elem_classes="moving", **look)
    still = last_picture(first) if first and first.is_file() else None
    return [film, picture_output(f"{label}: its last picture", still, elem_classes="still", **look)]


def last_picture(film: Path) -> Path:
    """The film's last frame, as a file of the page's."""
    from PIL import Image

    path = new_file(f"{film.stem}.png")
    with Image.open(film) as frames:
        frames.seek(getattr(frames, "n_frames", 1) - 1)
        frames.convert("RGB").save(path)
    return path


def new_file(name: str) -> Path:
    """A path in a new folder, which the page deletes at its end."""
    return Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"])) / name
