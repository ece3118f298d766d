"""A run as the page wants it, whichever command made it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from pipeline.boxes import ENOUGH, as_boxes, iou
from pipeline.detections import OUTCOMES, SAME, How, Outcome, outcome_of
from pipeline.inspect.messages import Case, Frame, Frames, Pair, Part, Scored


class Said(NamedTuple):
    """What the two stages of one pair said of a frame, best first."""

    first: list[Scored]
    second: list[Scored] | None  # none: it was not asked


@dataclass(frozen=True)
class Shot:
    """One frame of a run."""

    name: str  # unique in its run
    source: str  # what people know its file by
    file: Path | None  # where that lies; none: it cannot be looked at again
    video: bool  # whether the file is one, and the frame lies at ``seconds`` in it
    strip: str  # frames of one strip belong together: a video, a folder
    number: int
    seconds: float | None
    size: tuple[int, int]  # 0, 0: unreadable
    outcome: Outcome | None  # none: as it follows from the thresholds
    said: tuple[Said, ...]  # of each pair
    reason: str = ""
    weak: bool = False
    parts: list[Part] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    truth: list[list[float]] | None = None  # none: nobody knows
    level: str = ""  # of occlusion; "": nobody knows
    facts: dict[str, str] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Looks:
    """What is needed to look at a picture once more: the stage 1 of a pair, as it was asked."""

    weights: str  # a file, or the name of shipped ones
    sha256: str
    imgsz: int
    second: str = ""  # weights whose recipe is the usual one
    half: bool = False


@dataclass(frozen=True, eq=False)
class Record:
    """All that a run has left."""

    folder: Path
    command: str
    shots: Sequence[Shot]
    pairs: list[Pair]
    looks: list[Looks | None]  # of each pair; none: nobody knows the weights
    complete: bool = True
    warnings: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    faces: int = 1
    hold: float = 0.0
    anonymized: bool = False  # its pictures were to be written without faces
    annotated: Path | None = None  # what is shown where the file itself is gone
    heatmaps: Path | None = None  # where heatmaps were saved


@dataclass(frozen=True, eq=False)
class Columns:
    """The facts of all frames, gathered in one pass over a record."""

    strips: list[str]
    levels: list[str]
    labelled: bool
    frames: list[Frames]  # of each pair


def columns(record: Record) -> Columns:
    """What the time line is drawn from."""
    strips, levels = dict[str, int](), dict[str, int]()
    shared, frames = _empty(), [_empty() for _ in record.pairs]
    bar = tqdm(record.shots, "reading", unit=" frames", disable=None, leave=False, delay=1)
    for shot in bar:
        shared["name"].append(shot.name)
        shared["strip"].append(strips.setdefault(shot.strip, len(strips)))
        shared["number"].append(shot.number if shot.video else None)
        shared["seconds"].append(shot.seconds)
        shared["level"].append(levels.setdefault(shot.level, len(levels)) if shot.level else -1)
        shared["weak"].append(shot.weak)
        for said, pair, own in zip(shot.said, record.pairs, frames, strict=True):
            own["case"].append(case(said, shot.truth))
            outcome = shot.outcome
            if outcome is None:
                at = (pair["conf"], pair["fallback_conf"], record.faces)
                outcome = believed(said, *at).outcome
            own["outcome"].append(OUTCOMES.index(outcome))
    labelled = any(each["truths"] is not None for each in frames[0]["case"])
    merged: list[Frames] = [
        {**shared, "case": own["case"], "outcome": own["outcome"]} for own in frames
    ]
    return Columns(list(strips), list(levels), labelled, merged)


def _empty() -> Frames:
    return {
        "name": [],
        "strip": [],
        "number": [],
        "seconds": [],
        "outcome": [],
        "level": [],
        "weak": [],
        "case": [],
    }


def case(said: Said, truth: list[list[float]] | None) -> Case:
    """All that follows from thresholds follows from this."""
    first = [each["box"] for each in said.first]
    second = [each["box"] for each in said.second or ()]
    same: list[list[int]] = [[] for _ in second]
    if first and second:
        overlap = iou(as_boxes(second), as_boxes(first))
        same = [(row >= SAME).nonzero()[0].tolist() for row in overlap]
    return {
        "first": [each["score"] for each in said.first],
        "second": None if said.second is None else [each["score"] for each in said.second],
        "same": same,
        "truths": None if truth is None else len(truth),
        "hits": _hits(first, truth),
        "fallback_hits": _hits(second, truth),
    }


def _hits(found: list[list[float]], truth: list[list[float]] | None) -> list[list[list[float]]]:
    """For each box the truths that it may stand for, each with its IoU."""
    if not truth or not found:
        return [[] for _ in found]
    overlap = iou(as_boxes(found), as_boxes(truth))
    return [
        [[number, round(float(row[number]), 4)] for number in (row >= ENOUGH).nonzero()[0].tolist()]
        for row in overlap
    ]


def frame(record: Record, index: int, pair: int) -> Frame:
    """One frame in full."""
    shot = record.shots[index]
    said = shot.said[pair]
    return {
        "index": index,
        "name": shot.name,
        "source": shot.source,
        "number": shot.number if shot.video else None,
        "seconds": shot.seconds,
        "size": list(shot.size),
        "reason": shot.reason,
        "first": said.first,
        "second": said.second,
        "parts": shot.parts,
        "best": shot.best,
        "truth": shot.truth or [],
        "facts": shot.facts,
        "ms": shot.ms,
    }


@dataclass(frozen=True)
class Believed:
    """The faces of a frame at two thresholds, and who gave each."""

    boxes: list[Scored]
    stages: list[How]

    @property
    def outcome(self) -> Outcome:
        """The stage that had the last word, as :class:`~pipeline.detections.Detections` has it."""
        return outcome_of(self.stages)


def believed(said: Said, conf: float, fallback_conf: float, faces: int) -> Believed:
    """What TwoStage says at these thresholds, from what was kept; ``outcomes.js`` is its twin."""
    found = [each for each in said.first if each["score"] >= conf]
    new: list[Scored] = []
    if len(found) < faces and said.second:
        sure = [each for each in said.second if each["score"] >= fallback_conf]
        overlap = iou(as_boxes([each["box"] for each in sure]), as_boxes([x["box"] for x in found]))
        other = overlap.max(axis=1, initial=0) < SAME
        new = [each for each, is_new in zip(sure, other, strict=True) if is_new]
        new = new[: faces - len(found)]
    stages: list[How] = ["found"] * len(found)
    return Believed(found + new, stages + ["recovered"] * len(new))
