"""Heatmaps: what the second stage looks at, and what people look at.

One recipe leads from the levels of a head to the bytes of a heatmap, in training and in
detection alike; it is written into every file. A heatmap lies on the square of its
letterboxed picture, a pixel for each cell of the finest level; what the letterbox padded is 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import cam
from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.recipe import Recipe

# Targets, method, numbers of levels -> the maps of these levels.
Engine = Callable[[cam.Targets, str, Sequence[int]], list[Tensor]]


class Blank(UserError):
    """Heatmaps without any evidence."""


@dataclass(frozen=True)
class Maps:
    """The maps of a batch before they become bytes."""

    values: Tensor  # (B, K, H, W), not negative
    best: Tensor  # (B, K) the highest probability of each class
    weak: Tensor  # (B, K) bool


def draw(levels: Sequence[cam.Level], recipe: Recipe, engine: Engine | None = None) -> Maps:
    """The maps of a batch from the levels of its head.

    Anchors are chosen over all levels and drawn on the recipe's: a class that fires on a
    level that is not drawn stays blank, as it does in the thesis. Another engine may draw.
    """
    check(recipe, len(levels))
    targets = cam.choose(
        [level.logits for level in levels],
        recipe.anchors,
        recipe.conf,
        recipe.weighting,
        recipe.keep,
    )
    if engine is None:
        drawn = cam.maps(levels, targets, cam.METHODS[recipe.method], recipe.levels)
    else:
        drawn = engine(targets, recipe.method, recipe.levels)
    return Maps(cam.fuse(drawn, levels[0].features.shape[2:]), targets.best, targets.weak)


def check(recipe: Recipe, levels: int = 3) -> None:
    """An error for people if nobody knows the method, or the head has no such level."""
    if recipe.method not in cam.METHODS:
        raise UserError(f"method {recipe.method!r}: known are {', '.join(cam.METHODS)}")
    if not recipe.levels or not set(recipe.levels) <= set(range(levels)):
        known = ", ".join(map(str, range(levels)))
        raise UserError(f"levels {list(recipe.levels)}: expected some of {known}, finest first")


def encode(maps: Maps, recipe: Recipe, letterboxes: Sequence[Letterbox]) -> NDArray[np.uint8]:
    """The heatmaps (B, K or 1, S, S) of a batch, padding at 0."""
    values = maps.values.float()
    if recipe.compose == "average":
        predicted = (~maps.weak).float()
        none = predicted.sum(dim=1, keepdim=True) == 0
        predicted = torch.where(none, torch.ones_like(predicted), predicted)
        share = predicted / predicted.sum(dim=1, keepdim=True)
        values = (values * share[..., None, None]).sum(dim=1, keepdim=True)
    values = values * _inside(values, letterboxes)
    if recipe.scale == "minmax":
        low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
        share = (values - low) / (high - low).clamp(min=1e-7)
    else:
        assert recipe.peak > 0, "a fixed scale needs its peak"
        share = (values / recipe.peak).clamp(max=1)
    if not bool(share.isfinite().all()):
        raise UserError("the heatmaps hold values that are no numbers; are the weights damaged?")
    bytes_ = (share.pow(recipe.gamma) * 255).round().to(torch.uint8).cpu().numpy()
    height, width = bytes_.shape[2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((*bytes_.shape[:2], side, side), np.uint8)
    square[..., top : top + height, left : left + width] = bytes_
    return square


def peaks(maps: Maps, letterboxes: Sequence[Letterbox]) -> Tensor:
    """The greatest value (B * K,) of every map, padding apart."""
    values = maps.values.float()
    return (values * _inside(values, letterboxes)).amax(dim=(2, 3)).flatten()


def peak_of(peaks: Tensor) -> float:
    """The peak of a fixed scale: 99 of 100 maps' peaks (N,) stay at or under it."""
    peak = float(torch.quantile(peaks.float(), 0.99))
    if not peak > 0:
        raise Blank("all heatmaps are blank; is this the first stage that was trained?")
    return peak


def score_facts(maps: Maps, names: Sequence[str]) -> list[dict[str, Any]]:
    """The best score of each class in each picture of a batch, and which are weak."""
    return [
        {
            "best": {name: round(score, 4) for name, score in zip(names, scores, strict=True)},
            "weak": [name for name, is_weak in zip(names, weak, strict=True) if is_weak],
        }
        for scores, weak in zip(maps.best.tolist(), maps.weak.tolist(), strict=True)
    ]


def _content(letterbox: Letterbox, shape: Sequence[int]) -> Tensor:
    """Which cells (H, W) have their middle on the picture, not on the padding."""
    height, width = shape
    (left, top), (inner, outer) = letterbox.offset, letterbox.size
    x = (torch.arange(width) + 0.5) * letterbox.out_width / width
    y = (torch.arange(height) + 0.5) * letterbox.out_height / height
    across = (x >= left) & (x < left + inner)
    down = (y >= top) & (y < top + outer)
    return (down[:, None] & across[None, :]).float()


def _inside(values: Tensor, letterboxes: Sequence[Letterbox]) -> Tensor:
    """1 on the pictures of a batch and 0 on their padding: (B, 1, H, W)."""
    inside = torch.stack([_content(each, values.shape[2:]) for each in letterboxes])
    return inside[:, None].to(values.device)
