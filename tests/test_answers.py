"""What was asked once is not asked again, and a kill costs no more than a line."""

from dataclasses import replace

import numpy as np
import pytest
from test_missed import FACE, answer, scene

from pipeline import answers

SCENES = [scene(answer((FACE, number / 10)), answer()) for number in range(1, 6)]


class Asked:
    def __init__(self, stop=None):
        self.stop, self.skipped = stop, []

    def __call__(self, skip):
        self.skipped.append(skip)
        for number, one in enumerate(SCENES[skip:]):
            if number == self.stop:
                raise KeyboardInterrupt
            yield one


def test_scenes_are_the_same_from_disk(tmp_path):
    """Boxes, scores, what is known; to the hundredth of a pixel that is written."""
    found = answers.kept(tmp_path, "test", {"weights": "x"}, Asked())

    for one, expected in zip(found, SCENES, strict=True):
        assert (one.name, one.split, one.level) == (expected.name, expected.split, expected.level)
        np.testing.assert_allclose(one.truth, expected.truth, atol=0.01)
        for name, said in expected.answers.items():
            np.testing.assert_allclose(one.answers[name].boxes, said.boxes, atol=0.01)
            np.testing.assert_allclose(one.answers[name].scores, said.scores, atol=1e-4)


def test_all_that_is_known_is_the_same_from_disk(tmp_path):
    known = {"blank": frozenset({"second"}), "source": "a/b.jpg", "group": "baby 7"}
    known |= {"facts": {"pose": "1"}, "ignored": FACE + 3, "ms": {"first": 2.5}}
    full = replace(SCENES[0], **known)
    (one,) = answers.kept(tmp_path, "test", {}, lambda _: iter([full]))

    np.testing.assert_array_equal(one.ignored, full.ignored)
    np.testing.assert_allclose(one.best["first"], full.best["first"], atol=1e-4)
    for name in ("blank", "source", "group", "facts", "ms"):
        assert getattr(one, name) == getattr(full, name)


def test_who_was_killed_goes_on(tmp_path):
    """Also in the midst of a line."""
    with pytest.raises(KeyboardInterrupt):
        answers.kept(tmp_path, "test", {"weights": "x"}, Asked(stop=3))
    (half,) = tmp_path.glob("*.partial")
    half.write_bytes(half.read_bytes() + b'{"name": "cut')
    asked = Asked()
    found = answers.kept(tmp_path, "test", {"weights": "x"}, asked)

    assert asked.skipped == [3]
    scores = [float(one.answers["first"].scores[0]) for one in found]
    assert scores == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_what_follows_from_something_else_is_asked_anew(tmp_path):
    first, again, other = Asked(), Asked(), Asked()
    answers.kept(tmp_path / "a", "test", {"weights": "x"}, first)
    answers.kept(tmp_path / "b", "test", {"weights": "x"}, again, tmp_path / "a")
    answers.kept(tmp_path / "c", "test", {"weights": "y"}, other, tmp_path / "a")

    assert (first.skipped, again.skipped, other.skipped) == ([0], [], [0])
    assert len(list((tmp_path / "c").iterdir())) == 1
