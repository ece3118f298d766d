"""What a reader gives back: annotations, and a report of what it had to leave out."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.boxes import Boxes
from pipeline.parts import SCHEMES, Points

# What is known of a landmark. SELF: the head itself hides it, it has no place (NaN).
VISIBLE, EXTERNAL, SELF = 0, 1, 2

Value = str | int | float | bool


@dataclass(frozen=True, eq=False)
class Face:
    """One labelled face: landmarks, or a box, or both."""

    box: Boxes | None = None  # (1, 4) as the format gives it
    points: Points | None = None  # (P, 2); NaN where the head itself hides the point
    visibility: NDArray[np.uint8] | None = None  # (P,) VISIBLE, EXTERNAL or SELF; None: not said
    scheme: str | None = None  # key of parts.SCHEMES, wherever there are points
    attributes: Mapping[str, Value] = field(default_factory=dict)
    ignore: bool = False  # the format says: neither a face to find nor a mistake to find it

    def __post_init__(self) -> None:
        assert (self.points is None) == (self.scheme is None)
        assert self.box is not None or self.points is not None
        if self.points is not None and self.scheme is not None:
            assert self.points.shape == (SCHEMES[self.scheme].count, 2)

    @property
    def states(self) -> NDArray[np.uint8]:
        """The visibility (P,) of the points; where it is not said, what has a place is seen."""
        assert self.points is not None
        if self.visibility is not None:
            return self.visibility
        return np.where(np.isnan(self.points).any(axis=1), SELF, VISIBLE).astype(np.uint8)

    @property
    def whole(self) -> Boxes:
        """The whole face (1, 4): around the landmarks where there are any, else the box.

        (0, 4) for a face of which no landmark has a place and no box is given.
        """
        if self.points is not None:
            placed = box.around(self.points)
            if len(placed) or self.box is None:
                return placed
        assert self.box is not None
        return self.box

    def from_brows(self, forehead: float) -> "Face":
        """The face with its box less the forehead; landmarks begin at the brows anyway."""
        if self.box is None or self.points is not None or not forehead:
            return self
        lower = self.box.copy()
        lower[:, 1] += forehead * (lower[:, 3] - lower[:, 1])
        return replace(self, box=lower)


@dataclass(frozen=True, eq=False)
class PartBox:
    """A box of one part, from a format that does not say to which face it belongs."""

    part: int  # index into parts.PARTS
    box: Boxes  # (1, 4)


@dataclass(frozen=True, eq=False)
class Annotation:
    """One picture and what is labelled in it."""

    picture: Path
    where: str  # file and line it came from, for messages
    faces: tuple[Face, ...] = ()
    parts: tuple[PartBox, ...] = ()
    split: str | None = None  # train, val or test, where the source has its own split
    group: str | None = None  # subject, patient or photograph: never in two splits
    complete: bool = False  # the source promises that every face of the picture is labelled
    labelled: bool = True  # False: bare frames

    def joined(self, other: "Annotation") -> "Annotation":
        """Both annotations of one picture as one; if one is for testing, nobody trains on it."""
        strictness = {"test": 0, "val": 1, "train": 2, None: 3}
        return replace(
            self,
            split=min(self.split, other.split, key=lambda name: strictness[name]),
            faces=self.faces + other.faces,
            parts=self.parts + other.parts,
            complete=self.complete and other.complete,
            labelled=self.labelled or other.labelled,
        )


@dataclass(frozen=True)
class Skip:
    """Something that was left out, where it stood, and why."""

    file: str
    line: int | None
    what: str  # the same words for the same kind of trouble: they are counted
    detail: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}" + (f" ({self.detail})" if self.detail else "")


class Report:
    """Collects what could not be read, so that nothing is dropped in silence."""

    KEPT = 1000  # examples kept in full; beyond that only the counts grow

    def __init__(self) -> None:
        self.skips: list[Skip] = []
        self.counts: Counter[str] = Counter()  # left out, by reason
        self.notes: Counter[str] = Counter()  # changed on the way in, but not left out

    def skip(self, file: Path | str, line: int | None, what: str, detail: str = "") -> None:
        """Note that the thing at this place was left out."""
        self.counts[what] += 1
        if len(self.skips) < self.KEPT:
            self.skips.append(Skip(str(file), line, what, detail))

    def add(self, skips: Iterable[Skip], notes: Mapping[str, int]) -> None:
        """Take over what another process has counted."""
        for one in skips:
            self.skip(one.file, one.line, one.what, one.detail)
        for what, count in notes.items():
            self.note(what, count)

    def note(self, what: str, count: int = 1) -> None:
        """Count something that was changed, and is still there."""
        if count:
            self.notes[what] += count

    @property
    def total(self) -> int:
        """How many things were left out."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Source:
    """Where annotations are to be read from."""

    format: str
    path: Path
    pictures: Path | None = None  # where the pictures lie, if not with the annotations
    face_names: frozenset[str] = frozenset()  # class names that mean a whole face

    def picture(self, name: str, *folders: Path) -> Path | None:
        """The place of a picture that an annotation names; None if it leads out of the source.

        The first of the folders that holds it; where none does, its place in the first
        one, so that the message about a missing picture names a path.
        """
        plain = name.strip().replace("\\", "/")
        roots = (self.pictures,) if self.pictures is not None else folders
        inside = []
        for root in roots if plain else ():
            path = Path(os.path.normpath(root / plain))
            allowed = [folder for folder in (root, self.pictures, self.root) if folder is not None]
            # os.path, for Path.resolve would follow the links that data sets are full of
            if any(path.is_relative_to(os.path.normpath(folder)) for folder in allowed):
                inside.append(path)
        # os.path, for Path.is_file raises where a name is too long to be one
        there = (path for path in inside if os.path.isfile(path))  # noqa: PTH113
        return next(there, inside[0] if inside else None)

    @property
    def root(self) -> Path:
        """The folder of the source, also where the source is a single file."""
        return self.path if self.path.is_dir() else self.path.parent
