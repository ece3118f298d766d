"""Heatmaps: what the second stage looks at, and what people look at.

One recipe leads from the levels of a head to the bytes of a heatmap, in training and in
detection alike; it is written into every file. A heatmap lies on the square of its
letterboxed picture, a pixel for each cell of the finest level; what the letterbox padded is 0.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import cam
from pipeline.errors import UserError
from pipeline.images import Letterbox, Picture
from pipeline.recipe import Compose, Recipe, saved

Stack = NDArray[np.uint8]  # (K or 1, H, W)

# What tifffile and zlib raise at files that are not what they should be.
_NO_HEATMAP = (
    *(OSError, tifffile.TiffFileError, zlib.error, struct.error, RuntimeError, MemoryError),
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError),
)

# Targets, method, numbers of levels -> the maps of these levels.
Engine = Callable[[cam.Targets, str, Sequence[int]], list[Tensor]]


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
        raise UserError("all heatmaps are blank; is this the first stage that was trained?")
    return peak


def write(path: Path, stack: Stack, facts: dict[str, Any]) -> None:
    """Write a heatmap as a TIFF of one uint8 page a channel, which Ultralytics reads too.

    It appears whole: what a killed run leaves has another name.
    """
    partial = path.with_name(f".{path.name}.partial")
    tifffile.imwrite(
        partial,
        stack,
        photometric="minisblack",
        compression="zlib",
        description=json.dumps(facts | {"crc32": _crc32(stack)}, ensure_ascii=True),
        metadata=None,
    )
    partial.replace(path)


def read(path: Path) -> tuple[Stack, dict[str, Any]]:
    """A heatmap (K or 1, H, W) and the facts that were written with it."""
    with _opened(path) as file:
        pages = list(file.pages)
        wrong = _wrong_pages(pages)
        if wrong:
            raise UserError(f"{path}: not a heatmap: {wrong}; expected one uint8 page a channel")
        facts = _facts(path, file)
        compose = facts["recipe"]["compose"]
        expected = saved(facts["recipe"]).channels(len(facts["names"]))
        if len(pages) != expected:
            raise UserError(
                f"{path}: not the heatmap it says it is: {_size(pages)}; expected {expected} "
                f"channels ({compose})"
            )
        height, width = pages[0].shape
        square = Letterbox(**facts["letterbox"])
        if height > square.out_height or width > square.out_width:  # a bomb, or a changed bit
            raise UserError(f"{path}: a damaged heatmap: {_size(pages)}")
        stack = np.stack([page.asarray() for page in pages])
        # A decoder fills up what a changed header asks for, without a word.
        if facts.get("crc32", _crc32(stack)) != _crc32(stack):
            raise UserError(f"{path}: a damaged heatmap: other pixels than were written")
        return stack, facts


def read_facts(path: Path) -> dict[str, Any]:
    """What was written with a heatmap, without its pixels."""
    with _opened(path) as file:
        return _facts(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF; whatever is wrong with it, in words. It is read bit by bit, inside the block."""
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except _NO_HEATMAP as error:
        raise UserError(f"{path}: not a heatmap, or a damaged one: {error}") from error


def _facts(path: Path, file: tifffile.TiffFile) -> dict[str, Any]:
    """The facts in the description of the first page."""
    try:
        facts = json.loads(file.pages.first.description)
    except ValueError:
        facts = None
    if not _complete(facts):
        pages = list(file.pages)
        raise UserError(f"{path}: not a heatmap: a TIFF without its facts, with {_size(pages)}")
    return dict(facts)


def _complete(facts: object) -> bool:
    """Whether these are the facts of a heatmap, each of its type."""
    if not isinstance(facts, dict):
        return False
    recipe, names, letterbox = (facts.get(key) for key in ("recipe", "names", "letterbox"))
    return (
        isinstance(recipe, dict)
        and recipe.get("compose") in get_args(Compose)
        and isinstance(names, list)
        and isinstance(letterbox, dict)
    )


def _crc32(stack: Stack) -> int:
    return zlib.crc32(stack.tobytes())


def facts_of(
    recipe: Recipe, names: Sequence[str], letterbox: Letterbox, **more: object
) -> dict[str, Any]:
    """What is written into a heatmap's file."""
    return {"recipe": asdict(recipe), "names": list(names), "letterbox": asdict(letterbox)} | more


def score_facts(maps: Maps, names: Sequence[str]) -> list[dict[str, Any]]:
    """The best score of each class in each picture of a batch, and which are weak."""
    return [
        {
            "best": {name: round(score, 4) for name, score in zip(names, scores, strict=True)},
            "weak": [name for name, is_weak in zip(names, weak, strict=True) if is_weak],
        }
        for scores, weak in zip(maps.best.tolist(), maps.weak.tolist(), strict=True)
    ]


def overlay(picture: Picture, heat: NDArray[np.uint8], letterbox: Letterbox) -> Picture:
    """One map (H, W) over its greyed picture: even colours, and opacity by evidence."""
    height, width = picture.shape[:2]
    scale = np.array([heat.shape[1] / letterbox.out_width, heat.shape[0] / letterbox.out_height])
    (left, top), (inner, outer) = np.array(letterbox.offset) * scale, letterbox.size * scale
    # Map cells are squares of the letterboxed picture: cut the content out, cell by cell.
    matrix = np.array([[width / inner, 0, -left * width / inner], [0, height / outer, 0]])
    matrix[1, 2] = -top * height / outer
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - [0.5, 0.5]
    large = cv2.warpAffine(heat, matrix, (width, height), flags=cv2.INTER_LINEAR)
    share = np.asarray(large, np.float32)[..., None] / 255
    # Grey, because the heat's colours are those of skin and cloth; the root lets weak show.
    grey = picture.mean(axis=2, keepdims=True) * 0.6 + 40
    opacity = np.sqrt(share) * 0.85
    mixed = grey * (1 - opacity) + colours(np.asarray(large)) * opacity
    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def colours(heat: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The colour (H, W, 3) of each value of a map (H, W)."""
    painted = cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(painted, cv2.COLOR_BGR2RGB), np.float32)


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


def _wrong_pages(pages: Sequence[Any]) -> str | None:
    """What is wrong with the pages of a TIFF; None for those of a heatmap."""
    first = pages[0]
    if first.samplesperpixel != 1:
        how = "planar" if first.planarconfig == 2 else "interleaved"
        return f"{first.samplesperpixel} {how} samples a page"
    if first.dtype != np.uint8:
        return f"{first.dtype} values"
    shapes = {page.shape for page in pages}
    return None if len(shapes) == 1 else f"pages of different shapes {sorted(shapes)}"


def _size(pages: Sequence[Any]) -> str:
    height, width = pages[0].shape[:2]
    return f"{len(pages)} page{'s' * (len(pages) > 1)} of {width}x{height}"
