"""A trained network as :class:`~pipeline.stage1.Stage1` asks it: levels, boxes, evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline import cam
from pipeline.devices import device_of
from pipeline.errors import UserError
from pipeline.neonatal import files
from pipeline.neonatal.anchors import Anchors
from pipeline.neonatal.architecture import ANCHORS, STRIDES
from pipeline.neonatal.cells import cells_where
from pipeline.neonatal.decode import answers
from pipeline.neonatal.network import Level, Network
from pipeline.neonatal.second import AROUND, Second
from pipeline.stage1 import Stage1, check_side
from pipeline.yolo import Found

NAMES = ("face",)
NMS = 0.4  # RetinaFace's; with three anchors an octave, a face has boxes that overlap by half


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, its anchors, and how class and quality are weighed."""

    model: Network = field(repr=False)
    alpha: float = 1.0  # score = p ** alpha * D ** (1 - alpha)
    threshold: float = 1.0  # of the score, as its training chose it; 1: it has not
    iou: float = NMS  # of boxes from which on they are one face
    anchors: Anchors = field(default_factory=Anchors, repr=False)

    @property
    def names(self) -> list[str]:
        """Of its one class."""
        return list(NAMES)

    @property
    def strides(self) -> list[int]:
        """Pixels a cell, finest level first."""
        return list(STRIDES)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.mean.device

    @torch.no_grad()
    def look(self, batch: Tensor) -> list[Level]:
        """One forward pass: everything that boxes and heatmaps are made of."""
        found: list[Level] = self.model(batch.contiguous(memory_format=torch.channels_last))
        return found

    @torch.no_grad()
    def boxes(self, levels: Sequence[Level], conf: float, iou: float) -> list[Found]:
        """The boxes of every picture, in pixels of the batch."""
        height, width = (side * STRIDES[0] for side in levels[0].features.shape[2:])
        placed = self.anchors.levels(height, width, levels[0].features.device)
        found = answers(levels, placed, self.alpha, conf, iou or self.iou)
        values = (found.boxes, found.scores, found.picture)
        boxes, scores, picture = (each.cpu().numpy() for each in values)
        return [
            Found(boxes[own], scores[own], np.zeros(int(own.sum()), np.int64))
            for own in (picture == number for number in range(len(levels[0].features)))
        ]

    @torch.no_grad()
    def evidence(self, levels: Sequence[Level]) -> list[cam.Level]:
        """What the class logits follow from: of each cell the best of its anchors counts.

        Where a level has two steps, each anchor is explained by the one that has its last word. Of
        what neither judged, how much it counts is the first's to say.
        """
        return [
            self._first(level, number)
            if level.second is None
            else self._both(level, level.second, number)
            for number, level in enumerate(levels)
        ]

    def _first(self, level: Level, number: int) -> cam.Level:
        head = self.model.first[number]
        branch = cam.Branch(lambda seen: head(seen).amax(dim=1, keepdim=True), 0)
        logits = level.logits.amax(dim=1, keepdim=True)
        return cam.Level(level.features, level.features, logits, branch)

    def _both(self, level: Level, second: Second, number: int) -> cam.Level:
        """What both steps work on lies behind each other as channels, so that a window is enough.

        First the level's own features, then those that the masks let through, and last which
        anchors are the second's.
        """
        head, channels = self.model.first[number], level.features.shape[1]
        kept = second.kept(level.logits)
        masks = second.masks(cells_where(kept.any(dim=1)), level.features)
        whose = second.judges(kept, masks > 0)
        seen = torch.cat([level.features, level.lateral * masks, whose.to(masks)], dim=1)

        def tail(part: Tensor) -> Tensor:
            own, through, again = torch.split(part, [channels, channels, ANCHORS], dim=1)
            said = torch.where(again > 0, second.classified(own + through), head(own))
            return said.amax(dim=1, keepdim=True)

        return cam.Level(seen, seen, tail(seen), cam.Branch(tail, AROUND))


def open_neonatal(weights: Path, device: str, imgsz: int = 0, half: bool = False) -> Stage1:
    """The detector in a file of weights, asked as a stage 1 is."""
    model, about = files.load(weights)
    where = device_of(device)
    if half and where.type != "cuda":
        raise UserError("--half needs a CUDA device")
    for parameter in model.parameters():
        parameter.requires_grad = False
    model = model.eval().to(where).to(memory_format=torch.channels_last)
    network = Trained(
        model.half() if half else model,
        about["alpha"],
        about.get("threshold", 1.0),
        about.get("iou", NMS),
    )
    check_side(imgsz or about["imgsz"], network.strides)
    return Stage1(network, imgsz or about["imgsz"], half)


def at_alpha(stage: Stage1, alpha: float) -> Stage1:
    """The same network, class and quality weighed otherwise."""
    assert isinstance(stage.network, Trained)
    return replace(stage, network=replace(stage.network, alpha=alpha))
