"""YOLO txt: a label file a picture, a line ``class cx cy w h`` a box, in shares of the picture.

Given is a ``data.yaml``, a folder with one, or a folder with ``images`` and ``labels``. The
labels of ``images/train/a.jpg`` stand in ``labels/train/a.txt``, or beside the picture. A
longer line is the outline of an object: its box is taken. A class is a face or a part of
one by its name. Without a YAML (or a ``classes.txt``) only class 0 is understood: a face.
A picture without a label file, or with an empty one, shows no face.

This reader alone looks at the pictures' headers: shares mean nothing without the size.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import boxes as box
from pipeline import images
from pipeline.annotations import names, text, yolo_yaml
from pipeline.annotations.text import Malformed
from pipeline.annotations.types import Annotation, Face, PartBox, Report, Source
from pipeline.errors import UserError

_SLACK = 0.001  # shares are written rounded, so 1.00001 is no mistake
_NUMBER = re.compile(r"\d{1,9}")
_CLASSES = "classes.txt"  # what labelling tools write beside the labels

Names = dict[int, str]


@dataclass(frozen=True)
class _Pair:
    """A picture and its label file; none: a picture of nothing we look for."""

    picture: Path
    label: Path | None
    split: str | None


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation a picture."""
    yaml = yolo_yaml.find(source)
    if yaml is None:
        pairs = _pairs(source, _folder_pictures(source, report))
        classes = _bare_names(source, pairs)
    else:
        data = yolo_yaml.load(yaml, report)
        pairs, classes = _yaml_pairs(source, data, report), data.names
    if all(pair.label is None for pair in pairs):
        raise UserError(
            f"{source.format}={source.path}: no label file for any picture\n"
            "expected labels/NAME.txt for images/NAME.jpg, or NAME.txt beside it"
        )
    _report_orphans(pairs, report)
    for pair in pairs:
        annotation = _annotation(source, pair, classes, report)
        if annotation is not None:
            yield annotation


def _annotation(source: Source, pair: _Pair, classes: Names, report: Report) -> Annotation | None:
    lines = [] if pair.label is None else list(text.rows(pair.label, report))
    things: list[Face | PartBox] = []
    complete = True
    if pair.label is not None and lines:
        try:
            size = images.peek(pair.picture)
        except images.Unreadable as error:
            report.skip(pair.picture, None, "a labelled picture cannot be read", str(error))
            return None
        for number, line in lines:
            try:
                things.append(_label(source, number, line, classes, size))
            except Malformed as bad:
                report.skip(pair.label, bad.line, bad.what, bad.detail)
                complete = complete and bad.what == names.UNKNOWN
    if not complete and not things:
        return None  # everything in it was left out, and reported: nothing is known of it
    faces, parts = names.sorted_out(things)
    where = str(pair.label or pair.picture)
    return Annotation(pair.picture, where, faces, parts, split=pair.split, complete=complete)


def _label(
    source: Source, number: int, line: str, classes: Names, size: images.Header
) -> Face | PartBox:
    """The box of one line."""
    first, *rest = line.split()
    values = text.numbers(rest)
    outline = len(rest) >= 6 and len(rest) % 2 == 0
    if _NUMBER.fullmatch(first) is None or values is None or not (len(rest) == 4 or outline):
        what = "expected a class and cx cy w h, or a class and an outline"
        raise Malformed(number, what, f"found {text.shown(line)}")
    if (values < -_SLACK).any() or (values > 1 + _SLACK).any():
        raise Malformed(number, "expected shares from 0 to 1", f"found {text.shown(line)}")
    if outline:
        corners = values.reshape(-1, 2)
        low, high = corners.min(axis=0), corners.max(axis=0)
        values = np.concatenate([(low + high) / 2, high - low])
    if (values[2:] <= 0).any():
        raise Malformed(number, "box without a size", f"found {text.shown(line)}")
    label = classes.get(int(first), f"class {first}")
    part = names.part_of(source, label)
    if part is None:
        raise Malformed(number, names.UNKNOWN, names.unknown(label))
    frame = box.from_cxcywh_share(values[None], size.width, size.height)
    return names.labelled(part, frame, {})


def _yaml_pairs(source: Source, data: yolo_yaml.DataYaml, report: Report) -> list[_Pair]:
    """The pictures of every split that the YAML names."""
    pairs: list[_Pair] = []
    for split, place in data.places:
        if place.is_dir():
            found = [(path, split) for path in text.walk(place, tuple(images.SUFFIXES), report)]
        else:
            found = []
            for number, name in text.rows(place, report):
                folders = (place.parent, data.base)
                path = names.picture(source, report, (place, number), name, *folders)
                found += [] if path is None else [(path, split)]
        here = _pairs(source, found)
        if here and all(pair.label is None for pair in here):
            what = "no label file for any picture of a folder or list"
            report.skip(place, None, what, f"{len(here)} pictures left out")
            continue
        pairs += here
    return pairs


def _folder_pictures(source: Source, report: Report) -> list[tuple[Path, str | None]]:
    """All pictures of a folder without a YAML, and the split that their place speaks of."""
    top = source.pictures or source.path
    found = text.walk(top, tuple(images.SUFFIXES), report)
    return [(path, text.split_of(path, top)) for path in found]


def _pairs(source: Source, found: Sequence[tuple[Path, str | None]]) -> list[_Pair]:
    return [_Pair(path, _label_file(source, path), split) for path, split in found]


def _label_file(source: Source, picture: Path) -> Path | None:
    """``images`` becomes ``labels``, the last one in the path; else beside the picture."""
    beside = picture.with_suffix(".txt")
    pieces = list(beside.parts)
    choices = [beside]
    if "images" in pieces:
        last = len(pieces) - 1 - pieces[::-1].index("images")
        choices.insert(0, Path(*pieces[:last], "labels", *pieces[last + 1 :]))
    if source.pictures is not None and picture.is_relative_to(source.pictures):
        inner = beside.relative_to(source.pictures)
        choices += [source.root / "labels" / inner, source.root / inner]
    return next((path for path in choices if names.is_file(path)), None)


def _bare_names(source: Source, pairs: Sequence[_Pair]) -> Names:
    """The class names of a source without a YAML."""
    labels = [pair.label for pair in pairs if pair.label is not None]
    for folder in dict.fromkeys([source.path, *(path.parent for path in labels)]):
        if (folder / _CLASSES).is_file():
            return {n - 1: line for n, line in text.filled(folder / _CLASSES, Report())}
    for path in labels:
        for number, line in text.filled(path, Report()):
            first = line.split()[0]
            if _NUMBER.fullmatch(first) and int(first) > 0:
                raise UserError(
                    f"{path}:{number}: class {first}, but no data.yaml says what the classes are\n"
                    "put one with names: into the folder (class 0 alone is taken for a face)"
                )
    return {0: "face"}


def _report_orphans(pairs: Sequence[_Pair], report: Report) -> None:
    """Report the label files beside others that no picture belongs to."""
    used = {pair.label for pair in pairs if pair.label is not None}
    for folder in sorted({path.parent for path in used}):
        for path in sorted(folder.glob("*.txt")):
            if path not in used and path.name != _CLASSES:
                report.skip(path, None, "a label file without a picture")
