"""Runs of ``uncover detect`` as they lie on the disk, made without a network."""

import json
from pathlib import Path

import numpy as np
from films import film

from pipeline import annotate, heatmap_files, images, results, runs
from pipeline.boxes import as_boxes
from pipeline.detections import Detections, Hold, Parts
from pipeline.images import Letterbox
from pipeline.journal import Journal
from pipeline.parts import PARTS
from pipeline.recipe import Recipe
from pipeline.video import Frame

CONF, FALLBACK, SIZE = 0.7, 0.3, (96, 64)


def seen(rng, size=SIZE, faces=1):
    """What two stages might say of a picture, by the rules of the fallback."""
    from pipeline.two_stage import TwoStage
    from pipeline.yolo import Found

    def some(most):
        count = int(rng.integers(0, most))
        corners = rng.uniform(0, 0.6, (count, 2)) * size
        boxes = as_boxes(np.concatenate([corners, corners + rng.uniform(8, 30, (count, 2))], 1))
        return boxes, np.sort(rng.uniform(0.05, 1, count).astype(np.float32))[::-1]

    detector = TwoStage(None, None, CONF, FALLBACK, faces=faces)
    first = Found(*(both := some(4)), np.full(len(both[1]), PARTS.index("whole face")))
    found = detector._found(first, Letterbox(*size, *size))
    if len(found) < faces:
        best = dict.fromkeys(PARTS, 0.3)
        second = Found(*(both := some(4)), np.zeros(len(both[1]), np.int64))
        found = detector._recovered(Detections(**(vars(found) | {"best": best})), second)
    parts = Parts(as_boxes([[10, 10, 30, 20]]), np.array([0.61], np.float32), ("eyes",))
    return Detections(**(vars(found) | {"parts": parts}))


def rows_of(source, name, count, rng, hold=0.0, faces=1, fps=10, given=0):
    """Rows of a video; of every 13th frame, that it could not be decoded."""
    holding = Hold(hold)
    for number in range(count):
        named = f"{name}@{number:06d}"
        if number % 13 == 12:
            frame = Frame(None, named, source, number, None, "the frame is damaged")
            yield results.row(frame, Detections.empty(reason=frame.reason), given)
            continue
        frame = Frame(None, named, source, number, number / fps)
        yield results.row(frame, holding.over(frame.seconds, seen(rng, faces=faces)), given)


def run_folder(folder, rows, complete=True, journal=False, **settings):
    """A run with these rows; finished, or still in its journal."""
    folder.mkdir(parents=True)
    usual = {"detector": "two-stage", "stage1": "0" * 64, "fallback": "1" * 64, "conf": CONF}
    usual |= {"fallback_conf": FALLBACK, "iou": 0.6, "faces": 1, "hold": 0.0, "imgsz": 320}
    usual |= {"half": False, "anonymize": False, "form": results.FORM, "least": 0.05}
    weights = {"stage1": "mine.pt", "fallback": "behind.pt"}
    record = {"settings": usual | settings, "sources": {}, "weights": weights}
    runs.write_json(folder / "config.json", record | {"folder": str(folder.parents[2])})
    rows = list(rows)
    if journal:
        book = Journal(folder)
        for first in range(0, len(rows), 64):
            book.add(rows[first : first + 64])
    else:
        results.write(folder, rows)
    runs.write_json(folder / "summary.json", {"complete": complete, "frames": len(rows)})
    return folder


def filmed_run(home, name="ward", count=40, seed=0, **settings):
    """A run over a film that is there, with a heatmap for every third frame."""
    film(home / "ward.mp4", count=count, size=SIZE)
    rng = np.random.default_rng(seed)
    hold = settings.get("hold", 0.0)
    rows = rows_of("ward.mp4", "ward", count, rng, hold, settings.get("faces", 1))
    folder = run_folder(home / "runs" / "detect" / name, rows, **settings)
    (folder / "heatmaps").mkdir()
    for number in range(0, count, 3):
        stack = rng.integers(0, 256, (10, 8, 8), np.uint8)
        stack[9] = 0
        best = {part: 0.1 * place for place, part in enumerate(PARTS)}
        facts = heatmap_files.facts_of(
            Recipe(peak=1.0), PARTS, Letterbox(*SIZE, 96, 96), best=best, weak=["eyes", "nose"]
        )
        heatmap_files.write(folder / "heatmaps" / f"ward@{number:06d}.tif", stack, facts)
    return folder


def pictured_run(home, count=6, **settings):
    """A run over pictures, whose faces are annotated, too."""
    rng, rows = np.random.default_rng(1), []
    (home / "pictures").mkdir()
    folder = home / "runs" / "detect" / "pictures"
    drawn = []
    for number in range(count):
        picture = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        source = f"pictures/p{number}.png"
        images.write(home / source, picture)
        faces = seen(rng)
        rows.append(results.row(Frame(picture, f"p{number}", source), faces, number))
        drawn.append((f"p{number}.jpg", annotate.annotated(picture, faces, faces.outcome)))
    run_folder(folder, rows, **settings)
    (folder / "annotated").mkdir()
    for name, picture in drawn:
        images.write(folder / "annotated" / name, picture)
    return folder


def coco_of(folder, path, share=0.8):
    """Labels for most frames of a run: near its best candidate, or elsewhere."""
    rng, pictures, faces = np.random.default_rng(2), [], []
    for number, line in enumerate(Path(folder / "frames.jsonl").read_text().splitlines()):
        row = json.loads(line)
        if rng.random() > share or not row["size"][0]:
            continue
        pictures.append({"id": number, "file_name": row["name"], "bed": 3})
        near = (row["first"] or row["second"] or [{"box": [0, 0, 20, 20]}])[0]["box"]
        shift = int(rng.choice([0, 1, 40]))
        box = [near[0] + shift, near[1], near[2] - near[0], near[3] - near[1]]
        hidden = float(rng.choice([0, 0.1, 0.4, 0.9]))
        faces.append({"id": number, "image_id": number, "bbox": box, "hidden": hidden})
    content = {"images": pictures, "annotations": faces, "categories": [{"id": 1, "name": "face"}]}
    path.write_text(json.dumps(content))
    return path
