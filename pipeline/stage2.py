"""Stage 2 at work: heatmaps -> the whole face, in pixels of the picture that they are of.

A network of stage 2 knows only heatmaps made as those that it was trained on: by its recipe,
from its stage 1, at its size. All of that is written into its weights and held against what
it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline import yolo
from pipeline.errors import UserError
from pipeline.heatmap_files import Stack
from pipeline.images import Letterbox
from pipeline.parts import PARTS
from pipeline.recipe import Recipe, saved
from pipeline.yolo import Found, Network


@dataclass(frozen=True, eq=False)
class Stage2:
    """A network that finds the face in heatmaps."""

    network: Network
    imgsz: int  # of the square into which heatmaps are scaled
    recipe: Recipe
    stage1: str  # the SHA-256 of the weights whose heatmaps it knows
    seen: int  # imgsz of that stage 1
    threshold: float  # chosen on validation
    first: float | None = None  # the threshold of stage 1 for which that was chosen

    def boxes(
        self,
        stacks: Sequence[Stack],
        letterboxes: Sequence[Letterbox],
        conf: float,
        iou: float = 0.0,
    ) -> list[Found]:
        """What was found in each heatmap (C, H, W), in pixels of its picture."""
        sizes = [(stack.shape[2], stack.shape[1]) for stack in stacks]
        grids = [Letterbox(width, height, self.imgsz, self.imgsz) for width, height in sizes]
        squares = [
            grid.picture(np.ascontiguousarray(stack.transpose(1, 2, 0)), pad=0)
            for grid, stack in zip(grids, stacks, strict=True)
        ]
        batch = torch.from_numpy(np.stack(squares)).to(self.network.device).permute(0, 3, 1, 2)
        dtype = next(self.network.model.parameters()).dtype
        found = self.network.boxes(self.network.look(batch.to(dtype) / 255), conf, iou)
        out = []
        for one, grid, letterbox in zip(found, grids, letterboxes, strict=True):
            cells = grid.undo(one.boxes)
            pixels = cells * np.float32(letterbox.out_width / grid.width)
            out.append(one.moved(letterbox.undo(pixels), letterbox.width, letterbox.height))
        return out


def open_stage2(weights: Path, device: torch.device) -> Stage2:
    """The network in a file of weights, if it is one for heatmaps."""
    about = yolo.about(weights)
    if "recipe" not in about:
        raise UserError(f"{weights}: no weights of a stage 2 that 'uncover train heatmap' wrote")
    network = yolo.load(weights, device)
    recipe = saved(about["recipe"])
    channels = recipe.channels(len(PARTS))
    if network.channels != channels:
        raise UserError(
            f"{weights}: a network for {network.channels} channels, whose recipe "
            f"({recipe.compose}) makes {channels}"
        )
    seen, first = about["stage1"], about.get("chosen", {}).get("first stage's")
    return Stage2(
        network, about["imgsz"], recipe, seen["sha256"], seen["imgsz"], about["threshold"], first
    )
