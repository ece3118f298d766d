"""Predictions -> the tables that answer the question: who finds the faces that are missed.

Thresholds are chosen on validation and then held: no test label can move one. The threshold of a
first stage is that of its weights. Everybody else who answers where it is silent has the lowest
threshold that keeps a precision on what it misses of validation.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import points
from pipeline.intervals import interval
from pipeline.missed import (
    ENOUGH,
    best_of,
    detection,
    is_silent,
    overlap,
    tally,
    threshold_for,
)
from pipeline.points import ranked
from pipeline.predictions import Scene
from pipeline.runs import Json

LEVELS = ("no face", "none", "easy", "medium", "hard", "unknown")
_GRID = tuple(float(each) for each in np.arange(1, 20) / 20)
WEAK = 0.25  # under it no part counts as predicted, as in the thesis


@dataclass(frozen=True, eq=False)
class Judges:
    """What is known before a test label is seen."""

    validation: Sequence[Scene]
    thresholds: Mapping[str, float]  # of the first stages
    partners: Mapping[str, str]  # of each second stage, its first
    precision: float  # that who answers must keep


@dataclass(frozen=True)
class Pair:
    """A first stage, and who answers where it is silent; both at the thresholds chosen."""

    base: str
    conf: float
    other: str  # the first stage itself, at a lowered threshold, is one of them
    limit: float
    chosen_on: int  # silent pictures of validation

    @property
    def called(self) -> str:
        """Who answers, in words."""
        return "its lowered threshold" if self.other == self.base else self.other


def tables(
    judges: Judges, scenes: Sequence[Scene], by: Sequence[str] = ()
) -> dict[str, list[Json]]:
    """All tables by their names; ``by``: facts of pictures that make slices, as levels do."""
    validation = judges.validation
    names = list(validation[0].answers)
    pairs = [pair(judges, base, other) for base in judges.thresholds for other in names]
    parts = list(slices(scenes, by))
    return {
        "models": [row for name in names for row in points.model_rows(validation, scenes, name)],
        "points": [
            row
            for name in names
            for row in points.rows(validation, scenes, name, judges.thresholds.get(name))
        ],
        "missed": [_missed(part, words, each, judges) for each in pairs for words, part in parts],
        "pairs": [row for each in pairs for row in _detected(judges, parts, each)],
        "together": [
            row
            for other, base in judges.partners.items()
            for row in _together(judges, parts, base, other)
        ],
        "unions": [row for base in judges.thresholds for row in _union(judges, parts, base, pairs)],
    }


def slices(scenes: Sequence[Scene], by: Sequence[str]) -> Iterator[tuple[str, list[Scene]]]:
    """The scenes of each level that there is, of each value of each fact, then all of them."""
    for level in LEVELS:
        part = [scene for scene in scenes if scene.level == level]
        if part:
            yield level, part
    for fact in by:
        for value in sorted({scene.facts[fact] for scene in scenes if fact in scene.facts}):
            yield f"{fact}={value}", [s for s in scenes if s.facts.get(fact) == value]
    yield "all", list(scenes)


def pair(judges: Judges, base: str, other: str) -> Pair:
    """Who answers where a first stage is silent, at the thresholds that validation chose."""
    conf = judges.thresholds[base]
    limit = threshold_for(judges.validation, base, conf, other, judges.precision)
    silent = sum(is_silent(scene, base, conf) for scene in judges.validation)
    return Pair(base, conf, other, limit, silent)


def _missed(scenes: Sequence[Scene], words: str, asked: Pair, judges: Judges) -> Json:
    """What the first stage misses in a slice and the other answers: tables 8, 9, 11 and 13."""
    found = tally(scenes, asked.base, asked.conf, asked.other, asked.limit)
    lost = [s for s in scenes if len(s.truth) and is_silent(s, asked.base, asked.conf)]
    blank = sum(asked.other in scene.blank for scene in lost)
    weak = sum(bool((scene.best[asked.base] < WEAK).all()) for scene in lost)
    low, high = _of_all_missed(lost, asked)
    drawn = asked.other in judges.partners
    return {
        "missed by": asked.base,
        "answered by": asked.called,
        "slice": words,
        "pictures": found.pictures,
        "only wrong boxes": found.wrong,
        "missed": found.missed,
        "blank heatmaps": blank if drawn else "",
        "weak": weak,
        "answered": found.answered,
        "right": found.right,
        "right at IoU 0.3": found.right_loosely,
        "precision": _ratio(found.right, found.answered),
        "of the non-blank": _ratio(found.right, found.missed - blank) if drawn else "",
        "recovered": round(found.recovered, 4),
        "from": round(low, 4),
        "to": round(high, 4),
        "threshold": round(asked.limit, 4) if math.isfinite(asked.limit) else "",
        "chosen on": asked.chosen_on,
    }


def _of_all_missed(lost: Sequence[Scene], asked: Pair) -> tuple[float, float]:
    """The interval of the recovered share."""
    right = np.array(
        [
            best_of(scene.answers[asked.other]) >= asked.limit
            and overlap(scene, asked.other) >= ENOUGH
            for scene in lost
        ]
    )
    return interval(right, np.ones(len(lost)), [scene.group or scene.name for scene in lost])


def _detected(
    judges: Judges, parts: Sequence[tuple[str, list[Scene]]], asked: Pair
) -> Iterator[Json]:
    """The first stage with the other behind it; beside it, it alone at equal precision."""
    behind = "" if asked.other == asked.base else asked.other
    chosen = detection(judges.validation, asked.base, asked.conf, behind, asked.limit)
    equal = as_precise(judges.validation, asked.base, chosen.precision)
    for words, part in with_faces(parts):
        each = [detection([s], asked.base, asked.conf, behind, asked.limit) for s in part]
        groups = [scene.group or scene.name for scene in part]
        right, faces = np.array([d.right for d in each]), np.array([d.faces for d in each])
        low, high = interval(right, faces, groups)
        boxes, hits = sum(one.boxes for one in each), int(right.sum())
        alone = detection(part, asked.base, equal)
        yield {
            "first": asked.base,
            "then": behind or "-",
            "slice": words,
            "faces": int(faces.sum()),
            "recall": _ratio(hits, int(faces.sum())),
            "from": round(low, 4),
            "to": round(high, 4),
            "precision": _ratio(hits, boxes),
            "first alone as precise": round(alone.recall, 4),
            "its precision": _ratio(alone.right, alone.boxes),
        }


def _together(
    judges: Judges, parts: Sequence[tuple[str, list[Scene]]], base: str, other: str
) -> Iterator[Json]:
    """A pair at the two thresholds that validation likes best together.

    A second stage may be worth asking also where the first has a box, but is not sure of it.
    """
    conf, limit = _best_together(judges.validation, base, other)
    for words, part in parts:
        found = detection(part, base, conf, other, limit)
        empty = [scene for scene in part if not len(scene.truth)]
        alarms = [bool(detection([s], base, conf, other, limit).boxes) for s in empty]
        yield {
            "first": base,
            "then": other,
            "slice": words,
            "threshold": conf,
            "then's": limit,
            "faces": found.faces,
            "recall": round(found.recall, 4) if found.faces else "",
            "precision": _ratio(found.right, found.boxes) if found.faces else "",
            "false alarms": _ratio(sum(alarms), len(empty)),
        }


def _best_together(validation: Sequence[Scene], base: str, other: str) -> tuple[float, float]:
    """The lowest two thresholds at which F1 is as good as its best."""
    whole = ranked(validation, base)
    surest = np.array([best_of(scene.answers[base]) for scene in validation])
    score = np.array([best_of(scene.answers[other]) for scene in validation])
    right = np.array([overlap(scene, other) >= ENOUGH for scene in validation])
    f1: dict[tuple[float, float], float] = {}
    for conf in _GRID:
        own = whole.right[whole.scores >= conf]
        for limit in _GRID:
            said = (surest < conf) & (score >= limit)
            boxes, hits = len(own) + said.sum(), own.sum() + right[said].sum()
            f1[conf, limit] = 2 * hits / (boxes + whole.faces)
    enough = max(f1.values()) - points.AS_GOOD
    return min((limit, conf) for (conf, limit), value in f1.items() if value >= enough)[::-1]


def with_faces(
    parts: Iterable[tuple[str, list[Scene]]],
) -> Iterator[tuple[str, list[Scene]]]:
    """Those slices that have any."""
    for words, part in parts:
        if any(len(scene.truth) for scene in part):
            yield words, part


def as_precise(validation: Sequence[Scene], name: str, precision: float) -> float:
    """The lowest threshold at which a detector alone keeps a precision; never if it cannot."""
    whole = ranked(validation, name)
    order = np.argsort(-whole.scores, kind="stable")
    shares, scores = (
        np.cumsum(whole.right[order]) / np.arange(1, len(order) + 1),
        whole.scores[order],
    )
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # equal scores pass together
    kept = np.flatnonzero((shares >= precision) & last)
    return float(scores[kept[-1]]) if len(kept) else math.inf


def _union(
    judges: Judges, parts: Sequence[tuple[str, list[Scene]]], base: str, pairs: Sequence[Pair]
) -> Iterator[Json]:
    """Who should be asked after the first stage, and who after that one: what validation says.

    Grown greedily: whoever adds most right boxes where all before are silent, as long as what is
    added is as precise as is asked for.
    """
    conf, chain = judges.thresholds[base], list[tuple[str, float]]()
    left = [scene for scene in judges.validation if is_silent(scene, base, conf)]
    others = [each.other for each in pairs if each.base == base]
    while True:
        gains = [(_gain(left, other, judges.precision), other) for other in others]
        (gain, limit), other = max(gains, key=lambda each: each[0][0])
        if not gain:
            break
        chain.append((other, limit))
        left = [scene for scene in left if is_silent(scene, other, limit)]
    for words, part in parts:
        answers, right, missed = 0, 0, 0
        for scene in part:
            if is_silent(scene, base, conf):
                missed += bool(len(scene.truth))
                said = next((one for one in chain if not is_silent(scene, *one)), None)
                if said is not None:
                    answers += 1
                    right += tally([scene], base, conf, *said).right
        yield {
            "missed by": base,
            "answered by": " > ".join(name for name, _ in chain) or "-",
            "slice": words,
            "missed": missed,
            "answered": answers,
            "right": right,
            "precision": _ratio(right, answers),
            "recovered": _ratio(right, missed),
            "thresholds": " > ".join(f"{limit:.3f}" for _, limit in chain) or "-",
        }


def _gain(left: Sequence[Scene], other: str, precision: float) -> tuple[int, float]:
    """How many of the silent pictures another would answer rightly, and its threshold for that."""
    limit = threshold_for(left, other, math.inf, other, precision)
    return tally(left, other, math.inf, other, limit).right, limit


def _ratio(part: int, whole: int) -> float | str:
    return round(part / whole, 4) if whole else ""
