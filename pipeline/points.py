"""A detector at every threshold: what it finds, and how often it sees a face where none is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.judged import OVERLAPS, Judged, Said
from pipeline.runs import Json

AS_GOOD = 0.003  # of F1: the lowest threshold within it of the best is taken, as in training
_STEPS = np.arange(1, 1000) / 1000
_SHARES = np.arange(5, 100, 5) / 100


@dataclass(frozen=True, eq=False)
class Ranked:
    """All boxes of a detector, each right or wrong, whatever the threshold."""

    scores: NDArray[np.float64]  # (N,)
    right: NDArray[np.bool_]  # (N,) it finds a face that no surer box has found
    faces: int
    windows: NDArray[np.float64]  # (W,) the best score in each picture without a face

    def at(self, threshold: float) -> tuple[float, float]:
        """Recall and precision, each nan of nothing."""
        kept = self.right[self.scores >= threshold]
        recall = float(kept.sum()) / self.faces if self.faces else math.nan
        return recall, float(kept.mean()) if len(kept) else math.nan

    def f1(self, threshold: float) -> float:
        """Of the boxes at or above a threshold; nan of nothing."""
        kept = self.right[self.scores >= threshold]
        whole = len(kept) + self.faces
        return 2 * float(kept.sum()) / whole if whole else math.nan

    def average_precision(self) -> float:
        """The mean of the highest precision at or beyond each of 101 recalls, as COCO has it."""
        if not self.faces:
            return math.nan
        order = np.argsort(-self.scores, kind="stable")
        hits = np.cumsum(self.right[order])
        precision = hits / np.arange(1, len(order) + 1)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(hits / self.faces, np.linspace(0, 1, 101))
        return float(np.append(highest, 0.0)[np.minimum(places, len(highest))].mean())

    def best(self) -> float:
        """The lowest threshold at which F1 is as good as its best."""
        steps = _STEPS if _are_shares(self.scores) else np.unique(self.scores)
        order = np.argsort(self.scores)
        passed = np.searchsorted(self.scores[order], steps)  # boxes below each step
        hits = np.append(np.cumsum(self.right[order][::-1])[::-1], 0)[passed]
        curve = 2 * hits / np.maximum(len(order) - passed + self.faces, 1)
        return float(steps[int(np.argmax(curve >= curve.max() - AS_GOOD))])

    def alarms(self, threshold: float) -> float:
        """Of the pictures without a face, the share in which it finds one; nan of none."""
        return float((self.windows >= threshold).mean()) if len(self.windows) else math.nan


def ladder(said: Said, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds to try: these, or where scores are no shares, quantiles of the best of each."""
    if _are_shares(said.scores):
        return shares
    return np.asarray(np.quantile(said.surest[np.isfinite(said.surest)], shares))


def _are_shares(scores: NDArray[np.float64]) -> bool:
    return not len(scores) or bool(scores.min() >= 0 and scores.max() <= 1)


def ranked(judged: Judged, name: str, row: int = 0) -> Ranked:
    """What one detector said of all scenes; right is what overlaps a face OVERLAPS[row]."""
    said = judged.said[name]
    windows = np.full(len(judged.scenes), -np.inf)
    np.maximum.at(windows, said.scene, said.scores)
    faces = judged.faces
    return Ranked(said.scores, said.right[row], int(faces.sum()), windows[faces == 0])


def model_rows(validation: Judged, judged: Judged, name: str) -> Iterator[Json]:
    """A detector as in the thesis's tables 4 to 7, 10 and 12, of the whole face.

    P, R and F1 are those at the threshold at which F1 of the validation pictures is best.
    """
    threshold = ranked(validation, name).best()
    for words, part in (("val", validation), (judged.scenes[0].split, judged)):
        whole = ranked(part, name)
        recall, precision = whole.at(threshold)
        averages = [ranked(part, name, n).average_precision() for n in range(len(OVERLAPS))]
        yield {
            "model": name,
            "set": words,
            "faces": whole.faces,
            "P": _share(precision),
            "R": _share(recall),
            "F1": _share(whole.f1(threshold)),
            "AP50": _share(averages[0]),
            "AP50-95": _share(float(np.mean(averages))),
            "threshold": round(threshold, 4),
        }


def rows(validation: Judged, judged: Judged, name: str, used: float | None) -> Iterator[Json]:
    """A detector's points: the threshold in use, the best one of validation, and a ladder."""
    chosen, measured = ranked(validation, name), ranked(judged, name)
    points = [] if used is None else [(used, "used")]
    points += [(chosen.best(), "best F1 of validation")]
    points += [(float(step), "") for step in ladder(validation.said[name], _SHARES)]
    for threshold, note in points:
        (val_recall, val_precision), (recall, precision) = (
            each.at(threshold) for each in (chosen, measured)
        )
        yield {
            "detector": name,
            "threshold": round(threshold, 4),
            "note": note,
            "val recall": _share(val_recall),
            "val precision": _share(val_precision),
            "val false alarms": _share(chosen.alarms(threshold)),
            "recall": _share(recall),
            "precision": _share(precision),
            "false alarms": _share(measured.alarms(threshold)),
        }


def _share(value: float) -> float | str:
    return "" if math.isnan(value) else round(value, 4)
