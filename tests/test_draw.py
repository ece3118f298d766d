import numpy as np
import pytest

from pipeline import boxes as box
from pipeline.draw import PART_COLOURS, Tile, colour_of, draw_boxes, sheet
from pipeline.parts import PARTS


def test_every_part_has_a_colour_of_its_own():
    """Ten colours that differ."""
    assert list(PART_COLOURS) == list(PARTS)
    assert len(set(PART_COLOURS.values())) == len(PARTS)
    assert colour_of("face") == colour_of("whole face")


def test_a_box_is_drawn_where_it_is():
    """Its outline has the colour, its inside and the original picture are left alone."""
    picture = np.full((100, 100, 3), 90, np.uint8)
    drawn = draw_boxes(picture, box.as_boxes([20, 30, 60, 80]), [(255, 0, 0)])

    assert drawn[30, 40].tolist() == [255, 0, 0]
    assert drawn[55, 20].tolist() == [255, 0, 0]
    assert drawn[50, 40].tolist() == [90, 90, 90]
    assert (picture == 90).all()


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_a_sheet_of_any_number(count):
    """None, one or many tiles, of any shape; names too long are shortened."""
    tile = Tile(
        np.zeros((40, 90, 3), np.uint8),
        box.as_boxes([1, 2, 30, 20]),
        np.array([2]),
        "train · hard · a very long list of occluders that cannot fit",
        "Säugling" * 20,
    )
    picture = sheet([tile] * count, PARTS, "Title", columns=7, side=120)

    assert picture.dtype == np.uint8
    assert picture.shape[1] >= 4 * 120
    assert picture.shape[0] > 62
