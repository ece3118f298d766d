"""The time line under a video: every frame has its place on it."""

import numpy as np
import pytest

from pipeline.annotate import COLOURS, Timeline


@pytest.mark.parametrize(("total", "stride"), [(100, 1), (7, 1), (100, 5), (1000, 30), (1000, 999)])
def test_no_column_is_left_out(total, stride):
    """However many frames, and however many of them are passed over; the rest is yet to come."""
    line = Timeline(64, total)
    for number in range(0, total, stride):
        line.add(number, "missed")
    end = min((number + 1) * 64 // total, 64)
    painted = (line.strip == COLOURS["missed"]).all(axis=(0, 2))

    assert painted[:end].all()
    assert not painted[max(end, 1) + 1 :].any()


def test_a_column_shows_the_shares_of_its_frames():
    line = Timeline(4, 40)
    for number in range(10):
        line.add(number, "found" if number < 5 else "recovered")
    colours = [tuple(colour) for colour in line.strip[:, 0].tolist()]

    assert colours.count(COLOURS["found"]) == colours.count(COLOURS["recovered"])
    assert np.unique(line.strip[:, 1:]).size == 1
