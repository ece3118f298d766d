"""The neonatal detector on prepared pictures, at several weights of class and quality at once.

score = p ** alpha * D ** (1 - alpha): alpha and the threshold are chosen on validation.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from pipeline import boxes as box
from pipeline import images
from pipeline.dataset import EMPTY, Dataset
from pipeline.judged import OVERLAPS, Judged
from pipeline.neonatal.trained import at_alpha
from pipeline.overlap import THREADS, ahead
from pipeline.points import ranked
from pipeline.predictions import LEAST, Answer, Scene, scene_of
from pipeline.runs import Json
from pipeline.stage1 import Stage1

# Lower alphas were a little better on validation, and worse on pictures of another kind.
ALPHAS = tuple(round(float(step), 1) for step in np.arange(0.3, 1.01, 0.1))
_AREAS = {"AP50": (0,), "AP60": (2,), "AP70": (4,), "AP80": (6,), "AP50-95": range(len(OVERLAPS))}


def name_of(alpha: float) -> str:
    """What the answers at one alpha are called."""
    return f"alpha {alpha:g}"


def asked(
    sets: Sequence[Dataset],
    split: str,
    stage: Stage1,
    alphas: Sequence[float],
    batch: int = 16,
    most: int | None = None,
    least: float = 0.0,
) -> list[Scene]:
    """Every picture of a split, and of its windows without a face, with an answer at each alpha.

    ``most``: no more pictures than that, from all over the split. ``least``: faces that the
    network sees smaller, in its pixels, count for nothing.
    """
    splits = (split, split + EMPTY)
    rows = [(data, row) for data in sets for each in splits for row in data.rows(each)]
    rows = rows[:: -(-len(rows) // most) if most else 1]
    parts = [rows[first : first + batch] for first in range(0, len(rows), batch)]
    bar = tqdm(parts, desc=split, unit="batch", disable=None, leave=False)
    faces = {data.root: data.face for data in sets}
    read = ahead(
        lambda part: [stage.load(images.read_named(data.picture(row))) for data, row in part],
        bar,
        THREADS,
        THREADS + 1,
    )
    scenes = list[Scene]()
    for part, loaded in zip(parts, read, strict=True):
        answers = [dict[str, Answer]() for _ in part]
        scales = [letterbox.scale for _, letterbox in loaded]
        for looked in stage.look(loaded):
            for alpha in alphas:
                found = at_alpha(stage, alpha).boxes(looked, LEAST)
                for number, one in zip(looked.numbers, found, strict=True):
                    answers[number][name_of(alpha)] = Answer(one.boxes, one.scores)
        for (data, row), own, scale in zip(part, answers, scales, strict=True):
            known = scene_of(data, row, faces[data.root])
            seen = known.of(box.at_least(known.truth, least / scale))
            scenes.append(replace(seen, answers=own))
    return scenes


def areas(judged: Judged, name: str) -> Json:
    """Average precision of one detector, from loose boxes to tight ones."""
    each = [ranked(judged, name, row).average_precision() for row in range(len(OVERLAPS))]
    return {
        words: round(float(np.mean([each[row] for row in rows])), 4)
        for words, rows in _AREAS.items()
    }


def best(judged: Judged, alphas: Sequence[float]) -> float:
    """The alpha whose average precision, over all overlaps, is the highest."""
    return max(
        sorted(alphas, reverse=True), key=lambda alpha: areas(judged, name_of(alpha))["AP50-95"]
    )


def scores(judged: Judged, alpha: float, threshold: float | None = None) -> Json:
    """What the detector is worth on a split: areas, and its point at a threshold.

    Without a threshold, the one at which F1 is best.
    """
    whole = ranked(judged, name_of(alpha))
    sure = whole.best() if whole.right.any() else 1.0  # who is never right is never believed
    chosen = sure if threshold is None else threshold
    recall, precision = whole.at(chosen)
    point = {"P": precision, "R": recall, "F1": whole.f1(chosen)}
    found: Json = areas(judged, name_of(alpha))
    alarms = whole.alarms(chosen)
    found |= {"threshold": chosen, "alarms": None if np.isnan(alarms) else alarms}
    found["faces"] = whole.faces
    found["at_threshold"] = {key: 0.0 if np.isnan(one) else one for key, one in point.items()}
    return {"all": found, "classes": {"face": found}}
