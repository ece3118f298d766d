import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from pipeline import boxes as box

side = st.floats(1, 500, width=32)
place = st.floats(-100, 600, width=32)
some_boxes = st.lists(st.tuples(place, place, side, side), max_size=6).map(
    lambda rows: box.from_xywh(box.as_boxes(rows))
)


@given(some_boxes)
def test_clipping_keeps_boxes_inside_and_is_idempotent(boxes):
    """A clipped box lies in the picture, and clipping it again changes nothing."""
    cut = box.clip(boxes, 320, 240)

    assert cut.shape == boxes.shape
    assert (cut >= 0).all()
    assert (cut[:, [0, 2]] <= 320).all()
    assert (cut[:, [1, 3]] <= 240).all()
    assert (box.clip(cut, 320, 240) == cut).all()


@given(some_boxes)
def test_label_form_there_and_back(boxes):
    """Centre and size as shares of the picture lead back to the same corners."""
    back = box.from_cxcywh_share(box.to_cxcywh_share(boxes, 640, 480), 640, 480)

    np.testing.assert_allclose(back, boxes, atol=1e-3)


@given(some_boxes)
def test_ellipses_there_and_back(boxes):
    """The upright ellipse inside a box has that box around it."""
    np.testing.assert_allclose(box.from_ellipses(box.to_ellipses(boxes)), boxes, atol=1e-2)


def test_the_box_of_a_turned_ellipse():
    """The extent of a turned ellipse, against points walked along its outline."""
    a, b, angle = 50.0, 20.0, 0.6
    t = np.linspace(0, 2 * math.pi, 100_000)
    x = 100 + a * np.cos(t) * math.cos(angle) - b * np.sin(t) * math.sin(angle)
    y = 80 + a * np.cos(t) * math.sin(angle) + b * np.sin(t) * math.cos(angle)
    expected = [x.min(), y.min(), x.max(), y.max()]

    np.testing.assert_allclose(
        box.from_ellipses(np.array([[a, b, angle, 100, 80]]))[0], expected, atol=1e-3
    )


@given(some_boxes, some_boxes)
def test_iou_is_torchvisions(boxes, others):
    """IoU agrees with torchvision for none, one and many boxes."""
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(others)).numpy()

    np.testing.assert_allclose(box.iou(boxes, others), expected, atol=1e-4)


@given(st.lists(st.tuples(some_boxes, some_boxes), max_size=5), st.sampled_from([0.0, 0.3, 0.5]))
def test_many_groups_at_once_are_each_group_alone(groups, least):
    """The same pairs and the same IoU as of one group after another, in their order."""
    alone = [
        (number, row, column, overlap[row, column])
        for number, (boxes, others) in enumerate(groups)
        for overlap in [box.iou(boxes, others)]
        for row, column in zip(*np.nonzero(overlap >= least), strict=True)
    ]
    lefts, rights = ([pair[side].tolist() for pair in groups] for side in (0, 1))

    assert list(box.overlapping(lefts, rights, least)) == alone


def test_iou_of_a_box_without_area_is_zero():
    """Two empty boxes share nothing, rather than not-a-number."""
    empty = box.as_boxes([[5, 5, 5, 5]])

    assert box.iou(empty, empty).tolist() == [[0.0]]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_function_takes_none_one_and_many(count):
    """Shapes follow the number of boxes."""
    boxes = box.as_boxes([[1, 2, 30, 40]] * count)

    assert box.area(boxes).shape == (count,)
    assert box.at_least(boxes, 2).shape == (count,)
    assert box.to_ellipses(boxes).shape == (count, 5)
    assert box.intersect(boxes, box.as_boxes([0, 0, 9, 9])).shape == (count, 4)


def test_points_without_a_place_do_not_count():
    """The box around points leaves out those that are NaN; none at all give no box."""
    points = np.array([[1, 2], [np.nan, np.nan], [5, 7]], np.float32)

    assert box.around(points).tolist() == [[1, 2, 5, 7]]
    assert box.around(points[1:2]).shape == (0, 4)
