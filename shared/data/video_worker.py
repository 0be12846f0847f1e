"""Decodes a film in a process of its own, for shared/data/video.py: whatever a file does to FFmpeg, it does here.

    python -P video_worker.py frames FILM WIDTH HEIGHT FORMAT PIXELS SECONDS     a line of JSON, then frames on stdout
    python -P video_worker.py join FILM SOUND TARGET                             the film with that sound, if it has any

It imports PyAV and NumPy alone. A frame is its second (float64) and its pixels; the last second is NaN.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

MEMORY = 4 << 30  # bytes of address space
STREAMS = 16
SAMPLE_RATE = 48_000
AFTER = 1.0  # seconds that the sound may last longer than the pictures
STARTS = {
    "matroska": (0, b"\x1a\x45\xdf\xa3"),
    "mov": (4, b"ftyp"),
    "avi": (8, b"AVI "),
    "wav": (8, b"WAVE"),
    "ogg": (0, b"OggS"),
    "flv": (0, b"FLV\x01"),
    "mpeg": (0, b"\x00\x00\x01\xba"),
    "mpegts": (0, b"\x47"),
    "gif": (0, b"GIF8"),
}
"""FFmpeg's reader of each format, and how its files begin: no reader of lists and addresses is among them."""
CODECS = {
    ".webm": ("webm", ("vp9", "vp8", "av1"), "libvpx-vp9", "libopus"),
    ".mkv": ("matroska", ("vp9", "vp8", "av1", "h264", "hevc", "mpeg4"), "libvpx-vp9", "libopus"),
    ".mp4": ("mp4", ("h264", "hevc", "mpeg4", "av1"), "libx264", "aac"),
}
"""Of each ending that is written: the container, codecs that are copied as they are, else this one; and the sound's."""
FASTEST = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b:v": "0", "row-mt": "1"}}
FASTEST |= {"libx264": {"preset": "veryfast", "crf": "20"}}


class Refused(Exception):
    """What is wrong with the file, as the end of a sentence."""


def limit_memory() -> None:
    """No film takes more of the memory than a film should."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """The container of a file; nothing else that the file names is ever opened."""
    with open(path, "rb") as file:
        head = file.read(16)
        readers = [name for name, (at, start) in STARTS.items() if head[at : at + len(start)] == start]
        if not readers:
            raise Refused("is not a film in a format that is read: MP4, MOV, WebM, MKV, AVI, Ogg, MPEG, FLV or GIF")
        file.seek(0)
        container = av.open(file, format=readers[0], io_open=_refuse, metadata_errors="replace")
        with container:
            if len(container.streams) > STREAMS:
                raise Refused(f"has {len(container.streams)} streams, and at most {STREAMS} are read")
            yield container


def _refuse(url: str, flags: int, options: dict) -> Any:
    raise Refused("refers to another file or address, and nothing but the file itself is read")


def frames(path: str, width: int, height: int, form: str, pixels: int, seconds: float) -> None:
    """Write what the film is, and its frames, in their own size or in that asked for."""
    out = sys.stdout.buffer
    with opened(path) as container:
        if not container.streams.video:
            raise Refused("has no moving picture, only sound" if container.streams.audio else "has no moving picture")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        size = stream.codec_context.width, stream.codec_context.height
        if not 0 < size[0] * size[1] <= pixels:
            raise Refused(f"has frames of {size[0]} x {size[1]} pixels, and at most {pixels:,} pixels are read")
        lasts = float(container.duration or 0) / 1e6
        if lasts > seconds:
            raise Refused(f"lasts {lasts / 3600:.1f} hours, and at most {seconds / 3600:.0f} are read: cut it")
        began: float | None = None
        for frame in decoded(container, stream):
            second = float(frame.time) if frame.time is not None else 0.0
            began = second if began is None else began
            turned = frame.to_ndarray(format=form) if not width else _sized(frame, width, height, form)
            turned = np.rot90(turned, round(frame.rotation / 90) % 4) if frame.rotation else turned
            if not _told(out, container, stream, lasts, turned):
                continue
            if second - began > seconds:
                raise Refused(f"lasts more than {seconds / 3600:.0f} hours, which is the most that is read: cut it")
            out.write(np.float64(second - began).tobytes())
            out.write(np.ascontiguousarray(turned).tobytes())
    if began is None:
        raise Refused("has no frame that can be decoded")
    out.write(np.float64(np.nan).tobytes())
    out.flush()


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's frames; a broken one is left out, and a film that ends in the middle ends there."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            return
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()


def _sized(frame: Any, width: int, height: int, form: str) -> np.ndarray:
    return frame.reformat(width=width, height=height, format=form, interpolation="AREA").to_ndarray()


_SHAPE: list[tuple[int, ...]] = []


def _told(out: Any, container: Any, stream: Any, lasts: float, first: np.ndarray) -> bool:
    """Say what the film is, before its first frame; whether this frame is of the same shape as the first."""
    if not _SHAPE:
        _SHAPE.append(first.shape)
        told = {
            "height": first.shape[0],
            "width": first.shape[1],
            "seconds": lasts,
            "rate": float(stream.average_rate or 0),
            "has_sound": bool(container.streams.audio),
        }
        out.write(json.dumps(told).encode() + b"\n")
    return first.shape == _SHAPE[0]


def join(path: str, sound: str, target: str) -> None:
    """Write the pictures of one file, copied if they can be, with the sound of another, which may have none."""
    form, copied, codec, heard = CODECS[Path(target).suffix.lower()]
    with opened(path) as pictures, opened(sound) as sounds, av.open(target, "w", format=form) as out:
        if not pictures.streams.video:
            raise Refused("has no moving picture")
        source = pictures.streams.video[0]
        seen = video_packets(pictures, source, out, None if source.codec_context.name in copied else codec)
        tracks = [seen]
        if sounds.streams.audio:
            tracks.append(sound_packets(sounds, out, heard))
        waiting: list[Any] = [next(track, None) for track in tracks]
        last = 0.0  # second of the last picture
        while any(packet is not None for packet in waiting):  # the earliest first, so that none waits in memory
            times = [float("inf") if p is None else float((p.dts or 0) * p.time_base) for p in waiting]
            earliest = int(np.argmin(times))
            if earliest == 0:
                last = times[0]
            elif waiting[0] is None and times[earliest] > last + AFTER:
                break
            out.mux(waiting[earliest])
            waiting[earliest] = next(tracks[earliest], None)


def video_packets(container: Any, stream: Any, out: Any, codec: str | None) -> Iterator[Any]:
    """The packets of the pictures, as they are or encoded anew."""
    if codec is None:
        target = out.add_stream_from_template(stream)
        return _copied(container, stream, target)
    target = out.add_stream(codec, rate=stream.average_rate or 30, options=FASTEST[codec])
    target.width, target.height = (side // 2 * 2 for side in (stream.codec_context.width, stream.codec_context.height))
    target.pix_fmt = "yuv420p"
    return _encoded(container, stream, target)


def _copied(container: Any, stream: Any, target: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        if packet.dts is not None:
            packet.stream = target
            yield packet


def _encoded(container: Any, stream: Any, target: Any) -> Iterator[Any]:
    for frame in decoded(container, stream):
        yield from target.encode(frame)
    yield from target.encode(None)


def sound_packets(container: Any, out: Any, codec: str) -> Iterator[Any]:
    """The packets of the first sound, at 48,000 samples a second, in at most two channels."""
    stream = container.streams.audio[0]
    layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    target = out.add_stream(codec, rate=SAMPLE_RATE, layout=layout, bit_rate=128_000)
    form = "fltp" if codec == "aac" else "s16"
    resampler = av.AudioResampler(format=form, layout=layout, rate=SAMPLE_RATE)
    return _heard(container, stream, target, resampler)


def _heard(container: Any, stream: Any, target: Any, resampler: Any) -> Iterator[Any]:
    for frame in decoded(container, stream):
        for part in resampler.resample(frame):
            yield from target.encode(part)
    for part in resampler.resample(None):
        yield from target.encode(part)
    yield from target.encode(None)


def main(verb: str, *words: str) -> int:
    """Run one verb; 1 and a JSON line with "error" where the film cannot be read."""
    av.logging.set_level(av.logging.PANIC)
    limit_memory()
    try:
        if verb == "frames":
            path, width, height, form, pixels, seconds = words
            frames(path, int(width), int(height), form, int(pixels), float(seconds))
        else:
            join(*words)
    except Refused as error:
        told = str(error)
    except (av.error.FFmpegError, ValueError, MemoryError, IndexError) as error:
        told = f"cannot be decoded ({type(error).__name__})"
    except BrokenPipeError:
        return 0  # nobody wants more
    else:
        return 0
    sys.stderr.write(json.dumps({"error": told}) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
