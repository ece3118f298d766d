"""Face detectors that others have made, each behind one small adapter: picture -> answer.

None of them comes with Uncover. What is installed is used, what is not is told with the reason.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from pipeline.errors import UserError
from pipeline.images import Picture
from pipeline.predictions import LEAST, Answer, best_first
from pipeline.stage1 import Stage1

Detector = Callable[[Picture], Answer]


class NotHere(UserError):
    """Why a detector cannot be used on this machine."""


def yunet(model: str) -> Detector:
    """OpenCV's YuNet; its model is a file of its own (.onnx)."""
    if not hasattr(cv2, "FaceDetectorYN"):
        raise NotHere("this OpenCV has no FaceDetectorYN")
    try:
        network = cv2.FaceDetectorYN.create(_file(model, ".onnx"), "", (320, 320), 0.01, 0.3, 5000)
    except cv2.error as error:
        raise NotHere(f"{model}: not a model of YuNet ({error.err})") from error

    def look(picture: Picture) -> Answer:
        network.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = network.detect(_bgr(picture))
        return _answer([] if rows is None else [(*_corners(row[:4]), row[-1]) for row in rows])

    return look


def haar(model: str) -> Detector:
    """OpenCV's cascade; it knows no scores, so how many windows agree stands for one."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise NotHere("this OpenCV has no CascadeClassifier (5.0 keeps it in opencv-contrib)")
    cascade = cv2.CascadeClassifier(_file(model, ".xml"))
    if cascade.empty():
        raise NotHere(f"{model}: no cascade")

    def look(picture: Picture) -> Answer:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 3, outputRejectLevels=True)
        found = zip(boxes, np.ravel(weights), strict=True)
        return _answer([(*_corners(box), weight) for box, weight in found])

    return look


def mediapipe_short(_: str) -> Detector:
    """MediaPipe's detector for faces within two metres."""
    return _mediapipe(0)


def mediapipe_long(_: str) -> Detector:
    """MediaPipe's detector for faces within five metres."""
    return _mediapipe(1)


def dlib_hog(_: str) -> Detector:
    """The frontal detector of dlib, pictures doubled, so that it sees faces of forty pixels."""
    detector = _package("dlib").get_frontal_face_detector()

    def look(picture: Picture) -> Answer:
        boxes, scores, _ = detector.run(picture, 1, -1.0)
        found = zip(boxes, scores, strict=True)
        return _answer([(b.left(), b.top(), b.right(), b.bottom(), score) for b, score in found])

    return look


def mtcnn(_: str) -> Detector:
    """The cascade of three networks, as facenet-pytorch has it."""
    network = _package("facenet_pytorch").MTCNN(keep_all=True, post_process=False)

    def look(picture: Picture) -> Answer:
        boxes, scores = network.detect(picture)
        found = [] if boxes is None else zip(boxes, scores, strict=True)
        return _answer([(*box, score) for box, score in found])

    return look


def retinaface(_: str) -> Detector:
    """RetinaFace, as the package retina-face has it."""
    package = _package("retinaface").RetinaFace

    def look(picture: Picture) -> Answer:
        faces = package.detect_faces(_bgr(picture), threshold=0.02)
        found = faces.values() if isinstance(faces, dict) else []
        return _answer([(*face["facial_area"], face["score"]) for face in found])

    return look


def checkpoint(model: str) -> Detector:
    """Any Ultralytics detector, by its class called face, or its only class; or a neonatal one."""
    from pipeline import yolo
    from pipeline.neonatal import files
    from pipeline.neonatal.trained import open_neonatal

    if files.about(Path(model)) is not None:
        return _asked(open_neonatal(Path(model), "cpu"), 0)
    network = yolo.load(Path(model))
    if network.channels != 3:
        raise UserError(f"{model}: a network for {network.channels} channels looks at no pictures")
    names = [str(name).lower() for name in network.names]
    faces = [number for number, name in enumerate(names) if "face" in name.split()]
    whole = names.index("whole face") if "whole face" in names else (faces or [0])[0]
    if len(names) > 1 and not faces:
        raise NotHere(f"{model}: none of its classes is a face ({', '.join(names[:5])} ...)")
    return _asked(Stage1(network, yolo.about(Path(model)).get("imgsz", 640)), whole)


def _asked(stage: Stage1, whole: int) -> Detector:
    def look(picture: Picture) -> Answer:
        (looked,) = stage.look([stage.load(picture)])
        (found,) = stage.boxes(looked, LEAST)
        mine = found.classes == whole
        return Answer(found.boxes[mine], found.scores[mine])

    return look


# Some need a model besides, which is what they are given.
PEERS: dict[str, Callable[[str], Detector]] = {
    "mediapipe-short": mediapipe_short,
    "mediapipe-long": mediapipe_long,
    "yunet": yunet,
    "haar": haar,
    "dlib-hog": dlib_hog,
    "mtcnn": mtcnn,
    "retinaface": retinaface,
}


def _mediapipe(model: int) -> Detector:
    package = _package("mediapipe")
    if not hasattr(package, "solutions"):
        raise NotHere("this mediapipe has no face_detection solution (0.10 and before have)")
    detection = package.solutions.face_detection
    detector = detection.FaceDetection(model_selection=model, min_detection_confidence=0.01)

    def look(picture: Picture) -> Answer:
        height, width = picture.shape[:2]
        found = []
        for each in detector.process(picture).detections or []:
            box = each.location_data.relative_bounding_box
            corners = _corners([box.xmin, box.ymin, box.width, box.height])
            found.append((*(corners * [width, height, width, height]), each.score[0]))
        return _answer(found)

    return look


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotHere(f"not installed ({error})") from error


def _file(path: str, suffix: str) -> str:
    if not path:
        raise NotHere(f"needs a model: NAME=FILE{suffix}")
    if not Path(path).is_file():
        raise NotHere(f"{path}: there is no such file")
    return path


def _bgr(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[..., ::-1])


def _corners(box_xywh: Any) -> Any:  # noqa: ANN401 - four numbers of any kind
    x, y, width, height = np.asarray(box_xywh, np.float64)
    return np.array([x, y, x + width, y + height])


def _answer(found: list[tuple[Any, ...]]) -> Answer:
    """Of four corners and a score each."""
    return best_first((each[:4], each[4]) for each in found)
