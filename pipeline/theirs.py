"""Any other detector's predictions in COCO's results form: one more row of every table.

``[{"image_id": ..., "bbox": [x, y, width, height], "score": ...}, ...]``. Which picture an
``image_id`` is of is told by a list of images (``pictures.json`` or ``images.json`` beside the
file, or ``{"images": ..., "annotations": ...}`` in it), by a ``file_name`` in each row, or it is
the name itself. A picture without a row is one in which nothing was found. ``ms``, of an image or
of its rows, is the time that it took: the median is told.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.errors import UserError
from pipeline.images import SUFFIXES
from pipeline.predictions import Answer, Scene, best_first

_LISTS = ("pictures.json", "images.json")


@dataclass(frozen=True, eq=False)
class Theirs:
    """One detector's answers, by the names of pictures without their suffix."""

    name: str
    path: Path
    answers: dict[str, Answer]
    ms: float | None  # median, where it is told

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
            times = [ms for ms in (before.ms, each.ms) if ms is not None]
            answers, ms = before.answers | each.answers, max(times, default=None)
            found[each.name] = replace(before, answers=answers, ms=ms)
    return list(found.values())


def read(path: Path) -> Theirs:
    """The predictions in a file."""
    content = _json(path)
    rows, images = content, []
    if isinstance(content, dict):
        rows, images = content.get("annotations", []), content.get("images", [])
    for beside in (path.with_name(name) for name in _LISTS):
        if not images and beside.is_file():
            listed = _json(beside)
            images = listed.get("images", []) if isinstance(listed, dict) else listed
    try:
        names = {str(each["id"]): stem(str(each["file_name"])) for each in images}
        found: dict[str, list[tuple[list[float], float]]] = {name: [] for name in names.values()}
        timed = [each for each in images if "ms" in each] or [each for each in rows if "ms" in each]
        ms = {str(each.get("image_id", each.get("id"))): float(each["ms"]) for each in timed}
        for row in rows:
            number = str(row["image_id"])
            name = stem(str(row["file_name"])) if "file_name" in row else names.get(number)
            x, y, width, height = map(float, row["bbox"])
            box = [x, y, x + width, y + height]
            found.setdefault(name or stem(number), []).append((box, float(row["score"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not predictions in COCO's results form: {error!r}") from error
    answers = {name: best_first(boxes) for name, boxes in found.items()}
    name = path.parent.name if path.stem == "predictions" else path.stem
    return Theirs(name, path, answers, round(median(ms.values()), 3) if ms else None)


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever there is
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not predictions in COCO's results form: {error}") from error


def stem(name: str) -> str:
    """A picture's name without folders and without the suffix of a picture."""
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
