"""Pictures: reading them strictly, writing them whole, and the letterbox.

A picture is RGB uint8 (H, W, 3), upright as its EXIF note says. A file that is broken in
any way is an :class:`Unreadable` with the reason, never half a picture: OpenCV would give
a truncated JPEG a grey bottom and go on. (A JPEG that was cut and then closed with an end
mark cannot be told from a whole one.)
"""

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.boxes import Boxes
from pipeline.errors import UserError

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
PAD = 114  # the grey that Ultralytics, and so everybody, puts around a letterboxed picture
MAX_PIXELS = 200_000_000  # larger than any camera's; beyond it a header is a bomb until shown not

_EXIF_ORIENTATION = 0x0112
_PLAIN = {"JPEG": {".jpg", ".jpeg"}, "PNG": {".png"}, "BMP": {".bmp"}}

# We bound the size ourselves, with a clear message, before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None


class Unreadable(UserError):
    """A picture that cannot be read; the text says why."""


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself before its pixels are decoded."""

    width: int  # of the upright picture
    height: int
    plain: bool  # every reader sees the same upright 8-bit picture in it, and the name fits


def stem(name: str) -> str:
    """A picture's name without folders and without the suffix of a picture."""
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def peek(path: Path) -> Header:
    """Size and kind of a picture, without decoding its pixels."""
    data = _bytes(path)
    with _opened(data) as image:
        return _header(image, path, data)


def read(path: Path) -> Picture:
    """The picture in a file, whole, upright, RGB."""
    return decode(_bytes(path))


def read_named(path: Path) -> Picture:
    """As :func:`read`; the error names the file, for who reads many."""
    try:
        return read(path)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from error


def read_small(path: Path, side: int) -> Picture:
    """As :func:`read`, for a glance: a JPEG that is larger may come at a half, a fourth, an eighth.

    Its longer side stays at ``side`` or above. It costs a fraction of the time.
    """
    with _opened(_bytes(path)) as image:
        share = side / max(image.size)
        if share < 1:
            image.draft(None, (round(image.width * share), round(image.height * share)))
        return _rgb(ImageOps.exif_transpose(image))


def read_with_header(path: Path) -> tuple[Picture, Header]:
    """Both at the cost of one reading."""
    data = _bytes(path)
    with _opened(data) as image:
        return _rgb(ImageOps.exif_transpose(image)), _header(image, path, data)


def decode(data: bytes) -> Picture:
    """The picture in the bytes of a file."""
    with _opened(data) as image:
        return _rgb(ImageOps.exif_transpose(image))


def encode(picture: Picture, suffix: str = ".jpg", quality: int = 95) -> bytes:
    """The bytes of a file of this kind."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in {".jpg", ".jpeg"} else []
    done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise UserError(f"a picture of shape {picture.shape} cannot be written as {suffix}")
    return data.tobytes()


def write(path: Path, picture: Picture, quality: int = 95) -> None:
    """Write a picture; the kind of file is told by the name. It appears whole."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(encode(picture, path.suffix.lower(), quality))
    partial.replace(path)


def warp(
    plane: NDArray[Any],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    border: int = cv2.BORDER_CONSTANT,
) -> NDArray[Any]:
    """A plane (H, W) or (H, W, C) moved by a matrix (2, 3) of pixel places to (width, height).

    Where it shrinks it is first shrunk by areas: warping alone would let it alias.
    """
    shrink = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    if shrink <= 0.8:
        before = np.array(plane.shape[1::-1])
        after = np.maximum(np.rint(before * shrink), 1).astype(int)
        plane = cv2.resize(plane, tuple(after.tolist()), interpolation=cv2.INTER_AREA)
        grow = before / after  # of a pixel; its centre moves from x to (x + .5) * grow - .5
        offset = matrix[:, :2] @ (0.5 * grow - 0.5) + matrix[:, 2]
        matrix = np.concatenate([matrix[:, :2] * grow, offset[:, None]], axis=1)
    return np.asarray(
        cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    )


@dataclass(frozen=True)
class Letterbox:
    """The one way a picture is scaled into a square or rectangle, and boxes with it.

    Scaled by one factor, centred, padded. ``apply`` and ``undo`` move coordinates;
    ``picture`` moves pixels: they use the same numbers, so they cannot disagree.
    """

    width: int  # of the original
    height: int
    out_width: int
    out_height: int

    @property
    def scale(self) -> float:
        """Pixels of the letterboxed picture for one of the original."""
        return min(self.out_width / self.width, self.out_height / self.height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the scaled picture inside the padding."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))

    @property
    def offset(self) -> tuple[int, int]:
        """Where the scaled picture begins: x, y."""
        width, height = self.size
        return (self.out_width - width) // 2, (self.out_height - height) // 2

    def scaled(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (H, W, C) or map (H, W) of the original size, scaled but not padded."""
        width, height = self.size
        how = cv2.INTER_AREA if width < self.width else cv2.INTER_LINEAR
        layers = picture.reshape(self.height, self.width, -1)
        out = np.empty((height, width, layers.shape[2]), np.uint8)
        for first in range(0, layers.shape[2], 4):  # OpenCV scales at most four channels at once
            part = cv2.resize(layers[..., first : first + 4], (width, height), interpolation=how)
            out[..., first : first + 4] = part.reshape(height, width, -1)
        return out.reshape(height, width, *picture.shape[2:])

    def picture(self, picture: NDArray[np.uint8], pad: int = PAD) -> NDArray[np.uint8]:
        """A picture (H, W, C) or map (H, W) of the original size, letterboxed."""
        (width, height), (left, top) = self.size, self.offset
        shape = (self.out_height, self.out_width, *picture.shape[2:])
        out = np.full(shape, pad, np.uint8)
        out[top : top + height, left : left + width] = self.scaled(picture)
        return out

    def apply(self, boxes: Boxes) -> Boxes:
        """Boxes of the original -> boxes of the letterboxed picture."""
        return (boxes * self._factors() + self._shift()).astype(np.float32)

    def undo(self, boxes: Boxes) -> Boxes:
        """Boxes of the letterboxed picture -> boxes of the original (not clipped)."""
        return ((boxes - self._shift()) / self._factors()).astype(np.float32)

    def _factors(self) -> NDArray[np.float64]:
        width, height = self.size
        return np.tile([width / self.width, height / self.height], 2)

    def _shift(self) -> NDArray[np.float64]:
        return np.tile(np.array(self.offset, np.float64), 2)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Unreadable("no such picture") from error
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror or error}") from error
    if not data:
        raise Unreadable("the file is empty (0 bytes)")
    return data


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture in the bytes of a file; whatever is wrong with it, in words.

    Pillow looks at the end of a file, at its notes and at its pixels only when asked, so
    what is done with the picture belongs inside the block.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF blocks do not concern us
            image = Image.open(io.BytesIO(data))
            width, height = image.size
            if width * height > MAX_PIXELS:
                limit = f"more than the {MAX_PIXELS // 10**6} million allowed"
                raise Unreadable(f"claims {width}x{height} pixels, {limit}")
            yield image
    except (UnidentifiedImageError, ModuleNotFoundError) as error:
        # Ultralytics, once somebody imports it, puts another Image.open in this one's place,
        # which asks for a HEIF plugin where this one says that the file is no picture.
        raise Unreadable(f"not a picture (begins with {data[:8]!r})") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error) as error:
        raise Unreadable(f"broken picture: {error}") from error


def _header(image: Image.Image, path: Path, data: bytes) -> Header:
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    width, height = image.size
    if orientation in {5, 6, 7, 8}:
        width, height = height, width
    fits = path.suffix.lower() in _PLAIN.get(image.format or "", set())
    # Ultralytics rewrites a JPEG that does not end with its end mark, in place. Through a
    # hard link that would change the user's own file, so such a file is not plain.
    whole = image.format != "JPEG" or data.endswith(b"\xff\xd9")
    plain = fits and whole and orientation in {0, 1} and image.mode in {"RGB", "L"}
    return Header(width, height, plain)


def _rgb(image: Image.Image) -> Picture:
    """Any mode as 8-bit RGB: 16 bits divided by 257, transparency onto white."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        # 32 bits say nothing of their range: what fits into 8 is taken for 8, else for 16.
        if image.mode.startswith("I;16") or values.max(initial=0) > 255:
            values = values / 257
        grey = np.clip(values, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(ground, layer)
    return np.asarray(image.convert("RGB"))
