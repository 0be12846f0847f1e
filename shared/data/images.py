"""Photos from files, safely: what Pillow can decode becomes uint8 RGB of shape (H, W, 3), anything else a UserError.

Files may come from strangers. So the content tells the format, only image decoders are tried (Pillow's EPS reader, for
example, would start Ghostscript), and the size in the header is checked before any pixel is decoded.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shared.console import for_each
from shared.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


# Reading


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
            with Image.open(path, formats=FORMATS) as image:
                _check_size(path, image.size, max_pixels)
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


def _as_shown(image: Image.Image, path: Path) -> Image.Image:
    """The photo as a viewer shows it: upright, 8 bits a channel, transparency over white."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):  # 16 bits a pixel: PNG and TIFF (I;16), PGM (I)
        return _eight_bits(image, path)
    if image.mode == "F":
        raise UserError(f"{path} has floating-point pixels, whose range is unknown; save it with 8 bits a channel.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image)
    return image


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path} has 32-bit pixels, whose range is unknown; save it with 8 bits a channel.")
    return Image.fromarray((values >> 8).astype(np.uint8))


def exif_of_upright(path: str | Path) -> bytes:
    """The Exif block (camera, date, place) of a photo file for a copy that is upright already; b"" if there is none."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            exif = image.getexif()
            exif.pop(ExifTags.Base.Orientation, None)
            # a TIFF file's block also tells where its pixels are, which is wrong in a copy
            return exif.tobytes() if exif and image.format != "TIFF" else b""
    except Exception:  # odd metadata are no reason to fail
        return b""


# Many photos


def image_files(folder: str | Path) -> list[Path]:
    """All photo files below the folder, by extension, sorted; hidden files and folders are left out."""
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        files += [Path(parent, name) for name in names if _is_photo_name(name)]
    return sorted(files)


def named_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and all photos below the folders; UserError if a folder has none."""
    files: list[Path] = []
    for path in paths:
        found = image_files(path) if path.is_dir() else [path]
        if not found:
            raise UserError(f"{path} has no photos in it; give a folder of .jpg or .png files.")
        files += found
    return files


def load_each(files: Sequence[Path], longest: int = 640) -> tuple[list[Path], list[np.ndarray], list[str]]:
    """Read photos, none with a side above `longest`: the files that were read, their photos, the names of broken files.

    What is wrong with a broken file is said at once. UserError if no file can be read.
    """
    found: list[tuple[Path, np.ndarray]] = []
    broken = for_each(files, lambda file: found.append((file, fit_within(load_image(file), longest))))
    if not found:
        raise UserError("not one of these photos can be read.")
    return [file for file, _ in found], [photo for _, photo in found], broken


def spread(count: int, most: int) -> list[int]:
    """At most so many numbers of range(count), spread evenly, the first and the last included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


def _is_photo_name(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def iter_images(files: Iterable[Path], max_pixels: float = 64e6) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield (path, uint8 (H, W, 3)) for training: broken files are skipped, counted, and named on stderr at the end.

    Raises:
        UserError: not one of the files could be read.
    """
    good, broken = 0, []
    try:
        for path in files:
            try:
                image = load_image(path, max_pixels)
            except UserError:
                broken.append(path)
                continue
            good += 1
            yield path, image
    finally:  # also when the caller stops before the end
        if broken and good:
            print(f"Skipped {_named(broken)} of {good + len(broken)} read.", file=sys.stderr)
    if broken and not good:
        raise UserError(f"Not one photo could be read: {_named(broken)}.")


def _named(broken: list[Path], most: int = 5) -> str:
    names = ", ".join(str(path) for path in broken[:most])
    more = f" and {len(broken) - most} more" if len(broken) > most else ""
    return f"{len(broken)} broken photo{'s' if len(broken) > 1 else ''} ({names}{more})"


_SKIMAGE = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "camera.png")


def sample_photos() -> list[Path]:
    """The photos that come with scikit-image and Matplotlib (public domain or CC0); neither is imported."""
    places = {
        "skimage": tuple(f"data/{name}" for name in _SKIMAGE),
        "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    }
    found = []
    for package, names in places.items():
        spec = importlib.util.find_spec(package)
        folders = spec.submodule_search_locations or () if spec else ()
        found += [Path(folder, name) for folder in folders for name in names]
    return [path for path in found if path.is_file()]


# Sizes


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a uint8 photo, (H, W, 3) or (H, W), to (height, width); the proportions may change."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0))


def crop_square(image: np.ndarray, size: int, share: float = 1.0) -> np.ndarray:
    """The square in the middle of a uint8 photo, scaled to (size, size).

    Its side is the given share of the shorter side of the photo: 7/8 in the usual protocol of ImageNet.
    """
    height, width = image.shape[:2]
    side = max(round(min(height, width) * share), 1)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(image[top : top + side, left : left + side], size, size)


def random_crop(image: np.ndarray, smallest: float, rng: np.random.Generator, mirror: bool = True) -> np.ndarray:
    """A random part of a photo (H, W, 3), with at least the share `smallest` of its area; a view, not a copy.

    This is the "random resized crop" of Szegedy et al. 2015, arXiv:1409.4842, before it is resized: its proportions
    differ from the photo's by up to 4:3. With `mirror`, half of the crops are mirrored.
    """
    side, stretch = rng.uniform(smallest, 1) ** 0.5, (4 / 3) ** rng.uniform(-0.5, 0.5)
    shares = np.minimum((side * stretch, side / stretch), 1)
    height, width = np.maximum(image.shape[:2] * shares, 1).astype(int)
    top, left = rng.integers(image.shape[0] - height + 1), rng.integers(image.shape[1] - width + 1)
    return image[top : top + height, left : left + width][:, :: rng.choice((1, -1)) if mirror else 1]


def fit_within(image: np.ndarray, longest: int) -> np.ndarray:
    """Scale a uint8 photo down, in proportion, until neither side is above `longest`; small ones stay as they are."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
