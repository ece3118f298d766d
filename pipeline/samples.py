"""The faces on the photographs that Ultralytics ships, with landmarks that we ship."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import images, yolo
from pipeline.annotations import pts
from pipeline.images import Picture
from pipeline.parts import IBUG68, Points

_WINDOW = 2.6  # face sizes: the cut-out around each face
_LANDMARKS = Path(__file__).parent / "bundled"


def faces() -> Iterator[tuple[Picture, Points]]:
    """Each bundled face with its surroundings, and its 68 landmarks; those without a place NaN."""
    photographs = {path.stem: images.read(path) for path in yolo.sample_photographs()}
    for path in sorted(_LANDMARKS.glob("*.pts")):
        raw = pts.read_points(path, IBUG68.count)
        points = np.where((raw == -1).all(axis=1, keepdims=True), np.nan, np.abs(raw))
        photograph = photographs[path.stem.rsplit("_", 1)[0]]
        window, corner = _window(photograph, points)
        yield window, points - corner


def _window(photograph: Picture, points: Points) -> tuple[Picture, Points]:
    """The part of a photograph around a face, and its upper left corner."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    half = (high - low).max() * _WINDOW / 2
    size = np.array(photograph.shape[1::-1])
    x1, y1 = np.clip((low + high) / 2 - half, 0, size).astype(int)
    x2, y2 = np.clip((low + high) / 2 + half, 0, size).astype(int)
    return photograph[y1:y2, x1:x2].copy(), np.array([x1, y1], np.float32)
