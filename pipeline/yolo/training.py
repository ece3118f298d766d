"""Ultralytics' training and validation, made safe, resumable and repeatable.

What differs from Ultralytics': pictures come from :mod:`pipeline.yolo.pictures`; checkpoints
appear whole or not at all; a processor with bfloat16 trains in it, with the loss in float32;
fitness is the weighted sum that the data yaml asks for; nothing is downloaded to test
mixed precision.
"""

import copy
import csv
import os
import re
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.patches import torch_save
from ultralytics.utils.plotting import plot_results

from pipeline import runs, yolo
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.yolo import unknown
from pipeline.yolo.judging import THREADS, Validator
from pipeline.yolo.pictures import Pictures

_PARENT = "UNCOVER_TRAINING"  # in the environment: the process whose end ends the workers
_ENDED = "trained.json"


class Trainer(DetectionTrainer):  # type: ignore[misc]
    """A training that survives being killed."""

    model: Any  # a path at first, then the network
    best: Path
    last: Path

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Ultralytics'
        if RANK != -1:  # one of several GPUs' processes
            threading.Thread(target=_end_with_parent, daemon=True).start()
        super().__init__(*args, **kwargs)

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
            args=copy.copy(self.args),
            _callbacks=self.callbacks,
        )

    def set_model_attributes(self) -> None:
        """As Ultralytics, in the order of bytes that a processor with bfloat16 is fastest with."""
        super().set_model_attributes()
        if self.device.type == "cpu" and self.args.amp:
            self.model.to(memory_format=torch.channels_last)

    def set_class_weights(self) -> None:
        """As Ultralytics; then the loss, which wants the weights, in float32."""
        super().set_class_weights()
        network = engine.unwrap_model(self.model)
        beside = self.data.get("faces") or {}
        network.criterion = _FullPrecision(network.init_criterion(), beside.get("number"))

    def _build_train_pipeline(self) -> None:
        """As Ultralytics, which on full memory would go on with half the batch, in silence."""
        if self.optimizer is not None:
            raise torch.OutOfMemoryError
        super()._build_train_pipeline()

    def _setup_train(self) -> None:
        """As Ultralytics, on all cores, and on a processor that has bfloat16, in that."""
        super()._setup_train()
        torch.set_num_threads(THREADS)
        if self.device.type == "cpu" and self.args.amp:
            self.amp = True  # Ultralytics knows mixed precision on GPUs alone

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Pictures in the network's order of bytes."""
        batch = super().preprocess_batch(batch)
        if self.device.type == "cpu" and self.amp:
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def save_model(self) -> bool:
        """Checkpoints that are whole: the best before the last, from which a run goes on."""
        best, last = self.best, self.last
        self.best, self.last = (file.with_suffix(".partial") for file in (best, last))
        for half in (self.best, self.last):  # of a kill in the midst of writing
            half.unlink(missing_ok=True)
        try:
            saved = bool(super().save_model())
            for half, file in ((self.best, best), (self.last, last)):
                if half.exists():
                    half.replace(file)
        finally:
            self.best, self.last = best, last
        return saved

    def final_eval(self) -> None:
        """Nothing: what was learned is judged apart, on every split."""


class _FullPrecision:
    """A loss in float32, whatever the network computed in: decoding boxes needs the bits.

    What nobody knows counts for nothing; ``face`` is the class that is known where parts are not.
    """

    def __init__(self, loss: Any, face: int | None) -> None:  # noqa: ANN401 - Ultralytics' criterion
        self.loss, self.face, self.counted = loss, face, loss.bce

    def __call__(
        self, preds: dict[str, Any] | tuple[Tensor, dict[str, Any]], batch: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - the loss and its parts
        raw = preds[1] if isinstance(preds, tuple) else preds  # validation brings boxes, too
        exact: dict[str, Any] = {
            key: [each.float() for each in value] if isinstance(value, list) else value.float()
            for key, value in raw.items()
        }
        with torch.autocast(exact["scores"].device.type, enabled=False):
            if self.face is None:
                return self.loss(exact, batch)
            labels, counts = unknown.known(
                batch, exact["feats"], self.loss.stride, self.loss.nc, self.face
            )
            self.loss.bce = self.counted if counts is None else partial(self._weighed, counts)
            return self.loss(exact, labels)

    def _weighed(self, counts: Tensor, scores: Tensor, targets: Tensor) -> Tensor:
        weighed: Tensor = self.counted(scores, targets) * counts
        return weighed


def train(folder: Path, data: Path, model: str, settings: Json) -> None:
    """Train in ``folder``, or go on where a killed run was.

    ``model`` is the yaml of an architecture, ``settings`` are Ultralytics' own. The folder
    then holds ``weights/best.pt`` and ``last.pt`` as training leaves them, and results.csv.
    """
    if (folder / _ENDED).is_file():
        return
    overrides = settings | {
        "model": model,
        "data": str(data),
        "project": str(folder.parent),
        "name": folder.name,
        "exist_ok": True,
        "iou": yolo.NMS_IOU,
        "deterministic": True,
        "plots": True,
        "val": True,
        "save": True,
    }
    last = folder / "weights" / "last.pt"
    before = _epochs_done(last)
    if before > 0 and not _over(last, settings):
        _cut(folder / "results.csv", before)
        kept = {key: overrides[key] for key in ("device", "workers", "cache")}
        overrides = kept | {"resume": str(last), "model": str(last), "data": str(data)}
        overrides["save_dir"] = str(folder)  # the home may have been moved meanwhile
    if not _over(last, settings):
        _run(overrides, settings["batch"])
        assert _epochs_done(last) > before
    plot_results(file=folder / "results.csv")
    runs.write_json(folder / _ENDED, {"epochs": _epochs_done(last)})


def _run(overrides: Json, batch: int) -> None:
    """Ultralytics' training; what can go wrong in it in words."""
    os.environ[_PARENT] = str(os.getpid())
    try:
        Trainer(overrides=overrides).train()
    except torch.OutOfMemoryError as error:
        raise UserError(f"the device's memory is full; --batch {batch} is too much") from error
    except subprocess.CalledProcessError as error:
        raise UserError("a process of one of the GPUs has failed; its log is above") from error


def _over(last: Path, settings: Json) -> bool:
    """Whether a checkpoint is the last one: of all epochs, or stopped early."""
    done = _epochs_done(last)
    if not done:
        return False
    best = int((yolo.checkpoint(last).get("stopper") or {}).get("best_epoch", done))
    return done >= int(settings["epochs"]) or done - best >= int(settings["patience"])


def _end_with_parent() -> None:
    """A training that is killed cannot end the processes of its GPUs, and the next run writes."""
    parent = int(os.environ[_PARENT])
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(1)


def publish(checkpoint: Path, target: Path, about: Json) -> None:
    """What detection needs of a checkpoint: the averaged network in half precision.

    ``about`` is written into it. No optimizer, no settings with the paths of a machine.
    """
    saved = yolo.checkpoint(checkpoint)
    learned = saved["model"].float()
    names = [learned.names[number] for number in sorted(learned.names)]
    # A fresh network: the trained one remembers the file that it was begun with.
    model = yolo.build(about["size"], names, int(learned.yaml.get("channels", 3)))
    model.load_state_dict(learned.state_dict())
    model.half().args = {"imgsz": about["imgsz"], "task": "detect"}
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=False)
    partial = target.with_suffix(".partial")
    content = {"model": model, "ema": None, "epoch": -1, "train_args": dict(model.args)}
    content[yolo.ABOUT] = about
    torch_save(content, partial)
    partial.replace(target)


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


def _amp_works(model: nn.Module) -> bool:
    """In place of Ultralytics' check, which downloads a model to compare with.

    Its list of GPUs on which half precision is known to fail is kept.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    fails = "1660|1650|1630|t400|t550|t600|t1000|t1200|t2000|k40m"
    works = re.search(fails, torch.cuda.get_device_name(device), re.IGNORECASE) is None
    LOGGER.info("mixed precision: %s", "on" if works else "off, it fails on this GPU")
    return works


engine.check_amp = _amp_works
