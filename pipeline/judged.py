"""What every box is worth against the truth, worked out once: tables are sums over it.

Boxes are matched as COCO matches them: surest first, each to the face that it fits best of those
which no surer box has found. A box that finds no face and lies on one that is to be ignored is
neither right nor wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.intervals import Groups, grouped
from pipeline.predictions import Scene

OVERLAPS = np.arange(50, 100, 5) / 100  # IoU at which a box is right, from ENOUGH on
_COVERED = 0.5  # of a box, by a face to be ignored


@dataclass(frozen=True, eq=False)
class Said:
    """All boxes of one detector but those on ignored faces: scene by scene, surest first."""

    scene: NDArray[np.int64]  # (N,) of each box, the number of its scene
    scores: NDArray[np.float64]  # (N,)
    right: NDArray[np.bool_]  # (T, N) at each of OVERLAPS
    surest: NDArray[np.float64]  # (S,) the best score in each scene; -inf where it has no box
    overlap: NDArray[np.float64]  # (S,) IoU of that box with a face; nan on an ignored one


@dataclass(frozen=True, eq=False)
class Judged:
    """Scenes, and what each detector's boxes in them are worth."""

    scenes: Sequence[Scene]
    said: Mapping[str, Said]
    groups: Groups  # of scenes that belong together: a subject, a photograph

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """How many there are in each scene (S,)."""
        return np.array([len(scene.truth) for scene in self.scenes], np.int64)

    def part(self, mask: NDArray[np.bool_]) -> "Judged":
        """Some of the scenes."""
        places = np.cumsum(mask) - 1
        kept = {}
        for name, said in self.said.items():
            mine = mask[said.scene]
            kept[name] = Said(
                places[said.scene[mine]],
                said.scores[mine],
                said.right[:, mine],
                said.surest[mask],
                said.overlap[mask],
            )
        chosen = [scene for scene, each in zip(self.scenes, mask.tolist(), strict=True) if each]
        return Judged(chosen, kept, self.groups.part(mask))

    def among_faces(self, fact: str, value: str) -> "Judged":
        """Of all faces those of which something is true; the others are to be ignored."""
        mask = np.array([any(f.get(fact) == value for f in s.of_faces) for s in self.scenes], bool)
        chosen = [
            scene.of(np.array([facts.get(fact) == value for facts in scene.of_faces], bool))
            for scene in self.part(mask).scenes
        ]
        return judge(chosen, self.groups.part(mask))


def judge(scenes: Sequence[Scene], groups: Groups | None = None) -> Judged:
    """Everything that every detector says of the scenes, which all have asked the same ones."""
    names = list(scenes[0].answers) if scenes else []
    own = groups or grouped([scene.group or scene.name for scene in scenes])
    return Judged(scenes, {name: _said(scenes, name) for name in names}, own)


def _said(scenes: Sequence[Scene], name: str) -> Said:
    answers = [scene.answers[name] for scene in scenes]
    counts = np.array([len(answer.scores) for answer in answers], np.int64)
    scene = np.repeat(np.arange(len(scenes)), counts)
    boxes = np.concatenate([box.as_boxes([]), *(answer.boxes for answer in answers)])
    # Rounded, so that .9 in single precision is not under .9.
    scores = np.concatenate([np.zeros(0), *(answer.scores for answer in answers)]).round(6)
    mine, face, fits = _pairs(scene, boxes, [each.truth for each in scenes], covered=False)
    right = np.zeros((len(OVERLAPS), len(boxes)), bool)
    for row, enough in zip(right, OVERLAPS, strict=True):
        _match(row, mine[fits >= enough], face[fits >= enough], fits[fits >= enough])
    best = np.zeros(len(boxes))
    np.maximum.at(best, mine, fits)
    spared = np.zeros(len(boxes), bool)
    over, _, share = _pairs(scene, boxes, [each.ignored for each in scenes], covered=True)
    spared[over[share >= _COVERED]] = True
    spared &= ~right[0]
    surest, overlap = np.full(len(scenes), -np.inf), np.zeros(len(scenes))
    first = (np.cumsum(counts) - counts)[counts > 0]
    surest[counts > 0] = scores[first]
    overlap[counts > 0] = np.where(spared[first], np.nan, best[first])
    return Said(scene[~spared], scores[~spared], right[:, ~spared], surest, overlap)


def _pairs(
    scene: NDArray[np.int64], boxes: box.Boxes, others: Sequence[box.Boxes], *, covered: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Each box with each other of its scene: their numbers, and IoU or the share that is covered.

    In the order of boxes.
    """
    counts = np.array([len(each) for each in others], np.int64)
    begin = np.cumsum(counts) - counts
    mine = np.repeat(np.arange(len(scene)), counts[scene])
    within = np.arange(len(mine)) - np.searchsorted(mine, mine)
    other = begin[scene[mine]] + within
    placed = np.concatenate([box.as_boxes([]), *others])[other]
    common = box.area(box.intersect(boxes[mine], placed)).astype(np.float64)
    own = box.area(boxes[mine])
    whole = own if covered else own + box.area(placed) - common
    return mine, other, np.divide(common, whole, out=np.zeros(len(mine)), where=whole > 0)


def _match(
    right: NDArray[np.bool_],
    mine: NDArray[np.int64],
    face: NDArray[np.int64],
    fits: NDArray[np.float64],
) -> None:
    """Mark the boxes that find a face, among pairs that overlap enough."""
    order = np.lexsort((-fits, mine))
    taken, done = set[int](), set[int]()
    for one, other in zip(mine[order].tolist(), face[order].tolist(), strict=True):
        if one not in done and other not in taken:
            done.add(one)
            taken.add(other)
    right[list(done)] = True
