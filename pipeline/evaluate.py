"""``uncover evaluate``: who finds the face, at which level of occlusion, and who else would.

The threshold of a first stage is in its weights: its training chose it on its own validation
pictures. All others are chosen on the val split of --validation. Then they are held.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs, shipped, tables
from pipeline.errors import UserError
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.dataset import Dataset
    from pipeline.predictions import Scene
    from pipeline.stage1 import Stage1
    from pipeline.stage2 import Stage2

LEVELS = ("no face", "none", "easy", "medium", "hard", "unknown")


@dataclass(frozen=True)
class Evaluate:
    """Measure first and second stages on a dataset, by level of occlusion.

    For every first stage: the pictures in which it is silent, how many of them each second
    stage, each other first stage, and its own lowered threshold recover, and how many of their
    answers are right. The threshold of a first stage is the one in its weights; all others are
    the lowest that keep --precision on what that first stage misses in the val split of
    --validation.

    And every detector alone, threshold by threshold, with how often it sees a face in --empty.

    Writes runs/evaluate/NAME: points.csv, missed.csv, pairs.csv, predictions.jsonl, manifest.json.

    Example: uncover evaluate --data unseen --validation hidden --stage1 clear.pt --stage2 maps.pt
    """

    data: str
    """A prepared dataset with a test split (or --split)."""

    validation: str
    """A prepared dataset with a val split, on which thresholds are chosen."""

    name: str
    """The result is written to runs/evaluate/NAME."""

    stage1: tuple[str, ...]
    """Weights of the ten parts: files (called by their folder, if they are best.pt), or names of
    shipped ones."""

    stage2: tuple[str, ...] = ()
    """Weights for heatmaps; each finds its own first stage among --stage1."""

    split: str = "test"
    """Of the dataset, what is measured on."""

    empty: str = ""
    """A prepared dataset with windows without a face (prepare --empty), where every answer is
    wrong: half of its photographs' are chosen on, the others measured on."""

    conf: float = 0.0
    """The threshold of first stages; 0: each its own, from its weights."""

    precision: float = 0.9
    """What everything that answers missed pictures must keep on validation."""

    batch: int = 16
    """Pictures that go through the networks at once."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise."""

    def run(self) -> Path:
        """Measure and write."""
        from pipeline import predictions
        from pipeline.dataset import open_dataset

        data, validation = open_dataset(self.data), open_dataset(self.validation)
        if data.root == validation.root and self.split == "val":
            raise UserError("--split val: thresholds are chosen there; measure on another split")
        target = runs.home() / "runs" / "evaluate" / runs.plain_name(self.name)
        record = self._record(data, validation)
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: same settings, weights and pictures")
            return target
        firsts, seconds, thresholds = self._opened()
        with runs.whole_folder(target) as folder:
            scenes = {
                "val": list(predictions.look(validation, "val", firsts, seconds, self.batch)),
                "test": list(predictions.look(data, self.split, firsts, seconds, self.batch)),
            }
            if self.empty:
                windows = predictions.look(
                    open_dataset(self.empty), "val_empty", firsts, seconds, self.batch
                )
                for number, window in _numbered(windows):
                    scenes["test" if number % 2 else "val"].append(window)
            if not scenes["val"] or not scenes["test"]:
                raise UserError(f"no pictures in val of {validation.root}, or in {self.split}")
            lines = [
                json.dumps(predictions.as_json(scene)) for part in scenes.values() for scene in part
            ]
            runs.write_text(folder / "predictions.jsonl", "\n".join(lines) + "\n")
            found = judged(scenes["val"], scenes["test"], thresholds, self.precision)
            for name, rows in found.items():
                runs.write_text(folder / f"{name}.csv", tables.as_csv(rows))
            made = {"thresholds": thresholds, "made": runs.provenance()}
            runs.write_json(folder / "manifest.json", record | made)
        for name, rows in found.items():
            print(tables.as_text([row for row in rows if name != "points" or row["note"]]))
        print(target)
        return target

    def _record(self, data: "Dataset", validation: "Dataset") -> Json:
        """What the tables follow from."""
        from pipeline.dataset import open_dataset

        paths = [shipped.find(asked) for asked in (*self.stage1, *self.stage2)]
        weights = {called(path): runs.sha256(path) for path in paths}
        if len(weights) < len(paths):
            raise UserError("two files of weights have the same name; copy one to another name")
        settings = {name: getattr(self, name) for name in ("split", "conf", "precision")}
        sources = {"data": data.fingerprint(), "validation": validation.fingerprint()}
        if self.empty:
            sources["empty"] = open_dataset(self.empty).fingerprint()
        return {"settings": settings, "sources": sources | {"weights": weights}}

    def _opened(
        self,
    ) -> tuple[dict[str, "Stage1"], dict[str, tuple[str, "Stage2"]], dict[str, float]]:
        """The networks by their names, and the thresholds of the first stages."""
        from pipeline import yolo
        from pipeline.stage1 import device_of, open_stage1
        from pipeline.stage2 import open_stage2

        firsts: dict[str, Stage1] = {}
        seconds: dict[str, tuple[str, Stage2]] = {}
        thresholds: dict[str, float] = {}
        fingerprints: dict[str, str] = {}
        for path in map(shipped.find, self.stage1):
            about, name = yolo.about(path), called(path)
            if "imgsz" not in about:
                raise UserError(f"{path}: weights that 'uncover train' did not write")
            firsts[name] = open_stage1(path, self.device, about["imgsz"])
            thresholds[name] = self.conf or about["threshold"]
            fingerprints[runs.sha256(path)] = name
        for path in map(shipped.find, self.stage2):
            second = open_stage2(path, device_of(self.device))
            if second.stage1 not in fingerprints:
                raise UserError(f"{path}: its first stage is not among --stage1")
            first = fingerprints[second.stage1]
            if firsts[first].imgsz != second.seen:
                raise UserError(f"{path}: its heatmaps were made at imgsz {second.seen}")
            seconds[called(path)] = (first, second)
        return firsts, seconds, thresholds


def called(path: Path) -> str:
    """By what name a file of weights goes."""
    return path.absolute().parent.name if path.stem == "best" else path.stem


@dataclass(frozen=True)
class _Pair:
    """A first stage, and who answers where it is silent; both at the thresholds chosen."""

    base: str
    conf: float
    other: str  # the first stage itself, at a lowered threshold, is one of them
    limit: float
    chosen_on: int  # silent pictures of validation


def judged(
    validation: Sequence["Scene"],
    scenes: Sequence["Scene"],
    thresholds: Mapping[str, float],
    precision: float,
) -> dict[str, list[Json]]:
    """The tables by their names; thresholds but those given are chosen on validation."""
    from pipeline import points

    pairs = [
        _pair(validation, base, conf, other, precision)
        for base, conf in thresholds.items()
        for other in validation[0].answers
    ]
    return {
        "points": [
            row
            for name in validation[0].answers
            for row in points.rows(validation, scenes, name, thresholds.get(name))
        ],
        "missed": [row for pair in pairs for row in _missed(scenes, pair)],
        "pairs": [row for pair in pairs for row in _detected(scenes, pair)],
    }


def _pair(
    validation: Sequence["Scene"], base: str, conf: float, other: str, precision: float
) -> _Pair:
    from pipeline.missed import is_silent, threshold_for

    limit = threshold_for(validation, base, conf, other, precision)
    return _Pair(base, conf, other, limit, sum(is_silent(s, base, conf) for s in validation))


def _missed(scenes: Sequence["Scene"], pair: _Pair) -> Iterator[Json]:
    """What the first stage misses and the other answers, level by level."""
    from pipeline.missed import tally

    for level, part in _by_level(scenes):
        found = tally(part, pair.base, pair.conf, pair.other, pair.limit)
        yield {
            "missed by": pair.base,
            "answered by": "its lowered threshold" if pair.other == pair.base else pair.other,
            "level": level,
            "pictures": found.pictures,
            "only wrong boxes": found.wrong,
            "missed": found.missed,
            "answered": found.answered,
            "right": found.right,
            "recovered": round(found.recovered, 4),
            "precision": round(found.precision, 4),
            "right at IoU 0.3": found.right_loosely,
            "threshold": round(pair.limit, 4),
            "chosen on": pair.chosen_on,
        }


def _detected(scenes: Sequence["Scene"], pair: _Pair) -> Iterator[Json]:
    """The first stage with the other behind it, level by level; in its own place, alone."""
    from pipeline.missed import detection

    alone = pair.other == pair.base
    for level, part in _by_level(scenes):
        limit = math.inf if alone else pair.limit
        found = detection(part, pair.base, pair.conf, pair.other, limit)
        yield {
            "first": pair.base,
            "then": "-" if alone else pair.other,
            "level": level,
            "faces": found.faces,
            "recall": round(found.recall, 4),
            "precision": round(found.precision, 4),
        }


def _numbered(windows: Iterable["Scene"]) -> Iterator[tuple[int, "Scene"]]:
    """Windows with the number of their photograph: those of one stay together."""
    numbers: dict[str, int] = {}
    for window in windows:
        photograph = window.name.rsplit("__empty", 1)[0]
        yield numbers.setdefault(photograph, len(numbers)), window


def _by_level(scenes: Sequence["Scene"]) -> Iterator[tuple[str, list["Scene"]]]:
    """The scenes of each level that there is, then all of them."""
    for level in LEVELS:
        part = [scene for scene in scenes if scene.level == level]
        if part:
            yield level, part
    yield "all", list(scenes)
