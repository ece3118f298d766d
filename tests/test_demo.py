"""``uncover demo``: both pairs of shipped weights on a film whose truth is known."""

import json

import pytest

from pipeline import demo, images, media
from pipeline.demo import ACTS, Demo
from pipeline.errors import UserError


def test_the_demo_hides_faces_and_finds_them_again(home, monkeypatch, capsys):
    """A film, both pairs over it, real recoveries, a table that adds up; and twice in a row."""
    monkeypatch.setattr(demo, "FRAMES", 6)
    sheet = Demo().run()
    said = capsys.readouterr().out
    truth = json.loads((home / "runs" / "demo" / "truth.json").read_text())["annotations"]

    assert len(truth) == 4 * len(ACTS) * 6
    assert min(each["hidden"] for each in truth) < 0.1
    assert max(each["hidden"] for each in truth) > 0.8
    frames = list(media.frames(media.inputs([str(home / "runs" / "demo" / "film.mp4")])[0]))
    assert len(frames) == len(truth)
    rows = [line.split() for line in said.splitlines() if line.startswith("trained on")]
    totals = [list(map(int, row[-6:])) for row in rows if "all" in row]
    for count, _, found, recovered, wrong, missed in totals:
        assert count == len(truth) == found + recovered + wrong + missed
    clear, hardened = totals
    assert clear[3] > 0  # recovered, and rightly
    assert hardened[2] + hardened[3] > clear[2] + clear[3]
    assert images.read(sheet).shape[1] > 900
    assert Demo().run() == sheet


def test_somebody_elses_demo_is_not_overwritten(home):
    """A folder called demo that the demo did not make stays."""
    mine = home / "runs" / "demo"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")

    with pytest.raises(UserError, match="move it away"):
        Demo().run()
    assert (mine / "thesis.txt").exists()
