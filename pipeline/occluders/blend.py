"""Laying the finished sheet onto the picture, with the picture's own light, blur and grain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.images import Picture, warp
from pipeline.occluders.canvas import Canvas, Plane
from pipeline.occluders.scene import Scene

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def blend(
    picture: Picture, cover: Plane, canvas: Canvas, scene: Scene, rng: np.random.Generator
) -> None:
    """Paint the sheet into ``picture`` and raise ``cover`` (H, W) where it hides, in place."""
    used = _used(canvas)
    matrix, rows, cols = _place(canvas, used, picture.shape[:2])
    if rows.stop <= rows.start or cols.stop <= cols.start:
        return
    size = (cols.stop - cols.start, rows.stop - rows.start)
    rgb, alpha, dim, sure = (
        _laid(plane[used], matrix, size, scene.blur)
        for plane in (canvas.rgb, canvas.alpha, canvas.dim, canvas.cover)
    )
    colour = alpha[..., None] * scene.black + rgb * (scene.white - scene.black)
    if scene.grey:
        colour = np.repeat((colour @ _LUMA)[..., None], 3, axis=2)
    noise = _noise(rng, size, scene)
    colour += (noise * alpha)[..., None]
    ground = picture[rows, cols].astype(np.float32)
    ground *= ((1 - alpha) * (1 - 0.8 * dim))[..., None]
    ground += 255 * colour
    if canvas.glow.any():
        glow = _laid(canvas.glow[used], matrix, size, scene.blur)
        if scene.grey:
            glow = np.repeat((glow @ _LUMA)[..., None], 3, axis=2)
        ground = 255 - (255 - ground) * (1 - np.clip(glow, 0, 1))
    picture[rows, cols] = np.clip(np.rint(ground), 0, 255).astype(np.uint8)
    cover[rows, cols] = np.maximum(cover[rows, cols], sure)


def _used(canvas: Canvas) -> tuple[slice, slice]:
    """The rows and columns of the sheet on which there is anything, and a little more."""
    filled = (canvas.alpha > 0) | (canvas.dim > 0.002) | (canvas.glow[..., 1] > 0)
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(filled.any(axis=axis))
        low, high = (int(places[0]), int(places[-1])) if len(places) else (0, 0)
        spans.append(slice(max(low - 8, 0), min(high + 9, filled.shape[1 - axis])))
    return spans[0], spans[1]


def _place(
    canvas: Canvas, used: tuple[slice, slice], size: tuple[int, int]
) -> tuple[NDArray[np.float64], slice, slice]:
    """Used sheet pixels -> picture pixels (2, 3), and the part of the picture they reach."""
    frame = canvas.frame
    turn = frame.unit / canvas.scale * frame.axes.T  # (2, 2) on column vectors
    corner = canvas.low + (np.array([used[1].start, used[0].start]) + 0.5) / canvas.scale
    start = frame.origin + frame.unit * corner @ frame.axes - 0.5
    extent = [used[1].stop - used[1].start, used[0].stop - used[0].start]
    ends = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * extent
    corners = ends @ turn.T + start
    low = np.clip(np.floor(corners.min(axis=0)), 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size[::-1]).astype(int)
    matrix = np.concatenate([turn, (start - low)[:, None]], axis=1)
    return matrix, slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _laid(plane: Plane, matrix: NDArray[np.float64], size: tuple[int, int], blur: float) -> Plane:
    """The plane as it lies in the picture, as sharp as the picture is."""
    laid = warp(plane, matrix, size)
    return np.asarray(cv2.GaussianBlur(laid, (0, 0), blur) if blur > 0.5 else laid, np.float32)


def _noise(rng: np.random.Generator, size: tuple[int, int], scene: Scene) -> Plane:
    """The picture's grain, as fine as the picture is sharp; (H, W)."""
    tile = rng.standard_normal((128, 128), np.float32)
    if scene.blur > 0.8:
        soft = cv2.GaussianBlur(tile, (0, 0), 0.6, borderType=cv2.BORDER_REFLECT)
        tile = np.asarray(2 * soft, np.float32)
    repeats = (size[1] // 128 + 1, size[0] // 128 + 1)
    return np.asarray(np.tile(tile, repeats)[: size[1], : size[0]] * np.float32(scene.grain))
