"""What needs no second network: a face from its parts, a bright region of a heatmap."""

import numpy as np
import pytest

from pipeline import alternatives
from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.yolo import Found

PLACES = np.random.default_rng(7).uniform(0.2, 0.8, (len(PARTS), 2))  # of centres, in the face
SIZES = np.random.default_rng(8).uniform(0.1, 0.3, (len(PARTS), 2))


def face_and_parts(rng, noise=0.0):
    """The boxes and classes of a face anywhere, of any size and shape."""
    corner, span = rng.uniform(-50, 200, 2), rng.uniform(40, 300, 2)
    boxes, classes = [[*corner, *(corner + span)]], [WHOLE_FACE]
    for part in range(len(PARTS)):
        if part != WHOLE_FACE:
            centre = corner + (PLACES[part] + rng.normal(0, noise, 2)) * span
            half = SIZES[part] * span / 2
            boxes.append([*(centre - half), *(centre + half)])
            classes.append(part)
    return np.array(boxes, np.float32), np.array(classes, np.int64)


def learned(count=30, noise=0.0):
    rng = np.random.default_rng(0)
    return alternatives.fit(face_and_parts(rng, noise) for _ in range(count))


@pytest.mark.parametrize("seen", [[1], [1, 2], [3, 5, 7], list(range(1, 10))])
def test_a_face_is_where_its_parts_say(seen):
    """Exactly, where every face is alike; from one part as from all of them."""
    boxes, classes = face_and_parts(np.random.default_rng(5))
    found = Found(boxes[seen], np.full(len(seen), 0.5, np.float32), classes[seen])
    answer = learned().box(found)

    np.testing.assert_allclose(answer.boxes, boxes[:1], rtol=1e-3, atol=0.05)
    assert answer.scores.tolist() == pytest.approx([0.5 * len(seen) / 9])


def test_who_is_surer_counts_more():
    """A part at the wrong place moves the face less, the less it is believed."""
    boxes, classes = face_and_parts(np.random.default_rng(5))
    boxes[1] += 30
    away = []
    for doubt in (0.9, 0.1, 0.01):
        scores = np.full(len(boxes), 0.9, np.float32)
        scores[1] = doubt
        face = learned(noise=0.02).box(Found(boxes[1:], scores[1:], classes[1:])).boxes[0]
        away.append(np.abs(face - boxes[0]).max())
    assert away[0] > away[1] > away[2]


def test_a_whole_face_is_no_part_of_itself():
    """What stage 1 says of the whole face is not asked here."""
    boxes, classes = face_and_parts(np.random.default_rng(5))
    only = Found(boxes[:1], np.ones(1, np.float32), classes[:1])

    assert learned().box(only).boxes.shape == (0, 4)


def test_rare_parts_are_not_believed_and_too_few_faces_are_told():
    rng = np.random.default_rng(0)
    labels = [face_and_parts(rng) for _ in range(30)]
    labels = [(b[c != 9], c[c != 9]) if n > 3 else (b, c) for n, (b, c) in enumerate(labels)]
    boxes, classes = face_and_parts(rng)
    rare = Found(boxes[classes == 9], np.ones(1, np.float32), classes[classes == 9])

    assert len(alternatives.fit(iter(labels)).box(rare).boxes) == 0
    with pytest.raises(UserError, match="too few faces with parts"):
        learned(count=5)


def test_the_largest_bright_region_is_a_box_of_the_picture():
    """Over all channels; a brighter speck does not count, darkness gives no box."""
    stack = np.zeros((2, 40, 40), np.uint8)
    stack[:, 10:20, 5:25] = 120
    stack[:, 30, 30] = 200
    letterbox = Letterbox(640, 360, 320, 320)
    answer = alternatives.bright_region(stack, letterbox)

    expected = letterbox.undo(np.array([[40, 80, 200, 160]], np.float32))
    np.testing.assert_allclose(answer.boxes, expected)
    assert answer.scores.tolist() == pytest.approx([120 / 255])
    assert alternatives.bright_region(np.zeros_like(stack), letterbox).boxes.shape == (0, 4)
