"""Pictures -> letterboxed batches of one shape, as networks are asked."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pipeline.images import Letterbox, Picture

Loaded = list[tuple[Picture, Letterbox]]  # letterboxed pictures and how they were


def letterbox(width: int, height: int, imgsz: int, cell: int) -> Letterbox:
    """Into the square of ``imgsz``, without those of its cells that would be padding alone."""
    scale = Letterbox(width, height, imgsz, imgsz).scale
    # A side that is rounded down would shrink the whole picture with it.
    sides = (math.ceil(side * scale / cell - 1e-6) * cell for side in (width, height))
    return Letterbox(width, height, *sides)


def alike(
    loaded: Loaded, device: torch.device, half: bool
) -> Iterator[tuple[list[int], Tensor, list[Letterbox]]]:
    """Each shape that there is: which pictures have it, and they in 0 to 1 (B, 3, H, W)."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, (picture, _) in enumerate(loaded):
        shapes.setdefault(picture.shape, []).append(number)
    for numbers in shapes.values():
        pictures = np.stack([loaded[number][0] for number in numbers])  # (B, H, W, 3)
        batch = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2)
        scaled = (batch.half() if half else batch.float()) / 255
        yield numbers, scaled, [loaded[number][1] for number in numbers]
