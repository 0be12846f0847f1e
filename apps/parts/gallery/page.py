"""A page in the browser for models on this computer, with Gradio: open to nobody else, and to no file but its own.

    with opened(build) as blocks:  # `build()` makes a gradio.Blocks
        print(blocks.local_url)
        wait()

Files that people upload and that are made for them are in a folder of the page's own, which is kept small and deleted
at the end; Gradio serves what is in there, and nothing else. The page loads nothing from the network.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared.console import loading
from shared.errors import UserError

MAX_UPLOAD = 25 << 20  # bytes of one file
MAX_REQUEST = MAX_UPLOAD + (1 << 20)  # bytes, whatever it holds
MAX_FOLDER = 512 << 20  # bytes of all files
MAX_QUEUE = 64  # questions that wait
STYLE = Path(__file__).with_name("style.css")


# ------------------------------------------------------------------------------------------------ Open and close


@contextmanager
def opened(
    build: Callable[[], Any],
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = False,
    share: bool = False,
    root_path: str = "",
) -> Iterator[Any]:
    """The page that `build` makes, gradio.Blocks, for as long as the block lasts.

    Args:
        build: called when Gradio knows where its files go.
        host: address to listen at.
        port: by default the first free one from 7860.
        browser: also show it in the person's browser.
        share: also make a public link, through a server of Gradio's.
        root_path: where a web server in front of the page shows it, a path or an address; "" if there is none.

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
        blocks = build().queue(max_size=MAX_QUEUE)
        _launch(
            blocks, server_name=host, server_port=port, inbrowser=browser, share=share, root_path=root_path.rstrip("/")
        )
        try:
            yield blocks
        finally:
            blocks.close(verbose=False)


def _launch(blocks: Any, **where: Any) -> None:
    """Serve the page in the background."""
    import gradio as gr

    fonts: dict[str, Any] = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
    colours = {  # Gradio's own orange and grey are too pale to read (WCAG 2.2, 1.4.3)
        "body_background_fill": "*neutral_50",
        "body_text_color_subdued": "*neutral_600",
        "button_primary_background_fill": "#a84300",
        "button_primary_background_fill_hover": "#8a3700",
    }
    try:
        blocks.launch(
            **where,
            theme=gr.themes.Default(**fonts).set(**colours),
            css=STYLE.read_text(encoding="utf-8"),
            max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [limited_requests()]},
            # its own folder: or uploads named .cat.jpg would be refused where that is in the working directory
            allowed_paths=[os.environ["GRADIO_TEMP_DIR"]],
            footer_links=[],
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        place = f"{where['server_name']}, port {where['server_port'] or '7860 to 7959'}"
        raise UserError(f"cannot listen at {place}: name another --port.") from error


def limited_requests() -> Any:
    """Starlette's middleware that answers 413 to a request above MAX_REQUEST: Gradio limits nothing but files."""
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware

    class Limited:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen = 0

            async def counted() -> Any:
                nonlocal seen
                message = await receive()
                seen += len(message.get("body", b""))  # as it comes: nobody has to say in advance how much it will be
                if seen > MAX_REQUEST:
                    raise HTTPException(413, "This request is too large.")
                return message

            await self.app(scope, counted if scope["type"] == "http" else receive, send)

    return Middleware(Limited)


def wait() -> None:
    """Wait for Ctrl-C, and keep the page's folder and memory small meanwhile."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    ours = set(folder.rglob("*"))
    with suppress(KeyboardInterrupt):
        while True:
            prune(folder, MAX_FOLDER, ours)
            give_memory_back()
            time.sleep(5)


def give_memory_back() -> None:
    """What is free goes back to the system. Linux's C library keeps it, for each of the page's forty threads apart."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library, such as musl
            ctypes.CDLL(None).malloc_trim(0)


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
