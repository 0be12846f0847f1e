"""Films for players and browsers, written frame by frame in constant memory: WebM (VP9) or MP4 (H.264), with PyAV.

shared/drawing/film.py writes animated pictures, which need nothing and have no sound.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from shared.data.video import needs_video
from shared.errors import UserError

TICK = Fraction(1, 9000)  # seconds: 60 frames a second are 150 of them


class VideoFile:
    """A film without sound; `shared.data.video.join` gives it one.

        with VideoFile(Path("game.webm"), 60) as film:
            film.add(frame)

    Args:
        path: a temporary file, with an ending of `shared.data.video.ENDINGS`.
        rate: frames a second, where they last equally long.
    """

    def __init__(self, path: Path, rate: float) -> None:
        needs_video()
        self.path, self.rate, self.frames = path, rate, 0
        self._last = -1

    def __enter__(self) -> VideoFile:
        import av

        from shared.data.video_worker import CODECS, FASTEST

        form, _, codec, _ = CODECS[self.path.suffix.lower()]
        self._file: Any = av.open(str(self.path), "w", format=form)
        stream: Any = self._file.add_stream(codec, rate=round(self.rate) or 30, options=FASTEST[codec])
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TICK
        self._stream = stream
        return self

    def add(self, frame: np.ndarray, second: float | None = None) -> None:
        """Append a uint8 frame (H, W, 3), all of one size, shown from `second` on, which is later than the last."""
        import av

        if not self.frames:  # these codecs take even sides alone
            self._stream.height, self._stream.width = (side + side % 2 for side in frame.shape[:2])
        odd = [(0, self._stream.height - frame.shape[0]), (0, self._stream.width - frame.shape[1]), (0, 0)]
        picture = av.VideoFrame.from_ndarray(np.pad(frame, odd, mode="edge"), format="rgb24")
        at = self.frames / self.rate if second is None else second
        picture.time_base, picture.pts = TICK, max(round(at / TICK), self._last + 1)
        self._last = picture.pts
        self._file.mux(self._stream.encode(picture))
        self.frames += 1

    def __exit__(self, *error: Any) -> None:
        if self.frames:
            self._file.mux(self._stream.encode(None))
        self._file.close()
        if not self.frames and error[0] is None:
            raise UserError(f"the film {self.path.name} would have no frame.")
