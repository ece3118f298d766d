"""Pascal VOC: one XML a picture, in ``Annotations/``; the pictures in ``JPEGImages/``.

The ``filename`` in the XML is often wrong in the wild (a Windows path, no suffix), so the
picture with the XML's own stem comes first. An object is a face or a part of one by its
name; difficult ones are to be ignored. The splits are those of ``ImageSets/Main``, where
there are any. Corners are kept as they stand: VOC counts pixels from 1, other tools that
write this format from 0. Nothing promises that every face is labelled.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pipeline import boxes as box
from pipeline.annotations import names, text, xml_tree
from pipeline.annotations.types import Annotation, Face, PartBox, Report, Source
from pipeline.annotations.xml_tree import Element

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NOTES = ("pose", "truncated", "occluded")
_LISTS = ("train", "val", "test", "trainval")


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation an XML file."""
    splits: dict[Path, dict[str, str]] = {}  # folder -> stem -> split
    for path in text.files(source, ".xml", report):
        try:
            root = xml_tree.parse(path)
        except text.Malformed as bad:
            report.skip(path, bad.line, bad.what, bad.detail)
            continue
        if root.tag != "annotation":
            report.skip(path, root.line, "expected <annotation>", f"found <{root.tag[:40]}>")
            continue
        picture = _picture(source, path, root, report)
        if path.parent not in splits:
            splits[path.parent] = _splits(path.parent, report)
        before = report.total
        faces, parts = names.sorted_out(_objects(source, path, root, report))
        if picture is None or (report.total > before and not faces and not parts):
            continue  # everything in it was left out, and reported: nothing is known of it
        yield Annotation(
            picture=picture,
            where=str(path),
            faces=faces,
            parts=parts,
            split=splits[path.parent].get(path.stem) or text.split_of(path, source.root),
        )


def _objects(source: Source, path: Path, root: Element, report: Report) -> Iterator[Face | PartBox]:
    """The faces and parts of one picture; VOC's people have parts of their own inside."""
    seen: set[tuple[str, tuple[float, ...]]] = set()
    waiting = deque(root.all("object"))
    while waiting:
        node = waiting.popleft()
        waiting.extendleft(reversed(node.all("object", "part")))
        label, corners = node.value("name"), _corners(node)
        part = names.part_of(source, label)
        if part is None:
            report.skip(path, node.line, names.UNKNOWN, names.unknown(label))
        elif corners is None:
            found = " ".join(
                frame.value(name) or "-" for frame in node.all("bndbox") for name in _CORNERS
            )
            what = "expected one bndbox with xmin < xmax and ymin < ymax"
            report.skip(path, node.line, what, f"found {text.shown(found)}")
        elif (label, tuple(corners)) in seen:
            report.skip(path, node.line, "the same object a second time", repr(label))
        else:
            seen.add((label, tuple(corners)))
            notes = {name: node.value(name) for name in _NOTES if node.value(name)}
            attributes: dict[str, str | int | float | bool] = {
                "label": label,
                **{name: int(note) if note.isdecimal() else note for name, note in notes.items()},
            }
            ignore = node.value("difficult") == "1"
            yield names.labelled(part, box.as_boxes(corners), attributes, ignore=ignore)


def _corners(node: Element) -> list[float] | None:
    frames = node.all("bndbox")
    values = text.floats([frames[0].value(name) for name in _CORNERS]) if frames else None
    if len(frames) != 1 or values is None or values[2] <= values[0] or values[3] <= values[1]:
        return None
    return values


def _picture(source: Source, path: Path, root: Element, report: Report) -> Path | None:
    """By the XML's own stem; else by the file name that it gives."""
    near = names.folder_near(path.parent, "JPEGImages", "images")
    folders = (path.parent,) if near is None else (near, path.parent)
    if source.pictures is not None:
        folders = (source.pictures,)
    own = names.picture_of_stem(path.stem, *folders)
    told = root.value("filename").replace("\\", "/").rsplit("/", 1)[-1]
    if own is not None or "." not in told:
        return own or folders[0] / (path.stem + ".jpg")
    return names.picture(source, report, (path, None), told, *folders)


def _splits(folder: Path, report: Report) -> dict[str, str]:
    """What ``ImageSets/Main`` says of each stem; the first list that names it counts."""
    sets = names.folder_near(folder, "ImageSets")
    splits: dict[str, str] = {}
    for name in _LISTS if sets is not None else ():
        path = Path(sets or folder, "Main", name + ".txt")
        for number, line in text.rows(path, report) if path.is_file() else ():
            stem = line.split()[0]
            known = splits.setdefault(stem, name.removesuffix("val") or "val")
            if name not in {"trainval", known}:
                report.skip(path, number, "a picture in two splits", f"{stem} is in {known}, too")
    return splits
