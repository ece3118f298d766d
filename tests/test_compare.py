"""``uncover compare``, with packages that stand in for those of others."""

import csv
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from films import film
from synthetic import ibug_folder

from pipeline import dataset, images, peers, theirs
from pipeline.compare import Compare
from pipeline.errors import UserError
from pipeline.prepare import Prepare

PICTURE = np.zeros((80, 100, 3), np.uint8)
PICTURE[..., 0] = 200  # red, so that who is given BGR would see


@pytest.fixture(scope="module")
def place(module_home):
    """A home with a small dataset."""
    ibug_folder(module_home / "source" / "helen_test", count=4, start=100)
    Prepare((f"ibug={module_home / 'source'}",), "faces", classes="face", workers=1).run()
    return module_home


def table(folder):
    with (folder / "compare.csv").open(newline="") as file:
        return {row["detector"]: row for row in csv.DictReader(file)}


def package(monkeypatch, name, **content):
    module = ModuleType(name)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


class Mtcnn:
    def __init__(self, **_):
        pass

    def detect(self, picture):
        assert picture.dtype == np.uint8
        return np.array([[10, 20, 30, 40], [1, 2, 3, 4]]), np.array([0.5, 0.9])


def test_mtcnn(monkeypatch):
    package(monkeypatch, "facenet_pytorch", MTCNN=Mtcnn)
    answer = peers.mtcnn("")(PICTURE)

    np.testing.assert_array_equal(answer.boxes, [[1, 2, 3, 4], [10, 20, 30, 40]])
    assert answer.scores.tolist() == pytest.approx([0.9, 0.5])


def test_mediapipe(monkeypatch):
    """Shares of the picture become pixels; an old package and one without faces."""
    box = SimpleNamespace(xmin=0.1, ymin=0.2, width=0.3, height=0.4)
    face = SimpleNamespace(location_data=SimpleNamespace(relative_bounding_box=box), score=[0.75])
    seen = iter([[face], None])

    class Detection:
        def __init__(self, **settings):
            assert settings["model_selection"] == 1

        def process(self, picture):
            assert picture[0, 0, 0] == 200
            return SimpleNamespace(detections=next(seen))

    solutions = SimpleNamespace(face_detection=SimpleNamespace(FaceDetection=Detection))
    package(monkeypatch, "mediapipe", solutions=solutions)
    look = peers.mediapipe_long("")

    np.testing.assert_allclose(look(PICTURE).boxes, [[10, 16, 40, 48]], rtol=1e-6)
    assert look(PICTURE).boxes.shape == (0, 4)
    package(monkeypatch, "mediapipe")
    with pytest.raises(peers.NotHere, match="no face_detection"):
        peers.mediapipe_short("")


def test_dlib_and_retinaface(monkeypatch):
    side = {"left": 1, "top": 2, "right": 3, "bottom": 4}
    box = SimpleNamespace(**{name: lambda value=value: value for name, value in side.items()})
    hog = SimpleNamespace(run=lambda *_: ([box], [0.4], [0]))
    package(monkeypatch, "dlib", get_frontal_face_detector=lambda: hog)
    np.testing.assert_array_equal(peers.dlib_hog("")(PICTURE).boxes, [[1, 2, 3, 4]])

    def detect_faces(picture, threshold):
        assert picture[0, 0, 2] == 200
        return {"face_1": {"facial_area": [5, 6, 7, 8], "score": 0.9}} if threshold else ()

    package(monkeypatch, "retinaface", RetinaFace=SimpleNamespace(detect_faces=detect_faces))
    np.testing.assert_array_equal(peers.retinaface("")(PICTURE).boxes, [[5, 6, 7, 8]])


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("mtcnn", "", "not installed"),
        ("yunet", "", "needs a model: NAME=FILE.onnx"),
        ("yunet", "nowhere.onnx", "no such file"),
    ],
)
def test_who_is_not_here_says_why(monkeypatch, name, model, words):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(peers.NotHere, match=words):
        peers.PEERS[name](model)


def test_a_file_that_is_no_model_is_told(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(peers.NotHere, match="not a model of YuNet"):
        peers.yunet(str(tmp_path / "x.onnx"))


def test_everybody_has_a_row(place, monkeypatch):
    """With labels there is recall; predictions can be read again; who is missing is listed."""
    package(monkeypatch, "facenet_pytorch", MTCNN=Mtcnn)
    monkeypatch.setitem(sys.modules, "dlib", None)
    folder = Compare(data="faces", most=3, name="labelled").run()
    rows = table(folder)

    assert rows.keys() == {"uncover", "parts-hardened", *peers.PEERS}
    assert rows["mtcnn"]["pictures"] == "3"
    assert rows["mtcnn"]["empty"] == "0.0"
    assert float(rows["mtcnn"]["recall"]) == 0
    assert float(rows["parts-hardened"]["ms (median)"]) > 0
    assert "not installed" in rows["dlib-hog"]["note"]
    names = [row["name"] for row in dataset.open_dataset("faces").rows("test")]
    found = theirs.read(folder / "mtcnn.json")
    listed = {
        image["file_name"] for image in json.loads((folder / "pictures.json").read_text())["images"]
    }
    assert listed < set(names)
    assert all(len(answer.boxes) == 2 for answer in found.answers.values())
    assert len(found.ms) == 3
    assert min(found.ms.values()) > 0
    with pytest.raises(UserError, match="--overwrite"):
        Compare(data="faces", most=3, name="labelled").run()


def test_films_and_pictures_without_labels(place, tmp_path, monkeypatch):
    """Evenly spaced over all of them; only the share without a face can be told."""
    package(monkeypatch, "facenet_pytorch", MTCNN=Mtcnn)
    film(tmp_path / "v.mkv", count=20)
    images.write(tmp_path / "a.png", PICTURE)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    folder = Compare((str(tmp_path),), most=7, name="unlabelled").run()
    listed = json.loads((folder / "pictures.json").read_text())["images"]

    assert len(listed) in {6, 7}  # the bad one may be one of the seven
    assert all(each["ms"]["mtcnn"] > 0 for each in listed)
    assert "recall" not in table(folder)["mtcnn"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "give either"),
        ({"sources": ("x",), "data": "faces"}, "give either"),
        ({"data": "faces", "most": -3}, "--most"),
        ({"data": "faces", "precision": 5}, "--precision"),
        ({"data": "faces", "split": "nowhere"}, "no pictures in nowhere; it has test"),
        ({"data": "faces", "checkpoints": ("heatmap-clear",)}, "10 channels"),
        ({"data": "faces", "models": ("yunet",)}, "NAME=FILE"),
        ({"data": "faces", "models": ("nobody=x",)}, "known are"),
        ({"data": "nowhere"}, "no prepared dataset"),
    ],
)
def test_what_makes_no_sense_is_refused(place, settings, words):
    with pytest.raises(UserError, match=words):
        Compare(**settings, name="wrong").run()
