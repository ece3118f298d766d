"""Weights that have learned nothing: a stage 1, and a stage 2 that goes with it."""

import torch

from pipeline import runs, yolo
from pipeline.parts import PARTS
from pipeline.recipe import Recipe


def save_first(path, imgsz=64, threshold=0.2):
    torch.manual_seed(0)
    about = {"kind": "parts", "size": "n", "imgsz": imgsz, "threshold": threshold}
    torch.save({"model": yolo.build("n", PARTS).half(), "uncover": about}, path)
    return path


def save_second(path, sha256, imgsz=64, threshold=0.4, first=None):
    """``first``: the threshold of stage 1 for which its own was chosen."""
    torch.manual_seed(1)
    about = {"kind": "heatmap", "size": "n", "imgsz": 32, "threshold": threshold}
    about |= {"recipe": runs.settings_of(Recipe(peak=1e-7))}
    about |= {"stage1": {"sha256": sha256, "imgsz": imgsz}}
    about |= {} if first is None else {"chosen": {"first stage's": first}}
    torch.save({"model": yolo.build("n", ["face"], 10).half(), "uncover": about}, path)
    return path
