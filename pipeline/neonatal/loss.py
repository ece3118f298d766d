"""What the network is told it should have said: equation 1 for classes, boxes, and quality."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import sigmoid_focal_loss

from pipeline.neonatal.anchors import Truth
from pipeline.neonatal.architecture import Architecture, Labels, Quality
from pipeline.neonatal.blocks import each_anchor, flat
from pipeline.neonatal.network import Level

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
GAMMA = 1.0  # how much the second step counts
BOX = 0.25  # and the boxes, as RetinaFace has it: coded tenfold, they would drown all else


@dataclass(frozen=True)
class Losses:
    """The parts of the loss; how many positives and negatives the first step met, and kept."""

    first: Tensor
    second: Tensor
    box: Tensor
    quality: Tensor
    before: Tensor  # (2,) among the anchors that have two steps; of all, if none has
    after: Tensor  # (2,) among those of them that the first step keeps

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.first + GAMMA * self.second + BOX * self.box + self.quality


def losses(
    levels: Sequence[Level], anchors: Tensor, truth: Truth, architecture: Architecture
) -> Losses:
    """The loss of a batch; ``anchors`` (N, 4) of all levels."""
    labels = truth.labels  # (B, N)
    logits = torch.cat([level.scores for level in levels], dim=1).float()
    picture, positive = (labels == 1).nonzero(as_tuple=True)
    count = max(len(positive), 1)
    deltas = torch.cat([flat(level.deltas, 4) for level in levels], dim=1)
    deltas = deltas[picture, positive].float()
    placed = anchors[positive]
    wanted = CODER.encode_single(truth.boxes, placed)
    box = functional.smooth_l1_loss(deltas, wanted, beta=1 / 9, reduction="sum") / count
    second, before, after = _second(levels, labels, architecture.labels)
    quality = box.new_zeros(())
    if architecture.quality != "none":
        said = [
            each_anchor(level.quality(level.features))
            for level in levels
            if level.quality is not None
        ]
        decoded = CODER.decode_single(deltas.detach(), placed)
        target = quality_of(decoded, truth.boxes, architecture.quality)
        quality = functional.binary_cross_entropy_with_logits(
            torch.cat(said, dim=1)[picture, positive].float(), target, reduction="sum"
        )
        quality = quality / count
    return Losses(focal(logits, labels, labels), second, box, quality, before, after)


def focal(logits: Tensor, labels: Tensor, among: Tensor) -> Tensor:
    """The sigmoid focal loss of what counts (label 0 or 1), over the positives ``among`` labels.

    Equation 1 divides by the anchors processed; the focal loss by its inventors by positives, and
    so both steps here: the second by those of its levels, of which it may be left few or none.
    """
    every: Tensor = sigmoid_focal_loss(logits, labels.clamp(min=0).to(logits), reduction="none")
    return (every * (labels >= 0)).sum() / (among == 1).sum().clamp(min=1)


def dynamic(labels: Tensor, kept: Tensor, reading: Labels) -> Tensor:
    """Labels for the second step (y' of equation 1), after what the first step has said.

    ``kept``: it learns from the anchors that the first step kept. ``dropped``, the literal
    reading: from those that it dropped; what was dropped wrongly is positive.
    """
    learned = kept if reading == "kept" else ~kept
    return torch.where(learned, labels, torch.full_like(labels, -1))


def quality_of(boxes: Tensor, truth: Tensor, kind: Quality) -> Tensor:
    """How good boxes (N, 4) are beside their truth (N, 4): clamp(IoU - rho^2 / c^2), or the IoU.

    The paper prints the DIoU loss, 1 - IoU + rho^2 / c^2, which is high where boxes are bad.
    """
    low, high = torch.maximum(boxes[:, :2], truth[:, :2]), torch.minimum(boxes[:, 2:], truth[:, 2:])
    common = (high - low).clamp(min=0).prod(dim=1)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(dim=1) for each in (boxes, truth)]
    overlap = common / (areas[0] + areas[1] - common).clamp(min=1e-7)
    if kind == "iou":
        return overlap
    centres = (boxes[:, :2] + boxes[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2
    hull = torch.maximum(boxes[:, 2:], truth[:, 2:]) - torch.minimum(boxes[:, :2], truth[:, :2])
    apart = centres.square().sum(dim=1) / hull.square().sum(dim=1).clamp(min=1e-7)
    return (overlap - apart).clamp(0, 1)


def counted(labels: Tensor) -> Tensor:
    """How many positives and negatives (2,) there are among labels."""
    return torch.stack([(labels == 1).sum(), (labels == 0).sum()])


def _second(
    levels: Sequence[Level], labels: Tensor, reading: Labels
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of the second steps together; what is counted before them and after."""
    said, asked, left, begin = list[Tensor](), list[Tensor](), list[Tensor](), 0
    for level in levels:
        own = labels[:, begin : begin + level.logits[0].numel()]
        begin += level.logits[0].numel()
        if level.second is None:
            continue
        kept = level.second.kept(level.logits)
        logits = level.second(level.features, level.lateral, kept.any(dim=1))
        said.append(each_anchor(logits))
        asked.append(own)
        left.append(each_anchor(kept))
    if not said:
        return levels[0].logits.new_zeros(()), counted(labels), counted(labels)
    mine, kept = torch.cat(asked, dim=1), torch.cat(left, dim=1)
    learned = dynamic(mine, kept, reading)
    loss = focal(torch.cat(said, dim=1).float(), learned, mine)
    return loss, counted(mine), counted(dynamic(mine, kept, "kept"))
