"""Any other detector's predictions in COCO's results form: one more row of every table.

``[{"image_id": ..., "bbox": [x, y, width, height], "score": ...}, ...]``. Which picture an
``image_id`` is of is told by a list of images (``pictures.json`` or ``images.json`` beside the
file, or ``{"images": ..., "annotations": ...}`` in it), by a ``file_name`` in each row, or it is
the name itself. A picture without a row is one in which nothing was found. ``ms``, of an image (a
number, or one for each detector by its name) or of its rows, is the time that it took.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.images import stem
from pipeline.predictions import Answer, Scene, best_first
from pipeline.runs import Json

_LISTS = ("pictures.json", "images.json")


@dataclass(frozen=True, eq=False)
class Theirs:
    """One detector's answers, by the names of pictures without their suffix."""

    name: str
    path: Path
    answers: dict[str, Answer]
    ms: dict[str, float]  # of each picture, where it is told

    def of(self, scene: Scene) -> Answer:
        """What it says of a picture; an error for people if it has not looked at it."""
        answer = self.answers.get(stem(scene.name))
        if answer is None:
            raise UserError(
                f"{self.path}: nothing about {scene.name} ({scene.split}); predictions are needed "
                "for the pictures that are measured on and for those that thresholds are chosen "
                "on, each in the list of images beside the file even if nothing was found in it"
            )
        return answer


def read_all(paths: Sequence[Path]) -> list[Theirs]:
    """The predictions in files; those of one name are one detector's, of different pictures."""
    found: dict[str, Theirs] = {}
    for each in map(read, paths):
        before = found.setdefault(each.name, each)
        if before is not each:
            both = before.answers.keys() & each.answers.keys()
            if both:
                raise UserError(
                    f"{each.path}: {before.path} speaks of {min(both)}, too; if they are two "
                    "detectors, give their files two names"
                )
            answers, ms = before.answers | each.answers, before.ms | each.ms
            found[each.name] = replace(before, answers=answers, ms=ms)
    return list(found.values())


def read(path: Path) -> Theirs:
    """The predictions in a file."""
    content = _json(path)
    rows, images = content, []
    if isinstance(content, dict):
        rows, images = content.get("annotations"), content.get("images", [])
    for beside in (path.with_name(name) for name in _LISTS):
        if not images and beside.is_file():
            listed = _json(beside)
            images = listed.get("images", []) if isinstance(listed, dict) else listed
    name = path.parent.name if path.stem == "predictions" else path.stem
    try:
        return Theirs(name, path, *_of_pictures(rows, images, name))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not predictions in COCO's results form: {error!r}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _of_pictures(
    rows: Sequence[Json], images: Sequence[Json], called: str
) -> tuple[dict[str, Answer], dict[str, float]]:
    """Answers and milliseconds of each picture, by its name without suffix."""
    names = {str(each["id"]): stem(str(each["file_name"])) for each in images}
    found: dict[str, list[tuple[list[float], float]]] = {name: [] for name in names.values()}
    ms: dict[str, float] = {}
    for each in images:
        took = each.get("ms")
        took = took.get(called) if isinstance(took, dict) else took
        if took is not None:
            ms[names[str(each["id"])]] = float(took)
    for row in rows:
        number = str(row["image_id"])
        name = stem(str(row["file_name"])) if "file_name" in row else names.get(number)
        if name is None and names:
            raise UserError(f"image_id {number} is in no list of images beside it")
        name = name or stem(number)
        found.setdefault(name, []).append(_box(row))
        if "ms" in row:
            ms[name] = float(row["ms"])
    kinds = {str(row["category_id"]) for row in rows if "category_id" in row}
    if len(kinds) > 1:
        raise UserError(f"boxes of several categories ({', '.join(sorted(kinds))}); keep the faces")
    return {name: best_first(boxes) for name, boxes in found.items()}, ms


def _box(row: Json) -> tuple[list[float], float]:
    x, y, width, height = map(float, row["bbox"])
    score = float(row["score"])
    if not np.isfinite([x, y, width, height, score]).all() or width < 0 or height < 0:
        raise UserError(f"a number that is not finite, or a side under 0, in {row}")
    return [x, y, x + width, y + height], score


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever there is
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not predictions in COCO's results form: {error}") from error
