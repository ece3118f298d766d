"""The fallback: stage 1 -> where it misses the face, heatmaps of what it did see -> stage 2.

A picture is decoded once, letterboxed once, and goes through the trunk once: heatmaps are made
from the features that stage 1 has just computed.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import boxes as box
from pipeline import heatmaps, images, media, runs, shipped, yolo
from pipeline.detections import Detections, Heatmap, Hold, How, Parts
from pipeline.errors import UserError
from pipeline.heatmaps import Stack
from pipeline.images import Letterbox, Picture
from pipeline.overlap import THREADS, ahead, read_ahead
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.stage1 import Loaded, Stage1, open_stage1
from pipeline.stage2 import Stage2, open_stage2
from pipeline.video import Frame, Wanted, everything
from pipeline.yolo import Found

SAME = 0.45  # IoU from which a box of stage 2 repeats a face that stage 1 has found
NO_EVIDENCE = 0.01  # if no part's best score reaches it, there was nothing to draw


@dataclass(frozen=True, eq=False)
class TwoStage:
    """A detector: picture -> :class:`Detections`.

    >>> detector = TwoStage.load()
    >>> detector("frame.jpg").boxes
    >>> for frame, faces in detector.stream("ward.mp4"): ...
    """

    first: Stage1
    second: Stage2 | None  # none: no fallback
    conf: float  # from which on stage 1 is believed
    fallback_conf: float  # and stage 2
    iou: float = yolo.NMS_IOU
    faces: int = 1  # so many are looked for: with fewer, stage 2 is asked
    keep: bool = False  # give what stage 2 was shown along

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
        iou: float = yolo.NMS_IOU,
        faces: int = 1,
        keep: bool = False,
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
        for name, value in (("conf", conf), ("fallback-conf", fallback_conf), ("iou", iou)):
            if not 0 <= value <= 1:
                raise UserError(f"--{name} {value:g}: expected a number between 0 and 1")
        if faces < 1:
            raise UserError(f"--faces {faces}: expected 1 or more")
        # A pair works at two thresholds that were chosen together.
        believed = (second.first if second else None) or about.get("threshold", 0.25)
        told = second.threshold if second else 1.0
        return cls(first, second, conf or believed, fallback_conf or told, iou, faces, keep)

    def __call__(self, image: Picture | str | Path) -> Detections:
        """A picture (H, W, 3) RGB uint8, or its file."""
        picture = images.read(Path(image)) if isinstance(image, str | Path) else image
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise UserError(
                f"a picture is RGB uint8 (H, W, 3), not {picture.dtype} {picture.shape}"
            )
        faces = self.batch([self.first.load(picture, rectangle=True)])[0]
        return replace(faces, picture=picture)

    def stream(
        self,
        source: str | Sequence[str],
        batch: int = 8,
        wanted: Wanted = everything,
        reconnect: float = 0.0,
        hold: float = 0.0,
    ) -> Iterator[tuple[Frame, Detections]]:
        """Every frame of pictures, videos, streams, in order; memory stays flat."""
        for given in media.inputs([source] if isinstance(source, str) else source):
            frames, holding = media.frames(given, wanted, reconnect), Hold(hold)
            for frame, faces in self.look(frames, 1 if given.live else batch):
                yield frame, holding.over(frame.seconds, faces)

    def look(
        self, frames: Iterator[Frame], batch: int, cut: int = 0
    ) -> Iterator[tuple[Frame, Detections]]:
        """Frames past both stages; while a batch is in the network, the next is made ready.

        After every ``cut`` frames a batch ends: who goes on from there has the same batches.
        """
        ready = ahead(self._prepared, read_ahead(frames, batch), THREADS, batch)
        for part in _alike(ready, batch, cut):
            loaded = [each for _, each in part if each is not None]
            found = iter(self.batch(loaded) if loaded else [])
            for frame, each in part:
                unread = Detections.empty(reason=frame.reason)
                yield frame, (unread if each is None else next(found))

    def batch(self, loaded: Loaded) -> list[Detections]:
        """Letterboxed pictures of one shape past both stages."""
        start = time.perf_counter()
        looked = self.first.look(loaded)
        found = [
            self._found(one, letterbox)
            for one, letterbox in zip(
                self.first.boxes(looked, self.conf, self.iou), looked.letterboxes, strict=True
            )
        ]
        ms = {"stage 1": (time.perf_counter() - start) * 1000 / len(found)}
        found = [replace(one, ms=ms) for one in found]
        missed = [number for number, one in enumerate(found) if len(one) < self.faces]
        if missed and self.second is not None:
            start = time.perf_counter()
            maps, stacks = self.first.heatmaps(looked.only(missed), [self.second.recipe])[0]
            drawn = time.perf_counter()
            boxes = [looked.letterboxes[number] for number in missed]
            answers = self.second.boxes(list(stacks), boxes, self.fallback_conf, self.iou)
            ended = time.perf_counter()
            ms = ms | {
                "heatmap": (drawn - start) * 1000 / len(missed),
                "stage 2": (ended - drawn) * 1000 / len(missed),
            }
            scores = heatmaps.score_facts(maps, self.first.names)
            for place, number in enumerate(missed):
                best = scores[place]["best"]
                shown = self._shown(stacks[place], boxes[place], scores[place])
                one = replace(found[number], best=best, ms=ms, heatmap=shown)
                one = replace(one, weak=len(scores[place]["weak"]) == len(self.first.names))
                found[number] = self._recovered(one, answers[place])
        elif missed:
            for number in missed:
                why = "no more faces" if len(found[number]) else "stage 1 gives no face"
                found[number] = replace(found[number], reason=why)
        return found

    def _prepared(self, frame: Frame) -> tuple[Frame, tuple[Picture, Letterbox] | None]:
        if frame.picture is None:
            return frame, None
        return frame, self.first.load(frame.picture, rectangle=True)

    def _found(self, found: Found, letterbox: Letterbox) -> Detections:
        """What stage 1 says of a picture."""
        face = found.classes == WHOLE_FACE
        how: How = "found"
        names = tuple(PARTS[number] for number in found.classes[~face])
        return Detections(
            found.boxes[face],
            found.scores[face],
            (how,) * int(face.sum()),
            (letterbox.width, letterbox.height),
            parts=Parts(found.boxes[~face], found.scores[~face], names),
        )

    def _recovered(self, one: Detections, answer: Found) -> Detections:
        """What stage 2 adds: faces that stage 1 has not found, no more than are missing."""
        new = np.flatnonzero(box.iou(answer.boxes, one.boxes).max(axis=1, initial=0) < SAME)
        new = new[: self.faces - len(one)]
        how: How = "recovered"
        if len(one) + len(new) < self.faces:
            one = replace(one, reason=_reason(one))
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
        facts = heatmaps.facts_of(self.second.recipe, self.first.names, letterbox, **scores)
        return Heatmap(stack, facts)


def _reason(one: Detections) -> str:
    """Why there are fewer faces than were looked for."""
    if len(one):
        return "no more faces"
    if max(one.best.values()) < NO_EVIDENCE:
        return "no evidence of any part"
    return "evidence, but no box" if one.weak else "parts seen, but no box"


def _alike(
    ready: Iterator[tuple[Frame, tuple[Picture, Letterbox] | None]], size: int, cut: int
) -> Iterator[list[tuple[Frame, tuple[Picture, Letterbox] | None]]]:
    """Frames in order, in parts of one shape; those without a picture go with any."""
    part: list[tuple[Frame, tuple[Picture, Letterbox] | None]] = []
    shape: tuple[int, ...] | None = None
    for number, (frame, loaded) in enumerate(ready):
        new = None if loaded is None else loaded[0].shape
        full = len(part) == size or (cut > 0 and number % cut == 0)
        if part and (full or (new is not None and shape not in {None, new})):
            yield part
            part, shape = [], None
        part.append((frame, loaded))
        shape = new or shape
    if part:
        yield part


def _check_pair(path: Path, imgsz: int, behind: Path, second: Stage2) -> None:
    """Stage 2 knows the heatmaps of one stage 1 alone, at one size."""
    if second.stage1 != runs.sha256(path):
        raise UserError(f"{behind}: trained on the heatmaps of another stage 1 than {path}")
    if second.seen != imgsz:
        raise UserError(
            f"{behind}: trained on heatmaps made at imgsz {second.seen}; --imgsz {imgsz} needs "
            "another, or --fallback none"
        )
