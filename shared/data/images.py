"""A photo from a file, safely: what Pillow can decode becomes uint8 RGB of shape (H, W, 3), anything else a UserError.

Files may come from strangers. So the content tells the format, only image decoders are tried (Pillow's EPS reader, for
example, would start Ghostscript), and the size in the header is checked before any pixel is decoded.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from shared.console import held_stderr
from shared.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")


def load_image(path: str | Path, max_pixels: float = 64e6, mode: str = "RGB") -> np.ndarray:
    """Read one photo as a viewer shows it: upright, transparency over white, the first frame of an animation.

    Args:
        path: a photo file; its extension does not matter.
        max_pixels: larger photos are refused before they are decoded.
        mode: "RGB" for uint8 (H, W, 3), "L" for grey uint8 (H, W).

    Raises:
        UserError: the file is missing, empty, too large, damaged or not a photo.
    """
    path = Path(path).expanduser()
    _check_file(path)
    try:
        # Pillow warns of odd metadata, which the user need not know, and of bombs, which must not be decoded.
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Not by its name: Pillow 12.3 maps TIFF files that have one into memory, and mixes up those on their side.
            with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
                _check_size(path, image.size, max_pixels)
                try:
                    _decode(image)
                except OSError:
                    if image.format not in ("JPEG", "MPO"):
                        raise
                    return np.array(_as_shown(_without_end_marker(path), path).convert(mode))
                return np.array(_as_shown(image, path).convert(mode))
    except UserError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} has far more pixels than the {max_pixels / 1e6:g} million allowed; shrink it."
        ) from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a photo in a known format; save it as JPEG or PNG.") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read; check its permissions.") from error
    except Exception as error:  # on damaged files, Pillow's decoders raise nearly every kind of exception
        raise UserError(f"{path} is damaged or incomplete and cannot be decoded ({error}).") from error


def _decode(image: Image.Image) -> None:
    """Read the pixels. libtiff would write lines of its own on stderr, beside the sentence that a person gets."""
    if image.format != "TIFF":
        image.load()
        return
    trouble = None
    with held_stderr():
        try:
            image.load()
        except Exception as error:
            trouble = error
    if trouble is not None:
        raise trouble


def _check_file(path: Path) -> None:
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; give one photo file.")
    if not os.path.exists(path):
        raise UserError(f"There is no file {path}; check its name.")
    if not os.path.isfile(path):  # a pipe or a device could block for ever
        raise UserError(f"{path} is not a regular file; give a photo file.")
    if os.path.getsize(path) == 0:
        raise UserError(f"{path} is empty; give a photo file.")


def _check_size(path: Path, size: tuple[int, int], max_pixels: float) -> None:
    width, height = size
    if width * height > max_pixels:
        raise UserError(
            f"{path} has {width} x {height} pixels, more than the {max_pixels / 1e6:g} million allowed; shrink it."
        )


def _without_end_marker(path: Path) -> Image.Image:
    """A JPEG that lacks its end marker alone; an OSError if it lacks more.

    If pixels are missing, the decoder makes them of whatever follows the file's last byte: so it gives the same picture
    for several continuations only if none is.
    """
    content = path.read_bytes()
    stuffing = b"\0" if content.endswith(b"\xff") else b""  # or else that byte would begin a marker
    continuations = b"", stuffing + b"\xaa" * 500, stuffing + b"\x5b\x2d" * 250, stuffing + b"\xec\x31" * 250
    first, *others = (Image.open(io.BytesIO(content + more + b"\xff\xd9")) for more in continuations)
    if not all(np.array_equal(np.asarray(first), np.asarray(other)) for other in others):
        raise OSError("it ends too early")
    return first


def _as_shown(image: Image.Image, path: Path) -> Image.Image:
    """The photo as a viewer shows it: upright, sRGB with 8 bits a channel, transparency over white."""
    profile = image.info.get("icc_profile")
    gamma = None if "srgb" in image.info else image.info.get("gamma")  # a PNG file that says sRGB is sRGB
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # 16 bits a pixel: PNG and TIFF (I;16), PGM (I)
        image = _eight_bits(image, path)
        image.getexif()[ExifTags.Base.Orientation] = orientation
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        grey = upright.mode in ("L", "LA", "La")
        upright = upright.convert("RGBA")
        opaque = _in_srgb(upright.convert("L" if grey else "RGB"), profile, gamma).convert("RGB")
        white = Image.new("RGB", upright.size, "white")
        return Image.composite(opaque, white, upright.getchannel("A"))
    return _in_srgb(upright, profile, gamma)


def _in_srgb(image: Image.Image, profile: bytes | None, gamma: float | None) -> Image.Image:
    """The colours that a profile, or else a PNG file's gamma, says, in sRGB; a broken profile changes nothing."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "RGB" and image.mode in ("L", "P", "PA", "1"):
                image = image.convert("RGB")
            elif image.mode == "1":
                image = image.convert("L")
            gave = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return gave or image
        except (ImageCms.PyCMSError, OSError, ValueError):  # broken, or of another colour space than the pixels
            return image
    if gamma and abs(gamma * 2.2 - 1) > 0.05 and 0.05 < gamma < 5:  # 1/2.2 is what pixels have anyway
        curve = (255 * (np.arange(256) / 255) ** (1 / (2.2 * gamma))).round().astype(int).tolist()
        return image.convert("RGB").point(curve * 3)
    return image


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """A grey photo with more bits a pixel: by the range that its file declares, and else all of 16 bits."""
    values = np.asarray(image).astype(np.float64)
    tags = getattr(image, "tag_v2", {})
    low, high = _declared_range(tags)
    if high is None:
        if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
            kind = "floating-point" if image.mode == "F" else "signed or 32-bit"
            raise UserError(f"{path} has {kind} pixels, whose range is unknown; save it with 8 bits a channel.")
        low, high = 0.0, 65535.0
    if not np.isfinite(values).all():
        raise UserError(f"{path} has pixels that are no numbers; save it with 8 bits a channel.")
    scaled = np.clip((values - low) / (high - low), 0, 1)
    if tags.get(ImageTags.PHOTOMETRIC) == 0:  # white is zero: Pillow turns pixels of at most 8 bits only
        scaled = 1 - scaled
    grey = Image.fromarray((255 * scaled).round().astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # of a PNG file: pixels of this value are not there
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


class ImageTags:
    """TIFF 6.0's numbers of what is read here."""

    PHOTOMETRIC = 262
    MIN, MAX = 280, 281
    SAMPLE_MIN, SAMPLE_MAX = 340, 341


def _declared_range(tags: Mapping[int, Any]) -> tuple[float, float | None]:
    """The lowest and the highest value that a TIFF file says its pixels have; None if it does not say."""
    for lowest, highest in ((ImageTags.SAMPLE_MIN, ImageTags.SAMPLE_MAX), (ImageTags.MIN, ImageTags.MAX)):
        if highest in tags:
            low, high = (float(np.ravel(tags.get(tag, 0))[0]) for tag in (lowest, highest))
            if np.isfinite([low, high]).all() and high > low:
                return low, high
    return 0.0, None


def exif_of_upright(path: str | Path) -> bytes:
    """The Exif block (camera, date, place) of a photo file for a copy that is upright already; b"" if there is none."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            exif = image.getexif()
            exif.pop(ExifTags.Base.Orientation, None)
            # a TIFF file's block also tells where its pixels are, which is wrong in a copy
            return exif.tobytes() if exif and image.format != "TIFF" else b""
    except Exception:  # odd metadata are no reason to fail
        return b""
