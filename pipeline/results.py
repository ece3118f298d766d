"""A detection run as files: a row for every frame, COCO's form, a summary.

``frames.jsonl`` is for programs: a line for every frame with all that is known of it, candidates
under the thresholds included. ``frames.csv`` is for people.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline import runs, tables
from pipeline.detections import OUTCOMES, STAGES, Candidates, Detections, Parts
from pipeline.runs import Json
from pipeline.video import Frame

FORM = 3  # of the rows; others are not gone on with
MS = ("stage 1", "heatmap", "stage 2", "neonatal")
COLUMNS = (
    *("source", "frame", "time_s", "face", "outcome", "stage", "by", "reason"),
    *("x1", "y1", "x2", "y2", "conf", "parts", "weak", "width", "height"),
    *("ms_stage1", "ms_heatmap", "ms_stage2", "ms_neonatal"),
)


def row(frame: Frame, faces: Detections, given: int) -> Json:
    """What the journal keeps of a frame; ``given`` is the number of its input."""
    boxes, scores = faces.boxes.tolist(), faces.scores.tolist()  # as they are: they may be held
    who = faces.by or ("",) * len(faces)
    return {
        "input": given,
        "name": frame.name,
        "source": frame.source,
        "number": frame.number,
        "seconds": frame.seconds,
        "size": list(faces.size),
        "outcome": faces.outcome,
        "reason": faces.reason,
        "faces": [
            {"box": box, "conf": score, "how": how, "by": by}
            for box, score, how, by in zip(boxes, scores, faces.how, who, strict=True)
        ],
        "first": _scored(faces.first),
        "second": None if faces.second is None else _scored(faces.second),
        "partner": None if faces.partner is None else _scored(faces.partner),
        "parts": _parts(faces.parts),
        "best": dict(faces.best),
        "weak": faces.weak,
        "ms": {name: round(value, 2) for name, value in faces.ms.items()},
    }


def faces(row: Json) -> Detections:
    """The faces of a row."""
    boxes = np.array([face["box"] for face in row["faces"]], np.float32).reshape(-1, 4)
    scores = np.array([face["conf"] for face in row["faces"]], np.float32)
    how = tuple(face["how"] for face in row["faces"])
    width, height = row["size"]
    by = tuple(face["by"] for face in row["faces"] if face["by"])
    return Detections(boxes, scores, how, (width, height), row["reason"], by=by)


def append(folder: Path, rows: Iterable[Json]) -> None:
    """More rows at the end of frames.csv, for who looks while it runs."""
    with (folder / "frames.csv").open(
        "a", encoding="utf-8", errors="backslashreplace", newline=""
    ) as file:
        lines = csv.writer(file, lineterminator="\n")
        for each in rows:
            lines.writerows(csv_rows(each))


def _scored(seen: Candidates | Parts) -> list[Json]:
    """Boxes as exact as people can use, scores as they are: thresholds are held against them."""
    boxes = seen.boxes.astype(float).round(2).tolist()
    scores = [float(str(score)) for score in seen.scores]  # the few digits that tell a float32
    return [{"box": box, "score": score} for box, score in zip(boxes, scores, strict=True)]


def _parts(parts: Parts) -> list[Json]:
    """The parts that were seen, each with its name."""
    return [{"name": name} | each for name, each in zip(parts.names, _scored(parts), strict=True)]


def _best(each: Json) -> dict[str, float]:
    """The best score of each part that was seen."""
    best: dict[str, float] = {}
    for part in each["parts"]:
        best[part["name"]] = max(best.get(part["name"], 0.0), part["score"])
    return best


def csv_rows(each: Json) -> Iterator[Sequence[object]]:
    """The lines of a frame: one for each face, or one without."""
    ms = [each["ms"].get(name, "") for name in MS]
    parts = "; ".join(f"{name} {score:.2f}" for name, score in sorted(_best(each).items()))
    more = [parts, int(each["weak"]), *each["size"], *ms]
    where = [each["source"], each["number"], "" if each["seconds"] is None else each["seconds"]]
    for number, face in enumerate(each["faces"]):
        stage = STAGES.get(face["how"], "none")
        box, score = [round(value, 2) for value in face["box"]], round(face["conf"], 4)
        what = [number, face["how"], stage, face["by"], each["reason"], *box, score]
        yield [*where, *what, *more]
    if not each["faces"]:
        yield [*where, "", each["outcome"], "none", "", each["reason"], "", "", "", "", "", *more]


def write(folder: Path, rows: Iterable[Json]) -> None:
    """frames.csv, frames.jsonl, predictions.json and pictures.json, a row at a time."""
    names = ("frames.csv", "frames.jsonl", "predictions.json", "pictures.json")
    with ExitStack() as stack:
        table, every, found, seen = (
            stack.enter_context(runs.whole_file(folder / name)) for name in names
        )
        lines = csv.writer(table, lineterminator="\n")
        lines.writerow(COLUMNS)
        found.write("[")
        seen.write('{"categories": [{"id": 1, "name": "face"}],\n"images": [')
        between = {found: "\n", seen: "\n"}
        for number, each in enumerate(rows, 1):
            lines.writerows(csv_rows(each))
            every.write(json.dumps(each) + "\n")
            width, height = each["size"]
            file_name = each["name"] if "@" in each["name"] else each["source"]
            picture = {"id": number, "file_name": file_name, "width": width, "height": height}
            more = {"source": each["source"], "frame": each["number"]}
            for file, values in ((seen, [picture | more]), (found, _coco(each, number))):
                for value in values:
                    file.write(between[file] + json.dumps(value))
                    between[file] = ",\n"
        found.write("\n]\n")
        seen.write("\n]}\n")


def _coco(each: Json, picture: int) -> Iterator[Json]:
    """The faces that were detected in a frame in COCO's results form, with their stage."""
    for face in each["faces"]:
        if face["how"] == "held":  # no detection
            continue
        x1, y1, x2, y2 = face["box"]
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        told = {"image_id": picture, "category_id": 1, "bbox": box, "score": round(face["conf"], 4)}
        told |= {"stage": STAGES[face["how"]]}
        yield told | ({"by": face["by"]} if face["by"] else {})


class Tally:
    """How many frames of each source had which outcome, and who found how many faces."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.by: Counter[str] = Counter()  # of faces, where two detectors looked

    def add(self, source: str, row: Json) -> None:
        """One more frame."""
        self.counts.setdefault(source, Counter())[row["outcome"]] += 1
        faces = [face for face in row["faces"] if face["how"] != "held"]
        self.by.update(face["by"] for face in faces if face["by"])

    def total(self) -> Counter[str]:
        """Over all sources."""
        return sum(self.counts.values(), Counter())

    def table(self) -> str:
        """For people."""
        sources = dict(self.counts)
        if len(sources) > 1:
            sources["all"] = self.total()
        rows = [
            {"source": name, "frames": counts.total()}
            | {outcome: counts[outcome] for outcome in OUTCOMES}
            for name, counts in sources.items()
        ]
        found = tables.as_text(rows) if rows else "no frame\n"
        if self.by:
            both, one, other = (self.by[who] for who in ("both", "two-stage", "neonatal"))
            found += f"faces: {both} by both, {one} by two-stage alone, {other} by neonatal alone\n"
        return found
