"""Turned and mirrored pictures, with every face turned along exactly.

A box around a turned box is too large; a box around turned landmarks is exact. So faces
with landmarks can be turned by any angle, and faces that are only a box by multiples of
90 degrees. Mirroring is exact for both, and exchanges the subject's left and right.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.annotations import Face, PartBox
from pipeline.boxes import Boxes
from pipeline.images import Picture, warp
from pipeline.parts import MIRRORED_PARTS, SCHEMES, Points, mirror_points

_MARGIN = 0.04  # of the face: the room left between it and the border after turning


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is known to be in it."""

    picture: Picture
    faces: tuple[Face, ...]
    parts: tuple[PartBox, ...] = ()

    @property
    def any_angle(self) -> bool:
        """Whether everything in it is known by landmarks."""
        return not self.parts and all(face.points is not None for face in self.faces)


def mirror(scene: Scene) -> Scene:
    """The scene as a mirror shows it."""
    width = scene.picture.shape[1]
    return Scene(
        np.ascontiguousarray(scene.picture[:, ::-1]),
        tuple(_mirror_face(face, width) for face in scene.faces),
        tuple(
            PartBox(MIRRORED_PARTS[part.part], _mirror_box(part.box, width)) for part in scene.parts
        ),
    )


def turn(scene: Scene, degrees: float) -> Scene:
    """The scene turned clockwise about its middle, in a picture of the same size.

    The faces stay whole where they were whole: the turned picture is moved, and shrunk if
    it must be, until they fit. What the turn would leave black is filled with the blurred
    surroundings, so that no wedge tells the angle.
    """
    if not scene.any_angle and degrees % 90:
        raise ValueError("a box without landmarks can only be turned by multiples of 90 degrees")
    height, width = scene.picture.shape[:2]
    matrix = _matrix(scene, degrees, width, height)
    return Scene(
        _warp(scene.picture, matrix),
        tuple(_turn_face(face, matrix) for face in scene.faces),
        tuple(replace(part, box=_turn_box(part.box, matrix)) for part in scene.parts),
    )


def _mirror_face(face: Face, width: int) -> Face:
    box_ = None if face.box is None else _mirror_box(face.box, width)
    if face.points is None or face.scheme is None:
        return replace(face, box=box_)
    scheme = SCHEMES[face.scheme]
    seen = None if face.visibility is None else face.visibility[list(scheme.mirror)]
    points = mirror_points(face.points, scheme, width)
    return replace(face, box=box_, points=points, visibility=seen)


def _mirror_box(boxes: Boxes, width: int) -> Boxes:
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = width - boxes[:, [2, 0]]
    return mirrored


def _matrix(scene: Scene, degrees: float, width: int, height: int) -> NDArray[np.float64]:
    """The 2x3 matrix from old to new pixel places that keeps the faces in the picture."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([width, height]) / 2
    found = [_corners(face, width, height) for face in scene.faces if not face.ignore]
    corners = np.concatenate(
        [np.zeros((0, 2)), *found, *(_box_corners(part.box) for part in scene.parts)]
    )
    if len(corners) == 0:
        return np.hstack([rotation, (centre - rotation @ centre)[:, None]])
    turned = (corners - centre) @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    room = _MARGIN * (high - low)
    low, high = low - room, high + room
    scale = min(1.0, *(np.array([width, height]) / np.maximum(high - low, 1)))
    low, high = low * scale, high * scale
    shift = np.clip(0, -centre - low, centre - high)  # how far the faces stick out
    linear = rotation * scale
    return np.hstack([linear, (centre + shift - linear @ centre)[:, None]])


def _corners(face: Face, width: int, height: int) -> NDArray[np.float64]:
    """Points that must stay in the picture; what was outside before may stay outside."""
    if face.points is None:
        assert face.box is not None
        corners = _box_corners(face.box)
    else:
        corners = face.points[~np.isnan(face.points).any(axis=1)].astype(np.float64)
    return np.clip(corners, 0, [width, height])


def _box_corners(boxes: Boxes) -> NDArray[np.float64]:
    x1, y1, x2, y2 = boxes[0].astype(np.float64)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _turn_face(face: Face, matrix: NDArray[np.float64]) -> Face:
    if face.points is None:
        assert face.box is not None
        return replace(face, box=_turn_box(face.box, matrix))
    # A box beside landmarks came from the format; turned, only the landmarks stay exact.
    return replace(face, box=None, points=_move(face.points, matrix))


def _turn_box(boxes: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    """Exact only for multiples of 90 degrees, which is all that ``turn`` lets through."""
    return box.around(_move(_box_corners(boxes), matrix))


def _move(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> Points:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _warp(picture: Picture, matrix: NDArray[np.float64]) -> Picture:
    """The picture moved by the matrix; the empty corners filled with blurred surroundings."""
    height, width = picture.shape[:2]
    # OpenCV counts from the middle of the first pixel, boxes and landmarks from its corner.
    pixels = matrix.copy()
    pixels[:, 2] += matrix[:, :2] @ [0.5, 0.5] - [0.5, 0.5]
    size = (width, height)
    turned = warp(picture, pixels, size, cv2.BORDER_REFLECT_101)
    inside = warp(np.full((height, width), 255, np.uint8), pixels, size)
    return turned if inside.min() == 255 else _fill(turned, inside)


def _fill(turned: Picture, inside: NDArray[np.uint8]) -> Picture:
    """Blur what the reflection put outside: it must not show a second face, nor a hard edge."""
    side = max(turned.shape[:2])
    sigma = side / 24
    small = max(1, int(sigma / 2))  # blur a small copy: same result, a tenth of the time
    size = (max(2, turned.shape[1] // small), max(2, turned.shape[0] // small))
    soft = cv2.GaussianBlur(cv2.resize(turned, size, interpolation=cv2.INTER_AREA), (0, 0), 2)
    soft = cv2.resize(soft, turned.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    feather = max(3, side // 40)
    weight = cv2.erode(inside, np.ones((feather, feather), np.uint8))
    weight = cv2.GaussianBlur(weight, (0, 0), feather / 2).astype(np.float32)[..., None] / 255
    weight = np.minimum(weight, inside[..., None] / 255)
    grain = _grain(turned)
    filled = turned * weight + (soft + grain) * (1 - weight)
    return np.clip(filled + 0.5, 0, 255).astype(np.uint8)


def _grain(picture: Picture) -> NDArray[np.float32]:
    """The picture's own finest texture, so that the fill is as noisy as the rest."""
    fine = picture.astype(np.float32) - cv2.GaussianBlur(picture, (0, 0), 1.0)
    noise = 3 * float(np.median(np.abs(fine)))  # edges are rare, so the median is the noise's
    return np.clip(np.roll(fine, (37, 53), axis=(0, 1)), -noise, noise)


def draw_angle(rng: np.random.Generator, limit: float, *, any_angle: bool) -> float | None:
    """An angle of at most ``limit`` degrees either way; None where none is exact.

    What is only a box may be turned by quarters alone, half a turn counting once.
    """
    if any_angle:
        return float(rng.uniform(-limit, limit))
    quarters = [angle for angle in (-90.0, 90.0, 180.0) if abs(angle) <= limit]
    return float(rng.choice(quarters)) if quarters else None
