"""The only room that knows Ultralytics.

Importing it silences Ultralytics: no telemetry, no integrations that call home. The
settings file in the user's home is not touched; only this process is.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import ultralytics.utils
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from ultralytics import YOLO
from ultralytics.engine.results import Results as Results  # what others are given
from ultralytics.nn import tasks
from ultralytics.nn.modules import Detect
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import DetectionModel, torch_safe_load
from ultralytics.utils import SETTINGS, downloads, patches
from ultralytics.utils.events import events
from ultralytics.utils.nms import non_max_suppression

from pipeline import cam
from pipeline.boxes import Boxes, area, clip
from pipeline.errors import UserError
from pipeline.images import Picture
from pipeline.runs import Json

# Integrations that would send a training's curves or a model to somebody's server.
_CALL_HOME = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "wandb")

NMS_IOU = 0.6  # the thesis's, in detection as in validation
ABOUT = "uncover"  # in a checkpoint: how the weights are to be used

# What Ultralytics, torch and pickle raise at files that are not what they should be.
_NO_WEIGHTS = (
    *(TypeError, KeyError, AttributeError, ModuleNotFoundError),
    *(RuntimeError, EOFError, pickle.UnpicklingError),
)


def _silence() -> None:
    """Switch off everything that opens a connection, also if Ultralytics was here first."""
    for name in _CALL_HOME:
        if name in SETTINGS:
            # Its own __setitem__ would write the settings file in the user's home.
            dict.__setitem__(SETTINGS, name, False)  # noqa: FBT003
    events.enabled = False
    ultralytics.utils.ONLINE = False
    tasks.SAFE_LOAD = True  # checkpoints are pickles: only tensors and known classes are read
    # It asks the network whether a font that it would like to draw with is there.
    is_url = downloads.is_url
    downloads.is_url = lambda url, check=False: not check and is_url(url)
    # Its Image.open asks for a HEIF plugin, loudly, at every file that is no picture.
    Image.open = patches._image_open  # noqa: SLF001


_silence()


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes in one picture of a batch, in pixels of the batch, best first."""

    boxes: Boxes  # (N, 4)
    scores: NDArray[np.float32]  # (N,)
    classes: NDArray[np.int64]  # (N,)

    def moved(self, boxes: Boxes, width: int, height: int) -> "Found":
        """The same with boxes in a picture of this size; what lies in the padding is left out."""
        boxes = clip(boxes, width, height)
        inside = area(boxes) > 0
        return Found(boxes[inside], self.scores[inside], self.classes[inside])


class Network:
    """A YOLO on a device, taken apart where heatmaps need it: trunk, levels, boxes."""

    def __init__(self, model: DetectionModel, device: str | torch.device = "cpu") -> None:
        self.model = model.fuse(verbose=False).eval().to(device)
        self.head = self.model.model[-1]
        for parameter in self.model.parameters():
            parameter.requires_grad_(requires_grad=False)
        self.branches = [_branch(sequence) for sequence in self.head.cv3]

    @property
    def names(self) -> list[str]:
        """Class names in the order of their ids."""
        return [self.model.names[number] for number in sorted(self.model.names)]

    @property
    def channels(self) -> int:
        """How many channels a picture must have."""
        return int(self.model.yaml.get("channels", self.model.yaml.get("ch", 3)))

    @property
    def strides(self) -> list[int]:
        """Pixels a cell, finest level first."""
        return [int(stride) for stride in self.head.stride]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        where: torch.device = next(self.model.parameters()).device
        return where

    def trunk(self, batch: Tensor) -> list[Tensor]:
        """Pictures (B, C, H, W) in 0 to 1 -> the head's inputs, finest first."""
        value, outputs = batch, dict[int, Tensor]()
        for module in self.model.model[:-1]:
            sources = [module.f] if isinstance(module.f, int) else module.f
            inputs = [value if number == -1 else outputs[number] for number in sources]
            value = module(inputs[0] if isinstance(module.f, int) else inputs)
            if module.i in self.model.save:
                outputs[module.i] = value
        return [outputs[number] for number in self.head.f]

    @torch.no_grad()
    def look(self, batch: Tensor) -> list[cam.Level]:
        """One forward pass: everything that boxes and heatmaps are made of."""
        return cam.look(self.trunk(batch), self.branches)

    def evidence(self, levels: list[cam.Level]) -> list[cam.Level]:
        """What class logits follow from: the levels themselves."""
        return levels

    @torch.no_grad()
    def boxes(
        self, levels: Sequence[cam.Level], conf: float, iou: float = 0.0, most: int = 300
    ) -> list[Found]:
        """The boxes of every picture, each class freed of its own duplicates; iou 0: NMS_IOU."""
        features = [level.features for level in levels]
        count = len(features[0])
        shapes = [
            branch(each).flatten(2) for branch, each in zip(self.head.cv2, features, strict=True)
        ]
        scores = torch.cat([level.logits.flatten(2) for level in levels], dim=2)
        # Ultralytics keeps the grid of the last picture size; its own method decodes.
        decoded = self.head._inference(  # noqa: SLF001
            {"boxes": torch.cat(shapes, dim=2), "scores": scores, "feats": features}
        )
        kept = non_max_suppression(decoded, conf, iou or NMS_IOU, max_det=most, max_time_img=10.0)
        assert len(kept) == count
        return [_found(rows.float().cpu().numpy()) for rows in kept]


def build(size: str, names: Sequence[str], channels: int = 3) -> DetectionModel:
    """A YOLOv5 of size n, s, m, l or x that has learned nothing yet."""
    model = DetectionModel(f"yolov5{size}.yaml", ch=channels, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    return model


def checkpoint(path: Path) -> Json:
    """What a file of weights holds; only tensors and known classes are read from it."""
    if not path.is_file() or path.suffix != ".pt":
        raise UserError(f"{path}: not a file of weights (NAME.pt)")
    try:
        content: Json = torch_safe_load(str(path), safe_only=True)[0]
        if "model" not in content and ABOUT in content:
            raise UserError(
                f"{path}: weights of the neonatal detector (--detector neonatal); here a YOLO's "
                "are wanted"
            )
        content["model"] = content.get("ema") or content["model"]
    except _NO_WEIGHTS as error:
        raise UserError(
            f"{path}: damaged, or no weights of a network, or weights that want to run code of "
            "their own: only tensors and known classes are read (--debug shows which)"
        ) from error
    return content


def about(path: Path) -> Json:
    """What a training of ours has written into its weights of how they are to be used."""
    said = checkpoint(path).get(ABOUT)
    return said if isinstance(said, dict) else {}


def load(path: Path, device: str | torch.device = "cpu") -> Network:
    """The network in a file of weights."""
    model = checkpoint(path)["model"]
    if not isinstance(model, DetectionModel):
        raise UserError(f"{path}: weights of a {type(model).__name__}, expected a detector")
    head = model.model[-1]
    # Segmentation, pose and other models derive from the detector, and their heads from its head.
    if type(head) is not Detect or head.end2end:
        what = "an end-to-end head" if type(head) is Detect else f"a {type(head).__name__} head"
        raise UserError(f"{path}: weights of a {type(model).__name__} with {what}; expected Detect")
    return Network(model.float(), device)


def results(picture: Picture, found: Found, names: Sequence[str], path: str = "") -> Results:
    """Boxes on a picture (H, W, 3) RGB as Ultralytics' own type, which others can read."""
    rows = np.concatenate(
        [found.boxes, found.scores[:, None], found.classes[:, None]], axis=1, dtype=np.float32
    )
    mirrored = np.ascontiguousarray(picture[..., ::-1])  # theirs is BGR
    return Results(mirrored, path or "image.jpg", dict(enumerate(names)), torch.from_numpy(rows))


def plain(
    weights: Path, imgsz: int, conf: float, device: torch.device
) -> Callable[[Path], Iterator[Results]]:
    """Ultralytics' own prediction, frame by frame: what ours is measured against."""
    model = YOLO(str(weights), task="detect")
    how = {"imgsz": imgsz, "conf": conf, "iou": NMS_IOU, "device": str(device), "verbose": False}

    def look(source: Path) -> Iterator[Results]:
        yield from model.predict(str(source), stream=True, save=False, **how)

    return look


def sample_photographs() -> list[Path]:
    """The photographs that Ultralytics ships inside its package."""
    return sorted(ultralytics.utils.ASSETS.glob("*.jpg"))


def _found(rows: NDArray[np.float32]) -> Found:
    return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def _branch(sequence: nn.Sequential) -> cam.Branch:
    """A level's class branch; its first convolution apart where it is an ordinary one.

    YOLOv5's is. Later heads begin with a depthwise convolution, for which bringing the
    gradient through by hand gains nothing: there the whole branch is the tail.
    """
    first = sequence[0]
    if isinstance(first, Conv) and first.conv.groups == 1 and first.conv.stride == (1, 1):
        stem = cam.Stem(first.conv.weight, first.conv.bias)
        tail = nn.Sequential(first.act, *sequence[1:])
        return cam.Branch(tail, _radius(tail), stem)
    return cam.Branch(sequence, _radius(sequence))


def _radius(module: nn.Module) -> int:
    """How far the outputs of convolutions in a row see."""
    kernels = [each.kernel_size[0] for each in module.modules() if isinstance(each, nn.Conv2d)]
    return sum(kernel // 2 for kernel in kernels)
