"""What labels do not say counts for nothing, and what they say counts as before."""

from functools import partial

import numpy as np
import pytest
import torch

from pipeline import yolo
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.yolo import unknown

SIDE, CLASSES = 64, len(PARTS)
STRIDES = torch.tensor([8.0, 16.0, 32.0])


def features(count=1):
    return [torch.zeros(count, 1, SIDE // s, SIDE // s) for s in (8, 16, 32)]


def batch(rows):
    """Rows of picture, class, and a box in shares."""
    rows = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return {"batch_idx": rows[:, 0], "cls": rows[:, 1:2], "bboxes": rows[:, 2:], "img": None}


def known(rows, count=1):
    return unknown.known(batch(rows), features(count), STRIDES, CLASSES, WHOLE_FACE)


def test_where_all_is_known_all_counts():
    labels, counts = known([[0, WHOLE_FACE, 0.5, 0.5, 0.5, 0.5]])

    assert counts is None
    assert len(labels["cls"]) == 1


def test_within_a_face_without_parts_only_the_whole_face_counts():
    """At every anchor whose middle lies in it, on every level; outside of it everything counts."""
    face = [0.25, 0.25, 0.5, 0.5]  # the upper left quarter
    labels, counts = known(
        [[0, WHOLE_FACE, *face], [0, CLASSES + unknown.PARTS_UNKNOWN, *face]], count=2
    )

    assert labels["cls"].flatten().tolist() == [WHOLE_FACE]
    finest = counts[0, :64].reshape(8, 8, CLASSES)
    parts = [number for number in range(CLASSES) if number != WHOLE_FACE]
    assert finest[:4, :4][..., parts].sum() == 0
    assert finest[:4, :4, WHOLE_FACE].min() == 1
    assert finest[4:].min() == finest[:, 4:].min() == 1
    assert counts[0, 64:80].reshape(4, 4, CLASSES)[:2, :2][..., parts].sum() == 0
    assert counts[1].min() == 1  # the other picture


def test_what_is_too_small_counts_for_nothing():
    _, counts = known([[0, CLASSES + unknown.ALL_UNKNOWN, 0.25, 0.25, 0.5, 0.5]])

    assert counts[0, :64].reshape(8, 8, CLASSES)[:4, :4].sum() == 0
    assert counts.sum() > 0


def test_labels_of_whole_faces_become_labels_with_gaps():
    """A face, and its place; a small one is a place alone."""
    label = {
        "shape": (480, 640),
        "cls": np.zeros((2, 1), np.float32),
        "bboxes": np.array([[0.5, 0.5, 0.2, 0.3], [0.1, 0.1, 0.02, 0.03]], np.float32),
    }
    unknown.whole_faces_alone(label, CLASSES, WHOLE_FACE, 320)

    assert label["cls"].flatten().tolist() == [WHOLE_FACE, CLASSES, CLASSES + 1]
    np.testing.assert_allclose(label["bboxes"][[0, 1]], [[0.5, 0.5, 0.2, 0.3]] * 2)
    empty = {"shape": (9, 9), "cls": np.zeros((0, 1)), "bboxes": np.zeros((0, 4))}
    unknown.whole_faces_alone(empty, CLASSES, WHOLE_FACE, 320)
    assert empty["bboxes"].shape == (0, 4)


@pytest.mark.parametrize("region", [None, unknown.PARTS_UNKNOWN, unknown.ALL_UNKNOWN])
def test_no_gradient_comes_from_what_is_unknown(region):
    """Through the real loss: logits of unknown classes inside the region are left alone."""
    from ultralytics.cfg import get_cfg

    from pipeline.yolo.training import _FullPrecision

    torch.manual_seed(0)
    model = yolo.build("n", PARTS)
    model.args = get_cfg()
    loss = _FullPrecision(model.init_criterion(), WHOLE_FACE)
    face = [0.5, 0.5, 0.5, 0.5]
    rows = [[0, WHOLE_FACE, *face]]
    rows += [] if region is None else [[0, CLASSES + region, *face]]
    if region == unknown.ALL_UNKNOWN:
        rows = rows[1:]
    raw = model.train()(torch.rand(1, 3, SIDE, SIDE))
    scores = raw["scores"].detach().requires_grad_()
    loss(raw | {"scores": scores}, batch(rows))[0].sum().backward()
    inside = scores.grad[0, :, :64].reshape(CLASSES, 8, 8)[:, 2:6, 2:6]
    parts = [number for number in range(CLASSES) if number != WHOLE_FACE]

    assert scores.grad[0, :, :8].abs().min() > 0  # a corner: background of every class
    assert (inside[parts].abs().max() == 0) == (region is not None)
    assert (inside[WHOLE_FACE].abs().max() == 0) == (region == unknown.ALL_UNKNOWN)
    assert isinstance(loss.loss.bce, partial) == (region is not None) or region is None
