"""Stage 1 at work: pictures -> letterboxed batch -> levels of the head -> boxes and heatmaps.

Training data and detection both come through here, so that stage 2 sees the same in both. So does
every other network that is asked about pictures: the control, the neonatal detector.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from pipeline import cam, heatmaps, squares, yolo
from pipeline import parts as ten
from pipeline.devices import device_of
from pipeline.errors import UserError
from pipeline.heatmap_files import Stack
from pipeline.heatmaps import Maps
from pipeline.images import Letterbox, Picture
from pipeline.recipe import Recipe
from pipeline.squares import Loaded
from pipeline.yolo import Found, Network

Engine = Literal["ours", "grad-cam"]


class Asked(Protocol):
    """A network, taken apart: what it has seen on its levels, the boxes and the evidence of that.

    What a level is, the network alone knows.
    """

    @property
    def names(self) -> list[str]:
        """Class names in the order of their ids."""

    @property
    def strides(self) -> list[int]:
        """Pixels a cell, finest level first."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def look(self, batch: Tensor) -> list[Any]:
        """Pictures (B, 3, H, W) in 0 to 1 through one forward pass."""

    def boxes(self, levels: Any, conf: float, iou: float) -> list[Found]:  # noqa: ANN401
        """The boxes of every picture, in pixels of the batch, best first; iou 0: its own."""

    def evidence(self, levels: Any) -> list[cam.Level]:  # noqa: ANN401
        """What class logits follow from."""


@dataclass(frozen=True, eq=False)
class Looked:
    """Pictures of one shape after their one forward pass."""

    numbers: list[int]  # which they are of those that were given
    batch: Tensor  # (B, 3, H, W) in 0 to 1
    levels: list[Any]  # of the network's own kind
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
    """A network of the ten parts (or of the face alone), and how it is asked."""

    network: Asked
    imgsz: int
    half: bool = False
    engine: Engine = "ours"

    @property
    def names(self) -> list[str]:
        """The parts, or the face, in the order of their ids."""
        return list(ten.PARTS) if len(self.network.names) > 1 else self.network.names

    def letterbox(self, width: int, height: int) -> Letterbox:
        """Into the square of ``imgsz``, without its cells that would be padding alone."""
        return squares.letterbox(width, height, self.imgsz, max(self.network.strides))

    def load(self, picture: Picture) -> tuple[Picture, Letterbox]:
        """A picture, letterboxed."""
        letterbox = self.letterbox(picture.shape[1], picture.shape[0])
        return letterbox.picture(picture), letterbox

    def look(self, loaded: Loaded) -> Iterator[Looked]:
        """One forward pass for each shape that there is among the pictures."""
        for numbers, batch, letterboxes in squares.alike(loaded, self.network.device, self.half):
            yield Looked(numbers, batch, self.network.look(batch), letterboxes)

    def boxes(self, looked: Looked, conf: float, iou: float = 0.0) -> list[Found]:
        """What was found in each picture, in its own pixels; nothing that lies beside it."""
        found = self.network.boxes(looked.levels, conf, iou)
        return [
            one.moved(each.undo(one.boxes), each.width, each.height)
            for one, each in zip(found, looked.letterboxes, strict=True)
        ]

    def draw(self, looked: Looked, recipe: Recipe) -> Maps:
        """The maps of a batch, before they become bytes."""
        if self.engine == "ours":
            return heatmaps.draw(self.network.evidence(looked.levels), recipe)
        from pipeline.cam_reference import Logits, reference_maps

        assert isinstance(self.network, Network)
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
    check_side(imgsz, network.strides)
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
    check_side(imgsz, network.strides)
    return Stage1(network, imgsz)


def check_side(imgsz: int, strides: Sequence[int]) -> None:
    """An error for people if squares of this side have no whole cells on some level."""
    coarsest = max(strides)
    if imgsz < 1 or imgsz % coarsest:
        raise UserError(f"--imgsz {imgsz}: expected a multiple of {coarsest}")
