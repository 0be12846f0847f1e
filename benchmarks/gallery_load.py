"""Twenty people at once on apps/gallery.py, all tabs, two minutes: errors, lost answers, waiting times, memory.

    python benchmarks/gallery_load.py                opens the page by itself, and measures its process
    python benchmarks/gallery_load.py --people 5 --root-path ""      fewer, and no web server in front

Somebody asks for everything once, which loads the models; then the time begins. Each of the people asks one tab after
the other, in an order of their own, and waits for each answer as a browser does: uploads first, then the queue, then
the files. An answer is lost if it does not come, or if a file of it cannot be read. Some of what they put in is broken,
huge or hostile: there a sentence is the right answer, and anything else an error. Memory is flat if what the server's
process holds in the last quarter is what it held in the second.

Everybody comes through a small web server that shows the page under --root-path, as nginx would. Meanwhile a second
page is asked to open at the same port, which must be one sentence; and in the end nothing may be left of the page's
folder, and nothing new in the folder that it was started in.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from shared import cli, saved_models
from shared.console import say
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.errors import UserError
from shared.settings import Range, Seed, Settings

GALLERY = Path(__file__).resolve().parents[1] / "apps" / "gallery.py"


@dataclass
class Load(Settings):
    """Use the page as several people at once, and print what came of it."""

    people: Annotated[int, Range(1, 100)] = 20
    """How many use it at a time."""
    seconds: Annotated[float, Range(1, 36_000)] = 120.0
    """For how long; what was begun by then is waited for."""
    seed: Seed = 1
    """Seed of who asks what."""
    patience: Annotated[float, Range(1, 36_000)] = 300.0
    """Seconds after which an answer counts as lost."""
    root_path: str = "/arcade"
    """Where a web server in front of the page shows it; "" for none."""


@dataclass
class Tally:
    """What happened, added up by several threads."""

    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each answer, by job."""
    refusals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """The same of what had to be refused, by its kind."""
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, MiB of the server's process)."""


def jobs(rng: np.random.Generator) -> dict[str, tuple[str, Callable[[], tuple], Callable[[Any], bool]]]:
    """By the name of the job: the model it needs, its input by chance, and whether an answer is whole."""
    from gradio_client import handle_file

    def photo() -> Any:
        return handle_file(str(rng.choice([str(path) for path in sample_photos()])))

    def seed() -> int:
        return int(rng.integers(1000))

    def pictures(answer: Any) -> bool:
        paths = answer if isinstance(answer, (list, tuple)) else [answer]
        return all(load_image(path).size > 0 for path in paths)

    def attack() -> tuple:
        return photo(), int(rng.integers(1, 17)), str(rng.choice(["fgsm", "pgd"])), "", "photo_classifier"

    return {
        "play": ("dqn_breakout", lambda: ("breakout", 0.05, 5, seed()), lambda answer: pictures(answer[0])),
        "write": ("char_rnn", lambda: ("ROMEO:", 0.8, int(rng.integers(20)), 300), lambda answer: len(answer) == 306),
        "classify": ("photo_classifier", lambda: (photo(), "photo_classifier"), lambda answer: "label" in answer),
        "attack": ("photo_classifier", attack, pictures),
        "colour": ("colorizer", lambda: (photo(), float(rng.uniform(0, 2)), "50,50,#8b1a2b"), pictures),
        "describe": ("image_captioner", lambda: (photo(),), lambda answer: pictures(answer[1])),
        "translate": ("translator", lambda: ("A dog runs.", 2), lambda answer: pictures(answer[1])),
        "detect": ("detector", lambda: (photo(), 0.5), lambda answer: len(answer) == 2),
        "explain": ("photo_classifier", lambda: (photo(), "", "", "Grad-CAM"), lambda answer: pictures(answer[0])),
        "handwriting": ("handwriting", lambda: ("Dear Ann,", 2, 1.0, seed()), lambda answer: pictures(answer[1])),
        "silent_film": ("silent_film", lambda: ("breakout", 3, "true", seed()), lambda answer: pictures(answer[1])),
        "faces": ("gan_faces", lambda: (seed(), 1.0), pictures),
        "add": ("gan_faces", lambda: (seed(), 1.0, "1 + 2 - 3"), pictures),
        "morph": ("gan_faces", lambda: (seed(), 1.0, ""), pictures),
    }


# ---------------------------------------------------------------------------------------- What nobody should put in


def hostile_files(folder: Path) -> list[Path]:
    """Broken and hostile photos, and one that is larger than the page takes."""
    from PIL import Image

    rng, folder = np.random.default_rng(0), folder / "hostile"
    folder.mkdir()
    good = next(path for path in sample_photos() if path.suffix == ".png").read_bytes()
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    contents = {"cut.png": good[:5000], "noise.jpg": rng.bytes(5000), "empty.webp": b""}
    contents |= {
        "page.svg": b"<svg onload='alert(1)'/>",
        "script.png": b"%!PS\n(x) run\n",
        "huge.png": good + bytes(26 << 20),
    }
    contents |= {"code.pkl": b"cos\nsystem\n(S'touch owned'\ntR.", "..%2f..%2fup.png": good[:4000]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


def hostile_jobs(rng: np.random.Generator, files: list[Path]) -> dict[str, tuple[str, Callable[[], tuple]]]:
    """By name: the function of the page that is asked, and inputs to which a sentence is the answer."""
    from gradio_client import handle_file

    def bad() -> Any:
        return handle_file(str(rng.choice([str(path) for path in files])))

    def outside() -> Any:
        there = str(rng.choice(["/etc/passwd", "../../../etc/passwd", "/proc/self/environ", str(GALLERY), "C:\\x"]))
        return {"path": there, "meta": {"_type": "gradio.FileData"}, "orig_name": "photo.png"}

    words = "\ud800".encode("utf-8", "replace").decode() + "x" * 3000
    return {
        "classify": ("broken photo", lambda: (bad(), "photo_classifier")),
        "colour": ("broken photo", lambda: (bad(), 1.0, "")),
        "describe": ("broken photo", lambda: (bad(),)),
        "classify ": ("another's file", lambda: (outside(), "photo_classifier")),
        "attack": (
            "wrong target",
            lambda: (handle_file(str(sample_photos()[0])), 2, "fgsm", "no such thing", "photo_classifier"),
        ),
        "write": ("long text", lambda: (words, 0.8, 1, 300)),
        "add": ("wrong sum", lambda: (1, 1.0, "1 + 99999")),
        "faces": ("wrong seed", lambda: (-5, 1.0)),
    }


def is_sentence(error: Exception) -> bool:
    """Whether somebody said what is wrong: the page, or Gradio of a file that it does not take."""
    text = str(error)
    return len(text) > 12 and "Traceback" not in text and "show_error" not in text


def offend(client: Any, name: str, inputs: tuple, patience_s: float) -> str:
    """Put something in that is wrong; "" if it was refused, else what came."""
    try:
        answer = client.submit(*inputs, api_name=f"/{name.strip()}").result(timeout=patience_s)
    except Exception as error:
        return "" if is_sentence(error) else f"{type(error).__name__}: {error!s:.200}"
    return f"it was taken: {answer!r:.200}"


# ------------------------------------------------------------------------------------------------------ The people


def person(
    address: str, config: Load, number: int, until: float, tally: Tally, files: list[Path], rounds: int = sys.maxsize
) -> None:
    """One of them: asks for everything in turn, so often, or until the time is over."""
    from gradio_client import Client

    rng = np.random.default_rng([config.seed, number])
    todo = {
        name: job for name, job in jobs(rng).items() if (saved_models.MODELS / job[0] / saved_models.MODEL).is_file()
    }
    wrong = hostile_jobs(rng, files)
    with tempfile.TemporaryDirectory() as downloads:
        patience = {"timeout": config.patience}
        client = Client(address, download_files=downloads, verbose=False, httpx_kwargs=patience)
        for _ in range(rounds):
            for name in rng.permutation(list(todo)):
                _, inputs, whole = todo[name]
                began_s = time.monotonic()
                if began_s >= until:
                    return
                try:
                    answer = client.submit(*inputs(), api_name=f"/{name}").result(timeout=config.patience)
                    if not whole(answer):
                        tally.errors.append(f"{name}: what came is not whole: {answer!r:.200}")
                except Exception as error:  # whatever it is, it is what is counted here
                    tally.errors.append(f"{name}: {type(error).__name__}: {error!s:.200}")
                tally.waits[name].append(time.monotonic() - began_s)
                offence = str(rng.choice(list(wrong)))
                kind, bad_inputs = wrong[offence]
                began_s = time.monotonic()
                if came := offend(client, offence, bad_inputs(), config.patience):
                    tally.errors.append(f"{offence}, {kind}: {came}")
                tally.refusals[kind].append(time.monotonic() - began_s)


def watch(process: subprocess.Popen, began_s: float, tally: Tally, done: threading.Event) -> None:
    """Note the server's memory twice a second."""
    import psutil

    server = psutil.Process(process.pid)
    while not done.wait(0.5):
        tally.memory.append((time.monotonic() - began_s, server.memory_info().rss / 2**20))


def report(config: Load, tally: Tally) -> None:
    """Print the table."""
    print(f"{'job':16}{'answers':>9}{'median s':>10}{'95 % s':>9}{'longest s':>11}")
    for name, waits in [*sorted(tally.waits.items()), *sorted(tally.refusals.items())]:
        middle, most = np.percentile(waits, (50, 95))
        print(f"{name:16}{len(waits):9}{middle:10.2f}{most:9.2f}{max(waits):11.2f}")
    asked, refused = (sum(map(len, each.values())) for each in (tally.waits, tally.refusals))
    print(
        f"{asked} questions answered, {refused} refused as they should be, but for {len(tally.errors)} errors or lost"
    )
    for error in tally.errors[:20]:
        print(f"  {error}")
    times, sizes = np.array(tally.memory).T
    quarters = [sizes[(times >= a * config.seconds / 4) & (times < (a + 1) * config.seconds / 4)] for a in range(4)]
    means = [float(part.mean()) if len(part) else float("nan") for part in quarters]
    print("MiB in the server's process, by quarter: " + ", ".join(f"{mean:.0f}" for mean in means), end="")
    print(f"; the most {sizes.max():.0f}; the last less the second {means[3] - means[1]:+.0f}")


# ------------------------------------------------------------------------------------------- A web server in front


def proxy(target: str, prefix: str) -> tuple[str, Callable[[], None]]:
    """A web server that shows `target` under a sub-path, and nothing else: its address, and how to stop it."""
    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route

    client = httpx.AsyncClient(base_url=target, timeout=600, limits=httpx.Limits(max_connections=400))
    dropped = {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}

    async def forward(request: Request) -> Response:
        if not request.url.path.startswith(f"{prefix}/"):
            return PlainTextResponse("not here", 404)
        headers = {k: v for k, v in request.headers.items() if k not in dropped} | {"accept-encoding": "identity"}
        path = request.url.path.removeprefix(prefix) + (f"?{request.url.query}" if request.url.query else "")
        asked = client.build_request(request.method, path, headers=headers, content=await request.body())
        gave = await client.send(asked, stream=True)
        kept = {k: v for k, v in gave.headers.items() if k not in dropped}
        return StreamingResponse(gave.aiter_raw(), gave.status_code, kept)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "HEAD", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)

    def stop() -> None:
        server.should_exit = True

    return f"http://127.0.0.1:{port}{prefix}/", stop


# -------------------------------------------------------------------------------------------------------- The page


@dataclass
class Page:
    """The gallery in a process of its own, started in an empty folder."""

    process: subprocess.Popen
    address: str
    folder: Path
    """What it was started in."""
    log: Path
    """What it says on stderr."""

    @property
    def temporary(self) -> Path:
        """Where its own folder must be."""
        return self.folder / "tmp"


def opened_page(config: Load, scratch: Path) -> Page:
    """Start it, and wait for its address."""
    folder, log = scratch / "started here", scratch / "stderr.txt"
    (folder / "tmp").mkdir(parents=True)
    words = [sys.executable, str(GALLERY), *(["--root-path", config.root_path] if config.root_path else [])]
    environment = os.environ | {"TMPDIR": str(folder / "tmp")}
    with open(log, "wb") as stderr:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=folder, env=environment)
    found = re.search(r"http://127[^\s/]+", process.stdout.readline() if process.stdout else "")
    if not found:
        process.kill()
        raise UserError(f"the page did not open: {log.read_text()}")
    return Page(process, found[0], folder, log)


def faults_of(page: Page, files: set[str]) -> list[str]:
    """What is wrong with the page at its end: tracebacks, files that it left, a file that it gave away."""
    said = page.log.read_text(errors="replace")
    faults = (
        [f"the server's stderr has {said.count('Traceback')} tracebacks:\n{said[-1500:]}"]
        if "Traceback" in said
        else []
    )
    left = {str(path.relative_to(page.folder)) for path in page.folder.rglob("*")} - {"tmp"} - files
    return faults + [f"left behind: {name}" for name in sorted(left)[:5]]


def second_page(page: Page) -> str:
    """Ask for a page at the same port; "" if that is one sentence, else what came."""
    words = [sys.executable, str(GALLERY), "--port", page.address.rsplit(":", 1)[1]]
    told = subprocess.run(words, capture_output=True, text=True, timeout=600, cwd=page.folder)
    said = [line for line in told.stderr.splitlines() if not line.startswith("Loading ")]
    right = told.returncode == 2 and len(said) == 1 and "name another --port" in said[0]
    return "" if right else f"a second page at its port: {told.returncode}, {told.stderr[-500:]}"


def asked_for_files(address: str) -> list[str]:
    """Files that the page gives to whoever asks, and that it must not."""
    import httpx

    given = []
    for path in (
        "/etc/passwd",
        "../../../../etc/passwd",
        str(GALLERY),
        "%2e%2e/%2e%2e/etc/passwd",
        "/proc/self/environ",
    ):
        answer = httpx.get(f"{address}gradio_api/file={path}", timeout=60)
        given += [f"it gave {path} away"] if answer.status_code == 200 else []
    evil = {"files": ("../../../evil.txt", b"evil")}
    answer = httpx.post(f"{address}gradio_api/upload", files=evil, timeout=60)
    if answer.status_code == 200 and ".." in answer.text:
        given.append(f"it put a file at {answer.text}")
    return given


def load(config: Load) -> None:
    """Open the page, use it, close it."""
    if (busy := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {busy:.1f}): waits will be too long.")
    with tempfile.TemporaryDirectory() as name:
        scratch, tally = Path(name).resolve(), Tally()
        files, page = hostile_files(scratch), opened_page(config, scratch)
        address, stop = proxy(page.address, config.root_path) if config.root_path else (f"{page.address}/", print)
        try:
            use(config, page, address, files, tally)
            tally.errors += asked_for_files(address)
        finally:
            page.process.terminate()
            page.process.wait(60)
            stop()
        tally.errors += faults_of(page, set())
    report(config, tally)


def use(config: Load, page: Page, address: str, files: list[Path], tally: Tally) -> None:
    """Load the models, then let everybody in."""
    first, done = Tally(), threading.Event()
    person(address, config, config.people, time.monotonic() + 900, first, files, rounds=1)
    slowest = max(first.waits, key=lambda name: first.waits[name])
    print(f"Models loaded: the longest first answer was {slowest}, {first.waits[slowest][0]:.1f} s", flush=True)
    tally.errors += first.errors
    began_s = time.monotonic()
    until = began_s + config.seconds
    crowd = [
        threading.Thread(target=person, args=(address, config, number, until, tally, files))
        for number in range(config.people)
    ]
    threading.Thread(target=watch, args=(page.process, began_s, tally, done), daemon=True).start()
    for thread in crowd:
        thread.start()
    if came := second_page(page):
        tally.errors.append(came)
    for thread in crowd:
        thread.join()
    done.set()


if __name__ == "__main__":
    cli.run(__doc__, load, {})
