"""A run as the page wants it, whichever command made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from pipeline.boxes import ENOUGH, overlapping
from pipeline.detections import OUTCOMES, SAME, How, Outcome, outcome_of
from pipeline.inspect.messages import Case, Frame, Frames, Pair, Part, Scored

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_BLOCK = 128  # frames that are worked on at once
NOWHERE = -1  # in the place of a truth: a face that counts neither way


class Said(NamedTuple):
    """What the two stages of one pair said of a frame, best first."""

    first: list[Scored]
    second: list[Scored] | None  # none: it was not asked
    best: dict[str, float]  # the best score of every part, where it was kept


class Shot(NamedTuple):
    """One frame of a run."""

    name: str  # unique in its run
    source: str  # what people know its file by
    file: Path | None  # where that lies; none: it cannot be looked at again
    bytes: int | None  # of the file when it was looked at; none: nobody knows
    video: bool  # whether the file is one, and the frame lies at ``seconds`` in it
    strip: str  # frames of one strip belong together: a video (by its name), a folder
    number: int
    seconds: float | None
    size: tuple[int, int]  # 0, 0: unreadable
    outcome: Outcome | None  # none: as it follows from the thresholds
    said: tuple[Said, ...]  # of each pair
    reason: str = ""
    weak: bool = False
    parts: Sequence[Part] = ()
    truth: list[list[float]] | None = None  # none: nobody knows
    ignored: Sequence[list[float]] = ()  # true faces that count nowhere
    level: str = ""  # of occlusion; "": nobody knows
    facts: Mapping[str, str] = _NOTHING
    ms: Mapping[str, float] = _NOTHING


@dataclass(frozen=True)
class Looks:
    """What is needed to look at a picture once more: the stage 1 of a pair, as it was asked."""

    weights: str  # a file, or the name of shipped ones
    sha256: str
    imgsz: int
    second: str = ""  # weights whose recipe is the usual one


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
    places: dict[str, int]  # of each name


@dataclass(frozen=True)
class At:
    """Where the thresholds stand, for one pair."""

    pair: int
    conf: float
    fallback_conf: float


@dataclass(frozen=True)
class Believed:
    """The faces of a frame at two thresholds, and who gave each."""

    boxes: list[Scored]
    stages: list[How]

    @property
    def outcome(self) -> Outcome:
        """The stage that had the last word, as :class:`~pipeline.detections.Detections` has it."""
        return outcome_of(self.stages)


def pair_of(
    name: str,
    weights: tuple[str, str | None],
    confs: tuple[float, float],
    least: float,
    faces: int = 1,
) -> Pair:
    """A pair at its thresholds, of which the run has kept all candidates from ``least`` on."""
    conf, fallback_conf = confs
    return {
        "name": name,
        "called": "Stage 1",
        "first": weights[0],
        "second": weights[1],
        "parts": True,
        "levels": ["finest", "middle", "coarsest"],
        "conf": conf,
        "fallback_conf": fallback_conf,
        "floor": min(conf, least),
        "fallback_floor": min(fallback_conf, least),
        "faces": faces,
        "undrawn": "",
    }


def beside(folder: Path, weights: str) -> str:
    """Weights as they were named: a file, seen from that folder, or shipped ones."""
    path = folder / Path(weights).expanduser()
    return str(path) if path.exists() else weights


def columns(record: Record) -> Columns:
    """What the time line is drawn from."""
    strips, levels, words = dict[str, int](), dict[str, int](), list[str]()
    shared, frames = _empty(), [_empty() for _ in record.pairs]
    shots = iter(tqdm(record.shots, "reading", unit=" frames", disable=None, leave=False, delay=1))
    while block := list(islice(shots, _BLOCK)):
        for shot in block:
            if shot.strip not in strips:
                strips[shot.strip] = len(strips)
                words.append(shot.source if shot.video else shot.strip)
            if shot.level:
                levels.setdefault(shot.level, len(levels))
        shared["name"] += [shot.name for shot in block]
        shared["strip"] += [strips[shot.strip] for shot in block]
        shared["number"] += [shot.number if shot.video else None for shot in block]
        shared["seconds"] += [shot.seconds for shot in block]
        shared["level"] += [levels.get(shot.level, -1) for shot in block]
        shared["weak"] += [shot.weak for shot in block]
        for number, (pair, own) in enumerate(zip(record.pairs, frames, strict=True)):
            answers = [Answered(shot.said[number], shot.truth, shot.ignored) for shot in block]
            for shot, one in zip(block, cases(answers), strict=True):
                outcome = _outcome(one, pair) if shot.outcome is None else shot.outcome
                own["case"].append(one)
                own["outcome"].append(OUTCOMES.index(outcome))
    labelled = any(each["truths"] is not None for each in frames[0]["case"])
    merged: list[Frames] = [
        {**shared, "case": own["case"], "outcome": own["outcome"]} for own in frames
    ]
    places = {name: number for number, name in enumerate(shared["name"])}
    return Columns(words, list(levels), labelled, merged, places)


class Answered(NamedTuple):
    """What was said of a frame, and what is true of it."""

    said: Said
    truth: list[list[float]] | None
    ignored: Sequence[list[float]]


def cases(answers: Sequence[Answered]) -> list[Case]:
    """All that follows from thresholds follows from this, of each frame."""
    made = [_unmatched(each.said, each.truth) for each in answers]
    firsts = [[box["box"] for box in each.said.first] for each in answers]
    seconds = [[box["box"] for box in each.said.second or ()] for each in answers]
    for frame, box, other, _ in overlapping(seconds, firsts, SAME):
        made[frame]["same"][box].append(other)
    truths = [each.truth or [] for each in answers]
    ignored = [each.ignored for each in answers]
    for found, hits in (
        (firsts, [one["hits"] for one in made]),
        (seconds, [one["fallback_hits"] for one in made]),
    ):
        for frame, box, face, overlap in overlapping(found, truths, ENOUGH):
            hits[frame][box].append([face, round(overlap, 4)])
        for frame, box, _, overlap in overlapping(found, ignored, ENOUGH):
            hits[frame][box].append([NOWHERE, round(overlap, 4)])
    return made


def _unmatched(said: Said, truth: list[list[float]] | None) -> Case:
    """A frame before its boxes are held against each other and against the truth."""
    second = said.second
    return {
        "first": [each["score"] for each in said.first],
        "second": None if second is None else [each["score"] for each in second],
        "same": [[] for _ in second or ()],
        "truths": None if truth is None else len(truth),
        "hits": [[] for _ in said.first],
        "fallback_hits": [[] for _ in second or ()],
    }


def decided(
    one: Case, conf: float, fallback_conf: float, faces: int | None
) -> tuple[list[int], list[int]]:
    """Which boxes of each stage are believed, as TwoStage has it; ``outcomes.js`` is its twin.

    Scores are float32, and so are they compared.
    """
    first, second = (np.array(one[key] or (), np.float32) for key in ("first", "second"))
    found = np.flatnonzero(first >= np.float32(conf)).tolist()
    sure = np.flatnonzero(second >= np.float32(fallback_conf)).tolist()
    new = [number for number in sure if not set(found) & set(one["same"][number])]
    return found, new if faces is None else new[: max(faces - len(found), 0)]


def believed(record: Record, columns: Columns, index: int, at: At) -> Believed:
    """The faces of a frame; where it has none, those that are held from an earlier one."""
    earlier = held_from(record, columns, index, at)
    of = index if earlier is None else earlier
    said = record.shots[of].said[at.pair]
    one = columns.frames[at.pair]["case"][of]
    found, new = decided(one, at.conf, at.fallback_conf, record.pairs[at.pair]["faces"])
    boxes = [said.first[number] for number in found]
    boxes += [said.second[number] for number in new if said.second is not None]
    stages = _stages(len(found), len(new))
    return Believed(boxes, stages if earlier is None else ["held"] * len(boxes))


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
        "parts": list(shot.parts),
        "best": said.best,
        "truth": shot.truth or [],
        "shown": "original",
        "facts": dict(shot.facts),
        "ms": dict(shot.ms),
    }


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


def _stages(found: int, new: int) -> list[How]:
    first: list[How] = ["found"] * found
    return [*first, *(["recovered"] * new)]  # type: ignore[list-item] # it is one


def _outcome(one: Case, pair: Pair) -> Outcome:
    found, new = decided(one, pair["conf"], pair["fallback_conf"], pair["faces"])
    return outcome_of(_stages(len(found), len(new)))


def _any(record: Record, columns: Columns, index: int, at: At) -> bool:
    one = columns.frames[at.pair]["case"][index]
    return any(decided(one, at.conf, at.fallback_conf, record.pairs[at.pair]["faces"]))


def held_from(record: Record, columns: Columns, index: int, at: At) -> int | None:
    """The frame whose face is carried to this one, which has none; if any is."""
    frames = columns.frames[at.pair]
    now, unread = frames["seconds"][index], OUTCOMES.index("unreadable")
    if now is None or not record.hold or frames["outcome"][index] == unread:
        return None
    if _any(record, columns, index, at):
        return None
    for before in range(index - 1, -1, -1):
        then = frames["seconds"][before]
        if frames["strip"][before] != frames["strip"][index] or then is None:
            continue
        if now - then > record.hold:
            return None
        if frames["outcome"][before] != unread and _any(record, columns, before, at):
            return before
    return None
