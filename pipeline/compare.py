"""``uncover compare``: our detectors and others' on the same pictures, in one run.

A result is ``runs/compare/NAME``::

    compare.csv .md   a row a detector: pictures without a face, recall, precision, milliseconds
    DETECTOR.json     what it said, in COCO's results form
    pictures.json     the pictures, and the milliseconds of each
    manifest.json     settings, versions, threads
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from pipeline import runs, shipped, tables
from pipeline.errors import UserError
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.images import Picture
    from pipeline.peers import Detector
    from pipeline.predictions import Scene

_WARM_UP = 3  # times that each is asked before time is taken
# From which score on each is believed by its makers.
_DEFAULTS = {
    **dict.fromkeys(("yunet", "retinaface"), 0.9),
    **dict.fromkeys(("mediapipe-short", "mediapipe-long"), 0.5),
    "dlib-hog": 0.0,
}
_ALL = -1.0  # of the others whatever they give
_OURS = "uncover"
_PAIRS = "no other precision: the scores of its two stages are of two kinds"


@dataclass(frozen=True)
class Compare:
    """Compare face detectors: how often they find none, what is right of it, how long it takes.

    Ours, the pair and its first stage alone, beside whichever of the usual ones are installed
    (MediaPipe, OpenCV's YuNet and Haar, dlib, MTCNN, RetinaFace) and any Ultralytics checkpoint.
    What is not installed is listed as such. With labels (--data), recall is also given at one
    precision for all, because thresholds that makers have chosen are not comparable: at thresholds
    that these very labels tell. 'evaluate --predictions' takes what is written here and chooses
    them on other pictures.

    Writes runs/compare/NAME: compare.csv, compare.md, and what each has said in COCO's form.

    Example: uncover compare ward/ --models yunet=face_detection_yunet.onnx

    Example: uncover compare --data unseen --checkpoints yolov8n-face.pt
    """

    sources: tyro.conf.Positional[tuple[str, ...]] = ()
    """Pictures, videos, folders, patterns."""

    data: str = ""
    """Instead of sources: a prepared dataset, whose faces are known."""

    split: str = "test"
    """Of the dataset."""

    name: str = ""
    """The result is written to runs/compare/NAME; by default that of the source."""

    models: tuple[str, ...] = ()
    """What some need besides: NAME=FILE, such as yunet=FILE.onnx or haar=FILE.xml."""

    checkpoints: tuple[str, ...] = ()
    """Ultralytics detectors with a class that is called face, or with one class; weights of the
    neonatal detector (neonatal-light)."""

    most: int = 500
    """At most so many pictures, evenly spaced; 0: all."""

    precision: float = 0.9
    """At which recall is compared."""

    overwrite: bool = False
    """Replace a result of this name."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense before any work is done."""
        if bool(self.sources) == bool(self.data):
            raise UserError("give either sources (pictures, videos) or --data (with labels)")
        if self.most < 0 or not 0 < self.precision <= 1:
            raise UserError("--most: expected 0 or more; --precision: a share above 0, up to 1")

    def run(self) -> Path:
        """Ask everybody, and write."""
        given = self.data or self.sources[0]
        name = runs.plain_name(self.name) if self.name else runs.name_from(Path(given).name)
        target = runs.home() / "runs" / "compare" / name
        if target.exists() and not self.overwrite:
            raise UserError(f"{target} is there; --overwrite replaces it, --name takes another")
        detectors, missing = self._detectors()
        with runs.whole_folder(target) as folder:
            scenes = _asked(detectors, self._pictures())
            if not scenes:
                raise UserError(f"{given}: no picture in it can be read")
            rows = list(self._rows(detectors, scenes))
            rows += [
                dict.fromkeys(rows[0], "") | {"detector": each, "note": why}
                for each, why in missing.items()
            ]
            _write(folder, scenes, rows)
            runs.write_json(folder / "manifest.json", self._record(len(scenes)))
        print(tables.as_text(rows))
        print(_threads())
        print(target)
        return target

    def _detectors(self) -> "tuple[dict[str, tuple[Detector, float]], dict[str, str]]":
        """Each that can be asked with its threshold, and why the others cannot."""
        from pipeline import peers, yolo
        from pipeline.opening import told

        given = dict(_named(each) for each in self.models)
        unknown = given.keys() - peers.PEERS.keys()
        if unknown:
            raise UserError(f"--models {unknown.pop()}: known are {', '.join(peers.PEERS)}")
        found = {_OURS: (_pair(), 0.0)}
        missing: dict[str, str] = {}
        first = shipped.find(shipped.STAGE1)
        found[shipped.STAGE1] = (peers.checkpoint(str(first)), yolo.about(first)["threshold"])
        for name, build in peers.PEERS.items():
            try:
                found[name] = (build(given.get(name, "")), _DEFAULTS.get(name, _ALL))
            except peers.NotHere as error:
                missing[name] = str(error)
        for path in map(shipped.find, self.checkpoints):
            about, called = told(path), shipped.called(path)
            if called in {*found, *missing, "pictures", "manifest"}:
                raise UserError(
                    f"--checkpoints {path}: another is called {called}; copy or rename it"
                )
            found[called] = (peers.checkpoint(str(path)), about.get("threshold", 0.25))
        return found, missing

    def _pictures(self) -> "Iterator[tuple[Scene, Picture]]":
        """Pictures, and what is known of them: of a dataset, true faces."""
        from pipeline import images, media
        from pipeline.boxes import as_boxes
        from pipeline.dataset import open_dataset
        from pipeline.predictions import Scene, scene_of

        if self.data:
            data = open_dataset(self.data)
            rows, face = list(data.rows(self.split)), data.face
            if not rows:
                there = ", ".join(sorted({row["split"] for row in data.rows()}))
                raise UserError(f"{data.root}: no pictures in {self.split}; it has {there}")
            for number in media.evenly(len(rows), self.most or len(rows)):
                row = rows[number]
                yield scene_of(data, row, face), images.read(data.picture(row))
            return
        given = media.inputs(self.sources)
        lengths = [media.length(each) for each in given]
        chosen = set(media.evenly(sum(lengths), self.most or sum(lengths)))
        place = 0
        for each, length in zip(given, lengths, strict=True):
            wanted = {number - place for number in chosen}
            if each.kind != "picture" or 0 in wanted:
                for frame in media.frames(each, partial(_is_in, wanted)):
                    if frame.picture is None:
                        print(f"{frame.source}: passed over: {frame.reason}", file=sys.stderr)
                    else:
                        yield Scene(frame.name, "", "unknown", as_boxes([]), {}, {}), frame.picture
            place += length

    def _rows(
        self,
        detectors: "Mapping[str, tuple[Detector, float]]",
        scenes: "Sequence[Scene]",
    ) -> Iterator[Json]:
        from pipeline.intervals import interval
        from pipeline.judged import judge
        from pipeline.missed import detection, silent
        from pipeline.points import ranked
        from pipeline.verdict import as_precise

        judged = judge(scenes)
        for name, (_, threshold) in detectors.items():
            empty = float(silent(judged, name, threshold).mean())
            row: Json = {"detector": name, "pictures": len(scenes), "empty": round(empty, 4)}
            if judged.faces.any():
                found = detection(judged, name, threshold)
                low, high = interval(found.right, found.faces, judged.groups)
                row |= {"recall": round(found.recall, 4), "from": round(low, 4)}
                row |= {"to": round(high, 4), "precision": round(found.precision, 4)}
                alike = ranked(judged, name).at(as_precise(judged, name, self.precision))[0]
                row[f"recall at precision {self.precision:g}"] = (
                    "" if name == _OURS else round(alike, 4)
                )
            yield row | {
                "ms (median)": round(statistics.median(scene.ms[name] for scene in scenes), 2),
                "threshold": "its pair's" if name == _OURS else round(threshold, 4),
                "note": _PAIRS if name == _OURS and judged.faces.any() else "",
            }

    def _record(self, count: int) -> Json:
        settings = runs.settings_of(self)
        made = runs.provenance() | {"threads": _threads()}
        return {"settings": settings, "sources": {"pictures": count}, "made": made}


def _threads() -> str:
    import cv2
    import torch

    torchs, opencvs = torch.get_num_threads(), cv2.getNumThreads()
    return f"threads: PyTorch {torchs}, OpenCV {opencvs}; one picture at a time"


def _pair() -> "Detector":
    """The shipped pair, at its own thresholds."""
    from pipeline.predictions import Answer
    from pipeline.two_stage import TwoStage

    pair = TwoStage.load(device="cpu")

    def look(picture: "Picture") -> Answer:
        faces = pair(picture)
        return Answer(faces.boxes, faces.scores)

    return look


def _asked(
    detectors: "Mapping[str, tuple[Detector, float]]",
    pictures: "Iterator[tuple[Scene, Picture]]",
) -> "list[Scene]":
    """What each says of each picture, and in how many milliseconds."""
    from tqdm import tqdm

    scenes: list[Scene] = []
    for scene, picture in tqdm(pictures, unit=" pictures", disable=None, leave=False):
        answers, ms = {}, {}
        for called, (detector, _) in detectors.items():
            for _ in range(0 if scenes else _WARM_UP):
                detector(picture)
            begin = time.perf_counter()
            answers[called] = detector(picture)
            ms[called] = (time.perf_counter() - begin) * 1000
        scenes.append(replace(scene, answers=answers, ms=ms))
    return scenes


def _is_in(wanted: set[int], number: int, _: float | None) -> bool:
    return number in wanted


def _write(folder: Path, scenes: "Sequence[Scene]", rows: Sequence[Json]) -> None:
    runs.write_text(folder / "compare.csv", tables.as_csv(rows))
    runs.write_text(folder / "compare.md", f"{tables.as_markdown(rows)}\n{_threads()}\n")
    listed = [
        {"id": number, "file_name": scene.name, "ms": {k: round(v, 3) for k, v in scene.ms.items()}}
        for number, scene in enumerate(scenes, 1)
    ]
    runs.write_json(folder / "pictures.json", {"images": listed})
    for name in scenes[0].answers:
        found = []
        for number, scene in enumerate(scenes, 1):
            answer = scene.answers[name]
            for (x1, y1, x2, y2), score in zip(answer.boxes, answer.scores, strict=True):
                box = [round(float(value), 2) for value in (x1, y1, x2 - x1, y2 - y1)]
                told = {"image_id": number, "category_id": 1, "bbox": box}
                found.append(told | {"score": round(float(score), 4)})
        runs.write_text(folder / f"{name}.json", json.dumps(found) + "\n")


def _named(text: str) -> tuple[str, str]:
    name, mark, path = text.partition("=")
    if not mark:
        raise UserError(f"--models {text}: expected NAME=FILE")
    return name, path
