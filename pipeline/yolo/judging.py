"""Ultralytics' validation on what detection sees, with the figures that the tables want."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import smooth
from ultralytics.utils.torch_utils import select_device

from pipeline import yolo
from pipeline.runs import Json
from pipeline.yolo.pictures import Pictures

THREADS = torch.get_num_threads()  # before Ultralytics leaves one core of the processor idle
LEVEL = 0.003  # of F1: what is within it of the best is as good
_CERTAIN = 0.25  # boxes under it are not counted in the confusion matrix


class Validator(DetectionValidator):  # type: ignore[misc]
    """Validation on squares, with the fitness that was asked for."""

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> Pictures:
        """The pictures of a split."""
        return Pictures(img_path, self.data, self.args, augment=mode == "train", batch=batch)

    def init_metrics(self, model: Any) -> None:  # noqa: ANN401 - Ultralytics'
        """As Ultralytics, whose confusion matrix would count every box above 0.001."""
        super().init_metrics(model)
        count: Callable[..., None] = self.confusion_matrix.process_batch
        self.confusion_matrix.process_batch = partial(_count, count)

    def get_stats(self) -> dict[str, Any]:
        """Ultralytics' figures, and fitness as a weighted sum of mAP50 and mAP50-95."""
        stats: dict[str, Any] = super().get_stats()
        half, most = self.data["fitness"]
        stats["fitness"] = half * stats["metrics/mAP50(B)"] + most * stats["metrics/mAP50-95(B)"]
        return stats


def _count(count: Callable[..., None], predicted: Json, true: Json, conf: float = 0.0) -> None:
    """Count a picture's boxes in a confusion matrix, without the uncertain ones."""
    count(predicted, true, conf=max(conf, _CERTAIN))


def judge(
    weights: Path,
    data: Path,
    settings: Json,
    folder: Path,
    thresholds: Mapping[str, float] | None = None,
) -> Json:
    """Precision, recall and average precision on what the yaml calls val; curves in ``folder``.

    Of each class also at a threshold: the one given, chosen elsewhere, or the best here.
    """
    validator = Validator(
        save_dir=folder,
        args=settings
        | {"data": str(data), "split": "val", "plots": True, "conf": 0.001, "iou": yolo.NMS_IOU}
        | {"mode": "val", "model": str(weights), "rect": False, "cache": False},
    )
    network = yolo.load(weights, select_device(settings["device"], verbose=False))
    torch.set_num_threads(THREADS)
    validator(model=network.model)
    box, names = validator.metrics.box, network.names
    scores: Json = {
        "pictures": int(validator.seen),
        "all": _figures(box.p, box.r, box.f1, box.ap50, box.ap),
        "threshold": _peak(box.px, np.asarray(box.f1_curve)),
        "classes": {},
    }
    for row, number in enumerate(box.ap_class_index):
        one = slice(row, row + 1)
        curve = np.asarray(box.f1_curve)[one]
        figures = _figures(box.p[one], box.r[one], box.f1[one], box.ap50[one], box.ap[one])
        best = (thresholds or {}).get(names[number], _peak(box.px, curve))
        place = int(np.argmin(np.abs(box.px - best)))
        at = {
            "P": float(box.p_curve[row][place]),
            "R": float(box.r_curve[row][place]),
            "F1": float(curve[0][place]),
        }
        scores["classes"][names[number]] = figures | {"threshold": best, "at_threshold": at}
    return scores


def _figures(*columns: Sequence[float]) -> Json:
    names = ("P", "R", "F1", "AP50", "AP50-95")
    return {
        name: float(np.mean(each)) if len(each) else 0.0
        for name, each in zip(names, columns, strict=True)
    }


def _peak(confidence: NDArray[np.float64], curves: NDArray[np.float64]) -> float:
    """The confidence at which F1 is highest; where it is as good as level, the lowest there.

    On clear faces the curve is a plateau, and its highest point is chance. The lowest
    confidence on it gives hidden faces, which score less, their chance.
    """
    if not curves.size:
        return 0.0
    mean = smooth(curves.mean(0), 0.1)
    return float(confidence[int(np.argmax(mean >= mean.max() - LEVEL))])
