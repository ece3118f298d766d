"""Annotated pictures -> what the network learns from, changed by chance but repeatably.

What is drawn for a picture follows from the seed, the epoch and its number alone: not from which
process loads it, nor from what was loaded before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from pipeline import boxes as box
from pipeline import dataset, images
from pipeline.boxes import Boxes, as_boxes
from pipeline.errors import UserError
from pipeline.images import Letterbox, Picture
from pipeline.neonatal.anchors import Truth, assign
from pipeline.neonatal.learning import Learning

# As SSD and RetinaFace distort colours; torchvision's own also exchanges red, green and blue.
_COLOURS = v2.Compose(
    [
        v2.RandomApply([v2.ColorJitter(**{kind: strength})])
        for kind, strength in (
            ("brightness", 0.125),
            ("contrast", 0.5),
            ("saturation", 0.5),
            ("hue", 0.05),
        )
    ]
)


@dataclass(frozen=True, eq=False)
class Example:
    """An annotated picture on disk."""

    path: Path
    faces: Boxes  # (G, 4) pixels
    ignored: Boxes  # (I, 4) faces that count for nothing


@dataclass(frozen=True)
class Sample:
    """A picture as the network sees it."""

    picture: Tensor  # (3, S, S) uint8
    faces: Tensor  # (G, 4)
    ignored: Tensor  # (I, 4)


def examples(data: dataset.Dataset) -> list[Example]:
    """All training pictures of a dataset, those without a face included."""
    face, found = data.face, list[Example]()
    for row in data.rows():
        if row["split"] in {"train", "train" + dataset.EMPTY}:
            labels, classes = data.labels(row)
            ignored = [each["box"] for each in row["faces"] if each["ignore"] and each["box"]]
            found.append(Example(data.picture(row), labels[classes == face], as_boxes(ignored)))
    gone = [each.path for each in found if not each.path.is_file()]
    if gone:
        raise UserError(
            f"{data.root}: {len(gone)} of {len(found)} training pictures are gone, e.g. {gone[0]}; "
            "'uncover prepare' makes the dataset anew"
        )
    return found


def drawn(sets: Sequence[Sequence[Example]], learning: Learning, epoch: int) -> list[Example]:
    """The pictures of an epoch, in its order."""
    chance = np.random.default_rng([learning.seed, epoch])
    chosen = [
        own[number]
        for own in sets
        for number in chance.permutation(len(own))[: learning.pictures or None].tolist()
    ]
    return [chosen[number] for number in chance.permutation(len(chosen)).tolist()]


class Samples(TorchDataset[Sample]):
    """The pictures of one epoch, each read and changed when it is asked for."""

    def __init__(
        self, pictures: Sequence[Example], imgsz: int, learning: Learning, epoch: int
    ) -> None:
        self.pictures, self.imgsz = pictures, imgsz
        self.learning, self.epoch = learning, epoch

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> Sample:
        one = self.pictures[number]
        chance = np.random.default_rng([self.learning.seed, self.epoch, number])
        picture, faces, ignored = placed(
            images.read_named(one.path),
            one.faces,
            one.ignored,
            self.imgsz,
            self.learning.zoom,
            chance,
        )
        tiny = ~box.at_least(faces, self.learning.least)
        faces, ignored = faces[~tiny], np.concatenate([ignored, faces[tiny]])
        if chance.random() < 0.5:
            picture = picture[:, ::-1]
            faces, ignored = (_mirrored(each, self.imgsz) for each in (faces, ignored))
        colours = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(chance.integers(2**62)))
            colours = _COLOURS(colours)
        return Sample(colours, torch.from_numpy(faces), torch.from_numpy(ignored))


def placed(
    picture: Picture,
    faces: Boxes,
    ignored: Boxes,
    side: int,
    zoom: tuple[float, float],
    chance: Generator,
) -> tuple[Picture, Boxes, Boxes]:
    """A picture in a square, as detection letterboxes it, but smaller or larger by chance.

    A face whose centre is cut off counts for nothing; what is left of it is still ignored.
    """
    factor = float(np.exp(chance.uniform(*np.log(zoom))))
    height, width = picture.shape[:2]
    if factor > 1:
        wide, high = max(round(width / factor), 1), max(round(height / factor), 1)
        left, top = int(chance.integers(width - wide + 1)), int(chance.integers(height - high + 1))
        picture = picture[top : top + high, left : left + wide]
        shift = np.array([left, top, left, top], np.float32)
        faces, ignored = faces - shift, ignored - shift
        centres = (faces[:, :2] + faces[:, 2:]) / 2
        inside = ((centres >= 0) & (centres < (wide, high))).all(axis=1)
        ignored = box.clip(np.concatenate([ignored, faces[~inside]]), wide, high)
        faces, ignored = box.clip(faces[inside], wide, high), ignored[box.area(ignored) > 0]
        height, width = high, wide
    inner = max(round(side * min(factor, 1.0)), 1)
    letterbox = Letterbox(width, height, inner, inner)
    out = np.full((side, side, 3), images.PAD, np.uint8)
    left, top = (int(each) for each in chance.integers(side - inner + 1, size=2))
    out[top : top + inner, left : left + inner] = letterbox.picture(picture)
    shift = np.array([left, top, left, top], np.float32)
    return out, letterbox.apply(faces) + shift, letterbox.apply(ignored) + shift


def _mirrored(boxes: Boxes, side: int) -> Boxes:
    return as_boxes(np.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], 1))


def batched(anchors: Tensor, samples: Sequence[Sample]) -> tuple[Tensor, Truth]:
    """Pictures (B, 3, S, S) uint8, and what the anchors (N, 4) of each stand for.

    This is done where pictures are loaded: a GPU need not stop for it.
    """
    told = [assign(anchors, each.faces, each.ignored) for each in samples]
    return torch.stack([each.picture for each in samples]), Truth.of(told)
