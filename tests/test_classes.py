"""All classes of the first stages: thresholds come from validation, and nothing is judged twice."""

import json

import pytest
from synthetic import ibug_folder

from pipeline import classes
from pipeline.dataset import Dataset, open_dataset
from pipeline.parts import PARTS
from pipeline.prepare import Prepare
from pipeline.yolo import judging

FIGURES = {"P": 0.1, "R": 0.1, "F1": 0.1, "AP50": 0.8, "AP50-95": 0.6}
SOURCES = {"weights": {"first": "a"}, "val": "b", "test": "c"}
HOW = {"batch": 4, "device": "cpu", "imgsz": 64}


@pytest.fixture
def data(home):
    ibug_folder(home / "faces", count=8)
    return open_dataset(
        str(Prepare((f"ibug={home / 'faces'}",), "faces", split="4:2:2", workers=1).run())
    )


@pytest.fixture
def asked(monkeypatch):
    """What Ultralytics would be asked: at which thresholds; each set has peaks of its own."""
    calls = []

    def judge(weights, yaml, settings, folder, thresholds):
        calls.append(dict(thresholds))
        peak = 0.2 * len(calls)
        one = {"P": 0.9, "R": 0.7, "F1": 0.8}
        found = {
            part: FIGURES | {"threshold": thresholds.get(part, peak), "at_threshold": one}
            for part in PARTS
        }
        (folder / "BoxF1_curve.png").write_bytes(b"picture")
        return {"all": FIGURES, "classes": found}

    monkeypatch.setattr(judging, "judge", judge)
    return calls


def weights(tmp_path):
    path = tmp_path / "first.pt"
    path.write_bytes(b"weights")
    return {"first": path}


def test_thresholds_are_those_of_validation(data, asked, tmp_path):
    sets = {"val": (data, "val"), "test": (data, "test")}
    rows, curves = classes.tables(
        tmp_path / "a", tmp_path / "b", weights(tmp_path), sets, SOURCES, HOW
    )

    assert asked == [{}, dict.fromkeys(PARTS, 0.2)]
    assert [(row["model"], row["set"], row["classes"]) for row in rows] == [
        ("first", words, of) for words in ("val", "test") for of in ("all", "whole face")
    ]
    assert all((row["P"], row["R"], row["AP50"]) == (0.9, 0.7, 0.8) for row in rows)
    assert curves == {"parts/first-test/BoxF1_curve.png": b"picture"}


def test_without_validation_there_are_areas_alone(data, asked, tmp_path):
    """A threshold from the test would flatter it."""
    faces = Prepare(
        (f"ibug={data.root.parents[1] / 'faces'}",), "bare", "face", split="4:2:2"
    ).run()
    sets = {"val": (Dataset(faces), "val"), "test": (data, "test")}
    rows, _ = classes.tables(tmp_path / "a", tmp_path / "b", weights(tmp_path), sets, SOURCES, HOW)

    assert len(asked) == 1
    assert {row["set"] for row in rows} == {"test"}
    assert all((row["P"], row["R"], row["F1"]) == ("", "", "") for row in rows)
    assert all(row["AP50"] == 0.8 for row in rows)


def test_what_was_judged_is_not_judged_again(data, asked, tmp_path):
    """Not after a kill, not in another result of the same; but of other weights it is."""
    sets = {"val": (data, "val"), "test": (data, "test")}
    given = weights(tmp_path)
    first = classes.tables(tmp_path / "a", tmp_path / "none", given, sets, SOURCES, HOW)
    again = classes.tables(tmp_path / "a", tmp_path / "none", given, sets, SOURCES, HOW)
    copied = classes.tables(tmp_path / "c", tmp_path / "a", given, sets, SOURCES, HOW)

    assert first == again == copied
    assert len(asked) == 2
    assert json.loads((tmp_path / "c" / "parts" / "first-val" / "scores.json").read_text())
    other = SOURCES | {"weights": {"first": "z"}}
    classes.tables(tmp_path / "a", tmp_path / "none", given, sets, other, HOW)
    assert len(asked) == 4
