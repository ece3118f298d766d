"""What the network has said -> boxes: only of the few anchors that survive."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from pipeline.neonatal.architecture import ANCHORS
from pipeline.neonatal.loss import CODER
from pipeline.neonatal.network import Level


@dataclass(frozen=True)
class Answers:
    """Boxes of a batch, best first in each picture."""

    boxes: Tensor  # (R, 4) pixels of the letterboxed pictures
    scores: Tensor  # (R,) by which they are ranked
    picture: Tensor  # (R,) which they are of


def answers(
    levels: Sequence[Level],
    anchors: Sequence[Tensor],
    theta: float,
    alpha: float,
    conf: float,
    iou: float,
    most: int = 300,
    into_nms: int = 1000,
) -> Answers:
    """Every face at or above ``conf``: score = p ** alpha * D ** (1 - alpha), of which NMS keeps.

    ``most``: faces of a picture; ``into_nms``: anchors of it among which they are sought.

    Without a predicted quality, or with alpha 1, the score is the probability itself.
    """
    size = levels[0].features.shape[-2] * 4, levels[0].features.shape[-1] * 4
    parts = [
        _of_level(level, own, theta, alpha, conf)
        for level, own in zip(levels, anchors, strict=True)
    ]
    boxes, scores, picture = (torch.cat(each) for each in zip(*parts, strict=True))
    count = len(levels[0].features)
    if len(scores) > into_nms:  # rarely; a network that has learned nothing is sure of nothing
        best = _first_of_each(scores.argsort(descending=True), picture, into_nms, count)
        boxes, scores, picture = boxes[best], scores[best], picture[best]
    boxes = clip_boxes_to_image(boxes, size)
    kept = _first_of_each(batched_nms(boxes, scores, picture, iou), picture, most, count)
    return Answers(boxes[kept], scores[kept], picture[kept])


def _first_of_each(order: Tensor, picture: Tensor, most: int, count: int) -> Tensor:
    """Of each of ``count`` pictures the first so many, in the same order."""
    if len(order) <= most:
        return order
    chosen = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    for number in range(count):
        (places,) = (picture[order] == number).nonzero(as_tuple=True)
        chosen[places[:most]] = True
    return order[chosen]


def _of_level(
    level: Level, anchors: Tensor, theta: float, alpha: float, conf: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and pictures of the anchors of one level that reach ``conf``."""
    alpha = 1.0 if level.quality is None else alpha
    least = conf ** (1 / alpha) if alpha else 0.0  # the quality is 1 at most
    picture, cell, kind, score = _probable(level, theta, least)
    width = level.features.shape[-1]
    row, column = cell // width, cell % width
    if level.quality is not None and alpha < 1:
        quality = level.quality[picture, kind, row, column].float().sigmoid()
        score = score**alpha * quality ** (1 - alpha)
        picture, cell, kind, row, column, score = _only(
            score >= conf, picture, cell, kind, row, column, score
        )
    number = torch.arange(4, device=kind.device)
    deltas = level.deltas[
        picture[:, None], 4 * kind[:, None] + number, row[:, None], column[:, None]
    ]
    boxes = CODER.decode_single(deltas.float(), anchors[cell * ANCHORS + kind])
    return boxes, score, picture


def _probable(level: Level, theta: float, least: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, cell, anchor of the cell, and probability, of all anchors from ``least`` on."""
    width = level.features.shape[-1]
    if level.second is None:
        scores = level.logits.float().sigmoid()
        picture, kind, row, column = (scores >= least).nonzero(as_tuple=True)
        return picture, row * width + column, kind, scores[picture, kind, row, column]
    kept = level.kept(theta)  # (B, A, H, W)
    cells, logits = level.second.at(level.features, level.lateral, kept.any(dim=1))
    scores = logits.float().sigmoid()  # (M, A)
    own = kept.permute(0, 2, 3, 1)[cells[:, 0], cells[:, 1], cells[:, 2]]  # (M, A)
    place, kind = ((scores >= least) & own).nonzero(as_tuple=True)
    picture, row, column = cells[place].unbind(dim=1)
    return picture, row * width + column, kind, scores[place, kind]


def _only(chosen: Tensor, *values: Tensor) -> list[Tensor]:
    return [each[chosen] for each in values]
