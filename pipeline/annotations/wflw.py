"""WFLW: 98 points, a rect and six attributes a face, one line each.

A line of ``list_98pt_rect_attr_{train,test}.txt`` has 196 numbers, the four corners of the
rect, six attributes of 0 or 1, and the picture's name, which may contain spaces; the plain
lists ``list_98pt_*.txt`` have the 196 numbers and the name. The pictures lie in
``WFLW_images`` beside ``WFLW_annotations``. Several lines may speak of one picture, and
other faces in it are not labelled.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline import boxes as box
from pipeline.annotations import names, text
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.parts import WFLW98

ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")

_POINTS = WFLW98.count * 2
_ALL = _POINTS + 4 + len(ATTRIBUTES)


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a line."""
    for path in text.files(source, ".txt", report, prefix="list_98pt"):
        folder = names.folder_near(path.parent, "WFLW_images") or source.root / "WFLW_images"
        split = text.split_in(path.stem)
        for number, line in text.rows(path, report):
            found = _face(path, number, line, report)
            if found is None:
                continue
            face, name = found
            picture = names.picture(source, report, (path, number), name, folder)
            if picture is None:
                continue
            yield Annotation(
                picture=picture,
                where=f"{path}:{number}",
                faces=(face,),
                split=split,
                group=PurePosixPath(name).name,
            )


def _face(path: Path, number: int, line: str, report: Report) -> tuple[Face, str] | None:
    """The face and the picture's name of one line; None, and reported, if it is malformed."""
    rect = "rect" in path.name or text.floats(line.split()[:_ALL]) is not None
    count = _ALL if rect else _POINTS
    fields = line.split(maxsplit=count)
    if len(fields) <= count:
        what = f"expected {count} numbers and the name of a picture"
        report.skip(path, number, what, f"found {len(fields)} fields")
        return None
    values = text.numbers(fields[:count])
    if values is None:
        bad = next(n for n, field in enumerate(fields) if text.floats([field]) is None)
        what = f"expected {count} numbers and the name of a picture"
        report.skip(path, number, what, f"field {bad + 1} is {text.shown(fields[bad])}")
        return None
    points = values[:_POINTS].reshape(-1, 2).astype(np.float32)
    if not rect:
        return Face(points=points, scheme=WFLW98.name), fields[-1]
    corners, flags = values[_POINTS : _POINTS + 4], values[_POINTS + 4 :]
    if (corners[2:] <= corners[:2]).any() or not np.isin(flags, (0, 1)).all():
        what = "expected a rect x1 y1 x2 y2 and six attributes of 0 or 1"
        report.skip(path, number, what, f"found {' '.join(fields[_POINTS:count])}")
        return None
    attributes = dict(zip(ATTRIBUTES, (int(flag) for flag in flags), strict=True))
    face = Face(box=box.as_boxes(corners), points=points, scheme=WFLW98.name, attributes=attributes)
    return face, fields[-1]
