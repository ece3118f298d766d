"""Predictions -> the tables that answer the question: who finds the faces that are missed.

Thresholds are chosen on validation and then held: no test label can move one. The threshold of a
first stage is that of its weights. Everybody else who answers where it is silent has the lowest
threshold that keeps a precision on what it misses of validation.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline import points
from pipeline.intervals import difference, interval
from pipeline.judged import Judged
from pipeline.missed import (
    answered,
    detection,
    lowest,
    recovers,
    silent,
    tally,
    threshold_for,
)
from pipeline.occlude import LEVELS as DRAWN
from pipeline.points import ladder, ranked
from pipeline.runs import Json

LEVELS = ("no face", *DRAWN, "unknown")
_GRID = np.arange(1, 20) / 20
WEAK = 0.25  # under it no part counts as predicted, as in the thesis


@dataclass(frozen=True, eq=False)
class Judges:
    """What is known before a test label is seen."""

    validation: Judged
    thresholds: Mapping[str, float]  # of the first stages
    partners: Mapping[str, str]  # of each second stage, its first
    precision: float  # that who answers must keep
    carried: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # in stage 2's weights


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


def tables(judges: Judges, test: Judged, by: Sequence[str] = ()) -> dict[str, list[Json]]:
    """All tables by their names; ``by``: facts of pictures that make slices, as levels do."""
    validation, names = judges.validation, list(test.said)
    pairs = [pair(judges, base, other) for base in judges.thresholds for other in names]
    parts = list(slices(test, by))
    return {
        "verdict": [
            row
            for other, base in judges.partners.items()
            for row in _verdict(judges, parts, [each for each in pairs if each.base == base], other)
        ],
        **silence(judges, test, by),
        "models": [row for name in names for row in points.model_rows(validation, test, name)],
        "points": [
            row
            for name in names
            for row in points.rows(validation, test, name, judges.thresholds.get(name))
        ],
        "missed": [_missed(part, words, each, judges) for each in pairs for words, part in parts],
        "pairs": [row for each in pairs for row in _detected(judges, parts, each)],
        "together": [
            row
            for each in pairs
            for chosen_by, conf, limit in _thresholds(judges, each)
            for row in _together(parts, each, chosen_by, conf, limit)
        ],
        "unions": [row for base in judges.thresholds for row in _union(judges, parts, base, pairs)],
    }


def silence(judges: Judges, test: Judged, by: Sequence[str]) -> dict[str, list[Json]]:
    """How often each finds no face, and the time it takes: asks for no truth."""
    pictures = test.part(np.array([scene.level != "no face" for scene in test.scenes]))
    single = {name: ranked(judges.validation, name).best() for name in test.said}
    single |= judges.thresholds
    pairs = [pair(judges, base, other) for other, base in judges.partners.items()]
    parts = slices(pictures, by)
    return {"silent": [row for words, p in parts for row in _silence(words, p, single, pairs)]}


def _silence(
    words: str, part: Judged, single: Mapping[str, float], pairs: Sequence[Pair]
) -> Iterator[Json]:
    """Each detector alone, at its own threshold, and each pair at the two that were chosen."""
    behind = {each.other for each in pairs}
    for name, conf in single.items():
        # What stands on a first stage takes the time of that one, too: told of the pair.
        ms = math.nan if name in behind else _ms(part, name)
        yield _silence_row(words, name, part, silent(part, name, conf), f"{conf:.3f}", ms)
    for each in pairs:
        quiet = silent(part, each.base, each.conf)
        both = quiet & silent(part, each.other, each.limit)
        limit = f"{each.limit:.3f}" if math.isfinite(each.limit) else "never"
        limits = f"{each.conf:.3f} > {limit}"
        ms = _ms(part, each.base) + float(quiet.mean()) * _ms(part, each.other)
        yield _silence_row(words, f"{each.base} > {each.other}", part, both, limits, ms)


def _ms(part: Judged, name: str) -> float:
    """The median; nan if nobody tells."""
    told = [scene.ms[name] for scene in part.scenes if name in scene.ms]
    return float(np.median(told)) if told else math.nan


def _silence_row(
    words: str, name: str, part: Judged, quiet: NDArray[np.bool_], threshold: str, ms: float
) -> Json:
    low, high = interval(quiet, np.ones(len(quiet)), part.groups)
    return {
        "detector": name,
        "slice": words,
        "pictures": len(quiet),
        "without a face": _ratio(quiet.sum(), len(quiet)),
        "from": round(low, 4),
        "to": round(high, 4),
        "ms a picture": "" if math.isnan(ms) else round(ms, 2),
        "threshold": threshold,
    }


def slices(judged: Judged, by: Sequence[str]) -> Iterator[tuple[str, Judged]]:
    """The scenes of each level that there is, of each value of each fact, then all of them.

    What is known of single faces makes slices of faces; of several occluders each makes its own.
    """
    levels = np.array([scene.level for scene in judged.scenes])
    for level in LEVELS:
        if (levels == level).any():
            yield level, judged.part(levels == level)
    for fact in by:
        told = [scene.facts.get(fact, "").split("+") for scene in judged.scenes]
        for value in sorted({value for values in told for value in values if value}):
            yield f"{fact}={value}", judged.part(np.array([value in values for values in told]))
        of_faces = {facts[fact] for s in judged.scenes for facts in s.of_faces if fact in facts}
        for value in sorted(of_faces):
            yield f"{fact}={value}", judged.among_faces(fact, value)
    yield "all", judged


def pair(judges: Judges, base: str, other: str) -> Pair:
    """Who answers where a first stage is silent, at the thresholds that validation chose."""
    conf = judges.thresholds[base]
    limit = threshold_for(judges.validation, base, conf, other, judges.precision)
    return Pair(base, conf, other, limit, int(silent(judges.validation, base, conf).sum()))


def _missed(part: Judged, words: str, asked: Pair, judges: Judges) -> Json:
    """What the first stage misses in a slice and the other answers: tables 8, 9, 11 and 13."""
    found = tally(part, asked.base, asked.conf, asked.other, asked.limit)
    lost = part.part(silent(part, asked.base, asked.conf) & (part.faces > 0))
    blank = sum(asked.other in scene.blank for scene in lost.scenes)
    weak = sum(bool((scene.best[asked.base] < WEAK).all()) for scene in lost.scenes)
    right = recovers(lost, asked.other, asked.limit)
    low, high = interval(right, np.ones(len(right)), lost.groups)
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
        "recovered": _ratio(found.right, found.missed),
        "from": round(low, 4) if found.missed else "",
        "to": round(high, 4) if found.missed else "",
        "threshold": round(asked.limit, 4) if math.isfinite(asked.limit) else "",
        "chosen on": asked.chosen_on,
    }


def _detected(judges: Judges, parts: Sequence[tuple[str, Judged]], asked: Pair) -> Iterator[Json]:
    """The first stage with the other behind it; beside it, it alone at equal precision."""
    behind = "" if asked.other == asked.base else asked.other
    chosen = detection(judges.validation, asked.base, asked.conf, behind, asked.limit)
    equal = as_precise(judges.validation, asked.base, chosen.precision)
    for words, part in with_faces(parts):
        both = detection(part, asked.base, asked.conf, behind, asked.limit)
        low, high = interval(both.right, both.faces, part.groups)
        alone = detection(part, asked.base, equal)
        yield {
            "first": asked.base,
            "then": behind or "-",
            "slice": words,
            "faces": int(both.faces.sum()),
            "recall": round(both.recall, 4),
            "from": round(low, 4),
            "to": round(high, 4),
            "precision": _ratio(both.right.sum(), both.boxes.sum()),
            "first alone as precise": round(alone.recall, 4),
            "its precision": _ratio(alone.right.sum(), alone.boxes.sum()),
            "its threshold": round(equal, 4) if math.isfinite(equal) else "",
        }


def _thresholds(judges: Judges, each: Pair) -> Iterator[tuple[str, float, float]]:
    """Two thresholds of a pair and who chose them; of a first stage alone, one."""
    if each.other == each.base:
        yield "validation", ranked(judges.validation, each.base).best(), math.inf
        return
    yield "validation", *_best_together(judges.validation, each.base, each.other)
    if each.other in judges.carried and judges.partners[each.other] == each.base:
        yield "its weights", *judges.carried[each.other]


def _together(
    parts: Sequence[tuple[str, Judged]], each: Pair, chosen_by: str, conf: float, limit: float
) -> Iterator[Json]:
    """A first stage and another at two thresholds that were chosen for both.

    Another may be worth asking also where the first has a box, but is not sure of it. Beside it
    the first alone, at the one threshold that validation likes best.
    """
    behind = "" if each.base == each.other else each.other
    for words, part in parts:
        found = detection(part, each.base, conf, behind, limit)
        faces, alarms = found.faces > 0, found.boxes[found.faces == 0] > 0
        low, high = interval(found.right, found.faces, part.groups)
        yield {
            "first": each.base,
            "then": behind or "-",
            "slice": words,
            "chosen by": chosen_by,
            "threshold": round(conf, 4),
            "then's": round(limit, 4) if behind else "",
            "faces": int(found.faces.sum()),
            "recall": round(found.recall, 4) if faces.any() else "",
            "from": round(low, 4) if faces.any() else "",
            "to": round(high, 4) if faces.any() else "",
            "precision": _ratio(found.right.sum(), found.boxes.sum()) if faces.any() else "",
            "false alarms": _ratio(alarms.sum(), len(alarms)),
        }


def _best_together(validation: Judged, base: str, other: str) -> tuple[float, float]:
    """The lowest two thresholds at which F1 is as good as its best."""
    f1: dict[tuple[float, float], float] = {}
    limits = ladder(validation.said[other], _GRID).tolist()
    says = {limit: answered(validation, other, limit) for limit in limits}
    rights = {limit: recovers(validation, other, limit) for limit in limits}
    for conf in ladder(validation.said[base], _GRID).tolist():
        own, quiet = detection(validation, base, conf), silent(validation, base, conf)
        given, hits = own.boxes.sum() + own.faces.sum(), own.right.sum()
        for limit in limits:
            more, new = (quiet & says[limit]).sum(), (quiet & rights[limit]).sum()
            f1[conf, limit] = 2 * float(hits + new) / max(float(given + more), 1)
    enough = max(f1.values()) - points.AS_GOOD
    return min((limit, conf) for (conf, limit), value in f1.items() if value >= enough)[::-1]


def with_faces(parts: Iterable[tuple[str, Judged]]) -> Iterator[tuple[str, Judged]]:
    """Those slices that have any."""
    for words, part in parts:
        if part.faces.any():
            yield words, part


def as_precise(validation: Judged, name: str, precision: float) -> float:
    """The lowest threshold at which a detector alone keeps a precision; never if it cannot.

    The lowest of all, just above the next box, so that who is compared with is not held down.
    """
    whole = ranked(validation, name)
    below = whole.scores[whole.scores < lowest(whole.scores, whole.right, precision)]
    if len(below) == len(whole.scores):
        return math.inf
    return float(np.nextafter(below.max(initial=-math.inf), math.inf))


def _verdict(
    judges: Judges, parts: Sequence[tuple[str, Judged]], asked: Sequence[Pair], second: str
) -> Iterator[Json]:
    """Whether a second stage recovers more than the best of those who are none, slice by slice.

    The best is the one that measures best here, which is in its favour.
    """
    (own,) = [each for each in asked if each.other == second]
    cheap = [each for each in asked if each.other not in judges.partners]
    for words, part in with_faces(parts):
        lost = part.part(silent(part, own.base, own.conf) & (part.faces > 0))
        mine = recovers(lost, second, own.limit)
        theirs = {each.called: recovers(lost, each.other, each.limit) for each in cheap}
        best = max(theirs, key=lambda name: theirs[name].sum())
        gained = mine.astype(int) - theirs[best]
        low, high = difference(gained, lost.groups)
        said = "nothing is missed" if not len(gained) else "too few to tell"
        said = "better" if low > 0 else "worse" if high < 0 else said
        yield {
            "missed by": own.base,
            "second stage": second,
            "slice": words,
            "missed": len(gained),
            "recovered": _ratio(mine.sum(), len(mine)),
            "best without one": best,
            "it recovers": _ratio(theirs[best].sum(), len(mine)),
            "difference": _ratio(gained.sum(), len(mine)),
            "from": round(low, 4) if len(gained) else "",
            "to": round(high, 4) if len(gained) else "",
            "so it is": said,
        }


def _union(
    judges: Judges, parts: Sequence[tuple[str, Judged]], base: str, pairs: Sequence[Pair]
) -> Iterator[Json]:
    """Who should be asked after the first stage, and who after that one: what validation says.

    Grown greedily: whoever adds most right boxes where all before are silent, as long as what is
    added is as precise as is asked for.
    """
    conf, chain = judges.thresholds[base], list[tuple[str, float]]()
    left = judges.validation.part(silent(judges.validation, base, conf))
    others = [each.other for each in pairs if each.base == base]
    while True:
        gains = [(_gain(left, other, judges.precision), other) for other in others]
        (gain, limit), other = max(gains, key=lambda each: each[0][0])
        if not gain:
            break
        chain.append((other, limit))
        left = left.part(silent(left, other, limit))
    for words, part in parts:
        asked = silent(part, base, conf)
        missed, said, right = int((asked & (part.faces > 0)).sum()), 0, 0
        for one in chain:
            said += int((asked & answered(part, *one)).sum())
            right += int((asked & recovers(part, *one)).sum())
            asked &= silent(part, *one)
        yield {
            "missed by": base,
            "answered by": " > ".join(name for name, _ in chain) or "-",
            "slice": words,
            "missed": missed,
            "answered": said,
            "right": right,
            "precision": _ratio(right, said),
            "recovered": _ratio(right, missed),
            "thresholds": " > ".join(f"{limit:.3f}" for _, limit in chain) or "-",
        }


def _gain(left: Judged, other: str, precision: float) -> tuple[int, float]:
    """How many of the silent pictures another would answer rightly, and its threshold for that."""
    limit = threshold_for(left, other, math.inf, other, precision)
    return int(recovers(left, other, limit).sum()), limit


def _ratio(part: int | np.integer, whole: int | np.integer) -> float | str:
    return round(float(part / whole), 4) if whole else ""
