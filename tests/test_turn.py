from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import face_picture, ibug_points

from pipeline import boxes as box
from pipeline.annotations import Face, PartBox
from pipeline.parts import IBUG68, PARTS
from pipeline.turn import Scene, draw_angle, mirror, turn


def scene(*points, width=200, height=160, **more):
    faces = tuple(Face(points=one, scheme="ibug68") for one in points)
    return Scene(face_picture(points, width, height), faces, **more)


def spots(places, width=160, height=160):
    """A dark picture with a bright disc at each place, and a scene whose points lie there."""
    yy, xx = np.mgrid[:height, :width] + 0.5
    picture = np.zeros((height, width, 3), np.uint8)
    for number, (x, y) in enumerate(places):
        picture[np.hypot(xx - x, yy - y) < 4, number] = 255
    points = np.tile(np.array(places, np.float32).mean(axis=0), (68, 1))
    points[[0, 16, 8]] = places
    return Scene(picture, (Face(points=points.astype(np.float32), scheme="ibug68"),))


@given(st.floats(-180, 180))
@settings(max_examples=30, deadline=None)
def test_pixels_and_points_turn_together(degrees):
    """Discs painted at landmarks lie at the turned landmarks, to half a pixel."""
    turned = turn(spots([(50, 60), (110, 70), (75, 120)]), degrees)
    points = turned.faces[0].points

    for channel, number in enumerate([0, 16, 8]):
        rows, columns = np.nonzero(turned.picture[..., channel] > 100)
        near = np.hypot(columns - points[number, 0], rows - points[number, 1]) < 12
        centre = [columns[near].mean() + 0.5, rows[near].mean() + 0.5]
        np.testing.assert_allclose(centre, points[number], atol=0.6)


@given(st.floats(-180, 180), st.floats(40, 140), st.floats(50, 110))
@settings(max_examples=50, deadline=None)
def test_a_face_that_was_whole_stays_whole(degrees, x, y):
    """After any turn, all landmarks are inside the picture, which keeps its size."""
    points = ibug_points(x, y, 60)
    points = np.clip(points, 0, [200, 160]).astype(np.float32)
    turned = turn(scene(points), degrees)

    assert turned.picture.shape == (160, 200, 3)
    assert (turned.faces[0].points >= 0).all()
    assert (turned.faces[0].points <= [200, 160]).all()


def test_a_full_turn_leaves_the_face_where_it_was():
    """Turned by 180 degrees twice, pixels and points are back."""
    before = scene(ibug_points(90, 80, 70))
    after = turn(turn(before, 180), 180)

    np.testing.assert_allclose(after.faces[0].points, before.faces[0].points, atol=0.01)
    assert np.abs(after.picture.astype(int) - before.picture).mean() < 1


def test_mirroring_twice_is_the_same_scene():
    """Pixels, points, visibility and boxes come back."""
    points = ibug_points(90, 80, 70, roll=12)
    seen = np.zeros(68, np.uint8)
    seen[36:42] = 1
    face = Face(points=points, scheme="ibug68", visibility=seen)
    part = PartBox(PARTS.index("left face"), box.as_boxes([10, 20, 30, 40]))
    before = Scene(face_picture([points]), (face,), (part,))
    once, twice = mirror(before), mirror(mirror(before))

    assert once.faces[0].visibility[42:48].tolist() == [1] * 6
    assert PARTS[once.parts[0].part] == "right face"
    assert once.parts[0].box.tolist() == [[170, 20, 190, 40]]
    np.testing.assert_allclose(twice.faces[0].points, points, atol=1e-3)
    assert (twice.picture == before.picture).all()
    assert twice.parts[0].box.tolist() == part.box.tolist()


def test_mirrored_right_eye_is_where_the_left_one_was():
    """Landmarks keep the subject's own left and right."""
    points = ibug_points(60, 80, 70)
    mirrored = mirror(scene(points)).faces[0].points

    np.testing.assert_allclose(mirrored[36], [200 - points[45, 0], points[45, 1]], atol=1e-3)


def test_a_box_alone_turns_only_by_right_angles():
    """A box around a turned box would be too large, so it is refused."""
    frame = box.as_boxes([40, 30, 80, 90])
    before = Scene(np.zeros((160, 160, 3), np.uint8), (Face(box=frame),))

    assert turn(before, 90).faces[0].box.tolist() == [[70, 40, 130, 80]]
    assert turn(before, 180).faces[0].box.tolist() == [[80, 70, 120, 130]]
    with pytest.raises(ValueError, match="90"):
        turn(before, 30)


def test_angles_are_drawn_where_they_are_exact():
    """Any angle with landmarks; quarters alone without, each as often; none below a quarter."""
    rng = np.random.default_rng(0)
    free = [draw_angle(rng, 30, any_angle=True) for _ in range(200)]
    quarters = Counter(draw_angle(rng, 180, any_angle=False) for _ in range(600))

    assert max(map(abs, free)) <= 30
    assert len(set(free)) == 200
    assert set(quarters) == {-90.0, 90.0, 180.0}
    assert max(quarters.values()) < 250
    assert draw_angle(rng, 45, any_angle=False) is None


def test_no_black_wedge_tells_the_angle():
    """The corners that a turn leaves empty are as bright as the picture, and soft: no second face.

    On stripes, a plain reflection would show stripes in the corners; these have hardly any.
    """
    stripes = np.where(np.arange(160) // 4 % 2, 230, 70).astype(np.uint8)
    picture = np.repeat(np.tile(stripes, (160, 1))[..., None], 3, axis=2)
    points = ibug_points(80, 80, 60)
    turned = turn(Scene(picture, (Face(points=points, scheme=IBUG68.name),)), 45).picture
    corner, middle = turned[:16, :16].astype(float), turned[60:100, 60:100].astype(float)

    assert abs(corner.mean() - picture.mean()) < 20
    assert corner.std() < 0.5 * middle.std()


def test_a_shrunk_picture_does_not_alias():
    """Stripes too fine for the smaller picture become grey, not other stripes."""
    stripes = np.where(np.arange(900) % 2, 255, 0).astype(np.uint8)
    picture = np.repeat(np.tile(stripes, (300, 1))[..., None], 3, axis=2)
    wide = np.array([[20, 150], [880, 150], [450, 160]], np.float32)
    points = np.tile(wide, (23, 1))[:68]
    turned = turn(Scene(picture, (Face(points=points, scheme="ibug68"),)), 90).picture

    assert turned[140:160, 440:460].std() < 20


def test_a_face_without_any_place_turns_with_the_rest():
    """Nothing of it must stay in sight, and nothing breaks."""
    nowhere = Face(points=np.full((68, 2), np.nan, np.float32), scheme="ibug68")
    before = Scene(np.zeros((80, 120, 3), np.uint8), (nowhere,))

    assert turn(before, 33).picture.shape == (80, 120, 3)


def test_nothing_to_keep_in_sight_turns_about_the_middle():
    """A picture without faces turns too."""
    before = Scene(np.zeros((80, 120, 3), np.uint8), ())

    assert turn(before, 37).picture.shape == (80, 120, 3)
