"""The threshold of a second stage comes from where its first stage is silent."""

import json

import numpy as np
import pytest

from pipeline import fallback, heatmap_files
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

    def build(rows, split="val"):
        root = tmp_path / split
        for folder in (f"images/{split}", f"labels/{split}"):
            (root / folder).mkdir(parents=True)
        (root / "data.yaml").write_text("names: {0: face}\n")
        lines = []
        for number, (first, second, right) in enumerate(rows):
            name, size = f"{number:03d}.tif", [32, 32]
            stack = np.zeros((1, 4, 4), np.uint8)
            stack[0, 0, :2] = round(second * 255), right
            recipe = Recipe(compose="average", peak=1.0)
            facts = heatmap_files.facts_of(recipe, list(PARTS), Letterbox(32, 32, 32, 32))
            heatmap_files.write(root / "images" / split / name, stack, facts)
            label = "" if split == "val_empty" else "0 .5 .5 .5 .5\n"
            (root / "labels" / split / f"{number:03d}.txt").write_text(label)
            row = {"split": split, "name": name, "size": size, "best": {"whole face": first}}
            lines.append(json.dumps(row))
        (root / "annotations.jsonl").write_text("\n".join(lines) + "\n")
        return Dataset(root)

    return build


def test_only_silent_pictures_count(maps):
    """Sure and wrong where stage 1 speaks moves nothing; nine of ten right is enough."""
    silent = [(0.1, 0.8 - number / 100, number != 5) for number in range(20)]
    unsure = [(0.1, 0.2, False)] * 5
    spoken = [(0.9, 1.0, False)] * 30
    found = fallback.chosen(Second(), maps(silent + unsure + spoken), None, 0.3)

    assert found["threshold"] == pytest.approx(0.61, abs=0.003)
    assert found["chosen"]["silent pictures"] == 25


def test_a_picture_without_an_answer_is_no_answer(maps):
    """A score of 0 is under every threshold."""
    rows = [(0.1, 0.5, True)] * 20 + [(0.1, 0.0, False)] * 20

    found = fallback.chosen(Second(), maps(rows), None, 0.3)
    assert found["threshold"] == pytest.approx(0.5, abs=0.003)


def test_an_answer_in_a_window_without_a_face_is_wrong(maps):
    """Where stage 1 is silent there, too; a score over all of these is asked for then."""
    rows = [(0.1, 0.5 + number / 100, True) for number in range(20)]
    windows = [(0.1, 0.575, True)] * 3 + [(0.9, 1.0, True)] * 30
    found = fallback.chosen(Second(), maps(rows), maps(windows, "val_empty"), 0.3)

    assert found["threshold"] == pytest.approx(0.58, abs=0.003)
    assert found["chosen"]["silent pictures"] == 23


def test_turned_faces_count_where_there_are_some(maps):
    """A stage 1 that misses few upright ones leaves enough of these to choose on."""
    turned = maps([(0.1, 0.4, True)] * 30, "val_turned")
    found = fallback.chosen(Second(), turned, None, 0.3)

    assert found["threshold"] == pytest.approx(0.4, abs=0.003)


@pytest.mark.parametrize("rows", [[(0.1, 0.9, True)] * 5, [(0.9, 0.9, True)] * 50])
def test_too_few_silent_pictures_choose_nothing(maps, rows):
    assert fallback.chosen(Second(), maps(rows), None, 0.3) is None


def test_who_is_never_precise_is_never_believed(maps):
    rows = [(0.1, 0.9, False)] * 50
    assert fallback.chosen(Second(), maps(rows), None, 0.3)["threshold"] == 1.0
