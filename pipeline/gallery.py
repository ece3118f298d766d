"""Pictures to look at: what a pair misses worst, recovers falsely, recovers best."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline import draw, images
from pipeline.judged import Judged
from pipeline.missed import answered, recovers, silent
from pipeline.predictions import Scene
from pipeline.stage1 import Stage1
from pipeline.stage2 import Stage2
from pipeline.verdict import LEVELS, Pair

SHOWN = 9  # of each kind
_NAMES = ["truth", "answer"]


def chosen(judged: Judged, pair: Pair) -> dict[str, tuple[list[int], int]]:
    """Who is shown and of how many: least hidden misses, surest errors, hardest recoveries."""
    quiet = silent(judged, pair.base, pair.conf)
    said, right = (each(judged, pair.other, pair.limit) for each in (answered, recovers))
    answer = judged.said[pair.other]
    seen = np.array([float(scene.best[pair.base].max()) for scene in judged.scenes])
    level = np.array([LEVELS.index(scene.level) for scene in judged.scenes])
    level[level == LEVELS.index("unknown")] = 0
    kinds = {
        "missed": (quiet & (judged.faces > 0) & ~said, (-seen, level)),
        "recovered falsely": (quiet & said & ~right, (-answer.surest,)),
        "recovered": (quiet & right, (-answer.overlap, -level)),
    }
    return {
        words: (
            _of_different(judged, [n for n in np.lexsort(order).tolist() if fits[n]]),
            int(fits.sum()),
        )
        for words, (fits, order) in kinds.items()
    }


def sheet(
    judged: Judged,
    chosen: Sequence[int],
    pair: Pair,
    title: str,
    first: Stage1,
    second: Stage2,
    where: Callable[[Scene], Path],
) -> images.Picture:
    """Each picture beside its heatmap, with the truth and the answer."""
    tiles, said = [], judged.said[pair.other]
    for number in chosen:
        scene = judged.scenes[number]
        picture = images.read(where(scene))
        looked = next(first.look([first.load(picture)]))
        _, stacks = first.heatmaps(looked, [second.recipe])[0]
        seen = draw.overlay(picture, stacks[0].max(axis=0), looked.squares[0])
        answer = scene.answers[pair.other]
        boxes = np.concatenate([scene.truth, answer.boxes[:1]])
        kinds = np.array([0] * len(scene.truth) + [1] * len(answer.boxes[:1]), np.int64)
        surest = f"{said.surest[number]:.2f}" if len(answer.boxes) else "nothing"
        needs = f"needs {pair.limit:.2f}" if np.isfinite(pair.limit) else "never believed"
        facts = f"{scene.level} · {pair.other}: {surest} ({needs})"
        tiles.append(draw.Tile(picture, boxes, kinds, facts, scene.name))
        fit = f"IoU {said.overlap[number]:.2f}"
        tiles.append(draw.Tile(seen, boxes, kinds, f"what {pair.base} did see", fit))
    return draw.sheet(tiles, _NAMES, title, columns=6, side=240)


def _of_different(judged: Judged, numbers: Sequence[int]) -> list[int]:
    """Some of them, no two of one photograph."""
    seen, out = set[str](), list[int]()
    for number in numbers:
        source = judged.scenes[number].source
        if source not in seen and len(out) < SHOWN:
            seen.add(source)
            out.append(number)
    return out
