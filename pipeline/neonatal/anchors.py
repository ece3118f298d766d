"""The anchors of a picture, and which of them stand for its faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import box_iou

from pipeline.neonatal.architecture import SIDES, STRIDES

POSITIVE, NEGATIVE = 0.45, 0.3  # IoU from which, and under which, an anchor is a face's or nobody's
_COVERED = 0.5  # of an anchor, by a box that counts for nothing: then it counts for nothing, too
_IGNORED = Matcher.BETWEEN_THRESHOLDS


class Anchors:
    """All anchors of pictures of one size, level by level, cell by cell: kept once made."""

    def __init__(self) -> None:
        self.generator = AnchorGenerator(SIDES, ((1.0,),) * len(SIDES))
        self.made: dict[tuple[int, int, torch.device], list[Tensor]] = {}

    def levels(self, height: int, width: int, device: torch.device) -> list[Tensor]:
        """Of each level the anchors (H * W * A, 4), centred on their cells."""
        key = (height, width, device)
        if key not in self.made:
            grids = [[-(-height // stride), -(-width // stride)] for stride in STRIDES]
            strides = [[torch.tensor(stride, device=device)] * 2 for stride in STRIDES]
            self.generator.set_cell_anchors(torch.float32, device)
            found = self.generator.grid_anchors(grids, strides)
            # torchvision centres an anchor on its cell's corner, and rounds its sides.
            self.made[key] = [
                each + stride / 2 for each, stride in zip(found, STRIDES, strict=True)
            ]
        return self.made[key]


@dataclass(frozen=True)
class Assigned:
    """What each anchor (N,) of a picture stands for."""

    labels: Tensor  # (N,) 1 a face, 0 nobody, -1 counts for nothing
    boxes: Tensor  # (N, 4) the face that it is nearest to; of no meaning where the label is not 1


class Truth:
    """What the anchors of a batch stand for.

    It is no tensor, nor made of fields: mixed precision would round the boxes.
    """

    def __init__(self, labels: Tensor, boxes: Tensor) -> None:
        self.labels = labels  # (B, N) 1, 0, -1, in eight bits
        self.boxes = boxes  # (P, 4) of the anchors labelled 1, picture by picture

    @classmethod
    def of(cls, assigned: Sequence[Assigned]) -> "Truth":
        """Of several pictures."""
        labels = torch.stack([each.labels for each in assigned]).to(torch.int8)
        return cls(labels, torch.cat([each.boxes[each.labels == 1] for each in assigned]))

    def to(self, device: torch.device) -> "Truth":
        """On another device; from pinned memory, nobody waits for it."""
        there = partial(Tensor.to, device=device, non_blocking=True)
        return Truth(there(self.labels), there(self.boxes))

    def pin_memory(self) -> "Truth":
        """In memory that a GPU reads by itself."""
        return Truth(self.labels.pin_memory(), self.boxes.pin_memory())


def assign(anchors: Tensor, faces: Tensor, ignored: Tensor) -> Assigned:
    """Anchors (N, 4) to the faces (G, 4) of a picture; those on ignored boxes (I, 4) count not.

    The best anchor of a face is its own however little they overlap, unless another face has more
    of it; a face that no anchor touches has none.
    """
    labels = anchors.new_zeros(len(anchors))
    boxes = torch.zeros_like(anchors)
    faces = faces[(faces[:, 2:] > faces[:, :2]).all(dim=1)]  # nothing overlaps one without area
    overlaps = box_iou(faces, anchors)
    touched = overlaps.amax(dim=1) > 0
    faces, overlaps = faces[touched], overlaps[touched]
    if len(faces):
        matches = Matcher(POSITIVE, NEGATIVE, allow_low_quality_matches=True)(overlaps)
        labels = (matches >= 0).to(anchors.dtype)
        labels[matches == _IGNORED] = -1
        boxes = faces[matches.clamp(min=0)]
    if len(ignored):
        labels[_near(anchors, ignored) & (labels == 0)] = -1
    return Assigned(labels, boxes)


def _near(anchors: Tensor, ignored: Tensor) -> Tensor:
    """Which anchors (N,) lie on one of some boxes (I, 4), be they tiny or huge.

    A box smaller than the smallest anchor counts as large as that: else none would fit it.
    """
    centres, sides = (ignored[:, :2] + ignored[:, 2:]) / 2, ignored[:, 2:] - ignored[:, :2]
    half = sides.clamp(min=SIDES[0][0]) / 2
    grown = torch.cat([centres - half, centres + half], dim=1)
    near: Tensor = (box_iou(anchors, grown) >= NEGATIVE).any(dim=1)
    areas = (anchors[:, 2:] - anchors[:, :2]).prod(dim=1)
    for large in ignored[sides.prod(dim=1) >= _COVERED * areas.min()]:
        low = torch.maximum(anchors[:, :2], large[:2])
        high = torch.minimum(anchors[:, 2:], large[2:])
        near |= (high - low).clamp(min=0).prod(dim=1) >= _COVERED * areas
    return near


def joined(levels: Sequence[Tensor]) -> Tensor:
    """The anchors of all levels (N, 4)."""
    return torch.cat(list(levels))
