"""Cloth and skin as functions of local coordinates: colours, patterns, weaves, folds.

All noise is looked up in small random grids by local coordinates, so that a sketch at low
resolution and the finished drawing show the same thing.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.occluders.canvas import Colour, Plane, Region, relief

Grid = NDArray[np.float32]  # (64, 64) random values, wrapped round


def grid(rng: np.random.Generator) -> Grid:
    """A fresh grid of noise, mean 0, standard deviation about 1."""
    return rng.standard_normal((64, 64), np.float32)


def noise(values: Grid, u: NDArray[np.floating], v: NDArray[np.floating]) -> Plane:
    """The grid, smoothly interpolated: one cell for each unit of u and v."""
    across, down = np.asarray(u, np.float32), np.asarray(v, np.float32)
    found = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found, np.float32)


def smooth_grid(rng: np.random.Generator) -> Grid:
    """Noise that changes over about four cells without any grid showing."""
    wide = np.tile(grid(rng), (3, 3))
    soft = cv2.GaussianBlur(wide, (0, 0), 1.6)[64:128, 64:128]
    return np.asarray(soft / max(float(soft.std()), 1e-6), np.float32)


# --- patterns: (u, v, size, colours) -> (H, W, 3); u and v in units -----------------------

Pattern = Callable[[Plane, Plane, float, NDArray[np.float32]], Plane]


def _mix(colours: NDArray[np.float32], weights: list[Plane]) -> Plane:
    """The first colour, with the others laid over it."""
    out = np.broadcast_to(colours[0], (*weights[0].shape, 3)).astype(np.float32)
    for colour, weight in zip(colours[1:], weights, strict=False):
        out = out + (colour - out) * weight[..., None]
    return np.asarray(out, np.float32)


def _wave(t: Plane) -> Plane:
    """A triangle wave of period 1 between 0 and 1."""
    return np.asarray(2 * np.abs(t - np.floor(t + 0.5)), np.float32)


def _edge(value: Plane, at: float, soft: float = 0.06) -> Plane:
    """1 above ``at``, 0 below, with a soft step."""
    return np.asarray(np.clip((value - np.float32(at)) / np.float32(soft) + 0.5, 0, 1), np.float32)


def _plain(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    del v, size
    return _mix(colours, [np.zeros_like(u)])


def _stripes(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    del u
    return _mix(colours, [_edge(_wave(v / size), 0.5)])


def _uneven_stripes(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    del u
    t = v / (3 * size)
    narrow = _edge(_wave(t + 0.31), 0.86, 0.03)
    return _mix(colours, [_edge(_wave(t), 0.72, 0.03), narrow])


def _hospital(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    """The white ward blanket: a band of thin lines in two colours, far apart."""
    del u
    t = v / (5 * size)
    near = _edge(_wave(t), 0.8, 0.02)
    lines = _edge(_wave(t * 9), 0.45, 0.15)
    middle = _edge(_wave(t), 0.93, 0.02)
    return _mix(colours, [near * lines * (1 - middle), middle * lines])


def _dots(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    row = np.floor(v / size)
    a = u / size + 0.5 * (row % 2)
    du, dv = a - np.floor(a) - 0.5, v / size - row - 0.5
    return _mix(colours, [_edge(-np.hypot(du, dv), -0.26, 0.08)])


def _checks(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    a, b = _edge(_wave(u / size), 0.5), _edge(_wave(v / size), 0.5)
    return _mix(colours, [0.5 * (a + b)])


def _zigzag(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    return _mix(colours, [_edge(_wave(v / size + 0.5 * _wave(u / size)), 0.5)])


def _motifs(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    """Scattered little faces: a round head, two ears, two eyes; each turned its own way."""
    size = 1.7 * size
    row = np.floor(v / size)
    a = u / size + 0.5 * (row % 2)
    column = np.floor(a)
    angle = np.sin(column * 12.9898 + row * 78.233) * 3
    du, dv = a - column - 0.5, v / size - row - 0.5
    c, s = np.cos(angle), np.sin(angle)
    x, y = np.abs(c * du + s * dv), c * dv - s * du
    head = np.minimum(np.hypot(x, y) - 0.24, np.hypot(x - 0.2, y + 0.22) - 0.11)
    eyes = np.hypot(x - 0.09, y + 0.03) - 0.045
    return _mix(colours, [_edge(-head, 0, 0.05), _edge(-eyes, 0, 0.04)])


def _stars(u: Plane, v: Plane, size: float, colours: NDArray[np.float32]) -> Plane:
    size = 1.4 * size
    row = np.floor(v / size)
    a = u / size + 0.5 * (row % 2)
    column = np.floor(a)
    du, dv = a - column - 0.5, v / size - row - 0.5
    angle = np.arctan2(dv, du) + np.sin(column * 7.7 + row * 5.1) * 2
    radius = 0.2 + 0.14 * np.cos(5 * angle)
    return _mix(colours, [_edge(radius - np.hypot(du, dv), 0, 0.06)])


PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "stripes": _stripes,
    "uneven stripes": _uneven_stripes,
    "hospital": _hospital,
    "dots": _dots,
    "checks": _checks,
    "zigzag": _zigzag,
    "motifs": _motifs,
    "stars": _stars,
}


# --- weaves: (u, v, pitch, grid) -> how dark the gaps between threads are, about 0 to 1 ---

Weave = Callable[[Plane, Plane, float, Grid], Plane]


def _knit(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Columns of V-shaped stitches."""
    del rough
    across = _wave(u / pitch)
    stitch = _wave(v / (0.8 * pitch) + 0.75 * across)
    return np.asarray(0.55 * (1 - stitch) ** 2 + 0.5 * (1 - across) ** 4, np.float32)


def _rib(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Raised vertical ribs."""
    del v, rough
    return np.asarray(0.8 * (1 - _wave(u / (1.3 * pitch))) ** 2, np.float32)


def _muslin(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """A loose crinkled weave."""
    crinkle = noise(rough, u / (0.35 * pitch), v / (0.8 * pitch))
    threads = np.maximum(_wave(u / (0.4 * pitch)), _wave(v / (0.4 * pitch)))
    return np.asarray(np.clip(0.12 + 0.1 * crinkle + 0.12 * threads, 0, 1))


def _terry(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Loops of towel."""
    loops = noise(rough, u / (0.45 * pitch), v / (0.45 * pitch))
    return np.asarray(np.clip(0.3 + 0.28 * loops, 0, 1))


def _fleece(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Short soft pile."""
    pile = noise(rough, u / (0.8 * pitch), v / (0.8 * pitch))
    return np.asarray(np.clip(0.2 + 0.13 * pile, 0, 1))


def _waffle(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Small square cells, as in thermal blankets."""
    del rough
    return np.asarray(
        0.5 * np.minimum(_wave(u / (1.4 * pitch)), _wave(v / (1.4 * pitch))), np.float32
    )


def _jersey(u: Plane, v: Plane, pitch: float, rough: Grid) -> Plane:
    """Fine smooth cloth."""
    threads = noise(rough, u / (0.5 * pitch), v / (0.5 * pitch))
    return np.asarray(np.clip(0.1 + 0.06 * threads, 0, 1))


WEAVES: dict[str, Weave] = {
    "knit": _knit,
    "rib": _rib,
    "muslin": _muslin,
    "terry": _terry,
    "fleece": _fleece,
    "waffle": _waffle,
    "jersey": _jersey,
}


# --- cloth -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Cloth:
    """One piece of cloth: its look at any place (u, v) of it, in units."""

    colours: NDArray[np.float32]  # (3, 3)
    pattern: str
    weave: str
    size: float  # of the pattern
    pitch: float  # of the weave
    turn: float  # of both, in radians
    rough: Grid

    def look(self, u: Plane, v: Plane, scale: float) -> Plane:
        """The unlit cloth (H, W, 3) at these places, drawn at ``scale`` pixels a unit."""
        c, s = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        u, v = c * u + s * v, c * v - s * u
        colour = PATTERNS[self.pattern](u, v, self.size, self.colours)
        clear = float(np.clip(self.pitch * scale / 3 - 0.5, 0, 1))  # finer than pixels: only grey
        gaps = WEAVES[self.weave](u, v, self.pitch, self.rough)
        dark = clear * gaps + (1 - clear) * float(gaps.mean())
        return np.asarray(colour * (1 - 0.5 * dark)[..., None], np.float32)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, each 0 to 1."""
    return colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))


# (weight, lowest and highest saturation, lowest and highest value) of families of cloth
_DYES = (
    (0.34, (0.0, 0.06), (0.85, 1.0)),  # white, ecru
    (0.30, (0.15, 0.38), (0.8, 0.98)),  # pastel
    (0.16, (0.4, 0.75), (0.45, 0.85)),  # strong
    (0.10, (0.3, 0.7), (0.18, 0.45)),  # dark
    (0.10, (0.0, 0.08), (0.3, 0.8)),  # grey
)


def dye(rng: np.random.Generator, *, soft: bool = False) -> Colour:
    """A colour that baby clothes and ward linen come in; ``soft`` is white, pastel or grey."""
    weights = np.array([0.0 if soft and row in _DYES[2:4] else row[0] for row in _DYES])
    _, saturation, value = _DYES[rng.choice(len(_DYES), p=weights / weights.sum())]
    hues = (0.02, 0.09, 0.13, 0.35, 0.48, 0.56, 0.62, 0.78, 0.94)
    hue = float(rng.choice(hues)) + float(rng.normal(0, 0.025))
    return hsv(hue, float(rng.uniform(*saturation)), float(rng.uniform(*value)))


def cloth(
    rng: np.random.Generator,
    weaves: tuple[str, ...],
    patterns: dict[str, float] | None = None,
    *,
    soft: bool = False,
) -> Cloth:
    """A random cloth of one of these weaves; patterns by weight, or all of them alike."""
    table = patterns or dict.fromkeys(PATTERNS, 1.0)
    weights = np.array(list(table.values()))
    return Cloth(
        colours=np.array([dye(rng, soft=soft) for _ in range(3)], np.float32),
        pattern=list(table)[rng.choice(len(table), p=weights / weights.sum())],
        weave=weaves[rng.integers(len(weaves))],
        size=float(rng.uniform(0.09, 0.26)),
        pitch=float(rng.uniform(0.022, 0.05)),
        turn=float(rng.choice([0.0, 0.0, np.pi / 2, rng.uniform(0, np.pi)])),
        rough=grid(rng),
    )


@dataclass(frozen=True, eq=False)
class Folds:
    """The hills and valleys of loose cloth."""

    angle: float  # along which the folds run
    depth: float  # units
    width: float  # units
    first: Grid
    second: Grid
    centre: tuple[float, float] | None = None  # folds that radiate from here

    def height(self, x: Plane, y: Plane) -> Plane:
        """How high the cloth lies at these places, in units."""
        if self.centre is None:
            c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
            along, across = c * x + s * y, c * y - s * x
        else:
            dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
            along, across = np.hypot(dx, dy), 0.8 * np.abs(np.arctan2(dx, -dy))
        bend = noise(self.second, along / 0.5 + 9, across / 0.5 + 5) * np.float32(0.07)
        cell = self.width / 2.5
        ridge = noise(self.first, along / (6 * cell) + 20, (across + bend) / cell + 11)
        fine = noise(self.second, along / (4 * cell), (across + bend) / (0.45 * cell))
        lump = noise(self.second, x / 0.3 + 31, y / 0.3 + 17)
        sharp = 0.7 * ridge - 0.5 * np.abs(ridge) + 0.16 * fine  # soft hills, tight valleys
        return np.asarray(self.depth * (sharp + 0.3 * lump), np.float32)


def folds(rng: np.random.Generator, angle: float, depth: float, width: float) -> Folds:
    """Random folds that run about along this angle."""
    turn = angle + float(rng.normal(0, 0.2))
    return Folds(turn, depth, width, smooth_grid(rng), smooth_grid(rng))


def draped(
    region: Region,
    light: NDArray[np.float32],
    material: Cloth,
    creases: Folds,
    hem: float,
    below: Plane | None = None,
) -> Plane:
    """Cloth with folds and a rolled hem, lit; (H, W, 3).

    ``below`` is the height of what it covers.
    """
    height = creases.height(region.x, region.y)
    inside = region.inside()
    roll = np.sqrt(np.clip(1 - (1 - inside / hem) ** 2, 0, 1)) * (inside < hem) + (inside >= hem)
    total = height + np.float32(hem * 0.7) * roll + (0 if below is None else below)
    lit = relief(region, total.astype(np.float32), light, 0.75)
    hollow = np.clip(-height / max(creases.depth, 1e-6), 0, 2) * 0.17
    seam = 0.12 * np.exp(-(((inside - 1.25 * hem) / (0.14 * hem)) ** 2))
    shift = height * np.float32(0.8)  # the pattern follows the folds
    look = material.look(region.x + shift, region.y + shift, region.scale)
    return np.asarray(look * (lit * (1 - hollow - seam))[..., None], np.float32)
