"""From which score on a second stage is believed: chosen where its first stage is silent.

Over all pictures a second stage looks surer than it is where it is needed, because there it
sees little. So its threshold is the lowest that keeps a precision on those heatmaps of
validation whose pictures its first stage leaves without a face, windows without one among them.
"""

from collections.abc import Iterator

import numpy as np

from pipeline import boxes as box
from pipeline import heatmap_files
from pipeline.boxes import ENOUGH
from pipeline.dataset import EMPTY, Dataset
from pipeline.images import Letterbox
from pipeline.missed import lowest
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.predictions import LEAST
from pipeline.runs import Json
from pipeline.stage2 import Stage2

PRECISION = 0.9
_FACES = ("val", "val_turned")
FEWEST = 20  # silent pictures; on fewer a share says nothing


def chosen(second: Stage2, data: Dataset, beside: Dataset | None, conf: float) -> Json | None:
    """The threshold and what it was chosen on; none if there is too little to choose on.

    ``conf`` is the threshold of the first stage, ``data`` holds its heatmaps, ``beside`` those of
    windows without a face.
    """
    silent = [each for split in _FACES for each in _silent(data, split, conf)]
    if len(silent) < FEWEST:
        return None
    if beside is not None:
        silent += _silent(beside, "val" + EMPTY, conf)
    scores, right = list[float](), list[bool]()
    for source, row in silent:
        stack, _ = heatmap_files.read(source.picture(row))
        whole = Letterbox(*row["size"], *row["size"])  # labels lie on the square, too
        found = second.boxes([stack], [whole], LEAST)[0]
        if len(found.scores):
            truth, _ = source.labels(row)
            overlaps = box.iou(found.boxes[:1], truth)
            scores.append(float(found.scores[0]))
            right.append(bool((overlaps >= ENOUGH).any()))
    kept = lowest(np.array(scores), np.array(right, bool), PRECISION)
    threshold = min(kept, 1.0)  # 1: it is never precise enough
    how = {"precision": PRECISION, "silent pictures": len(silent), "first stage's": conf}
    return {"threshold": threshold, "chosen": how}


def _silent(data: Dataset, split: str, conf: float) -> Iterator[tuple[Dataset, Json]]:
    """The heatmaps of pictures in which the first stage finds no face."""
    for row in data.rows(split):
        if row["best"][PARTS[WHOLE_FACE]] < conf:
            yield data, row
