"""Ultralytics' training and validation, made safe, resumable and repeatable.

What differs from Ultralytics': pictures come from :mod:`pipeline.yolo.pictures`; checkpoints
appear whole or not at all; a processor with bfloat16 trains in it, with the loss in float32;
fitness is the weighted sum that the data yaml asks for; nothing is downloaded to test
mixed precision.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.utils import LOGGER
from ultralytics.utils.metrics import smooth
from ultralytics.utils.patches import torch_save

from pipeline import runs, yolo
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.yolo.pictures import Pictures

NMS_IOU = 0.6  # the thesis's, in detection as in validation
LEVEL = 0.003  # of F1: what is within it of the best is as good
_THREADS = torch.get_num_threads()  # before Ultralytics leaves one core of the processor idle
_ENDED = "trained.json"


class Validator(DetectionValidator):  # type: ignore[misc]
    """Validation on squares, with the fitness that was asked for."""

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> Pictures:
        """The pictures of a split."""
        return Pictures(img_path, self.data, self.args, augment=mode == "train", batch=batch)

    def get_stats(self) -> dict[str, Any]:
        """Ultralytics' figures, and fitness as a weighted sum of mAP50 and mAP50-95."""
        stats: dict[str, Any] = super().get_stats()
        half, most = self.data["fitness"]
        stats["fitness"] = half * stats["metrics/mAP50(B)"] + most * stats["metrics/mAP50-95(B)"]
        return stats


class Trainer(DetectionTrainer):  # type: ignore[misc]
    """A training that survives being killed."""

    model: Any  # a path at first, then the network
    best: Path
    last: Path

    def build_dataset(
        self, img_path: str, mode: str = "train", batch: int | None = None
    ) -> Pictures:
        """The pictures of a split."""
        return Pictures(img_path, self.data, self.args, augment=mode == "train", batch=batch)

    def get_validator(self) -> Validator:
        """Our validation."""
        return Validator(
            self.test_loader,
            save_dir=self.save_dir,
            args=engine.copy(self.args),
            _callbacks=self.callbacks,
        )

    def set_model_attributes(self) -> None:
        """As Ultralytics, with a loss that computes in float32."""
        super().set_model_attributes()
        if self.device.type == "cpu" and self.args.amp:
            self.model.to(memory_format=torch.channels_last)
        self.model.criterion = _FullPrecision(self.model.init_criterion())

    def _setup_train(self) -> None:
        """As Ultralytics, on all cores, and on a processor that has bfloat16, in that."""
        super()._setup_train()
        torch.set_num_threads(_THREADS)
        if self.device.type == "cpu" and self.args.amp:
            self.amp = True  # Ultralytics knows mixed precision on GPUs alone

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Pictures in the order of bytes that the processor is fastest with."""
        batch = super().preprocess_batch(batch)
        if self.device.type == "cpu" and self.amp:
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def save_model(self) -> bool:
        """Checkpoints that are whole: the best before the last, from which a run goes on."""
        best, last = self.best, self.last
        self.best, self.last = (file.with_suffix(".partial") for file in (best, last))
        try:
            saved = bool(super().save_model())
            for partial, file in ((self.best, best), (self.last, last)):
                if partial.exists():
                    partial.replace(file)
        finally:
            self.best, self.last = best, last
        return saved

    def final_eval(self) -> None:
        """Nothing: what was learned is judged apart, on every split."""


class _FullPrecision:
    """A loss in float32, whatever the network computed in: decoding boxes needs the bits."""

    def __init__(self, loss: Any) -> None:  # noqa: ANN401 - Ultralytics' criterion
        self.loss = loss

    def __call__(
        self, preds: dict[str, Any] | tuple[Tensor, dict[str, Any]], batch: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - the loss and its parts
        raw = preds[1] if isinstance(preds, tuple) else preds  # validation brings boxes, too
        exact: dict[str, Any] = {
            key: [each.float() for each in value] if isinstance(value, list) else value.float()
            for key, value in raw.items()
        }
        with torch.autocast(exact["scores"].device.type, enabled=False):
            return self.loss(exact, batch)


def train(folder: Path, data: Path, model: str, settings: Json) -> bool:
    """Train in ``folder``, or go on where a killed run was; whether it went on.

    ``model`` is the yaml of an architecture, ``settings`` are Ultralytics' own. The folder
    then holds ``weights/best.pt`` and ``last.pt`` as training leaves them, and results.csv.
    """
    if (folder / _ENDED).is_file():
        return True
    overrides = settings | {
        "model": model,
        "data": str(data),
        "project": str(folder.parent),
        "name": folder.name,
        "exist_ok": True,
        "iou": NMS_IOU,
        "deterministic": True,
        "plots": True,
        "val": True,
        "save": True,
    }
    last = folder / "weights" / "last.pt"
    epoch = _epochs_done(last)
    if 0 < epoch < settings["epochs"]:
        _cut(folder / "results.csv", epoch)
        kept = {key: overrides[key] for key in ("device", "workers", "cache")}
        overrides = kept | {"resume": str(last), "model": str(last), "data": str(data)}
    if epoch < settings["epochs"]:
        trainer = Trainer(overrides=overrides)
        try:
            trainer.train()
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"the device's memory is full; --batch {settings['batch']} is too much"
            ) from error
    runs.write_json(folder / _ENDED, {"epochs": _epochs_done(last)})
    return epoch > 0


def publish(checkpoint: Path, target: Path, about: Json) -> None:
    """What detection needs of a checkpoint: the averaged network in half precision.

    ``about`` is written into it. No optimizer, no settings with the paths of a machine.
    """
    saved = yolo.checkpoint(checkpoint)
    model = saved["model"].half()
    model.args = {"imgsz": int(saved["train_args"]["imgsz"]), "task": "detect"}
    model.criterion = None
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=False)
    partial = target.with_suffix(".partial")
    content = {"model": model, "ema": None, "epoch": -1, "train_args": dict(model.args)}
    content[yolo.ABOUT] = about
    torch_save(content, partial)
    partial.replace(target)


def judge(weights: Path, data: Path, settings: Json, folder: Path) -> Json:
    """Precision, recall and average precision on what the yaml calls val; curves in ``folder``."""
    validator = Validator(
        save_dir=folder,
        args=settings
        | {"data": str(data), "split": "val", "plots": True, "conf": 0.001, "iou": NMS_IOU}
        | {"mode": "val", "model": str(weights), "rect": False, "cache": False},
    )
    network = yolo.load(weights, engine.select_device(settings["device"], verbose=False))
    torch.set_num_threads(_THREADS)
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
        best = _peak(box.px, curve)
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


def _epochs_done(last: Path) -> int:
    """How many epochs a checkpoint has behind it; 0 if there is none."""
    if not last.is_file():
        return 0
    return int(yolo.checkpoint(last)["epoch"]) + 1


def _cut(results: Path, epochs: int) -> None:
    """Leave out what a killed run wrote of an epoch that no checkpoint knows."""
    if results.is_file():
        with results.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        kept = [row for row in rows[1:] if row and int(row[0]) <= epochs]
        text = "\n".join(",".join(row) for row in [rows[0], *kept]) + "\n"
        runs.write_text(results, text)


def bfloat16_here(device: torch.device) -> bool:
    """Whether mixed precision pays on a device: on every GPU, and on CPUs with bfloat16."""
    if device.type == "cpu":
        probe = torch.cpu
        return bool(probe._is_avx512_bf16_supported() or probe._is_amx_tile_supported())  # noqa: SLF001 - there is no public way
    return True


def _amp_works(model: nn.Module) -> bool:
    """In place of Ultralytics' check, which downloads a model to compare with."""
    works = next(model.parameters()).device.type == "cuda"
    LOGGER.info("mixed precision: %s", "on" if works else "off")
    return works


engine.check_amp = _amp_works
