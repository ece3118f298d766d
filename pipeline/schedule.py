"""How networks are trained, as settings: apart from the training, so that --help needs no torch."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import UserError
from pipeline.runs import Json

Preset = Literal["uncover", "onward", "thesis", "ultralytics"]
Kind = Literal["parts", "face", "heatmap"]
Size = Literal["n", "s", "m", "l", "x"]

# Names and meanings are Ultralytics'. fliplr is safe everywhere: our flip exchanges the
# classes of left and right, and the channels of a stack of heatmaps.
_ADAMW: Json = {"optimizer": "AdamW", "lr0": 0.002, "momentum": 0.9, "weight_decay": 0.01}
_GENTLY: Json = {"warmup_epochs": 1.0, "warmup_bias_lr": 0.01, "cos_lr": True, "nbs": 32}
_PLAIN: Json = {"translate": 0.0, "scale": 0.0, "fliplr": 0.0, "mosaic": 0.0}
_ONWARD: Json = {"lr0": 0.001, "warmup_epochs": 0.3}
_OURS: Json = {"epochs": 60, "patience": 30, "batch": 32, "imgsz": 320, "close_mosaic": 15}
_PICTURES: dict[str, Json] = {
    # Chosen here, for a network of size n from scratch on some thousand faces.
    "uncover": _OURS | _ADAMW | _GENTLY,
    "onward": _OURS | _ADAMW | _GENTLY | _ONWARD | {"epochs": 10, "close_mosaic": 3},
    # Its table 3, and what it says of the first model; the rest is YOLOv5's.
    "thesis": {"epochs": 300, "patience": 100, "batch": 16, "imgsz": 640, "fliplr": 0.0}
    | {"optimizer": "SGD", "lr0": 0.0072, "translate": 0.07382, "scale": 0.48072}
    | {"hsv_h": 0.0107, "hsv_s": 0.52782, "hsv_v": 0.42373},
    "ultralytics": {"epochs": 100, "patience": 100, "batch": 16, "imgsz": 640},
}
_ON_MAPS: Json = {"epochs": 40, "patience": 20, "batch": 32, "imgsz": 128}
_MOVED: Json = {"translate": 0.2, "scale": 0.3, "fliplr": 0.5, "mosaic": 0.0}
_HEATMAPS: dict[str, Json] = {
    "uncover": _ON_MAPS | _MOVED | _ADAMW | _GENTLY,
    "onward": _ON_MAPS | _MOVED | _ADAMW | _GENTLY | _ONWARD | {"epochs": 10},
    # From scratch, no augmentation, YOLOv5's own learning rate.
    "thesis": {"epochs": 300, "patience": 100, "batch": 16, "imgsz": 640}
    | {"optimizer": "SGD", "lr0": 0.01}
    | _PLAIN,
    "ultralytics": {"epochs": 100, "patience": 100, "batch": 16, "imgsz": 640, "mosaic": 0.0},
}

# What a file of hyper-parameters may hold, per kind of data: whatever else Ultralytics knows
# would change the experiment (split, fraction, freeze), or do nothing here.
_FIXED = ["epochs", "patience", "batch", "imgsz", "nbs", "optimizer", "cos_lr", "warmup_bias_lr"]
_EVERYWHERE = [
    *("lr0", "lrf", "momentum", "weight_decay", "warmup_epochs", "warmup_momentum"),
    *("box", "cls", "cls_pw", "dfl", "translate", "scale", "fliplr"),
]
_ON_PICTURES = [
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "shear", "perspective", "flipud", "bgr"),
    *("mosaic", "mixup", "cutmix", "close_mosaic"),
]
_WORDS = {"optimizer": str, "cos_lr": bool}
_SHARES = {
    "fliplr",
    "flipud",
    "mosaic",
    "mixup",
    "translate",
    "hsv_h",
    "hsv_s",
    "hsv_v",
    "lr0",
    "lrf",
}


@dataclass(frozen=True)
class Schedule:
    """How a network is trained."""

    preset: Preset = "uncover"
    """uncover: chosen here by measurement. onward: the same, for going on from --weights.
    thesis: what it evolved for its first model and used for its second. ultralytics: its
    defaults."""

    epochs: int = 0
    """Times through the training pictures; 0: the preset's."""

    patience: int = 0
    """Stop when so many epochs have not improved the validation; 0: the preset's."""

    batch: int = 0
    """Pictures a step; 0: the preset's."""

    imgsz: int = 0
    """Side of the square that the network sees, a multiple of 32; 0: the preset's."""

    hyper: str = ""
    """A yaml of Ultralytics' hyper-parameters that overrule the preset's, as 'uncover tune'
    writes it."""

    fitness: tuple[float, float] = (0.1, 0.9)
    """What the best epoch is best in: so much of mAP50, so much of mAP50-95 (the thesis's)."""

    seed: int = 0
    """Of the first weights, the order of pictures and the augmentation."""


def settings(schedule: Schedule, kind: Kind) -> Json:
    """Ultralytics' settings for a training."""
    preset = (_HEATMAPS if kind == "heatmap" else _PICTURES)[schedule.preset]
    given = {
        name: getattr(schedule, name)
        for name in ("epochs", "patience", "batch", "imgsz")
        if getattr(schedule, name)
    }
    merged = preset | _hyper(schedule.hyper, kind) | given | {"seed": schedule.seed}
    for name in ("epochs", "patience", "batch", "imgsz"):
        if not isinstance(merged[name], int) or merged[name] < 1:
            raise UserError(f"{name} {merged[name]}: expected a whole number, 1 or more")
    if not 0 <= schedule.seed < 2**32:
        raise UserError(f"--seed {schedule.seed}: expected a whole number, 0 or more")
    if min(schedule.fitness) < 0 or not sum(schedule.fitness):
        raise UserError("--fitness: expected two shares, 0 or more, not both 0")
    if merged["imgsz"] % 32:
        raise UserError(f"--imgsz {merged['imgsz']}: expected a multiple of 32")
    closing = merged.get("close_mosaic", 10) if merged.get("mosaic", 1.0) else 0
    merged["close_mosaic"] = min(closing, merged["epochs"] // 2)
    return merged


def evolvable(kind: Kind) -> list[str]:
    """The hyper-parameters that may evolve for this kind of model."""
    return _EVERYWHERE if kind == "heatmap" else [*_EVERYWHERE, *_ON_PICTURES]


def _hyper(path: str, kind: Kind) -> Json:
    """The hyper-parameters in a file."""
    import yaml

    if not path:
        return {}
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--hyper {path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"--hyper {path}: expected lines of NAME: VALUE")
    known = [*_FIXED, *evolvable(kind)]
    for name, value in content.items():
        if name not in known:
            raise UserError(f"--hyper {path}: {name}: known are {', '.join(known)}")
        wanted = _WORDS.get(name, (int, float))
        if not isinstance(value, wanted) or (name not in _WORDS and isinstance(value, bool)):
            raise UserError(f"--hyper {path}: {name}: {value!r} is not what belongs there")
        most = 1.0 if name in _SHARES else math.inf
        if isinstance(value, int | float) and not (0 <= value <= most and math.isfinite(value)):
            raise UserError(f"--hyper {path}: {name}: {value!r}: expected 0 to {most:g}")
    return content


assert set(_PICTURES) == set(_HEATMAPS) == set(get_args(Preset))
