"""What else is known of pictures: their levels from a CSV, what other detectors say of them."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.dataset import EMPTY
from pipeline.errors import UserError
from pipeline.images import stem
from pipeline.occlude import LEVELS
from pipeline.predictions import Scene
from pipeline.theirs import Theirs


def levels(path: Path) -> dict[str, str]:
    """The level of each picture, by its name without suffix."""
    found: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no CSV with the columns image and level: {error}") from error
    rows = csv.DictReader(text.splitlines())
    if not {"image", "level"} <= set(rows.fieldnames or ()):
        raise UserError(f"{path}: expected the columns image and level")
    for number, row in enumerate(rows, 2):
        if row["level"] not in LEVELS:
            raise UserError(
                f"{path}, line {number}: level {row['level']!r}; known are {', '.join(LEVELS)}"
            )
        name = stem(row["image"])
        if found.setdefault(name, row["level"]) != row["level"]:
            raise UserError(f"{path}, line {number}: {name} has another level further up")
    return found


def completed(scene: Scene, others: Sequence[Theirs], told: Mapping[str, str]) -> Scene:
    """With what others say of it, and the level that the user knows."""
    level = told.get(stem(scene.name), told.get(stem(scene.source), scene.level))
    if scene.split.endswith(EMPTY):
        level = scene.level
    answers = scene.answers | {each.name: each.of(scene) for each in others}
    took = {each.name: each.ms.get(stem(scene.name)) for each in others}
    ms = dict(scene.ms) | {name: value for name, value in took.items() if value is not None}
    return replace(scene, level=level, answers=answers, ms=ms)


def numbered(windows: Iterable[Scene]) -> Iterator[tuple[int, Scene]]:
    """Windows with the number of their photograph: those of one stay together."""
    numbers: dict[str, int] = {}
    for window in windows:
        photograph = window.name.rsplit("__empty", 1)[0]
        yield numbers.setdefault(photograph, len(numbers)), window
