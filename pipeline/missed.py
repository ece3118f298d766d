"""Missed faces, and who finds them: the tables behind the question of the whole project.

A picture is *silent* for a detector that gives no box at or above its threshold, and
*missed* if there is a face in it. Another detector *answers* a silent picture with its best
box, if that is at or above its own threshold; the answer is *right* if the box overlaps a
true face enough, and wrong in a picture without a face. What was recovered is counted
against all missed pictures, not against those in which there was something to see.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import ENOUGH
from pipeline.judged import Judged

LOOSE = 0.3  # IoU, beside it


@dataclass(frozen=True)
class Tally:
    """How one detector does on what another has missed."""

    pictures: int  # with a face
    wrong: int  # of them, where the first has boxes, but none that is right
    missed: int
    answered: int  # of all silent pictures, also of those without a face
    right: int
    right_loosely: int  # at IoU 0.3


def silent(judged: Judged, name: str, conf: float) -> NDArray[np.bool_]:
    """The pictures (S,) in which a detector gives no box at or above a threshold."""
    return judged.said[name].surest < conf


def answered(judged: Judged, name: str, conf: float) -> NDArray[np.bool_]:
    """Those (S,) in which its best box is at or above it, and not on a face to be ignored."""
    said = judged.said[name]
    return np.asarray((said.surest >= conf) & np.isfinite(said.overlap) & np.isfinite(said.surest))


def recovers(judged: Judged, name: str, conf: float, enough: float = ENOUGH) -> NDArray[np.bool_]:
    """Those (S,) that it answers rightly."""
    return np.asarray(answered(judged, name, conf) & (judged.said[name].overlap >= enough))


def tally(judged: Judged, base: str, conf: float, other: str, other_conf: float) -> Tally:
    """How ``other`` does on the pictures in which ``base`` is silent."""
    quiet, faces = silent(judged, base, conf), judged.faces > 0
    found = detection(judged, base, conf).right > 0
    return Tally(
        int(faces.sum()),
        int((faces & ~quiet & ~found).sum()),
        int((faces & quiet).sum()),
        int((quiet & answered(judged, other, other_conf)).sum()),
        int((quiet & recovers(judged, other, other_conf)).sum()),
        int((quiet & recovers(judged, other, other_conf, LOOSE)).sum()),
    )


def threshold_for(
    judged: Judged, base: str, conf: float, other: str, precision: float = 0.9
) -> float:
    """The lowest threshold at which ``other`` keeps a precision where ``base`` is silent.

    Infinite if there is none, so that it answers nothing.
    """
    asked = silent(judged, base, conf) & answered(judged, other, -math.inf)
    said = judged.said[other]
    return lowest(said.surest[asked], said.overlap[asked] >= ENOUGH, precision)


def lowest(scores: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """The lowest score down to which the share of right ones is at least ``precision``."""
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores pass together
    enough = np.flatnonzero((shares >= precision) & last[: len(ranked)])
    return float(ranked[enough[-1]]) if len(enough) else math.inf


@dataclass(frozen=True, eq=False)
class Detection:
    """How a detector, or a pair of them, does: counts of each picture (S,)."""

    faces: NDArray[np.int64]
    boxes: NDArray[np.int64]
    right: NDArray[np.int64]  # boxes, each on a face of its own

    @property
    def recall(self) -> float:
        """Of the faces, the share that is found."""
        return float(self.right.sum() / self.faces.sum()) if self.faces.sum() else 0.0

    @property
    def precision(self) -> float:
        """Of the boxes, the share that is a face; 1 of none."""
        return float(self.right.sum() / self.boxes.sum()) if self.boxes.sum() else 1.0


def detection(
    judged: Judged, base: str, conf: float, other: str = "", other_conf: float = math.inf
) -> Detection:
    """All boxes of ``base``, and where it has none, the best one of ``other``."""
    said, count = judged.said[base], len(judged.scenes)
    sure = said.scores >= conf
    boxes = np.bincount(said.scene[sure], minlength=count)
    right = np.bincount(said.scene[sure & said.right[0]], minlength=count)
    if other:
        quiet = silent(judged, base, conf)
        boxes = boxes + (quiet & answered(judged, other, other_conf))
        right = right + (quiet & recovers(judged, other, other_conf))
    return Detection(judged.faces, boxes, right)
