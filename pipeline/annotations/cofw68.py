"""COFW-68: COFW's occluded test faces with iBUG's 68 points, a ``N_points.mat`` each.

``Points`` (68, 2) has the places, ``Occ`` (1, 68) is 1 where something hides the point; such
a point has a place all the same. The coordinates are MATLAB's, where the first pixel is 1.
They are kept as they stand, as those of iBUG are: the difference to ours is half a pixel,
less than two people differ by. COFW-68 is a test set. Its pictures are not published with
it: they are to be saved from COFW's own file as ``N.jpg``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from pipeline.annotations import mat5, names, text
from pipeline.annotations.text import Malformed
from pipeline.annotations.types import EXTERNAL, VISIBLE, Annotation, Face, Report, Source
from pipeline.parts import IBUG68

_ENDING = "_points.mat"


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a ``.mat`` file."""
    for path in text.files(source, _ENDING, report):
        face = _face(path, report)
        if face is None:
            continue
        number = path.name[: -len(_ENDING)] if path.name.lower().endswith(_ENDING) else path.stem
        folder = path.parent if source.pictures is None else source.pictures
        yield Annotation(
            picture=names.picture_of_stem(number, folder) or folder / (number + ".jpg"),
            where=str(path),
            faces=(face,),
            split="test",
            group=number,
        )


def _face(path: Path, report: Report) -> Face | None:
    """The face in one file; None, and reported, if there is none."""
    try:
        content = mat5.arrays(path)
    except Malformed as bad:
        report.skip(path, bad.line, bad.what, bad.detail)
        return None
    points, hidden = content.get("Points"), content.get("Occ")
    if not _is(points, (IBUG68.count, 2)) or not _is(hidden, (1, IBUG68.count), largest=1):
        found = ", ".join(f"{name} {value.shape}" for name, value in content.items())
        what = "expected Points (68, 2) of finite numbers and Occ (1, 68) of 0 or 1"
        report.skip(path, None, what, f"found {found[:200] or 'no array'}")
        return None
    state = np.where(hidden[0] == 1, EXTERNAL, VISIBLE).astype(np.uint8)
    return Face(points=points.astype(np.float32), visibility=state, scheme=IBUG68.name)


def _is(
    value: NDArray[np.float64] | None, shape: tuple[int, int], largest: float = text.LARGEST
) -> TypeGuard[NDArray[np.float64]]:
    """Whether there are numbers of this shape, none of them NaN or larger."""
    return value is not None and value.shape == shape and bool((np.abs(value) <= largest).all())
