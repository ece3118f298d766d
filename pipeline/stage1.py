"""Stage 1 at work: pictures -> letterboxed batch -> levels of the head -> boxes and heatmaps.

Training data and detection both come through here, so that stage 2 sees the same in both.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline import cam, heatmaps, yolo
from pipeline import parts as ten
from pipeline.boxes import clip
from pipeline.errors import UserError
from pipeline.heatmap_files import Stack
from pipeline.heatmaps import Maps
from pipeline.images import Letterbox, Picture
from pipeline.recipe import Recipe
from pipeline.yolo import Found, Network

Engine = Literal["ours", "grad-cam"]
Loaded = list[tuple[Picture, Letterbox]]  # letterboxed pictures and how they were


@dataclass(frozen=True, eq=False)
class Looked:
    """Pictures of one shape after their one forward pass."""

    numbers: list[int]  # which they are of those that were given
    batch: Tensor  # (B, 3, H, W) in 0 to 1
    levels: list[cam.Level]
    letterboxes: list[Letterbox]

    @property
    def squares(self) -> list[Letterbox]:
        """The letterboxes with the padding that was left out: heatmaps lie on these."""
        side = max(self.batch.shape[2:])
        return [Letterbox(each.width, each.height, side, side) for each in self.letterboxes]

    def only(self, places: Sequence[int]) -> "Looked":
        """Some of them."""
        return Looked(
            [self.numbers[place] for place in places],
            self.batch[places],
            [level.only(places) for level in self.levels],
            [self.letterboxes[place] for place in places],
        )


@dataclass(frozen=True, eq=False)
class Stage1:
    """A network of the ten parts, and how it is asked."""

    network: Network
    imgsz: int
    half: bool = False
    engine: Engine = "ours"

    @property
    def names(self) -> list[str]:
        """The parts, in the order of their ids."""
        return list(ten.PARTS)

    def letterbox(self, width: int, height: int) -> Letterbox:
        """Into the square of ``imgsz``, without its cells that would be padding alone."""
        cell = max(self.network.strides)
        scale = Letterbox(width, height, self.imgsz, self.imgsz).scale
        # A side that is rounded down would shrink the whole picture with it.
        sides = (math.ceil(side * scale / cell - 1e-6) * cell for side in (width, height))
        return Letterbox(width, height, *sides)

    def load(self, picture: Picture) -> tuple[Picture, Letterbox]:
        """A picture, letterboxed."""
        letterbox = self.letterbox(picture.shape[1], picture.shape[0])
        return letterbox.picture(picture), letterbox

    def look(self, loaded: Loaded) -> Iterator[Looked]:
        """One forward pass for each shape that there is among the pictures."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for number, (picture, _) in enumerate(loaded):
            alike.setdefault(picture.shape, []).append(number)
        for numbers in alike.values():
            pictures = np.stack([loaded[number][0] for number in numbers])  # (B, H, W, 3)
            batch = torch.from_numpy(pictures).to(self.network.device).permute(0, 3, 1, 2)
            scaled = (batch.half() if self.half else batch.float()) / 255
            letterboxes = [loaded[number][1] for number in numbers]
            yield Looked(numbers, scaled, self.network.look(scaled), letterboxes)

    def boxes(self, looked: Looked, conf: float, iou: float = yolo.NMS_IOU) -> list[Found]:
        """What was found in each picture, in its own pixels."""
        found = self.network.boxes(looked.levels, conf, iou)
        return [
            replace(one, boxes=clip(each.undo(one.boxes), each.width, each.height))
            for one, each in zip(found, looked.letterboxes, strict=True)
        ]

    def draw(self, looked: Looked, recipe: Recipe) -> Maps:
        """The maps of a batch, before they become bytes."""
        if self.engine == "ours":
            return heatmaps.draw(looked.levels, recipe)
        from pipeline.cam_reference import Logits, reference_maps

        model = Logits(self.network.trunk, self.network.branches, self.network.device)
        return heatmaps.draw(looked.levels, recipe, partial(reference_maps, model, looked.batch))

    def heatmaps(self, looked: Looked, recipes: Sequence[Recipe]) -> list[tuple[Maps, Stack]]:
        """Maps and heatmaps (B, K or 1, S, S) for each recipe, each method drawn once."""
        drawn: dict[Recipe, Maps] = {}
        out = []
        for recipe in recipes:
            maps = drawn.get(recipe.drawing)
            if maps is None:
                maps = drawn[recipe.drawing] = self.draw(looked, recipe)
            out.append((maps, heatmaps.encode(maps, recipe, looked.letterboxes)))
        return out

    def measure(self, drawings: Sequence[Recipe], sample: Iterable[Loaded]) -> dict[Recipe, float]:
        """The peak of each drawing on a sample of pictures; none on none."""
        peaks: dict[Recipe, list[Tensor]] = {}
        for looked in (looked for loaded in sample for looked in self.look(loaded)):
            for drawing in drawings:
                maps = self.draw(looked, drawing)
                found = heatmaps.peaks(maps, looked.letterboxes).cpu()
                peaks.setdefault(drawing, []).append(found)
        return {drawing: heatmaps.peak_of(torch.cat(found)) for drawing, found in peaks.items()}


def open_stage1(
    weights: Path, device: str, imgsz: int, half: bool = False, engine: Engine = "ours"
) -> Stage1:
    """The network in a file of weights, if it is one of the ten parts."""
    where = device_of(device)
    if half and (where.type != "cuda" or engine == "grad-cam"):
        needs = "--engine ours" if engine == "grad-cam" else "a CUDA device"
        raise UserError(f"--half needs {needs}")
    network = yolo.load(weights, where)
    numbers = [ten.part_number(str(name)) for name in network.names]
    if numbers != list(range(len(ten.PARTS))):
        raise UserError(
            f"{weights}: weights for {', '.join(map(str, network.names))}; stage 1 knows the ten "
            f"parts: {', '.join(ten.PARTS)}"
        )
    if network.channels != 3:
        raise UserError(
            f"{weights}: weights for pictures of {network.channels} channels; stage 1 sees 3"
        )
    check_side(imgsz, network)
    if half:
        network.model.half()
    return Stage1(network, imgsz, half, engine)


def open_control(weights: Path, device: str, imgsz: int) -> Stage1:
    """A network of the whole face alone: it is asked for boxes, never for heatmaps."""
    network = yolo.load(weights, device_of(device))
    if len(network.names) != 1 or network.channels != 3:
        raise UserError(
            f"{weights}: weights for {', '.join(map(str, network.names))} in pictures of "
            f"{network.channels} channels; a control knows one class, the face, in pictures"
        )
    check_side(imgsz, network)
    return Stage1(network, imgsz)


def check_side(imgsz: int, network: Network) -> None:
    """An error for people if squares of this side have no whole cells on some level."""
    coarsest = max(network.strides)
    if imgsz < 1 or imgsz % coarsest:
        raise UserError(f"--imgsz {imgsz}: expected a multiple of {coarsest}")


def device_of(text: str) -> torch.device:
    """The device that is meant; '' is the first CUDA device if there is one, else the CPU."""
    if not text:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(f"cuda:{text}" if text.isdigit() else text)
    except RuntimeError:
        device = torch.device("meta")  # none that computes
    if device.type not in {"cpu", "cuda"}:
        raise UserError(f"--device {text}: expected cpu, cuda or cuda:NUMBER")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {text}: there is no such CUDA device here")
    return device


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Sums on a GPU in a fixed order: the same pictures give the same bytes, run after run.

    On a CPU they are in order anyway, and asking costs seconds of imports inside torch.
    """
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warned)
