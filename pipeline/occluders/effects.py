"""What happens to the whole picture: darkness, blur, low resolution; and glare.

The first three hide no landmark, so each has a stated equivalent share s, by definition:

- darkness: the exposure is divided by 2^(7 s) in linear light (1.75, 3.5 and 7 stops at
  the borders of the levels and at the end), and the noise of the sensor stays.
- blur: the camera moves by s times 0.6 of the height of the face from brows to chin.
- lowres: the face keeps 2^(-4 s) of its height, or of 64 pixels where it is higher: 32 px
  at s = 0.25, 16 px at 0.5, 4 px at 1. What is too small already is not counted again.

Glare does hide: it covers a landmark where its light is at least 80 % of saturation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.images import Picture
from pipeline.occluders.canvas import Canvas, Plane
from pipeline.occluders.shapes import turned

Rng = np.random.Generator

STOPS = 7.0  # at share 1
MOTION = 0.6  # of the face's height, at share 1
FINE = 64.0  # pixels; a higher face is no easier
HALVINGS = 4.0  # at share 1


@dataclass(frozen=True)
class Effect:
    """One thing that happens to a whole picture.

    ``apply`` takes the picture, the share wanted for a face of the reference size, that
    size in pixels, and a generator. ``share`` says what this is for a face of another size.
    """

    apply: Callable[[Picture, float, float, Rng], Picture]
    share: Callable[[float, float, float], float]  # (wanted, reference, size) -> share


def darkness(picture: Picture, share: float, reference: float, rng: Rng) -> Picture:
    """Less light on the same sensor: darker, and noisy for it."""
    del reference
    electrons = float(rng.uniform(1500, 6000))  # of a full pixel in the bright picture
    read = float(rng.uniform(2, 5))
    grey = _is_grey(picture)
    linear = _LINEAR[picture[..., 0] if grey else picture]
    linear = linear * np.float32(electrons * 2 ** (-STOPS * share))
    spread = np.sqrt(linear * np.float32(0.5) + np.float32(read**2))
    linear += spread * rng.standard_normal(linear.shape, np.float32)
    coded = np.clip(linear / np.float32(electrons), 0, 1) ** np.float32(1 / 2.2)
    out = np.rint(coded * 255).astype(np.uint8)
    return np.repeat(out[..., None], 3, axis=2) if grey else out


_LINEAR = ((np.arange(256) / 255) ** 2.2).astype(np.float32)


def _is_grey(picture: Picture) -> bool:
    return bool(
        (picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all()
    )


def blur(picture: Picture, share: float, reference: float, rng: Rng) -> Picture:
    """The camera or the child moves: a straight or slightly bent smear."""
    span = max(MOTION * share * reference, 1.0)
    angle, bend = float(rng.uniform(0, np.pi)), float(rng.normal(0, 0.25))
    side = 2 * int(span / 2 + 2) + 1
    t = np.linspace(-0.5, 0.5, 4 * side)
    path = turned(np.stack([t, bend * t**2], axis=1), angle) * span + side // 2
    kernel = np.zeros((side, side), np.float32)
    for x, y in np.clip(path, 0, side - 1.001):
        col, row, a, b = int(x), int(y), x % 1, y % 1
        kernel[row : row + 2, col : col + 2] += np.outer([1 - b, b], [1 - a, a])
    kernel /= kernel.sum()
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def low_resolution(picture: Picture, share: float, reference: float, rng: Rng) -> Picture:
    """Few pixels, blown up again, and mostly packed as a poor JPEG on the way."""
    factor = _kept(share, reference)
    height, width = picture.shape[:2]
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    grey = _is_grey(picture)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        quality = int(rng.integers(35, 85))
        _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        small = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
    ways = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)
    way = ways[rng.choice(3, p=[0.45, 0.4, 0.15])]
    out = cv2.resize(np.ascontiguousarray(small), (width, height), interpolation=way)
    return np.repeat(out[..., :1], 3, axis=2) if grey else np.asarray(out)


def _kept(share: float, reference: float) -> float:
    """The scale of the small picture."""
    return float(min(FINE / reference, 1.0) * 2.0 ** (-HALVINGS * share))


def _blur_share(share: float, reference: float, size: float) -> float:
    return min(share * reference / size, 1.0)


def _lowres_share(share: float, reference: float, size: float) -> float:
    before, after = min(FINE, size), size * _kept(share, reference)
    return float(np.clip(np.log2(before / after) / HALVINGS, 0, 1))


EFFECTS = {
    "darkness": Effect(darkness, lambda share, _reference, _size: share),
    "blur": Effect(blur, _blur_share),
    "lowres": Effect(low_resolution, _lowres_share),
}


# --- glare: light on the lens or on the wall of the incubator -----------------------------


def glare(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A reflection that burns out part of the face: a lamp, a window, or a streak."""
    style = str(rng.choice(["lamp", "window", "streak"], p=[0.45, 0.3, 0.25]))
    angle = float(rng.uniform(0, np.pi))
    centre = rng.normal(0, 0.3, 2) * (1.3 - amount)
    size = 0.06 + 0.75 * amount**1.3
    stretch = float(rng.uniform(1.0, 1.8))
    tint = np.array([1.0, 1.0, 1.0]) - np.array([0, 0.03, 0.09]) * float(rng.uniform(-0.6, 1))
    tint = np.clip(tint, 0, 1).astype(np.float32)
    everything = canvas.area(canvas.low, canvas.high)
    if everything.empty:
        return
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = everything.x - np.float32(centre[0]), everything.y - np.float32(centre[1])
    across, along = (c * dx + s * dy), (c * dy - s * dx)
    light = _LIGHTS[style](across, along, size, stretch)
    veil = np.clip(light, 0, 1).astype(np.float32)
    canvas.cover[:] = np.maximum(canvas.cover, np.clip((veil - 0.65) / 0.3, 0, 1))  # 1/2 at 80 %
    if not canvas.sketch:
        canvas.glow += veil[..., None] * tint


def _lamp(across: Plane, along: Plane, size: float, stretch: float) -> Plane:
    """A burnt-out spot with a wide halo and faint rays."""
    away = np.hypot(across, along / stretch)
    bent = 1 + 0.1 * np.sin(3 * np.arctan2(along, across) + 9 * stretch)  # no perfect ellipse
    away = away * bent
    rays = 0.12 * np.abs(np.cos(3 * np.arctan2(along, across))) ** 16
    core = 1.35 / (1 + (away / (1.35 * size)) ** 4)
    halo = (0.35 + rays) * np.exp(-away / (1.6 * size + 0.15))
    return np.asarray(core + halo)


def _window(across: Plane, along: Plane, size: float, stretch: float) -> Plane:
    """The reflection of a window with bars, or of a square lamp, in a plastic wall."""
    x, y = np.abs(across) / size, np.abs(along) / (stretch * size)
    edge = 0.05 / size + 0.1
    pane = 1 / (1 + np.exp(np.clip((np.maximum(x, y) - 1) / (0.35 * edge), -30, 30)))
    bars = np.exp(-((across / (0.045 + 0.05 * size)) ** 2))
    return np.asarray(1.05 * pane * (1 - 0.45 * bars) + 0.12 * np.exp(-np.hypot(x, y)))


def _streak(across: Plane, along: Plane, size: float, stretch: float) -> Plane:
    """A broad band of light with a thinner one beside it."""
    main = 1.3 * np.exp(-(np.abs(across / (0.9 * size)) ** 3))
    side = 0.5 * np.exp(-(((across - 1.7 * size) / (0.3 * size)) ** 2))
    ends = 1 / (1 + (np.abs(along) / (1.4 * stretch)) ** 6)
    return np.asarray((main + side) * ends)


_LIGHTS = {"lamp": _lamp, "window": _window, "streak": _streak}
