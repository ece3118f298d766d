"""From ``FORMAT=PATH`` to pictures with everything that is labelled in them, each once."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import boxes as box
from pipeline.annotations import FORMATS, Annotation, Report, Source, read
from pipeline.errors import UserError
from pipeline.runs import Json

_SAME_FACE = 0.7  # IoU at which two labels of one picture mean one face
_LONGEST_NAME = 150  # characters; file systems allow 255 bytes, variants add a few


@dataclass(frozen=True, eq=False)
class Gathered:
    """A picture, and where it came from."""

    tag: str  # the source's format, numbered where two sources share one
    name: str  # unique in the dataset, usable as a file name, without suffix
    annotation: Annotation


def parse(texts: Sequence[str], face_names: Iterable[str]) -> dict[str, Source]:
    """``FORMAT=PATH`` or ``FORMAT=LABELS,PICTURES`` -> sources by their tag, in the order given."""
    sources: dict[str, Source] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or name not in FORMATS:
            lines = "\n".join(f"  {key}=PATH  {known.layout}" for key, known in FORMATS.items())
            raise UserError(f"{text!r} is not FORMAT=PATH; the formats are\n{lines}")
        path, pictures = Path(where).expanduser(), None
        if not path.exists() and "," in where:
            first, _, second = where.rpartition(",")
            path, pictures = Path(first).expanduser(), Path(second).expanduser().absolute()
            if not pictures.is_dir():
                raise UserError(f"{text}: {second} is no folder of pictures")
        if not path.exists():
            raise UserError(f"{text}: there is no such file or folder")
        number = sum(source.format == name for source in sources.values())
        tag = name if number == 0 else f"{name}{number + 1}"
        names = frozenset(word.strip().lower() for word in face_names)
        sources[tag] = Source(name, path.absolute(), pictures, names)
    return sources


def fingerprint(source: Source) -> Json:
    """What tells, without opening a file, that a source has changed since."""
    total, count, newest = 0, 0, 0
    for root in {source.path, source.pictures or source.path}:
        for entry in _files(root):
            status = entry.stat()
            total, count = total + status.st_size, count + 1
            newest = max(newest, status.st_mtime_ns)
    return {"files": count, "bytes": total, "newest": newest}


def gather(sources: dict[str, Source], poses: Sequence[str], report: Report) -> list[Gathered]:
    """All pictures of all sources; several annotations of one picture have become one."""
    found: list[tuple[str, Annotation]] = []
    for tag, source in sources.items():
        for annotation in read(source, report):
            pose = annotation.faces[0].attributes.get("pose") if annotation.faces else None
            if source.format == "merl-rav" and pose is not None and pose not in poses:
                report.skip(annotation.where, None, f"pose {pose} is not asked for (--poses)")
            else:
                found.append((tag, annotation))
    merged = _merge_copies(_merge_paths(found), report)
    merged = [(tag, _distinct(annotation, report)) for tag, annotation in merged]
    return list(_named(merged, sources))


def _merge_paths(found: Iterable[tuple[str, Annotation]]) -> list[tuple[str, Annotation]]:
    merged: dict[Path, tuple[str, Annotation]] = {}
    for tag, annotation in found:
        if annotation.picture in merged:
            first, other = merged[annotation.picture]
            merged[annotation.picture] = (first, other.joined(annotation))
        else:
            merged[annotation.picture] = (tag, annotation)
    return list(merged.values())


def _merge_copies(
    found: Sequence[tuple[str, Annotation]], report: Report
) -> list[tuple[str, Annotation]]:
    """Join pictures that are the same byte for byte: AFW keeps one copy for every face.

    Only files of equal size are read, so this costs next to nothing.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, (_, annotation) in enumerate(found):
        if annotation.picture.is_file():
            by_size[annotation.picture.stat().st_size].append(number)
    merged: dict[int, tuple[str, Annotation]] = dict(enumerate(found))
    for numbers in by_size.values():
        first: dict[bytes, int] = {}
        for number in numbers if len(numbers) > 1 else []:
            picture = found[number][1].picture
            try:
                digest = hashlib.sha256(picture.read_bytes()).digest()
            except OSError:  # told when the picture is read
                continue
            keeper = first.setdefault(digest, number)
            if keeper != number:
                tag, other = merged[keeper]
                merged[keeper] = (tag, _stricter(other, merged.pop(number)[1]))
                report.note("copies of a picture joined")
    return [merged[number] for number in sorted(merged)]


def _stricter(kept: Annotation, other: Annotation) -> Annotation:
    """Both as one; if one copy is for testing, the picture is never trained on."""
    order = {"test": 0, "val": 1, "train": 2, None: 3}
    split = min(kept.split, other.split, key=lambda name: order[name])
    return replace(kept.joined(other), split=split)


def _distinct(annotation: Annotation, report: Report) -> Annotation:
    """Without faces that were labelled twice; the label with landmarks stays."""
    faces = sorted(annotation.faces, key=lambda face: face.points is None)
    wholes = np.concatenate([face.whole for face in faces]) if faces else box.as_boxes([])
    if len(wholes) != len(faces):  # a face without any place cannot be compared
        return annotation
    overlap = np.triu(box.iou(wholes, wholes), k=1) > _SAME_FACE
    kept: list[int] = []
    for number in range(len(faces)):
        if not overlap[kept, number].any():
            kept.append(number)
    if len(kept) == len(faces):
        return annotation
    report.note("faces labelled twice, one label kept", len(faces) - len(kept))
    return replace(annotation, faces=tuple(faces[number] for number in kept))


def _named(
    found: Iterable[tuple[str, Annotation]], sources: dict[str, Source]
) -> Iterator[Gathered]:
    """Give every picture a file name of its own: the path inside its source, flattened.

    Unique without its suffix and whatever the case of its letters, because label files
    have another suffix and some file systems fold case.
    """
    taken: set[str] = set()
    for tag, annotation in found:
        source = sources[tag]
        roots = [root for root in (source.pictures, source.root) if root is not None]
        inside = next((r for r in roots if annotation.picture.is_relative_to(r)), None)
        path = annotation.picture.relative_to(inside) if inside else Path(annotation.picture.name)
        flat = "__".join([tag, *path.parent.parts, path.stem])
        flat = re.sub(r'[\x00-\x1f<>:"/\\|?*%~]', "_", flat)
        name = flat
        if len(flat) > _LONGEST_NAME or flat.lower() in taken:
            digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:10]
            name = f"{flat[:_LONGEST_NAME]}_{digest}"
        taken.add(name.lower())
        yield Gathered(tag, name, annotation)


def _files(root: Path) -> Iterator[os.DirEntry[str] | Path]:
    if root.is_file():
        yield root
        return
    for entry in os.scandir(root):
        if entry.is_dir():
            try:
                yield from _files(Path(entry.path))
            except PermissionError:  # the reader reports it
                continue
        elif entry.is_file():
            yield entry
