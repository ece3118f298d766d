"""The two stages and the neonatal detector on every picture, and who of them found what."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline import boxes as box
from pipeline.detections import By, Detections, How
from pipeline.detector import Detector
from pipeline.images import Letterbox, Picture
from pipeline.neonatal.detector import NeonatalDetector
from pipeline.neonatal.trained import NMS
from pipeline.two_stage import TwoStage

_FOUND: How = "found"
_ALONE: By = "neonatal"
Loaded = tuple[tuple[Picture, Letterbox], tuple[Picture, Letterbox]]


@dataclass(frozen=True, eq=False)
class Partners(Detector[Loaded]):
    """Both look at every picture; a face that both find has a box between theirs.

    Neither waits for the other: stage 2 is asked where stage 1 is silent, whatever the neonatal
    detector has found, so that it can be told who would have found what alone.
    """

    stages: TwoStage
    neonatal: NeonatalDetector

    @property
    def device(self) -> torch.device:
        """Where they compute."""
        return self.stages.device

    def ready(self, picture: Picture) -> Loaded:
        """A picture as each of them wants it."""
        return self.stages.ready(picture), self.neonatal.ready(picture)

    def batch(self, loaded: list[Loaded]) -> list[Detections]:
        """Pictures past both."""
        one = self.stages.batch([each for each, _ in loaded])
        other = self.neonatal.batch([each for _, each in loaded])
        return [merged(*each, self.stages.faces) for each in zip(one, other, strict=True)]


def merged(one: Detections, other: Detections, wanted: int = 1) -> Detections:
    """The faces of the two stages and of the neonatal detector, each with who has found it.

    Two boxes that overlap are one face: the mean of the two, weighed by their scores, with the
    better score. A face that the neonatal detector alone has found is found in the picture.
    """
    overlap = box.iou(one.boxes, other.boxes)
    boxes, scores = one.boxes.copy(), one.scores.copy()
    by: list[By] = ["two-stage"] * len(one)
    alone = np.ones(len(other), bool)
    for mine, theirs in _matches(overlap):
        pair = np.array([one.scores[mine], other.scores[theirs]], np.float32)
        both = np.stack([one.boxes[mine], other.boxes[theirs]])
        boxes[mine] = np.average(both, axis=0, weights=np.maximum(pair, 1e-6))
        scores[mine], by[mine], alone[theirs] = pair.max(), "both", False
    count = int(alone.sum())
    kinds, who = (*one.how, *([_FOUND] * count)), (*by, *([_ALONE] * count))
    scores = np.concatenate([scores, other.scores[alone]])
    order = sorted(range(len(kinds)), key=lambda n: (kinds[n] != _FOUND, -float(scores[n])))
    return replace(
        one,
        boxes=np.concatenate([boxes, other.boxes[alone]])[order],
        scores=scores[order],
        how=tuple(kinds[n] for n in order),
        by=tuple(who[n] for n in order),
        reason="" if len(order) >= wanted else one.reason,
        partner=other.first,
        ms={**one.ms, **other.ms},
    )


def _matches(overlap: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of boxes that are one face, those that overlap most first; each box once.

    They are from the IoU on that the neonatal detector's own NMS begins with.
    """
    found, left = list[tuple[int, int]](), overlap.copy()
    while left.size and left.max() >= NMS:
        mine, theirs = np.unravel_index(int(left.argmax()), left.shape)
        found.append((int(mine), int(theirs)))
        left[mine, :] = left[:, theirs] = 0
    return found
