"""Missed faces, and who finds them: the tables behind the question of the whole project.

A picture is *silent* for a detector that gives no box at or above its threshold, and
*missed* if there is a face in it. Another detector *answers* a silent picture with its best
box, if that is at or above its own threshold; the answer is *right* if the box overlaps a
true face enough, and wrong in a picture without a face. What was recovered is counted
against all missed pictures, not against those in which there was something to see.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.predictions import Answer, Scene

ENOUGH = 0.5  # IoU


@dataclass(frozen=True)
class Tally:
    """How one detector does on what another has missed."""

    pictures: int  # with a face
    wrong: int  # of them, where the first has boxes, but none that is right
    missed: int
    answered: int  # of all silent pictures, also of those without a face
    right: int
    right_loosely: int  # at IoU 0.3

    @property
    def recovered(self) -> float:
        """Of all missed pictures, the share that is answered rightly."""
        return self.right / self.missed if self.missed else 0.0

    @property
    def precision(self) -> float:
        """Of all answers, the share that is right; 1 of none."""
        return self.right / self.answered if self.answered else 1.0


def best_of(answer: Answer) -> float:
    """The score of the best box, 0 if there is none."""
    return float(answer.scores.max()) if len(answer.scores) else 0.0


def is_silent(scene: Scene, name: str, conf: float) -> bool:
    """Whether a detector gives no box at or above a threshold."""
    return not bool((scene.answers[name].scores >= conf).any())


def overlap(scene: Scene, name: str) -> float:
    """How well the best box of a detector fits a true face (IoU)."""
    answer = scene.answers[name]
    if not len(answer.scores) or not len(scene.truth):
        return 0.0
    top = answer.boxes[int(np.argmax(answer.scores))][None]
    return float(box.iou(top, scene.truth).max())


def tally(scenes: Sequence[Scene], base: str, conf: float, other: str, other_conf: float) -> Tally:
    """How ``other`` does on the pictures in which ``base`` is silent."""
    faces = [scene for scene in scenes if len(scene.truth)]
    silent = [scene for scene in scenes if is_silent(scene, base, conf)]
    answered = [scene for scene in silent if best_of(scene.answers[other]) >= other_conf]
    overlaps = np.array([overlap(scene, other) for scene in answered])
    found = [matches(_confident(scene, base, conf), scene.truth).any() for scene in faces]
    return Tally(
        len(faces),
        sum(not n and not is_silent(s, base, conf) for n, s in zip(found, faces, strict=True)),
        sum(len(scene.truth) > 0 for scene in silent),
        len(answered),
        int((overlaps >= ENOUGH).sum()),
        int((overlaps >= 0.3).sum()),
    )


def threshold_for(
    scenes: Sequence[Scene], base: str, conf: float, other: str, precision: float = 0.9
) -> float:
    """The lowest threshold at which ``other`` keeps a precision where ``base`` is silent.

    Infinite if there is none, so that it answers nothing.
    """
    silent = [scene for scene in scenes if is_silent(scene, base, conf)]
    scores = np.array([best_of(scene.answers[other]) for scene in silent])
    right = np.array([overlap(scene, other) >= ENOUGH for scene in silent])
    return lowest(scores, right, precision)


def lowest(scores: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """The lowest score down to which the share of right ones is at least ``precision``."""
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores pass together
    enough = np.flatnonzero((shares >= precision) & (ranked > 0) & last[: len(ranked)])
    return float(ranked[enough[-1]]) if len(enough) else math.inf


@dataclass(frozen=True)
class Detection:
    """How a detector, or a pair of them, does on all pictures."""

    faces: int
    boxes: int
    right: int  # boxes, each on a face of its own

    @property
    def recall(self) -> float:
        """Of the faces, the share that is found."""
        return self.right / self.faces if self.faces else 0.0

    @property
    def precision(self) -> float:
        """Of the boxes, the share that is a face; 1 of none."""
        return self.right / self.boxes if self.boxes else 1.0


def detection(
    scenes: Sequence[Scene], base: str, conf: float, other: str = "", other_conf: float = math.inf
) -> Detection:
    """All boxes of ``base``, and where it has none, the best one of ``other``."""
    faces = given = right = 0
    for scene in scenes:
        boxes = _confident(scene, base, conf)
        if not len(boxes) and other and best_of(scene.answers[other]) >= other_conf:
            second = scene.answers[other]
            boxes = second.boxes[int(np.argmax(second.scores))][None]
        faces, given = faces + len(scene.truth), given + len(boxes)
        right += int(matches(boxes, scene.truth).sum())
    return Detection(faces, given, right)


def _confident(scene: Scene, name: str, conf: float) -> box.Boxes:
    answer = scene.answers[name]
    return answer.boxes[answer.scores >= conf]


def matches(boxes: box.Boxes, truth: box.Boxes, enough: float = ENOUGH) -> NDArray[np.bool_]:
    """Which boxes, best first, find a face that none before has found."""
    free, right = np.ones(len(truth), bool), np.zeros(len(boxes), bool)
    for number, row in enumerate(box.iou(boxes, truth)):
        fits = np.where(free, row, 0)
        if len(fits) and fits.max() >= enough:
            free[int(np.argmax(fits))], right[number] = False, True
    return right
