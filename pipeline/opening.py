"""Weights of either kind: what they say of themselves, and the networks in them."""

from pathlib import Path

from pipeline import yolo
from pipeline.neonatal import files
from pipeline.neonatal.trained import open_neonatal
from pipeline.runs import Json
from pipeline.stage1 import Stage1, open_control, open_stage1


def told(weights: Path) -> Json:
    """What a training has written into weights of how they are to be used."""
    return files.about(weights) or yolo.about(weights)


def open_face(weights: Path, device: str, imgsz: int = 0) -> Stage1:
    """A network of the whole face alone: the neonatal detector, or a YOLO."""
    if files.about(weights) is not None:
        return open_neonatal(weights, device, imgsz)
    return open_control(weights, device, imgsz or yolo.about(weights).get("imgsz", 640))


def open_evidence(weights: Path, device: str, imgsz: int) -> Stage1:
    """A network that heatmaps are drawn of: the neonatal detector, or one of the ten parts."""
    if files.about(weights) is not None:
        return open_neonatal(weights, device, imgsz)
    return open_stage1(weights, device, imgsz)
