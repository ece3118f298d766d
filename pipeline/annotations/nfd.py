"""NFD (newborn faces): a CSV with a box and a patient a row. The published layout is unknown.

So this is ours. The first row names the columns, in any order and case::

    image,x1,y1,x2,y2,patient
    0001.jpg,120,80,310,300,P07
    0002.jpg,,,,,P07

One row a face; four empty corners say that the picture shows none; further columns become
attributes. The delimiter is a comma, or a semicolon (then numbers may have a decimal
comma). A field may be quoted, but not go over the end of its line. The pictures lie in
``images`` beside the CSV, or beside the CSV itself; every face in them is labelled. The
patient is the group, so that no patient is in two splits.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import boxes as box
from pipeline.annotations import names, text
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.errors import UserError

COLUMNS = ("image", "x1", "y1", "x2", "y2", "patient")

_CORNERS = COLUMNS[1:5]


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a picture: a run of rows that name it."""
    path = _table(source, report)
    patients: dict[str, str] = {}  # picture -> the patient of its first row
    run: _Run | None = None
    for number, row in _rows(path, report):
        name, patient = row["image"], row["patient"]
        if run is not None and run.name != name:
            yield from run.annotation(source, path, report)
            run = None
        run = run or _Run(number, name, patients.get(name, patient))
        if not patient or patients.setdefault(name, patient) != patient:
            run.complete = False
            known = f"{patients[name]!r} before, here {patient!r}" if patient else f"{name!r}"
            what = "a picture of two patients" if patient else "a row without a patient"
            report.skip(path, number, what, known)
            continue
        run.patient = patient
        run.add(path, number, row, report)
    if run is not None:
        yield from run.annotation(source, path, report)


@dataclass
class _Run:
    """Rows that follow each other and name one picture."""

    line: int
    name: str
    patient: str
    faces: list[Face] = field(default_factory=list)
    understood: bool = False  # at least one row
    complete: bool = True  # all rows

    def add(self, path: Path, number: int, row: dict[str, str], report: Report) -> None:
        """Take one more row."""
        texts = [row[name] for name in _CORNERS]
        corners = text.floats(texts)
        if not any(texts):
            self.understood = True
        elif corners is None or corners[2] <= corners[0] or corners[3] <= corners[1]:
            self.complete = False
            what = "expected x1 < x2 and y1 < y2, or four empty fields"
            report.skip(path, number, what, f"found {text.shown(','.join(texts))}")
        else:
            self.understood = True
            extra = {name: value for name, value in row.items() if name not in COLUMNS}
            self.faces.append(Face(box=box.as_boxes(corners), attributes=extra))

    def annotation(self, source: Source, path: Path, report: Report) -> Iterator[Annotation]:
        """The picture, unless nothing could be understood of it (then that is reported)."""
        if not self.understood:
            return
        folders = (path.parent / "images", path.parent)
        picture = names.picture(source, report, (path, self.line), self.name, *folders)
        if picture is not None:
            yield Annotation(
                picture=picture,
                where=f"{path}:{self.line}",
                faces=tuple(self.faces),
                group=self.patient,
                complete=self.complete,
            )


def _table(source: Source, report: Report) -> Path:
    """The one CSV of the source."""
    found = text.files(source, ".csv", report)
    if len(found) > 1:
        listed = ", ".join(path.name for path in found[:5])
        raise UserError(
            f"{source.format}={source.path}: {len(found)} .csv files ({listed}); "
            "which one? give the file itself"
        )
    return found[0]


def _rows(path: Path, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by column; the header tells the delimiter."""
    lines = text.rows(path, report)
    _, header = next(lines, (0, ""))
    delimiter = ";" if header.count(";") > header.count(",") else ","
    columns = [name.lower() for name in _fields(header, delimiter) or []]
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise UserError(
            f"{path}:1: no column {', '.join(missing)}\n"
            f"expected a first row with {','.join(COLUMNS)}, found {text.shown(header)}"
        )
    for number, line in lines:
        fields = _fields(line, delimiter)
        if fields is None or len(fields) != len(columns):
            what = f"expected {len(columns)} fields"
            report.skip(path, number, what, f"found {text.shown(line)}")
            continue
        row = dict(zip(columns, fields, strict=True))
        if delimiter == ";":
            row |= {name: row[name].replace(",", ".") for name in _CORNERS}
        yield number, row


def _fields(line: str, delimiter: str) -> list[str] | None:
    """The fields of one line; None where its quotes do not close.

    Line by line, for a stray quote would otherwise swallow the rest of the file.
    """
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [field.strip() for field in fields]
