"""From ``FORMAT=PATH`` to pictures with everything that is labelled in them, each once."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import boxes as box
from pipeline.annotations import FORMATS, Annotation, Face, Report, Source, read, text
from pipeline.boxes import Boxes
from pipeline.errors import UserError
from pipeline.images import SUFFIXES
from pipeline.runs import Json

_SAME = 0.7  # IoU at which two labels of one kind mean one thing
_LONGEST_NAME = 150  # bytes; file systems allow 255, versions add a few


@dataclass(frozen=True, eq=False)
class Gathered:
    """A picture, and where it came from."""

    tag: str  # the source's format, numbered where two sources share one
    name: str  # unique in the dataset, usable as a file name, without suffix
    annotation: Annotation
    own_split: bool  # the source has a split of its own, for this picture or for others


def parse(texts: Sequence[str], face_names: Iterable[str]) -> dict[str, Source]:
    """``FORMAT=PATH`` or ``FORMAT=LABELS,PICTURES`` -> sources by their tag, in the order given."""
    formats = ", ".join(FORMATS)
    if not texts:
        raise UserError(f"give at least one FORMAT=PATH; the formats are\n{formats}")
    names = frozenset(face_names)
    sources: dict[str, Source] = {}
    for given in texts:
        name, _, where = given.partition("=")
        if not where or name not in FORMATS:
            layout = f"; {name} wants {FORMATS[name].layout}" if name in FORMATS else ""
            raise UserError(f"{given!r} is not FORMAT=PATH{layout}; the formats are\n{formats}")
        path, pictures = Path(where).expanduser(), None
        if not path.exists() and "," in where:
            first, _, second = where.rpartition(",")
            path, pictures = Path(first).expanduser(), Path(second).expanduser().absolute()
            if not pictures.is_dir():
                raise UserError(f"{given}: {second} is no folder of pictures")
        if not path.exists():
            raise UserError(f"{given}: there is no such file or folder")
        number = sum(source.format == name for source in sources.values())
        tag = name if number == 0 else f"{name}{number + 1}"
        sources[tag] = Source(name, path.absolute(), pictures, names)
    return sources


def gather(
    sources: dict[str, Source], poses: Sequence[str], made_by_us: Path, report: Report
) -> list[Gathered]:
    """All pictures of all sources; several annotations of one picture have become one.

    Prepared datasets that lie inside a source, under ``made_by_us``, are not part of it.
    """
    found: list[tuple[str, Annotation]] = []
    for tag, source in sources.items():
        ours = not source.path.is_relative_to(made_by_us)
        named: set[Path] = set()
        steps = tqdm(read(source, report), desc=f"reading {tag}", disable=None, leave=False)
        for annotation in steps:
            named.add(annotation.picture)
            pose = annotation.faces[0].attributes.get("pose") if annotation.faces else None
            if ours and annotation.picture.is_relative_to(made_by_us):
                report.note("pictures of our own datasets inside the source, passed over")
            elif source.format == "merl-rav" and pose is not None and pose not in poses:
                report.skip(annotation.where, None, f"pose {pose} is not asked for (--poses)")
            else:
                found.append((tag, annotation))
        _count_unnamed(source, named, report)
    own = {tag for tag, annotation in found if annotation.split}
    merged = _merge_copies(_merge_paths(found), report)
    merged = [(tag, _distinct(annotation, report)) for tag, annotation in merged]
    return list(_named(merged, sources, own))


def fingerprints(pictures: Iterable[Gathered], sources: dict[str, Source]) -> Json:
    """For each source, what tells that its labels or pictures have changed since."""
    digests = {tag: hashlib.sha256() for tag in sources}
    for one in pictures:
        annotation, digest = one.annotation, digests[one.tag]
        status = annotation.picture.stat()
        facts = (one.name, str(annotation.picture), status.st_size, status.st_mtime_ns)
        digest.update(repr((facts, annotation.split, annotation.group)).encode("utf-8", "replace"))
        for face in annotation.faces:
            for values in (face.box, face.points, face.visibility):
                digest.update(b"-" if values is None else values.tobytes())
            digest.update(repr((sorted(face.attributes.items()), face.ignore)).encode())
        for part in annotation.parts:
            digest.update(b"%d" % part.part + part.box.tobytes())
    return {
        tag: {
            "path": str(source.path),
            "pictures": str(source.pictures or ""),
            "content": digests[tag].hexdigest(),
        }
        for tag, source in sources.items()
    }


def _count_unnamed(source: Source, named: set[Path], report: Report) -> None:
    """Say how many pictures lie in a source that no annotation speaks of."""
    if source.path.is_dir():
        lying = text.walk(source.path, tuple(SUFFIXES), Report())
        report.note(
            "pictures in the sources that no annotation names, passed over",
            sum(path not in named for path in lying),
        )


def _merge_paths(found: Iterable[tuple[str, Annotation]]) -> list[tuple[str, Annotation]]:
    groups: dict[Path, list[tuple[str, Annotation]]] = defaultdict(list)
    for tag, annotation in found:
        groups[annotation.picture].append((tag, annotation))
    return [(group[0][0], _joined([each for _, each in group])) for group in groups.values()]


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
        else:
            report.skip(annotation.where, None, "no such picture", str(annotation.picture))
    copies: dict[object, list[int]] = defaultdict(list)
    for size, numbers in by_size.items():
        for number in numbers:
            alone = len(numbers) == 1
            copies[number if alone else (size, _digest(found[number][1].picture))].append(number)
    joined = []
    for numbers in sorted(copies.values()):
        report.note("copies of a picture joined", len(numbers) - 1)
        joined.append((found[numbers[0]][0], _joined([found[number][1] for number in numbers])))
    return joined


def _digest(path: Path) -> str:
    """What two copies of a picture share; one that cannot be read is like no other."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # told when the picture itself is read
        return str(path)


def _joined(annotations: Sequence[Annotation]) -> Annotation:
    """Several annotations of one picture as one."""
    whole = annotations[0]
    if len(annotations) > 1:
        for other in annotations[1:]:
            whole = whole.joined(replace(other, faces=(), parts=()))
        faces = tuple(face for each in annotations for face in each.faces)
        parts = tuple(part for each in annotations for part in each.parts)
        whole = replace(whole, faces=faces, parts=parts)
    return whole


def _distinct(annotation: Annotation, report: Report) -> Annotation:
    """Without what was labelled twice; of two labels the one with landmarks stays."""

    def rank(face: Face) -> tuple[bool, bool]:
        return face.ignore, face.points is None

    faces = sorted(annotation.faces, key=rank)
    kept = _first([face.whole for face in faces])
    parts: list[int] = []
    for part in dict.fromkeys(each.part for each in annotation.parts):
        numbers = [n for n, each in enumerate(annotation.parts) if each.part == part]
        parts += [numbers[n] for n in _first([annotation.parts[n].box for n in numbers])]
    twice = len(faces) - len(kept) + len(annotation.parts) - len(parts)
    if not twice:
        return annotation
    report.note("faces or parts labelled twice, one label kept", twice)
    return replace(
        annotation,
        faces=tuple(faces[number] for number in kept),
        parts=tuple(annotation.parts[number] for number in sorted(parts)),
    )


def _first(boxes: Sequence[Boxes]) -> list[int]:
    """Numbers of the boxes (0 or 1 each) that are not the same as one before them."""
    kept: list[int] = []
    placed = np.zeros((len(boxes), 4), np.float32)
    for number, each in enumerate(boxes):
        if not len(each):  # a face without any place is like no other
            kept.append(number)
            continue
        overlap = box.iou(each, placed[: len(kept)])
        if overlap.max(initial=0) <= _SAME:
            placed[len(kept)] = each[0]
            kept.append(number)
    return kept


def _named(
    found: Iterable[tuple[str, Annotation]], sources: dict[str, Source], own: set[str]
) -> Iterator[Gathered]:
    """Give every picture a file name of its own: the path inside its source, flattened.

    Unique without its suffix and whatever the case of its letters, because label files
    have another suffix and some file systems fold case.
    """
    taken: set[str] = set()
    for tag, annotation in found:
        source, path = sources[tag], annotation.picture
        roots = [root for root in (source.pictures, source.root) if root is not None]
        inside = next((root for root in roots if path.is_relative_to(root)), path.parent)
        place = path.relative_to(inside)
        flat = "__".join([tag, *place.parent.parts, place.stem])
        flat = flat.encode("utf-8", "replace").decode()
        flat = re.sub(r'[\x00-\x1f<>:"/\\|?*%~]', "_", flat)
        short = flat.encode()[:_LONGEST_NAME].decode(errors="ignore")
        name = short
        if short != flat or short.lower() in taken:
            digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:10]
            name = f"{short}_{digest}"
        taken.add(name.lower())
        yield Gathered(tag, name, annotation, tag in own)
