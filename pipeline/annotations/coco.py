"""COCO: one ``.json`` with images, annotations (``bbox`` as x, y, width, height) and categories.

A category is a face or a part of one by its name; crowds are to be ignored. The pictures
lie beside the JSON, in ``images`` near it, in the folder that the JSON's name ends with
(``instances_val2017.json``: ``val2017``), or apart. The whole file is read at once: JSON
has no lines to read one by one, so a report names the entry instead.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import boxes as box
from pipeline.annotations import names, text
from pipeline.annotations.text import Malformed
from pipeline.annotations.types import Annotation, Face, PartBox, Report, Source, Value
from pipeline.errors import UserError

_LISTS = ("images", "annotations", "categories")

Key = int | str


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation an image, also where nothing is labelled in it."""
    bad: Malformed | None = None
    good = 0
    for path in text.files(source, ".json", report):
        try:
            content = _content(path)
        except Malformed as error:
            bad = error
            report.skip(path, bad.line, bad.what, bad.detail)
            continue
        good += 1
        yield from _annotations(source, path, content, report)
    if not good and bad is not None:
        raise UserError(
            f"{source.format}={source.path}: nothing in it can be read: {bad.what} ({bad.detail})"
        )


@dataclass
class _Image:
    """One image while the file is read."""

    name: str
    labels: list[Face | PartBox] = field(default_factory=list)
    complete: bool = True  # no label of it had to be left out


def _annotations(
    source: Source, path: Path, content: dict[str, Any], report: Report
) -> Iterator[Annotation]:
    """The images in the order of the file."""
    classes = _categories(path, content["categories"], report)
    images = _images(path, content["images"], report)
    for number, entry in enumerate(content["annotations"]):
        place = f"annotations[{number}]"
        try:
            _label(source, entry, classes, images)
        except Malformed as bad:
            report.skip(path, None, bad.what, f"{place}: {bad.detail}")
    split, folders = text.split_in(path.stem), _folders(path)
    for key, image in images.items():
        if not image.complete and not image.labels:
            continue  # everything in it was left out, and reported: nothing is known of it
        picture = names.picture(source, report, (path, None), image.name, *folders)
        if picture is not None:
            faces, parts = names.sorted_out(image.labels)
            where = f"{path}: image {key}"
            yield Annotation(picture, where, faces, parts, split=split, complete=image.complete)


def _label(
    source: Source, entry: object, classes: dict[Key, str], images: dict[Key, _Image]
) -> None:
    """Give one annotation to its image, which is no longer complete if that cannot be."""
    owner, category = _key(entry, "image_id"), _key(entry, "category_id")
    if owner is None or owner not in images:
        raise Malformed(None, "an annotation of an unknown image", _shown(entry))
    label = classes.get(category) if category is not None else None
    part = names.part_of(source, label) if label is not None else None
    if label is not None and part is None:
        raise Malformed(None, names.UNKNOWN, names.unknown(label))
    corners = _numbers(_get(entry, "bbox"))
    if part is None or corners is None or corners[2] <= 0 or corners[3] <= 0:
        images[owner].complete = False
        what = "expected a known category and a bbox x, y, width, height with a size"
        raise Malformed(None, what, _shown(entry))
    notes = _get(entry, "attributes")
    attributes: dict[str, Value] = {
        str(name): value
        for name, value in (notes.items() if isinstance(notes, dict) else ())
        if isinstance(value, str | int | float | bool)
    }
    crowd = _get(entry, "iscrowd") == 1
    frame = box.from_xywh(box.as_boxes(corners))
    images[owner].labels.append(names.labelled(part, frame, attributes, ignore=crowd))


def _images(path: Path, entries: list[object], report: Report) -> dict[Key, _Image]:
    """The images by id."""
    images: dict[Key, _Image] = {}
    for number, entry in enumerate(entries):
        key, name = _key(entry, "id"), _get(entry, "file_name")
        if key is None or not isinstance(name, str):
            what = "expected an image with an id and a file_name"
            report.skip(path, None, what, f"images[{number}]: {_shown(entry)}")
        elif key in images:
            report.skip(path, None, "a second image of the same id", f"images[{number}]: {key!r}")
        else:
            images[key] = _Image(name)
    return images


def _categories(path: Path, entries: list[object], report: Report) -> dict[Key, str]:
    """The class names by id."""
    classes: dict[Key, str] = {}
    for number, entry in enumerate(entries):
        key, name = _key(entry, "id"), _get(entry, "name")
        if key is None or not isinstance(name, str):
            what = "expected a category with an id and a name"
            report.skip(path, None, what, f"categories[{number}]: {_shown(entry)}")
        else:
            classes[key] = name
    return classes


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise Malformed(error.lineno, "not JSON", f"line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(None, "not JSON", str(error)) from error
    except OSError as error:
        raise Malformed(None, "file cannot be read", error.strerror or str(error)) from error
    missing = [name for name in _LISTS if not isinstance(_get(content, name), list)]
    if missing:
        what = f"expected the lists {', '.join(_LISTS)}"
        raise Malformed(None, what, f"{path.name} has no list {', '.join(missing)}")
    return dict(content)


def _folders(path: Path) -> list[Path]:
    near = [names.folder_near(path.parent, name) for name in ("images", path.stem.split("_")[-1])]
    return [path.parent, *(folder for folder in near if folder is not None)]


def _get(entry: object, name: str) -> object:
    return entry.get(name) if isinstance(entry, dict) else None


def _key(entry: object, name: str) -> Key | None:
    """An id; None for anything that cannot be one."""
    key = _get(entry, name)
    return key if isinstance(key, int | str) else None


def _numbers(value: object) -> list[float] | None:
    """Four finite numbers."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) for number in value):
        return None
    return text.floats([repr(number) for number in value])


def _shown(entry: object) -> str:
    words = repr(entry)
    return words if len(words) <= 120 else words[:120] + "…"
