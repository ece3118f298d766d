"""What labels do not say: places of pictures where nobody knows which classes there are.

A picture on which only whole faces are labelled tells where faces are and where not, and that
outside of them there are no parts; within them it says nothing of parts. Faces too small to be
learned are no background either. Such places travel with the labels, as boxes under class
numbers behind the real ones, through all that moves and mirrors boxes; the loss takes them out
again and leaves the classes that are unknown there uncounted.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils.ops import xywh2xyxy
from ultralytics.utils.tal import make_anchors

PARTS_UNKNOWN, ALL_UNKNOWN = 0, 1  # class numbers, counted from the number of classes on
SMALLEST = 10.0  # pixels of a face, in the square that the network sees

Labels = dict[str, Any]  # Ultralytics' dictionary of a picture and its boxes


def whole_faces_alone(label: Labels, classes: int, face: int, imgsz: int) -> None:
    """Make the labels of a picture with whole faces alone fit for a network of more classes."""
    height, width = label["shape"]
    sides = label["bboxes"][:, 2:] * (width, height) * imgsz / max(height, width)
    small = sides.max(axis=1, initial=0) < SMALLEST if len(sides) else np.zeros(0, bool)
    region = np.where(small, classes + ALL_UNKNOWN, classes + PARTS_UNKNOWN)
    numbers = np.concatenate([np.full((~small).sum(), face), region])
    label["cls"] = numbers[:, None].astype(np.float32)
    label["bboxes"] = np.concatenate([label["bboxes"][~small], label["bboxes"]]).astype(np.float32)


def known(
    batch: Mapping[str, Any], features: list[Tensor], strides: Tensor, classes: int, face: int
) -> tuple[dict[str, Any], Tensor | None]:
    """A batch with its real labels alone, and what counts of each logit (B, A, K); None: all."""
    number = batch["cls"].view(-1)
    real = number < classes
    if bool(real.all()):
        return dict(batch), None
    rest = {key: batch[key][real] for key in ("cls", "bboxes", "batch_idx")}
    anchors, stride = make_anchors(features, strides, 0.5)
    places = anchors * stride  # (A, 2) pixels
    size = torch.tensor(features[0].shape[:1:-1], device=places.device) * strides[0]
    boxes = xywh2xyxy(batch["bboxes"][~real].to(places.device)) * size.repeat(2)  # (R, 4)
    inside = (places > boxes[:, None, :2]).all(2) & (places < boxes[:, None, 2:]).all(2)  # (R, A)
    counts = torch.ones(len(features[0]), len(places), classes, device=places.device)
    image = batch["batch_idx"][~real].long()
    everything = number[~real] == classes + ALL_UNKNOWN
    for row in range(len(boxes)):
        of = counts[image[row], inside[row]]
        kept = of.new_zeros(of.shape)
        if not bool(everything[row]):
            kept[:, face] = of[:, face]
        counts[image[row], inside[row]] = kept
    return dict(batch) | rest, counts
