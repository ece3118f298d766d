"""The neonatal detector: picture -> :class:`~pipeline.detections.Detections`."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from pipeline import shipped
from pipeline.detections import LEAST, NOTHING_LIKE, SUSPECTED, Candidates, Detections, How
from pipeline.detector import Detector
from pipeline.errors import UserError, check_shares
from pipeline.images import Letterbox, Picture
from pipeline.neonatal.trained import Trained, open_neonatal
from pipeline.squares import Loaded
from pipeline.stage1 import Looked, Stage1
from pipeline.yolo import Found


@dataclass(frozen=True, eq=False)
class NeonatalDetector(Detector[tuple[Picture, Letterbox]]):
    """A detector of one stage for faces in wards.

    >>> detector = NeonatalDetector.load()
    >>> detector("frame.jpg").boxes
    >>> for frame, faces in detector.stream("ward.mp4"): ...
    """

    stage: Stage1
    conf: float  # from which on a face is believed
    iou: float = 0.0  # of boxes from which on they are one face; 0: as the weights say

    @classmethod
    def load(
        cls,
        weights: str = shipped.NEONATAL,
        *,
        device: str = "",
        half: bool = False,
        imgsz: int = 0,
        conf: float = 0.0,
        iou: float = 0.0,
    ) -> "NeonatalDetector":
        """Weights by name or file; 0: what the weights say."""
        path = shipped.find(weights)
        stage = open_neonatal(path, device, imgsz, half)
        check_shares(conf=conf, iou=iou)
        assert isinstance(stage.network, Trained)
        believed = conf or stage.network.threshold
        if not 0 < believed < 1 and not conf:
            raise UserError(
                f"{path}: no threshold in the weights, or one at which they find nothing: their "
                "training did not end, or found no face on validation; give --conf"
            )
        return cls(stage, believed, iou)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.stage.network.device

    def ready(self, picture: Picture) -> tuple[Picture, Letterbox]:
        """A picture, letterboxed."""
        return self.stage.load(picture)

    def batch(self, loaded: Loaded) -> list[Detections]:
        """Letterboxed pictures past the network."""
        found: dict[int, Detections] = {}
        start = time.perf_counter()
        for looked in self.stage.look(loaded):
            boxes = self.stage.boxes(looked, min(self.conf, LEAST), self.iou)
            ms = (time.perf_counter() - start) * 1000 / len(boxes)
            found |= zip(looked.numbers, self._found(looked, boxes, ms), strict=True)
            start = time.perf_counter()
        return [found[number] for number in range(len(loaded))]

    def _found(self, looked: Looked, found: list[Found], ms: float) -> list[Detections]:
        how: How = "found"
        out = []
        for one, letterbox in zip(found, looked.letterboxes, strict=True):
            sure = one.scores >= np.float32(self.conf)
            why = SUSPECTED if len(one.scores) else NOTHING_LIKE
            out.append(
                Detections(
                    one.boxes[sure],
                    one.scores[sure],
                    (how,) * int(sure.sum()),
                    (letterbox.width, letterbox.height),
                    reason="" if sure.any() else why,
                    first=Candidates(one.boxes, one.scores),
                    ms={"neonatal": ms},
                )
            )
        return out
