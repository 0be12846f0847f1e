"""The record of a training: metrics.jsonl, a progress bar and a curve.

    with interruptible() as stop, RunLog(run, config.steps, "agent steps", resume_step) as log:
        for step in range(resume_step or 0, config.steps):
            ...
            log.log(step + 1, loss=loss, mean_return=mean_return)
            if stop.stop_requested:
                checkpoints.save(step + 1)
                stop.leave()
    log.plot("loss", "mean_return")

`interruptible` is in interrupt.py. Both drivers, `fit_loop` and `custom_loop`, do all this for an app.
"""

from __future__ import annotations

import json
import math
import numbers
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.drawing.curves import plot_metrics
from shared.errors import UserError
from shared.files import write_atomically

BAR_EVERY_S, LINE_EVERY_S = 0.5, 30.0
METRICS_SHOWN = 4


class TrainingDiverged(UserError):
    """A loss is no longer a finite number: more training cannot repair the weights."""


class RunLog:
    """Metrics of one run, as they come: a line of JSON each in metrics.jsonl, and a progress bar on stderr.

    When stderr is not a terminal, a plain line every 30 seconds takes the bar's place.

    Args:
        folder: where metrics.jsonl and curve.png go; made if missing.
        total: the last step, where the bar is full.
        unit: what a step is, in the plural: "agent steps", "batches", "epochs".
        resume_step: the step a checkpoint has restored. The record goes on from there: later lines, which the resumed
            training will write again, are dropped. None begins a new record.
    """

    def __init__(self, folder: str | Path, total: int, unit: str = "steps", resume_step: int | None = None):
        self.folder, self.path, self.total, self.unit = Path(folder), Path(folder) / "metrics.jsonl", total, unit
        self._first_step = resume_step or 0
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = [] if resume_step is None else [line for line in records_in(self.path) if line["step"] <= resume_step]
        with write_atomically(self.path) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        self._seconds_before = kept[-1]["time_s"] if kept else 0.0
        self._latest: dict[str, float | None] = {}
        self._step, self._next_show_s = self._first_step, 0.0
        self._bar: Any = None  # rich's, at a terminal

    def __enter__(self) -> RunLog:
        self._file = open(self.path, "a", encoding="utf-8", buffering=1)  # a line reaches the file at once
        self._start_s = time.perf_counter()
        self._recent = deque([(self._start_s, self._first_step)], maxlen=100)  # shown (seconds, step): gives the ETA
        self._every_s = LINE_EVERY_S
        if sys.stderr.isatty():
            self._every_s, self._bar = BAR_EVERY_S, _bar(self.total, self._first_step)
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._recent[-1][1] != self._step:
            self._show(time.perf_counter())
        if self._bar is not None:
            self._bar.stop()
        self._file.close()

    @property
    def time_s(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self._seconds_before + time.perf_counter() - self._start_s

    def log(self, step: int, **metrics: Any) -> None:
        """Record metrics (numbers, or scalar tensors and arrays) as of `step` finished steps; about 20 microseconds.

        Raises TrainingDiverged if a metric with "loss" in its name is NaN or infinite. Other metrics may be: a mean
        over no episodes is NaN, and null in the file.
        """
        values = {name: _number(value) for name, value in metrics.items()}
        self._file.write(json.dumps({"step": step, "time_s": round(self.time_s, 2), **values}) + "\n")
        self._latest.update(values)
        self._step = step
        for name, value in values.items():
            if value is None and "loss" in name:
                raise TrainingDiverged(
                    f"The training diverged: {name} is {float(metrics[name])} after {step:,} {self.unit}; "
                    "lower the learning rate and train again."
                )
        now_s = time.perf_counter()
        if now_s >= self._next_show_s:
            self._show(now_s)

    def plot(self, *panels: str | Sequence[str]) -> Path:
        """Draw curve.png, a panel for each metric or for some of one unit: `plot("accuracy", ("loss", "val_loss"))`."""
        names = [(panel,) if isinstance(panel, str) else tuple(panel) for panel in panels]
        plot_metrics(self.folder / "curve.png", names, list(records_in(self.path)), self.unit)
        return self.folder / "curve.png"

    def _show(self, now_s: float) -> None:
        self._next_show_s = now_s + self._every_s
        self._recent.append((now_s, self._step))
        if self._bar is not None:
            self._bar.update(0, completed=self._step, status=self._status(now_s), refresh=True)
        else:
            print(self._status(now_s), file=sys.stderr, flush=True)

    def _status(self, now_s: float) -> str:
        (then_s, then_step), missing = self._recent[0], max(self.total - self._step, 0)
        pace = (self._step - then_step) / max(now_s - then_s, 1e-9)  # steps per second
        left = f", {_clock(missing / pace)} left" if missing and pace > 0 else ""
        shown = [f"{name} {value:.4g}" for name, value in self._latest.items() if value is not None][:METRICS_SHOWN]
        return "  ".join([f"{self._step:,}/{self.total:,} {self.unit}  {_clock(self.time_s)}{left}", *shown])


def records_in(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of metrics.jsonl; one that a crash has cut short, or that is no such record, is passed over."""
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if _is_record(record):
                    yield record


def _is_record(record: Any) -> bool:
    """A step, the time, and numbers; null stands for one that JSON lacks."""
    numbers_only = isinstance(record, dict) and all(isinstance(x, (int, float, type(None))) for x in record.values())
    return numbers_only and None not in (record.get("step"), record.get("time_s"))


def _number(value: Any) -> int | float | None:
    """A JSON number of 6 significant digits; None for NaN and infinities, which JSON lacks."""
    if isinstance(value, numbers.Integral):
        return int(value)
    value = float(value)
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _bar(total: int, completed: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    one_line = Column(no_wrap=True, overflow="ellipsis")
    columns = BarColumn(bar_width=24), TextColumn("{task.fields[status]}", table_column=one_line)
    # No refresh thread: log() draws. Prints go above the bar, unless stdout is a file.
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, redirect_stdout=sys.stdout.isatty())
    bar.add_task("", total=total, completed=completed, status="")
    return bar
