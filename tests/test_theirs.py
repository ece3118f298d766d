"""Predictions of anybody: what COCO's results form may look like, and what is wrong with others."""

import json

import numpy as np
import pytest

from pipeline import theirs
from pipeline.errors import UserError

ROWS = [
    {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5, "ms": 6},
    {"image_id": 1, "bbox": [0, 0, 5, 5], "score": 0.9, "ms": 6},
]
IMAGES = [{"id": 1, "file_name": "some/where/a.jpg"}, {"id": 2, "file_name": "b.c__hard0"}]


def write(path, content):
    path.write_text(json.dumps(content))
    return path


class Named:
    def __init__(self, name):
        self.name, self.split = name, "test"


@pytest.mark.parametrize("form", ["beside", "within", "rows"])
def test_every_way_to_name_a_picture(tmp_path, form):
    """A list beside the file or in it, or a name in each row; best box first, corners as ours."""
    path = tmp_path / "theirs.json"
    if form == "beside":
        write(path, ROWS)
        write(tmp_path / "pictures.json", {"images": IMAGES})
    elif form == "within":
        write(path, {"images": IMAGES, "annotations": ROWS})
    else:
        write(path, [row | {"file_name": "a.jpg"} for row in ROWS])
    found = theirs.read(path)
    one = found.of(Named("a.jpg"))

    assert found.name == "theirs"
    assert found.ms == {"a": 6}
    assert one.scores.tolist() == pytest.approx([0.9, 0.5])
    np.testing.assert_array_equal(one.boxes, [[0, 0, 5, 5], [10, 20, 40, 60]])
    if form != "rows":
        assert len(found.of(Named("b.c__hard0.jpg")).boxes) == 0


def test_a_picture_that_was_not_looked_at_is_an_error(tmp_path):
    """It would count as missed."""
    path = write(tmp_path / "theirs.json", {"images": IMAGES, "annotations": ROWS})
    with pytest.raises(UserError, match=r"nothing about c\.jpg \(test\)"):
        theirs.read(path).of(Named("c.jpg"))


@pytest.mark.parametrize(
    "content", ['[{"image_id": 1}]', '{"images": 3}', "[[1, 2]]", "no json", '[{"bbox": [1, 2]}]']
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UserError, match="COCO's results form"):
        theirs.read(path)


def test_several_files_of_one_detector_are_one(tmp_path):
    """A file for each split, as compare writes them; twice the same picture is a mistake."""
    paths = []
    for number, name in enumerate("ab"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder / "pictures.json", {"images": [{"id": 1, "file_name": f"{name}.jpg"}]})
        rows = [{"image_id": 1, "bbox": [number, 0, 5, 5], "score": 0.5, "ms": number + 1}]
        paths.append(write(folder / "mtcnn.json", rows))
    (found,) = theirs.read_all(paths)

    assert found.of(Named("a.jpg")).boxes.tolist() == [[0, 0, 5, 5]]
    assert found.of(Named("b.jpg")).boxes.tolist() == [[1, 0, 6, 5]]
    assert found.ms == {"a": 1, "b": 2}
    with pytest.raises(UserError, match="speaks of a, too"):
        theirs.read_all([paths[0], paths[0]])


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_numbers_are_finite(tmp_path, value):
    """One of them would spoil every mean."""
    path = tmp_path / "x.json"
    path.write_text(f'[{{"image_id": "a", "bbox": [0, 0, 5, 5], "score": {value}}}]')
    with pytest.raises(UserError, match="not finite"):
        theirs.read(path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROWS[0] | {"image_id": 77}], "image_id 77 is in no list"),
        ([ROWS[0], ROWS[0] | {"category_id": 2}], "several categories"),
        ([ROWS[0] | {"bbox": [5, 5, -3, 4]}], "a side under 0"),
        ({"a": 1}, "COCO's results form"),
    ],
)
def test_what_would_be_judged_wrongly_is_refused(tmp_path, rows, words):
    write(tmp_path / "pictures.json", {"images": IMAGES})
    with pytest.raises(UserError, match=words):
        theirs.read(write(tmp_path / "x.json", rows))
