"""What a network sees while it learns: Ultralytics' dataset, with what it gets wrong here mended.

- Files are read by the same strict readers, and scaled by the same letterbox, as in detection.
- A mirrored face has its left where its right was: classes change places with it, and in a
  stack of heatmaps the channels do, too.
- What lies outside a heatmap is dark, not grey.
- Validation sees squares, not Ultralytics' rectangles, which pad small heatmaps by a third.

All this follows from the data yaml, so that the processes of several GPUs agree on it.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.data.augment import Compose, LetterBox, RandomFlip, RandomPerspective
from ultralytics.data.dataset import YOLODataset

from pipeline import heatmap_files, images
from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.parts import MIRRORED_PARTS
from pipeline.runs import Json
from pipeline.yolo import unknown

Labels = dict[str, Any]  # Ultralytics' dictionary of a picture and its boxes


class Pictures(YOLODataset):  # type: ignore[misc]
    """One split of a prepared dataset: RGB pictures, or heatmaps of one or ten channels."""

    def __init__(
        self,
        path: str,
        data: Json,
        hyp: Any,  # noqa: ANN401 - Ultralytics' settings
        *,
        augment: bool,
        batch: int | None = None,
    ) -> None:
        only = data.get("only")  # of the labels, the class that is learned alone
        super().__init__(
            img_path=path,
            imgsz=hyp.imgsz,
            batch_size=batch or 16,
            augment=augment,
            hyp=hyp,
            rect=False,
            cache=hyp.cache or None,
            single_cls=only is not None,
            classes=None if only is None else [only],
            prefix="train: " if augment else "val: ",
            data=data,
        )

    def get_labels(self) -> list[Labels]:
        """The labels of every picture; Ultralytics would leave odd ones out in silence."""
        asked = set(self.im_files)
        try:
            labels: list[Labels] = super().get_labels()
        except RuntimeError:  # when it leaves out all of them
            labels = []
        left_out = sorted(asked - {label["im_file"] for label in labels})
        if left_out:
            raise UserError(
                f"{left_out[0]}: cannot be trained on (under 10 pixels, broken, or labels that "
                f"make no sense), {len(left_out)} such pictures; the log above says why"
            )
        beside = self.data.get("faces")  # a dataset with whole faces alone
        for label in labels:
            if beside is not None and Path(label["im_file"]).is_relative_to(beside["root"]):
                classes = len(self.data["names"])
                unknown.whole_faces_alone(label, classes, beside["number"], self.imgsz)
        return labels

    def load_image(
        self,
        i: int,
        rect_mode: bool = True,  # noqa: ARG002 - Ultralytics' signature
        resize_short: bool = False,  # noqa: ARG002
    ) -> tuple[NDArray[np.uint8], tuple[int, int], tuple[int, int]]:
        """A picture (H, W, C) scaled as the letterbox would, its sizes before and after."""
        if self.ims[i] is not None:
            return self.ims[i], self.im_hw0[i], self.im_hw[i]
        picture = read(Path(self.im_files[i]), self.channels)
        height, width = picture.shape[:2]
        scaled = Letterbox(width, height, self.imgsz, self.imgsz).scaled(picture)
        if self.augment and self.cache != "ram":  # mosaics are made of the last pictures seen
            self.ims[i], self.im_hw0[i], self.im_hw[i] = scaled, (height, width), scaled.shape[:2]
            self.buffer.append(i)
            if 1 < len(self.buffer) >= self.max_buffer_length:
                gone = self.buffer.pop(0)
                self.ims[gone], self.im_hw0[gone], self.im_hw[gone] = None, None, None
        return scaled, (height, width), scaled.shape[:2]

    def build_transforms(self, hyp: Any) -> Compose:  # noqa: ANN401 - Ultralytics' settings
        """Ultralytics' own, with ours in the places where they differ."""
        transforms = super().build_transforms(hyp)
        if not self.augment:
            for each in transforms.transforms:
                if isinstance(each, LetterBox):
                    each.padding_value = border(self.channels)
            return transforms
        if self.channels == 3:
            flips = [
                number
                for number, each in enumerate(transforms.transforms)
                if isinstance(each, RandomFlip)
            ]
            assert len(flips) == 2, "Ultralytics' transforms have changed"
            for number in flips:  # upside down is mirrored, too
                flip = transforms.transforms[number]
                transforms.transforms[number] = self._mirror(flip.p, flip.direction)
            return transforms
        shift = Shift(
            translate=hyp.translate, scale=hyp.scale, shear=0.0, size=(self.imgsz, self.imgsz)
        )
        mirror = self._mirror(hyp.fliplr, "horizontal")
        return Compose([shift, mirror, transforms.transforms[-1]])  # the last one makes tensors

    def _mirror(self, p: float, direction: str) -> "Mirror":
        return Mirror(p, direction, len(self.data["names"]), self.channels)

    def _load_or_scan_cache(self, cache_path: Path, cache_hash: str) -> tuple[Labels, bool]:
        """Always scan, and leave no cache: it is a pickle, and datasets come from anywhere."""
        del cache_hash
        found: Labels = self.cache_labels(cache_path)
        cache_path.unlink(missing_ok=True)
        return found, False


class Mirror(RandomFlip):  # type: ignore[misc]
    """A flip after which the subject's left is where the right was, in every respect."""

    def __init__(self, p: float, direction: str, classes: int, channels: int) -> None:
        super().__init__(p, direction)
        ten = classes == len(MIRRORED_PARTS)
        # Behind the classes come the numbers of what is unknown, left and right alike.
        self.swaps = np.array([*MIRRORED_PARTS, classes, classes + 1]) if ten else None
        self.channels = list(MIRRORED_PARTS) if channels == len(MIRRORED_PARTS) else None

    def apply_image(self, labels: Labels, params: Labels) -> Labels:
        """The mirrored picture; of a stack, each channel where its mirrored part belongs."""
        labels = super().apply_image(labels, params)
        if params["flip"] and self.channels is not None:
            labels["img"] = labels["img"][..., self.channels]
        return labels

    def apply_instances(self, labels: Labels, params: Labels) -> Labels:
        """The mirrored boxes, each under the class that it is now."""
        labels = super().apply_instances(labels, params)
        if params["flip"] and self.swaps is not None:
            classes = labels["cls"]
            labels["cls"] = self.swaps[classes.astype(int)].astype(classes.dtype)
        return labels


class Shift(RandomPerspective):  # type: ignore[misc]
    """A heatmap moved and scaled, with darkness around it."""

    def apply_image(self, labels: Labels, params: Labels | None = None) -> Labels:
        """The moved heatmap; four channels at once are what OpenCV takes."""
        assert params is not None
        heat, size = labels["img"], params["size"]
        moved = np.zeros((size[1], size[0], heat.shape[2]), np.uint8)
        for first in range(0, heat.shape[2], 4):
            part = cv2.warpAffine(heat[..., first : first + 4], params["M"][:2], size)
            moved[..., first : first + 4] = part.reshape(size[1], size[0], -1)
        labels["img"] = moved
        labels["resized_shape"] = moved.shape[:2]
        return labels


def border(channels: int) -> int:
    """What lies around a picture of so many channels: RGB has three, a heatmap one or ten."""
    return images.PAD if channels == 3 else 0


def read(path: Path, channels: int) -> NDArray[np.uint8]:
    """A picture as Ultralytics wants it: (H, W, 3) BGR, or a heatmap (H, W, C)."""
    if channels == 3:
        return np.asarray(cv2.cvtColor(images.read(path), cv2.COLOR_RGB2BGR), np.uint8)
    stack, _ = heatmap_files.read(path)
    return np.ascontiguousarray(stack.transpose(1, 2, 0))
