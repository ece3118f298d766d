"""Pictures to look at: what a pair misses worst, recovers falsely, recovers best."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline import draw, heatmaps, images
from pipeline.missed import ENOUGH, best_of, is_silent, overlap
from pipeline.predictions import Scene
from pipeline.stage1 import Stage1
from pipeline.stage2 import Stage2
from pipeline.verdict import LEVELS, Pair

SHOWN = 9  # of each kind
_NAMES = ["truth", "answer"]


def chosen(scenes: Sequence[Scene], pair: Pair) -> dict[str, list[Scene]]:
    """Who is shown: the least hidden misses, the surest errors, the hardest recoveries."""
    silent = [scene for scene in scenes if is_silent(scene, pair.base, pair.conf)]
    said = {id(scene): best_of(scene.answers[pair.other]) >= pair.limit for scene in silent}
    right = {id(scene): overlap(scene, pair.other) >= ENOUGH for scene in silent}
    score = {id(scene): best_of(scene.answers[pair.other]) for scene in silent}
    level = {id(scene): LEVELS.index(scene.level) for scene in silent}
    kinds: dict[str, tuple[Callable[[Scene], bool], Callable[[Scene], tuple[float, ...]]]] = {
        "missed": (
            lambda s: bool(len(s.truth)) and not said[id(s)],
            lambda s: (level[id(s)], -float(s.best[pair.base].max())),
        ),
        "recovered falsely": (
            lambda s: said[id(s)] and not right[id(s)],
            lambda s: (-score[id(s)],),
        ),
        "recovered": (
            lambda s: said[id(s)] and right[id(s)],
            lambda s: (-level[id(s)], -overlap(s, pair.other)),
        ),
    }
    return {
        words: _of_different(sorted(filter(fits, silent), key=order))
        for words, (fits, order) in kinds.items()
    }


def sheet(
    scenes: Sequence[Scene],
    pair: Pair,
    title: str,
    first: Stage1,
    second: Stage2,
    where: Callable[[Scene], Path],
) -> images.Picture:
    """Each picture beside its heatmap, with the truth and the answer."""
    tiles = []
    for scene in scenes:
        picture = images.read(where(scene))
        looked = next(first.look([first.load(picture)]))
        _, stacks = first.heatmaps(looked, [second.recipe])[0]
        seen = heatmaps.overlay(picture, stacks[0].max(axis=0), looked.squares[0])
        answer = scene.answers[pair.other]
        boxes = np.concatenate([scene.truth, answer.boxes[:1]])
        kinds = np.array([0] * len(scene.truth) + [1] * len(answer.boxes[:1]), np.int64)
        facts = f"{scene.level} · {pair.other} {best_of(answer):.2f} of {pair.limit:.2f}"
        tiles.append(draw.Tile(picture, boxes, kinds, facts, scene.name))
        fit = f"IoU {overlap(scene, pair.other):.2f}"
        tiles.append(draw.Tile(seen, boxes, kinds, f"what {pair.base} did see", fit))
    return draw.sheet(tiles, _NAMES, title, columns=6, side=240)


def _of_different(scenes: Sequence[Scene]) -> list[Scene]:
    """Some of them, no two of one photograph."""
    seen, out = set[str](), list[Scene]()
    for scene in scenes:
        if scene.source not in seen and len(out) < SHOWN:
            seen.add(scene.source)
            out.append(scene)
    return out
