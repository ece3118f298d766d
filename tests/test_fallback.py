"""The threshold of a second stage comes from where its first stage is silent."""

import json

import numpy as np
import pytest

from pipeline import fallback, heatmaps
from pipeline.dataset import Dataset
from pipeline.images import Letterbox
from pipeline.parts import PARTS
from pipeline.recipe import Recipe
from pipeline.yolo import Found

FACE = np.array([[8, 8, 24, 24]], np.float32)


class Second:
    """Reads its score off the heatmap, and is right where the next pixel says so."""

    def boxes(self, stacks, letterboxes, conf):
        out = []
        for stack, letterbox in zip(stacks, letterboxes, strict=True):
            assert (letterbox.width, letterbox.out_width) == (32, 32)
            score, right = stack[0, 0, 0] / 255, stack[0, 0, 1]
            found = FACE if right else FACE + 16
            scores = np.array([score], np.float32)
            kept = scores >= conf
            out.append(Found(found[kept], scores[kept], np.zeros(1, np.int64)[kept]))
        return out


@pytest.fixture
def maps(tmp_path):
    """Heatmaps with a score of stage 1, a score of stage 2, and whether that one is right."""

    def build(rows):
        for folder in ("images/val", "labels/val"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "data.yaml").write_text("names: {0: face}\n")
        lines = []
        for number, (first, second, right) in enumerate(rows):
            name, size = f"{number:03d}.tif", [32, 32]
            stack = np.zeros((1, 4, 4), np.uint8)
            stack[0, 0, :2] = round(second * 255), right
            recipe = Recipe(compose="average", peak=1.0)
            facts = heatmaps.facts_of(recipe, list(PARTS), Letterbox(32, 32, 32, 32))
            heatmaps.write(tmp_path / "images" / "val" / name, stack, facts)
            (tmp_path / "labels" / "val" / f"{number:03d}.txt").write_text("0 .5 .5 .5 .5\n")
            row = {"split": "val", "name": name, "size": size, "best": {"whole face": first}}
            lines.append(json.dumps(row))
        (tmp_path / "annotations.jsonl").write_text("\n".join(lines) + "\n")
        return Dataset(tmp_path)

    return build


def test_only_silent_pictures_count(maps):
    """Sure and wrong where stage 1 speaks moves nothing; nine of ten right is enough."""
    silent = [(0.1, 0.8 - number / 100, number != 5) for number in range(20)]
    unsure = [(0.1, 0.2, False)] * 5
    found = fallback.chosen(Second(), maps(silent + unsure + [(0.9, 1.0, False)] * 30), 0.3)

    assert found["threshold"] == pytest.approx(0.61, abs=0.003)
    assert found["chosen"]["silent pictures"] == 25


def test_a_picture_without_an_answer_is_no_answer(maps):
    """A score of 0 is under every threshold."""
    rows = [(0.1, 0.5, True)] * 20 + [(0.1, 0.0, False)] * 20

    assert fallback.chosen(Second(), maps(rows), 0.3)["threshold"] == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("rows", [[(0.1, 0.9, True)] * 5, [(0.9, 0.9, True)] * 50])
def test_too_few_silent_pictures_choose_nothing(maps, rows):
    assert fallback.chosen(Second(), maps(rows), 0.3) is None


def test_who_is_never_precise_is_never_believed(maps):
    assert fallback.chosen(Second(), maps([(0.1, 0.9, False)] * 50), 0.3)["threshold"] == 1.0
