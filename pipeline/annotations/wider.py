"""WIDER FACE: boxes with six attributes in ``wider_face_{train,val}_bbx_gt.txt``.

A block a picture: its name, the number of faces, a row ``x y w h blur expression
illumination invalid occlusion pose`` each. A picture without a face has the count 0 and
then a row of zeros, or nothing. A row may have the four numbers of the box only. Invalid
faces are to be ignored. A list of names alone (``wider_face_test_filelist.txt``) is read if
it is given itself: pictures without labels.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline import boxes as box
from pipeline.annotations import blocks, names, text
from pipeline.annotations.types import Annotation, Face, Report, Source
from pipeline.images import SUFFIXES

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")

_WIDTHS = (4, 4 + len(ATTRIBUTES))


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a block."""
    for path in text.files(source, "_bbx_gt.txt", report):
        split = text.split_in(path.stem)
        folder = _images(path, split) or source.root
        if "filelist" in path.name:
            yield from _bare(source, path, folder, report)
            continue
        for block in blocks.read(path, _is_name, report):
            place = (path, block.line)
            picture = names.picture(source, report, place, block.name, folder)
            faces = _faces(path, block.rows, report)
            if picture is None or (block.rows and not faces):
                continue  # all rows were left out, and reported: nothing is known of it
            yield Annotation(
                picture=picture,
                where=f"{path}:{block.line}",
                faces=tuple(faces),
                split=split,
                complete=block.whole and len(faces) == len(block.rows),
            )


def _faces(path: Path, rows: blocks.Rows, report: Report) -> list[Face]:
    good: list[list[float]] = []
    for number, line in rows:
        values = text.floats(line.split())
        if values is None or len(values) not in _WIDTHS or any(v % 1 for v in values[4:]):
            what = "expected x y w h and six attributes"
            report.skip(path, number, what, f"found {text.shown(line)}")
        elif values[2] <= 0 or values[3] <= 0:
            report.skip(path, number, "box without a size", f"found {text.shown(line)}")
        else:
            good.append(values)
    # all boxes of a picture at once: lists are long
    frames = box.from_xywh(box.as_boxes([values[:4] for values in good]))
    faces: list[Face] = []
    for n, values in enumerate(good):
        flags = dict(zip(ATTRIBUTES, map(int, values[4:]), strict=False))
        ignore = flags.get("invalid") == 1
        faces.append(Face(box=frames[n : n + 1], attributes=flags, ignore=ignore))
    return faces


def _bare(source: Source, path: Path, folder: Path, report: Report) -> Iterator[Annotation]:
    """The pictures of a list of names."""
    split = text.split_in(path.stem)
    for number, line in text.rows(path, report):
        picture = names.picture(source, report, (path, number), line, folder)
        if picture is not None:
            yield Annotation(picture, f"{path}:{number}", split=split, labelled=False)


def _images(path: Path, split: str | None) -> Path | None:
    """``WIDER_train/images`` near ``wider_face_split/wider_face_train_bbx_gt.txt``."""
    near = names.folder_near(path.parent, f"WIDER_{split}")
    return None if near is None else near / "images"


def _is_name(line: str) -> bool:
    dot = line.rfind(".")
    return dot >= 0 and line[dot:].lower() in SUFFIXES
