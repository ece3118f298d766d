"""MERL-RAV: iBUG's 68 points on AFLW pictures, with three states of visibility.

``LABELS/POSE/trainset|testset/imageNNNNN[_FACE].pts``. A point with both numbers negative
is hidden by something else and lies at their absolute values; exactly ``-1 -1`` is hidden
by the head itself and has no place. The pictures come from AFLW: beside the points, or in
the folder given for them. The thesis trains on the poses frontal, lefthalf and righthalf;
the pose is an attribute of the face, so that others can choose.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.annotations import pts, text
from pipeline.annotations.types import EXTERNAL, SELF, VISIBLE, Annotation, Face, Report, Source
from pipeline.parts import IBUG68

POSES = ("frontal", "lefthalf", "righthalf", "left", "right")


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a ``.pts`` file; faces of one AFLW picture name the same picture."""
    for path, raw in pts.files(source, report, IBUG68.count):
        unplaced = (raw == -1).all(axis=1)
        hidden = (raw < 0).all(axis=1) & ~unplaced
        points = np.where(hidden[:, None], -raw, raw).astype(np.float32)
        points[unplaced] = np.nan
        state = np.select([unplaced, hidden], [SELF, EXTERNAL], VISIBLE).astype(np.uint8)
        pose = next((part for part in reversed(path.parts[:-1]) if part in POSES), None)
        picture = _picture(path, source.pictures)
        yield Annotation(
            picture=picture,
            where=str(path),
            faces=(
                Face(
                    points=points,
                    visibility=state,
                    scheme=IBUG68.name,
                    attributes={} if pose is None else {"pose": pose},
                ),
            ),
            split=text.split_of(path, source.root),
            group=picture.stem,
        )


def _picture(path: Path, pictures: Path | None) -> Path:
    """The picture of a file of points; ``image00485_2.pts`` may speak of ``image00485.jpg``."""
    own = pts.picture_beside(path, pictures)
    if own.is_file():
        return own
    whole = pts.picture_beside(path.with_name(re.sub(r"_\d+$", "", path.stem) + ".pts"), pictures)
    return whole if whole.is_file() else own
