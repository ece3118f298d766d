"""Who recovers what: counted by hand, and thresholds that no test label can move."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judged import judge
from pipeline.missed import detection, lowest, tally, threshold_for
from pipeline.predictions import Answer, Scene

FACE = np.array([[10, 10, 30, 30]], np.float32)
BESIDE = np.array([[16, 10, 36, 30]], np.float32)  # IoU 14/26: right
LOOSE = np.array([[20, 10, 40, 30]], np.float32)  # IoU 1/3: right only at 0.3
FAR = np.array([[60, 60, 80, 80]], np.float32)
NONE = np.zeros((0, 4), np.float32)


def answer(*boxes_and_scores):
    boxes = np.concatenate([NONE, *(box for box, _ in boxes_and_scores)])
    return Answer(boxes, np.array([score for _, score in boxes_and_scores], np.float32))


def scene(first, second, truth=FACE, level="hard"):
    answers = {"first": first, "second": second}
    best = {"first": np.full(10, 0.3, np.float32)}
    return Scene("a.jpg", "test", level, truth, answers, best)


SCENES = [
    scene(answer((FACE, 0.9)), answer((FAR, 0.9))),  # found: the second is not asked
    scene(answer((FACE, 0.3)), answer((FACE, 0.8))),  # missed, recovered
    scene(answer(), answer((BESIDE, 0.7))),  # missed, recovered
    scene(answer(), answer((LOOSE, 0.6))),  # missed, right at IoU 0.3 alone
    scene(answer(), answer((FAR, 0.9), (FACE, 0.4))),  # missed, the best box is wrong
    scene(answer(), answer()),  # missed, nothing to answer
    scene(answer(), answer((FACE, 0.1))),  # missed, an answer below the threshold
    scene(answer(), answer((FAR, 0.9)), truth=NONE),  # no face: not a missed one
]


def test_a_tally_by_hand():
    """Seven faces, six missed; of seven silent pictures five answered, two rightly."""
    found = tally(judge(SCENES), "first", 0.5, "second", 0.2)

    assert (found.pictures, found.wrong, found.missed, found.answered) == (7, 0, 6, 5)
    assert (found.right, found.right_loosely) == (2, 3)


def test_a_wrong_box_is_neither_found_nor_missed():
    """It has a column of its own, so that nothing disappears."""
    found = tally(
        judge([scene(answer((FAR, 0.9)), answer((FACE, 0.9)))]), "first", 0.5, "second", 0.2
    )

    assert (found.pictures, found.wrong, found.missed, found.answered) == (1, 1, 0, 0)


def test_a_threshold_of_nothing_still_needs_a_box():
    assert tally(judge([scene(answer(), answer())]), "first", 0.0, "second", 0.2).missed == 1


def test_a_lowered_threshold_is_another_detector():
    """The detector itself, asked again about what it missed, with a lower threshold."""
    found = tally(judge(SCENES), "first", 0.5, "first", 0.2)

    assert (found.missed, found.answered, found.right) == (6, 1, 1)


def test_pairs_by_hand():
    """Boxes of the first count all; of the second, the best one where the first has none."""
    alone = detection(judge(SCENES), "first", 0.5)
    pair = detection(judge(SCENES), "first", 0.5, "second", 0.2)

    assert (alone.faces.sum(), alone.boxes.sum(), alone.right.sum()) == (7, 1, 1)
    assert (pair.faces.sum(), pair.boxes.sum(), pair.right.sum()) == (7, 6, 3)


def test_two_boxes_on_one_face_are_one_right_box():
    twice = scene(answer((FACE, 0.9), (BESIDE, 0.8)), answer())
    found = detection(judge([twice]), "first", 0.5)

    assert (found.boxes.sum(), found.right.sum()) == (2, 1)


def test_the_lowest_threshold_that_keeps_the_precision():
    """Counted from the top: 1/1, 2/2, 2/3, 3/4, 4/5, 4/6."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = np.array([True, True, False, True, True, False])

    assert lowest(scores, right, 0.8) == 0.5
    assert lowest(scores, right, 0.9) == 0.8
    assert lowest(scores, ~right, 1.0) == np.inf  # none


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=40),
    st.floats(0.1, 1),
)
def test_what_a_threshold_lets_through_is_as_precise_as_promised(pairs, precision):
    scores = np.array([score for score, _ in pairs])
    right = np.array([good for _, good in pairs])
    limit = lowest(scores, right, precision)
    through = right[scores >= limit]
    if len(through):
        assert through.mean() >= precision


def test_test_labels_cannot_move_a_threshold():
    """No threshold of any table, nor who is asked, follows from anything but validation."""
    from pipeline.verdict import Judges, as_precise, tables

    def limits(test):
        judges = Judges(judge(SCENES), {"first": 0.5}, {"second": "first"}, 0.9)
        found = tables(judges, judge(test))
        held = ("threshold", "then's", "thresholds", "chosen on", "note", "answered by")
        told = {
            name: [tuple(row[key] for key in held if key in row) for row in rows]
            for name, rows in found.items()
        }
        assert {"missed", "models", "points", "together", "unions", "silent"} <= told.keys()
        return told

    spoiled = [scene(each.answers["first"], each.answers["second"], FAR) for each in SCENES]
    assert limits(SCENES) == limits(spoiled) == limits(SCENES[:3])
    chosen = limits(SCENES)["missed"][0][0]
    assert chosen == 0.3 == round(threshold_for(judge(SCENES), "first", 0.5, "first", 0.9), 4)
    assert threshold_for(judge(spoiled), "first", 0.5, "first", 0.9) == np.inf
    assert as_precise(judge(SCENES), "second", 0.4) != as_precise(judge(spoiled), "second", 0.4)
