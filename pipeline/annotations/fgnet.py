"""FG-NET: babies, children and adults by age, 68 points in an order of FG-NET's own.

``007a01.pts`` is subject 7 at the age of 1; a letter behind the age tells several pictures
of one age apart. As published, ``points/001a02.pts`` speaks of ``images/001A02.JPG``; the
picture may as well lie beside its points. A subject has many pictures: it is the group.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.annotations import names, pts
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.parts import FGNET68

_NAME = re.compile(r"(\d{1,6})a(\d{1,3})[a-z]?", re.IGNORECASE)


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a ``.pts`` file."""
    for path, points in pts.files(source, report, FGNET68.count):
        name = _NAME.fullmatch(path.stem)
        if name is None:
            what = "the name says no subject and age"
            report.skip(path, None, what, "expected one like 007a01.pts")
            continue
        face = Face(
            points=points.astype(np.float32),
            scheme=FGNET68.name,
            attributes={"age": int(name[2])},
        )
        yield Annotation(
            picture=_picture(path, source.pictures),
            where=str(path),
            faces=(face,),
            group=str(int(name[1])),
        )


def _picture(path: Path, pictures: Path | None) -> Path:
    """Beside the points, or in the folder ``images`` beside theirs."""
    folders = (path.parent, path.parent.parent / "images") if pictures is None else (pictures,)
    return names.picture_of_stem(path.stem, *folders) or folders[0] / (path.stem + ".jpg")
