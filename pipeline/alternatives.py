"""The cheap ways to a face that stage 1 did not give: what a second stage must beat.

- From the parts that were seen: each knows about where it lies in a face, and how large it is
  there, so that a face can be fitted to them (weighted least squares, an axis at a time). Upright
  faces alone: the places are those of training labels, which are.
- From the heatmap without a second network: its largest bright region.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.dataset import Dataset
from pipeline.errors import UserError
from pipeline.heatmap_files import Stack
from pipeline.images import Letterbox
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.yolo import Found

BRIGHT = 0.5  # of the brightest value: what is as bright belongs to a region
FEWEST = 20  # faces that show a part, or nothing is assumed of it
_FIRMEST = 0.01  # of the face: nothing is known better than this
_NOTHING = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class FaceFromParts:
    """Where each part lies in a face: mean and spread of centre and size, as shares of it."""

    centre: NDArray[np.float64]  # (K, 2) of x and y; nan for parts nobody knows
    size: NDArray[np.float64]  # (K, 2)
    centre_spread: NDArray[np.float64]  # (K, 2)
    size_spread: NDArray[np.float64]  # (K, 2)

    def box(self, found: Found) -> Found:
        """The face that fits the best box of each part (N,) best; none without a part."""
        rows = list(_best_of_each(found, self.centre))
        if not rows:
            return _NOTHING
        chosen = np.array(rows)
        parts, weights = found.classes[chosen], found.scores[chosen].astype(np.float64)
        boxes = found.boxes[chosen].astype(np.float64)
        middle, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]  # (P, 2)
        face = np.zeros(4)
        for axis in (0, 1):
            # centre = begin + share * length, and size = share * length; of begin and length.
            places = np.column_stack([np.ones(len(parts)), self.centre[parts, axis]])
            sizes = np.column_stack([np.zeros(len(parts)), self.size[parts, axis]])
            firm = np.concatenate([self.centre_spread[parts, axis], self.size_spread[parts, axis]])
            trust = np.sqrt(np.tile(weights, 2)) / firm
            known = np.concatenate([middle[:, axis], extent[:, axis]])
            both = np.concatenate([places, sizes])
            begin, length = np.linalg.lstsq(both * trust[:, None], known * trust, rcond=None)[0]
            face[axis], face[axis + 2] = begin, begin + max(length, 1e-3)
        score = weights.sum() / (len(PARTS) - 1)
        return _one(face[None].astype(np.float32), score)


def fit(labels: Iterator[tuple[Boxes, NDArray[np.int64]]]) -> FaceFromParts:
    """From the boxes and classes of training pictures with one face each."""
    shares: list[list[NDArray[np.float64]]] = [[] for _ in PARTS]  # of each part: (4,)
    for boxes, classes in labels:
        faces = boxes[classes == WHOLE_FACE].astype(np.float64)
        if len(faces) != 1:
            continue
        corner, span = faces[0, :2], faces[0, 2:] - faces[0, :2]
        for part, one in zip(classes.tolist(), boxes.astype(np.float64), strict=True):
            centre, size = ((one[:2] + one[2:]) / 2 - corner) / span, (one[2:] - one[:2]) / span
            shares[part].append(np.concatenate([centre, size]))
    del shares[WHOLE_FACE][:]  # it is no part of itself
    if max(map(len, shares)) < FEWEST:
        raise UserError("too few faces with parts in train to learn where parts lie in a face")
    nothing = np.full(4, np.nan)
    enough = [np.array(each) if len(each) >= FEWEST else None for each in shares]
    mean = np.array([nothing if each is None else each.mean(axis=0) for each in enough])
    spread = np.array([nothing if each is None else each.std(axis=0) for each in enough])
    spread = np.maximum(spread, _FIRMEST)
    return FaceFromParts(mean[:, :2], mean[:, 2:], spread[:, :2], spread[:, 2:])


def bright_region(stack: Stack, letterbox: Letterbox) -> Found:
    """The largest region of a heatmap (C, S, S) that is bright, in pixels of the picture."""
    flat = stack.mean(axis=0)
    if flat.max() <= 0:
        return _NOTHING
    bright = (flat >= BRIGHT * flat.max()).astype(np.uint8)
    _, regions, facts, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    x, y, width, height = facts[largest, :4].tolist()
    cell = letterbox.out_width / flat.shape[1]
    square = np.array([[x, y, x + width, y + height]], np.float32) * np.float32(cell)
    score = float(flat[regions == largest].mean()) / 255
    return _one(letterbox.undo(square), score)


def _best_of_each(found: Found, known: NDArray[np.float64]) -> Iterator[int]:
    """The number of the best box of each part that was seen, and of whose place is known."""
    seen = {WHOLE_FACE}
    for number in np.argsort(-found.scores, kind="stable").tolist():
        part = int(found.classes[number])
        if part not in seen and np.isfinite(known[part]).all():
            seen.add(part)
            yield number


def _one(box: Boxes, score: float) -> Found:
    return Found(box, np.array([score], np.float32), np.zeros(1, np.int64))


def learned(data: Dataset) -> FaceFromParts | None:
    """Where parts lie in a face, learned from training labels of upright faces, if there are."""
    if data.names != list(PARTS):
        return None
    labels = (data.labels(row) for row in data.rows("train") if not row["turned"])
    try:
        return fit(labels)
    except UserError as error:
        print(f"{data.root}: {error}; no faces are fitted to parts", file=sys.stderr)
        return None
