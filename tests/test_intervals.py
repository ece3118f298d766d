"""Intervals hold the truth about as often as they say, and know who belongs together."""

import numpy as np
import pytest

from pipeline.intervals import difference, grouped, interval


def test_the_truth_is_inside_about_nineteen_times_of_twenty():
    """Of a share of .3, over two hundred samples of a hundred pictures."""
    rng = np.random.default_rng(1)
    names = [str(number) for number in range(100)]
    inside = 0
    for _ in range(200):
        low, high = interval(rng.random(100) < 0.3, np.ones(100), grouped(names))
        inside += low <= 0.3 <= high
    assert 180 <= inside <= 198


def test_pictures_of_one_subject_are_drawn_together():
    """Ten subjects with ten equal pictures each tell no more than ten pictures do."""
    right = np.repeat(np.arange(10) < 4, 10)
    alone = interval(right, np.ones(100), grouped([str(number) for number in range(100)]))
    together = interval(right, np.ones(100), grouped([str(number // 10) for number in range(100)]))
    ten = interval(np.arange(10) < 4, np.ones(10), grouped([str(number) for number in range(10)]))

    assert together == pytest.approx(ten)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_nothing_says_nothing():
    assert interval(np.zeros(0), np.zeros(0), grouped([])) == (0.0, 1.0)
    assert interval(np.zeros(2), np.zeros(2), grouped(["a", "b"])) == (0.0, 1.0)


def test_all_or_none_is_not_certain():
    """Five of five may be half; a share of 1 - .025 ** (1 / 5) gives none of five once in forty."""
    low, high = interval(np.ones(5), np.ones(5), grouped(list("abcde")))
    assert (low, high) == (pytest.approx(0.478, abs=0.001), 1.0)
    low, high = interval(np.zeros(6), np.array([1, 1, 1, 1, 1, 0]), grouped(list("abcdef")))
    assert (low, high) == (0.0, pytest.approx(0.522, abs=0.001))


def test_too_few_groups_tell_nothing():
    """A hundred frames of one film are one thing that was seen."""
    assert interval(np.arange(100) < 3, np.ones(100), grouped(["film"] * 100)) == (0.0, 1.0)


def test_a_part_of_the_pictures_has_intervals_like_others():
    """Groups are drawn among all, of which those without such pictures change nothing."""
    names = [str(number) for number in range(400)]
    right, mask = np.arange(400) % 10 < 3, np.arange(400) < 100
    part = interval(right[mask], np.ones(100), grouped(names).part(mask))
    alone = interval(right[mask], np.ones(100), grouped(names[:100]))

    assert part == pytest.approx(alone, abs=0.03)


@pytest.mark.parametrize(
    ("gained", "expected"),
    [
        ([1] * 5, (0.478, 1.0)),
        ([-1] * 5, (-1.0, -0.478)),
        ([0] * 5, (-0.522, 0.522)),
        ([1, -1], (-1.0, 1.0)),
    ],
)
def test_a_difference_that_is_always_the_same_is_not_certain(gained, expected):
    groups = grouped([str(number) for number in range(len(gained))])
    assert difference(np.array(gained), groups) == pytest.approx(expected, abs=0.001)


def test_a_difference_is_that_of_pairs():
    """Twenty gained and ten lost of a hundred: between nothing and a fifth."""
    gained = np.array([1] * 20 + [-1] * 10 + [0] * 70)
    low, high = difference(gained, grouped([str(number) for number in range(100)]))

    assert -0.02 < low < 0.03
    assert 0.17 < high < 0.22
