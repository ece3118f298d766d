"""The ten facial parts, the landmark schemes, and the way from landmarks to boxes.

**Left and right are the subject's own**, as in the thesis and in the protocols its data
follow (iBUG: points 0-7 run down the subject's right cheek). On an upright face that is
not mirrored, the *right* face and eye therefore lie on the **left** half of the picture.

The cheek parts are cut in the frame of the face, not of the picture: a point of the jaw
that lies further in than the tip of the mouth is slid along the line of the eyes back to
that tip, one above the middle of the ear is slid down to it. On an upright face this is
the thesis's wording to the letter (mid-ear to below the chin, outermost cheek point to
the tip of the mouth), and on a turned face it stays the same part of the face, which a
rule in picture axes would not.

Points without a place (NaN: self-occluded) are left out. Points that something else
hides count with their place. A part that has fewer than half of its points has no box.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.boxes import Boxes

PARTS = (
    "eyes",
    "nose",
    "whole face",
    "right face",
    "left face",
    "brows",
    "left eye face",
    "right eye face",
    "eyes nose",
    "mouth",
)
WHOLE_FACE = PARTS.index("whole face")

# A mirrored picture shows the subject's other side: what class becomes which.
MIRRORED_PARTS = tuple(
    PARTS.index(
        name.replace("left", "?").replace("right", "left").replace("?", "right"),
    )
    for name in PARTS
)

Points = NDArray[np.float32]  # (P, 2) x, y; NaN where a point has no place


@dataclass(frozen=True)
class Scheme:
    """A landmark scheme as a table of point numbers, counted from 0.

    To add a scheme, add one of these to :data:`SCHEMES`; no code changes.
    """

    name: str
    count: int  # how many points a face has
    right_jaw: tuple[int, ...]  # down the right cheek, chin included
    left_jaw: tuple[int, ...]
    ears: tuple[int, int]  # the right and left jaw points at the middle of the ear
    tips: tuple[int, int]  # right and left tip of the mouth
    brows: tuple[int, ...]
    right_eye: tuple[int, ...]
    left_eye: tuple[int, ...]
    nose: tuple[int, ...]
    mouth: tuple[int, ...]
    mirror: tuple[int, ...]  # mirror[i]: the point that i becomes in a mirrored picture


def _run(first: int, last: int) -> tuple[int, ...]:
    """Point numbers from first to last, both included, in either direction."""
    step = 1 if last >= first else -1
    return tuple(range(first, last + step, step))


def _mirror(count: int, *runs: tuple[int, int, int, int]) -> tuple[int, ...]:
    """A mirror table from pairs of runs (a1..a2 <-> b1..b2); all other points stay."""
    table = list(range(count))
    for a1, a2, b1, b2 in runs:
        for a, b in zip(_run(a1, a2), _run(b1, b2), strict=True):
            table[a], table[b] = b, a
    return tuple(table)


IBUG68 = Scheme(
    name="ibug68",
    count=68,
    right_jaw=_run(0, 8),
    left_jaw=_run(16, 8),
    ears=(1, 15),
    tips=(48, 54),
    brows=_run(17, 26),
    right_eye=_run(36, 41),
    left_eye=_run(42, 47),
    nose=_run(27, 35),
    mouth=_run(48, 67),
    mirror=_mirror(
        68,
        *[(0, 7, 16, 9), (17, 21, 26, 22), (31, 32, 35, 34)],
        *[(36, 39, 45, 42), (40, 41, 47, 46)],
        *[(48, 50, 54, 52), (55, 56, 59, 58), (60, 61, 64, 63), (65, 65, 67, 67)],
    ),
)

WFLW98 = Scheme(
    name="wflw98",
    count=98,
    right_jaw=_run(0, 16),
    left_jaw=_run(32, 16),
    ears=(2, 30),
    tips=(76, 82),
    brows=_run(33, 50),
    right_eye=(*_run(60, 67), 96),
    left_eye=(*_run(68, 75), 97),
    nose=_run(51, 59),
    mouth=_run(76, 95),
    mirror=_mirror(
        98,
        *[(0, 15, 32, 17), (33, 37, 46, 42), (38, 41, 50, 47), (55, 56, 59, 58)],
        *[(60, 64, 72, 68), (65, 67, 75, 73), (96, 96, 97, 97)],
        *[(76, 78, 82, 80), (83, 84, 87, 86), (88, 89, 92, 91), (93, 93, 95, 95)],
    ),
)

FGNET68 = Scheme(
    name="fgnet68",
    count=68,
    right_jaw=_run(0, 7),
    left_jaw=_run(14, 7),
    ears=(0, 14),
    tips=(48, 54),
    brows=_run(15, 26),
    right_eye=_run(27, 31),
    left_eye=_run(32, 36),
    nose=(*_run(37, 47), 67),
    mouth=_run(48, 66),
    mirror=_mirror(
        68,
        *[(0, 6, 14, 8), (15, 20, 21, 26), (27, 31, 32, 36), (37, 40, 45, 42)],
        *[(46, 46, 47, 47), (48, 50, 54, 52), (55, 56, 59, 58)],
        *[(60, 60, 62, 62), (63, 63, 65, 65)],
    ),
)

SCHEMES = {scheme.name: scheme for scheme in (IBUG68, WFLW98, FGNET68)}


def face_axes(points: Points, scheme: Scheme) -> NDArray[np.float64]:
    """The face's own axes (2, 2): row 0 from its right to its left side, row 1 downwards.

    Taken from the line of the eyes, or of the mouth where an eye has no place; picture
    axes where neither is known.
    """
    pairs = [(scheme.right_eye, scheme.left_eye), ((scheme.tips[0],), (scheme.tips[1],))]
    for right, left in pairs:
        sides = [points[list(numbers)] for numbers in (right, left)]
        if all(_enough(side) for side in sides):
            ends = [np.nanmean(side, axis=0) for side in sides]
            x, y = (float(value) for value in ends[1] - ends[0])
            length = math.hypot(x, y)
            if length > 0:
                return np.array([[x, y], [-y, x]]) / length
    return np.eye(2)


def part_boxes(points: Points, scheme: Scheme) -> tuple[Boxes, NDArray[np.int64]]:
    """Boxes (M, 4) and class ids (M,) of the parts that these points (P, 2) place.

    In the order of the parts; ``eyes`` may come twice. Every box lies inside the whole
    face, without which there is none.
    """
    whole = box.around(points)
    if len(whole) == 0 or not _enough(points, share=0.25):
        return box.as_boxes([]), np.zeros(0, np.int64)
    right_eye, left_eye = list(scheme.right_eye), list(scheme.left_eye)
    nose, mouth, brows = list(scheme.nose), list(scheme.mouth), list(scheme.brows)
    right, left = _cheek(points, scheme, side=0), _cheek(points, scheme, side=1)
    pieces: dict[str, list[list[NDArray[np.float32]]]] = {  # part -> boxes -> point groups
        "eyes": [[points[right_eye]], [points[left_eye]]],
        "nose": [[points[nose]]],
        "right face": [[right]],
        "left face": [[left]],
        "brows": [[points[brows]]],
        "left eye face": [[points[left_eye], left]],
        "right eye face": [[points[right_eye], right]],
        "eyes nose": [[points[right_eye], points[left_eye], points[nose]]],
        "mouth": [[points[mouth]]],
    }
    found: list[Boxes] = []
    classes: list[int] = []
    for number, name in enumerate(PARTS):
        if number == WHOLE_FACE:
            found.append(whole)
            classes.append(number)
        for groups in pieces.get(name, []):
            if all(_enough(group) for group in groups):
                found.append(box.intersect(box.around(np.concatenate(groups)), whole))
                classes.append(number)
    return np.concatenate(found), np.array(classes, np.int64)


def mirror_points(points: Points, scheme: Scheme, width: float) -> Points:
    """Points (P, 2) as they lie in the mirrored picture, in the scheme's own order."""
    mirrored = points[list(scheme.mirror)].copy()
    mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored


def part_number(name: str) -> int | None:
    """The id of a part by name, however it is written (``Whole_Face``, ``left-eye-face``)."""
    plain = plain_name(name)
    return PARTS.index(plain) if plain in PARTS else None


def plain_name(name: str) -> str:
    """A class name without its capitals, underscores, dashes and surplus blanks."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _enough(points: Points, share: float = 0.5) -> bool:
    """Whether at least this share of the points has a place."""
    placed = ~np.isnan(points).any(axis=1)
    return len(points) > 0 and bool(placed.mean() >= share)


def _cheek(points: Points, scheme: Scheme, side: int) -> NDArray[np.float32]:
    """The points of one cheek, cut at the tip of the mouth and at the middle of the ear.

    Empty where the tip of the mouth has no place: then nothing says where the part ends.
    """
    tip = points[scheme.tips[side]].astype(np.float64)
    jaw = points[list(scheme.right_jaw if side == 0 else scheme.left_jaw)].astype(np.float64)
    if np.isnan(tip).any():
        return np.zeros((0, 2), np.float32)
    axes = face_axes(points, scheme)
    if side == 1:
        axes[0] *= -1  # row 0 now points from the cheek of this side inwards
    local = (jaw - tip) @ axes.T  # (J, 2) inwards of the tip, below the tip
    ear = (points[scheme.ears[side]] - tip) @ axes[1]
    local[:, 0] = np.minimum(local[:, 0], 0)
    if not np.isnan(ear):
        local[:, 1] = np.maximum(local[:, 1], ear)
    return np.concatenate([local @ axes + tip, tip[None]]).astype(np.float32)
