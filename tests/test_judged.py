"""Matching, against COCO's own and by hand; and that ten thousand pictures are not slow."""

import io
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from test_missed import BESIDE, FACE, FAR, LOOSE, NONE, answer, scene

from pipeline import points
from pipeline.judged import judge
from pipeline.missed import detection, tally
from pipeline.predictions import Answer, Scene
from pipeline.verdict import Judges, tables


def with_ignored(first, second, ignored, truth=FACE):
    return Scene(
        "a.jpg",
        "test",
        "hard",
        truth,
        {"first": first, "second": second},
        {"first": np.full(10, 0.3, np.float32)},
        ignored=ignored,
    )


def coco_says(scenes):
    """AP50 and AP50-95 by pycocotools."""
    images = [{"id": number} for number in range(1, len(scenes) + 1)]
    truths, found = [], []
    for number, each in enumerate(scenes, 1):
        for crowd, boxes in ((0, each.truth), (1, each.ignored)):
            for x1, y1, x2, y2 in boxes.astype(float).tolist():
                box = [x1, y1, x2 - x1, y2 - y1]
                row = {"id": len(truths) + 1, "image_id": number, "category_id": 1, "bbox": box}
                truths.append(row | {"area": box[2] * box[3], "iscrowd": crowd})
        said = each.answers["first"]
        for (x1, y1, x2, y2), score in zip(
            said.boxes.astype(float).tolist(), said.scores.tolist(), strict=True
        ):
            row = {"image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            found.append(row | {"score": score})
    with redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": truths, "categories": [{"id": 1}]}
        coco.createIndex()
        judging = COCOeval(coco, coco.loadRes(found), "bbox")
        judging.evaluate()
        judging.accumulate()
        judging.summarize()
    return judging.stats[1], judging.stats[0]


def ours(scenes):
    judged = judge(scenes)
    each = [points.ranked(judged, "first", row).average_precision() for row in range(10)]
    return each[0], np.mean(each)


def boxes_near(rng, count, spread):
    corner = rng.uniform(0, 150, (count, 2))
    side = rng.uniform(20, 60, (count, 2))
    truth = np.concatenate([corner, corner + side], axis=1)
    near = truth + rng.normal(0, spread, truth.shape)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)  # inside out, COCO knows no area
    return truth.astype(np.float32), near.astype(np.float32)


def random_scenes(seed, *, ignored=0, ties=False):
    """Crowds, duplicates, boxes of nothing, pictures without faces, faces without boxes."""
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(40):
        truth, found = boxes_near(rng, int(rng.integers(0, 6)), rng.uniform(0.5, 8))
        spared, on_spared = boxes_near(rng, int(rng.integers(0, ignored + 1)), 2)
        found = np.concatenate([found, found[:2] + 1, on_spared, boxes_near(rng, 2, 0)[0]])
        scores = rng.random(len(found)).astype(np.float32)
        if ties:
            scores = np.ceil(scores * 4) / 4
        best = np.argsort(-scores, kind="stable")
        said = Answer(found[best], scores[best].astype(np.float32))
        scenes.append(with_ignored(said, answer(), spared, truth))
    return scenes


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_that_of_coco(seed, ties):
    scenes = random_scenes(seed, ties=ties)

    assert ours(scenes) == pytest.approx(coco_says(scenes), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_ignored_faces_are_those_of_coco(seed):
    """At IoU .5; at stricter ones COCO asks a box on an ignored face to be as exact as that."""
    scenes = random_scenes(seed, ignored=3)

    assert ours(scenes)[0] == pytest.approx(coco_says(scenes)[0], abs=0.005)


@pytest.mark.parametrize(
    "scenes",
    [
        [scene(answer((FACE, 0.9), (FACE, 0.9), (FACE, 0.9)), answer())],
        [scene(answer((BESIDE, 0.9), (FACE, 0.8)), answer())],
        [scene(answer((FAR, 0.9)), answer(), truth=NONE), scene(answer((FACE, 0.1)), answer())],
        [scene(answer((FACE, 0.5)), answer(), truth=np.concatenate([FACE, BESIDE, FAR]))],
    ],
    ids=["three on one face", "the better one later", "an empty picture", "more faces than boxes"],
)
def test_adversarial_cases_are_those_of_coco(scenes):
    assert ours(scenes) == pytest.approx(coco_says(scenes), abs=1e-6)


def test_a_box_on_an_ignored_face_is_neither_right_nor_wrong():
    """Whoever answers there has not answered; whoever is sure there is not silent."""
    scenes = [
        with_ignored(answer((FACE, 0.9), (FAR, 0.8)), answer(), FAR),
        with_ignored(answer(), answer((FAR, 0.9)), FAR),
        with_ignored(answer((FAR, 0.9)), answer((FACE, 0.9)), FAR),
    ]
    judged = judge(scenes)
    alone = detection(judged, "first", 0.5)
    found = tally(judged, "first", 0.5, "second", 0.5)

    assert (alone.boxes.tolist(), alone.right.tolist()) == ([1, 0, 0], [1, 0, 0])
    assert (found.missed, found.answered, found.right) == (1, 0, 0)
    assert points.ranked(judged, "first").at(0.5) == (pytest.approx(1 / 3), 1)


def test_a_true_face_that_is_covered_by_an_ignored_one_still_counts():
    judged = judge([with_ignored(answer((FACE, 0.9)), answer(), FACE)])

    assert detection(judged, "first", 0.5).right.tolist() == [1]


def test_a_part_of_the_scenes_is_judged_as_they_alone_would_be():
    scenes = random_scenes(1, ignored=2)
    mask = np.arange(len(scenes)) % 3 == 0
    part, alone = judge(scenes).part(mask), judge(scenes[::3])

    for name, said in alone.said.items():
        for field in ("scene", "scores", "right", "surest", "overlap"):
            assert np.array_equal(
                getattr(part.said[name], field), getattr(said, field), equal_nan=True
            )


def test_scores_of_any_size_are_thresholds():
    """Haar's and dlib's are no shares: some lie below 0, some above 1."""
    sure = scene(answer((FACE, 7.5), (FAR, -0.4)), answer((FACE, -0.1)))
    unsure = scene(answer((FAR, -0.6)), answer((LOOSE, -0.3)))
    judged = judge([sure, unsure, scene(answer(), answer(), truth=NONE)])
    best = points.ranked(judged, "first").best()

    assert -0.4 < best <= 7.5
    assert points.ranked(judged, "first").alarms(best) == 0
    found = tables(Judges(judged, {"first": 5.0}, {}, 0.9), judged)
    (row,) = [
        row for row in found["missed"] if row["answered by"] == "second" and row["slice"] == "all"
    ]
    assert (row["missed"], row["answered"], row["threshold"]) == (1, 0, "")


def test_nothing_at_all_is_judged():
    judged = judge([scene(answer(), answer())])

    assert points.ranked(judged, "first").average_precision() == 0
    assert tally(judged, "first", 0.5, "second", 0.5).missed == 1


@pytest.mark.timed
def test_ten_thousand_pictures_are_scored_in_twenty_seconds():
    rng = np.random.default_rng(0)
    names = [f"d{number}" for number in range(8)]

    def pictures():
        for number in range(10_000):
            truth, _ = boxes_near(rng, int(rng.integers(1, 3)), 3)
            near = truth[:1] + rng.normal(0, 4, (len(names), 4)).astype(np.float32)
            far = rng.uniform(0, 300, (len(names), 7, 1)).astype(np.float32) + FACE
            scores = -np.sort(-rng.random((len(names), 8)).astype(np.float32), axis=1)
            said = {
                name: Answer(np.concatenate([near[place][None], far[place]]), scores[place])
                for place, name in enumerate(names)
            }
            level = ("none", "easy", "medium", "hard")[number % 4]
            best = {"d0": np.zeros(10, np.float32), "d1": np.zeros(10, np.float32)}
            facts = {"pose": str(number % 2), "blur": str(number % 3)}
            more = {"group": str(number // 2), "facts": facts}
            yield Scene(f"{number}.jpg", "test", level, truth, said, best, **more)

    scenes = list(pictures())
    begin = time.perf_counter()
    judged = judge(scenes)
    judges = Judges(judged, {"d0": 0.5, "d1": 0.5}, {"d2": "d0", "d3": "d1"}, 0.9)
    found = tables(judges, judged, ["pose", "blur"])

    assert time.perf_counter() - begin < 20
    assert len(found["missed"]) == 2 * 8 * (5 + 2 + 3)
