"""Marked frames for other programs: a list, COCO's form, a YOLO dataset to be corrected."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import yaml

from pipeline import images
from pipeline.boxes import as_boxes
from pipeline.dataset import label_lines
from pipeline.inspect.messages import Marks, Scored
from pipeline.inspect.pictures import Album, Gone
from pipeline.inspect.record import At, Believed, Columns, Record, Shot, believed
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json

Labels = Literal["face", "parts"]
_BLURRED = (
    "The run, or the page, was anonymized: faces in these pictures are blurred. They are nothing "
    "to train on; detect without --anonymize, and gather the frames again.\n"
)


@dataclass(frozen=True)
class Wanted:
    """The marked frames of a run, and which boxes are a start for them."""

    record: Record
    columns: Columns
    marks: Marks
    at: At
    labels: Labels

    @property
    def names(self) -> list[str]:
        """Of the classes, in the order of their ids."""
        return list(PARTS) if self.labels == "parts" else ["face"]

    def frames(self) -> Iterator[tuple[int, Shot, Believed]]:
        """In the order of the run; marks of frames that it does not have are passed over."""
        places = self.columns.places
        known = [places[name] for name in self.marks["marks"] if name in places]
        for index in sorted(known):
            yield (
                index,
                self.record.shots[index],
                believed(self.record, self.columns, index, self.at),
            )

    def boxes(self, shot: Shot, seen: Believed) -> list[tuple[int, Scored]]:
        """Class and box of all that is believed to be in a frame."""
        if self.labels == "face":
            return [(0, each) for each in seen.boxes]
        parts: list[tuple[int, Scored]] = [(each["part"], each) for each in shot.parts]
        return [(WHOLE_FACE, each) for each in seen.boxes] + parts


def as_list(wanted: Wanted) -> str:
    """A line of CSV for each marked frame."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("name", "source", "frame", "time_s", "outcome", "conf", "level", "note", "at"))
    for _, shot, seen in wanted.frames():
        outcome = "unreadable" if shot.size == (0, 0) else seen.outcome
        conf = f"{seen.boxes[0]['score']:.4f}" if seen.boxes else ""
        mark, time = wanted.marks["marks"][shot.name], "" if shot.seconds is None else shot.seconds
        where = (shot.name, shot.source, shot.number, time)
        rows.writerow((*where, outcome, conf, shot.level, mark["note"], mark["at"]))
    return out.getvalue()


def as_coco(wanted: Wanted) -> str:
    """Images and annotations, with scores; ids of categories begin at 1, as COCO's do."""
    pictures, annotations = list[Json](), list[Json]()
    for number, (_, shot, seen) in enumerate(wanted.frames(), 1):
        width, height = shot.size
        file_name = shot.name if shot.video else shot.source  # as pictures.json has it
        about = {"id": number, "file_name": file_name, "width": width, "height": height}
        more = {"source": shot.source, "frame": shot.number}
        pictures.append(about | more | {"note": wanted.marks["marks"][shot.name]["note"]})
        for kind, each in wanted.boxes(shot, seen):
            x1, y1, x2, y2 = each["box"]
            box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            face: Json = {"id": len(annotations) + 1, "image_id": number, "category_id": kind + 1}
            face |= {"bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": 0}
            annotations.append(face | {"score": each["score"]})
    kinds = [{"id": number, "name": name} for number, name in enumerate(wanted.names, 1)]
    return json.dumps({"images": pictures, "annotations": annotations, "categories": kinds})


def as_yolo(wanted: Wanted, album: Album, target: IO[bytes]) -> None:
    """A zip with pictures, the predicted boxes as labels to be corrected, and a data.yaml.

    What is only left as annotated, with boxes in it, is nothing to learn from: it is listed.
    """
    about = {"path": ".", "train": "images/train", "val": "images/train"}
    content = yaml.safe_dump(about | {"names": dict(enumerate(wanted.names))}, sort_keys=False)
    left_out, taken = list[str](), set[str]()
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("data.yaml", content)
        if album.anonymize:
            out.writestr("read-me.txt", _BLURRED)
        out.writestr("marked.csv", as_list(wanted).encode("utf-8", "backslashreplace"))
        for index, shot, seen in wanted.frames():
            name = _file_name(shot)
            if name in taken:  # a.jpg and a.png of an evaluation
                name += f"-{index}"
            taken.add(name)
            try:
                picture = album.clean(index)
            except Gone as gone:
                left_out.append(f"{shot.name}: {gone}\n")
                continue
            out.writestr(f"images/train/{name}.jpg", images.encode(picture, ".jpg", 95))
            found = wanted.boxes(shot, seen)
            boxes = as_boxes([each["box"] for _, each in found])
            lines = label_lines(boxes, [kind for kind, _ in found], shot.size)
            out.writestr(f"labels/train/{name}.txt", lines)
        if left_out:
            out.writestr("left-out.txt", "".join(left_out).encode("utf-8", "backslashreplace"))


def _file_name(shot: Shot) -> str:
    """Of a picture in the zip, flat and without a suffix."""
    flat = shot.name.replace("/", "__")
    known = Path(flat).suffix.lower() in images.SUFFIXES
    plain = Path(flat).stem if known else flat
    return plain.encode("utf-8", "backslashreplace").decode()
