"""iBUG ``.pts`` and the two formats that share its file: MERL-RAV and FG-NET.

A file is one face: ``version: 1``, ``n_points: 68``, then a line of two numbers a point
between braces. In the wild the header and the braces are sometimes missing.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.annotations import names, text
from pipeline.annotations.types import Report, Source


def read_points(path: Path, count: int) -> NDArray[np.float64]:
    """The points (count, 2) of one file, as they stand there."""
    rows: list[NDArray[np.float64]] = []
    last = 0
    try:
        for number, line in text.lines(path):
            last = number
            plain = line.replace("{", " ").replace("}", " ").strip()
            if not plain or ":" in plain:  # the header
                continue
            rows.append(_point(number, plain))
            if len(rows) > count:
                break
    except OSError as error:
        what = "file cannot be read"
        raise text.Malformed(None, what, error.strerror or str(error)) from error
    if len(rows) != count:
        found = f"more than {count}" if len(rows) > count else str(len(rows))
        raise text.Malformed(last, f"expected {count} points", f"found {found}")
    return np.stack(rows)


def _point(number: int, plain: str) -> NDArray[np.float64]:
    values = text.numbers(plain.replace(",", " ").split())
    if values is None or len(values) != 2:
        raise text.Malformed(
            number, "expected two numbers for a point", f"found {text.shown(plain)}"
        )
    return values


def picture_beside(path: Path, pictures: Path | None) -> Path:
    """The picture with the same stem, beside the points or anywhere directly in ``pictures``.

    Where there is none, the name that was expected.
    """
    folder = path.parent if pictures is None else pictures
    return names.picture_of_stem(path.stem, folder) or folder / (path.stem + ".jpg")


def files(source: Source, report: Report, count: int) -> Iterator[tuple[Path, NDArray[np.float64]]]:
    """Every readable ``.pts`` file of a source and its points; the others are reported."""
    for path in text.files(source, ".pts", report):
        try:
            yield path, read_points(path, count)
        except text.Malformed as bad:
            report.skip(path, bad.line, bad.what, bad.detail)
