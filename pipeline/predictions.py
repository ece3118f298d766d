"""Detectors over a prepared dataset, once: their boxes are then asked every question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import images
from pipeline.boxes import Boxes
from pipeline.dataset import EMPTY, Dataset
from pipeline.overlap import THREADS, ahead
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.recipe import Recipe
from pipeline.runs import Json
from pipeline.stage1 import Looked, Stage1
from pipeline.stage2 import Stage2
from pipeline.yolo import Found

LEAST = 0.001  # boxes under this score are not kept


@dataclass(frozen=True, eq=False)
class Answer:
    """What one detector says of one picture."""

    boxes: Boxes  # (N, 4) whole faces in pixels, best first
    scores: NDArray[np.float32]  # (N,)


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture with its truth, and what every detector says of it."""

    name: str
    split: str
    level: str  # of occlusion: none, easy, medium, hard; or unknown
    truth: Boxes  # (G, 4) whole faces
    answers: dict[str, Answer]
    best: dict[str, NDArray[np.float32]]  # of each stage 1: (K,) the best score of every part


def look(
    data: Dataset,
    split: str,
    firsts: Mapping[str, Stage1],
    seconds: Mapping[str, tuple[str, Stage2]],
    batch: int = 16,
) -> Iterator[Scene]:
    """Every picture of a split past every first stage and the second stages that go with them.

    ``seconds`` says of each second stage by what name its first stage goes.
    """
    rows = list(data.rows(split))
    parts = [rows[first : first + batch] for first in range(0, len(rows), batch)]
    bar = tqdm(parts, desc=f"{data.root.name} {split}", unit="batch", disable=None, leave=False)
    face = data.face
    pictures = ahead(
        lambda part: [images.read(data.picture(row)) for row in part], bar, THREADS, THREADS + 1
    )
    for part, loaded in zip(parts, pictures, strict=True):
        said: list[dict[str, Answer]] = [{} for _ in part]
        best: list[dict[str, NDArray[np.float32]]] = [{} for _ in part]
        for name, stage in firsts.items():
            follow = {key: second for key, (first, second) in seconds.items() if first == name}
            for looked in stage.look([stage.load(picture) for picture in loaded]):
                _ask(stage, looked, name, follow, said, best)
        for number, row in enumerate(part):
            boxes, classes = data.labels(row)
            level = "no face" if split.endswith(EMPTY) else row["level"] or "unknown"
            truth = boxes[classes == face]
            yield Scene(row["name"], split, level, truth, said[number], best[number])


def _ask(
    stage: Stage1,
    looked: Looked,
    name: str,
    follow: Mapping[str, Stage2],
    said: Sequence[dict[str, Answer]],
    best: Sequence[dict[str, NDArray[np.float32]]],
) -> None:
    """Pictures past one first stage and all second stages that live on its heatmaps."""
    for number, found in zip(looked.numbers, stage.boxes(looked, LEAST), strict=True):
        said[number][name] = _answer(found, stage.names.index(PARTS[WHOLE_FACE]))
    peaks = [level.logits.flatten(2).amax(2) for level in looked.levels]
    scores = np.max([peak.float().sigmoid().cpu().numpy() for peak in peaks], axis=0)  # (B, K)
    for number, values in zip(looked.numbers, scores, strict=True):
        best[number][name] = values
    names = list(follow)
    recipes: list[Recipe] = [follow[key].recipe for key in names]
    for key, (_, stacks) in zip(names, stage.heatmaps(looked, recipes), strict=True):
        answers = follow[key].boxes(list(stacks), looked.squares, LEAST)
        for number, found in zip(looked.numbers, answers, strict=True):
            said[number][key] = _answer(found, 0)


def _answer(found: Found, face: int) -> Answer:
    chosen = found.classes == face
    return Answer(found.boxes[chosen], found.scores[chosen])


def as_json(scene: Scene) -> Json:
    """A line of a file of predictions."""
    return {
        "name": scene.name,
        "split": scene.split,
        "level": scene.level,
        "truth": np.round(scene.truth.astype(float), 2).tolist(),
        "answers": {
            name: {
                "boxes": np.round(answer.boxes.astype(float), 2).tolist(),
                "scores": np.round(answer.scores.astype(float), 4).tolist(),
            }
            for name, answer in scene.answers.items()
        },
        "best": {
            name: np.round(values.astype(float), 4).tolist() for name, values in scene.best.items()
        },
    }
