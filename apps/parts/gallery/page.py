"""A page in the browser for models on this computer, with Gradio: open to nobody else, and to no file but its own.

    with opened(build) as blocks:  # `build()` makes a gradio.Blocks
        print(blocks.local_url)
        wait()

Files that people upload and that are made for them are in a folder of the page's own, which is kept small and deleted
at the end; Gradio serves what is in there, and nothing else. The page loads nothing from the network.
"""

from __future__ import annotations

import html
import importlib.util
import os
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from shared import saved_models
from shared.console import loading
from shared.data.images import fit_within, load_image, sample_photos
from shared.errors import UserError

SIDE = 1280  # pixels: a larger photo is made as small as that
UPLOAD = 25 << 20  # bytes of one file at most
BODY = UPLOAD + (1 << 20)  # bytes of one request at most, whatever it holds
FOLDER = 512 << 20  # bytes of all files at most
WAITING = 64  # questions in the queue at most
BRICKS = ("#c84848", "#c66c3a", "#b47a30", "#a2a22a", "#48a048", "#4248c8")  # the rows of Breakout
STRIPES = ", ".join(f"{colour} {n / 6:.1%} {(n + 1) / 6:.1%}" for n, colour in enumerate(BRICKS))
STYLE = f"""
#banner {{ border-radius: 10px; padding: 18px 26px 26px; overflow: hidden;
          background: linear-gradient(90deg, {STRIPES}) bottom / 100% 8px no-repeat, #16171d }}
#banner h1, #banner p {{ color: #fff; margin: 0 }}
"""


# ------------------------------------------------------------------------------------------------ Open and close


@contextmanager
def opened(
    build: Callable[[], Any],
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = False,
    share: bool = False,
) -> Iterator[Any]:
    """The page that `build` makes, gradio.Blocks, for as long as the block lasts.

    Args:
        build: called when Gradio knows where its files go.
        host: address to listen at.
        port: by default the first free one from 7860.
        browser: also show it in the person's browser.
        share: also make a public link, through a server of Gradio's.

    Raises:
        UserError: Gradio is not installed, or the port is taken.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UserError("Gradio is not installed: run `pip install -r requirements-gallery.txt -c constraints.txt`.")
    with tempfile.TemporaryDirectory(prefix="keras-arcade-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ |= {"GRADIO_TEMP_DIR": f"{folder}", "GRADIO_EXAMPLES_CACHE": f"{folder / 'examples'}"}
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
        loading("Gradio")
        import gradio as gr

        fonts: dict[str, Any] = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
        blocks = build().queue(max_size=WAITING)
        try:
            blocks.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                share=share,
                theme=gr.themes.Default(**fonts).set(body_background_fill="*neutral_50"),
                css=STYLE,
                max_file_size=UPLOAD,
                app_kwargs={"middleware": [small_requests()]},
                allowed_paths=[],
                footer_links=[],
                ssr_mode=False,
                quiet=True,
                prevent_thread_lock=True,
            )
        except OSError as error:
            raise UserError(f"cannot listen at {host}, port {port or '7860 to 7959'}: name another --port.") from error
        try:
            yield blocks
        finally:
            blocks.close(verbose=False)


def small_requests() -> Any:
    """Starlette's middleware that answers 413 to a request of more than BODY: Gradio limits nothing but files."""
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware

    class Small:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen = 0

            async def counted() -> Any:
                nonlocal seen
                message = await receive()
                seen += len(message.get("body", b""))  # as it comes: nobody has to say in advance how much it will be
                if seen > BODY:
                    raise HTTPException(413, "This request is too large.")
                return message

            await self.app(scope, counted if scope["type"] == "http" else receive, send)

    return Middleware(Small)


def wait() -> None:
    """Until Ctrl-C; keeps the page's folder small."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    ours = set(folder.rglob("*"))
    with suppress(KeyboardInterrupt):
        while True:
            prune(folder, FOLDER, ours)
            time.sleep(5)


def prune(folder: Path, most: int, kept: Collection[Path] = ()) -> None:
    """Delete the oldest files until those left are `most` bytes together; `kept` ones stay and do not count."""
    seen: list[tuple[float, int, Path]] = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a temporary file, renamed meanwhile
            if path.is_file() and path not in kept:
                seen.append((path.stat().st_mtime, path.stat().st_size, path))
    total = 0
    for _, size, path in sorted(seen, reverse=True):
        total += size
        if total > most:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # there is another file in it
                path.parent.rmdir()


# ------------------------------------------------------------------------------------------ What is on such a page


@contextmanager
def plainly() -> Iterator[None]:
    """A wrong input is one sentence in the page, the app's own; a bug has a traceback in the terminal."""
    import gradio as gr

    try:
        yield
    except UserError as error:
        raise gr.Error(html.escape(f"{error}", quote=False), print_exception=False) from error


_ONE_AT_A_TIME = threading.Lock()


def once(model: str, load: Callable[..., Any]) -> Callable[..., Any]:
    """`load`, called when it is first needed and never again, whoever asks.

    If the box has no such model, it is called at once, for the sentence in which it says so.
    """
    if not saved_models.in_box(model):
        load()
    loaded = cache(load)

    def get(*which: str) -> Any:
        with _ONE_AT_A_TIME:
            return loaded(*which)

    return get


def typed(text: str | None, most: int) -> str:
    """What somebody typed, if anything; UserError beyond `most` characters, which only a program can send."""
    if len(text or "") > most:
        raise UserError(f"a text of {len(text or ''):,} characters is too long: at most {most:,} are read.")
    return text or ""


def boxed(*names: str) -> list[str]:
    """Those of the models that are in the box."""
    return [name for name in names if saved_models.in_box(name)]


def photo_place(first: str) -> tuple[Any, Any]:
    """A gradio.Image to put a photo in, and the event that one of the samples below it has been chosen.

    Its value is a path, which only `read` opens; in the beginning that of the sample called `first`.
    """
    import gradio as gr

    samples = [str(path) for path in sorted(sample_photos(), key=lambda path: path.stem != first)]
    kind: dict[str, Any] = {"type": "filepath", "sources": ["upload", "clipboard"], "buttons": ["fullscreen"]}
    photo: Any = gr.Image(next(iter(samples), None), label="Photo", height=400, **kind)
    photo.preprocess = lambda given: given and given.path  # Gradio's own tries all decoders that Pillow has
    return photo, gr.Examples(samples, photo, label="Or one of these", examples_per_page=8).load_input_event


def picture(label: str, first: Path | None = None, **look: Any) -> Any:
    """A gradio.Image to look at and to keep: the file `first`, if there is one, until there is another.

    Gradio's own has a third button, which would share the picture with the world.
    """
    import gradio as gr

    shown = str(first) if first and first.is_file() else None
    return gr.Image(shown, label=label, alt_text=label, interactive=False, buttons=["fullscreen", "download"], **look)


@lru_cache(8)
def read(path: str | None) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo, uint8 (H, W, 3), no side above SIDE, and the (height, width) of its file. UserError if it is none."""
    if path is None:
        raise UserError("there is no photo yet: choose one.")
    try:
        photo = load_image(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), Path(path).name)) from error
    height, width, _ = photo.shape
    return fit_within(photo, SIDE), (height, width)


def new_file(name: str) -> Path:
    """A place in the page's own folder."""
    return Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"])) / name
