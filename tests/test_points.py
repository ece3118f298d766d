"""A detector at every threshold: counted by hand."""

import math

import numpy as np
import pytest
from test_missed import BESIDE, FACE, FAR, NONE, answer, scene

from pipeline import points
from pipeline.judged import judge

SCENES = [
    scene(answer((FACE, 0.9), (FACE, 0.8)), answer()),  # the second box finds nothing new
    scene(answer((FAR, 0.7), (FACE, 0.5)), answer()),
    scene(answer(), answer()),
    scene(answer((FAR, 0.6)), answer(), truth=NONE),
    scene(answer(), answer(), truth=NONE),
]


@pytest.mark.parametrize(
    ("threshold", "recall", "precision", "alarms"),
    [
        (0.95, 0, math.nan, 0),
        (0.85, 1 / 3, 1, 0),
        (0.6, 1 / 3, 1 / 4, 0.5),
        (0.4, 2 / 3, 2 / 5, 0.5),
    ],
)
def test_recall_precision_and_false_alarms(threshold, recall, precision, alarms):
    found = points.ranked(judge(SCENES), "first")

    assert found.at(threshold) == pytest.approx((recall, precision), nan_ok=True)
    assert found.alarms(threshold) == alarms


def test_the_best_threshold_is_the_lowest_of_the_best():
    """F1 is 2/4 where one box is left, and again where two of five are right, of three faces."""
    found = points.ranked(judge(SCENES), "first")

    assert [found.f1(0.85), found.f1(0.5)] == pytest.approx([0.5, 0.5])
    assert found.best() == pytest.approx(0.001)


def test_a_detector_that_says_nothing():
    found = points.ranked(judge(SCENES), "second")

    assert found.at(0.5) == pytest.approx((0, math.nan), nan_ok=True)
    assert found.best() == pytest.approx(0.001)
    assert found.alarms(0.5) == 0
    assert math.isnan(points.ranked(judge(SCENES[:3]), "second").alarms(0.5))


def test_rows_say_which_threshold_is_used_and_which_is_best():
    """The best one follows from validation alone."""
    other = [scene(answer((FACE, 0.3)), answer()), scene(answer((FAR, 0.2)), answer(), truth=NONE)]
    for measured in (SCENES, SCENES[:1]):
        used, best, *ladder = points.rows(judge(other), judge(measured), "first", 0.5)
        assert (used["threshold"], used["note"]) == (0.5, "used")
        assert best["threshold"] == pytest.approx(0.201)
        assert len(ladder) == 19
    assert [row["note"] for row in points.rows(judge(other), judge(SCENES), "second", None)][
        :2
    ] == [
        "best F1 of validation",
        "",
    ]


def test_levels_do_not_matter():
    found = points.ranked(judge([scene(answer((FACE, 0.9)), answer(), level="none")]), "first")

    assert np.array_equal(found.right, [True])


def test_average_precision_by_hand():
    """Right, wrong, right, of four faces: 1 up to recall 1/4, 2/3 up to 1/2, then nothing."""
    scenes = [
        scene(answer((FACE, 0.9), (FAR, 0.8)), answer()),
        scene(answer((FACE, 0.7)), answer()),
        *[scene(answer(), answer())] * 2,
    ]
    expected = (26 * 1 + 25 * 2 / 3) / 101

    assert points.ranked(judge(scenes), "first").average_precision() == pytest.approx(expected)
    assert points.ranked(judge(scenes), "second").average_precision() == 0
    assert points.ranked(judge(scenes[:1]), "first").average_precision() == pytest.approx(1.0)


def test_average_precision_is_that_of_ultralytics():
    """To what their way of reading the curve between its points leaves, which is a hundredth."""
    from ultralytics.utils.metrics import compute_ap

    rng = np.random.default_rng(0)
    scores, right = np.sort(rng.random(500))[::-1], rng.random(500) < 0.7
    ours = points.Ranked(scores, right, 400, np.zeros(0))
    hits = np.cumsum(right)
    theirs, _, _ = compute_ap(hits / 400, hits / np.arange(1, 501))

    assert ours.average_precision() == pytest.approx(theirs, abs=0.01)


def test_a_stricter_overlap_is_asked_of_the_same_boxes():
    val, test = points.model_rows(judge(SCENES), judge(SCENES[:1]), "first")

    assert (val["faces"], test["faces"]) == (3, 1)
    assert test["AP50"] == test["AP50-95"] == 1.0
    loose = [scene(answer((BESIDE, 0.9)), answer())]  # IoU .54
    assert next(points.model_rows(judge(loose), judge(loose), "first"))["AP50-95"] == pytest.approx(
        0.1
    )
