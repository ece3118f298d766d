"""Box arithmetic on arrays of boxes.

A box is float32 ``x1, y1, x2, y2`` in pixels of the original picture; any other form
carries its name (``cxcywh`` is centre and size, as a share of the picture where a label
file is meant). Functions take (N, 4) for N = 0, 1 or many, if they say nothing else, and return new
arrays.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]  # (N, 4) x1, y1, x2, y2

ENOUGH = 0.5  # IoU with a face from which a box of it is right


def as_boxes(values: object) -> Boxes:
    """Anything that holds four numbers a row, as a float32 array of shape (N, 4)."""
    return np.asarray(values, dtype=np.float32).reshape(-1, 4)


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas (..., of boxes in any shape); one turned inside out has none."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """Boxes cut at the borders of a picture of this size."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def intersect(boxes: Boxes, other: Boxes) -> Boxes:
    """The common part of each box with ``other`` (any shapes that broadcast); may be inside out."""
    low = np.maximum(boxes[..., :2], other[..., :2])
    return np.concatenate([low, np.minimum(boxes[..., 2:], other[..., 2:])], axis=-1)


def at_least(boxes: Boxes, side: float) -> NDArray[np.bool_]:
    """Which boxes (N,) are at least ``side`` pixels wide and high."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= side).all(axis=1))


def iou(boxes: Boxes, others: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every box with every other: (N, M)."""
    return _iou(boxes[:, None], others[None])


def overlapping(
    groups: Sequence[Sequence[object]], opposite: Sequence[Sequence[object]], least: float
) -> Iterator[tuple[int, int, int, float]]:
    """Which boxes of many small groups overlap by ``least`` with boxes of the group opposite.

    Group, box, other and IoU of each such pair: thousands of groups cost little more than one.
    """
    counts, against = (np.array([len(each) for each in side], int) for side in (groups, opposite))
    boxes, others = (as_boxes(list(chain.from_iterable(side))) for side in (groups, opposite))
    meets = np.repeat(against, counts)  # so many others each box is held against
    box = np.repeat(np.arange(len(boxes)), meets)
    other = np.arange(len(box)) - np.repeat(_begins(meets), meets)
    group = np.repeat(np.repeat(np.arange(len(counts)), counts), meets)
    overlap = _iou(boxes[box], others[_begins(against)[group] + other])
    near = overlap >= least
    group, box, other, overlap = group[near], box[near], other[near], overlap[near]
    box -= _begins(counts)[group]
    return zip(group.tolist(), box.tolist(), other.tolist(), overlap.tolist(), strict=True)


def from_xywh(boxes_xywh: Boxes) -> Boxes:
    """Left, top, width, height -> corners."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def to_cxcywh_share(boxes: Boxes, width: float, height: float) -> NDArray[np.float64]:
    """Corners in pixels -> centre and size as shares of the picture, as label files want it."""
    scale = np.array([width, height], np.float64)
    low, high = boxes[:, :2] / scale, boxes[:, 2:] / scale
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def from_cxcywh_share(
    boxes_cxcywh: NDArray[np.float64] | Boxes, width: float, height: float
) -> Boxes:
    """Inverse of :func:`to_cxcywh_share`."""
    scale = np.array([width, height], np.float64)
    centre, half = boxes_cxcywh[:, :2] * scale, boxes_cxcywh[:, 2:] * scale / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def from_ellipses(ellipses: NDArray[np.float64]) -> Boxes:
    """The tightest boxes around ellipses (N, 5): major and minor radius, angle in radians, cx, cy.

    The extent of a turned ellipse along x is sqrt((a cos t)^2 + (b sin t)^2), and
    likewise along y with sine and cosine exchanged.
    """
    ellipses = np.asarray(ellipses, np.float64).reshape(-1, 5)
    a, b, angle, cx, cy = ellipses.T
    half_w = np.hypot(a * np.cos(angle), b * np.sin(angle))
    half_h = np.hypot(a * np.sin(angle), b * np.cos(angle))
    corners = np.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], axis=1)
    return corners.astype(np.float32)


def to_ellipses(boxes: Boxes) -> NDArray[np.float64]:
    """Upright ellipses (N, 5) that touch the four sides of each box, major radius first."""
    half = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64) / 2
    centre = (boxes[:, 2:] + boxes[:, :2]).astype(np.float64) / 2
    tall = half[:, 1] >= half[:, 0]
    angle = np.where(tall, np.pi / 2, 0.0)
    major, minor = half.max(axis=1), half.min(axis=1)
    return np.stack([major, minor, angle, centre[:, 0], centre[:, 1]], axis=1)


def around(points: NDArray[np.floating]) -> Boxes:
    """The box (1, 4) around points (P, 2); points without a place (NaN) do not count.

    No placed point at all gives no box: shape (0, 4).
    """
    placed = points[~np.isnan(points).any(axis=1)]
    if len(placed) == 0:
        return as_boxes([])
    return as_boxes(np.concatenate([placed.min(axis=0), placed.max(axis=0)]))


def _iou(boxes: Boxes, others: Boxes) -> NDArray[np.float32]:
    common = area(intersect(boxes, others))
    union = area(boxes) + area(others) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _begins(counts: NDArray[np.int_]) -> NDArray[np.int_]:
    """Where each group begins in a row of them all."""
    return np.cumsum(counts) - counts
