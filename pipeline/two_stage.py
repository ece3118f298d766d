"""The fallback: stage 1 -> where it misses the face, heatmaps of what it did see -> stage 2.

A picture is decoded once, letterboxed once, and goes through the trunk once: heatmaps are made
from the features that stage 1 has just computed.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pipeline import boxes as box
from pipeline import heatmap_files, heatmaps, runs, shipped, yolo
from pipeline.detections import (
    FAINT,
    LEAST,
    NO_FACE,
    NOTHING_SEEN,
    PARTS_SEEN,
    SAME,
    Candidates,
    Detections,
    Heatmap,
    How,
    Parts,
)
from pipeline.detector import Detector
from pipeline.errors import UserError, check_shares
from pipeline.heatmap_files import Stack
from pipeline.images import Letterbox, Picture
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.shipped import Shipped
from pipeline.squares import Loaded
from pipeline.stage1 import Looked, Stage1, open_stage1
from pipeline.stage2 import Stage2, open_stage2
from pipeline.yolo import Found

SEEN = 0.25  # from which score on a part counts as seen, as in the thesis
NO_EVIDENCE = 0.01  # if no part's best score reaches it, there was nothing to draw


@dataclass(frozen=True, eq=False)
class TwoStage(Detector[tuple[Picture, Letterbox]]):
    """A detector: picture -> :class:`Detections`.

    >>> detector = TwoStage.load()
    >>> detector("frame.jpg").boxes
    >>> for frame, faces in detector.stream("ward.mp4"): ...
    """

    first: Stage1
    second: Stage2 | None  # none: no fallback
    conf: float  # from which on stage 1 is believed
    fallback_conf: float  # and stage 2
    iou: float = 0.0
    faces: int = 1  # so many are looked for: with fewer, stage 2 is asked
    keep: bool = False  # give what stage 2 was shown along
    always: bool = False  # ask stage 2 of every picture, though nobody need believe it

    @classmethod
    def load(
        cls,
        stage1: str = shipped.STAGE1,
        fallback: str = shipped.FALLBACK,
        *,
        device: str = "",
        half: bool = False,
        imgsz: int = 0,
        conf: float = 0.0,
        fallback_conf: float = 0.0,
        iou: float = 0.0,
        faces: int = 1,
        keep: bool = False,
        always: bool = False,
    ) -> "TwoStage":
        """Weights by name or file, ``fallback`` "none" for none; 0: what the weights say."""
        path = shipped.find(stage1)
        about = yolo.about(path)
        side = imgsz or about.get("imgsz", 640)
        first = open_stage1(path, device, side, half)
        second = None
        if fallback != "none":
            behind = shipped.find(fallback)
            second = open_stage2(behind, first.network.device)
            _check_pair(path, side, behind, second)
        check_shares(conf=conf, fallback_conf=fallback_conf, iou=iou)
        if faces < 1:
            raise UserError(f"--faces {faces}: expected 1 or more")
        # A pair works at two thresholds that were chosen together.
        believed = (second.first if second else None) or about.get("threshold", 0.25)
        told = second.threshold if second else 1.0
        thresholds = (conf or believed, fallback_conf or told)
        return cls(first, second, *thresholds, iou, faces, keep, always)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.first.network.device

    def ready(self, picture: Picture) -> tuple[Picture, Letterbox]:
        """A picture, letterboxed."""
        return self.first.load(picture)

    def batch(self, loaded: Loaded) -> list[Detections]:
        """Letterboxed pictures past both stages."""
        found: dict[int, Detections] = {}
        start = time.perf_counter()
        for looked in self.first.look(loaded):
            found |= zip(looked.numbers, self._both(looked, start), strict=True)
            start = time.perf_counter()
        return [found[number] for number in range(len(loaded))]

    def _both(self, looked: Looked, start: float) -> list[Detections]:
        """Pictures that stage 1 has looked at since ``start``, past what follows."""
        found = [
            self._found(one, letterbox)
            for one, letterbox in zip(
                self.first.boxes(looked, min(self.conf, LEAST), self.iou),
                looked.letterboxes,
                strict=True,
            )
        ]
        ms = {"stage 1": (time.perf_counter() - start) * 1000 / len(found)}
        found = [replace(one, ms=ms) for one in found]
        missed = [number for number, one in enumerate(found) if len(one) < self.faces]
        asked = list(range(len(found))) if self.always else missed
        if asked and self.second is not None:
            start = time.perf_counter()
            maps, stacks = self.first.heatmaps(looked.only(asked), [self.second.recipe])[0]
            drawn = time.perf_counter()
            boxes = [looked.squares[number] for number in asked]
            least = min(self.fallback_conf, LEAST)
            answers = self.second.boxes(list(stacks), boxes, least, self.iou)
            ended = time.perf_counter()
            ms = ms | {
                "heatmap": (drawn - start) * 1000 / len(asked),
                "stage 2": (ended - drawn) * 1000 / len(asked),
            }
            scores = heatmaps.score_facts(maps, self.first.names)
            for place, number in enumerate(asked):
                best = scores[place]["best"]
                shown = self._shown(stacks[place], boxes[place], scores[place])
                one = replace(found[number], best=best, ms=ms, heatmap=shown)
                one = replace(one, weak=len(scores[place]["weak"]) == len(self.first.names))
                found[number] = self._recovered(one, answers[place])
        elif missed:
            for number in missed:
                few = f"{len(found[number])} of {self.faces} faces"
                why = few if len(found[number]) else NO_FACE
                found[number] = replace(found[number], reason=why)
        return found

    def _found(self, found: Found, letterbox: Letterbox) -> Detections:
        """What stage 1 says of a picture."""
        whole = found.classes == WHOLE_FACE
        face, part = whole & (found.scores >= self.conf), ~whole & (found.scores >= SEEN)
        how: How = "found"
        names = tuple(PARTS[number] for number in found.classes[part])
        return Detections(
            found.boxes[face],
            found.scores[face],
            (how,) * int(face.sum()),
            (letterbox.width, letterbox.height),
            parts=Parts(found.boxes[part], found.scores[part], names),
            first=Candidates(found.boxes[whole], found.scores[whole]),
        )

    def _recovered(self, one: Detections, answer: Found) -> Detections:
        """What stage 2 adds: faces that stage 1 has not found, no more than are missing."""
        one = replace(one, second=Candidates(answer.boxes, answer.scores))
        other = box.iou(answer.boxes, one.boxes).max(axis=1, initial=0) < SAME
        new = np.flatnonzero(other & (answer.scores >= self.fallback_conf))
        new = new[: max(self.faces - len(one), 0)]
        how: How = "recovered"
        if len(one) + len(new) < self.faces:
            one = replace(one, reason=_reason(one, len(one) + len(new), self.faces))
        return replace(
            one,
            boxes=np.concatenate([one.boxes, answer.boxes[new]]),
            scores=np.concatenate([one.scores, answer.scores[new]]),
            how=one.how + (how,) * len(new),
        )

    def _shown(
        self, stack: Stack, letterbox: Letterbox, scores: Mapping[str, object]
    ) -> Heatmap | None:
        if not self.keep or self.second is None:
            return None
        facts = heatmap_files.facts_of(self.second.recipe, self.first.names, letterbox, **scores)
        return Heatmap(stack, facts)


def _reason(one: Detections, seen: int, wanted: int) -> str:
    """Why there are fewer faces than were looked for."""
    if seen:
        return f"{seen} of {wanted} faces"
    if one.parts.names:
        return PARTS_SEEN
    enough = max(one.best.values()) >= NO_EVIDENCE
    return FAINT if enough else NOTHING_SEEN


def _check_pair(path: Path, imgsz: int, behind: Path, second: Stage2) -> None:
    """Stage 2 knows the heatmaps of one stage 1 alone, at one size."""
    if second.stage1 != runs.sha256(path):
        fitting = [one.name for one in shipped.shelf() if _goes_behind(one, runs.sha256(path))]
        raise UserError(
            f"{behind}: trained on the heatmaps of another stage 1 than {path}; with that one go "
            f"--fallback {' or '.join([*fitting, 'none'])}"
        )
    if second.seen != imgsz:
        raise UserError(
            f"{behind}: trained on heatmaps made at imgsz {second.seen}; --imgsz {imgsz} needs "
            "another, or --fallback none"
        )


def _goes_behind(one: Shipped, sha256: str) -> bool:
    """Whether shipped weights are a stage 2 for a stage 1."""
    return bool(one.card.get("about", {}).get("stage1", {}).get("sha256") == sha256)
