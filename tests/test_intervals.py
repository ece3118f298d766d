"""Intervals hold the truth about as often as they say, and know who belongs together."""

import numpy as np
import pytest

from pipeline.intervals import interval


def test_the_truth_is_inside_about_nineteen_times_of_twenty():
    """Of a share of .3, over two hundred samples of a hundred pictures."""
    rng = np.random.default_rng(1)
    names = [str(number) for number in range(100)]
    inside = 0
    for _ in range(200):
        low, high = interval(rng.random(100) < 0.3, np.ones(100), names)
        inside += low <= 0.3 <= high
    assert 180 <= inside <= 198


def test_pictures_of_one_subject_are_drawn_together():
    """Ten subjects with ten equal pictures each tell no more than ten pictures do."""
    right = np.repeat(np.arange(10) < 4, 10)
    alone = interval(right, np.ones(100), [str(number) for number in range(100)])
    together = interval(right, np.ones(100), [str(number // 10) for number in range(100)])
    ten = interval(np.arange(10) < 4, np.ones(10), [str(number) for number in range(10)])

    assert together == pytest.approx(ten)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_nothing_says_nothing():
    assert interval(np.zeros(0), np.zeros(0), []) == (0.0, 1.0)
    assert interval(np.zeros(2), np.zeros(2), ["a", "b"]) == (0.0, 1.0)


def test_all_or_none_is_not_certain():
    """Five of five may be half; a share of 1 - .025 ** (1 / 5) gives none of five once in forty."""
    low, high = interval(np.ones(5), np.ones(5), list("abcde"))
    assert (low, high) == (pytest.approx(0.478, abs=0.001), 1.0)
    low, high = interval(np.zeros(6), np.array([1, 1, 1, 1, 1, 0]), list("abcdef"))
    assert (low, high) == (0.0, pytest.approx(0.522, abs=0.001))
