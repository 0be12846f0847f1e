"""Films, frame by frame in constant memory: animated WebP and GIF.

Pillow's own animation writers keep every frame in memory until the end (as of Pillow 13). Both formats are chains of
independent chunks, so each frame is written as it comes, and only where it differs from the last one: as the rectangle
around what has changed, in exact WebP transparent where nothing has, which costs next to nothing.
"""

from __future__ import annotations

import io
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from shared.drawing.pictures import checked
from shared.errors import UserError
from shared.files import write_atomically


class Film:
    """An animation written frame by frame, in constant memory; it loops for ever.

        with Film("game.webp") as film:
            film.add(frame)

    The file appears when the block ends well; after an exception nothing is left.

    Args:
        path: where to write; the extension chooses WebP (exact colours, smaller) or GIF (256 colours a frame).
        fps: frames per second, at most 90 for WebP and 50 for GIF.
        quality: WebP only. None keeps every pixel exactly, best for flat colours such as games and plots;
            1 to 100 is lossy and much smaller for photographs.
    """

    def __init__(self, path: str | Path, fps: float = 30, quality: int | None = None):
        self.path, self.fps, self.frames = Path(path), fps, 0
        ending = self.path.suffix.lower()
        if ending not in _FORMATS:
            raise UserError(f"A film is a .webp or a .gif file, and {self.path.name!r} is neither; change its ending.")
        self._format, fastest = _FORMATS[ending]
        if not 0 < fps <= fastest:
            raise UserError(f"A {ending} film has up to {fastest} frames per second; {fps} is not possible.")
        self._quality = quality
        self._shown: np.ndarray | None = None  # what the viewer sees after the last frame, (H, W, 3)
        self._waiting: tuple | None = None  # the last change, its start: its duration is known when the next one comes

    def __enter__(self) -> Film:
        with ExitStack() as stack:
            temporary = stack.enter_context(write_atomically(self.path))
            self._file = stack.enter_context(open(temporary, "wb"))
            self._stack = stack.pop_all()
        return self

    def add(self, frame: np.ndarray) -> None:
        """Append one uint8 frame (H, W, 3); all frames have one size. The array may be reused at once."""
        frame = checked(frame)
        if self._shown is None:
            height, width = frame.shape[:2]
            self._writer = self._format(self._file, width, height, self._quality)
            changed = np.ones((height, width), bool)
        elif frame.shape != self._shown.shape:
            raise ValueError(f"This film's frames are {self._shown.shape}, and this one is {frame.shape}.")
        else:
            changed = (frame != self._shown).any(axis=-1)
        if changed.any():  # a frame equal to the last one only makes it last longer
            self._flush()
            self._shown = frame.copy()
            left, top, right, bottom = _box_around(changed)
            pixels = np.dstack([frame, np.uint8(255) * changed])[top:bottom, left:right]
            self._waiting = (left, top), pixels, self._now_ms()
        self.frames += 1

    def __exit__(self, *error) -> None:
        if error[0] is not None:
            self._stack.__exit__(*error)
            return
        with self._stack:  # so that a failure in here, too, leaves no file behind
            if not self.frames:
                raise ValueError(f"The film {self.path} has no frames.")
            self._flush()
            self._writer.finish()

    def _now_ms(self) -> int:
        # From the start of the film and rounded to GIF's 10 ms, so that 30 fps is 30 fps after an hour as well.
        return round(self.frames * 1000 / self.fps / self._format.tick_ms) * self._format.tick_ms

    def _flush(self) -> None:
        if self._waiting is not None:
            corner, pixels, start_ms = self._waiting
            self._writer.write(corner, Image.fromarray(pixels), self._now_ms() - start_ms)


def _box_around(changed: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest (left, top, right, bottom) that holds every changed pixel, of which there is one at least."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    left, top = columns[0] & ~1, rows[0] & ~1  # WebP stores half of each offset: even corners only
    return int(left), int(top), int(columns[-1]) + 1, int(rows[-1]) + 1


class _WebP:
    """Animated WebP, the container of RFC 9649: RIFF[VP8X, ANIM, ANMF, ANMF, ...], one ANMF chunk a frame."""

    tick_ms = 1

    def __init__(self, file: BinaryIO, width: int, height: int, quality: int | None):
        self._file, self._quality = file, quality
        file.write(b"RIFF\0\0\0\0WEBP")  # finish() fills in the size
        animated, white, loop_for_ever = b"\x12\0\0\0", b"\xff\xff\xff\xff", b"\0\0"  # and may be transparent
        self._chunk(b"VP8X", animated + _u24(width - 1) + _u24(height - 1))
        self._chunk(b"ANIM", white + loop_for_ever)

    def write(self, corner: tuple[int, int], picture: Image.Image, duration_ms: int) -> None:
        still = io.BytesIO()
        if self._quality is None:
            picture.save(still, "WEBP", lossless=True, method=1, quality=20)  # more effort saves nothing on games
        else:
            picture.convert("RGB").save(still, "WEBP", quality=self._quality, method=2)
        place = b"".join(map(_u24, (corner[0] // 2, corner[1] // 2, picture.width - 1, picture.height - 1)))
        over_the_last_frame, bitstream = b"\0", still.getvalue()[len(b"RIFFsizeWEBP") :]
        self._chunk(b"ANMF", place + _u24(duration_ms) + over_the_last_frame + bitstream)

    def finish(self) -> None:
        size = self._file.tell() - len(b"RIFFsize")
        self._file.seek(len(b"RIFF"))
        self._file.write(struct.pack("<I", size))

    def _chunk(self, name: bytes, content: bytes) -> None:
        padding = b"\0" * (len(content) % 2)
        self._file.write(name + struct.pack("<I", len(content)) + content + padding)


def _u24(number: int) -> bytes:
    return number.to_bytes(3, "little")


class _Gif:
    """Animated GIF, each frame with its own palette of up to 256 colours (exact when it has no more than that)."""

    tick_ms = 10

    def __init__(self, file: BinaryIO, width: int, height: int, quality: int | None):
        self._file = file
        file.write(b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0")  # no global palette, square pixels
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # loop for ever

    def write(self, corner: tuple[int, int], picture: Image.Image, duration_ms: int) -> None:
        indexed = picture.convert("RGB").quantize(256)
        parts = GifImagePlugin.getdata(indexed, corner, duration=duration_ms, include_color_table=True)
        self._file.write(b"".join(parts))

    def finish(self) -> None:
        self._file.write(b";")


# and the most frames a second that browsers show
_FORMATS: dict[str, tuple[type[_WebP] | type[_Gif], int]] = {".webp": (_WebP, 90), ".gif": (_Gif, 50)}
