"""A transparent sheet over one face, upright, on which occluders are painted.

Shapes are painted one over the other. The sheet remembers how much of the picture shows
through (``alpha``), how surely a place is hidden (``cover``; a clear mask is seen but hides
little), and how much the shadow beside an object darkens the skin (``dim``). A sketch is
the same at low resolution and without colours, to learn what share a drawing would hide.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.occluders.frame import Frame, Local
from pipeline.occluders.scene import Scene

Plane = NDArray[np.float32]  # (H, W), or (H, W, 3) for colours, 0 to 1


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of the sheet and how much of each of its pixels a shape fills."""

    rows: slice
    cols: slice
    x: Plane  # local coordinates of the pixels
    y: Plane
    alpha: Plane
    scale: float  # pixels a unit

    @property
    def empty(self) -> bool:
        """Whether the shape lies off the sheet."""
        return self.alpha.size == 0

    def inside(self) -> Plane:
        """How far inside the outline each pixel lies, in units."""
        solid = (self.alpha >= 0.5).astype(np.uint8)
        return cv2.distanceTransform(solid, cv2.DIST_L2, 5) / np.float32(self.scale)


Colour = tuple[float, float, float]
Paint = Colour | Plane | Callable[[Region], Plane]


class Canvas:
    """The sheet; covers what the picture shows within ``reach`` units of the face."""

    def __init__(
        self,
        frame: Frame,
        size: tuple[int, int],
        scale: float,
        scene: Scene,
        *,
        reach: float,
        sketch: bool = False,
    ) -> None:
        height, width = size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        local = frame.to_local(corners)
        self.low = np.clip(local.min(axis=0) - 0.05, -reach, reach)
        self.high = np.clip(local.max(axis=0) + 0.05, -reach, reach)
        self.frame, self.scale, self.sketch = frame, scale, sketch
        self.light, self.skin = scene.light, scene.skin
        cols, rows = (max(int(v), 1) for v in np.ceil((self.high - self.low) * scale))
        self.xs = (self.low[0] + (np.arange(cols) + 0.5) / scale).astype(np.float32)
        self.ys = (self.low[1] + (np.arange(rows) + 0.5) / scale).astype(np.float32)
        shape = (rows, cols)
        self.cover = np.zeros(shape, np.float32)
        if not sketch:
            self.rgb = np.zeros((*shape, 3), np.float32)  # already times alpha
            self.alpha, self.dim = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
            self.glow = np.zeros((*shape, 3), np.float32)  # light on the lens, over everything

    def fill(self, *outlines: Local) -> Region:
        """The inside of a closed outline; further outlines cut holes."""
        everything = np.concatenate(outlines)
        region = self.area(everything.min(axis=0), everything.max(axis=0))
        if region.empty:
            return region
        corner = np.array([region.cols.start, region.rows.start])
        mask = np.zeros(region.alpha.shape, np.uint8)
        fine = [
            np.round((((o - self.low) * self.scale) - 0.5 - corner) * 16).astype(np.int32)
            for o in outlines
        ]
        cv2.fillPoly(mask, fine, 255, cv2.LINE_AA, 4)
        return replace(region, alpha=mask.astype(np.float32) * np.float32(1 / 255))

    def area(self, low: Local, high: Local) -> Region:
        """An empty region between two corners, cut at the sheet's borders."""
        cols, rows = (
            slice(*np.clip([start - 2, end + 3], 0, limit).tolist())
            for start, end, limit in zip(
                np.floor((low - self.low) * self.scale).astype(int),
                np.ceil((high - self.low) * self.scale).astype(int),
                (len(self.xs), len(self.ys)),
                strict=True,
            )
        )
        x, y = np.meshgrid(self.xs[cols], self.ys[rows])
        return Region(rows, cols, x, y, np.zeros(x.shape, np.float32), self.scale)

    def paint(
        self,
        region: Region,
        colour: Paint,
        *,
        opacity: float | Plane = 1.0,
        hides: float | Plane | None = None,
        shadow: float = 0.0,
    ) -> None:
        """Paint a shape; ``hides`` is what it hides where that is not what it covers.

        ``shadow``: how far the object stands off, in units: it darkens what lies beside it.
        """
        if region.empty:
            return
        alpha = region.alpha * np.float32(opacity)
        sure = alpha if hides is None else region.alpha * np.float32(hides)
        cover = self.cover[region.rows, region.cols]
        cover += sure * (1 - cover)
        if self.sketch:
            return
        if shadow > 0:
            self._cast(region, alpha, shadow)
        value = colour(region) if callable(colour) else np.asarray(colour, np.float32)
        at = (region.rows, region.cols)
        left = (1 - alpha)[..., None]
        self.rgb[at] = self.rgb[at] * left + value * alpha[..., None]
        self.alpha[at] = self.alpha[at] * left[..., 0] + alpha

    def _cast(self, region: Region, alpha: Plane, height: float) -> None:
        """The soft shadow of a shape, away from the light, on all that lies below."""
        pad = int(3 * height * self.scale) + 2
        rows, cols = (
            slice(max(s.start - pad, 0), min(s.stop + pad, limit))
            for s, limit in ((region.rows, len(self.ys)), (region.cols, len(self.xs)))
        )
        wide = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.float32)
        top, left = region.rows.start - rows.start, region.cols.start - cols.start
        wide[top : top + alpha.shape[0], left : left + alpha.shape[1]] = alpha
        shift = -self.light[:2] * height * self.scale
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        wide = cv2.warpAffine(wide, move, wide.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        sigma = max(0.7 * height * self.scale, 0.6)
        keep = 1 - 0.55 * cv2.blur(cv2.blur(wide, *_box(sigma)), *_box(sigma))
        self.rgb[rows, cols] *= keep[..., None]
        self.dim[rows, cols] = 1 - (1 - self.dim[rows, cols]) * keep

    def hidden(self, local: Local) -> NDArray[np.bool_]:
        """Which places (N, 2) in local coordinates the sheet hides."""
        cols, rows = np.floor((local - self.low) * self.scale).astype(int).T
        inside = (cols >= 0) & (rows >= 0) & (cols < len(self.xs)) & (rows < len(self.ys))
        found = np.zeros(len(local), bool)
        found[inside] = self.cover[rows[inside], cols[inside]] >= 0.5
        return found


def _box(sigma: float) -> tuple[tuple[int, int]]:
    """A box filter that, applied twice, is about a Gaussian: far quicker where it is wide."""
    side = 2 * int(0.6 * sigma * 2) + 1
    return ((side, side),)


def relief(region: Region, height: Plane, light: NDArray[np.float32], rough: float = 0.6) -> Plane:
    """How brightly a surface of this height (in units) is lit; 1 where it is flat.

    ``rough`` is the share of the light that has a direction; the rest comes from all round.
    """
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=region.scale / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=region.scale / 8)
    toward = light[2] - dx * light[0] - dy * light[1]
    lit = np.maximum(toward, 0) / np.sqrt(1 + dx * dx + dy * dy) / light[2]
    return np.asarray(1 - rough + rough * lit, np.float32)
