import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import ibug_points

from pipeline import boxes as box
from pipeline.annotations import Report, Source, read
from pipeline.parts import (
    IBUG68,
    MIRRORED_PARTS,
    PARTS,
    SCHEMES,
    WHOLE_FACE,
    mirror_points,
    part_boxes,
    part_number,
)


def by_name(points, scheme=IBUG68):
    boxes, classes = part_boxes(points, scheme)
    return {PARTS[number]: row for row, number in zip(boxes, classes, strict=True)}


def test_the_parts_and_their_order():
    """Ids 0 to 9 are the thesis's ten parts; weights and heatmaps depend on the order."""
    expected = "eyes,nose,whole face,right face,left face,brows,left eye face,right eye face,"

    assert ",".join(PARTS) == expected + "eyes nose,mouth"
    assert [PARTS[number] for number in MIRRORED_PARTS] == [
        *["eyes", "nose", "whole face", "left face", "right face", "brows"],
        *["right eye face", "left eye face", "eyes nose", "mouth"],
    ]


def test_an_upright_face_to_the_letter():
    """The thesis's wording, on a face that is upright: every side of every box."""
    p = ibug_points(100, 100, 100)
    found = by_name(p)
    whole = [p[:, 0].min(), p[:, 1].min(), p[:, 0].max(), p[:, 1].max()]

    np.testing.assert_allclose(found["whole face"], whole)
    # right face: outermost right cheek to right tip of the mouth, mid-ear to chin
    np.testing.assert_allclose(
        found["right face"], [p[:9, 0].min(), p[1, 1], p[48, 0], p[8, 1]], atol=1e-4
    )
    np.testing.assert_allclose(
        found["left face"], [p[54, 0], p[15, 1], p[8:17, 0].max(), p[8, 1]], atol=1e-4
    )
    np.testing.assert_allclose(found["brows"], box.around(p[17:27])[0])
    np.testing.assert_allclose(found["mouth"], box.around(p[48:68])[0])
    np.testing.assert_allclose(found["nose"], box.around(p[27:36])[0])
    np.testing.assert_allclose(found["eyes nose"], box.around(p[27:48])[0])
    np.testing.assert_allclose(
        found["right eye face"],
        [found["right face"][0], p[36:42, 1].min(), p[36:42, 0].max(), p[8, 1]],
        atol=1e-4,
    )


def test_the_eyes_are_two_boxes_of_one_class():
    """A full face has eleven boxes of ten classes."""
    _, classes = part_boxes(ibug_points(100, 100), IBUG68)

    assert classes.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


@given(st.floats(-180, 180), st.floats(4, 800))
def test_the_whole_face_holds_every_other_box(roll, height):
    """At any angle and size, every part lies inside the whole face."""
    boxes, classes = part_boxes(ibug_points(300, 300, height, roll), IBUG68)
    whole = boxes[classes == WHOLE_FACE][0]

    assert (boxes[:, :2] >= whole[:2]).all()
    assert (boxes[:, 2:] <= whole[2:]).all()


@given(st.sampled_from([90, 180, 270]))
def test_quarter_turns_turn_the_boxes(quarter):
    """Turned by a right angle, a part's box is the turned box: the part did not change."""
    upright = by_name(ibug_points(0, 0, 100))
    turned = by_name(ibug_points(0, 0, 100, quarter))
    angle = np.radians(quarter)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    for name, corners in upright.items():
        moved = box.around(corners.reshape(2, 2) @ matrix)
        np.testing.assert_allclose(turned[name], moved[0], atol=1e-3)


@given(st.floats(-180, 180))
def test_mirroring_swaps_left_and_right(roll):
    """The boxes of mirrored points are the mirrored boxes of the mirrored classes."""
    points = ibug_points(100, 100, 80, roll)
    boxes, classes = part_boxes(points, IBUG68)
    mirrored, others = part_boxes(mirror_points(points, IBUG68, 200), IBUG68)
    expected = {
        (MIRRORED_PARTS[number], round(200 - x2, 1), round(y1, 1), round(200 - x1, 1), round(y2, 1))
        for (x1, y1, x2, y2), number in zip(boxes.tolist(), classes.tolist(), strict=True)
    }
    found = {
        (number, *(round(value, 1) for value in row))
        for row, number in zip(mirrored.tolist(), others.tolist(), strict=True)
    }
    close = sum(
        any(a[0] == b[0] and np.allclose(a[1:], b[1:], atol=0.2) for b in found) for a in expected
    )

    assert close == len(expected) == len(found)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_a_scheme_is_consistent(scheme):
    """Mirroring twice changes nothing; the two sides are each other's mirror; no point is lost."""
    mirror = np.array(scheme.mirror)
    groups = [*scheme.right_jaw, *scheme.left_jaw, *scheme.brows, *scheme.right_eye]
    groups += [*scheme.left_eye, *scheme.nose, *scheme.mouth]

    assert (mirror[mirror] == np.arange(scheme.count)).all()
    assert set(mirror[list(scheme.right_eye)]) == set(scheme.left_eye)
    assert tuple(mirror[list(scheme.right_jaw)]) == scheme.left_jaw
    assert (mirror[scheme.tips[0]], mirror[scheme.ears[0]]) == (scheme.tips[1], scheme.ears[1])
    assert set(groups) == set(range(scheme.count))


def test_points_without_a_place_are_left_out():
    """A part keeps its box while half of its points have a place, and loses it after."""
    points = ibug_points(100, 100)
    points[42:48] = np.nan  # the left eye
    points[22:27] = np.nan  # the left brow

    classes = part_boxes(points, IBUG68)[1].tolist()

    assert classes.count(PARTS.index("eyes")) == 1
    assert PARTS.index("brows") in classes
    assert PARTS.index("eyes nose") not in classes
    assert PARTS.index("left eye face") not in classes
    assert PARTS.index("left face") in classes


def test_a_cheek_without_the_tip_of_the_mouth_has_no_box():
    """Nothing says where the part would end."""
    points = ibug_points(100, 100)
    points[48] = np.nan

    assert "right face" not in by_name(points)


def test_no_place_at_all_gives_no_box():
    """Self-occluded from end to end, a face is not there."""
    assert part_boxes(np.full((68, 2), np.nan, np.float32), IBUG68)[0].shape == (0, 4)


@pytest.mark.parametrize("name", ["whole face", "Whole_Face", "left-eye-face", " mouth "])
def test_names_of_parts_are_read_leniently(name):
    """Underscores, dashes and capitals do not matter."""
    assert part_number(name) == PARTS.index(
        name.strip().lower().replace("_", " ").replace("-", " ")
    )
    assert part_number("chair") is None


@pytest.mark.parametrize(
    ("form", "folder"),
    [("ibug", "ibug68/lfpw_test"), ("fgnet", "fgnet68"), ("wflw", "wflw")],
)
def test_right_is_the_subjects_own_on_real_faces(shared_data, form, folder):
    """On real upright faces, the right face lies on the left half of the picture's face."""
    sides = []
    for annotation in read(Source(form, shared_data / folder), Report()):
        for face in annotation.faces:
            found = by_name(face.points, SCHEMES[face.scheme])
            if {"right face", "left face"} <= found.keys():
                right, left = found["right face"], found["left face"]
                sides.append(right[0] + right[2] < left[0] + left[2])

    assert len(sides) > 50
    assert np.mean(sides) > 0.95
