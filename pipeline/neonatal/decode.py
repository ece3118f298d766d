"""What the network has said -> boxes: only of the few anchors that survive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from pipeline.neonatal.architecture import ANCHORS, STRIDES
from pipeline.neonatal.cells import asked, rows_of
from pipeline.neonatal.loss import CODER
from pipeline.neonatal.network import Level

LIKELY = 0.05  # what is less probable is no candidate; from .02 on, AP50 is the same to .002


@dataclass(frozen=True)
class Answers:
    """Boxes of a batch, best first in each picture."""

    boxes: Tensor  # (R, 4) pixels of the letterboxed pictures
    scores: Tensor  # (R,) by which they are ranked
    picture: Tensor  # (R,) which they are of


def answers(
    levels: Sequence[Level],
    anchors: Sequence[Tensor],
    alpha: float,
    conf: float,
    iou: float,
    most: int = 300,
    into_nms: int = 1000,
) -> Answers:
    """Every face at or above ``conf``: score = p ** alpha * D ** (1 - alpha), of which NMS keeps.

    ``most``: faces of a picture; ``into_nms``: anchors of it among which they are sought.

    Without a predicted quality, or with alpha 1, the score is the probability itself. What is less
    probable than LIKELY is no candidate, however good its box.
    """
    height, width = (side * STRIDES[0] for side in levels[0].features.shape[-2:])
    alpha = 1.0 if levels[0].quality is None else alpha
    least = max(LIKELY, conf ** (1 / alpha) if alpha else 0.0)  # the quality is 1 at most
    found = [
        _of_level(level, own, least, ranked=alpha < 1)
        for level, own in zip(levels, anchors, strict=True)
    ]
    few = _Few(*(torch.cat(each) for each in zip(*found, strict=True)))
    if alpha < 1:
        scores = few.scores**alpha * few.quality ** (1 - alpha)
        (chosen,) = (scores >= conf).nonzero(as_tuple=True)
        few = _Few(*(each[chosen] for each in few._replace(scores=scores)))
    boxes, scores, picture = CODER.decode_single(few.deltas, few.anchors), few.scores, few.picture
    count = len(levels[0].features)
    if len(scores) > into_nms:  # rarely; a network that has learned nothing is sure of nothing
        best = _first_of_each(scores.argsort(descending=True), picture, into_nms, count)
        boxes, scores, picture = boxes[best], scores[best], picture[best]
    boxes = clip_boxes_to_image(boxes, (height, width))
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


class _Few(NamedTuple):
    """The anchors that are probable enough."""

    picture: Tensor  # (M,)
    scores: Tensor  # (M,) probabilities
    quality: Tensor  # (M,) where it ranks
    deltas: Tensor  # (M, 4) their boxes, coded
    anchors: Tensor  # (M, 4)


def _of_level(level: Level, anchors: Tensor, least: float, *, ranked: bool) -> _Few:
    """Of one level all that are at least so probable."""
    cells, anchor, scores = _probable(level, least)
    every = level.logits[0, 0].numel()  # cells of a picture
    picture = cells.div(every, rounding_mode="floor")
    if not len(cells):
        return _Few(picture, scores, scores, scores.view(0, 4), scores.view(0, 4))
    quality = scores
    if ranked and level.quality is not None:
        said = asked(level.quality, level.features, cells)
        quality = said.gather(1, anchor[:, None])[:, 0].float().sigmoid()
    deltas = rows_of(level.deltas).reshape(-1, 4)[cells * ANCHORS + anchor].float()
    own = anchors[cells % every * ANCHORS + anchor]
    return _Few(picture, scores, quality, deltas, own)


def _probable(level: Level, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cells (M,) and the number of an anchor in each that is at least so probable; how much."""
    first = rows_of(level.logits)
    if level.second is None:
        scores = first.float().sigmoid()
        cell, anchor = (scores >= least).nonzero(as_tuple=True)
        return cell, anchor, scores[cell, anchor]
    kept = level.second.kept(level.logits)  # (B, A, H, W)
    cells, said = level.second.at(level.features, level.lateral, kept.any(dim=1))
    logits, judged = level.second.judged(first[cells], said, rows_of(kept)[cells])
    scores = logits.float().sigmoid()
    cell, anchor = ((scores >= least) & judged).nonzero(as_tuple=True)
    return cells[cell], anchor, scores[cell, anchor]
