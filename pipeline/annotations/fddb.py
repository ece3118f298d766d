"""FDDB: faces as ellipses, in ``FDDB-fold-NN-ellipseList.txt``.

A block a picture: its name without suffix, the number of faces, a row ``major minor angle
cx cy score`` each (radii in pixels, angle in radians). Our box is the tightest one around
the ellipse; the ellipse itself stays in the attributes. :func:`detections` goes the other
way and writes boxes as the result file that FDDB's own evaluation reads.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.annotations import blocks, names, text
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.boxes import Boxes

ELLIPSE = ("major", "minor", "angle", "cx", "cy")

_WORD = re.compile(r"(?!nan$|inf$)[^\W\d]\S*", re.IGNORECASE)


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a block."""
    for path in text.files(source, "ellipselist.txt", report):
        near = names.folder_near(path.parent, "originalPics")
        folders = (source.root,) if near is None else (near, source.root)
        fold = re.search(r"fold-(\d{1,4})", path.name)
        extra = {} if fold is None else {"fold": int(fold[1])}
        for block in blocks.read(path, _is_name, report):
            place = (path, block.line)
            picture = names.picture(source, report, place, block.name + ".jpg", *folders)
            faces = tuple(_faces(path, block.rows, extra, report))
            if picture is None or (block.rows and not faces):
                continue  # all rows were left out, and reported: nothing is known of it
            yield Annotation(
                picture=picture,
                where=f"{path}:{block.line}",
                faces=faces,
                group=block.name,
                complete=block.whole and len(faces) == len(block.rows),
            )


def detections(name: str, found: Boxes, scores: NDArray[np.floating]) -> str:
    """The block of a result file for the boxes (N, 4) and scores (N,) of one picture."""
    rows = [
        " ".join(f"{value:.6f}" for value in (*ellipse, score))
        for ellipse, score in zip(box.to_ellipses(found), scores, strict=True)
    ]
    return "\n".join([name, str(len(rows)), *rows]) + "\n"


def _faces(path: Path, rows: blocks.Rows, extra: dict[str, int], report: Report) -> Iterator[Face]:
    for number, line in rows:
        values = text.numbers(line.split())
        if values is None or len(values) != 6:
            what = "expected major minor angle cx cy score"
            report.skip(path, number, what, f"found {text.shown(line)}")
            continue
        if (values[:2] <= 0).any():
            report.skip(path, number, "ellipse without a size", f"found {text.shown(line)}")
            continue
        numbers = dict(zip(ELLIPSE, values[:5].tolist(), strict=True))
        yield Face(box=box.from_ellipses(values[:5]), attributes={**numbers, **extra})


def _is_name(line: str) -> bool:
    """Names are paths; a lone word that is no number is taken for one, too."""
    return "/" in line or _WORD.fullmatch(line) is not None
