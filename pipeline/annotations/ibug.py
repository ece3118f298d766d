"""iBUG 68 points (300-W, Helen, LFPW, AFW as annotated by iBUG): a ``.pts`` beside each picture.

Other faces of the picture may be unlabelled. Helen and AFW keep several faces of one
photograph as ``NUMBER_1.jpg``, ``NUMBER_2.jpg``: they share a group, so that a photograph
is never in two splits. LFPW's ``image_0001`` of the training set is another photograph than
that of the test set, so the folder is part of such a group.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.annotations import pts, text
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.parts import IBUG68


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a ``.pts`` file."""
    for path, points in pts.files(source, report, IBUG68.count):
        photograph = path.stem.rsplit("_", 1)[0]
        yield Annotation(
            picture=pts.picture_beside(path, source.pictures),
            where=str(path),
            faces=(Face(points=points.astype(np.float32), scheme=IBUG68.name),),
            split=text.split_of(path, source.root),
            group=photograph if photograph.isdigit() else f"{path.parent.name}/{path.stem}",
        )
