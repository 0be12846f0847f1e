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

from shared import zoo
from shared.cli import UserError, loading
from shared.data.images import fit_within, load_image, sample_photos

SIDE = 1280  # pixels: a larger photo is made as small as that
UPLOAD = "25mb"  # of one file at most
FOLDER = 512 << 20  # bytes of all files at most
WAITING = 64  # questions in the queue at most


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
                theme=gr.themes.Default(**fonts),
                max_file_size=UPLOAD,
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
    if not boxed(model):
        load()
    loaded = cache(load)

    def get(*which: str) -> Any:
        with _ONE_AT_A_TIME:
            return loaded(*which)

    return get


def boxed(*names: str) -> list[str]:
    """Those of the models that are in the box."""
    return [name for name in names if (zoo.MODELS / name / zoo.MODEL).is_file()]


def photo_place() -> Any:
    """A gradio.Image to put a photo in, with some to choose from: its value is a path, which only `read` opens."""
    import gradio as gr

    samples = [str(path) for path in sample_photos()]
    photo = gr.Image(
        samples[0] if samples else None, type="filepath", sources=["upload", "clipboard"], label="Photo", height=400
    )
    photo.preprocess = lambda given: given and given.path  # Gradio's own tries all decoders that Pillow has
    gr.Examples(samples, photo, label="Or one of these", examples_per_page=8)
    return photo


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
