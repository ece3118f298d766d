"""What names mean: class names that are a face or a part, and the pictures a label speaks of."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pipeline.annotations.types import Face, PartBox, Report, Source
from pipeline.boxes import Boxes
from pipeline.images import SUFFIXES
from pipeline.parts import WHOLE_FACE, part_number, plain_name

# What public data sets call a whole face. "head" is not among them: it is the larger box.
FACE_NAMES = frozenset(
    {
        *("face", "faces", "human face", "whole face", "baby face", "infant face", "newborn face"),
        *("occluded face", "visible face", "covered face", "hidden face"),
        *("mask", "no mask", "havemask", "nomask", "with mask", "without mask", "masked"),
        *("unmasked", "masked face", "unmasked face", "face mask", "face no mask"),
        *("face with mask", "face without mask", "mask weared incorrect", "incorrect mask"),
    }
)

UNKNOWN = "unknown class name"


def part_of(source: Source, name: str) -> int | None:
    """The part that a class name means; the whole face for a name that means a face.

    The source's own face names take the place of the usual ones: in some data sets a
    ``mask`` is the mask alone.
    """
    part = part_number(name)
    if part is not None:
        return part
    return WHOLE_FACE if plain_name(name) in _faces(source.face_names or FACE_NAMES) else None


def unknown(name: str) -> str:
    """The detail of a report about a class name that means nothing to us."""
    return (
        f"{name[:60]!r} is no part of a face; if it means a whole one, name it in --face-names, "
        "with all others that do"
    )


def sorted_out(things: Iterable[Face | PartBox]) -> tuple[tuple[Face, ...], tuple[PartBox, ...]]:
    """The faces and the parts among labelled things."""
    kept = list(things)
    faces = tuple(thing for thing in kept if isinstance(thing, Face))
    return faces, tuple(thing for thing in kept if isinstance(thing, PartBox))


def labelled(
    part: int, box: Boxes, attributes: dict[str, str | int | float | bool], *, ignore: bool = False
) -> Face | PartBox:
    """A labelled box as what its class means."""
    if part == WHOLE_FACE:
        return Face(box=box, attributes=attributes, ignore=ignore)
    return PartBox(part, box)


def picture(
    source: Source, report: Report, place: tuple[Path, int | None], name: str, *folders: Path
) -> Path | None:
    """The picture that a label names; None, and reported, if it leads out of the source."""
    found = source.picture(name, *folders)
    if found is None:
        report.skip(*place, "the picture's name is empty or leads out of the source", repr(name))
    return found


def picture_of_stem(stem: str, *folders: Path) -> Path | None:
    """The picture of this name directly in one of the folders, in any case and of any kind.

    FG-NET has ``001A02.JPG`` for ``001a02.pts``.
    """
    for folder in folders:
        for name in dict.fromkeys((stem, stem.upper(), stem.lower())):
            for suffix in _SUFFIXES:
                if is_file(folder / (name + suffix)):
                    return folder / (name + suffix)
    return None


def folder_near(start: Path, *names: str) -> Path | None:
    """The first folder of one of these names in a folder or in the three above it."""
    above = (start, *start.parents)[:4]
    return next((up / name for up in above for name in names if (up / name).is_dir()), None)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that cannot be one is none, and no error."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a name is too long


_COMMON = (".jpg", ".png", ".jpeg", ".bmp")
_SUFFIXES = tuple(
    case
    for suffix in (*_COMMON, *sorted(SUFFIXES.difference(_COMMON)))
    for case in (suffix, suffix.upper())
)


@lru_cache
def _faces(face_names: frozenset[str]) -> frozenset[str]:
    return frozenset(plain_name(name) for name in face_names)
