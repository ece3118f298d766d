"""Marked frames for other programs: a list, COCO's form, a YOLO dataset to be corrected."""

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from pipeline import images
from pipeline.boxes import as_boxes
from pipeline.dataset import label_lines
from pipeline.inspect.messages import Marks, Scored
from pipeline.inspect.pictures import Album, Gone
from pipeline.inspect.record import Record, Shot, believed
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json

Labels = Literal["face", "parts"]


@dataclass(frozen=True)
class Wanted:
    """The marked frames, and which boxes are a start for them."""

    pair: int
    conf: float
    fallback_conf: float
    labels: Labels

    @property
    def names(self) -> list[str]:
        """Of the classes, in the order of their ids."""
        return list(PARTS) if self.labels == "parts" else ["face"]

    def boxes(self, shot: Shot, faces: int) -> list[tuple[int, Scored]]:
        """Class and box of all that is believed to be in a frame."""
        said = shot.said[self.pair]
        seen = believed(said, self.conf, self.fallback_conf, faces)
        if self.labels == "face":
            return [(0, each) for each in seen.boxes]
        parts: list[tuple[int, Scored]] = [(each["part"], each) for each in shot.parts]
        return [(WHOLE_FACE, each) for each in seen.boxes] + parts


def marked(record: Record, marks: Marks) -> list[tuple[int, Shot]]:
    """The frames that are marked, as the run has them in order."""
    names = marks["marks"]
    return [(index, shot) for index, shot in enumerate(record.shots) if shot.name in names]


def as_list(record: Record, marks: Marks, wanted: Wanted) -> str:
    """A line of CSV for each marked frame."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("name", "source", "frame", "time_s", "outcome", "conf", "level", "note", "at"))
    for _, shot in marked(record, marks):
        seen = believed(shot.said[wanted.pair], wanted.conf, wanted.fallback_conf, record.faces)
        outcome = "unreadable" if shot.size == (0, 0) else seen.outcome
        conf = f"{seen.boxes[0]['score']:.4f}" if seen.boxes else ""
        mark, time = marks["marks"][shot.name], "" if shot.seconds is None else shot.seconds
        where = (shot.name, shot.source, shot.number, time)
        rows.writerow((*where, outcome, conf, shot.level, mark["note"], mark["at"]))
    return out.getvalue()


def as_coco(record: Record, marks: Marks, wanted: Wanted) -> str:
    """Images and annotations, with scores; ids of categories begin at 1, as COCO's do."""
    pictures, annotations = list[Json](), list[Json]()
    for number, (_, shot) in enumerate(marked(record, marks), 1):
        width, height = shot.size
        about = {"id": number, "file_name": _file_name(shot), "width": width, "height": height}
        more = {"source": shot.source, "frame": shot.number}
        pictures.append(about | more | {"note": marks["marks"][shot.name]["note"]})
        for kind, each in wanted.boxes(shot, record.faces):
            x1, y1, x2, y2 = each["box"]
            box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": kind + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                    "score": each["score"],
                }
            )
    kinds = [{"id": number, "name": name} for number, name in enumerate(wanted.names, 1)]
    return json.dumps({"images": pictures, "annotations": annotations, "categories": kinds})


def as_yolo(record: Record, marks: Marks, wanted: Wanted, album: Album, target: Path) -> None:
    """A zip with pictures, the predicted boxes as labels to be corrected, and a data.yaml."""
    about = {"path": ".", "train": "images/train", "val": "images/train"}
    content = yaml.safe_dump(about | {"names": dict(enumerate(wanted.names))}, sort_keys=False)
    left_out = []
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("data.yaml", content)
        out.writestr("marked.csv", as_list(record, marks, wanted))
        for index, shot in marked(record, marks):
            name = Path(_file_name(shot)).stem
            try:
                picture = album.shown(index)
            except Gone as gone:
                left_out.append(f"{shot.name}: {gone}\n")
                continue
            out.writestr(f"images/train/{name}.jpg", images.encode(picture, ".jpg", 95))
            found = wanted.boxes(shot, record.faces)
            boxes = as_boxes([each["box"] for _, each in found])
            lines = label_lines(boxes, [kind for kind, _ in found], shot.size)
            out.writestr(f"labels/train/{name}.txt", lines)
        if left_out:
            out.writestr("left-out.txt", "".join(left_out))


def _file_name(shot: Shot) -> str:
    """Of a picture, flat and with a suffix."""
    flat = shot.name.replace("/", "__")
    return str(Path(flat).with_suffix(".jpg")) if _is_file(flat) else f"{flat}.jpg"


def _is_file(name: str) -> bool:
    return Path(name).suffix.lower() in images.SUFFIXES
