"""Plastic, tubing, tape and straps: what medical things on a face are made of."""

import cv2
import numpy as np

from pipeline.occluders.canvas import Canvas, Colour, Plane, Region, relief
from pipeline.occluders.frame import Local
from pipeline.occluders.shapes import length, normals, ribbon, smooth
from pipeline.occluders.texture import Cloth, grid, noise

Rng = np.random.Generator


def rounded(region: Region, edge: float) -> Plane:
    """The height of a thing whose edge is rounded off over this many units."""
    d = np.clip(region.inside() / np.float32(edge), 0, 1)
    height = np.float32(edge) * np.sqrt(1 - (1 - d) ** 2)
    side = 2 * int(0.12 * edge * region.scale) + 1  # the ridges of the distance map, rounded off
    return np.asarray(cv2.blur(height, (side, side)), np.float32)


def shine(region: Region, height: Plane, light: Plane, power: float = 24) -> Plane:
    """The highlight of a glossy surface, 0 to 1."""
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=region.scale / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=region.scale / 8)
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    cosine = (half[2] - dx * half[0] - dy * half[1]) / np.sqrt(1 + dx * dx + dy * dy)
    return np.asarray(np.clip(cosine, 0, 1) ** power, np.float32)


def plastic(region: Region, light: Plane, colour: Colour, edge: float, gloss: float = 0.5) -> Plane:
    """A smooth moulded thing, slightly domed, with a highlight; (H, W, 3)."""
    middle = np.array([region.x.mean(), region.y.mean()])
    reach = max(float(np.ptp(region.x)), float(np.ptp(region.y)), 1e-3) / 2
    away = ((region.x - middle[0]) ** 2 + (region.y - middle[1]) ** 2) / np.float32(reach)
    height = rounded(region, edge) - np.float32(0.22) * away
    lit = relief(region, height.astype(np.float32), light, 0.6)
    spot = shine(region, height.astype(np.float32), light, 40)
    body = np.array(colour, np.float32) * np.clip(lit, 0, 1.15)[..., None]
    return np.asarray(body + gloss * spot[..., None] * (1 - 0.5 * body), np.float32)


def tube(
    canvas: Canvas,
    path: Local,
    radius: float,
    colour: Colour,
    *,
    clear: float = 0.0,
    ribs: bool = False,
) -> None:
    """Tubing along a path; ``clear`` is how far one sees through it, ``ribs`` a corrugated hose."""
    side = normals(path)
    toward = side @ canvas.light[:2]
    shift = side * np.sign(toward)[:, None] * radius
    tone = np.array(colour, np.float32)
    opacity = 1 - clear
    layers = ((0.0, 1.0, 0.6, opacity), (0.12, 0.74, 0.86, opacity), (0.2, 0.45, 1.0, opacity))
    for number, (off, wide, bright, amount) in enumerate(layers):
        band = canvas.fill(ribbon(path + off * shift, wide * radius))
        shadow = 0.9 * radius if number == 0 else 0.0
        canvas.paint(band, bright * tone, opacity=amount, shadow=shadow)
    if ribs and not canvas.sketch:
        _corrugate(canvas, path, radius)
    spot = canvas.fill(ribbon(path + 0.42 * shift, 0.13 * radius))
    canvas.paint(spot, (1.0, 1.0, 1.0), opacity=0.65, hides=0.0)


def _corrugate(canvas: Canvas, path: Local, radius: float) -> None:
    """Dark grooves across a hose."""
    along, side = length(path), normals(path)
    for place in np.arange(0.4 * radius, along[-1], 0.75 * radius):
        middle = np.array([np.interp(place, along, path[:, k]) for k in (0, 1)])
        across = np.array([np.interp(place, along, side[:, k]) for k in (0, 1)]) * radius
        groove = ribbon(np.stack([middle - across, middle + across]), 0.14 * radius)
        canvas.paint(canvas.fill(groove), (0.15, 0.16, 0.2), opacity=0.35, hides=0.0)


# name -> colour, opacity, how far its surface is crumpled
TAPES: dict[str, tuple[Colour, float, float]] = {
    "cloth": ((0.95, 0.94, 0.92), 1.0, 0.004),
    "silk": ((0.97, 0.97, 0.97), 0.97, 0.006),
    "paper": ((0.93, 0.9, 0.85), 0.93, 0.004),
    "hydrocolloid": ((0.86, 0.7, 0.52), 0.93, 0.003),
    "brown": ((0.78, 0.6, 0.45), 1.0, 0.003),
    "pink": ((0.94, 0.7, 0.66), 0.97, 0.004),
    "blue": ((0.62, 0.78, 0.9), 1.0, 0.004),
    "film": ((0.92, 0.92, 0.9), 0.4, 0.006),
}


def tape(
    canvas: Canvas, place: Local, size: tuple[float, float], angle: float, kind: str, rng: Rng
) -> None:
    """A strip of tape of this width and height, its edges cut by hand and slightly lifted."""
    colour, opacity, crumple = TAPES[kind]
    w, h = size[0] / 2, size[1] / 2
    corners = np.array([(-w, -h), (0, -h), (w, -h), (w, 0), (w, h), (0, h), (-w, h), (-w, 0)])
    corners = corners + rng.normal(0, 0.05 * min(size), corners.shape)
    steps = np.linspace(0, 1, 6, endpoint=False)[:, None]
    ends = np.roll(corners, -1, axis=0)
    outline = np.concatenate([a + (b - a) * steps for a, b in zip(corners, ends, strict=True)])
    c, s = np.cos(angle), np.sin(angle)
    outline = outline @ np.array([[c, s], [-s, c]]) + place
    rough = grid(rng)
    tone = np.array(colour, np.float32) * np.float32(rng.uniform(0.92, 1.03))

    def paint(region: Region) -> Plane:
        crumpled = noise(rough, region.x / 0.05 + 7, region.y / 0.08 + 3) * np.float32(crumple)
        lifted = rounded(region, 0.018)
        height = np.asarray(crumpled + 0.6 * lifted, np.float32)
        lit = relief(region, height, canvas.light, 0.55)
        weave = 1 - 0.04 * np.abs(noise(rough, region.x / 0.012, region.y / 0.012))
        bright = 0.12 * shine(region, height, canvas.light, 30)
        return np.asarray(tone * (lit * weave)[..., None] + bright[..., None], np.float32)

    canvas.paint(canvas.fill(outline), paint, opacity=opacity, shadow=0.012)


def strap(canvas: Canvas, path: Local, width: float, material: Cloth) -> None:
    """An elastic strap along a path."""
    line = smooth(path, 8)
    band = canvas.fill(ribbon(line, width / 2))
    ends = line[-1] - line[0]
    angle = float(np.arctan2(ends[1], ends[0]))
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))

    def paint(region: Region) -> Plane:
        u, v = c * region.x + s * region.y, c * region.y - s * region.x
        look = material.look(u, v, region.scale)
        lit = relief(region, rounded(region, 0.4 * width), canvas.light, 0.5)
        return np.asarray(look * lit[..., None])

    canvas.paint(band, paint, shadow=0.014)
